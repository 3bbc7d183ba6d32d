package house_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

// lineBook takes an access log apart, line by line.
type lineBook struct {
	lines chan string
	part  []byte
}

func newLineBook() *lineBook { return &lineBook{lines: make(chan string, 1000)} }

func (b *lineBook) Write(p []byte) (int, error) {
	b.part = append(b.part, p...)
	for {
		i := bytes.IndexByte(b.part, '\n')
		if i < 0 {
			return len(p), nil
		}
		b.lines <- string(b.part[:i])
		b.part = b.part[i+1:]
	}
}

// next returns the next line.
func (b *lineBook) next(t testing.TB) string {
	t.Helper()
	select {
	case l := <-b.lines:
		return l
	case <-time.After(patience):
		t.Fatal("no line in the log")
		return ""
	}
}

// site builds a house of a configuration with HAProxy's log.
func site(t testing.TB, text string) (*rig, *lineBook) {
	t.Helper()
	dir, book := t.TempDir(), newLineBook()
	text = fmt.Sprintf("global { state_dir = %q }\nlog \"access\" {}\n%s", dir, text)
	return raise(t, dir, text, plan{loops: 2, access: book}), book
}

// connect connects to an address of the house, 0 being the first.
func (r *rig) connect(i int) *wire {
	r.Helper()
	nc, err := net.Dial("tcp", r.h.Addresses()[i].String())
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { nc.Close() })
	return newWire(r.TB, nc)
}

// shout is a server that reads to the end and sends it back in capitals.
func shout(w *wire) {
	s, _ := w.rest()
	w.send(strings.ToUpper(s))
}

// says sends s, ends its side, and returns all that comes back.
func (w *wire) says(s string) string {
	w.Helper()
	if err := w.send(s); err != nil {
		w.Error(err)
	}
	w.closeWrite()
	got, err := w.rest()
	if err != nil && !isReset(err) {
		w.Error(err)
	}
	return got
}

// TestTCPLogLine: a relayed connection has HAProxy's line, one for each, and connections that carried nothing have none.
func TestTCPLogLine(t *testing.T) {
	o := newOrigin(t, shout)
	r, book := site(t, `
listen "farm" {
  mode = "tcp"
  log  = log.access
  bind "127.0.0.1:1" {}
  server "A" "`+o.addr+`" {}
}`)
	r.connect(0).says("") // nothing either way
	if got := r.connect(0).says("hello"); got != "HELLO" {
		t.Errorf("got %q", got)
	}
	const want = `^127\.0\.0\.1:\d+ \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d\.\d{3}\] farm farm/A \d+/\d+/\d+ 5 -- \d+/\d+/\d+/\d+/0 0/0$`
	if line := book.next(t); !regexp.MustCompile(want).MatchString(line) {
		t.Errorf("got  %s\nwant %s", line, want)
	}
	o.stop()
	r.connect(0).says("x")
	const failed = `farm farm/A \d+/-1/\d+ 0 SC \d+/\d+/\d+/\d+/3 0/0$`
	if line := book.next(t); !regexp.MustCompile(failed).MatchString(line) {
		t.Errorf("got  %s\nwant %s", line, failed)
	}
	select {
	case line := <-book.lines:
		t.Errorf("one line more: %s", line)
	default:
	}
}

// TestTCPLogEmpty: with empty = true, connections that carried nothing have a line too. In JSON a relay has no status.
func TestTCPLogEmpty(t *testing.T) {
	o := newOrigin(t, shout)
	dir, book := t.TempDir(), newLineBook()
	r := raise(t, dir, fmt.Sprintf(`
global { state_dir = %q }
log "access" {
  format = "json"
  empty  = true
}
listen "farm" {
  mode = "tcp"
  log  = log.access
  bind "127.0.0.1:1" {}
  server "A" %q {}
}`, dir, o.addr), plan{access: book})
	r.connect(0).says("")
	line := book.next(t)
	for _, want := range []string{`"mode":"tcp"`, `"frontend":"farm"`, `"server":"A"`, `"bytes_in":0`, `"bytes_out":0`, `"termination":"--"`} {
		if !strings.Contains(line, want) {
			t.Errorf("no %s in %s", want, line)
		}
	}
	for _, not := range []string{"status", "bad_request", "request_ms", "response_ms", "method"} {
		if strings.Contains(line, `"`+not+`"`) {
			t.Errorf("%s in %s", not, line)
		}
	}
}

