package cache

import (
	"testing"
	"time"

	"gatehouse/backend/h1"
)

// RFC 9111 4.4.
func TestInvalidation(t *testing.T) {
	for _, c := range []struct {
		name, request, answer string
		gone, other           bool // /page, /other
	}{
		{"POST", "POST /page", "HTTP/1.1 200 OK", true, false},
		{"PUT", "PUT /page", "HTTP/1.1 204 No Content", true, false},
		{"DELETE, redirected", "DELETE /page", "HTTP/1.1 303 See Other", true, false},
		{"PATCH", "PATCH /page", "HTTP/1.1 200 OK", true, false},
		{"an unknown method", "FROB /page", "HTTP/1.1 200 OK", true, false},
		{"POST that fails", "POST /page", "HTTP/1.1 500 Oh", false, false},
		{"POST that is refused", "POST /page", "HTTP/1.1 403 No", false, false},
		{"OPTIONS", "OPTIONS /page", "HTTP/1.1 200 OK", false, false},
		{"HEAD", "HEAD /page", "HTTP/1.1 200 OK", false, false},
		{"elsewhere", "POST /else", "HTTP/1.1 200 OK", false, false},
		{"Location", "POST /else", "HTTP/1.1 201 Created\nLocation: /other", false, true},
		{"Location in full", "POST /else", "HTTP/1.1 201 Created\nLocation: http://shop.example.com/other", false, true},
		{"Content-Location", "POST /dir/else", "HTTP/1.1 200 OK\nContent-Location: ../other", false, true},
		{"Location of another host", "POST /else", "HTTP/1.1 201 Created\nLocation: http://evil.example.com/other", false, false},
		{"Location of another scheme", "POST /else", "HTTP/1.1 201 Created\nLocation: https://shop.example.com/other", false, false},
		{"another host", "POST /page\nHost: evil.example.com", "HTTP/1.1 200 OK", false, false},
	} {
		bubble(t, 1, nil, func(r *rig) {
			r.answers(fresh)
			r.get("/page")
			r.get("/other")
			r.answers(c.answer + "\n\n")
			r.do(request{text: c.request})
			r.answers(fresh)
			if a := r.get("/page"); a.hit() == c.gone {
				t.Errorf("%s: %s", c.name, a.verdict())
			}
			if a := r.get("/other"); a.hit() == c.other {
				t.Errorf("%s: /other %s", c.name, a.verdict())
			}
		})
	}
}

func TestPurgeMethod(t *testing.T) {
	bubble(t, 1, &Config{PurgeFrom: prefixes("127.0.0.1/32")}, func(r *rig) {
		r.answers(fresh)
		r.get("/page?x=1")
		for _, c := range []struct {
			peer   string
			status int
			said   string
			hit    bool
		}{
			{"192.0.2.1", 403, "REFUSED", true},
			{"127.0.0.1", 200, "PURGED", false},
			{"127.0.0.1", 404, "UNKNOWN", false},
		} {
			a := r.do(request{text: "PURGE /page?x=1", peer: c.peer})
			if a.status != c.status || a.verdict() != "detail="+c.said { // nobody was asked, so it has no fwd
				t.Errorf("from %s: %d %s, want %d", c.peer, a.status, a.verdict(), c.status)
			}
			if a = r.get("/page?x=1\nCache-Control: only-if-cached"); a.hit() != c.hit {
				t.Errorf("from %s: then %s", c.peer, a.verdict())
			}
		}
	})
	bubble(t, 1, nil, func(r *rig) {
		r.answers("HTTP/1.1 405 No\n\n")
		if a := r.do(request{text: "PURGE /page"}); a.status != 405 || r.asked() != 1 {
			t.Errorf("without purge_from: %d", a.status)
		}
	})
}

func TestPurges(t *testing.T) {
	fill := func(r *rig) {
		r.origins(func(x *h1.Exchange) error {
			return reply(x, "HTTP/1.1 200 OK\nCache-Control: max-age=60\nVary: X\nSurrogate-Key: all "+string(x.Req.Target[1:2])+"\nCache-Tag: t1, t"+
				string(x.Req.Header.GetName("X"))+"\n\nhello")
		})
		for _, p := range []string{"/a/1", "/a/2", "/b/1"} {
			r.get(p + "\nX: 2")
			r.get(p + "\nX: 3")
		}
	}
	left := func(r *rig) (s string) {
		for _, p := range []string{"/a/1", "/a/2", "/b/1"} {
			for _, x := range []string{"2", "3"} {
				if r.get(p + "\nX: " + x + "\nCache-Control: only-if-cached").hit() {
					s += p + "-" + x + " "
				}
			}
		}
		return s
	}
	for _, c := range []struct {
		name  string
		purge func(c *Cache) int
		n     int
		left  string
	}{
		{"url", func(c *Cache) int {
			if c.PurgeURL("http://SHOP.example.com/a/1") {
				return 1
			}
			return 0
		}, 1, "/a/2-2 /a/2-3 /b/1-2 /b/1-3 "},
		{"prefix", func(c *Cache) int { return c.PurgePrefix("http://shop.example.com/a/") }, 2, "/b/1-2 /b/1-3 "},
		{"tag", func(c *Cache) int { return c.PurgeTag("a") }, 2, "/b/1-2 /b/1-3 "},
		{"tag of some variants", func(c *Cache) int { return c.PurgeTag("t3") }, 3, "/a/1-2 /a/2-2 /b/1-2 "},
		{"tag of nothing", func(c *Cache) int { return c.PurgeTag("t") }, 0, "/a/1-2 /a/1-3 /a/2-2 /a/2-3 /b/1-2 /b/1-3 "},
		{"all", (*Cache).PurgeAll, 3, ""},
	} {
		bubble(t, 1, nil, func(r *rig) {
			fill(r)
			if n := c.purge(r.cache); n != c.n {
				t.Errorf("%s: %d, want %d", c.name, n, c.n)
			}
			if got := left(r); got != c.left {
				t.Errorf("%s: left %q, want %q", c.name, got, c.left)
			}
		})
	}
}

// A cache of the next configuration, and one in front of another backend, share what is remembered, but not the answers of backends.
func TestFormer(t *testing.T) {
	bubble(t, 1, nil, func(r *rig) {
		r.answers(fresh)
		r.get("/page")
		first := r.cache
		next := New(&Config{Memory: 32 << 20, MaxObject: 1 << 20}, h1.RoundTripFunc(r.ask), Options{Loops: r.loops, Backend: "web", Former: first})
		other := New(&Config{Memory: 32 << 20, MaxObject: 1 << 20}, h1.RoundTripFunc(r.ask), Options{Loops: r.loops, Backend: "api", Former: next})
		r.cache = next
		if a := r.get("/page"); !a.hit() {
			t.Errorf("after a reload: %s", a.verdict())
		}
		r.cache = other
		if a := r.get("/page"); a.hit() {
			t.Errorf("another backend: %s", a.verdict())
		}
		other.TakeOver()
		if got := other.Snapshot(); got.Memory != 32<<20 || got.Keys != 2 {
			t.Errorf("%+v", got)
		}
		r.do(request{text: "POST /page"})
		sleep(time.Second)
		if got := first.Snapshot(); got.Keys != 0 {
			t.Errorf("%+v", got)
		}
	})
}
