package house_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/net/http2"
)

// TestVersionsAgree: what HTTP/2 and HTTP/3 bring of conditions, parts, codings, cookies, redirects and supervisors is answered as over HTTP/1.
func TestVersionsAgree(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, func(w *wire) {
		for {
			q, err := w.request()
			if err != nil {
				return
			}
			if !strings.Contains(q.head, "X-Forwarded-For: 127.0.0.1\r\n") || strings.Count(q.head, "X-Forwarded-For") != 1 || strings.Contains(q.head, "6.6.6.6") ||
				strings.Contains(strings.ToLower(q.head), "x_forwarded") || strings.Contains(q.head, "SERVERID") {
				w.Errorf("the server got %q", q.head)
			}
			switch {
			case q.target == "/empty":
				w.send("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nETag: \"1\"\r\nContent-Length: 0\r\n\r\n")
				continue
			case q.target == "/nothing":
				w.send("HTTP/1.1 204 No Content\r\nETag: \"1\"\r\n\r\n")
				continue
			case q.target == "/trailing":
				w.send(fmt.Sprintf("HTTP/1.1 200 OK\r\nCache-Control: public, max-age=1\r\nContent-Type: text/plain\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\nX-Sum: 7\r\n\r\n", len(novel), novel))
				continue
			}
			if v, _ := field(q.head, "If-None-Match"); strings.Contains(v, `"1"`) {
				w.send("HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\n\r\n")
				continue
			}
			head, body := "HTTP/1.1 200 OK\r\n", novel
			if v, ok := field(q.head, "Range"); ok {
				if v != "bytes=7-15" {
					w.Errorf("a Range %q", v)
				}
				head, body = "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 7-15/100000\r\n", novel[7:16]
			}
			head += fmt.Sprintf("Cache-Control: public, max-age=1\r\nAccept-Ranges: bytes\r\nContent-Type: text/plain\r\nETag: \"1\"\r\nContent-Length: %d\r\n\r\n", len(body))
			if q.method == "HEAD" {
				body = ""
			}
			w.send(head + body)
		}
	})
	r := build(t, plan{servers: []*origin{o}, tls: true, loops: 2, bind: "protocols = [\"h2\", \"http/1.1\"]\n http3 = true", back: "cookie \"SERVERID\" {}", front: `compress {}
 monitor { uri = "/well" }
 route {
  paths = ["/away"]
  redirect = "https://{host}/there{uri}"
 }
 route {
  paths = ["/gone"]
  respond = 410
 }`})
	h1c := r.both()
	h1c.Transport.(*http.Transport).ForceAttemptHTTP2 = false
	h1c.Transport.(*http.Transport).DisableCompression = true
	clients := []*http.Client{h1c, r.h2client(), overUDP(t, r.addr, nil)}
	for _, c := range clients {
		c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	for _, c := range []struct {
		name, method, path string
		fields             []string
		want               string
	}{
		{"plain", "GET", "/", nil, "200 len=100000 tag=\"1\" vary=Accept-Encoding ranges=bytes cookie"},
		{"a coding", "GET", "/", []string{"Cookie: SERVERID=A", "Accept-Encoding: gzip"}, "200 coding=gzip tag=W/\"1\" vary=Accept-Encoding"},
		{"a coding, and a cookie to set", "GET", "/", []string{"Accept-Encoding: gzip"}, "200 coding=gzip tag=W/\"1\" vary=Accept-Encoding cookie"},
		{"HEAD", "HEAD", "/", []string{"Cookie: SERVERID=A", "Accept-Encoding: gzip"}, "200 coding=gzip tag=W/\"1\" vary=Accept-Encoding"},
		{"a part", "GET", "/", []string{"Cookie: SERVERID=A", "Accept-Encoding: gzip", "Range: bytes=7-15"}, "206 len=9 tag=\"1\" ranges=bytes"},
		{"a condition", "GET", "/", []string{"Cookie: SERVERID=A", "Accept-Encoding: gzip", `If-None-Match: W/"1"`}, "304 tag=W/\"1\" vary=Accept-Encoding"},
		{"its own condition", "GET", "/", []string{"Cookie: SERVERID=A", "Accept-Encoding: gzip", `If-None-Match: "1"`}, "304 tag=\"1\""},
		{"no content", "GET", "/empty", []string{"Cookie: SERVERID=A", "Accept-Encoding: gzip"}, "200 len=0 tag=\"1\""},
		{"204", "GET", "/nothing", []string{"Cookie: SERVERID=A", "Accept-Encoding: gzip"}, "204 tag=\"1\""},
		{"trailers", "GET", "/trailing", []string{"Cookie: SERVERID=A", "Accept-Encoding: br"}, "200 coding=br vary=Accept-Encoding trailer=7"},
		{"forgery", "GET", "/", []string{"Cookie: SERVERID=A", "X-Forwarded-For: 6.6.6.6", "X_Forwarded_For: 6.6.6.6"}, "200 len=100000 tag=\"1\" vary=Accept-Encoding ranges=bytes"},
		{"a redirect", "GET", "/away?x", nil, "302 len=0 to=https://a.test/there/away?x"},
		{"a page", "GET", "/gone", nil, "410 page"},
		{"HEAD of a page", "HEAD", "/gone", nil, "410 page"},
		{"a supervisor", "GET", "/well", nil, "200 page"},
	} {
		for i, client := range clients {
			q := req(t, c.method, "https://a.test"+c.path, nil, c.fields...)
			resp, err := client.Do(q)
			if err != nil {
				t.Errorf("%s, HTTP/%d: %v", c.name, i+1, err)
				continue
			}
			var content strings.Builder
			_, err = io.Copy(&content, resp.Body)
			resp.Body.Close()
			if err != nil {
				t.Errorf("%s, HTTP/%d: content: %v", c.name, i+1, err)
			}
			text := content.String()
			var b strings.Builder
			fmt.Fprint(&b, resp.StatusCode)
			h := resp.Header
			page := strings.HasSuffix(c.want, " page")
			if n := h.Get("Content-Length"); n != "" && !page {
				b.WriteString(" len=" + n)
			}
			for _, f := range [][2]string{{"Content-Encoding", "coding"}, {"Location", "to"}, {"Etag", "tag"}, {"Vary", "vary"}, {"Accept-Ranges", "ranges"}} {
				if v := strings.Join(h[f[0]], "; "); v != "" {
					b.WriteString(" " + f[1] + "=" + v)
				}
			}
			if strings.HasPrefix(h.Get("Set-Cookie"), "SERVERID=A") {
				b.WriteString(" cookie")
			}
			if v := resp.Trailer.Get("X-Sum"); v != "" {
				b.WriteString(" trailer=" + v)
			}
			if page {
				b.WriteString(" page")
			}
			if got := b.String(); got != c.want {
				t.Errorf("%s, HTTP/%d:\n%s, want\n%s", c.name, i+1, got, c.want)
			}
			if c.method != "HEAD" && resp.StatusCode == 200 && c.path == "/" || c.path == "/trailing" {
				if text, err := inflated(&answer{Header: h, body: text}); text != novel || err != nil {
					t.Errorf("%s, HTTP/%d: %d bytes, %v", c.name, i+1, len(text), err)
				}
			}
			if (c.method == "HEAD" || resp.StatusCode == 304) && text != "" {
				t.Errorf("%s, HTTP/%d: content %q", c.name, i+1, text)
			}
			for _, name := range []string{"Connection", "Keep-Alive", "Transfer-Encoding"} {
				if i > 0 && len(h[name]) > 0 {
					t.Errorf("%s, HTTP/%d: %s %q", c.name, i+1, name, h[name])
				}
			}
		}
	}
}

