package cache

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/backend/h1"
)

// When a server has failed, one client waits for that, and those who come soon after do not: until it answers again, or nobody has asked for a while.
func TestOneClientWaitsForAServerThatFails(t *testing.T) {
	for _, c := range []struct {
		name, control string
		origin        func(x *h1.Exchange) error
		stale         bool // what is stored may be used
	}{
		{"no answer", "max-age=2", func(x *h1.Exchange) error {
			x.Loop.Sleep(3 * time.Second)
			return &h1.Error{Status: 503, Side: h1.ByServer, Err: errors.New("no server")}
		}, true},
		{"an error", "max-age=2, stale-if-error=600", func(x *h1.Exchange) error {
			x.Loop.Sleep(3 * time.Second)
			return reply(x, "HTTP/1.1 500 Oh\n\noops")
		}, true},
		{"an error of which nothing is said", "max-age=2", func(x *h1.Exchange) error {
			x.Loop.Sleep(3 * time.Second)
			return reply(x, "HTTP/1.1 500 Oh\n\noops")
		}, false},
		{"no answer, and nothing but one will do", "max-age=2, must-revalidate", func(x *h1.Exchange) error {
			x.Loop.Sleep(3 * time.Second)
			return &h1.Error{Status: 503, Side: h1.ByServer, Err: errors.New("no server")}
		}, false},
	} {
		for _, part := range []string{"", "\nRange: bytes=0-2"} {
			bubble(t, 2, nil, func(r *rig) {
				const old, young = "old", "new"
				r.answers("HTTP/1.1 200 OK\nCache-Control: " + c.control + "\n\n" + old)
				r.get("/page")
				sleep(5 * time.Second)
				r.origins(c.origin)
				first := func() {
					a := <-r.start(request{text: "GET /page" + part})
					if (a.err == nil && a.body == old) != c.stale || a.took < 3*time.Second {
						t.Errorf("%s: the first one got %d %q, %v after %v", c.name, a.status, a.body, a.err, a.took)
					}
				}
				first()
				for i := range 30 { // the background goes on asking
					a := <-r.start(request{text: "GET /page" + part, loop: i % 2})
					if c.stale && (a.err != nil || a.body != old || a.took > 0 || !a.hit()) || !c.stale && a.took < 3*time.Second {
						t.Errorf("%s: number %d got %d %q, %v after %v", c.name, i, a.status, a.body, a.err, a.took)
					}
					sleep(time.Second)
				}
				if n := r.asked(); n < 3 || n > 35 {
					t.Errorf("%s: the server was asked %d times", c.name, n)
				}
				sleep(30 * time.Second)
				first() // nobody has looked for a while
				r.answers("HTTP/1.1 200 OK\nCache-Control: max-age=60\n\n" + young)
				if a := r.get("/page" + part); c.stale != (a.body == old) {
					t.Errorf("%s: then %q", c.name, a.body)
				}
				synctest.Wait()
				if a := r.get("/page" + part); a.body != young || !a.hit() {
					t.Errorf("%s: after it came back %q, %s", c.name, a.body, a.verdict())
				}
			})
		}
	}
}
