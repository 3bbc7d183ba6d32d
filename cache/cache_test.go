package cache

import (
	"strings"
	"testing"
	"time"

	"gatehouse/backend/h1"
)

const fresh = "HTTP/1.1 200 OK\nCache-Control: max-age=60\n\nhello"

func TestHitIsAnsweredFromMemory(t *testing.T) {
	bubble(t, 2, nil, func(r *rig) {
		r.answers(fresh)
		a := r.get("/page")
		if a.body != "hello" || a.verdict() != "fwd=uri-miss; fwd-status=200; stored" {
			t.Errorf("first: %q, %s", a.body, a.verdict())
		}
		sleep(7 * time.Second)
		a = r.do(request{text: "GET /page", loop: 1})
		if a.status != 200 || a.body != "hello" || a.verdict() != "hit; ttl=53" || a.get("Age") != "7" {
			t.Errorf("second: %d %q, %s, Age %s", a.status, a.body, a.verdict(), a.get("Age"))
		}
		if a.note != "gatehouse; hit" || a.by != "web" {
			t.Errorf("the log gets %q of backend %q", a.note, a.by)
		}
		if n := r.asked(); n != 1 {
			t.Errorf("the origin was asked %d times, want 1", n)
		}
		sleep(60 * time.Second)
		if a = r.get("/page"); a.hit() || !strings.HasPrefix(a.verdict(), "fwd=stale") {
			t.Errorf("after its time: %s", a.verdict())
		}
	})
}

func TestKeySeparates(t *testing.T) {
	bubble(t, 1, nil, func(r *rig) {
		r.answers(fresh)
		r.get("/page?a=1")
		for _, q := range []request{
			{text: "GET /page?a=2"},
			{text: "GET /page"},
			{text: "GET /Page?a=1"},
			{text: "GET /page?a=1\nHost: other.example.com"},
			{text: "GET /page?a=1\nHost: shop.example.com:8080"},
			{text: "GET /page?a=1", tls: true},
			{text: "GET /page?a=1\nX-Forwarded-Host: evil.example.com"},
			{text: "GET /page?a=1\nX-Forwarded-Prefix: /evil"},
		} {
			if a := r.do(q); a.hit() {
				t.Errorf("%q: %s", q.text, a.verdict())
			}
		}
		if a := r.get("/page?a=1\nHost: SHOP.example.COM"); !a.hit() {
			t.Errorf("the host in other letters: %s", a.verdict())
		}
		if a := r.get("/page?a=1\nX-Forwarded-For: 10.0.0.1"); !a.hit() {
			t.Errorf("who asks makes a difference: %s", a.verdict())
		}
	})
}

func TestWhatIsNotLookedUp(t *testing.T) {
	bubble(t, 1, &Config{Rules: []*Rule{{Paths: []string{"/account/*"}, Bypass: true}}}, func(r *rig) {
		r.answers(fresh)
		for _, q := range []string{
			"POST /a", "OPTIONS /a", "GET /a\nX-Original-URL: /admin", "GET /a\nX-HTTP-Method-Override: DELETE",
			"GET /a\nIf-Match: \"x\"", "GET /account/me", "GET /x/..%2faccount/me", "GET /account//me",
		} {
			for range 2 {
				if a := r.do(request{text: q}); a.hit() || strings.Contains(a.verdict(), "stored") {
					t.Errorf("%q: %s", q, a.verdict())
				}
			}
		}
		if a := r.get("/a"); a.hit() {
			t.Errorf("one of these was stored: %s", a.verdict())
		}
	})
}

func TestHeadIsAnsweredFromGet(t *testing.T) {
	bubble(t, 1, nil, func(r *rig) {
		r.answers(fresh)
		r.get("/page")
		a := r.do(request{text: "HEAD /page"})
		if !a.hit() || a.body != "" || a.get("Content-Length") != "5" {
			t.Errorf("%s, content %q, Content-Length %s", a.verdict(), a.body, a.get("Content-Length"))
		}
		if a = r.do(request{text: "HEAD /other"}); a.hit() {
			t.Error("HEAD of what is not stored is a hit")
		}
		if a = r.get("/other"); a.hit() {
			t.Error("the answer to HEAD was stored for GET")
		}
	})
}

