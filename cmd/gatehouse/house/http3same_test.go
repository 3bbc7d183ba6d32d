package house_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// sameServer answers in the ways that TestSameOverEveryVersion asks for, and remembers the last request.
type sameServer struct {
	mu   sync.Mutex // guards last
	last map[string]string
}

// took returns what came since the last call, nil for nothing.
func (s *sameServer) took() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() { s.last = nil }()
	return s.last
}

// serve serves a connection.
func (s *sameServer) serve(w *wire) {
	for {
		q, err := http.ReadRequest(w.r)
		if err != nil {
			return
		}
		saw := map[string]string{"request": q.Method + " " + q.RequestURI + " " + q.Host}
		for name, values := range q.Header {
			saw["got "+name] = strings.Join(values, " | ")
		}
		if q.ContentLength >= 0 {
			saw["got Content-Length"] = strconv.FormatInt(q.ContentLength, 10)
		}
		s.mu.Lock()
		s.last = saw
		s.mu.Unlock()
		if q.Header.Get("Expect") != "" {
			w.send("HTTP/1.1 100 Continue\r\n\r\n")
		}
		if q.URL.Path == "/early" {
			w.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
			return
		}
		content, err := io.ReadAll(q.Body)
		s.mu.Lock()
		saw["got content"] = fmt.Sprintf("%d %.20q %v", len(content), content, err)
		for name, values := range q.Trailer {
			saw["got trailer "+name] = strings.Join(values, " | ")
		}
		s.mu.Unlock()
		if err != nil {
			return
		}
		if answer, ok := sameAnswers[q.URL.Path]; !ok {
			w.send("HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone"[:lengthFor(q.Method, 45, 4)])
		} else if answer == "" || w.send(answer[:lengthFor(q.Method, len(answer), len(answer)-strings.Index(answer, "\r\n\r\n")-4)]) != nil {
			if q.URL.Path != "/silent" {
				return
			}
			io.Copy(io.Discard, w.r)
			return
		}
		if q.URL.Path == "/cut" || q.URL.Path == "/untold" {
			return
		}
	}
}

// lengthFor returns how many bytes of an answer are sent: that to HEAD has no content.
func lengthFor(method string, whole, content int) int {
	if method == "HEAD" {
		return whole - content
	}
	return whole
}

// sameAnswers are what the server says.
var sameAnswers = map[string]string{
	"/plain":   "HTTP/1.1 200 OK\r\nDate: Mon, 01 Jan 2001 00:00:00 GMT\r\nServer: x\r\nSet-Cookie: a=1; Path=/\r\nSet-Cookie: b=2\r\nX-Empty:\r\nConnection: x-hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nContent-Length: 5\r\n\r\nplain",
	"/204":     "HTTP/1.1 204 No Content\r\nETag: \"x\"\r\n\r\n",
	"/205":     "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n",
	"/304":     "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n",
	"/206":     "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 1-3/10\r\nContent-Length: 3\r\n\r\nabc",
	"/299":     "HTTP/1.1 299 Odd\r\nContent-Length: 0\r\n\r\n",
	"/hints":   "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nConnection: x-hop\r\nX-Hop: 1\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </b.css>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
	"/chunks":  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\n\r\n",
	"/trailer": "HTTP/1.1 200 OK\r\nTrailer: X-Sum, X-More\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 7\r\nX-More: 8\r\nContent-Length: 9\r\n\r\n",
	"/close":   "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
	"/echo":    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
	"/text":    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nETag: \"t\"\r\nContent-Length: 100000\r\n\r\n" + novel,
	"/kept":    "HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nDate: Mon, 01 Jan 2001 00:00:00 GMT\r\nExpires: Mon, 01 Jan 2001 00:00:00 GMT\r\nETag: \"k\"\r\nContent-Length: 10\r\n\r\n0123456789",
	"/cut":     "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
	"/untold":  "",
	"/silent":  "",
	"/twice":   "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nok",
	"/nul":     "HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 2\r\n\r\nok",
}

