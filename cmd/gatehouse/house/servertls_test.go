package house_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	mrand "math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var quietLog = log.New(io.Discard, "", 0)

// authority issues certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string // its certificate in PEM
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{file: filepath.Join(t.TempDir(), "ca.pem")}
	a.cert, a.key = sign(t, &x509.Certificate{Subject: pkix.Name{CommonName: "test CA"}, IsCA: true, BasicConstraintsValid: true}, nil)
	b := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
	if err := os.WriteFile(a.file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return a
}

// sign issues a certificate of a new key, by nobody but itself when by is nil.
func sign(t testing.TB, c *x509.Certificate, by *authority) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c.SerialNumber = big.NewInt(time.Now().UnixNano())
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	issuer, signer := c, key
	if by != nil {
		issuer, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, issuer, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

// issue issues a certificate for a name.
func (a *authority) issue(t testing.TB, name string) tls.Certificate {
	t.Helper()
	cert, key := sign(t, &x509.Certificate{Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}}, a)
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}
}

func selfSigned(t testing.TB, name string) tls.Certificate {
	t.Helper()
	return newAuthority(t).issue(t, name)
}

// writePair writes a certificate and its key into one file.
func writePair(t testing.TB, c tls.Certificate) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	b := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]})
	b = append(b, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})...)
	file := filepath.Join(t.TempDir(), "pair.pem")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// counting is a server that counts TLS handshakes and how many of them resumed a session.
type counting struct {
	handshakes, resumed atomic.Int64
	mu                  sync.Mutex // guards names
	names               []string   // that were asked for
	shown               []string   // names in client certificates
}

// serveTLS serves HTTP over TLS.
func serveTLS(t testing.TB, c *tls.Config, h http.Handler) (addr string, n *counting) {
	t.Helper()
	n = &counting{}
	c.VerifyConnection = func(s tls.ConnectionState) error {
		n.handshakes.Add(1)
		if s.DidResume {
			n.resumed.Add(1)
		}
		n.mu.Lock()
		defer n.mu.Unlock()
		n.names = append(n.names, s.ServerName)
		for _, cert := range s.PeerCertificates {
			n.shown = append(n.shown, cert.Subject.CommonName)
		}
		return nil
	}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", c)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: h, ErrorLog: quietLog}
	var running sync.WaitGroup
	running.Go(func() { s.Serve(ln) })
	t.Cleanup(func() {
		s.Close()
		running.Wait()
	})
	return ln.Addr().String(), n
}

// hello answers every request.
var hello = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body)
	fmt.Fprint(w, "hello ", r.Header.Get("X-Forwarded-Proto"))
})

// TestServerTLS: servers are spoken to over TLS, on connections that are kept, and new ones resume the session of old ones.
func TestServerTLS(t *testing.T) {
	ca := newAuthority(t)
	addr, n := serveTLS(t, &tls.Config{Certificates: []tls.Certificate{ca.issue(t, "app.test")}, ClientAuth: tls.RequestClientCert}, hello)
	r, book := site(t, `
listen "www" {
  log = log.access
  bind "127.0.0.1:1" {}
  server "A" "`+addr+`" {
    tls {
      ca          = "`+ca.file+`"
      server_name = "app.test"
      certificate = "`+writePair(t, ca.issue(t, "gatehouse"))+`"
    }
  }
}`)
	w := r.connect(0)
	for i := range 20 {
		a := w.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
		if a.status != 200 || a.body != "hello http" {
			t.Fatalf("request %d: %d %q", i, a.status, a.body)
		}
		book.next(t)
	}
	if h := n.handshakes.Load(); h > 2 { // one for each loop, at most
		t.Errorf("%d handshakes for 20 requests of one client", h)
	}
	for range 4 {
		r.connect(0).ask("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if slices.ContainsFunc(n.names, func(s string) bool { return s != "app.test" }) {
		t.Errorf("asked for %q", n.names)
	}
	if !slices.Contains(n.shown, "gatehouse") {
		t.Errorf("showed the certificates of %q", n.shown)
	}
}

// TestServerTLSResumes: a session is resumed by the next connection.
func TestServerTLSResumes(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		ca := newAuthority(t)
		addr, n := serveTLS(t, &tls.Config{Certificates: []tls.Certificate{ca.issue(t, "app.test")}, MaxVersion: version}, hello)
		r, _ := site(t, `
listen "farm" {
  mode = "tcp"
  bind "127.0.0.1:1" {}
  server "A" "`+addr+`" {
    tls {
      ca          = "`+ca.file+`"
      server_name = "app.test"
    }
  }
}`)
		for range 5 {
			if a := r.connect(0).ask("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); a.status != 200 {
				t.Fatalf("got %d", a.status)
			}
		}
		if h, resumed := n.handshakes.Load(), n.resumed.Load(); h != 5 || resumed != 4 {
			t.Errorf("%s: %d handshakes, %d of them resumed", tls.VersionName(version), h, resumed)
		}
	}
}

