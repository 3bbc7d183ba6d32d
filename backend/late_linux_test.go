package backend

import (
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"gatehouse/backend/h1"
	"gatehouse/backend/loop"
)

// side is a server of this file's tests: what it does with its connections, one after the other.
func side(t *testing.T, serve func(nc *net.TCPConn)) loop.Addr {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			nc.SetDeadline(time.Now().Add(20 * time.Second))
			serve(nc.(*net.TCPConn))
			nc.Close()
		}
	}()
	t.Cleanup(func() { ln.Close(); <-ended })
	return loop.Addr{AddrPort: netip.MustParseAddrPort(ln.Addr().String())}
}

// A server that has ended its side before the request left may still read and act on it. A request that goes to another one then, whatever its
// method, has never left (RFC 9110 9.2.2: "A proxy MUST NOT automatically retry non-idempotent requests").
func TestWhatIsRepeatedElsewhereNeverLeft(t *testing.T) {
	for _, method := range []string{"GET", "POST"} {
		heard := make(chan string, 1)
		dead := side(t, func(nc *net.TCPConn) {
			nc.CloseWrite()
			b, _ := io.ReadAll(nc)
			heard <- string(b)
		})
		well := side(t, func(nc *net.TCPConn) {
			if _, err := readHead(nc); err == nil {
				io.WriteString(nc, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
				io.Copy(io.Discard, nc)
			}
		})
		l, err := loop.New(0)
		if err != nil {
			t.Fatal(err)
		}
		l.OnPanic = func(v any, stack []byte) { t.Errorf("panic: %v\n%s", v, stack) }
		p, err := New(&Config{Name: "farm", Retries: 3, Redispatch: true, Servers: []*Server{
			{Name: "A", Weight: 100, Address: dead},
			{Name: "B", Weight: 1, Address: well},
		}}, Options{Loops: []*loop.Loop{l}, Dial: func(l *loop.Loop, d loop.Dial) (*loop.Conn, error) {
			c, err := l.Dial(d)
			for err == nil && d.To == dead && !c.Hup() { // the end is there before the request is
				l.Sleep(time.Millisecond)
			}
			return c, err
		}})
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		var failed error
		x := &h1.Exchange{Loop: l}
		l.Post(func() {
			l.Go(loop.Func(func() {
				defer close(done)
				x.Reset()
				if _, err := x.Req.Parse([]byte(method+" / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"), nil); err != nil {
					t.Error(err)
				}
				failed = p.RoundTrip(x)
			}))
		})
		<-done
		if failed != nil || x.Resp.Status != 200 || x.Note.Server != "B" || x.Note.Retries != 1 {
			t.Errorf("%s: %v, status %d of %s, %d retries", method, failed, x.Resp.Status, x.Note.Server, x.Note.Retries)
		}
		if got := <-heard; got != "" {
			t.Errorf("%s: the first server was told %q", method, strings.SplitN(got, "\r\n", 2)[0])
		}
		p.Close()
		l.Stop()
	}
}
