package cache

import (
	"strings"
	"testing"
	"time"

	"gatehouse/backend/h1"
)

// TestStorability is RFC 9111 3 and 3.5, and what gatehouse is more careful about. The clock of a bubble begins at 2000-01-01.
func TestStorability(t *testing.T) {
	const later, earlier = "Sat, 01 Jan 2000 01:00:00 GMT", "Fri, 24 Dec 1999 00:00:00 GMT"
	for _, c := range []struct {
		name, request, head string
		detail              string // "": stored
	}{
		{"max-age", "", "HTTP/1.1 200 OK\nCache-Control: max-age=60", ""},
		{"s-maxage", "", "HTTP/1.1 200 OK\nCache-Control: s-maxage=60", ""},
		{"Expires", "", "HTTP/1.1 200 OK\nExpires: " + later, ""},
		{"Last-Modified alone", "", "HTTP/1.1 200 OK\nLast-Modified: " + earlier, ""},
		{"ETag alone, to be validated", "", "HTTP/1.1 200 OK\nETag: \"1\"", ""},
		{"nothing", "", "HTTP/1.1 200 OK", "NO-FRESHNESS"},
		{"public alone", "", "HTTP/1.1 200 OK\nCache-Control: public", "NO-FRESHNESS"},
		{"already stale", "", "HTTP/1.1 200 OK\nCache-Control: max-age=60\nAge: 61", "NO-FRESHNESS"},
		{"Expires: 0", "", "HTTP/1.1 200 OK\nExpires: 0", "NO-FRESHNESS"},

		{"private", "", "HTTP/1.1 200 OK\nCache-Control: private", "PRIVATE"},
		{"private after public", "", "HTTP/1.1 200 OK\nCache-Control: public, max-age=60, private", "PRIVATE"},
		{"private before public", "", "HTTP/1.1 200 OK\nCache-Control: private, public, max-age=60", "PRIVATE"},
		{"private on another line", "", "HTTP/1.1 200 OK\nCache-Control: public, max-age=60\ncache-control: PRIVATE", "PRIVATE"},
		{"no-store", "", "HTTP/1.1 200 OK\nCache-Control: max-age=60, No-Store", "NO-STORE"},
		{"no-store with must-understand", "", "HTTP/1.1 200 OK\nCache-Control: max-age=60, must-understand, no-store", ""},
		{"no-store with must-understand, and not stored", "", "HTTP/1.1 405 No\nCache-Control: max-age=60, must-understand, no-store", "NO-STORE"},
		{"no-store with must-understand, and not known", "", "HTTP/1.1 599 Hm\nCache-Control: max-age=60, must-understand, no-store", "NO-STORE"},
		{"must-understand, and not known", "", "HTTP/1.1 599 Hm\nCache-Control: max-age=60, must-understand", "NO-STORE"},
		{"not known", "", "HTTP/1.1 599 Hm\nCache-Control: max-age=60", ""},
		{"unterminated quote", "", "HTTP/1.1 200 OK\nCache-Control: max-age=60, x=\"", "MALFORMED"},

		{"Authorization", "Authorization: Basic eA==", "HTTP/1.1 200 OK\nCache-Control: max-age=60", "AUTH"},
		{"Authorization and public", "Authorization: Basic eA==", "HTTP/1.1 200 OK\nCache-Control: max-age=60, public", ""},
		{"Authorization and s-maxage", "Authorization: Basic eA==", "HTTP/1.1 200 OK\nCache-Control: s-maxage=60", ""},
		{"Authorization and must-revalidate", "Authorization: Basic eA==", "HTTP/1.1 200 OK\nCache-Control: max-age=60, must-revalidate", ""},
		{"Authorization and a ttl", "Authorization: Basic eA==", "HTTP/1.1 200 OK\nETag: \"1\"", "AUTH"},

		{"Set-Cookie", "", "HTTP/1.1 200 OK\nCache-Control: max-age=60\nSet-Cookie: a=b", "SET-COOKIE"},
		{"Set-Cookie and public", "", "HTTP/1.1 200 OK\nCache-Control: public, s-maxage=60\nset-cookie: a=b", "SET-COOKIE"},
		{"Set-Cookie that is named", "", "HTTP/1.1 200 OK\nCache-Control: max-age=60, no-cache=\"Set-Cookie\"\nSet-Cookie: a=b", ""},
		{"Set-Cookie that is named private", "", "HTTP/1.1 200 OK\nCache-Control: max-age=60, private=\"X, set-cookie\"\nSet-Cookie: a=b", ""},
		{"cookies and a guess", "Cookie: id=1", "HTTP/1.1 200 OK\nLast-Modified: " + earlier, "COOKIE"},
		{"cookies and a word", "Cookie: id=1", "HTTP/1.1 200 OK\nCache-Control: max-age=60", ""},

		{"Vary: *", "", "HTTP/1.1 200 OK\nCache-Control: max-age=60\nVary: Accept, *", "VARY-STAR"},
		{"Vary with a hole", "", "HTTP/1.1 200 OK\nCache-Control: max-age=60\nVary: a b", "VARY"},
		{"a coding that is not folded", "", "HTTP/1.1 200 OK\nCache-Control: max-age=60\nVary: accept-encoding\nContent-Encoding: deflate", "CODING"},
		{"a coding that is for everybody", "", "HTTP/1.1 200 OK\nCache-Control: max-age=60\nContent-Encoding: deflate", ""},

		{"301 without a word", "", "HTTP/1.1 301 Moved\nLast-Modified: " + earlier, ""},
		{"302 without a word", "", "HTTP/1.1 302 Found\nLast-Modified: " + earlier, "STATUS"},
		{"302 with a word", "", "HTTP/1.1 302 Found\nCache-Control: max-age=60", ""},
		{"299 with a word", "", "HTTP/1.1 299 Fine\nCache-Control: max-age=60", ""},
		{"404 with a word", "", "HTTP/1.1 404 Not Found\nCache-Control: max-age=60", ""},
		{"410 with a word", "", "HTTP/1.1 410 Gone\nCache-Control: max-age=60", ""},
		{"400 with a word", "", "HTTP/1.1 400 Bad Request\nCache-Control: max-age=60", "STATUS"},
		{"403 with a word", "", "HTTP/1.1 403 Forbidden\nCache-Control: max-age=60", "STATUS"},
		{"501 with a word", "", "HTTP/1.1 501 No\nCache-Control: max-age=60", "STATUS"},
		{"503 with a word", "", "HTTP/1.1 503 No\nCache-Control: max-age=60", ""},
		{"503 without a word", "", "HTTP/1.1 503 No\nLast-Modified: " + earlier, "STATUS"},
		{"206 that nobody asked for", "", "HTTP/1.1 206 Part\nCache-Control: max-age=60\nContent-Range: bytes 0-4/9", "STATUS"},
		{"304 that nobody asked for", "", "HTTP/1.1 304 Not Modified\nCache-Control: max-age=60", "STATUS"},

		{"CDN-Cache-Control allows", "", "HTTP/1.1 200 OK\nCache-Control: no-store\nCDN-Cache-Control: max-age=60", ""},
		{"CDN-Cache-Control forbids", "", "HTTP/1.1 200 OK\nCache-Control: max-age=60\nCDN-Cache-Control: private", "PRIVATE"},
		{"CDN-Cache-Control is no dictionary", "", "HTTP/1.1 200 OK\nCache-Control: no-store\nCDN-Cache-Control: max-age=60, &", "NO-STORE"},
		{"CDN-Cache-Control and Expires", "", "HTTP/1.1 200 OK\nExpires: " + later + "\nCDN-Cache-Control: must-revalidate", "NO-FRESHNESS"},
		{"too large", "", "HTTP/1.1 200 OK\nCache-Control: max-age=60\nContent-Length: 9000000", "TOO-LARGE"},
		{"request with no-store", "Cache-Control: no-store", "HTTP/1.1 200 OK\nCache-Control: max-age=60", "REQUEST-NO-STORE"},
		{"request for a range", "Range: bytes=0-1", "HTTP/1.1 200 OK\nCache-Control: max-age=60", ""},
		{"request for a range, answered so", "Range: bytes=0-4", "HTTP/1.1 206 Partial Content\nContent-Range: bytes 0-4/8", "RANGE"},
	} {
		bubble(t, 1, nil, func(r *rig) {
			r.origins(func(x *h1.Exchange) error {
				if strings.Contains(c.head, "Content-Length: 9") {
					err := parseHead(x, c.head)
					x.Resp.Body = &pieces{list: []string{strings.Repeat("x", 9000000)}}
					return err
				}
				return reply(x, c.head+"\n\nhello")
			})
			a := r.get("/page\n" + c.request)
			_, detail, _ := strings.Cut(a.verdict(), "detail=")
			if detail != c.detail || (detail == "") != strings.HasSuffix(a.verdict(), "; stored") {
				t.Errorf("%s: %s, want %q", c.name, a.verdict(), c.detail)
			}
			if keys := r.cache.Snapshot().Keys; keys > 0 != (c.detail == "") {
				t.Errorf("%s: %d keys", c.name, keys)
			}
			if strings.Contains(c.head, "et-Cookie: a=b") || strings.Contains(c.head, "et-cookie: a=b") {
				if a.get("Set-Cookie") != "a=b" {
					t.Errorf("%s: the cookie did not reach its client", c.name)
				}
				if b := r.get("/page"); b.hit() && b.get("Set-Cookie") != "" {
					t.Errorf("%s: replayed %q", c.name, b.get("Set-Cookie"))
				}
			}
		})
	}
}

