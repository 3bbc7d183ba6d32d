//go:build linux

package main

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"gatehouse/tlsconf/acmetest"
)

// certSite is a site whose certificates come from a CA, with the ports the CA knows.
type certSite struct {
	*testing.T
	ca          *acmetest.CA
	dir         string
	plain, safe int
}

const certSiteText = `
admin {
  socket = "admin.sock"
}
global {
  state_dir = "STATE"
  shutdown_grace = "1s"
}
tls "auto" {
  acme {
    directory = "DIRECTORY"
    trusted_roots = "ROOTS"
    profile = "PROFILE"
    http_port = PLAIN
    tls_port = SAFE
  }
  MORE
}
listen "www" {
  hosts = [HOSTS]
  bind "127.0.0.1:SAFE" { tls = tls.auto }
  bind "127.0.0.1:PLAIN" { redirect = "https" }
  server "app" "SERVER" {}
}
`

// freePorts returns ports of 127.0.0.1, where the CA looks, that nobody listens on.
func freePorts(t *testing.T, n int) (ports []int) {
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

// newCertSite writes the configuration of a site for hosts. Nothing runs yet but the CA. more is further text of the tls block.
func newCertSite(t *testing.T, o acmetest.Options, more string, hosts ...string) *certSite {
	t.Helper()
	ports := freePorts(t, 2)
	s := &certSite{T: t, plain: ports[0], safe: ports[1]}
	o.HTTPPort, o.TLSPort = s.plain, s.safe
	s.ca = acmetest.New(t, o)
	profile := "default"
	for name := range o.Profiles {
		profile = name
	}
	text := strings.NewReplacer("DIRECTORY", s.ca.Directory, "ROOTS", s.ca.RootsFile, "PROFILE", profile, "PLAIN", strconv.Itoa(s.plain), "SAFE", strconv.Itoa(s.safe),
		"HOSTS", `"`+strings.Join(hosts, `", "`)+`"`, "MORE", more, "STATE", "state").Replace(certSiteText)
	s.dir, _ = place(t, text, fine)
	if err := os.WriteFile(filepath.Join(s.dir, "root.pem"), s.ca.RootPEM(), 0o644); err != nil {
		t.Fatal(err)
	}
	return s
}

// verb runs a verb of gatehouse beside the site and returns what it prints and says, and its exit code.
func (s *certSite) verb(args ...string) (out, talk string, code int) {
	s.Helper()
	var o, e bytes.Buffer
	c := exec.Command("gatehouse", args...)
	c.Dir, c.Stdout, c.Stderr = s.dir, &o, &e
	if err := c.Run(); err != nil && c.ProcessState == nil {
		s.Fatal(err)
	}
	return o.String(), e.String(), c.ProcessState.ExitCode()
}

// shake shakes hands as a client that believes in the CA alone, and returns the certificate's serial number.
func (s *certSite) shake(host string) (serial string, err error) {
	d := tls.Dialer{NetDialer: &net.Dialer{Timeout: patience}, Config: s.ca.Client(host)}
	c, err := d.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(s.safe)))
	if err != nil {
		return "", err
	}
	defer c.Close()
	return c.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.Text(16), nil
}

