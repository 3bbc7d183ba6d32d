package house_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pires/go-proxyproto"
)

// signature begins a PROXY header of version 2.
const signature = "\r\n\r\n\x00\r\nQUIT\n"

const (
	announced1 = "PROXY TCP4 203.0.113.7 192.0.2.1 4660 443\r\n"
	announced2 = signature + "\x21\x11\x00\x0c\xcb\x00\x71\x07\xc0\x00\x02\x01\x12\x34\x01\xbb"
	announced6 = signature + "\x21\x21\x00\x24\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x07" +
		"\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x12\x34\x01\xbb"
	local2 = signature + "\x20\x00\x00\x00"
)

// TestAcceptProxy: behind a PROXY header the client is the announced one, for the server and in the log, in the clear and under TLS,
// however the header comes in.
func TestAcceptProxy(t *testing.T) {
	const request = "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n"
	for _, under := range []string{"", "tls = tls.own"} {
		o := newOrigin(t, nil)
		r, book := site(t, `
tls "own" { internal = true }
listen "www" {
  log   = log.access
  hosts = ["a.test"]
  bind "127.0.0.1:1" {
    accept_proxy = ["127.0.0.0/8"]
    `+under+`
  }
  server "A" "`+o.addr+`" {}
}`)
		for _, tt := range []struct{ header, client string }{
			{announced1, "203.0.113.7:4660"},
			{announced2, "203.0.113.7:4660"},
			{announced6, "2001:db8::7:4660"},
		} {
			for _, piece := range []int{1, 20, 10_000} {
				nc := &inPieces{Conn: r.connect(0).Conn, first: tt.header, size: piece}
				var c io.ReadWriter = nc
				if under != "" {
					c = tls.Client(nc, &tls.Config{ServerName: "a.test", InsecureSkipVerify: true})
				}
				if _, err := io.WriteString(c, request); err != nil {
					t.Fatal(err)
				}
				if got, _ := io.ReadAll(c); !strings.HasPrefix(string(got), "HTTP/1.1 200 ") {
					t.Errorf("%q in pieces of %d: got %.100q", tt.header, piece, got)
				}
				if line := book.next(t); !strings.HasPrefix(line, tt.client+" [") {
					t.Errorf("%q in pieces of %d: logged %s, want %s", tt.header, piece, line, tt.client)
				}
			}
		}
		if seen := o.seen(); strings.Count(seen, "X-Forwarded-For: 203.0.113.7\r\n") != 6 || strings.Count(seen, "X-Forwarded-For: 2001:db8::7\r\n") != 3 {
			t.Errorf("the server got\n%s", seen)
		}
	}
}

// inPieces is a connection whose first write brings a header, which goes out together with it, in pieces.
type inPieces struct {
	net.Conn
	first string
	size  int
}

func (c *inPieces) Write(b []byte) (int, error) {
	all := c.first + string(b)
	if c.first == "" {
		return c.Conn.Write(b)
	}
	c.first = ""
	for len(all) > 0 {
		n := min(c.size, len(all))
		if _, err := io.WriteString(c.Conn, all[:n]); err != nil {
			return 0, err
		}
		all = all[n:]
	}
	return len(b), nil
}