// TestServerTLSRefuses: a server that is not who it should be gets nothing, in either mode, and the log says why.
func TestServerTLSRefuses(t *testing.T) {
	ca := newAuthority(t)
	addr, _ := serveTLS(t, &tls.Config{Certificates: []tls.Certificate{ca.issue(t, "app.test")}}, hello)
	plain := newOrigin(t, func(w *wire) { w.send("HTTP/1.0 400 What?\r\n\r\n"); w.rest() })
	for _, tt := range []struct{ name, addr, tls, want string }{
		{"an unknown authority", addr, `server_name = "app.test"`, "certificate signed by unknown authority"},
		{"another name", addr, `server_name = "other.test"
      ca = "` + ca.file + `"`, "not other.test"},
		{"no TLS at all", plain.addr, `verify = false`, "first record does not look like a TLS handshake"},
		{"the address is not in the certificate", addr, `ca = "` + ca.file + `"`, "127.0.0.1"},
	} {
		for _, mode := range []string{"http", "tcp"} {
			t.Run(tt.name+", "+mode, func(t *testing.T) {
				r := raise(t, t.TempDir(), fmt.Sprintf(`
global { state_dir = %q }
log "access" { format = "json" }
listen "www" {
  mode = %q
  log  = log.access
  retries = 0
  bind "127.0.0.1:1" {}
  server "A" %q {
    tls {
      %s
    }
  }
}`, t.TempDir(), mode, tt.addr, tt.tls), plan{})
				w := r.connect(0)
				w.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
				got, _ := w.rest()
				if mode == "http" != strings.HasPrefix(got, "HTTP/1.1 503 ") || mode == "tcp" && got != "" {
					t.Errorf("the client got %.100q", got)
				}
				if l := r.line(); !strings.HasPrefix(l.Termination, "SC") || !strings.Contains(l.Error, tt.want) {
					t.Errorf("logged %s %q, want SC and %q", l.Termination, l.Error, tt.want)
				}
			})
		}
	}
}

// TestServerTLSUnverified: verify = false takes any certificate.
func TestServerTLSUnverified(t *testing.T) {
	addr, _ := serveTLS(t, &tls.Config{Certificates: []tls.Certificate{selfSigned(t, "whoever")}}, hello)
	r, _ := site(t, `
listen "www" {
  bind "127.0.0.1:1" {}
  server "A" "`+addr+`" {
    tls { verify = false }
  }
}`)
	if a := r.connect(0).ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n"); a.status != 200 {
		t.Errorf("got %d", a.status)
	}
}

// TestServerTLSChecks: checks of the server's own port go over TLS as its traffic does; those of another port do not.
func TestServerTLSChecks(t *testing.T) {
	ca := newAuthority(t)
	var checked atomic.Int64
	addr, _ := serveTLS(t, &tls.Config{Certificates: []tls.Certificate{ca.issue(t, "app.test")}}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "HEAD" {
			checked.Add(1)
		}
	}))
	alive := newOrigin(t, nil)
	_, port, _ := strings.Cut(alive.addr, ":")
	for _, tt := range []struct {
		check, name string
		status      int
	}{
		{`check "http" { request = "HEAD /" }`, "app.test", 200},
		{`check "tcp" {}`, "app.test", 200},
		{`check "tls" {}`, "app.test", 200},
		{"check \"http\" {\n request = \"HEAD / HTTP/1.1\"\n port = " + port + "\n}", "app.test", 200},
		{`check "http" { request = "HEAD /" }`, "other.test", 503},
		{`check "tcp" {}`, "other.test", 503},
	} {
		r, _ := site(t, `
listen "www" {
  bind "127.0.0.1:1" {}
  `+tt.check+`
  server "A" "`+addr+`" {
    tls {
      ca          = "`+ca.file+`"
      server_name = "`+tt.name+`"
    }
  }
}`)
		<-r.h.Pool("www").Ready()
		if a := r.connect(0).ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n"); a.status != tt.status {
			t.Errorf("%s of %s: got %d, want %d", tt.check, tt.name, a.status, tt.status)
		}
		r.shutdown(0)
	}
	if checked.Load() == 0 {
		t.Error("the server saw no check")
	}
}