// TestAcceptProxyBeforeHTTP2: the client that a PROXY header announces is that of every stream, whatever arrives together with the header. What
// is no such header ends the connection.
func TestAcceptProxyBeforeHTTP2(t *testing.T) {
	t.Parallel()
	for _, tls := range []bool{false, true} {
		o := newOrigin(t, nil)
		p := plan{servers: []*origin{o}, bind: "accept_proxy = [\"127.0.0.0/8\"]\n" + both}
		if tls {
			p.tls, p.bind = true, "accept_proxy = [\"127.0.0.0/8\"]"
		}
		r := build(t, p)
		r.tls = false // for the peer: TLS begins behind the header
		c := r.silent()
		if tls {
			c.write(announced1)
			c.overTLS()
			c.begin()
		} else {
			c.nc.Write(append([]byte(announced1+http2.ClientPreface), frames(func(fr *http2.Framer) { fr.WriteSettings() })...))
		}
		for i := range uint32(2) {
			c.headers(2*i+1, true, asking("/", "x-forwarded-for: 6.6.6.6")...)
			if head, _ := c.response(2*i + 1); head[":status"] != "200" {
				t.Errorf("%v", head)
			}
		}
		if n := strings.Count(o.seen(), "X-Forwarded-For: 203.0.113.7\r\n"); n != 2 || strings.Contains(o.seen(), "6.6.6.6") {
			t.Errorf("the server got %q", o.seen())
		}
		c = r.silent()
		c.begin()
		if got := c.verdict(0); got != "EOF" {
			t.Errorf("without a header: %s", got)
		}
	}
}
