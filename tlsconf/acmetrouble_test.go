package tlsconf

import (
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/tlsconf/acmetest"
)

// TestCAsThatCannotBeTalkedTo: for whatever reason there is no talking to a CA, the reason has a sentence, of one line, with what to do about
// it; it is told once for each attempt, and hosts go on being served.
func TestCAsThatCannotBeTalkedTo(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/busy":
			w.Header().Set("Retry-After", "1800")
			w.WriteHeader(http.StatusServiceUnavailable)
			io.WriteString(w, strings.Repeat("<p>maintenance</p>\n", 200))
		default:
			http.NotFound(w, r)
		}
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	roots := filepath.Join(t.TempDir(), "roots.pem")
	if err := os.WriteFile(roots, []byte(certPEMOf(server.Certificate())), 0o600); err != nil {
		t.Fatal(err)
	}
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody.Close()
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	for _, x := range []struct {
		name, directory, roots, why string
		after                       time.Duration // which is when the CA wants to be asked again; 0: it has not said
	}{
		{"busy", server.URL + "/busy", roots, " is out of order: it answers with HTTP status 503", 30 * time.Minute},
		{"no directory", server.URL + "/nothing", roots, " has no ACME directory at " + server.URL + "/nothing: it answers with HTTP status 404", 0},
		{"untrusted", server.URL + "/busy", "", ` cannot be trusted: write trusted_roots = "FILE" if it is a private CA (x509: certificate signed by unknown authority`, 0},
		{"another name", "https://localhost:" + port + "/busy", roots, " cannot be trusted: its own certificate is for another name (x509: certificate is valid for ", 0},
		{"plain", strings.Replace(plain.URL, "http:", "https:", 1), roots, " cannot be reached from here: ", 0},
		{"nobody", "https://" + nobody.Addr().String(), roots, " cannot be reached from here: dial tcp " + nobody.Addr().String() + ": connect: connection refused", 0},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			d := domain()
			r := newACMERig(t, acmetest.Options{})
			r.keeper(func(k *Keeper) { k.pace.retry = func(int, bool) time.Duration { return 10 * time.Minute } })
			c := r.block("one." + d)
			c.ACME.Directory, c.ACME.TrustedRoots = x.directory, x.roots
			r.serve(c)
			r.await("it has failed", func() bool { return r.of("one."+d).Last != nil })
			m := r.of("one." + d)
			if m.State != "failed" || !strings.Contains(m.Last.Why, x.why) || m.Last.Refused || len(m.Last.Why) > 500 || len(m.Last.Problem) > problemMost || strings.Contains(m.Last.Problem, "\n") {
				t.Errorf("%+v\n%+v", m, m.Last)
			}
			after := x.after
			if after == 0 {
				after = 10 * time.Minute
			}
			if d := time.Until(m.Next); d > after || d < after-2*time.Minute {
				t.Errorf("next attempt in %v, want %v", d, after)
			}
			if s, err := r.shake("one." + d); err != nil || s.PeerCertificates[0].Subject.Organization[0] != "gatehouse internal" {
				t.Errorf("%v", err)
			}
			r.await("the log says so", func() bool { _, ok := r.logged("no certificate obtained for one."+d, x.why); return ok })
			if n := len(r.logs.FilterMessageSnippet("one." + d).All()); n != 1 {
				t.Errorf("it is told %d times", n)
			}
		})
	}
}

func certPEMOf(c *x509.Certificate) string { return minted{cert: c}.certPEM() }

// TestRateLimitByHeader: a CA that says by Retry-After alone when it wants to be asked again is asked then, whenever it was asked.
func TestRateLimitByHeader(t *testing.T) {
	t.Parallel()
	for _, issue := range []Issue{AtStart, OnFirstHandshake} {
		for name, header := range map[string]string{"seconds": "7200", "date": time.Now().Add(2 * time.Hour).UTC().Format(http.TimeFormat)} {
			t.Run(fmt.Sprintf("%s %s", issue, name), func(t *testing.T) {
				t.Parallel()
				d := domain()
				r := newACMERig(t, acmetest.Options{})
				r.ca.Intercept(func(w http.ResponseWriter, q *http.Request) bool {
					if !strings.HasSuffix(q.URL.Path, "/order-plz") {
						return false
					}
					w.Header().Set("Content-Type", "application/problem+json")
					w.Header().Set("Retry-After", header)
					w.WriteHeader(http.StatusTooManyRequests)
					json.NewEncoder(w).Encode(map[string]any{"type": "urn:ietf:params:acme:error:rateLimited", "status": 429, "detail": "too many of them"})
					return true
				})
				c := r.block("one." + d)
				c.ACME.Issue, c.ACME.Profile = issue, ""
				r.serve(c)
				r.await("it has failed", func() bool { r.trusted("one." + d); return r.of("one."+d).Last != nil })
				m := r.of("one." + d)
				if d := time.Until(m.Next); d < 115*time.Minute || d > 2*time.Hour || !strings.Contains(m.Last.Why, "has been asked too often") {
					t.Errorf("%v %+v", d, m.Last)
				}
				if issue == OnFirstHandshake {
					n := r.ca.Orders()
					if r.trusted("one."+d) || r.ca.Orders() != n {
						t.Error("it is asked all the same")
					}
				}
			})
		}
	}
}

