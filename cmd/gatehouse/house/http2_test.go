package house_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/http2"
)

// h2everywhere tells a story over TLS and, where clients begin with it, in the clear.
func h2everywhere(t *testing.T, story func(t *testing.T, p plan)) {
	t.Run("clear", func(t *testing.T) { story(t, plan{bind: both}) })
	t.Run("tls", func(t *testing.T) { story(t, plan{tls: true}) })
}

func TestHTTP2Requests(t *testing.T) {
	h2everywhere(t, func(t *testing.T, p plan) {
		p.servers = []*origin{newOrigin(t, nil)}
		r := build(t, p)
		c := r.h2client()
		for _, x := range []struct {
			method, body, want string
		}{
			{"GET", "", "GET /p?q=1 0"},
			{"HEAD", "", ""},
			{"POST", "hello", "POST /p?q=1 5"},
			{"PUT", strings.Repeat("x", 300_000), "PUT /p?q=1 300000"},
			{"DELETE", "", "DELETE /p?q=1 0"},
		} {
			var body io.Reader
			if x.body != "" {
				body = strings.NewReader(x.body)
			}
			resp, got := do(t, c, req(t, x.method, r.url("/p?q=1"), body))
			if resp.StatusCode != 200 || got != x.want || resp.ProtoMajor != 2 {
				t.Errorf("%s: %s %d %q, want %q", x.method, resp.Proto, resp.StatusCode, got, x.want)
			}
			if x.method == "HEAD" && resp.ContentLength != 13 {
				t.Errorf("HEAD: the length %d", resp.ContentLength)
			}
			if l := r.line(); l.Status != 200 || l.Method != x.method || l.Protocol != "HTTP/2.0" || l.Termination != "----" {
				t.Errorf("%s: the line %+v", x.method, l)
			}
		}
	})
}

// TestHTTP2HeadsForServers: what a server gets is HTTP/1.1 as it should be.
func TestHTTP2HeadsForServers(t *testing.T) {
	o := newOrigin(t, nil)
	r := build(t, plan{servers: []*origin{o}, bind: both, back: `cookie "S" {}`})
	p := r.raw()
	p.headers(1, true, asking("/a?b", "cookie: a=1", "x-y: z", "cookie: S=A", "cookie: c=3", "te: trailers")...)
	if head, _ := p.response(1); head[":status"] != "200" || head["set-cookie"] != "" {
		t.Errorf("%v", head)
	}
	if got, want := o.seen(), "GET /a?b HTTP/1.1\r\nHost: a.test\r\nx-y: z\r\ncookie: a=1; c=3\r\nX-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\n\r\n"; got != want {
		t.Errorf("the server got\n%q, want\n%q", got, want)
	}
	p.headers(3, true, asking("/")...)
	if head, _ := p.response(3); !strings.HasPrefix(head["set-cookie"], "S=A;") || head["cache-control"] != "private" || head["date"] == "" {
		t.Errorf("a newcomer gets %v", head)
	}
}