// TestCertVerbs: from an empty directory to a site that clients trust, seen through the verbs; names that fail say why and disturb nobody.
func TestCertVerbs(t *testing.T) {
	t.Parallel()
	s := newCertSite(t, acmetest.Options{Blocked: []string{"blocked.test"}}, "", "www.site.test", "blocked.test")
	if _, talk, code := s.verb("cert", "list"); code != exitAbsent || !strings.Contains(talk, "no gatehouse is running there") {
		t.Errorf("exits with %d: %s", code, talk)
	}
	p := launch(t, s.dir, nil)
	var serial string
	p.await("a certificate", func() (ok bool) {
		var err error
		serial, err = s.shake("www.site.test")
		return err == nil
	})
	var out string
	p.await("the refusal", func() bool {
		out, _, _ = s.verb("cert", "list")
		return strings.Contains(out, "forbidden by policy")
	})
	for _, want := range []string{"www.site.test", " valid ", " failed ", "127.0.0.1:", "HTTP-01, TLS-ALPN-01", "blocked.test:\n  attempt failed ", "clients get a certificate of the internal CA meanwhile"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if !regexp.MustCompile(` in (58|59|60)d`).MatchString(out) { // the CA wants it renewed after two thirds of 90 days, or a day earlier or later
		t.Errorf("no plan of the CA's in\n%s", out)
	}
	if out, _, _ := s.verb("cert", "list", "--json"); !strings.Contains(out, `"problem": "`) || !strings.Contains(out, `"state": "valid"`) {
		t.Error(out)
	}

	out, talk, code := s.verb("cert", "show", "www.site.TEST.")
	if code != 0 {
		t.Error(talk)
	}
	for _, want := range []string{"names        www.site.test\n", "\nserial       " + serial + "\n", "\nkey          ECDSA P-256, signed with", "\nchain        CN=Pebble Intermediate CA", "www.site.test.crt\n", "1 obtained and 0 failed since the start"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if _, talk, code := s.verb("cert", "show", "wwww.site.test"); code != exitFailed || !strings.Contains(talk, "unknown name wwww.site.test: did you mean www.site.test?") {
		t.Errorf("%d %s", code, talk)
	}

	out, talk, code = s.verb("cert", "renew", "www.site.test")
	if code != 0 || !strings.HasPrefix(out, "www.site.test: left as it is: it is good until ") || !strings.Contains(talk, "--force") {
		t.Errorf("%d %s%s", code, out, talk)
	}
	out, talk, code = s.verb("cert", "renew", "www.site.test", "--force")
	if code != 0 || !strings.HasPrefix(out, "www.site.test: obtained from 127.0.0.1:") {
		t.Errorf("%d %s%s", code, out, talk)
	}
	p.await("another certificate", func() bool {
		now, err := s.shake("www.site.test")
		return err == nil && now != serial
	})
	out, talk, code = s.verb("cert", "renew", "--all")
	if code != exitFailed || !strings.Contains(out, "blocked.test: ") || !strings.Contains(out, "forbidden by policy") || !strings.Contains(talk, "1 of 2 not renewed") {
		t.Errorf("%d %s%s", code, out, talk)
	}
	for _, args := range [][]string{{"cert"}, {"cert", "renew"}, {"cert", "renew", "x", "--all"}, {"cert", "show"}, {"cert", "frobnicate"}} {
		if _, _, code := s.verb(args...); code != exitUsage {
			t.Errorf("%q exits with %d", args, code)
		}
	}
	if _, talk, code := s.verb("cert", "renew", "nobody.example"); code != exitFailed || !strings.Contains(talk, "unknown name nobody.example") {
		t.Errorf("%d %s", code, talk)
	}
}

// TestCertRestartWithoutCA: what is stored is served while the CA is down, and a renewal says that it cannot be reached.
func TestCertRestartWithoutCA(t *testing.T) {
	t.Parallel()
	s := newCertSite(t, acmetest.Options{}, "", "www.site.test")
	p := launch(t, s.dir, nil)
	var serial string
	p.await("a certificate", func() (ok bool) {
		var err error
		serial, err = s.shake("www.site.test")
		return err == nil
	})
	p.signal(syscall.SIGTERM)
	p.ends(0)
	s.ca.SetDown(true)
	p = launch(t, s.dir, nil)
	p.says("info\tserving")
	if now, err := s.shake("www.site.test"); err != nil || now != serial {
		t.Errorf("%s %v, want %s", now, err, serial)
	}
	out, _, code := s.verb("cert", "renew", "--all", "--force")
	if code != exitFailed || !strings.Contains(out, "cannot be reached from here") || !strings.Contains(out, "next attempt in ") {
		t.Errorf("%d %s", code, out)
	}
	out, _, _ = s.verb("cert", "list")
	if !strings.Contains(out, "www.site.test  valid ") || !strings.Contains(out, "attempt failed ") {
		t.Error(out)
	}
}

// client returns a client that believes in the CA alone and keeps its connections, or makes one for each request.
func (s *certSite) client(host string, keep bool) *http.Client {
	return &http.Client{Timeout: patience, Transport: &http.Transport{TLSClientConfig: s.ca.Client(host), DisableKeepAlives: !keep, ForceAttemptHTTP2: keep}}
}

// renewAfter makes the CA want its certificates renewed so long after it is asked for the first time (RFC 9773), which is when it has issued. By itself
// it would name any moment of a life as short as in these tests.
func renewAfter(ca *acmetest.CA, d time.Duration) {
	ca.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, "/renewalInfo/") {
			return false
		}
		at := time.Now().Add(d).UTC()
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Retry-After", "21600")
		fmt.Fprintf(w, `{"suggestedWindow": {"start": %q, "end": %q}}`, at.Format(time.RFC3339), at.Add(2*time.Second).Format(time.RFC3339))
		return true
	})
}