// TestFreshness is RFC 9111 4.2.
func TestFreshness(t *testing.T) {
	for _, c := range []struct {
		name, head string
		life       time.Duration // for how long it is fresh in our hands
	}{
		{"max-age", "Cache-Control: max-age=100", 100 * time.Second},
		{"s-maxage overrules", "Cache-Control: max-age=100, s-maxage=50", 50 * time.Second},
		{"s-maxage overrules, longer", "Cache-Control: s-maxage=200, max-age=100", 200 * time.Second},
		{"Expires is overruled", "Cache-Control: max-age=100\nExpires: Sat, 01 Jan 2000 01:00:00 GMT", 100 * time.Second},
		{"Expires", "Expires: Sat, 01 Jan 2000 00:01:40 GMT", 100 * time.Second},
		{"Expires counts from Date", "Date: Fri, 31 Dec 1999 23:59:00 GMT\nExpires: Sat, 01 Jan 2000 00:01:40 GMT", 100 * time.Second},
		{"two Expires", "Expires: Sat, 01 Jan 2000 00:01:40 GMT\nExpires: Sat, 01 Jan 2000 00:01:40 GMT\nETag: \"1\"", 0},
		{"Age", "Cache-Control: max-age=100\nAge: 30", 70 * time.Second},
		{"Date is an age too", "Cache-Control: max-age=100\nDate: Fri, 31 Dec 1999 23:59:50 GMT", 90 * time.Second},
		{"the greater counts", "Cache-Control: max-age=100\nDate: Fri, 31 Dec 1999 23:59:50 GMT\nAge: 30", 70 * time.Second},
		{"a Date to come", "Cache-Control: max-age=100\nDate: Sat, 01 Jan 2000 01:00:00 GMT", 100 * time.Second},
		{"Age that is no number", "Cache-Control: max-age=100\nAge: x", 100 * time.Second},
		{"negative Age", "Cache-Control: max-age=100\nAge: -30", 100 * time.Second},
		{"list of Ages", "Cache-Control: max-age=100\nAge: 30, 60", 70 * time.Second},
		{"two Ages", "Cache-Control: max-age=100\nAge: 30\nAge: 60", 70 * time.Second},
		{"a very large Age", "Cache-Control: max-age=100\nAge: 99999999999999999999\nETag: \"1\"", 0},
		{"dates in other letters", "Date: SAT, 01 jan 2000 00:00:00 gmt\nExpires: sat, 01 JAN 2000 00:01:40 Gmt", 100 * time.Second},
		{"no-cache", "Cache-Control: max-age=100, no-cache\nETag: \"1\"", 0},
		{"a tenth of its age", "Last-Modified: Fri, 31 Dec 1999 23:43:20 GMT", 100 * time.Second},
		{"a day at most", "Last-Modified: Wed, 01 Jan 1997 00:00:00 GMT", 24 * time.Hour},
		{"no guess beside a word", "Cache-Control: max-age=0\nLast-Modified: Wed, 01 Jan 1997 00:00:00 GMT", 0},
		{"CDN-Cache-Control", "Cache-Control: max-age=5\nCDN-Cache-Control: max-age=100", 100 * time.Second},
	} {
		bubble(t, 1, nil, func(r *rig) {
			r.answers("HTTP/1.1 200 OK\n" + c.head + "\n\nhello")
			r.get("/page")
			if c.life == 0 {
				if a := r.get("/page"); a.hit() {
					t.Errorf("%s: %s at once", c.name, a.verdict())
				}
				return
			}
			sleep(c.life - time.Second)
			if a := r.get("/page"); !a.hit() {
				t.Errorf("%s: %s before its time", c.name, a.verdict())
			}
			sleep(2 * time.Second)
			if a := r.get("/page"); a.hit() {
				t.Errorf("%s: %s after its time", c.name, a.verdict())
			}
		})
	}
}