// TestTCPStreamsUnderTLS: under TLS on both sides, what is sent comes out, in both directions at once, and the end of one side is passed on
// while the other one goes on.
func TestTCPStreamsUnderTLS(t *testing.T) {
	ca := newAuthority(t)
	cert := ca.issue(t, "app.test")
	const n = 12
	received := make(chan string, n)
	o := newOrigin(t, func(w *wire) {
		tc := tls.Server(w.Conn, &tls.Config{Certificates: []tls.Certificate{cert}})
		var sending sync.WaitGroup
		sending.Go(func() { pour(t, tc, 'd') })
		got, err := io.ReadAll(tc)
		if err != nil {
			t.Errorf("the server: %v", err)
		}
		received <- string(got)
		sending.Wait()
	})
	r, book := site(t, `
tls "own" {
  internal = true
  hosts    = ["a.test"]
}
listen "farm" {
  mode = "tcp"
  log  = log.access
  bind "127.0.0.1:1" { tls = tls.own }
  server "A" "`+o.addr+`" {
    tls {
      ca          = "`+ca.file+`"
      server_name = "app.test"
    }
  }
}`)
	var clients sync.WaitGroup
	for range n {
		tc := tls.Client(r.connect(0).Conn, &tls.Config{ServerName: "a.test", InsecureSkipVerify: true})
		clients.Go(func() {
			var sending sync.WaitGroup
			sending.Go(func() { pour(t, tc, 'u') })
			got, err := io.ReadAll(tc)
			if err != nil || !poured(string(got), 'd') {
				t.Errorf("a client got %d bytes, %v", len(got), err)
			}
			sending.Wait()
		})
	}
	clients.Wait()
	for range n {
		if got := <-received; !poured(got, 'u') {
			t.Errorf("the server got %d bytes", len(got))
		}
		if line := book.next(t); !strings.Contains(line, " -- ") {
			t.Errorf("logged %s", line)
		}
	}
}

// pour sends a text of random length in random pieces, and ends its side. Each byte is the letter plus its place, so nothing can be
// missing or out of place.
func pour(t testing.TB, c *tls.Conn, letter byte) {
	text := make([]byte, mrand.N(2<<20))
	for i := range text {
		text[i] = letter + byte(i%251)
	}
	text = append(fmt.Appendf(nil, "%d ", len(text)), text...)
	for len(text) > 0 {
		n := min(len(text), 1+mrand.N(100_000))
		if _, err := c.Write(text[:n]); err != nil {
			t.Errorf("write: %v", err)
			return
		}
		text = text[n:]
	}
	if err := c.CloseWrite(); err != nil {
		t.Error(err)
	}
}

// poured reports whether a text is one that pour has sent, whole.
func poured(text string, letter byte) bool {
	length, text, _ := strings.Cut(text, " ")
	for i := range len(text) {
		if text[i] != letter+byte(i%251) {
			return false
		}
	}
	return length == fmt.Sprint(len(text))
}

// TestTCPHelloCheck is guide 2.2 with SSL: only servers that answer a TLS hello get connections, the backup when none of the others does.
func TestTCPHelloCheck(t *testing.T) {
	secure := func(name string) *origin {
		cert := selfSigned(t, name)
		return newOrigin(t, func(w *wire) {
			tc := tls.Server(w.Conn, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13})
			defer tc.Close()
			if tc.Handshake() == nil {
				io.WriteString(tc, name)
			}
		})
	}
	plain := newOrigin(t, func(w *wire) { w.send("HTTP/1.0 400 What?\r\n\r\n") })
	main, spare := secure("main"), secure("spare")
	r, _ := site(t, `
listen "ssl-farm" {
  mode = "tcp"
  bind "127.0.0.1:1" {}
  check "tls" {
    interval = "50ms"
    timeout  = "5s"
    fall     = 1
  }
  server "plain" "`+plain.addr+`" {}
  server "main" "`+main.addr+`" {}
  server "spare" "`+spare.addr+`" { backup = true }
}`)
	<-r.h.Pool("ssl-farm").Ready()
	ask := func() string {
		b, _ := io.ReadAll(tls.Client(r.connect(0).Conn, &tls.Config{InsecureSkipVerify: true, ServerName: "x"}))
		return string(b)
	}
	for range 4 {
		if got := ask(); got != "main" {
			t.Errorf("got to %q, want main", got)
		}
	}
	main.stop()
	for end := time.Now().Add(patience); ask() != "spare"; {
		if time.Now().After(end) {
			t.Fatal("nobody gets to the backup")
		}
	}
}
