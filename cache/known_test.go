package cache

import (
	"crypto/tls"
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"gatehouse/backend/h1"
	"gatehouse/backend/loop"
)

// TestKnownClients: an answer to a client that has shown a certificate is shared only where the server says so, as RFC 9111 3.5 has it for
// Authorization; what is shared, it gets like everybody.
func TestKnownClients(t *testing.T) {
	shown := &tls.ConnectionState{PeerCertificates: []*x509.Certificate{{}}}
	for _, tt := range []struct {
		name, head, detail string
		stored             bool
	}{
		{"a lifetime", "Cache-Control: max-age=60", "AUTH", false},
		{"public", "Cache-Control: public, max-age=60", "", true},
		{"s-maxage", "Cache-Control: s-maxage=60", "", true},
		{"must-revalidate", "Cache-Control: max-age=60, must-revalidate", "", true},
		{"a guess", "Last-Modified: Wed, 01 Jan 1997 00:00:00 GMT", "AUTH", false},
	} {
		bubble(t, 1, nil, func(r *rig) {
			r.answers("HTTP/1.1 200 OK\n" + tt.head + "\n\nhello")
			ask := func(state *tls.ConnectionState) *answer {
				done := make(chan *answer, 1)
				l := r.loops[0]
				l.Post(func() {
					l.Go(loop.Func(func() {
						x := &h1.Exchange{Loop: l}
						x.Reset()
						x.TLS = state
						done <- r.exchange(x, request{text: "GET /page"})
					}))
				})
				return <-done
			}
			a := ask(shown)
			if _, detail, _ := strings.Cut(a.verdict(), "detail="); detail != tt.detail {
				t.Errorf("%s: %s, want %q", tt.name, a.verdict(), tt.detail)
			}
			if b := ask(nil); b.hit() != tt.stored {
				t.Errorf("%s: somebody else gets %s", tt.name, b.verdict())
			}
			if c := ask(shown); !c.hit() { // at the latest, what somebody else has brought
				t.Errorf("%s: and then %s", tt.name, c.verdict())
			}
		})
	}
	// In the background, too: the server was told who asks.
	bubble(t, 1, nil, func(r *rig) {
		r.answers("HTTP/1.1 200 OK\nCache-Control: public, max-age=10, stale-while-revalidate=60\n\nhello")
		r.get("/page")
		sleep(20 * time.Second)
		r.answers("HTTP/1.1 200 OK\nCache-Control: max-age=60\n\nfor you")
		l := r.loops[0]
		done := make(chan *answer, 1)
		l.Post(func() {
			l.Go(loop.Func(func() {
				x := &h1.Exchange{Loop: l}
				x.Reset()
				x.TLS = shown
				done <- r.exchange(x, request{text: "GET /page"})
			}))
		})
		<-done
		sleep(time.Second)
		if a := r.get("/page"); a.body == "for you" && a.hit() {
			t.Error("an answer for a known client is given to others")
		}
	})
}