func TestAgeIsKeptUpWith(t *testing.T) {
	bubble(t, 1, nil, func(r *rig) {
		r.answers("HTTP/1.1 200 OK\nCache-Control: max-age=100\nAge: 30\n\nhello")
		if a := r.get("/page"); a.get("Age") != "30" {
			t.Errorf("first: Age %s", a.get("Age"))
		}
		sleep(5 * time.Second)
		a := r.get("/page")
		if a.get("Age") != "35" || strings.Count(a.head, "Age: ") != 1 || a.get("Date") != "Sat, 01 Jan 2000 00:00:00 GMT" {
			t.Errorf("then: %s", a.head)
		}
	})
}

func TestFieldsOfOneConnectionOrClientAreNotStored(t *testing.T) {
	bubble(t, 1, nil, func(r *rig) {
		r.answers("HTTP/1.1 200 OK\nCache-Control: max-age=100, private=\"X-User\"\nX-User: anna\nX-Page: 1\nProxy-Authenticate: x\n" +
			"Proxy-Authentication-Info: x\nSet-Cookie2: x\nConnection: X-Hop\nX-Hop: 1\nKeep-Alive: x\n\nhello")
		if a := r.get("/page"); a.get("X-User") != "anna" {
			t.Errorf("its own client does not get it: %s", a.head)
		}
		a := r.get("/page")
		for _, name := range []string{"X-User", "Proxy-Authenticate", "Proxy-Authentication-Info", "Set-Cookie2", "X-Hop", "Keep-Alive", "Connection"} {
			if a.field.IndexName(name, 0) >= 0 {
				t.Errorf("%s was stored", name)
			}
		}
		if !a.hit() || a.get("X-Page") != "1" {
			t.Errorf("%s: %s", a.verdict(), a.head)
		}
	})
}

