package frontend

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"gatehouse/backend/h1"
)

// FuzzHTTP3Read: whatever HTTP/3 brings that is taken for a request, a server that reads it as HTTP/1.1 sees one request, and the same one,
// field by field. The fields of a seed stand between bars.
func FuzzHTTP3Read(f *testing.F) {
	f.Add("GET", "/", "a.test", "x-a: b|x-a: c|accept: */*", false)
	f.Add("POST", "/x?y", "a.test:443", "content-length: 5|trailer: x", true)
	f.Add("POST", "/", "a.test", "content-length: 0", true)
	f.Add("PUT", "/", "a.test", "trailer: x-sum|expect: 100-continue", true)
	f.Add("POST", "/", "a.test", "content-length: 007|content-length: 7", true)
	f.Add("GET", "/\r\nHost: b", "a.test", "cookie: a=1; b=2|cookie: c", false)
	f.Add("OPTIONS", "*", "[::1]", "te: trailers|max-forwards: 0", true)
	f.Add("CONNECT", "/chat", "a.test", "sec-websocket-key: x|sec-websocket-version: 13|sec-websocket-key: y", false)
	f.Add("CONNECT", "/chat", "a.test", "sec-websocket-version: 8", false)
	f.Add("CONNECT", "/chat", "a.test", "sec-websocket-version: 13|sec-websocket-version: 13", false)
	f.Add("GET", "/", "a.test", "x_forwarded_for: 1|content_length: 5|x.y: z", false)
	f.Add("GET", "/", "a.test", "x: a\r\nContent-Length: 10|host: a.test|x-empty: ", false)
	f.Add("GET /x HTTP/1.1\r\n", "/", "a,b", "transfer-encoding: chunked|connection: close", true)
	f.Add("GET", "/", "a.test", "keep-alive: x|upgrade: h2c|http2-settings: x|proxy-authorization: y", false)
	f.Fuzz(func(t *testing.T, method, path, host, lines string, content bool) {
		r := &http.Request{Method: method, RequestURI: path, Host: host, Header: http.Header{}, Proto: "HTTP/3.0"}
		for l := range strings.SplitSeq(lines, "|") {
			if name, value, ok := strings.Cut(l, ": "); ok {
				r.Header.Add(name, value)
			}
		}
		if method == http.MethodConnect {
			r.Proto = "websocket"
		}
		x := &http3Stream{req: r}
		if content {
			x.body = &http3Body{}
		}
		var q h1.Request
		if err := x.read(&q, &h1.ParseLimits{Target: 1000, Field: 1000, Head: 2000, Fields: 10}); err != nil {
			return
		}
		b := append(h1.AppendRequest(nil, &q), "\r\n"...)
		var p h1.Request
		n, err := p.Parse(b, nil)
		if err != nil || n != len(b) {
			t.Fatalf("%q is read as %d of %d bytes, %v", b, n, len(b), err)
		}
		if string(p.Method) != string(q.Method) || string(p.Target) != string(q.Target) || string(p.Host) != string(q.Host) || p.Length != q.Length ||
			p.Framing != q.Framing || p.Upgrade != q.Upgrade {
			t.Fatalf("%q is read as %s %s %s %v %d %q, and was %s %s %s %v %d %q", b, p.Method, p.Target, p.Host, p.Framing, p.Length, p.Upgrade,
				q.Method, q.Target, q.Host, q.Framing, q.Length, q.Upgrade)
		}
		if got, want := p.Header.AppendTo(nil), q.Header.AppendTo(nil); !bytes.Equal(got, want) {
			t.Fatalf("%q is read with the fields %q, and had %q", b, got, want)
		}
	})
}