// sameBook gathers the lines of the access log whole.
type sameBook struct {
	lines chan map[string]any
	part  []byte
}

func (b *sameBook) Write(p []byte) (int, error) {
	b.part = append(b.part, p...)
	for {
		line, rest, ok := bytes.Cut(b.part, []byte("\n"))
		if !ok {
			return len(p), nil
		}
		l := map[string]any{}
		if err := json.Unmarshal(line, &l); err != nil {
			l["error"] = "not JSON: " + string(line)
		}
		b.part = bytes.Clone(rest)
		b.lines <- l
	}
}

// sameRequest is a request of the table.
type sameRequest struct {
	name, method, path string
	fields             []string
	content            string
	length             int64 // of the content, as it is announced: 0 its own, -1 not at all
	trailer            string
	offline            bool // the server is not asked

	// Where versions may differ:
	reset bool // the answer breaks off, and over HTTP/3 what came before may be lost with it
	not   int  // a version whose client does not send it, because it has read in SETTINGS that it is too much
}

// observed sends a request and returns all there is to see of it: by the client, by the server, and in the log.
func (q *sameRequest) observed(t *testing.T, c *http.Client, s *sameServer, book *sameBook) map[string]string {
	t.Helper()
	saw := map[string]string{}
	var content io.Reader
	if q.content != "" {
		content = strings.NewReader(q.content)
		if q.length < 0 {
			content = io.MultiReader(content)
		}
	}
	r := req(t, q.method, "https://a.test"+q.path, content, q.fields...)
	r.Header.Set("User-Agent", "test")
	if q.trailer != "" {
		r.Trailer = http.Header{"X-Check": {q.trailer}}
	}
	r = r.WithContext(httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
		saw["interim"] += fmt.Sprint(code, " ", h, "; ")
		return nil
	}}))
	resp, err := c.Do(r)
	size := 0
	if err != nil {
		saw["answer"] = "none"
	} else {
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		size = len(b)
		saw["status"] = strconv.Itoa(resp.StatusCode)
		saw["content"] = fmt.Sprintf("%d %.30q whole=%v", len(b), b, err == nil)
		if resp.Header.Get("Content-Encoding") != "" {
			text, err := inflated(&answer{Header: resp.Header, body: string(b)})
			saw["content"] = fmt.Sprintf("%d %.30q %v", len(text), text, err)
		}
		for name, values := range resp.Header {
			saw["field "+name] = strings.Join(values, " | ")
		}
		for name, values := range resp.Trailer {
			saw["trailer "+name] = strings.Join(values, " | ")
		}
		if d := saw["field Date"]; d != "" && !strings.HasPrefix(d, "Mon, 01 Jan 2001") {
			saw["field Date"] = "now"
		}
	}
	select {
	case l := <-book.lines:
		for key, v := range l {
			switch n, _ := v.(float64); {
			case key == "time" || key == "client_port" || key == "protocol":
			case strings.HasSuffix(key, "_ms"):
				saw["log "+key] = map[bool]string{true: "-1", false: "some"}[n < 0]
			case key == "bytes_out": // each version has its own way to write a head
				if n < float64(size) || n > float64(size)+1000 {
					saw["log "+key] = fmt.Sprintf("%v for %d of content", n, size)
				}
			case key == "bytes_in": // and clients have fields of their own
				if whole := float64(len(q.content)); n < whole && !q.offline && !strings.HasPrefix(q.path, "/early") || n > whole+50_000 {
					saw["log "+key] = fmt.Sprintf("%v for %v of content", n, whole)
				}
			default:
				saw["log "+key] = fmt.Sprint(v)
			}
		}
	case <-time.After(patience):
		t.Errorf("%s: no line in the log", q.name)
	}
	got := s.took()
	if q.length < 0 && got["got Content-Length"] == strconv.Itoa(len(q.content)) {
		delete(got, "got Content-Length") // all of it was here before the server was asked: HTTP/2 and HTTP/3 say where it ends at once
	}
	if got == nil {
		saw["server"] = "was not asked"
	} else {
		maps.Copy(saw, got)
	}
	return saw
}