// TestServerWithoutPort is guide 2.2: three ports lead to the same three ports of the server, in both modes.
func TestServerWithoutPort(t *testing.T) {
	for _, mode := range []string{"tcp", "http"} {
		t.Run(mode, func(t *testing.T) {
			r, _ := site(t, `
listen "tse-farm" {
  mode = "`+mode+`"
  bind "127.0.0.1:1" {}
  bind "127.0.0.2:1" {}
  bind "127.0.0.3:1" {}
  server "A" "127.0.1.1" {}
}`)
			for i, a := range r.h.Addresses() {
				ln, err := net.Listen("tcp", fmt.Sprintf("127.0.1.1:%d", a.Port()))
				if err != nil {
					t.Skip(err) // somebody else has this port
				}
				defer ln.Close()
				s := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { fmt.Fprint(w, "port ", i) })}
				go s.Serve(ln)
				defer s.Close()
			}
			for _, i := range []int{0, 1, 2, 0, 2, 1} { // also with idle connections of other ports at hand
				got := r.connect(i).ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").body
				if want := fmt.Sprint("port ", i); got != want {
					t.Errorf("got %q, want %q", got, want)
				}
			}
		})
	}
}

// TestSupervisors is guide 2.1 and 2.2: a supervisor is answered at once (tcp: not at all), without a line and without a server.
func TestSupervisors(t *testing.T) {
	for _, tt := range []struct{ mode, want string }{
		{"tcp", ""},
		{"http", "HTTP/1.0 200 OK\r\n\r\n"},
	} {
		t.Run(tt.mode, func(t *testing.T) {
			o := newOrigin(t, nil)
			r, book := site(t, `
listen "farm" {
  mode = "`+tt.mode+`"
  log  = log.access
  bind "127.0.0.1:1" {}
  monitor { sources = ["127.0.0.2/31"] }
  server "A" "`+o.addr+`" {}
}`)
			for _, from := range []string{"127.0.0.2", "127.0.0.3"} {
				d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
				nc, err := d.Dial("tcp", r.addr)
				if err != nil {
					t.Fatal(err)
				}
				nc.SetDeadline(time.Now().Add(patience))
				b, err := io.ReadAll(nc)
				if string(b) != tt.want || err != nil && !isReset(err) {
					t.Errorf("%s got %q, %v; want %q", from, b, err, tt.want)
				}
				nc.Close()
			}
			o.mu.Lock()
			count := o.count
			o.mu.Unlock()
			if count != 0 {
				t.Errorf("the server had %d connections", count)
			}
			// Everybody else is served, and has the first line there is.
			w := r.connect(0)
			if a := w.ask("GET /else HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); a.status != 200 {
				t.Errorf("somebody else got %d", a.status)
			}
			w.closeWrite()
			if line := book.next(t); !strings.HasPrefix(line, "127.0.0.1:") {
				t.Errorf("the first line is %s", line)
			}
		})
	}
}

// TestTCPBackup is guide 2.2 with its backup: when the main server is down, the backup gets new connections, and when it is back, they go
// there again. Connections that are there stay where they are.
func TestTCPBackup(t *testing.T) {
	name := func(s string) func(*wire) {
		return func(w *wire) {
			w.send(s)
			for {
				b, err := w.r.ReadByte()
				if err != nil {
					return
				}
				w.send(string(b))
			}
		}
	}
	main, spare := newOrigin(t, name("m")), newOrigin(t, name("b"))
	r, _ := site(t, `
listen "ssl-farm" {
  mode = "tcp"
  bind "127.0.0.1:1" {}
  check "tcp" {
    interval = "30ms"
    timeout  = "20s"
    rise     = 2
    fall     = 2
  }
  retries = 0
  server "main" "`+main.addr+`" {}
  server "spare" "`+spare.addr+`" { backup = true }
}`)
	at := func() (*wire, string) {
		w := r.connect(0)
		s, _ := w.take(1)
		return w, s
	}
	until := func(want string) *wire {
		t.Helper()
		for end := time.Now().Add(patience); time.Now().Before(end); {
			if w, s := at(); s == want {
				return w
			}
		}
		t.Fatalf("no connection gets to %q", want)
		return nil
	}
	until("m")
	main.stop()
	held := until("b")
	for range 5 {
		if _, s := at(); s != "b" {
			t.Errorf("while the main server is down, a connection got to %q", s)
		}
	}
	main.start()
	until("m")
	if held.send("x"); true {
		if s, err := held.take(1); s != "x" || err != nil {
			t.Errorf("the connection to the backup ended when the main server came back: %q, %v", s, err)
		}
	}
}

// TestTCPShutdown: relays may finish within the grace, and are cut after it.
func TestTCPShutdown(t *testing.T) {
	for _, tt := range []struct {
		name  string
		grace time.Duration
		want  string
		flags string
	}{
		{"in time", patience, "HELLO", "--"},
		{"too late", 50 * time.Millisecond, "", "KD"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := newOrigin(t, shout)
			r, book := site(t, `
listen "farm" {
  mode = "tcp"
  log  = log.access
  bind "127.0.0.1:1" {}
  server "A" "`+o.addr+`" {}
}`)
			w := r.connect(0)
			w.send("hello")
			o.got("hello")
			done := make(chan error, 1)
			go func() { done <- r.shutdown(tt.grace) }()
			if tt.want != "" {
				w.closeWrite()
			}
			if got, _ := w.rest(); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if err := <-done; (err != nil) != (tt.want == "") {
				t.Errorf("the shutdown: %v", err)
			}
			if line := book.next(t); !strings.Contains(line, " "+tt.flags+" ") {
				t.Errorf("got %s, want %s", line, tt.flags)
			}
		})
	}
}

