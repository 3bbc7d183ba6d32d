package house_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

// everywhere tells a story in the clear and over TLS.
func everywhere(t *testing.T, story func(t *testing.T, tls bool)) {
	t.Run("clear", func(t *testing.T) { story(t, false) })
	t.Run("tls", func(t *testing.T) { story(t, true) })
}

// TestHeadsPassUnchanged compares every byte of what goes out with what came in: order and spelling are the sender's.
func TestHeadsPassUnchanged(t *testing.T) {
	everywhere(t, func(t *testing.T, tls bool) {
		o := newOrigin(t, say("HTTP/1.1 299 Some Reason!\r\nserver: x\r\nX-b:  two \r\nDATE: Mon, 01 Jan 2001 00:00:00 GMT\r\nset-Cookie: a=1\r\nSet-cookie: b=2\r\nx-B: three\r\nContent-length: 2\r\nConnection: X-Hop, keep-alive\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n\r\nok"))
		r := build(t, plan{servers: []*origin{o}, tls: tls})
		c := r.client()
		a := c.ask("GET /p?q=1&r HTTP/1.1\r\nhOST: a.test\r\nB:  1\r\nA: 2 \r\nb: 3\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nTE: trailers\r\nProxy-Connection: keep-alive\r\nuser-agent: \xe9\r\n\r\n")
		proto := "http"
		if tls {
			proto = "https"
		}
		if got, want := o.seen(), "GET /p?q=1&r HTTP/1.1\r\nhOST: a.test\r\nB:  1\r\nA: 2 \r\nb: 3\r\nuser-agent: \xe9\r\nX-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: "+proto+"\r\n\r\n"; got != want {
			t.Errorf("the server got\n%q, want\n%q", got, want)
		}
		if want := "HTTP/1.1 299 Some Reason!\r\nserver: x\r\nX-b:  two \r\nDATE: Mon, 01 Jan 2001 00:00:00 GMT\r\nset-Cookie: a=1\r\nSet-cookie: b=2\r\nx-B: three\r\nContent-length: 2\r\n\r\n"; a.head != want || a.body != "ok" {
			t.Errorf("the client got\n%q, want\n%q", a.head, want)
		}
	})
}

func TestDateIsAdded(t *testing.T) {
	o := newOrigin(t, nil)
	r := build(t, plan{servers: []*origin{o}})
	a := r.client().ask(get)
	d, one := field(a.head, "Date")
	at, err := time.Parse("Mon, 02 Jan 2006 15:04:05 GMT", d)
	if since := time.Since(at); !one || err != nil || since < -2*time.Second || since > time.Minute {
		t.Errorf("Date %q, %v", d, err)
	}
}

// TestConnections: who keeps the connection, and who is told what about it.
func TestConnections(t *testing.T) {
	everywhere(t, func(t *testing.T, tls bool) {
		for _, x := range []struct {
			name, send, server string
			keep               bool
			says               string // the Connection field
		}{
			{"1.1", "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n", "", true, ""},
			{"1.1 close", "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Close\r\n\r\n", "", false, "close"},
			{"1.0", "GET / HTTP/1.0\r\nHost: a.test\r\n\r\n", "", false, "close"},
			{"1.0 keep-alive", "GET / HTTP/1.0\r\nHost: a.test\r\nConnection: Keep-Alive\r\n\r\n", "", true, "keep-alive"},
			{"1.1, server closes", "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", true, ""},
			{"1.1, server is 1.0", "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", true, ""},
			{"1.1, until close", "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\nok", true, ""},
			{"1.0 keep-alive, until close", "GET / HTTP/1.0\r\nHost: a.test\r\nConnection: keep-alive\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\nok", false, "close"},
			{"1.0 keep-alive, chunks", "GET / HTTP/1.0\r\nHost: a.test\r\nConnection: keep-alive\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", false, "close"},
			{"1.1, chunks", "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1;x=y\r\nk\r\n0\r\n\r\n", true, ""},
		} {
			t.Run(x.name, func(t *testing.T) {
				serve := func(w *wire) {
					if _, err := w.request(); err == nil {
						w.send(x.server)
					}
				}
				if x.server == "" {
					serve = say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
				}
				r := build(t, plan{servers: []*origin{newOrigin(t, serve)}, tls: tls})
				c := r.client()
				for range 2 {
					a := c.ask(x.send)
					if says, _ := field(a.head, "Connection"); a.status != 200 || a.body != "ok" || says != x.says {
						t.Errorf("%d %q, Connection: %q", a.status, a.body, says)
					}
					if _, chunked := field(a.head, "Transfer-Encoding"); chunked && strings.Contains(x.send, "1.0") {
						t.Errorf("chunks for HTTP/1.0: %q", a.head)
					}
					if !x.keep {
						c.ended()
						break
					}
				}
			})
		}
	})
}