// An answer with a part for one client alone.
func TestOwnPart(t *testing.T) {
	const own = "Set-Cookie: SERVERID=A; path=/\r\n"
	for _, newcomers := range []bool{false, true} {
		bubble(t, 1, &Config{FillFromNewcomers: newcomers}, func(r *rig) {
			r.origins(func(x *h1.Exchange) error {
				if !x.Req.Header.Has(h1.Cookie) {
					x.Own.AddString("Set-Cookie", "SERVERID=A; path=/")
				}
				x.Req.Header.Del(h1.Cookie) // as indirect does
				return reply(x, fresh)
			})
			if a := r.get("/page"); a.own != own || strings.HasSuffix(a.verdict(), "stored") != newcomers {
				t.Errorf("newcomer: own %q, %s", a.own, a.verdict())
			}
			a := r.get("/page")
			if a.hit() != newcomers || a.hit() && (a.own != "" || a.get("Set-Cookie") != "") {
				t.Errorf("second newcomer: %s, own %q", a.verdict(), a.own)
			}
			r.get("/page\nCookie: SERVERID=A")
			if a := r.get("/page"); !a.hit() || a.own != "" || a.get("Set-Cookie") != "" {
				t.Errorf("newcomer after a holder: %s, own %q, %s", a.verdict(), a.own, a.head)
			}
		})
	}
}

