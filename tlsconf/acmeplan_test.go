package tlsconf

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/tlsconf/acmetest"
)

// suggest makes a CA say when it wants certificates renewed: within a second after at (of a window of whole seconds, its first and last moment are never chosen), and that it may be asked again at once.
func suggest(ca *acmetest.CA, at func() time.Time, seen func(q *http.Request)) {
	ca.Intercept(func(w http.ResponseWriter, q *http.Request) bool {
		if seen != nil {
			seen(q)
		}
		if !strings.Contains(q.URL.Path, "/renewalInfo/") {
			return false
		}
		start := at().UTC()
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Retry-After", "0")
		json.NewEncoder(w).Encode(map[string]any{"suggestedWindow": map[string]time.Time{"start": start, "end": start.Add(2 * time.Second)}})
		return true
	})
}

// TestRenewalWhenTheCASays: what the list tells as the next renewal is the CA's time, also after a restart; and when the CA changes its mind, because it has to
// revoke, say, the certificate is renewed at once.
func TestRenewalWhenTheCASays(t *testing.T) {
	t.Parallel()
	d := domain()
	host := "one." + d
	r := newACMERig(t, acmetest.Options{})
	var mu sync.Mutex
	at := time.Now().Add(70 * 24 * time.Hour)
	suggest(r.ca, func() time.Time { mu.Lock(); defer mu.Unlock(); return at }, nil)
	soon := func(k *Keeper) { k.pace.tend = func(time.Duration) time.Duration { return 100 * time.Millisecond } }
	r.keeper(soon)
	r.serve(r.block(host))
	r.await("it is good", func() bool { return r.trusted(host) && r.of(host).State == "valid" })
	planned := func() bool { d := r.of(host).Next.Sub(at); return d >= 0 && d <= time.Second }
	r.await("the plan is known", planned)
	r.certs.Load().Close()
	r.keep.Load().Close()
	r.keeper(soon)
	r.certs.Store(nil)
	r.serve(r.block(host))
	if !planned() {
		t.Errorf("after a restart the next renewal is at %v, want %v", r.of(host).Next, at)
	}
	first, err := r.shake(host)
	if err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	at = time.Now().Add(-time.Hour)
	mu.Unlock()
	r.await("it was renewed", func() bool {
		s, err := r.shake(host)
		return err == nil && r.good(s, host) && !s.PeerCertificates[0].Equal(first.PeerCertificates[0])
	})
}

// TestRenewalIsNotBeforeTheCASays: a certificate in its last third is left alone where the CA wants it renewed later.
func TestRenewalIsNotBeforeTheCASays(t *testing.T) {
	t.Parallel()
	d := domain()
	host := "one." + d
	r := newACMERig(t, acmetest.Options{Profiles: map[string]uint64{"default": 24}})
	var mu sync.Mutex
	var issued time.Time
	var orders []time.Time
	suggest(r.ca, func() time.Time { mu.Lock(); defer mu.Unlock(); return issued.Add(17500 * time.Millisecond) }, func(q *http.Request) {
		if strings.HasSuffix(q.URL.Path, "/order-plz") {
			mu.Lock()
			defer mu.Unlock()
			if orders = append(orders, time.Now()); len(orders) == 1 {
				issued = time.Now()
			}
		}
	})
	r.keeper(func(k *Keeper) { k.pace.tend = func(time.Duration) time.Duration { return 100 * time.Millisecond } })
	r.serve(r.block(host))
	r.await("it is good", func() bool { return r.trusted(host) })
	r.await("it was renewed", func() bool { return r.of(host).Successes == 2 && r.trusted(host) })
	mu.Lock()
	defer mu.Unlock()
	if after := orders[1].Sub(orders[0]); after < 17*time.Second { // a third is left after 16, a sixth, in which the CA is not asked, after 20
		t.Errorf("it was renewed after %v", after)
	}
}

// TestWhenIsARenewalDue: by whatever the CA has said, never too late.
func TestWhenIsARenewalDue(t *testing.T) {
	began := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	day := 24 * time.Hour
	k := &Keeper{}
	for _, x := range []struct{ plan, want time.Duration }{
		{0, 60 * day}, {70 * day, 70 * day}, {10 * day, 10 * day}, {-day, -day}, {76 * day, 60 * day}, {400 * day, 60 * day},
	} {
		c := &servedCert{Certificate: &tls.Certificate{Leaf: &x509.Certificate{NotBefore: began, NotAfter: began.Add(90 * day)}}}
		if x.plan != 0 {
			c.plan = began.Add(x.plan)
		}
		if got := k.due(c).Sub(began).Round(time.Minute); got != x.want {
			t.Errorf("with a plan after %v: after %v, want %v", x.plan, got, x.want)
		}
	}
}

// TestPlanInMetadata: certmagic's, other tools', and what is none at all.
func TestPlanInMetadata(t *testing.T) {
	for text, want := range map[string]struct {
		plan string
		ok   bool
	}{
		`{"issuer_data":{"url":"x","renewal_info":{"suggestedWindow":{},"_selectedTime":"2027-01-23T13:39:40Z"}}}`: {"2027-01-23T13:39:40Z", true},
		`{"issuer_data":{"url":""}}`:                                {"0001-01-01T00:00:00Z", true},
		`{"issuer_data":"words"}`:                                   {"0001-01-01T00:00:00Z", true},
		`{"issuer_data":{"renewal_info":{"_selectedTime":"soon"}}}`: {"0001-01-01T00:00:00Z", true},
		`[]`: {"0001-01-01T00:00:00Z", true},
		`{`:  {"0001-01-01T00:00:00Z", false},
		``:   {"0001-01-01T00:00:00Z", false},
	} {
		if plan, ok := planIn([]byte(text)); plan.Format(time.RFC3339) != want.plan || ok != want.ok {
			t.Errorf("%s: %v %v", text, plan, ok)
		}
	}
}
