package frontend

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"gatehouse/backend/h1"
)

// socketAt opens a UDP socket for QUIC on an address of this machine.
func socketAt(t *testing.T, ip string) *quic.Transport {
	t.Helper()
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(ip)})
	if err != nil {
		t.Fatal(err)
	}
	tr := &quic.Transport{Conn: c}
	t.Cleanup(func() {
		tr.Close()
		c.Close()
	})
	return tr
}

// TestHTTP3Migration: a client whose address changes goes on, in the middle of an upload too, and is the one it was when it came, for servers and in
// the log (RFC 9000 9).
func TestHTTP3Migration(t *testing.T) {
	s := onScene(t, &Config{Name: "www"}, func(x *h1.Exchange) error {
		if x.Req.Body != nil {
			if _, err := readAll(x.Req.Body); err != nil {
				return err
			}
		}
		return says(x.Peer.Addr().String())(x)
	})
	first, second := socketAt(t, "127.0.0.1"), socketAt(t, "127.0.0.2")
	to := net.UDPAddrFromAddrPort(s.n.Addr().AddrPort)
	qc, err := first.Dial(t.Context(), to, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h3"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer qc.CloseWithError(0, "")
	tr := &http3.Transport{DisableCompression: true}
	defer tr.Close()
	c := tr.NewClientConn(qc)
	ask := func(content *moving) string {
		t.Helper()
		q, err := http.NewRequestWithContext(t.Context(), "POST", s.url("/"), content)
		if err != nil {
			t.Fatal(err)
		}
		got, err := answer(c.RoundTrip(q))
		if err != nil {
			t.Fatal(err)
		}
		if l := s.line(); !strings.Contains(l, `"client":"127.0.0.1"`) || !strings.Contains(l, `"termination":"--`) {
			t.Errorf("line %s", l)
		}
		return got
	}
	if got := ask(&moving{left: 100}); got != "127.0.0.1" {
		t.Fatalf("at first it is %s", got)
	}
	if got := ask(&moving{left: 2 << 20, half: func() {
		path, err := qc.AddPath(second)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if err := path.Probe(ctx); err != nil {
			t.Fatal(err)
		}
		if err := path.Switch(); err != nil {
			t.Fatal(err)
		}
	}}); got != "127.0.0.1" {
		t.Errorf("when it moves it is %s", got)
	}
	if got := ask(&moving{left: 100}); got != "127.0.0.1" {
		t.Errorf("elsewhere it is %s", got)
	}
	conns, _ := s.n.quic.Load().list()
	if len(conns) != 1 || !strings.HasPrefix(conns[0].qc.RemoteAddr().String(), "127.0.0.2:") {
		t.Errorf("%d connections, the first with %v", len(conns), conns[0].qc.RemoteAddr())
	}
}

// moving is content in whose middle something happens.
type moving struct {
	left int
	half func()
}

func (m *moving) Read(b []byte) (int, error) {
	if m.left < 1<<20 && m.half != nil {
		m.half()
		m.half = nil
	}
	n := min(len(b), m.left)
	if m.left -= n; m.left == 0 {
		return n, io.EOF
	}
	return n, nil
}

// TestHTTP3NoEarlyData is row 63: who comes again resumes, but what is sent before the handshake is complete is not taken: it comes once more
// behind it, and servers see it once.
func TestHTTP3NoEarlyData(t *testing.T) {
	s := onScene(t, &Config{Name: "www"}, says("ok"))
	known := tls.NewLRUClientSessionCache(1)
	for i, method := range []string{http3.MethodGet0RTT, http3.MethodGet0RTT, "POST"} {
		var qc *quic.Conn
		tr := &http3.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: "a.test", ClientSessionCache: known},
			Dial: func(ctx context.Context, addr string, c *tls.Config, q *quic.Config) (_ *quic.Conn, err error) {
				qc, err = quic.DialAddrEarly(ctx, addr, c, q)
				return qc, err
			}}
		q, err := http.NewRequest(method, s.url("/"), nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := answer((&http.Client{Transport: tr, Timeout: patience}).Do(q))
		if got != "ok" || err != nil {
			t.Errorf("%s: %q, %v", method, got, err)
		}
		if state := qc.ConnectionState(); state.Used0RTT || state.TLS.DidResume != (i > 0) {
			t.Errorf("%s, connection %d: 0-RTT %v, resumed %v", method, i, state.Used0RTT, state.TLS.DidResume)
		}
		s.line()
		tr.Close()
	}
	select {
	case l := <-s.book.lines:
		t.Errorf("something was served twice: %s", l)
	case <-time.After(50 * time.Millisecond):
	}
}
