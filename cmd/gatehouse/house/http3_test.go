package house_test

import (
	"context"
	"crypto/tls"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// overUDP returns a client of HTTP/3 that finds every host at one address. It shows a certificate if there is one.
func overUDP(t testing.TB, addr string, c *tls.Certificate) *http.Client {
	config := &tls.Config{InsecureSkipVerify: true}
	if c != nil {
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return c, nil }
	}
	tr := &http3.Transport{TLSClientConfig: config, DisableCompression: true,
		Dial: func(ctx context.Context, _ string, c *tls.Config, q *quic.Config) (*quic.Conn, error) {
			return quic.DialAddr(ctx, addr, c, q)
		}}
	t.Cleanup(func() { tr.Close() })
	return &http.Client{Transport: tr, Timeout: patience}
}

// fetched reads the answer to a request.
func fetched(c *http.Client, q *http.Request) (*http.Response, string, error) {
	r, err := c.Do(q)
	if err != nil {
		return nil, "", err
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	return r, string(b), err
}

// asked makes a request.
func asked(t testing.TB, method, url string, content io.Reader) *http.Request {
	t.Helper()
	q, err := http.NewRequest(method, url, content)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// TestHTTP3 goes the whole way: cookie, forwardfor, cache, log, and content both ways.
func TestHTTP3(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, nil)
	r := build(t, plan{servers: []*origin{o}, tls: true, loops: 2, bind: "http3 = true", back: `cookie "S" {}`})
	c := overUDP(t, r.addr, nil)
	resp, body, err := fetched(c, asked(t, "GET", "https://a.test/x?y", nil))
	if err != nil || resp.StatusCode != 200 || body != "GET /x?y 0" {
		t.Fatalf("%q, %v", body, err)
	}
	if got := resp.Header.Get("Set-Cookie"); !strings.HasPrefix(got, "S=A; path=/; HttpOnly") || !strings.Contains(got, "Secure") {
		t.Errorf("Set-Cookie %q", got)
	}
	for _, want := range []string{"GET /x?y HTTP/1.1\r\n", "Host: a.test\r\n", "X-Forwarded-For: 127.0.0.1\r\n", "X-Forwarded-Proto: https\r\n"} {
		if !strings.Contains(o.seen(), want) {
			t.Errorf("the server got %q, without %q", o.seen(), want)
		}
	}
	if strings.Contains(o.seen(), "chunked") {
		t.Errorf("the server got content: %q", o.seen())
	}
	if l := r.line(); l.Status != 200 || l.Method != "GET" || l.Path != "/x" || l.Protocol != "HTTP/3.0" || l.Server != "A" || l.Termination[:2] != "--" {
		t.Errorf("line %+v", l)
	}
	const much = 3 << 20
	for _, length := range []string{"known", "unknown"} {
		var content io.Reader = strings.NewReader(strings.Repeat("z", much))
		if length == "unknown" {
			content = io.MultiReader(content)
		}
		_, body, err := fetched(c, asked(t, "POST", "https://a.test/up", content))
		if err != nil || body != fmt.Sprintf("POST /up %d", much) {
			t.Errorf("length %s: %q, %v", length, body, err)
		}
		if l := r.line(); l.BytesIn < much {
			t.Errorf("line %+v", l)
		}
	}
	// HEAD, and a name that nobody has a certificate for.
	if resp, body, err := fetched(c, asked(t, "HEAD", "https://a.test/", nil)); err != nil || body != "" || resp.ContentLength != int64(len("HEAD / 0")) {
		t.Errorf("HEAD: %v %q, %v", resp, body, err)
	}
	_, _, err = fetched(c, asked(t, "GET", "https://b.test/", nil))
	if err == nil || !strings.Contains(err.Error(), "unrecognized name") {
		t.Errorf("another name: %v", err)
	}
	// Over TCP one learns of it.
	if a := r.client().ask(get); !strings.HasPrefix(a.Get("Alt-Svc"), `h3=":`) {
		t.Errorf("%s", a.head)
	}
}

// TestWebSocketOverHTTP3 is RFC 9220: the server sees the upgrade of HTTP/1.
func TestWebSocketOverHTTP3(t *testing.T) {
	t.Parallel()
	for _, end := range []string{"client", "server", "nobody"} {
		o := newOrigin(t, func(w *wire) {
			q, err := w.request()
			if err != nil {
				return
			}
			key, ok := field(q.head, "Sec-WebSocket-Key")
			if !ok || len(key) != 24 || !q.upgrade() || q.method != "GET" {
				w.Errorf("the server got %q", q.head)
			}
			if end == "nobody" { // one that does not speak WebSocket
				key = "another"
			}
			w.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + acceptOf(key) + "\r\n\r\nhello")
			if end == "nobody" {
				return
			}
			if s, err := w.take(3); s != "you" {
				w.Errorf("the server got %q, %v", s, err)
			}
			if end == "client" {
				if s, err := w.rest(); s != "" || err != nil {
					w.Errorf("after the end the server got %q, %v", s, err)
				}
			}
			w.send("bye")
		})
		r := build(t, plan{servers: []*origin{o}, tls: true, bind: "http3 = true"})
		qc, err := quic.DialAddr(t.Context(), r.addr, &tls.Config{InsecureSkipVerify: true, ServerName: "a.test", NextProtos: []string{"h3"}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		cc := (&http3.Transport{}).NewClientConn(qc)
		str, err := cc.OpenRequestStream(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		q := asked(t, "CONNECT", "https://a.test/chat", nil)
		q.Proto = "websocket"
		if err := str.SendRequestHeader(q); err != nil {
			t.Fatal(err)
		}
		resp, err := str.ReadResponse()
		if end == "nobody" {
			if err != nil || resp.StatusCode != 502 {
				t.Errorf("%+v, %v", resp, err)
			}
			if l := r.line(); l.Status != 502 || l.Termination[:2] != "PH" {
				t.Errorf("line %+v", l)
			}
			cc.CloseWithError(0, "")
			r.shutdown(patience)
			continue
		}
		if err != nil || resp.StatusCode != 200 || resp.Header.Get("Sec-Websocket-Accept") != "" {
			t.Fatalf("%+v, %v", resp, err)
		}
		b := make([]byte, 5)
		if n, err := io.ReadFull(str, b); string(b[:n]) != "hello" {
			t.Errorf("%q, %v", b[:n], err)
		}
		io.WriteString(str, "you")
		if end == "client" {
			str.Close()
		}
		if rest, err := io.ReadAll(str); string(rest) != "bye" || err != nil {
			t.Errorf("the end of the %s: %q, %v", end, rest, err)
		}
		str.Close()
		if l := r.line(); l.Status != 101 && l.Status != 200 || l.Termination[:2] != "--" || l.BytesOut < 8 {
			t.Errorf("line %+v", l)
		}
		cc.CloseWithError(0, "")
		r.shutdown(patience)
	}
}

// TestHTTP3Reloads: what came in before goes on, the address is there or not as the configuration says, and what is refused changes nothing.
func TestHTTP3Reloads(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, nil)
	port := free(t, 1)[0]
	text := func(bind, more string) string {
		return fmt.Sprintf("tls \"own\" { internal = true }\nfrontend \"www\" {\n hosts = [\"a.test\"]\n bind \"127.0.0.1:%d\" {\n  tls = tls.own\n  %s\n }\n backend = backend.app\n log = log.access\n %s\n}\n%s", port, bind, more, app("", o))
	}
	s := newLodge(t, text("http3 = true", ""))
	s.settled("app")
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	c := overUDP(t, addr, nil)
	works := func(c *http.Client, what string) {
		t.Helper()
		if _, body, err := fetched(c, asked(t, "GET", "https://a.test/", nil)); body != "GET / 0" || err != nil {
			t.Errorf("%s: %q, %v", what, body, err)
		}
	}
	works(c, "at first")
	s.reload(text("http3 = true", "max_connections = 10"))
	works(c, "the same connection after a reload")
	works(overUDP(t, addr, nil), "another one")
	if n := s.h.Connections(); n != 2 {
		t.Errorf("%d connections, not 2: the first did not live on", n)
	}
	s.reload(text("", ""))
	s.await("the connections end", func() bool { return s.h.Connections() == 0 })
	dead := overUDP(t, addr, nil)
	dead.Transport.(*http3.Transport).QUICConfig = &quic.Config{HandshakeIdleTimeout: 500e6}
	if _, body, err := fetched(dead, asked(t, "GET", "https://a.test/", nil)); err == nil {
		t.Errorf("switched off, and answers %q", body)
	}
	s.write(text("http3 = true", "") + "tls \"bad\" {\n certificate = \"DIR/nothing.pem\"\n}\n")
	if out := s.h.Reload(); out.Done {
		t.Error("a reload without a certificate is done")
	}
	s.reload(text("http3 = true", ""))
	works(overUDP(t, addr, nil), "switched on")
	if err := s.end(patience); err != nil {
		t.Errorf("the end: %v", err)
	}
}

// TestClientCertificatesOverHTTP3: who may come in, and who is who, is the same by every way.
func TestClientCertificatesOverHTTP3(t *testing.T) {
	t.Parallel()
	staff, other := newAuthority(t), newAuthority(t)
	addr := fmt.Sprintf("127.0.0.1:%d", free(t, 1)[0])
	text := guarded(siteFile(t), staff.file, mirror(t), "")
	for _, name := range []string{"open", "staff", "strict"} {
		text = strings.Replace(text, `bind "unix:DIR/s" { tls = tls.`+name+` }`, "bind \""+addr+"\" {\n tls = tls."+name+"\n http3 = true\n}", 1)
	}
	newLodge(t, text)
	for _, q := range []struct {
		name, host string
		c          *tls.Certificate
		want       string // in the answer; "": none
	}{
		{"an open host", "open.test", nil, "X-Forwarded-Proto: https"},
		{"without a certificate", "staff.test", nil, ""},
		{"with somebody else's", "staff.test", other.issueClient(t, pkix.Name{CommonName: "mallory"}), ""},
		{"with a good one", "staff.test", staff.issueClient(t, pkix.Name{CommonName: "alice"}), "X-Ssl-Client-Dn: CN=alice"},
	} {
		resp, body, err := fetched(overUDP(t, addr, q.c), asked(t, "GET", "https://"+q.host+"/", nil))
		if q.want == "" && err == nil || q.want != "" && (err != nil || !strings.Contains(body, q.want)) {
			t.Errorf("%s: %v %q, %v", q.name, resp, body, err)
		}
	}
	// A connection that was made for one host serves no other one with rules of its own.
	c := overUDP(t, addr, nil)
	q := asked(t, "GET", "https://open.test/", nil)
	q.Host = "staff.test"
	if resp, body, err := fetched(c, q); err != nil || resp.StatusCode != 421 {
		t.Errorf("another host on the same connection: %v %q, %v", resp, body, err)
	}
}

// TestHTTP3EarlyAnswer: a server that answers before it has all the content is heard at once, and its answer ends although the client's
// content does not.
func TestHTTP3EarlyAnswer(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, func(w *wire) {
		w.head()
		w.take(len(hexLine(1000)) + 1000 + 2) // all there is: nothing else wakes the upload
		w.send("HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n")
		io.Copy(io.Discard, w.r)
	})
	r := build(t, plan{servers: []*origin{o}, tls: true, loops: 2, bind: "http3 = true", front: `timeouts { client = "15s" }`})
	c := overUDP(t, r.addr, nil)
	quick(t, 5*time.Second, func() time.Duration {
		pr, pw := io.Pipe()
		defer pw.Close()
		go pw.Write(make([]byte, 1000))
		began := time.Now()
		resp, body, err := fetched(c, asked(t, "POST", "https://a.test/", pr))
		if err != nil || resp.StatusCode != 403 || body != "no" {
			t.Errorf("%+v %q, %v", resp, body, err)
		}
		l := r.line()
		if l.Status != 403 || l.Termination[:2] != "--" {
			t.Errorf("the line %+v", l)
		}
		return time.Since(began)
	})
}
