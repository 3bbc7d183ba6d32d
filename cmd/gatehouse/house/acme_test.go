package house_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/tlsconf"
	"gatehouse/tlsconf/acmetest"
)

// free returns ports of loopback that nobody listens on.
func free(t testing.TB, n int) (ports []int) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports
}

// acmeSite is a lodge on ports that a CA knows.
type acmeSite struct {
	*lodge
	ca                *acmetest.CA
	https, http, mail int
	app, imap         *origin
}

// newACMESite starts a site for the hosts, and a relay for mail.test.
func newACMESite(t *testing.T, acme string, hosts ...string) *acmeSite {
	t.Helper()
	p := free(t, 3)
	s := &acmeSite{https: p[0], http: p[1], mail: p[2], app: newOrigin(t, nil), imap: newOrigin(t, func(w *wire) { w.send("* OK ready\r\n"); w.rest() })}
	s.ca = acmetest.New(t, acmetest.Options{HTTPPort: s.http, TLSPort: s.https})
	s.lodge = newLodge(t, s.text(acme, hosts...))
	return s
}

// text is the configuration.
func (s *acmeSite) text(acme string, hosts ...string) string {
	return fmt.Sprintf(`
tls "auto" {
  acme {
    directory = %q
    trusted_roots = %q
    profile = "default"
    http_port = %d
    tls_port = %d
    %s
  }
}
listen "www" {
  hosts = [%s]
  log = log.access
  bind "127.0.0.1:%d" { tls = tls.auto }
  bind "127.0.0.1:%d" { redirect = "https" }
  server "app" %q {}
}
listen "mail" {
  mode = "tcp"
  hosts = ["mail.test"]
  bind "127.0.0.1:%d" { tls = tls.auto }
  server "imap" %q {}
}
`, s.ca.Directory, s.ca.RootsFile, s.http, s.https, acme, `"`+strings.Join(hosts, `", "`)+`"`, s.https, s.http, s.app.addr, s.mail, s.imap.addr)
}

// dial connects to a port as a client that believes in the CA alone.
func (s *acmeSite) dial(port int, host string) (*tls.Conn, error) {
	return tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), s.ca.Client(host))
}

// good reports whether a client is content with the certificate for a host.
func (s *acmeSite) good(port int, host string) bool {
	c, err := s.dial(port, host)
	if err == nil {
		c.Close()
	}
	return err == nil
}

// plain asks in the clear.
func (s *acmeSite) plain(host, path string) (status int, location, body string) {
	s.Helper()
	r, err := http.NewRequest("GET", fmt.Sprintf("http://127.0.0.1:%d%s", s.http, path), nil)
	if err != nil {
		s.Fatal(err)
	}
	r.Host = host
	r.Close = true
	a, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		s.Fatal(err)
	}
	defer a.Body.Close()
	b, _ := io.ReadAll(a.Body)
	return a.StatusCode, a.Header.Get("Location"), string(b)
}

// TestCertificatesByThemselves: for http and for tcp, by challenges that are answered before redirects and whoever serves the host; a
// restart while the CA is down serves what is stored.
func TestCertificatesByThemselves(t *testing.T) {
	t.Parallel()
	s := newACMESite(t, "", "www.test")
	for _, x := range []struct {
		port int
		host string
	}{{s.https, "www.test"}, {s.mail, "mail.test"}} {
		s.await(x.host+" has its certificate", func() bool { return s.good(x.port, x.host) })
	}
	c, err := s.dial(s.https, "www.test")
	if err != nil {
		t.Fatal(err)
	}
	w := newWire(t, c)
	if a := w.ask("GET /x HTTP/1.1\r\nHost: www.test\r\n\r\n"); a.status != 200 {
		t.Errorf("%+v", a)
	}
	c.Close()
	c, err = s.dial(s.mail, "mail.test")
	if err != nil {
		t.Fatal(err)
	}
	w = newWire(t, c)
	if b, err := w.take(12); err != nil || string(b) != "* OK ready\r\n" {
		t.Errorf("%q %v", b, err)
	}
	c.Close()

	if status, location, _ := s.plain("www.test", "/a?b"); status != 301 || location != "https://www.test/a?b" {
		t.Errorf("%d %s", status, location)
	}
	if status, location, _ := s.plain("www.test", tlsconf.ChallengePath+"xyz"); status != 301 || !strings.HasPrefix(location, "https://www.test/") {
		t.Errorf("a challenge of somebody else: %d %s", status, location)
	}
	// A CA that has finished its handshake gets no more, in neither mode.
	for _, x := range []struct {
		port int
		host string
	}{{s.https, "www.test"}, {s.mail, "mail.test"}} {
		c, err := tls.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(x.port)), &tls.Config{ServerName: x.host, NextProtos: []string{tlsconf.ChallengeProtocol}, InsecureSkipVerify: true})
		if err == nil {
			c.Close()
			t.Errorf("%s: a challenge that nobody has asked for is answered", x.host)
		} else if !strings.Contains(err.Error(), "unrecognized name") {
			t.Errorf("%s: %v", x.host, err)
		}
	}
	for _, c := range []string{"www.test", "mail.test"} {
		if m := s.managed(c); m.State != "valid" || m.Successes != 1 {
			t.Errorf("%+v", m)
		}
	}

	s.ca.SetDown(true)
	orders := s.ca.Orders()
	s.end(0)
	s.start()
	for _, x := range []struct {
		port int
		host string
	}{{s.https, "www.test"}, {s.mail, "mail.test"}} {
		if !s.good(x.port, x.host) {
			t.Errorf("%s has no certificate after a restart without the CA", x.host)
		}
	}
	if n := s.ca.Orders(); n != orders {
		t.Errorf("%d orders more", n-orders)
	}
}

