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
	"sync/atomic"
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
	domain            string // of its hosts, its own: the libraries know challenges by name, for the whole process
}

var domains atomic.Int64

// name returns a host of the domain.
func (s *acmeSite) name(label string) string { return label + "." + s.domain }

// newACMESite starts a site for hosts with those labels, and a relay for mail.
func newACMESite(t *testing.T, acme string, labels ...string) *acmeSite {
	t.Helper()
	p := free(t, 3)
	s := &acmeSite{https: p[0], http: p[1], mail: p[2], app: newOrigin(t, nil), imap: newOrigin(t, func(w *wire) { w.send("* OK ready\r\n"); w.rest() })}
	s.ca = acmetest.New(t, acmetest.Options{HTTPPort: s.http, TLSPort: s.https})
	s.domain = fmt.Sprintf("d%d.test", domains.Add(1))
	s.lodge = newLodge(t, s.text(acme, labels...))
	return s
}

// text is the configuration.
func (s *acmeSite) text(acme string, labels ...string) string {
	var hosts []string
	for _, l := range labels {
		hosts = append(hosts, s.name(l))
	}
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
  hosts = [%q]
  bind "127.0.0.1:%d" { tls = tls.auto }
  server "imap" %q {}
}
`, s.ca.Directory, s.ca.RootsFile, s.http, s.https, acme, `"`+strings.Join(hosts, `", "`)+`"`, s.https, s.http, s.app.addr, s.name("mail"), s.mail, s.imap.addr)
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
	s := newACMESite(t, "", "www")
	for _, x := range []struct {
		port int
		host string
	}{{s.https, s.name("www")}, {s.mail, s.name("mail")}} {
		s.await(x.host+" has its certificate", func() bool { return s.good(x.port, x.host) })
	}
	c, err := s.dial(s.https, s.name("www"))
	if err != nil {
		t.Fatal(err)
	}
	w := newWire(t, c)
	if a := w.ask("GET /x HTTP/1.1\r\nHost: " + s.name("www") + "\r\n\r\n"); a.status != 200 {
		t.Errorf("%+v", a)
	}
	c.Close()
	c, err = s.dial(s.mail, s.name("mail"))
	if err != nil {
		t.Fatal(err)
	}
	w = newWire(t, c)
	if b, err := w.take(12); err != nil || string(b) != "* OK ready\r\n" {
		t.Errorf("%q %v", b, err)
	}
	c.Close()

	if status, location, _ := s.plain(s.name("www"), "/a?b"); status != 301 || location != "https://"+s.name("www")+"/a?b" {
		t.Errorf("%d %s", status, location)
	}
	if status, location, _ := s.plain(s.name("www"), tlsconf.ChallengePath+"xyz"); status != 301 || !strings.HasPrefix(location, "https://"+s.name("www")+"/") {
		t.Errorf("a challenge of somebody else: %d %s", status, location)
	}
	// A CA that has finished its handshake gets no more, in neither mode.
	for _, x := range []struct {
		port int
		host string
	}{{s.https, s.name("www")}, {s.mail, s.name("mail")}} {
		c, err := tls.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(x.port)), &tls.Config{ServerName: x.host, NextProtos: []string{tlsconf.ChallengeProtocol}, InsecureSkipVerify: true})
		if err == nil {
			c.Close()
			t.Errorf("%s: a challenge that nobody has asked for is answered", x.host)
		} else if !strings.Contains(err.Error(), "unrecognized name") {
			t.Errorf("%s: %v", x.host, err)
		}
	}
	for _, c := range []string{s.name("www"), s.name("mail")} {
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
	}{{s.https, s.name("www")}, {s.mail, s.name("mail")}} {
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
	s := newACMESite(t, "", "www")
	s.await("www has its certificate", func() bool { return s.good(s.https, s.name("www")) && s.good(s.mail, s.name("mail")) })
	orders := s.ca.Orders()
	if o := s.reload(s.text("", "www", "new")); !o.Done {
		t.Fatalf("%+v", o)
	}
	if !s.good(s.https, s.name("www")) {
		t.Error("the certificate is gone")
	}
	s.await("new has its certificate", func() bool { return s.good(s.https, s.name("new")) })
	if n := s.ca.Orders(); n != orders+1 {
		t.Errorf("%d orders more", n-orders)
	}
	if o := s.reload(s.text("", "new")); !o.Done {
		t.Fatalf("%+v", o)
	}
	s.await("www is served no more", func() bool { return !s.good(s.https, s.name("www")) })
	if _, err := s.dial(s.https, s.name("www")); err == nil || !strings.Contains(err.Error(), "unrecognized name") {
		t.Errorf("%v", err)
	}
	if !s.good(s.https, s.name("new")) {
		t.Error("the certificate is gone")
	}
	// And once more with the first host: it lies in the storage.
	if o := s.reload(s.text("", "new", "www")); !o.Done {
		t.Fatalf("%+v", o)
	}
	if !s.good(s.https, s.name("www")) {
		t.Error("the stored certificate is not served")
	}
	if n := s.ca.Orders(); n != orders+1 {
		t.Errorf("%d orders more", n-orders)
	}
}

// TestFirstHostIsTheDefault: clients that name no host get the certificate of the host that is written first, before and after the CA has issued.
func TestFirstHostIsTheDefault(t *testing.T) {
	t.Parallel()
	s := newACMESite(t, "", "www", "blog", "app")
	unnamed := func() (name string, err error) {
		c, err := tls.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(s.https)), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			return "", err
		}
		defer c.Close()
		return c.ConnectionState().PeerCertificates[0].DNSNames[0], nil
	}
	if name, err := unnamed(); err != nil || name != s.name("www") {
		t.Errorf("%s %v", name, err)
	}
	for _, label := range []string{"app", "blog", "www"} {
		s.await(label+" has its certificate", func() bool { return s.good(s.https, s.name(label)) })
	}
	if name, err := unnamed(); err != nil || name != s.name("www") {
		t.Errorf("%s %v", name, err)
	}
}

// TestFirstHandshakeWaits for its certificate while the loops serve everybody else.
func TestFirstHandshakeWaits(t *testing.T) {
	t.Parallel()
	s := newACMESite(t, `issue = "on-first-handshake"`, "www", "other")
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
		c, err := s.dial(s.https, s.name("www"))
		first <- result{c, err}
	}()
	<-asked
	quick(t, 3*time.Second, func() time.Duration {
		return taken(func() {
			for range 20 { // on both loops
				if status, _, _ := s.plain(s.name("www"), "/"); status != 301 {
					t.Errorf("%d", status)
				}
			}
		})
	})
	close(release)
	if r := <-first; r.err != nil {
		t.Errorf("the first client: %v", r.err)
	} else {
		r.c.Close()
	}
	if n := s.ca.Orders(); n < 1 || n > 2 { // one for each kind of challenge
		t.Errorf("%d orders: nobody has asked for the other", n)
	}
	if m := s.managed(s.name("other")); m.State != "waiting for the first handshake" {
		t.Errorf("%+v", m)
	}
}