func TestHTTP2WithoutContent(t *testing.T) {
	for _, x := range []struct {
		answer string
		status int
	}{
		{"HTTP/1.1 204 No Content\r\n\r\n", 204},
		{"HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n", 304},
		{"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 200},
	} {
		r := build(t, plan{servers: []*origin{newOrigin(t, say(x.answer))}, bind: both})
		resp, body := do(t, r.h2client(), req(t, "GET", r.url("/"), nil))
		if resp.StatusCode != x.status || body != "" {
			t.Errorf("%q: %d %q", x.answer, resp.StatusCode, body)
		}
	}
}

// TestHTTP2Trailers: in both directions.
func TestHTTP2Trailers(t *testing.T) {
	h2everywhere(t, func(t *testing.T, p plan) {
		o := newOrigin(t, say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 42\r\nContent-Length: 9\r\n\r\n"))
		p.servers = []*origin{o}
		r := build(t, p)
		q := req(t, "POST", r.url("/"), io.MultiReader(strings.NewReader("some"), strings.NewReader("thing")))
		q.Trailer = http.Header{"X-Up": {"1"}}
		resp, body := do(t, r.h2client(), q)
		if body != "hello" || resp.Trailer.Get("X-Sum") != "42" || resp.Trailer.Get("Content-Length") != "" {
			t.Errorf("%q, %v", body, resp.Trailer)
		}
		if s := o.seen(); !strings.HasSuffix(s, "\r\n0\r\nx-up: 1\r\n\r\n") || !strings.Contains(s, "Transfer-Encoding: chunked\r\n") {
			t.Errorf("the server got %q", s)
		}
	})
}

func TestHTTP2InterimResponses(t *testing.T) {
	o := newOrigin(t, say("HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
	r := build(t, plan{servers: []*origin{o}, tls: true})
	hints := 0
	q := req(t, "GET", r.url("/"), nil)
	q = q.WithContext(httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
		if code == 103 && h.Get("Link") == "</a.css>; rel=preload" {
			hints++
		}
		return nil
	}}))
	if resp, body := do(t, r.h2client(), q); resp.StatusCode != 200 || body != "ok" || hints != 1 {
		t.Errorf("%d %q, %d hints", resp.StatusCode, body, hints)
	}
}

// TestHTTP2Continue: a client that expects 100 is told to go on, once.
func TestHTTP2Continue(t *testing.T) {
	o := newOrigin(t, func(w *wire) {
		head, err := w.head()
		if err != nil || !strings.Contains(head, "Expect: 100-continue\r\n") {
			w.Errorf("%q, %v", head, err)
		}
		w.send("HTTP/1.1 100 Continue\r\n\r\n")
		w.take(5)
		w.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	})
	r := build(t, plan{servers: []*origin{o}, bind: both})
	p := r.raw()
	p.headers(1, false, ":method: POST", ":scheme: http", ":authority: a.test", ":path: /", "content-length: 5", "expect: 100-continue")
	for {
		f, err := p.next()
		if err != nil {
			t.Fatal(err)
		}
		if h, ok := f.(*http2.HeadersFrame); ok {
			if h.StreamEnded() {
				t.Error("100 Continue ends the stream")
			}
			break
		}
	}
	p.fr.WriteData(1, true, []byte("hello"))
	if head, body := p.response(1); head[":status"] != "200" || body != "ok" {
		t.Errorf("%v %q", head, body)
	}
}

// TestHTTP2MuchAtOnce: large contents both ways on many streams of one connection.
func TestHTTP2MuchAtOnce(t *testing.T) {
	h2everywhere(t, func(t *testing.T, p plan) {
		p.servers = []*origin{newOrigin(t, func(w *wire) { // sends the content back
			for {
				q, err := w.request()
				if err != nil {
					return
				}
				w.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
				for b := q.body; len(b) > 0; {
					n := min(len(b), 70_000)
					w.send(hexLine(n) + b[:n] + "\r\n")
					b = b[n:]
				}
				w.send("0\r\n\r\n")
			}
		})}
		r := build(t, p)
		c := r.h2client()
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				body := bytes.Repeat([]byte{byte('a' + i)}, 400_000+i)
				resp, got := do(t, c, req(t, "POST", r.url("/"), bytes.NewReader(body)))
				if resp.StatusCode != 200 || got != string(body) {
					t.Errorf("stream %d: %d, %d bytes", i, resp.StatusCode, len(got))
				}
			})
		}
		wg.Wait()
	})
}

// TestHTTP2EarlyAnswer: a server that answers before it has all the content is heard, and the client told that the rest is not wanted.
func TestHTTP2EarlyAnswer(t *testing.T) {
	o := newOrigin(t, func(w *wire) {
		w.head()
		w.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
		io.Copy(io.Discard, w.r)
	})
	r := build(t, plan{servers: []*origin{o}, bind: both})
	p := r.raw()
	p.headers(1, false, ":method: POST", ":scheme: http", ":authority: a.test", ":path: /", "content-length: 1000000")
	p.fr.WriteData(1, false, make([]byte, 10_000))
	if head, body := p.response(1); head[":status"] != "403" || body != "no" {
		t.Errorf("%v %q", head, body)
	}
	if got := p.verdict(1); got != "RST NO_ERROR" {
		t.Errorf("the rest: %s", got)
	}
	// What was on its way is no offence.
	for range 10 {
		p.fr.WriteData(1, false, make([]byte, 10_000))
	}
	p.alive()
}

// TestHTTP2TruncatedAnswers: a stream whose server fails in the middle is reset, others go on.
func TestHTTP2TruncatedAnswers(t *testing.T) {
	for _, answer := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nX",
	} {
		r := build(t, plan{servers: []*origin{newOrigin(t, func(w *wire) {
			w.request()
			w.send(answer)
		})}, bind: both})
		resp, err := r.h2client().Get(r.url("/"))
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		var se http2.StreamError
		if string(b) != "half" || !errors.As(err, &se) {
			t.Errorf("%q: %q, %v", answer, b, err)
		}
		if l := r.line(); l.Termination[:2] == "--" {
			t.Errorf("%q: the line %+v", answer, l)
		}
	}
}

