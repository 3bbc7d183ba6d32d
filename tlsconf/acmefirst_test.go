package tlsconf

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/tlsconf/acmetest"
)

// TestFirstHandshakeIsPromoted: nothing is asked before a client comes; it waits and is content; and what was issued lies in the storage
// as if it had been obtained at the start, where it is renewed.
func TestFirstHandshakeIsPromoted(t *testing.T) {
	t.Parallel()
	for _, profile := range []string{"", "default"} { // by autocert, and as at the start
		t.Run("profile "+profile, func(t *testing.T) {
			t.Parallel()
			d := domain()
			host := "one." + d
			r := newACMERig(t, acmetest.Options{Profiles: map[string]uint64{"default": 60}})
			r.keeper(early, func(k *Keeper) { k.pace.wait = 30 * time.Second }) // as long as a busy machine takes
			c := r.block(host, "two."+d)
			c.ACME.Issue, c.ACME.Profile = OnFirstHandshake, profile
			r.serve(c)
			if m := r.of(host); m.State != "waiting for the first handshake" || r.ca.Orders() > 0 {
				t.Errorf("%+v, %d orders", m, r.ca.Orders())
			}
			s, err := r.shake(strings.ToUpper(host))
			if err != nil || !r.good(s, host) {
				t.Fatalf("the first client: %v", err)
			}
			first := s.PeerCertificates[0]
			m := r.of(host)
			if m.State != "valid" || m.Successes != 1 || !strings.Contains(m.File, filepath.Join("certificates", "127.0.0.1-")) {
				t.Errorf("%+v", m)
			}
			key := strings.TrimSuffix(m.File, ".crt") + ".key"
			if i, err := os.Stat(key); err != nil || i.Mode().Perm() != 0o600 {
				t.Errorf("%v %v", i, err)
			}
			if m := r.of("two." + d); m.State != "waiting for the first handshake" {
				t.Errorf("%+v", m)
			}
			r.await("certmagic has renewed it", func() bool {
				s, err := r.shake(host)
				return err == nil && r.good(s, host) && !s.PeerCertificates[0].Equal(first)
			})
			// After a restart it is served without a word to the CA.
			r.certs.Load().Close()
			r.keep.Load().Close()
			r.ca.SetDown(true)
			r.keeper()
			r.certs.Store(nil)
			c = r.block(host, "two."+d)
			c.ACME.Issue, c.ACME.Profile = OnFirstHandshake, profile
			r.serve(c)
			if s, err := r.shake(host); err != nil || !r.good(s, host) {
				t.Errorf("after a restart: %v", err)
			}
		})
	}
}

// TestFirstHandshakesCoolDown: three failures, and the CA has an hour of rest. The cause of the first is not lost.
func TestFirstHandshakesCoolDown(t *testing.T) {
	t.Parallel()
	for _, profile := range []string{"", "default"} { // by autocert, and as at the start
		t.Run("profile "+profile, func(t *testing.T) {
			t.Parallel()
			d := domain()
			r := newACMERig(t, acmetest.Options{})
			r.ca = acmetest.New(t, acmetest.Options{}) // which finds nobody under the name
			c := r.block("one." + d)
			c.ACME.Issue, c.ACME.HTTPPort, c.ACME.Profile = OnFirstHandshake, 1, profile
			moved := r.serve(c)
			for i := 1; i <= 5; i++ {
				if s, err := r.shake("one." + d); err != nil || s.PeerCertificates[0].Subject.Organization[0] != "gatehouse internal" {
					t.Errorf("handshake %d: %v", i, err)
				}
			}
			m := r.of("one." + d)
			if m.Failures != 3 || m.State != "failed" {
				t.Fatalf("%+v", m)
			}
			f := m.Last
			if !f.Refused || f.Challenge != "TLS-ALPN-01" || !strings.Contains(f.Why, "asked one."+d+", port 443") || !strings.Contains(f.Why, "failure 3: nothing is asked for 60 min") {
				t.Errorf("%+v", f)
			}
			if d := time.Until(f.Next); d < 55*time.Minute || d > time.Hour {
				t.Errorf("next in %v", d)
			}
			// The operator need not wait.
			if err := moved.Renew("one." + d); err != nil {
				t.Error(err)
			}
			r.await("it was tried again", func() bool { return r.of("one."+d).Failures == 4 })
		})
	}
}

// TestFirstHandshakesAreBounded: only so many names are asked for at a time, and clients of others do not wait.
func TestFirstHandshakesAreBounded(t *testing.T) {
	t.Parallel()
	for _, profile := range []string{"", "default"} { // by autocert, and as at the start
		t.Run("profile "+profile, func(t *testing.T) {
			t.Parallel()
			d := domain()
			hosts := []string{"a." + d, "b." + d, "c." + d, "d." + d, "e." + d, "f." + d}
			r := newACMERig(t, acmetest.Options{})
			release := make(chan struct{})
			r.ca.Intercept(func(http.ResponseWriter, *http.Request) bool { <-release; return false })
			c := r.block(hosts...)
			c.ACME.Issue, c.ACME.Profile = OnFirstHandshake, profile
			r.keeper(func(k *Keeper) { k.pace.wait = 50 * time.Millisecond })
			r.serve(c)
			for _, host := range hosts {
				if s, err := r.shake(host); err != nil || s.PeerCertificates[0].Subject.Organization[0] != "gatehouse internal" {
					t.Errorf("%s: %v", host, err)
				}
			}
			obtaining := 0
			for _, host := range hosts {
				if r.of(host).State == "obtaining" {
					obtaining++
				}
			}
			if obtaining != firstsMost {
				t.Errorf("%d names are asked for at once", obtaining)
			}
			close(release)
			r.await("they come in their turn", func() bool {
				good := 0
				for _, host := range hosts {
					if r.trusted(host) { // which asks for it, if it was not its turn
						good++
					}
				}
				return good == len(hosts)
			})
			for _, host := range hosts {
				if m := r.of(host); m.Successes != 1 {
					t.Errorf("%+v", m)
				}
			}
		})
	}
}

// TestFirstHandshakeAsksForTheProfile: the certificate is of the kind that is configured from the first one on.
func TestFirstHandshakeAsksForTheProfile(t *testing.T) {
	t.Parallel()
	d := domain()
	r := newACMERig(t, acmetest.Options{Profiles: map[string]uint64{"one": 10000, "two": 20000, "three": 30000, "four": 40000, "five": 50000}})
	r.keeper(func(k *Keeper) { k.pace.wait = 30 * time.Second })
	c := r.block("one." + d)
	c.ACME.Issue, c.ACME.Profile = OnFirstHandshake, "four"
	r.serve(c)
	s, err := r.shake("one." + d)
	if err != nil || !r.good(s, "one."+d) {
		t.Fatalf("the first client: %v", err)
	}
	if leaf := s.PeerCertificates[0]; leaf.NotAfter.Sub(leaf.NotBefore).Round(time.Minute) != (40000 * time.Second).Round(time.Minute) {
		t.Errorf("from %v to %v", leaf.NotBefore, leaf.NotAfter)
	}
	if _, ok := r.logged("first handshake for one." + d); !ok {
		t.Error("nobody was told")
	}
}