// TestTCPBehindTLS: TLS is ended and what is inside relayed, whatever it is; and where frontends share an address, the name decides.
func TestTCPBehindTLS(t *testing.T) {
	a := newOrigin(t, func(w *wire) { s, _ := w.rest(); w.send("a:" + s) })
	b := newOrigin(t, func(w *wire) { s, _ := w.rest(); w.send("b:" + s) })
	r, book := site(t, `
tls "own" { internal = true }
listen "a" {
  mode  = "tcp"
  log   = log.access
  hosts = ["a.test"]
  bind "127.0.0.1:1" { tls = tls.own }
  server "A" "`+a.addr+`" {}
}
listen "b" {
  mode  = "tcp"
  log   = log.access
  hosts = ["b.test"]
  bind "127.0.0.1:1" { tls = tls.own }
  server "B" "`+b.addr+`" {}
}`)
	for name, want := range map[string]string{"a.test": "a:", "b.test": "b:"} {
		nc := r.connect(0).Conn
		tc := tls.Client(nc, &tls.Config{ServerName: name, InsecureSkipVerify: true, NextProtos: []string{"imap"}})
		if err := tc.Handshake(); err != nil {
			t.Fatal(err)
		}
		if p := tc.ConnectionState().NegotiatedProtocol; p != "" {
			t.Errorf("negotiated %q", p)
		}
		big := strings.Repeat("x", 1<<20)
		go func() {
			io.WriteString(tc, big)
			tc.CloseWrite()
		}()
		got, err := io.ReadAll(tc)
		if string(got) != want+big || err != nil {
			t.Errorf("%s: got %d bytes %.10q, %v", name, len(got), got, err)
		}
		if line := book.next(t); !strings.Contains(line, "] "+want[:1]+"~ "+want[:1]+"/") {
			t.Errorf("logged %s", line)
		}
	}
}

// TestTCPByName: where frontends share an address and nobody ends the TLS, the name in the client's hello decides, and the hello goes on
// untouched.
func TestTCPByName(t *testing.T) {
	server := func(name string) *origin {
		cert := selfSigned(t, name)
		return newOrigin(t, func(w *wire) {
			tc := tls.Server(w.Conn, &tls.Config{Certificates: []tls.Certificate{cert}})
			defer tc.Close()
			if tc.Handshake() == nil {
				io.WriteString(tc, name)
			}
		})
	}
	a, b := server("a.test"), server("b.test")
	rest := newOrigin(t, func(w *wire) { w.send("SSH-2.0-rest") })
	r, _ := site(t, `
listen "a" {
  mode  = "tcp"
  hosts = ["a.test"]
  bind "127.0.0.1:1" {}
  bind "127.0.0.2:1" {}
  server "A" "`+a.addr+`" {}
}
listen "b" {
  mode  = "tcp"
  hosts = ["*.b.test", "b.test"]
  bind "127.0.0.1:1" {}
  server "B" "`+b.addr+`" {}
}
listen "rest" {
  mode = "tcp"
  bind "127.0.0.1:1" {}
  server "C" "`+rest.addr+`" {}
}`)
	for name, want := range map[string]string{"a.test": "a.test", "b.test": "b.test", "x.b.test": "b.test"} {
		tc := tls.Client(r.connect(0).Conn, &tls.Config{ServerName: name, InsecureSkipVerify: true})
		if got, err := io.ReadAll(tc); string(got) != want || err != nil {
			t.Errorf("%s: got %q, %v; want %q", name, got, err, want)
		}
	}
	w := r.connect(0)
	w.send("SSH-2.0-client\r\n")
	if got, _ := w.take(12); got != "SSH-2.0-rest" {
		t.Errorf("what is no TLS got %q", got)
	}
	w = r.connect(1) // nobody serves the rest there
	w.send("SSH-2.0-client\r\n")
	w.ended()
}

// TestTCPPerSource: limits.per_source counts relays like any other connection.
func TestTCPPerSource(t *testing.T) {
	o := newOrigin(t, func(w *wire) { w.send("hi"); w.rest() })
	r, _ := site(t, `
listen "farm" {
  mode = "tcp"
  bind "127.0.0.1:1" {}
  limits { per_source = 2 }
  server "A" "`+o.addr+`" {}
}`)
	one, two := r.connect(0), r.connect(0)
	one.take(2)
	two.take(2)
	r.connect(0).ended()
	one.closeWrite()
	one.rest()
	for end := time.Now().Add(patience); ; {
		if s, _ := r.connect(0).take(2); s == "hi" {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the place of the one that left is not free")
		}
	}
}