// TestHTTP2ErrorPages: what the house itself says.
func TestHTTP2ErrorPages(t *testing.T) {
	o := newOrigin(t, nil)
	o.stop()
	r := build(t, plan{servers: []*origin{o}, bind: both, back: "retries = 0", front: `
 limits {
  body = "1000B"
  target = "100B"
 }
 monitor { uri = "/well" }
 route {
  paths = ["/no"]
  respond = 403
 }
 route {
  paths = ["/away"]
  redirect = "https://b.test{uri}"
 }`})
	c := r.h2client()
	for _, x := range []struct {
		method, path string
		body         int
		status       int
	}{
		{"GET", "/", 0, 503},
		{"GET", "/no", 0, 403},
		{"HEAD", "/no", 0, 403},
		{"GET", "/away", 0, 302},
		{"GET", "/well", 0, 200},
		{"POST", "/well", 10, 200},
		{"POST", "/", 2000, 413},
		{"GET", "/" + strings.Repeat("x", 200), 0, 414},
	} {
		var body io.Reader
		if x.body > 0 {
			body = bytes.NewReader(make([]byte, x.body))
		}
		resp, text := do(t, c, req(t, x.method, r.url(x.path), body))
		if resp.StatusCode != x.status || x.method == "HEAD" && text != "" || x.status >= 400 && x.method != "HEAD" && !strings.Contains(text, "<h1>") {
			t.Errorf("%s %s: %d %q, want %d", x.method, x.path, resp.StatusCode, text, x.status)
		}
	}
}

// TestHTTP2Hosts: a host that no frontend of the address serves is misdirected.
func TestHTTP2Hosts(t *testing.T) {
	r := build(t, plan{servers: []*origin{newOrigin(t, nil)}, tls: true})
	p := r.raw()
	p.headers(1, true, ":method: GET", ":scheme: https", ":authority: b.test", ":path: /")
	if head, _ := p.response(1); head[":status"] != "421" {
		t.Errorf("%v", head)
	}
	p.headers(3, true, asking("/")...)
	if head, _ := p.response(3); head[":status"] != "200" {
		t.Errorf("%v", head)
	}
}

// TestProtocolsAreNegotiated: ALPN, and how to switch it off.
func TestProtocolsAreNegotiated(t *testing.T) {
	for _, x := range []struct{ bind, want string }{
		{"", "HTTP/2.0"},
		{`protocols = ["http/1.1"]`, "HTTP/1.1"},
		{`protocols = ["h2"]`, "HTTP/2.0"},
	} {
		r := build(t, plan{servers: []*origin{newOrigin(t, nil)}, tls: true, bind: x.bind})
		c := r.both()
		if resp, _ := do(t, c, req(t, "GET", r.url("/"), nil)); resp.Proto != x.want {
			t.Errorf("%s: %s, want %s", x.bind, resp.Proto, x.want)
		}
	}
}

// TestProtocolsThatClientsOffer: who names HTTP/1.0 alone is served too, and who offers nothing we speak is told.
func TestProtocolsThatClientsOffer(t *testing.T) {
	for _, x := range []struct{ bind, offers, want string }{
		{"", "h2 http/1.1", "h2"},
		{"", "http/1.1 h2", "h2"}, // ours counts
		{"", "http/1.1 http/1.0", "http/1.1"},
		{"", "http/1.0", "http/1.0"},
		{`protocols = ["http/1.1"]`, "h2 http/1.0", "http/1.0"},
		{`protocols = ["http/1.1", "h2"]`, "h2 http/1.1", "http/1.1"},
		{`protocols = ["h2"]`, "http/1.0", "no application protocol"},
		{"", "imap", "no application protocol"},
	} {
		r := build(t, plan{servers: []*origin{newOrigin(t, nil)}, tls: true, bind: x.bind})
		c, err := tls.Dial("tcp", r.addr, &tls.Config{ServerName: "a.test", InsecureSkipVerify: true, NextProtos: strings.Fields(x.offers)})
		if err != nil {
			if !strings.Contains(err.Error(), x.want) {
				t.Errorf("%s: %s: %v, want %s", x.bind, x.offers, err, x.want)
			}
			continue
		}
		if got := c.ConnectionState().NegotiatedProtocol; got != x.want {
			t.Errorf("%s: %s: %q, want %s", x.bind, x.offers, got, x.want)
		} else if got != "h2" {
			fmt.Fprintf(c, "GET / HTTP/1.0\r\nHost: a.test\r\n\r\n")
			if b, err := io.ReadAll(c); !strings.HasPrefix(string(b), "HTTP/1.1 200 ") {
				t.Errorf("%s: %s: %q, %v", x.bind, x.offers, b, err)
			}
		}
		c.Close()
	}
}

// TestPrefaceNeedsPermission: on a plain bind that was not asked for HTTP/2 the preface is a bad request; where it was, HTTP/1 still works.
func TestPrefaceNeedsPermission(t *testing.T) {
	r := build(t, plan{servers: []*origin{newOrigin(t, nil)}})
	c := r.client()
	c.send(http2.ClientPreface)
	if a, err := c.answer("GET"); err != nil || a.status != 505 && a.status != 400 {
		t.Errorf("%+v, %v", a, err)
	}
	r = build(t, plan{servers: []*origin{newOrigin(t, nil)}, bind: both})
	c = r.client()
	for range 2 {
		if a := c.ask(get); a.status != 200 {
			t.Errorf("%+v", a)
		}
	}
	// Byte by byte it is the same preface.
	p := r.silent()
	for _, b := range http2.ClientPreface {
		p.write(string(b))
	}
	p.fr.WriteSettings()
	p.alive()
}
