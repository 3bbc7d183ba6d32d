package cache

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/backend/h1"
)

// What somebody does who wants the cache to give others what he likes, or what is theirs.

// TestUnkeyedFieldsPoisonNothing: fields that make some servers answer something else than what the URL says leave nothing behind for
// those who do not send them, nor for those who send others.
func TestUnkeyedFieldsPoisonNothing(t *testing.T) {
	for _, field := range []string{
		"X-Forwarded-Host: evil", "x-forwarded-host: evil", "X-Forwarded-Proto: evil", "X-Forwarded-Scheme: evil", "X-Forwarded-Port: evil",
		"X-Forwarded-Prefix: /evil", "X-Forwarded-Server: evil", "X-Forwarded-Path: /evil", "Forwarded: host=evil", "X-Original-URL: /evil",
		"X-Rewrite-URL: /evil", "X-HTTP-Method-Override: EVIL", "X-HTTP-Method: EVIL", "X-Method-Override: EVIL", "X-Original-Host: evil", "X-Host: evil",
	} {
		bubble(t, 1, nil, func(r *rig) {
			r.origins(func(x *h1.Exchange) error {
				return reply(x, "HTTP/1.1 200 OK\nCache-Control: public, max-age=60\n\n"+strings.ToLower(string(x.Req.Header.AppendTo(nil))))
			})
			if a := r.get("/\n" + field); !strings.Contains(a.body, "evil") {
				t.Fatalf("%s: the server did not get it", field)
			}
			if a := r.get("/"); strings.Contains(a.body, "evil") {
				t.Errorf("%s: another client got %q", field, a.body)
			}
			name, _, _ := strings.Cut(field, ":")
			if a := r.get("/\n" + name + ": other"); strings.Contains(a.body, "evil") {
				t.Errorf("%s: who sent another one got %q", field, a.body)
			}
		})
	}
}

// TestPathsDeceiveNobody: a page of one visitor is not stored because its URL looks like a file that everybody may have, whatever a rule
// says of such files.
func TestPathsDeceiveNobody(t *testing.T) {
	c := &Config{Rules: []*Rule{{Paths: []string{"/assets/*", "/account/x.css"}, TTL: time.Hour}}}
	for _, target := range []string{
		"/account/x.css", "/account;x.css", "/account/x.css?a.css", "/account%2fx.css", "/account%3bx.css", "/account%0ax.css", "/account/%2e%2e/x.css",
		"/assets/..%2faccount", "/assets/%2e%2e/account", "/assets/../account", "/assets//account", "/assets/..;/account", "/assets/..%5caccount",
		"/assets/%00account.css", "/assets/x%23.css", "/assets/x%3f.css", "/assets/%252e%252e/account", "/assets/./account",
	} {
		for _, head := range []string{
			"HTTP/1.1 200 OK\nCache-Control: private",
			"HTTP/1.1 200 OK\nCache-Control: no-store",
			"HTTP/1.1 200 OK\nSet-Cookie: id=1",
			"HTTP/1.1 200 OK",
		} {
			said := strings.Contains(head, "\n")
			if !said && strings.HasPrefix(target, "/account/x.css") {
				continue // the rule says that this one is for everybody, and the server does not contradict it
			}
			bubble(t, 1, c, func(r *rig) {
				r.answers(head + "\n\nann's page")
				r.get(target + "\nCookie: user=ann")
				r.answers(head + "\n\nsomething else")
				for _, who := range []string{"", "\nCookie: user=bob"} {
					if a := r.get(target + who); a.hit() || strings.Contains(a.body, "ann") {
						t.Errorf("%s, %q: %s, %q", target, head, a.verdict(), a.body)
					}
				}
			})
		}
	}
}