// TestPostponed: what CAs may write into Retry-After, and when it counts.
func TestPostponed(t *testing.T) {
	now := time.Date(2026, 12, 1, 10, 0, 0, 0, time.UTC)
	for _, x := range []struct {
		status int
		after  string
		want   time.Duration // 0: it does not count
	}{
		{429, "60", time.Minute}, {503, "60", time.Minute}, {403, "60", time.Minute}, {200, "60", 0}, {429, "", 0}, {429, "soon", 0}, {429, "-5", 0}, {429, "99999999999", 0},
		{429, "2000000000", laterMost}, {429, "Tue, 01 Dec 2026 11:00:00 GMT", time.Hour}, {429, "Tue, 01 Dec 2099 11:00:00 GMT", laterMost},
	} {
		h := &heard{later: map[string]time.Time{}}
		h.postpone("ca.test", x.status, http.Header{"Retry-After": {x.after}}, now)
		if got := h.later["ca.test"]; got.IsZero() != (x.want == 0) || x.want != 0 && !got.Equal(now.Add(x.want)) {
			t.Errorf("%d %q: %v", x.status, x.after, got)
		}
	}
}

// TestForgottenAccount: a CA that does not know the account any more gets another one opened, and the renewal comes all the same.
func TestForgottenAccount(t *testing.T) {
	t.Parallel()
	d := domain()
	host := "one." + d
	r := newACMERig(t, acmetest.Options{})
	r.serve(r.block(host, "two."+d))
	r.await("they are good", func() bool { return r.trusted(host) && r.trusted("two."+d) && r.of(host).State == "valid" })
	r.ca.Forget()
	if r.trusted(host) {
		t.Fatal("the CA has not forgotten")
	}
	if err := r.certs.Load().Renew(host); err != nil {
		t.Fatal(err)
	}
	r.await("it was renewed", func() bool { return r.trusted(host) && r.of(host).Successes > 1 })
	if m := r.of(host); m.Failures > 0 {
		t.Errorf("it took more than one attempt: %+v", m)
	}
	if s, err := r.shake("two." + d); err != nil || s.PeerCertificates[0].VerifyHostname("two."+d) != nil {
		t.Errorf("%v", err)
	}
}

// TestWrongClock: a certificate that looks old the moment it is issued is served, but is not renewed over and over; the log says why, once.
func TestWrongClock(t *testing.T) {
	t.Parallel()
	d := domain()
	host := "one." + d
	r := newACMERig(t, acmetest.Options{Profiles: map[string]uint64{"default": 200}})
	k := r.keeper(func(k *Keeper) {
		k.pace.window = 0.995 // it is due after a second
		k.pace.tend = func(time.Duration) time.Duration { return 100 * time.Millisecond }
		k.pace.clock = func(now time.Time) time.Time { return now.Add(150 * time.Second) }
	})
	r.serve(r.block(host))
	r.await("it is good", func() bool { return r.trusted(host) && r.of(host).State == "valid" })
	if _, ok := r.logged("the clock of this machine is wrong, or the CA's is", "not renewed again for 6 h"); !ok {
		t.Error("nobody was told")
	}
	due := func(leaf *x509.Certificate) bool { return time.Since(leaf.NotBefore) > 3*time.Second }
	s, err := r.shake(host)
	if err != nil {
		t.Fatal(err)
	}
	r.await("a certificate that would be due", func() bool { return due(s.PeerCertificates[0]) })
	last := func() time.Time { k.mu.Lock(); defer k.mu.Unlock(); return k.tendNext }
	for range 3 { // looks for renewals
		was := last()
		r.await("another look", func() bool { return last().After(was) })
	}
	if n, left := r.ca.Orders(), len(k.cached(host)); n != 1 || left != 0 || !r.trusted(host) {
		t.Errorf("%d orders, %d certificates are looked after", n, left)
	}
	// When the time is over it is looked after again, and with the clock set right all is well.
	k.mu.Lock()
	k.pace.clock = func(now time.Time) time.Time { return now }
	k.charges[host].held = time.Now()
	k.mu.Unlock()
	r.await("it was renewed", func() bool { return r.ca.Orders() > 1 && r.of(host).Successes > 1 && r.trusted(host) })
}
