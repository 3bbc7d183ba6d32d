package tlsconf

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/tlsconf/acmetest"
)

// TestEndWhileTheCATakesItsTime: who ends does not wait for a CA that does not answer, or asks for patience.
func TestEndWhileTheCATakesItsTime(t *testing.T) {
	t.Parallel()
	for name, slow := range map[string]func(w http.ResponseWriter, q *http.Request){
		"no answer": func(_ http.ResponseWriter, q *http.Request) { <-q.Context().Done() },
		"busy": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "300")
			w.WriteHeader(http.StatusServiceUnavailable)
		},
	} {
		for _, issue := range []Issue{AtStart, OnFirstHandshake} {
			t.Run(name+", "+issue.String(), func(t *testing.T) {
				t.Parallel()
				host := "one." + domain()
				r := newACMERig(t, acmetest.Options{})
				var asked atomic.Int64
				r.ca.Intercept(func(w http.ResponseWriter, q *http.Request) bool {
					asked.Add(1)
					slow(w, q)
					return true
				})
				r.keeper(func(k *Keeper) { k.pace.wait = 10 * time.Millisecond })
				c := r.block(host)
				c.ACME.Issue = issue
				certs := r.serve(c)
				if _, err := r.shake(host); err != nil {
					t.Error(err)
				}
				r.await("the CA is asked", func() bool { return asked.Load() > 0 })
				began := time.Now()
				certs.Close()
				r.keep.Load().Close()
				if took := time.Since(began); took > 5*time.Second {
					t.Errorf("the end took %v", took)
				}
			})
		}
	}
}