// ask asks for a page, which has to be well, and returns the serial number of the certificate it came with.
func (s *certSite) ask(c *http.Client, host string) (serial string, err error) {
	r, err := http.NewRequest("GET", "https://"+net.JoinHostPort("127.0.0.1", strconv.Itoa(s.safe))+"/", nil)
	if err != nil {
		return "", err
	}
	r.Host = host
	a, err := c.Do(r)
	if err != nil {
		return "", err
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	if err != nil || a.StatusCode != http.StatusOK || string(text) != "fine" {
		return "", fmt.Errorf("%s %q %v", a.Status, text, err)
	}
	return a.TLS.PeerCertificates[0].SerialNumber.Text(16), nil
}

// TestCertRenewalUnderLoad: certificates that live for seconds are renewed again and again, and no request fails meanwhile, over new connections and
// over one that stays.
func TestCertRenewalUnderLoad(t *testing.T) {
	t.Parallel()
	s := newCertSite(t, acmetest.Options{Profiles: map[string]uint64{"short": 60}}, "", "www.site.test")
	renewAfter(s.ca, 5*time.Second)
	p := launch(t, s.dir, nil)
	p.await("a certificate", func() bool { _, err := s.shake("www.site.test"); return err == nil })
	var work sync.WaitGroup
	var stop atomic.Bool
	var mu sync.Mutex
	seen, bad, n := map[string]bool{}, []error{}, 0
	for i := range 3 {
		client := s.client("www.site.test", i == 2)
		work.Go(func() {
			defer client.CloseIdleConnections()
			for !stop.Load() {
				serial, err := s.ask(client, "www.site.test")
				mu.Lock()
				n++
				if err != nil {
					bad = append(bad, err)
				} else {
					seen[serial] = true
				}
				mu.Unlock()
			}
		})
	}
	for i, what := range []string{"a certificate seen", "another one", "a third one"} {
		p.await(what, func() bool { mu.Lock(); defer mu.Unlock(); return len(seen) > i })
	}
	stop.Store(true)
	work.Wait()
	if len(bad) > 0 {
		t.Errorf("%d of %d requests failed, first: %v", len(bad), n, bad[0])
	}
	t.Logf("%d requests, %d certificates, %d failures", n, len(seen), len(bad))
}

// TestCertMoves: certificates come from another program before the first start and while gatehouse runs, and go to others.
func TestCertMoves(t *testing.T) {
	t.Parallel()
	s := newCertSite(t, acmetest.Options{}, "", "www.site.test", "shop.site.test")
	s.ca.SetDown(true)
	put := func(name string) {
		t.Helper()
		text, err := freshPair(strings.TrimSuffix(name, ".pem"))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(s.dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"www.site.test.pem", "shop.site.test.pem", "other.example.pem"} {
		put(name)
	}
	if out, talk, code := s.verb("cert", "import", "www.site.test.pem", "other.example.pem"); code != exitFailed || !strings.HasPrefix(out, "www.site.test: renewed by gatehouse from now on, good until ") ||
		!strings.Contains(talk, "other.example.pem (other.example): no tls block obtains certificates by ACME for other.example") || !strings.Contains(talk, "served from the next start on") {
		t.Errorf("%d %s%s", code, out, talk)
	}
	if out, talk, code := s.verb("cert", "export", "www.site.test", "--to", "out/"); code != 0 || out != "out/www.site.test.key\nout/www.site.test.crt\n" {
		t.Errorf("%d %s%s", code, out, talk)
	}
	launch(t, s.dir, nil).says("info\tserving")
	if out, talk, code := s.verb("cert", "import", "shop.site.test.pem"); code != 0 || !strings.HasPrefix(out, "shop.site.test: renewed by gatehouse") || talk != "" {
		t.Errorf("%d %s%s", code, out, talk)
	}
	for _, name := range []string{"www.site.test", "shop.site.test"} {
		if out, talk, code := s.verb("cert", "show", name); code != 0 || !strings.Contains(out, "subject      CN="+name+"\n") {
			t.Errorf("%d %s%s", code, out, talk)
		}
	}
	if out, talk, code := s.verb("cert", "export", "shop.site.test", "--to", "shop.pem"); code != 0 || out != "shop.pem\n" {
		t.Errorf("%d %s%s", code, out, talk)
	}
	if _, err := tls.LoadX509KeyPair(filepath.Join(s.dir, "shop.pem"), filepath.Join(s.dir, "shop.pem")); err != nil {
		t.Error(err)
	}
	for name, mode := range map[string]os.FileMode{"shop.pem": 0o600, "out/www.site.test.key": 0o600, "out/www.site.test.crt": 0o644} {
		if info, err := os.Stat(filepath.Join(s.dir, name)); err != nil || info.Mode() != mode {
			t.Errorf("%s: %v %v", name, info.Mode(), err)
		}
	}
	if out, talk, code := s.verb("cert", "export", "shop.site.test", "--to", "shop.pem"); code != 0 || out != "" || !strings.Contains(talk, "nothing has changed") {
		t.Errorf("%d %s%s", code, out, talk)
	}
	for _, x := range []struct {
		args []string
		code int
		talk string
	}{
		{[]string{"export", "shop.site.test", "--to", "x.pem", "--format", "pem"}, exitUsage, "name a directory"},
		{[]string{"export", "shop.site.test", "--to", "x.pem", "--format", "der"}, exitUsage, "unknown format"},
		{[]string{"export", "shop.site.test"}, exitUsage, "usage: "},
		{[]string{"export", "nobody.example", "--to", "x.pem"}, exitFailed, "unknown name nobody.example"},
		{[]string{"export", "shop.site.test", "--to", "gatehouse.hcl"}, exitFailed, "holds no PEM"},
		{[]string{"import", "nowhere"}, exitFailed, "no such file"},
		{[]string{"import", "state/locks"}, exitFailed, "no certificate is in state/locks"},
		{[]string{"import"}, exitUsage, "usage: "},
		{[]string{"import", "shop.site.test.pem", "--socket", "nowhere.sock"}, exitAbsent, "no gatehouse is running there"},
	} {
		if _, talk, code := s.verb(append([]string{"cert"}, x.args...)...); code != x.code || !strings.Contains(talk, x.talk) {
			t.Errorf("cert %q exits with %d, want %d: %s", x.args, code, x.code, talk)
		}
	}
}