func TestHeadUpdatesOrInvalidates(t *testing.T) {
	for _, c := range []struct {
		name, head string
		gone       bool
	}{
		{"the same", "HTTP/1.1 200 OK\nCache-Control: max-age=100\nETag: \"1\"\nX-New: yes\nContent-Length: 5\n\nhello", false},
		{"another tag", "HTTP/1.1 200 OK\nCache-Control: max-age=100\nETag: \"2\"\nContent-Length: 5\n\nhello", true},
		{"another length", "HTTP/1.1 200 OK\nCache-Control: max-age=100\nETag: \"1\"\nContent-Length: 6\n\nhello!", true},
	} {
		bubble(t, 1, nil, func(r *rig) {
			r.answers("HTTP/1.1 200 OK\nCache-Control: max-age=2\nETag: \"1\"\n\nhello")
			r.get("/page")
			sleep(3 * time.Second)
			r.answers(c.head)
			r.do(request{text: "HEAD /page"})
			a := r.get("/page")
			if a.hit() == c.gone {
				t.Errorf("%s: %s", c.name, a.verdict())
			}
			if !c.gone && a.get("X-New") != "yes" {
				t.Errorf("%s: the new field is not there: %s", c.name, a.head)
			}
		})
	}
}

func TestConditionalRequestsAreAnsweredFromMemory(t *testing.T) {
	const answer = "HTTP/1.1 200 OK\nCache-Control: max-age=60\nETag: \"v1\"\nLast-Modified: Thu, 30 Dec 1999 00:00:00 GMT\nContent-Type: text/plain\n\nhello"
	for _, c := range []struct {
		field string
		want  int
	}{
		{`If-None-Match: "v1"`, 304},
		{`If-None-Match: W/"v1"`, 304},
		{`If-None-Match: "v0", "v1"`, 304},
		{`If-None-Match: *`, 304},
		{`If-None-Match: "v2"`, 200},
		{`If-None-Match: v1`, 200},
		{"If-None-Match: \"v2\"\nIf-Modified-Since: Fri, 31 Dec 1999 00:00:00 GMT", 200},
		{"If-Modified-Since: Fri, 31 Dec 1999 00:00:00 GMT", 304},
		{"If-Modified-Since: Thu, 30 Dec 1999 00:00:00 GMT", 304},
		{"If-Modified-Since: Wed, 29 Dec 1999 00:00:00 GMT", 200},
		{"If-Modified-Since: yesterday", 200},
	} {
		for _, miss := range []bool{true, false} {
			bubble(t, 1, nil, func(r *rig) {
				r.origins(func(x *h1.Exchange) error {
					if x.Req.Header.Has(h1.IfNoneMatch) || x.Req.Header.Has(h1.IfModifiedSince) {
						t.Error("the client's condition was sent to the origin: nobody else could use the answer")
					}
					return reply(x, answer)
				})
				if !miss {
					r.get("/page")
				}
				a := r.get("/page\n" + c.field)
				if a.status != c.want || a.hit() == miss {
					t.Errorf("%s, miss %v: %d %s, want %d", c.field, miss, a.status, a.verdict(), c.want)
				}
				if a.status == 304 && (a.body != "" || a.get("ETag") == "" || a.get("Content-Length") != "" || a.get("Content-Type") != "") {
					t.Errorf("%s, miss %v: 304 with %q and content %q", c.field, miss, a.head, a.body)
				}
				if a = r.get("/page"); !a.hit() || a.body != "hello" {
					t.Errorf("%s, miss %v: afterwards %s %q", c.field, miss, a.verdict(), a.body)
				}
			})
		}
	}
}

func TestOnlyIfCached(t *testing.T) {
	bubble(t, 1, nil, func(r *rig) {
		r.answers(fresh)
		if a := r.get("/page\nCache-Control: only-if-cached"); a.status != 504 || r.asked() != 0 {
			t.Errorf("%d", a.status)
		}
		r.get("/page")
		if a := r.get("/page\nCache-Control: only-if-cached"); !a.hit() {
			t.Error(a.verdict())
		}
	})
}

func TestReloadIsObeyedFromSomeNetworksOnly(t *testing.T) {
	for _, field := range []string{"Cache-Control: no-cache", "Cache-Control: max-age=0", "Pragma: no-cache", "Cache-Control: min-fresh=100"} {
		bubble(t, 1, &Config{RefreshFrom: prefixes("10.0.0.0/8")}, func(r *rig) {
			r.answers(fresh)
			r.get("/page")
			if a := r.get("/page\n" + field); !a.hit() {
				t.Errorf("%s from anywhere: %s", field, a.verdict())
			}
			a := r.do(request{text: "GET /page\n" + field, peer: "10.1.2.3"})
			if a.hit() || !strings.HasPrefix(a.verdict(), "fwd=request") {
				t.Errorf("%s from the network: %s", field, a.verdict())
			}
			if a := r.do(request{text: "GET /page\nCache-Control: nothing-to-see-here", peer: "10.1.2.3"}); !a.hit() {
				t.Errorf("an unknown directive: %s", a.verdict())
			}
		})
	}
}