// TestErrorsOfOneRequestAreNotStored: an error that the fields of a request have made is nobody else's, even where the server says that it
// may be kept.
func TestErrorsOfOneRequestAreNotStored(t *testing.T) {
	for _, status := range []int{400, 401, 403, 405, 406, 407, 408, 411, 412, 413, 414, 415, 416, 417, 421, 422, 425, 426, 428, 429, 431, 501, 505, 511} {
		for _, field := range []string{"X-Big: " + strings.Repeat("x", 9000), "X-Meta: \x7f", "X-HTTP-Method-Override: DELETE", "Accept: nothing"} {
			bubble(t, 1, nil, func(r *rig) {
				r.origins(func(x *h1.Exchange) error {
					name, _, _ := strings.Cut(field, ":")
					if x.Req.Header.IndexName(name, 0) >= 0 {
						return reply(x, fmt.Sprintf("HTTP/1.1 %d Bad\nCache-Control: public, max-age=60\n\nbad", status))
					}
					return reply(x, fresh)
				})
				x := r.do(request{text: "GET /\n" + strings.ReplaceAll(field, "\x7f", "%7f")})
				if a := r.get("/"); x.body != "bad" || a.status != 200 || a.body != "hello" {
					t.Errorf("%d by %.20s: %d, then %d %q", status, field, x.status, a.status, a.body)
				}
			})
		}
	}
}

// TestWhatIsNotAWholeAnswerIsNoAnswer: parts, heads and validations are not stored as if they were the whole.
func TestWhatIsNotAWholeAnswerIsNoAnswer(t *testing.T) {
	for _, c := range []struct{ name, ask, answer string }{
		{"a range", "GET /\nRange: bytes=0-1", "HTTP/1.1 206 Partial Content\nCache-Control: public, max-age=60\nContent-Range: bytes 0-1/5\n\nhe"},
		{"a range nobody asked for", "GET /", "HTTP/1.1 206 Partial Content\nCache-Control: public, max-age=60\nContent-Range: bytes 0-1/5\n\nhe"},
		{"a range that is not there", "GET /\nRange: bytes=9-", "HTTP/1.1 416 No\nCache-Control: public, max-age=60\nContent-Range: bytes */5\n\n"},
		{"an answer to HEAD", "HEAD /", "HTTP/1.1 200 OK\nCache-Control: public, max-age=60\nContent-Length: 99\n\n"},
		{"a validation for the client", "GET /\nIf-None-Match: \"x\"", "HTTP/1.1 304 Not Modified\nCache-Control: public, max-age=60\nETag: \"x\"\n\n"},
		{"a validation by date", "GET /\nIf-Modified-Since: Thu, 30 Dec 1999 00:00:00 GMT", "HTTP/1.1 304 Not Modified\nCache-Control: public, max-age=60\n\n"},
		{"for everything that nobody knows", "GET /", "HTTP/1.1 200 OK\nCache-Control: public, max-age=60\nVary: *\n\nbad"},
		{"among other fields", "GET /", "HTTP/1.1 200 OK\nCache-Control: public, max-age=60\nVary: Accept, *\n\nbad"},
		{"until the connection ends", "GET /", "HTTP/1.0 200 OK\nCache-Control: public, max-age=60\nTransfer-Encoding: identity\n\nbad"},
	} {
		bubble(t, 1, nil, func(r *rig) {
			r.answers(c.answer)
			<-r.start(request{text: c.ask})
			r.answers(fresh)
			if a := r.get("/"); a.hit() || a.status != 200 || a.body != "hello" {
				t.Errorf("%s: %d %q, %s", c.name, a.status, a.body, a.verdict())
			}
		})
	}
}

