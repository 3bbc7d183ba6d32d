package tlsconf

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/tlsconf/acmetest"
)

// TestRenewalsKeepTheCAsTime: a renewal that a CA puts off is not tried again before its time, and is then, without anybody's help; what is served
// goes on being served, and the log says once why.
func TestRenewalsKeepTheCAsTime(t *testing.T) {
	t.Parallel()
	d := domain()
	host := "one." + d
	r := newACMERig(t, acmetest.Options{Profiles: map[string]uint64{"default": 60}})
	r.keeper(early, func(k *Keeper) { k.pace.retry = func(int, bool) time.Duration { return 10 * time.Millisecond } })
	var mu sync.Mutex
	var refused []time.Time // orders
	const after = 2 * time.Second
	r.serve(r.block(host))
	r.await("it is good", func() bool { return r.trusted(host) && r.of(host).State == "valid" })
	first, err := r.shake(host)
	if err != nil {
		t.Fatal(err)
	}
	r.ca.Intercept(func(w http.ResponseWriter, q *http.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		if !strings.HasSuffix(q.URL.Path, "/order-plz") || len(refused) == 2 {
			return false
		}
		refused = append(refused, time.Now())
		w.Header().Set("Content-Type", "application/problem+json")
		w.Header().Set("Retry-After", "2")
		w.WriteHeader(http.StatusTooManyRequests)
		json.NewEncoder(w).Encode(map[string]any{"type": "urn:ietf:params:acme:error:rateLimited", "status": 429, "detail": "too many of them"})
		return true
	})
	r.await("the renewal has failed", func() bool { return r.of(host).Last != nil })
	if m := r.of(host); m.State != "valid" || !m.Next.Equal(m.Last.Next) || m.Next.Sub(m.Last.Time) < after/2 || m.Last.Challenge != "" ||
		!strings.Contains(m.Last.Why, "has been asked too often") || !strings.Contains(m.Last.Serving, "good until") {
		t.Errorf("%+v %+v", m, m.Last)
	}
	r.await("it was renewed", func() bool {
		s, err := r.shake(host)
		return err == nil && r.good(s, host) && !s.PeerCertificates[0].Equal(first.PeerCertificates[0])
	})
	r.await("all is well", func() bool { m := r.of(host); return m.Last == nil && m.State == "valid" && m.Successes > 1 })
	mu.Lock()
	defer mu.Unlock()
	if len(refused) != 2 || refused[1].Sub(refused[0]) < after-100*time.Millisecond {
		t.Errorf("orders at %v", refused)
	}
	told := 0
	for _, e := range r.logs.All() {
		if strings.Contains(e.Message, "no certificate obtained for "+host) {
			told++
		} else if e.Level > 0 {
			t.Errorf("the log says besides: %s", e.Message)
		}
	}
	if told != 1 {
		t.Errorf("the log says it %d times", told)
	}
}