// managed returns how it stands with a name.
func (s *acmeSite) managed(host string) tlsconf.Managed {
	s.Helper()
	for _, m := range s.h.Certificates("auto").Managed() {
		if m.Name == host {
			return m
		}
	}
	s.Fatalf("%s is not managed", host)
	return tlsconf.Managed{}
}

// TestCertificatesAcrossReloads: what there is stays, what is new comes, and what was under way goes on.
func TestCertificatesAcrossReloads(t *testing.T) {
	t.Parallel()
	s := newACMESite(t, "", "www.test")
	s.await("www.test has its certificate", func() bool { return s.good(s.https, "www.test") && s.good(s.mail, "mail.test") })
	orders := s.ca.Orders()
	if o := s.reload(s.text("", "www.test", "new.test")); !o.Done {
		t.Fatalf("%+v", o)
	}
	if !s.good(s.https, "www.test") {
		t.Error("the certificate is gone")
	}
	s.await("new.test has its certificate", func() bool { return s.good(s.https, "new.test") })
	if n := s.ca.Orders(); n != orders+1 {
		t.Errorf("%d orders more", n-orders)
	}
	if o := s.reload(s.text("", "new.test")); !o.Done {
		t.Fatalf("%+v", o)
	}
	s.await("www.test is served no more", func() bool { return !s.good(s.https, "www.test") })
	if _, err := s.dial(s.https, "www.test"); err == nil || !strings.Contains(err.Error(), "unrecognized name") {
		t.Errorf("%v", err)
	}
	if !s.good(s.https, "new.test") {
		t.Error("the certificate is gone")
	}
	// And once more with the first host: it lies in the storage.
	if o := s.reload(s.text("", "new.test", "www.test")); !o.Done {
		t.Fatalf("%+v", o)
	}
	if !s.good(s.https, "www.test") {
		t.Error("the stored certificate is not served")
	}
	if n := s.ca.Orders(); n != orders+1 {
		t.Errorf("%d orders more", n-orders)
	}
}

// TestFirstHandshakeWaits for its certificate while the loops serve everybody else.
func TestFirstHandshakeWaits(t *testing.T) {
	t.Parallel()
	s := newACMESite(t, `issue = "on-first-handshake"`, "www.test", "other.test")
	asked, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	s.ca.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		once.Do(func() {
			close(asked)
			<-release
		})
		return false
	})
	type result struct {
		c   *tls.Conn
		err error
	}
	first := make(chan result)
	go func() {
		c, err := s.dial(s.https, "www.test")
		first <- result{c, err}
	}()
	<-asked
	began := time.Now()
	for range 20 { // on both loops
		if status, _, _ := s.plain("www.test", "/"); status != 301 {
			t.Errorf("%d", status)
		}
	}
	if d := time.Since(began); d > 3*time.Second {
		t.Errorf("others were held up: %v", d)
	}
	close(release)
	if r := <-first; r.err != nil {
		t.Errorf("the first client: %v", r.err)
	} else {
		r.c.Close()
	}
	if n := s.ca.Orders(); n < 1 || n > 2 { // one for each kind of challenge
		t.Errorf("%d orders: nobody has asked for other.test", n)
	}
	if m := s.managed("other.test"); m.State != "waiting for the first handshake" {
		t.Errorf("%+v", m)
	}
}