// TestContentOfARequestIsNotKeyed: a GET with content, which some servers read, gets nothing from the store and leaves nothing in it.
func TestContentOfARequestIsNotKeyed(t *testing.T) {
	bubble(t, 1, nil, func(r *rig) {
		r.answers("HTTP/1.1 200 OK\nCache-Control: public, max-age=60\n\nevil")
		for _, q := range []string{"GET /\nContent-Length: 4", "GET /\nTransfer-Encoding: chunked", "HEAD /\nContent-Length: 4"} {
			if a := r.do(request{text: q}); a.verdict() != "fwd=request; fwd-status=200; detail=CONTENT" {
				t.Errorf("%q: %s", q, a.verdict())
			}
		}
		r.answers(fresh)
		if a := r.get("/"); a.body != "hello" {
			t.Errorf("%s %q", a.verdict(), a.body)
		}
		if a := r.do(request{text: "GET /\nContent-Length: 4"}); a.hit() {
			t.Errorf("with content: %s", a.verdict())
		}
	})
}

// TestStampede: a thousand clients ask for what has just expired. The server is asked once, and when it fails nobody waits any longer than
// for that.
func TestStampede(t *testing.T) {
	const slow = time.Second
	failure := &h1.Error{Status: 503, Side: h1.ByServer, Err: errors.New("no server")}
	for _, c := range []struct {
		name, stored string
		age          time.Duration
		answer       string // "": it fails
		most         int64  // how often it may be asked
		body         string // "": an error
		atOnce       bool   // nobody waits
	}{
		{"a new one", "max-age=2", 3 * time.Second, "HTTP/1.1 200 OK\nCache-Control: max-age=60\n\nnew", 1, "new", false},
		{"still good", "max-age=2", 3 * time.Second, "HTTP/1.1 304 Not Modified\nCache-Control: max-age=60\nETag: \"1\"", 1, "old", false},
		{"in the background", "max-age=2, stale-while-revalidate=60", 3 * time.Second, "HTTP/1.1 200 OK\nCache-Control: max-age=60\n\nnew", 1, "old", true},
		{"an error that may be hidden", "max-age=2, stale-if-error=60", 3 * time.Second, "HTTP/1.1 500 Oh\n\nbad", 1, "old", false},
		{"no server", "max-age=2", 3 * time.Second, "", 1, "old", false},
		{"no server, and nothing may be hidden", "max-age=2, must-revalidate", 3 * time.Second, "", 1 + 1000, "", false},
	} {
		bubble(t, 2, nil, func(r *rig) {
			r.answers("HTTP/1.1 200 OK\nETag: \"1\"\nCache-Control: " + c.stored + "\n\nold")
			r.get("/")
			sleep(c.age)
			var asked atomic.Int64
			r.origins(func(x *h1.Exchange) error {
				asked.Add(1)
				x.Loop.Sleep(slow)
				if c.answer == "" {
					return failure
				}
				return reply(x, c.answer)
			})
			var list []<-chan *answer
			for i := range 1000 {
				list = append(list, r.start(request{text: "GET /\nCookie: a=b", loop: i % 2}))
			}
			for i, a := range all(list) {
				if c.body == "" {
					if a.err == nil {
						t.Fatalf("%s: client %d got %q", c.name, i, a.body)
					}
				} else if a.err != nil || a.body != c.body {
					t.Fatalf("%s: client %d got %q, %v", c.name, i, a.body, a.err)
				}
				most := 2*slow + 200*time.Millisecond
				if c.atOnce {
					most = 0
				} else if c.most == 1 {
					most = slow + 100*time.Millisecond
				}
				if a.took > most {
					t.Fatalf("%s: client %d waited for %v", c.name, i, a.took)
				}
			}
			sleep(10 * time.Second)
			if n := asked.Load(); n > c.most {
				t.Errorf("%s: the server was asked %d times, want at most %d", c.name, n, c.most)
			}
			if n := r.cache.Snapshot().Filling; n != 0 {
				t.Errorf("%s: %d bytes are still being filled", c.name, n)
			}
			for i := range r.cache.store.shards {
				if n := len(r.cache.store.shards[i].fills); n != 0 {
					t.Errorf("%s: %d fills are left", c.name, n)
				}
			}
		})
	}
}