// TestAcceptProxyRefuses is hostile input, rows 76 and 77: who does not announce properly is not answered and gets to no server.
func TestAcceptProxyRefuses(t *testing.T) {
	const get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	for _, mode := range []string{"http", "tcp"} {
		o := newOrigin(t, nil)
		r, book := site(t, `
listen "www" {
  mode = "`+mode+`"
  log  = log.access
  bind "127.0.0.1:1" { accept_proxy = ["127.0.0.1", "10.0.0.0/8"] }
  server "A" "`+o.addr+`" {}
}`)
		for _, tt := range []struct{ name, send string }{
			{"none", get},
			{"UNKNOWN", "PROXY UNKNOWN\r\n" + get},
			{"LOCAL", local2 + get},
			{"a bad address", "PROXY TCP4 6.6.6.999 192.0.2.1 1 2\r\n" + get},
			{"twice", announced1 + announced1 + get},
			{"too long", "PROXY TCP4 " + strings.Repeat("1", 100) + "\r\n" + get},
			{"a bad command", strings.Replace(announced2, "\x21\x11", "\x2f\x11", 1) + get},
			{"a huge TLV", signature + "\x21\x11\xff\xff" + get},
			{"cut short", announced1[:20]},
		} {
			w := r.connect(0)
			w.send(tt.send)
			if tt.name == "cut short" {
				w.closeWrite()
			}
			w.ended()
			if line := book.next(t); !strings.HasPrefix(line, "127.0.0.1:") || !strings.Contains(line, "<NOSRV>") || !strings.Contains(line, " PR") {
				t.Errorf("%s, %s: logged %s", mode, tt.name, line)
			}
		}
		// From elsewhere a header does not help, and there is no line either.
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
		nc, err := d.Dial("tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		w := newWire(t, nc)
		w.send(announced1 + get)
		w.ended()
		nc.Close()
		r.connect(0).Close() // nor for who says nothing at all
		// A balancer that checks whether somebody is here is nothing to log either.
		for _, check := range []string{"PROXY UNKNOWN\r\n", local2} {
			w := r.connect(0)
			w.send(check)
			w.ended()
		}
		if n := r.h.Status().Frontends[0].Monitored; n != 2 {
			t.Errorf("%s: %d checks, want 2", mode, n)
		}
		select {
		case line := <-book.lines:
			t.Errorf("%s: one line more: %s", mode, line)
		default:
		}
		if seen := o.seen(); seen != "" {
			t.Errorf("%s: the server got %q", mode, seen)
		}
	}
}

// TestProxyUnexpected is hostile input, row 76: where no PROXY header is expected, one is no request and no TLS.
func TestProxyUnexpected(t *testing.T) {
	o := newOrigin(t, nil)
	for _, under := range []string{"", "tls = tls.own"} {
		r, _ := site(t, `
tls "own" { internal = true }
listen "www" {
  hosts = ["a.test"]
  bind "127.0.0.1:1" {
    `+under+`
  }
  server "A" "`+o.addr+`" {}
}`)
		for _, header := range []string{announced1, announced2} {
			w := r.connect(0)
			w.send(header + "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
			got, _ := w.rest()
			if under == "" && !strings.HasPrefix(got, "HTTP/1.1 400 ") || strings.Contains(got, " 200 ") {
				t.Errorf("%s %q: got %.100q", under, header, got)
			}
		}
	}
	if seen := o.seen(); seen != "" {
		t.Errorf("the server got %q", seen)
	}
}

// TestAcceptProxySlow: a header has three seconds, however it trickles in.
func TestAcceptProxySlow(t *testing.T) {
	if testing.Short() {
		t.Skip("takes three seconds")
	}
	o := newOrigin(t, nil)
	r, _ := site(t, `
listen "www" {
  bind "127.0.0.1:1" { accept_proxy = ["127.0.0.1"] }
  server "A" "`+o.addr+`" {}
}`)
	quick(t, 6*time.Second, func() time.Duration {
		began := time.Now()
		silent, slow := r.connect(0), r.connect(0)
		slow.send(announced1[:10])
		later := time.AfterFunc(2*time.Second, func() { slow.send(announced1[10:20]) })
		defer later.Stop()
		silent.ended()
		slow.ended()
		d := time.Since(began)
		if d < 2900*time.Millisecond {
			t.Errorf("it took %v", d)
		}
		return d
	})
}

// TestAcceptProxyMonitor: who is a supervisor, and how many connections one source has, is judged by the announced address; a balancer that
// checks for itself, by its own.
func TestAcceptProxyMonitor(t *testing.T) {
	const well = "HTTP/1.0 200 OK\r\n\r\n"
	o := newOrigin(t, nil)
	r, _ := site(t, `
listen "www" {
  bind "127.0.0.1:1" { accept_proxy = ["127.0.0.1"] }
  limits { per_source = 1 }
  monitor { sources = ["127.0.0.1", "127.0.0.2", "198.51.100.0/24"] }
  server "A" "`+o.addr+`" {}
}`)
	for _, send := range []string{local2, "PROXY UNKNOWN\r\n", "PROXY TCP4 198.51.100.9 192.0.2.1 1 2\r\n"} {
		w := r.connect(0)
		w.send(send)
		w.closeWrite()
		if got, _ := w.rest(); got != well {
			t.Errorf("%q got %q", send, got)
		}
	}
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	nc, err := d.Dial("tcp", r.addr) // a supervisor that is no balancer
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if got, _ := newWire(t, nc).rest(); got != well {
		t.Errorf("a supervisor got %q", got)
	}
	const get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	one := r.connect(0)
	if a := one.ask(announced1 + get); a.status != 200 {
		t.Errorf("a client got %d", a.status)
	}
	two := r.connect(0)
	two.send(announced1 + get)
	two.ended()
	if a := r.connect(0).ask(announced6 + get); a.status != 200 {
		t.Errorf("another client got %d", a.status)
	}
}

// told is a server that expects PROXY headers, in the clear or under TLS, and remembers what each connection announced.
type told struct {
	addr string

	mu     sync.Mutex // guards what follows
	faults []string
	conns  int
}

type announcedConn struct {
	net.Conn
	h *proxyproto.Header
}

// RemoteAddr is net.Conn's: the announced client.
func (c *announcedConn) RemoteAddr() net.Addr { return c.h.SourceAddr }

// LocalAddr is net.Conn's: where it came in.
func (c *announcedConn) LocalAddr() net.Addr { return c.h.DestinationAddr }

// announcedListener takes connections that begin with a PROXY header of one version.
type announcedListener struct {
	net.Listener
	e       *told
	version byte
}

func (l *announcedListener) Accept() (net.Conn, error) {
	for {
		nc, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		nc.SetDeadline(time.Now().Add(patience))
		w := newWire(nil, nc)
		h, err := proxyproto.Read(w.r)
		l.e.mu.Lock()
		l.e.conns++
		if err != nil || h.Version != l.version {
			l.e.faults = append(l.e.faults, fmt.Sprintf("header %+v, %v", h, err))
		}
		l.e.mu.Unlock()
		if err != nil {
			nc.Close()
			continue
		}
		return &announcedConn{&buffered{nc, w.r}, h}, nil
	}
}

// buffered is a connection of which something is in a buffer.
type buffered struct {
	net.Conn
	r io.Reader
}

func (b *buffered) Read(p []byte) (int, error) { return b.r.Read(p) }

// expect starts a server that expects headers of that version.
func expect(t testing.TB, version byte, c *tls.Config) *told {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := &told{addr: ln.Addr().String()}
	ln = &announcedListener{Listener: ln, e: e, version: version}
	if c != nil {
		ln = tls.NewListener(ln, c)
	}
	s := &http.Server{ErrorLog: quietLog, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s %s", r.RemoteAddr, r.Context().Value(http.LocalAddrContextKey), r.Header.Get("X-Forwarded-For"))
	})}
	var running sync.WaitGroup
	running.Go(func() { s.Serve(ln) })
	t.Cleanup(func() {
		s.Close()
		running.Wait()
		for _, f := range e.faults {
			t.Error(f)
		}
	})
	return e
}

