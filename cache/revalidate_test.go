package cache

import (
	"errors"
	"strings"
	"testing"
	"time"

	"gatehouse/backend/h1"
)

const tagged = "HTTP/1.1 200 OK\nCache-Control: max-age=2\nETag: \"v1\"\nLast-Modified: Thu, 30 Dec 1999 00:00:00 GMT\nX-Old: 1\nX-Both: 1\nContent-Type: text/plain\n\nhello"

// RFC 9111 4.3.
func TestRevalidation(t *testing.T) {
	bubble(t, 1, nil, func(r *rig) {
		r.answers(tagged)
		r.get("/page")
		sleep(3 * time.Second)
		r.origins(func(x *h1.Exchange) error {
			if tag := x.Req.Header.Get(h1.IfNoneMatch); string(tag) != `"v1"` {
				t.Errorf("If-None-Match: %s", tag)
			}
			if since := x.Req.Header.Get(h1.IfModifiedSince); string(since) != "Thu, 30 Dec 1999 00:00:00 GMT" {
				t.Errorf("If-Modified-Since: %s", since)
			}
			return reply(x, "HTTP/1.1 304 Not Modified\nCache-Control: max-age=100\nETag: \"v1\"\nX-Both: 2\nX-New: 2\nContent-Type: text/html\n"+
				"Content-Encoding: gzip\nContent-MD5: x\nSet-Cookie: id=7\nContent-Length: 99")
		})
		a := r.get("/page\nIf-None-Match: \"mine\"")
		if a.status != 200 || a.body != "hello" || a.verdict() != "fwd=stale; fwd-status=304" || a.get("Set-Cookie") != "id=7" {
			t.Errorf("%d %q, %s: %s", a.status, a.body, a.verdict(), a.head)
		}
		sleep(time.Second)
		b := r.get("/page")
		if !b.hit() || b.body != "hello" {
			t.Errorf("%s %q", b.verdict(), b.body)
		}
		for name, want := range map[string]string{"X-Old": "1", "X-Both": "2", "X-New": "2", "Content-Type": "text/html", "ETag": `"v1"`,
			"Content-Encoding": "", "Content-MD5": "", "Content-Length": "5", "Set-Cookie": "", "Age": "1"} {
			if got := b.get(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
	})
}

func TestRevalidationForClientThatHasIt(t *testing.T) {
	bubble(t, 1, nil, func(r *rig) {
		r.answers(tagged)
		r.get("/page")
		sleep(3 * time.Second)
		r.answers("HTTP/1.1 304 Not Modified\nCache-Control: max-age=100\nETag: \"v1\"")
		if a := r.get("/page\nIf-None-Match: \"v1\""); a.status != 304 || a.body != "" {
			t.Errorf("%d %q", a.status, a.body)
		}
		if a := r.get("/page"); !a.hit() || a.body != "hello" {
			t.Errorf("%s %q", a.verdict(), a.body)
		}
	})
}

func TestRevalidationBringsSomethingElse(t *testing.T) {
	for _, c := range []struct {
		name, answer string
		status       int
		hit          bool // the next time
	}{
		{"a new answer", "HTTP/1.1 200 OK\nCache-Control: max-age=9\nETag: \"v2\"\n\nnew", 200, true},
		{"a private one", "HTTP/1.1 200 OK\nCache-Control: private\n\nnew", 200, false},
		{"one with a cookie", "HTTP/1.1 200 OK\nCache-Control: max-age=9\nSet-Cookie: a=b\n\nnew", 200, false},
		{"nothing any more", "HTTP/1.1 404 Not Found\nCache-Control: max-age=9\n\nnew", 404, true},
		{"an error", "HTTP/1.1 500 Oh\n\nnew", 500, false},
		{"an error that is to last", "HTTP/1.1 500 Oh\nCache-Control: max-age=9\n\nnew", 500, true},
	} {
		bubble(t, 1, nil, func(r *rig) {
			r.answers(tagged)
			r.get("/page")
			sleep(3 * time.Second)
			r.answers(c.answer)
			if a := r.get("/page"); a.status != c.status || a.body != "new" {
				t.Errorf("%s: %d %q", c.name, a.status, a.body)
			}
			if a := r.get("/page"); a.hit() != c.hit {
				t.Errorf("%s: then %s", c.name, a.verdict())
			}
			if c.name == "a private one" && r.cache.Snapshot().Keys != 0 {
				t.Error("the old answer is still there")
			}
		})
	}
}

// A 304 that is private takes the answer away from everybody else.
func TestPrivate304(t *testing.T) {
	for _, more := range []string{"", "CDN-Cache-Control: max-age=2\n"} {
		bubble(t, 1, nil, func(r *rig) {
			r.answers(strings.Replace(tagged, "ETag", more+"ETag", 1))
			r.get("/page")
			sleep(3 * time.Second)
			r.answers("HTTP/1.1 304 Not Modified\nCache-Control: private\nETag: \"v1\"")
			if a := r.get("/page"); a.status != 200 || a.body != "hello" || a.get("Cache-Control") != "private" {
				t.Errorf("%d %q %s", a.status, a.body, a.head)
			}
			if n := r.cache.Snapshot().Keys; n != 0 {
				t.Errorf("%q: %d keys", more, n)
			}
		})
	}
}

// RFC 9111 4.3.4: a 304 about something else than what is stored.
func Test304OfAnotherTag(t *testing.T) {
	bubble(t, 1, nil, func(r *rig) {
		r.answers(tagged)
		r.get("/page")
		sleep(3 * time.Second)
		r.origins(func(x *h1.Exchange) error {
			if x.Req.Header.Has(h1.IfNoneMatch) {
				x.Own.AddString("Set-Cookie", "SERVERID=A")
				return reply(x, "HTTP/1.1 304 Not Modified\nCache-Control: max-age=9\nETag: \"v2\"")
			}
			return reply(x, "HTTP/1.1 200 OK\nCache-Control: max-age=9\nETag: \"v2\"\n\nnew")
		})
		if a := r.get("/page"); a.status != 200 || a.body != "new" || a.own != "" {
			t.Errorf("%d %q, own %q", a.status, a.body, a.own)
		}
		if a := r.get("/page"); !a.hit() || a.body != "new" {
			t.Errorf("%s %q", a.verdict(), a.body)
		}
	})
}

func TestNoCacheIsAskedForEveryTime(t *testing.T) {
	bubble(t, 1, nil, func(r *rig) {
		r.answers("HTTP/1.1 200 OK\nCache-Control: no-cache\nETag: \"v1\"\n\nhello")
		r.get("/page")
		r.slowly(500*time.Millisecond, "HTTP/1.1 304 Not Modified\nCache-Control: no-cache\nETag: \"v1\"")
		r.asked()
		began := time.Now()
		var list []<-chan *answer
		for range 5 {
			list = append(list, r.start(request{text: "GET /page"}))
		}
		for _, a := range all(list) {
			if a.body != "hello" || a.hit() {
				t.Errorf("%q %s", a.body, a.verdict())
			}
		}
		if n := r.asked(); n != 5 || time.Since(began) > 600*time.Millisecond {
			t.Errorf("asked %d times in %v", n, time.Since(began))
		}
	})
}

// RFC 5861 3, and a rule's stale_for.
func TestStaleWhileRevalidate(t *testing.T) {
	for _, c := range []struct {
		name, control string
		rule          time.Duration
		stale         bool
	}{
		{"said", "max-age=2, stale-while-revalidate=60", 0, true},
		{"said with s-maxage", "s-maxage=2, stale-while-revalidate=60", 0, true},
		{"said too short", "max-age=2, stale-while-revalidate=1", 0, false},
		{"not said", "max-age=2", 0, false},
		{"by rule", "max-age=2", time.Minute, true},
		{"the server overrules the rule", "max-age=2, stale-while-revalidate=0", time.Minute, false},
		{"must-revalidate", "max-age=2, must-revalidate", time.Minute, false},
		{"must-revalidate and both", "max-age=2, must-revalidate, stale-while-revalidate=60", time.Minute, false},
		{"proxy-revalidate", "max-age=2, proxy-revalidate", time.Minute, false},
		{"s-maxage", "s-maxage=2", time.Minute, false},
		{"no-cache", "max-age=2, no-cache", time.Minute, false},
	} {
		bubble(t, 1, &Config{Rules: []*Rule{{Paths: []string{"/page"}, StaleFor: c.rule}}}, func(r *rig) {
			r.answers("HTTP/1.1 200 OK\nCache-Control: " + c.control + "\nETag: \"1\"\n\nold")
			r.get("/page\nCookie: a=1")
			sleep(4 * time.Second)
			r.origins(func(x *h1.Exchange) error {
				x.Loop.Sleep(time.Second)
				if background := x.Client == nil && !x.Req.Header.Has(h1.Cookie); background != c.stale {
					t.Errorf("%s: the request has cookies: %v", c.name, !background)
				}
				return reply(x, "HTTP/1.1 200 OK\nCache-Control: max-age=100\n\nnew")
			})
			a := r.get("/page\nCookie: a=2\nAuthorization: x\nIf-None-Match: \"9\"")
			if c.stale != (a.hit() && a.body == "old" && a.verdict() == "hit; ttl=-2") {
				t.Errorf("%s: %s %q", c.name, a.verdict(), a.body)
			}
			if !c.stale {
				return
			}
			r.get("/page") // while somebody is at it
			sleep(2 * time.Second)
			if a = r.get("/page"); a.body != "new" || !a.hit() {
				t.Errorf("%s: afterwards %s %q", c.name, a.verdict(), a.body)
			}
			if n := r.asked(); n != 2 {
				t.Errorf("%s: asked %d times", c.name, n)
			}
		})
	}
}

// What the background fetches for "this client" is nobody's.
func TestBackgroundDropsTheOwnPart(t *testing.T) {
	bubble(t, 1, nil, func(r *rig) {
		r.answers("HTTP/1.1 200 OK\nCache-Control: max-age=2, stale-while-revalidate=60\n\nold")
		r.get("/page")
		sleep(3 * time.Second)
		r.origins(func(x *h1.Exchange) error {
			x.Own.AddString("Set-Cookie", "SERVERID=A; path=/")
			return reply(x, "HTTP/1.1 200 OK\nCache-Control: max-age=100\n\nnew")
		})
		if a := r.get("/page"); a.own != "" || a.body != "old" {
			t.Errorf("own %q, %q", a.own, a.body)
		}
		sleep(time.Second)
		if a := r.get("/page"); !a.hit() || a.body != "new" || a.own != "" || a.get("Set-Cookie") != "" {
			t.Errorf("%s %q, own %q", a.verdict(), a.body, a.own)
		}
	})
}

func TestBackgroundThatBringsAPrivateAnswer(t *testing.T) {
	for _, control := range []string{"private", "no-store", "max-age=1, x=\""} {
		bubble(t, 1, nil, func(r *rig) {
			r.answers("HTTP/1.1 200 OK\nCache-Control: max-age=2, stale-while-revalidate=60\n\nold")
			r.get("/page")
			sleep(3 * time.Second)
			r.answers("HTTP/1.1 200 OK\nCache-Control: " + control + "\n\nsecret")
			r.get("/page")
			sleep(time.Second)
			if a := r.get("/page"); a.hit() || r.cache.Snapshot().Keys != 0 {
				t.Errorf("%s: %s %q", control, a.verdict(), a.body)
			}
		})
	}
}

func TestAnswersSelectedByCookiesAreNotFetchedInTheBackground(t *testing.T) {
	bubble(t, 1, nil, func(r *rig) {
		r.origins(func(x *h1.Exchange) error {
			return reply(x, "HTTP/1.1 200 OK\nCache-Control: max-age=2, stale-while-revalidate=60\nVary: Cookie\n\n"+string(x.Req.Header.Get(h1.Cookie)))
		})
		r.get("/page\nCookie: id=1")
		sleep(3 * time.Second)
		if a := r.get("/page\nCookie: id=1"); a.hit() || a.body != "id=1" {
			t.Errorf("%s %q", a.verdict(), a.body)
		}
	})
}

// RFC 5861 4, RFC 9111 4.2.4.
func TestStaleIfError(t *testing.T) {
	dead := func(x *h1.Exchange) error {
		return &h1.Error{Status: 503, Side: h1.ByServer, Err: errors.New("no server")}
	}
	gone := func(x *h1.Exchange) error { return &h1.Error{Side: h1.ByClient, Err: errors.New("gone")} }
	status := func(s string) func(x *h1.Exchange) error {
		return func(x *h1.Exchange) error {
			x.Own.AddString("Set-Cookie", "SERVERID=A")
			return reply(x, "HTTP/1.1 "+s+"\n\noops")
		}
	}
	for _, c := range []struct {
		name, control string
		after         time.Duration
		rule          time.Duration
		origin        func(x *h1.Exchange) error
		stale         bool
	}{
		{"nobody can be asked", "max-age=2", 3 * time.Second, 0, dead, true},
		{"for long", "max-age=2", time.Hour, 0, dead, false},
		{"500, and nothing said", "max-age=2", 3 * time.Second, 0, status("500 Oh"), false},
		{"500, allowed", "max-age=2, stale-if-error=60", 3 * time.Second, 0, status("500 Oh"), true},
		{"503, allowed", "max-age=2, stale-if-error=60", 3 * time.Second, 0, status("503 Oh"), true},
		{"503, too late", "max-age=2, stale-if-error=60", 63 * time.Second, 0, status("503 Oh"), false},
		{"404 is an answer", "max-age=2, stale-if-error=60", 3 * time.Second, 0, status("404 No"), false},
		{"by rule", "max-age=2", time.Hour, 2 * time.Hour, dead, true},
		{"by rule, 502", "max-age=2, stale-while-revalidate=0", time.Hour, 2 * time.Hour, status("502 Oh"), true},
		{"must-revalidate", "max-age=2, must-revalidate", 3 * time.Second, time.Hour, dead, false},
		{"proxy-revalidate", "max-age=2, proxy-revalidate", 3 * time.Second, time.Hour, dead, false},
		{"s-maxage", "s-maxage=2", 3 * time.Second, time.Hour, dead, false},
		{"no-cache", "max-age=2, no-cache, stale-if-error=60", 3 * time.Second, time.Hour, dead, false},
		{"the client's own fault", "max-age=2", 3 * time.Second, 0, gone, false},
	} {
		bubble(t, 1, &Config{Rules: []*Rule{{Paths: []string{"/page"}, StaleFor: c.rule}}}, func(r *rig) {
			r.answers("HTTP/1.1 200 OK\nCache-Control: " + c.control + "\nETag: \"1\"\n\nold")
			r.get("/page")
			sleep(c.after)
			r.origins(c.origin)
			a := <-r.start(request{text: "GET /page"})
			if stale := a.err == nil && a.status == 200 && a.body == "old" && a.hit(); stale != c.stale {
				t.Errorf("%s: %d %q %v", c.name, a.status, a.body, a.err)
			}
			if c.stale && a.own != "" {
				t.Errorf("%s: own %q", c.name, a.own)
			}
		})
	}
}

func TestVerdictOfWhatComesWithoutACache(t *testing.T) {
	bubble(t, 1, nil, func(r *rig) {
		r.answers("HTTP/1.1 200 OK\nCache-Status: origin; hit\nCache-Control: max-age=60\n\nhello")
		r.get("/page")
		a := r.get("/page")
		if want := "Cache-Status: origin; hit\r\n"; !strings.Contains(a.head, want) || !a.hit() {
			t.Errorf("%s", a.head)
		}
	})
}

// What no-cache="…" and private="…" name goes to the client that asked, and into no store: by a 304 no more than by a 200.
func TestHiddenFieldsOf304AreNotStored(t *testing.T) {
	for _, control := range []string{`max-age=9, private="X-User"`, `max-age=9, no-cache="X-Other, x-user"`} {
		bubble(t, 1, nil, func(r *rig) {
			r.answers(tagged)
			r.get("/page")
			sleep(3 * time.Second)
			r.answers("HTTP/1.1 304 Not Modified\nCache-Control: " + control + "\nETag: \"v1\"\nX-User: ann\nX-New: 2")
			if a := r.get("/page"); a.body != "hello" || a.get("X-User") != "ann" {
				t.Errorf("%s: %q %s", control, a.body, a.head)
			}
			if a := r.get("/page"); !a.hit() || a.get("X-User") != "" || a.get("X-New") != "2" {
				t.Errorf("%s: then %s: %s", control, a.verdict(), a.head)
			}
		})
	}
}

// unsafe_store_set_cookie is what RFC 9111 says of Set-Cookie: nothing. What else keeps an answer out of the store goes on doing so.
func TestUnsafeStoreSetCookie(t *testing.T) {
	const fresh = "HTTP/1.1 200 OK\nCache-Control: max-age=9\nSet-Cookie: a=1\nSet-Cookie: b=2"
	for _, c := range []struct {
		name, head string
		own        bool
		want       string
		hit        bool
	}{
		{"cookies", fresh, false, "a=1", true},
		{"hidden cookies", fresh + "\nCache-Control: no-cache=\"Set-Cookie\"", false, "", true},
		{"private", fresh + "\nCache-Control: private", false, "", false},
		{"a guess, for a client with cookies", "HTTP/1.1 200 OK\nLast-Modified: Thu, 30 Dec 1999 00:00:00 GMT\nSet-Cookie: a=1", false, "", false},
		{"a persistence cookie", fresh, true, "", false},
	} {
		bubble(t, 1, &Config{UnsafeStoreSetCookie: true}, func(r *rig) {
			r.origins(func(x *h1.Exchange) error {
				if c.own {
					x.Own.AddString("Set-Cookie", "SERVERID=A")
				}
				return reply(x, c.head+"\n\nhello")
			})
			first := r.get("/\nCookie: c=3")
			if first.get("Set-Cookie") != "a=1" {
				t.Errorf("%s: %s", c.name, first.head)
			}
			r.answers(fresh + "\n\nother")
			a := r.get("/\nCookie: c=3")
			if a.hit() != c.hit || c.hit && a.get("Set-Cookie") != c.want {
				t.Errorf("%s: %s: %s", c.name, a.verdict(), a.head)
			}
		})
	}
	bubble(t, 1, &Config{UnsafeStoreSetCookie: true}, func(r *rig) {
		r.answers(tagged)
		r.get("/page")
		sleep(3 * time.Second)
		r.answers("HTTP/1.1 304 Not Modified\nCache-Control: max-age=100\nETag: \"v1\"\nSet-Cookie: id=7")
		for range 2 {
			if a := r.get("/page"); a.get("Set-Cookie") != "id=7" || strings.Count(a.head, "Set-Cookie") != 1 {
				t.Errorf("by a 304: %s: %s", a.verdict(), a.head)
			}
		}
	})
}