func TestRules(t *testing.T) {
	c := &Config{Rules: []*Rule{
		{Paths: []string{"/assets/*", "/logo.png"}, TTL: time.Minute},
		{Paths: []string{"/errors/*"}, Errors: true},
	}}
	for _, q := range []struct {
		name, request, head string
		stored              bool
	}{
		{"ttl", "/assets/a.css", "HTTP/1.1 200 OK", true},
		{"ttl, one file", "/logo.png?v=1", "HTTP/1.1 200 OK", true},
		{"not in the rule", "/logo.png/x", "HTTP/1.1 200 OK", false},
		{"the folder itself", "/assets/", "HTTP/1.1 200 OK", false},
		{"beyond ASCII", "/assets/caf%C3%A9%20noir.css", "HTTP/1.1 200 OK", true},
		{"a path that leads elsewhere", "/assets/..%2faccount", "HTTP/1.1 200 OK", false},
		{"dots", "/assets/../account", "HTTP/1.1 200 OK", false},
		{"two slashes", "/assets//account", "HTTP/1.1 200 OK", false},
		{"parameters", "/assets/x;jsessionid=1", "HTTP/1.1 200 OK", false},
		{"a backslash", "/assets/..\\account", "HTTP/1.1 200 OK", false},
		{"an encoded letter", "/assets/%61", "HTTP/1.1 200 OK", false},
		{"NUL", "/assets/a%00", "HTTP/1.1 200 OK", false},
		{"private", "/assets/a", "HTTP/1.1 200 OK\nCache-Control: private", false},
		{"no-store", "/assets/a", "HTTP/1.1 200 OK\nCache-Control: no-store", false},
		{"no-cache", "/assets/a", "HTTP/1.1 200 OK\nCache-Control: no-cache", false},
		{"max-age=0", "/assets/a", "HTTP/1.1 200 OK\nCache-Control: max-age=0", false},
		{"Set-Cookie", "/assets/a", "HTTP/1.1 200 OK\nSet-Cookie: a=b", false},
		{"Authorization", "/assets/a\nAuthorization: x", "HTTP/1.1 200 OK", false},
		{"302", "/assets/a", "HTTP/1.1 302 Found", false},
		{"404", "/assets/a", "HTTP/1.1 404 Not Found", false},
		{"500", "/assets/a", "HTTP/1.1 500 Oh", false},
		{"errors, 403", "/errors/a", "HTTP/1.1 403 No\nCache-Control: max-age=60", true},
		{"errors, 501", "/errors/a", "HTTP/1.1 501 No\nCache-Control: max-age=60", true},
		{"errors, 401", "/errors/a", "HTTP/1.1 401 No\nCache-Control: max-age=60", false},
		{"errors without a word", "/errors/a", "HTTP/1.1 403 No", false},
	} {
		bubble(t, 1, c, func(r *rig) {
			r.answers(q.head + "\n\nhello")
			r.get(q.request)
			if a := r.get(q.request); a.hit() != q.stored {
				t.Errorf("%s: %s", q.name, a.verdict())
			}
		})
	}
}

// "The response delay" counts as age: nobody knows when the server looked (RFC 9111 4.2.3).
func TestSlowAnswerIsOldWhenItComes(t *testing.T) {
	for head, want := range map[string]string{"": "10", "Age: 5\n": "15"} {
		bubble(t, 1, nil, func(r *rig) {
			r.slowly(10*time.Second, "HTTP/1.1 200 OK\nCache-Control: max-age=100\n"+head+"\nhello")
			r.get("/page")
			if a := r.get("/page"); !a.hit() || a.get("Age") != want {
				t.Errorf("%q: %s, Age %s, want %s", head, a.verdict(), a.get("Age"), want)
			}
		})
	}
}