// TestSendProxy: each server is told which client a connection is for and where that one came in; in mode http too, where no connection
// ever carries another client's requests.
func TestSendProxy(t *testing.T) {
	ca := newAuthority(t)
	for _, mode := range []string{"http", "tcp"} {
		for _, version := range []byte{1, 2} {
			for _, under := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s v%d TLS %v", mode, version, under), func(t *testing.T) {
					var c *tls.Config
					own := ""
					if under {
						c = &tls.Config{Certificates: []tls.Certificate{ca.issue(t, "app.test")}}
						own = fmt.Sprintf("tls {\n ca = %q\n server_name = \"app.test\"\n}", ca.file)
					}
					e := expect(t, version, c)
					r, _ := site(t, fmt.Sprintf(`
listen "www" {
  mode = %q
  bind "127.0.0.1:1" {}
  check "http" {}
  server "A" %q {
    send_proxy = "v%d"
    %s
  }
}`, mode, e.addr, version, own))
					<-r.h.Pool("www").Ready()
					var clients sync.WaitGroup
					for range 6 {
						w := r.connect(0)
						clients.Go(func() {
							forwarded := ""
							if mode == "http" {
								forwarded = "127.0.0.1"
							}
							want := fmt.Sprintf("%s %s %s", w.Conn.LocalAddr(), r.addr, forwarded)
							for range 5 {
								w.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
								if a, err := w.answer("GET"); err != nil || a.body != want {
									t.Errorf("the server was told %+v (%v), want %q", a, err, want)
									return
								}
							}
						})
					}
					clients.Wait()
					e.mu.Lock()
					defer e.mu.Unlock()
					if e.conns > 6+1+1 { // one for each client, and the check
						t.Errorf("%d connections for 6 clients", e.conns)
					}
				})
			}
		}
	}
}

// TestProxyChain: a header comes in, and goes out to the server with what it said.
func TestProxyChain(t *testing.T) {
	e := expect(t, 2, nil)
	r, _ := site(t, `
listen "www" {
  mode = "tcp"
  bind "127.0.0.1:1" { accept_proxy = ["127.0.0.1"] }
  server "A" "`+e.addr+`" { send_proxy = "v2" }
}`)
	for header, want := range map[string]string{announced1: "203.0.113.7:4660 192.0.2.1:443 ", announced6: "[2001:db8::7]:4660 [2001:db8::1]:443 "} {
		if a := r.connect(0).ask(header + "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); a.body != want {
			t.Errorf("the server was told %q, want %q", a.body, want)
		}
	}
}