// TestHTTPClose is AT-1.9: both sides are told, and the client reads the end.
func TestHTTPClose(t *testing.T) {
	o := newOrigin(t, nil)
	r := build(t, plan{servers: []*origin{o}, back: "http_close = true"})
	for range 2 {
		c := r.client()
		a := c.ask(get)
		if says, _ := field(a.head, "Connection"); a.status != 200 || says != "close" {
			t.Errorf("%d, Connection: %q", a.status, says)
		}
		c.ended()
	}
	if n := strings.Count(o.seen(), "Connection: close\r\n"); n != 2 || o.conns() != 2 {
		t.Errorf("%d connections, %q", o.conns(), o.seen())
	}
}

// TestNoContent: what has no content by its nature leaves both connections usable.
func TestNoContent(t *testing.T) {
	everywhere(t, func(t *testing.T, tls bool) {
		for _, x := range []struct{ method, answer, want string }{
			{"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", "Content-Length: 1000\r\n"},
			{"HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "200 OK\r\n"},
			{"GET", "HTTP/1.1 204 No Content\r\n\r\n", "204"},
			{"GET", "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", "204"},
			{"GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\n\r\n", "Content-Length: 1000\r\n"},
			{"GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "Content-Length: 0\r\n"},
			{"POST", "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n", "201"},
		} {
			o := newOrigin(t, say(x.answer))
			r := build(t, plan{servers: []*origin{o}, tls: tls})
			c := r.client()
			for range 3 {
				a := c.ask(x.method + " / HTTP/1.1\r\nHost: a.test\r\n\r\n")
				if !strings.Contains(a.head, x.want) || a.body != "" {
					t.Errorf("%s, %q: %q", x.method, x.answer, a.head)
				}
			}
			if o.conns() != 1 {
				t.Errorf("%s, %q: %d connections", x.method, x.answer, o.conns())
			}
		}
	})
}

func TestInterimResponses(t *testing.T) {
	everywhere(t, func(t *testing.T, tls bool) {
		o := newOrigin(t, say("HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nConnection: X\r\nX: y\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
		r := build(t, plan{servers: []*origin{o}, tls: tls})
		c := r.client()
		for range 2 {
			a := c.ask("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
			if a.head != "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n" {
				t.Errorf("%q", a.head)
			}
			// Nobody expects 100, so nobody gets it.
			if a, err := c.answer("GET"); err != nil || a.status != 200 || a.body != "ok" {
				t.Errorf("%+v, %v", a, err)
			}
		}
		// "A proxy MUST forward 1xx responses unless ... the client is HTTP/1.0" (RFC 9110 15.2).
		if a := c.ask("GET / HTTP/1.0\r\nHost: a.test\r\n\r\n"); a.status != 200 || a.body != "ok" {
			t.Errorf("HTTP/1.0: %+v", a)
		}
	})
}

const expecting = "POST / HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"

func TestExpectation(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, tls bool) {
		t.Run("server continues", func(t *testing.T) {
			o := newOrigin(t, func(w *wire) {
				for {
					head, err := w.head()
					if err != nil {
						return
					}
					if !strings.Contains(head, "Expect: 100-continue\r\n") {
						w.Errorf("no expectation in %q", head)
					}
					w.send("HTTP/1.1 100 Continue\r\n\r\n")
					body, _ := w.take(5)
					w.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" + body)
				}
			})
			r := build(t, plan{servers: []*origin{o}, tls: tls})
			c := r.client()
			for range 3 {
				if a := c.ask(expecting); a.status != 100 {
					t.Fatalf("%+v", a)
				}
				if a := c.ask("hello"); a.status != 200 || a.body != "hello" || a.close {
					t.Errorf("%+v", a)
				}
			}
			if o.conns() != 1 {
				t.Errorf("%d connections", o.conns())
			}
		})
		t.Run("server is silent", func(t *testing.T) {
			o := newOrigin(t, nil) // which reads the whole request first
			r := build(t, plan{servers: []*origin{o}, tls: tls})
			c := r.client()
			quick(t, 5*time.Second, func() time.Duration {
				began := time.Now()
				if a := c.ask(expecting); a.status != 100 {
					t.Fatalf("%+v", a)
				}
				d := time.Since(began)
				if d < 900*time.Millisecond {
					t.Errorf("told to continue after %v", d)
				}
				if a := c.ask("hello"); a.status != 200 || a.body != "POST / 5" {
					t.Errorf("%+v", a)
				}
				return d
			})
		})
		t.Run("server refuses", func(t *testing.T) {
			for _, status := range []string{"417 No", "401 Who"} {
				o := newOrigin(t, func(w *wire) {
					w.head()
					w.send("HTTP/1.1 " + status + "\r\nContent-Length: 2\r\n\r\nno")
					if s, _ := w.rest(); s != "" { // row 10: neither content nor another request
						w.Errorf("the server got %q after its answer", s)
					}
				})
				r := build(t, plan{servers: []*origin{o}, tls: tls})
				c := r.client()
				if a := c.ask(expecting); a.status != 417 && a.status != 401 || a.body != "no" || !a.close {
					t.Errorf("%+v", a)
				}
				c.ended()
			}
		})
		t.Run("client does not wait", func(t *testing.T) {
			o := newOrigin(t, nil)
			r := build(t, plan{servers: []*origin{o}, tls: tls})
			c := r.client()
			for range 3 {
				quick(t, 900*time.Millisecond, func() time.Duration {
					return taken(func() {
						if a := c.ask(expecting + "hello"); a.status != 200 || a.body != "POST / 5" || a.close {
							t.Errorf("%+v", a)
						}
					})
				})
			}
		})
		t.Run("HTTP/1.0", func(t *testing.T) {
			o := newOrigin(t, nil)
			r := build(t, plan{servers: []*origin{o}, tls: tls})
			if a := r.client().ask("POST / HTTP/1.0\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello"); a.status != 200 || strings.Contains(o.seen(), "Expect") {
				t.Errorf("%+v; the server got %q", a, o.seen())
			}
		})
		t.Run("without content", func(t *testing.T) {
			r := build(t, plan{servers: []*origin{newOrigin(t, nil)}, tls: tls})
			if a := r.client().ask("GET / HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\n\r\n"); a.status != 200 {
				t.Errorf("%+v", a)
			}
		})
		t.Run("no server", func(t *testing.T) {
			o := newOrigin(t, nil)
			o.stop()
			r := build(t, plan{servers: []*origin{o}, tls: tls, back: "retries = 0"})
			c := r.client()
			if a := c.ask(expecting); a.status != 503 || !a.close {
				t.Errorf("%+v", a)
			}
			c.ended()
		})
	})
}

func TestTrailersBothWays(t *testing.T) {
	everywhere(t, func(t *testing.T, tls bool) {
		o := newOrigin(t, say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 2\r\nSet-Cookie: evil\r\n\r\n"))
		r := build(t, plan{servers: []*origin{o}, tls: tls})
		c := r.client()
		for range 2 {
			c.send("POST / HTTP/1.1\r\nHost: a.test\r\nTE: trailers\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx-sum:  1\r\n\r\n")
			head, err := c.head()
			if _, chunked := field(head, "Transfer-Encoding"); err != nil || !chunked {
				t.Fatalf("%q, %v", head, err)
			}
			want := "5\r\nhello\r\n0\r\nX-Sum: 2\r\n\r\n"
			if s, err := c.take(len(want)); s != want {
				t.Errorf("the client got %q, %v", s, err)
			}
		}
		if s := o.seen(); strings.Count(s, "\r\n\r\n3\r\nabc\r\n0\r\nx-sum:  1\r\n\r\n") != 2 {
			t.Errorf("the server got %q", s)
		}
	})
}

// TestSharedAddress has frontends on one address, told apart by their hosts.
func TestSharedAddress(t *testing.T) {
	a, b := newOrigin(t, say("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na")), newOrigin(t, say("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nb"))
	r := build(t, plan{servers: []*origin{a}, front: `
	hosts = ["a.test"]
	route {
		paths = ["/gone"]
		respond = 410
	}
	route {
		paths = ["/old/*"]
		redirect = "https://new.test{uri}"
	}`, more: fmt.Sprintf(`
frontend "other" {
	bind "127.0.0.1:1" {}
	hosts   = ["b.test", "*.b.test"]
	backend = backend.other
	log     = log.access
}
backend "other" {
	server "B" %q {}
}`, b.addr)})
	c := r.client()
	for _, x := range []struct {
		host, path string
		status     int
		body       string
	}{
		{"a.test", "/", 200, "a"}, {"b.test", "/", 200, "b"}, {"x.b.test", "/", 200, "b"}, {"A.TEST:80", "/", 200, "a"},
		{"c.test", "/", 421, ""}, {"a.test", "/gone", 410, ""}, {"a.test", "/old/x?y", 302, ""}, {"b.test", "/gone", 200, "b"},
	} {
		got := c.ask("GET " + x.path + " HTTP/1.1\r\nHost: " + x.host + "\r\n\r\n")
		if got.status != x.status || x.body != "" && got.body != x.body {
			t.Errorf("%s%s: %d %q", x.host, x.path, got.status, got.body)
		}
		if l, _ := field(got.head, "Location"); x.status == 302 && l != "https://new.test/old/x?y" {
			t.Errorf("Location: %q", l)
		}
	}
	if c.ask("GET / HTTP/1.0\r\n\r\n").status != 421 { // a client that names no host gets none of those that have names
		t.Error("a request without a host was served")
	}
}

func TestRedirectBind(t *testing.T) {
	o := newOrigin(t, nil)
	r := build(t, plan{servers: []*origin{o}, bind: `redirect = "https"`})
	c := r.client()
	for range 2 {
		a := c.ask("GET /x?y=z HTTP/1.1\r\nHost: a.test:8080\r\n\r\n")
		if l, _ := field(a.head, "Location"); a.status != 301 || l != "https://a.test/x?y=z" {
			t.Errorf("%d, Location: %q", a.status, l)
		}
	}
	a := c.ask("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello")
	if a.status != 301 {
		t.Errorf("POST: %d", a.status)
	}
	if o.conns() != 0 {
		t.Error("the server was asked")
	}
}

// TestClientGoesAway has clients leave in every phase: nothing stays behind, the log says what happened, and others are served.
func TestClientGoesAway(t *testing.T) {
	hold := make(chan struct{})
	o := newOrigin(t, func(w *wire) {
		for {
			q, err := w.request()
			if err != nil {
				return
			}
			switch q.target {
			case "/wait":
				w.rest() // which ends when the house gives up
				hold <- struct{}{}
				return
			case "/stream":
				w.send("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
				for w.send(strings.Repeat("x", 10_000)) == nil {
				}
				hold <- struct{}{}
				return
			default:
				w.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			}
		}
	})
	for _, x := range []struct {
		name, send  string // no two begin with the same ten bytes: the server is asked for them
		read        bool   // something of the answer first
		held        bool   // the server is told
		termination string
		status      int
	}{
		{"nothing sent", "", false, false, "", 0},
		{"half a head", "GET / HT", false, false, "CR", 400},
		{"half the content", "POST /a HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\nhello", false, false, "CD", 400},
		{"half a chunk", "POST /b HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe", false, false, "CD", 400},
		{"while the server thinks", "GET /wait HTTP/1.1\r\nHost: a.test\r\n\r\n", false, true, "CH", 0},
		{"in the middle of the answer", "GET /stream HTTP/1.1\r\nHost: a.test\r\n\r\n", true, true, "CD", 200},
	} {
		t.Run(x.name, func(t *testing.T) {
			r := build(t, plan{servers: []*origin{o}})
			c := r.client()
			c.send(x.send)
			if strings.Contains(x.send, "Host") {
				o.got(x.send[:10])
			}
			if x.read {
				c.take(1000)
			}
			c.reset()
			if x.held {
				<-hold
			}
			if x.termination != "" {
				if l := r.line(); l.Termination[:2] != x.termination || x.status != 0 && l.Status != x.status && l.Status != -1 {
					t.Errorf("log line %+v", l)
				}
			}
			if a := r.client().ask("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"); a.status != 200 {
				t.Errorf("then: %d", a.status)
			}
			if l := r.line(); l.Status != 200 { // nothing came between
				t.Errorf("log line %+v", l)
			}
		})
	}
}

// TestHalfClose is a client that ends its side after its request, as some simple ones do: it gets its answer. With abort_on_close it may be
// taken for one that has left, if it is so quick that there is no connection to the server yet (TestClientLeavesWhileConnecting).
func TestHalfClose(t *testing.T) {
	everywhere(t, func(t *testing.T, tls bool) {
		o := newOrigin(t, nil)
		r := build(t, plan{servers: []*origin{o}, tls: tls, back: "abort_on_close = false"})
		for range 20 {
			c := r.client()
			c.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
			c.closeWrite()
			if a, err := c.answer("GET"); err != nil || a.status != 200 {
				t.Errorf("%+v, %v", a, err)
			}
			if s, err := c.rest(); s != "" || err != nil && !errors.Is(err, io.EOF) {
				t.Errorf("then %q, %v", s, err)
			}
		}
	})
}