// TestSameOverEveryVersion sends the same requests over HTTP/1.1, HTTP/2 and HTTP/3 to one site. What the client is told, what the server gets and
// what the log says are the same, but for what stands with its reason in sameRequest and observed.
func TestSameOverEveryVersion(t *testing.T) {
	t.Parallel()
	s, book := &sameServer{}, &sameBook{lines: make(chan map[string]any, 100)}
	o := newOrigin(t, s.serve)
	r := build(t, plan{servers: []*origin{o}, tls: true, loops: 2, access: book, bind: "protocols = [\"h2\", \"http/1.1\"]\n http3 = true",
		back: "cookie \"SERVERID\" {}\n retries = 0\n timeouts { server = \"300ms\" }", more: "cache \"pages\" {\n fill_from_newcomers = true\n}",
		front: `cache = cache.pages
 limits { body = "1MiB" }
 compress {}
 response_headers {
  set = { X-Site = "a" }
 }
 route {
  paths = ["/away"]
  redirect = "https://{host}/there{uri}"
 }
 route {
  paths = ["/gone"]
  respond = 410
 }`})
	h1c := r.both()
	h1t := h1c.Transport.(*http.Transport)
	h1t.ForceAttemptHTTP2, h1t.DisableCompression, h1t.ExpectContinueTimeout = false, true, patience
	h2c := r.h2client()
	h2c.Transport.(*http.Transport).ExpectContinueTimeout = patience
	clients := []*http.Client{h1c, h2c, overUDP(t, r.addr, nil)}
	for _, c := range clients {
		c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	const cookie = "Cookie: SERVERID=A"
	long := strings.Repeat("x", 20_000)
	var many []string
	for i := range 120 {
		many = append(many, fmt.Sprintf("X-%d: y", i))
	}
	requests := []sameRequest{
		{name: "plain", method: "GET", path: "/plain", fields: []string{cookie, "X-A: 1", "X-A: 2", "Accept: */*", "Referer: https://b.test/"}},
		{name: "without a cookie", method: "GET", path: "/plain"},
		{name: "HEAD", method: "HEAD", path: "/plain", fields: []string{cookie}},
		{name: "another method", method: "PURGEALL", path: "/plain", fields: []string{cookie}},
		{name: "OPTIONS", method: "OPTIONS", path: "/plain", fields: []string{cookie}},
		{name: "204", method: "GET", path: "/204", fields: []string{cookie}},
		{name: "205", method: "GET", path: "/205", fields: []string{cookie}},
		{name: "299", method: "GET", path: "/299", fields: []string{cookie}},
		{name: "304", method: "GET", path: "/304", fields: []string{cookie, `If-None-Match: "x"`}},
		{name: "206", method: "GET", path: "/206", fields: []string{cookie, "Range: bytes=1-3"}},
		{name: "early hints", method: "GET", path: "/hints", fields: []string{cookie}},
		{name: "chunks", method: "GET", path: "/chunks", fields: []string{cookie}},
		{name: "trailers", method: "GET", path: "/trailer", fields: []string{cookie, "TE: trailers"}},
		{name: "close", method: "GET", path: "/close", fields: []string{cookie}},
		{name: "content", method: "POST", path: "/echo", fields: []string{cookie}, content: "hello"},
		{name: "content of unknown length", method: "POST", path: "/echo", fields: []string{cookie}, content: "hello", length: -1},
		{name: "much content", method: "PUT", path: "/echo", fields: []string{cookie}, content: strings.Repeat("z", 900_000)},
		{name: "no content", method: "POST", path: "/echo", fields: []string{cookie}},
		{name: "content with DELETE", method: "DELETE", path: "/echo", fields: []string{cookie}, content: "hello"},
		{name: "trailers of a request", method: "POST", path: "/echo", fields: []string{cookie}, content: "hello", length: -1, trailer: "5"},
		{name: "expectation", method: "POST", path: "/echo", fields: []string{cookie, "Expect: 100-continue"}, content: "hello"},
		{name: "early answer", method: "POST", path: "/early", fields: []string{cookie}, content: strings.Repeat("z", 900_000)},
		{name: "too much content", method: "POST", path: "/echo", fields: []string{cookie}, content: strings.Repeat("z", 2_000_000), offline: true},
		{name: "compressed", method: "GET", path: "/text", fields: []string{cookie, "Accept-Encoding: gzip"}},
		{name: "a miss", method: "GET", path: "/kept", fields: []string{cookie}},
		{name: "a hit", method: "GET", path: "/kept", fields: []string{cookie}},
		{name: "a hit once more", method: "GET", path: "/kept", fields: []string{cookie}},
		{name: "HEAD of a hit", method: "HEAD", path: "/kept", fields: []string{cookie}},
		{name: "a part of a hit", method: "GET", path: "/kept", fields: []string{cookie, "Range: bytes=2-4"}},
		{name: "a condition on a hit", method: "GET", path: "/kept", fields: []string{cookie, `If-None-Match: "k"`}},
		{name: "cut", method: "GET", path: "/cut", fields: []string{cookie}, reset: true},
		{name: "no answer", method: "GET", path: "/untold", fields: []string{cookie}},
		{name: "an answer that never comes", method: "GET", path: "/silent", fields: []string{cookie}},
		{name: "two lengths", method: "GET", path: "/twice", fields: []string{cookie}},
		{name: "NUL in an answer", method: "GET", path: "/nul", fields: []string{cookie}},
		{name: "a redirect", method: "GET", path: "/away", fields: []string{cookie}, offline: true},
		{name: "a page", method: "GET", path: "/gone", fields: []string{cookie}, offline: true},
		{name: "a page for HEAD", method: "HEAD", path: "/gone", fields: []string{cookie}, offline: true},
		{name: "a long target", method: "GET", path: "/" + long, offline: true},
		{name: "a long field", method: "GET", path: "/plain", fields: []string{"X-Long: " + long}, offline: true},
		{name: "a long head", method: "GET", path: "/plain", fields: []string{"X-A: " + long[:12_000], "X-B: " + long[:12_000], "X-C: " + long[:12_000]}, offline: true, not: 2},
		{name: "many fields", method: "GET", path: "/plain", fields: many, offline: true},
		{name: "fields that say who asks", method: "GET", path: "/plain", fields: []string{cookie, "X-Forwarded-For: 6.6.6.6", "X_Forwarded_For: 6.6.6.6", "Forwarded: for=6.6.6.6", "X-Original-URL: /x"}},
		{name: "two cookies", method: "GET", path: "/plain", fields: []string{"Cookie: a=1; SERVERID=A; b=2"}},
	}
	for _, q := range requests {
		path := q.path
		var want map[string]string
		for i, c := range clients {
			if q.not == i+1 {
				continue
			}
			own := fmt.Sprintf("version=%d", i+1) // for the cache each version has its own
			q.path = path + "?" + own
			got := q.observed(t, c, s, book)
			for what, v := range got {
				got[what] = strings.ReplaceAll(v, own, "version")
			}
			if i == 0 {
				want = got
				continue
			}
			keys := slices.Concat(slices.Collect(maps.Keys(want)), slices.Collect(maps.Keys(got)))
			slices.Sort(keys)
			for _, what := range slices.Compact(keys) {
				if got[what] == want[what] {
					continue
				}
				if q.reset && i == 2 && (got["answer"] == "none" || strings.HasSuffix(got["content"], "whole=false")) &&
					!strings.HasPrefix(what, "log ") && !strings.HasPrefix(what, "got ") {
					// "resetting a stream … a receiver may discard any stream data that it has already received" (RFC 9000 19.4, 3.2): even the
					// head of the answer, with luck. Over TCP what was sent before arrives.
					continue
				}
				t.Errorf("%s, HTTP/%d: %s is\n%.300q, over HTTP/1\n%.300q", q.name, i+1, what, got[what], want[what])
			}
		}
		if asked := want["server"] == ""; asked == q.offline {
			t.Errorf("%s: the server was asked: %v", q.name, asked)
		}
	}
}
