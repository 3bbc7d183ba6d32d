package house_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync"
	"testing"
)

// h2origin starts a server that speaks HTTP/2 in the clear, and HTTP/1 too where that is asked for. It returns its address.
func h2origin(t testing.TB, h http.Handler, also1 bool) string {
	t.Helper()
	s := &http.Server{Handler: h, Protocols: &http.Protocols{}}
	s.Protocols.SetUnencryptedHTTP2(true)
	s.Protocols.SetHTTP1(also1)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() { s.Serve(ln) })
	t.Cleanup(func() {
		s.Close()
		running.Wait()
	})
	return ln.Addr().String()
}

// speaking is the block of servers that speak HTTP/2.
func speaking(addrs ...string) string {
	var b strings.Builder
	for i, a := range addrs {
		fmt.Fprintf(&b, "server %q %q { protocol = \"h2\" }\n", string(rune('A'+i)), a)
	}
	return b.String()
}

// telling answers with what it was asked.
func telling(w http.ResponseWriter, q *http.Request) {
	b, _ := io.ReadAll(q.Body)
	w.Header().Set("X-Proto", q.Proto)
	w.Header().Set("X-Host", q.Host)
	w.Header().Set("X-Peer", q.RemoteAddr)
	fmt.Fprintf(w, "%s %s %d", q.Method, q.URL, len(b))
}

func TestHTTP2Servers(t *testing.T) {
	r := build(t, plan{bind: both, back: speaking(h2origin(t, http.HandlerFunc(telling), false))})
	h1client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, r.addr)
	}}, Timeout: patience}
	t.Cleanup(h1client.CloseIdleConnections)
	for name, c := range map[string]*http.Client{"HTTP/1": h1client, "HTTP/2": r.h2client()} {
		peers := map[string]bool{}
		for _, x := range []struct{ method, body, want string }{
			{"GET", "", "GET /p?q=1 0"},
			{"HEAD", "", ""},
			{"POST", "hello", "POST /p?q=1 5"},
			{"PUT", strings.Repeat("x", 3_000_000), "PUT /p?q=1 3000000"},
			{"POST", "again", "POST /p?q=1 5"},
		} {
			var body io.Reader
			if x.body != "" {
				body = strings.NewReader(x.body)
			}
			resp, got := do(t, c, req(t, x.method, r.url("/p?q=1"), body))
			h := resp.Header
			if resp.StatusCode != 200 || got != x.want || h.Get("X-Proto") != "HTTP/2.0" || h.Get("X-Host") != "a.test" {
				t.Errorf("%s %s: %d %q %v, want %q", name, x.method, resp.StatusCode, got, h, x.want)
			}
			peers[h.Get("X-Peer")] = true
			if l := r.line(); l.Status != 200 || l.Server != "A" || l.Termination != "----" {
				t.Errorf("%s %s: the line %+v", name, x.method, l)
			}
		}
		if len(peers) != 1 {
			t.Errorf("%s: %d connections: %v", name, len(peers), peers)
		}
	}
}

// TestHTTP2ServersInBothDirections: trailers, interim responses, and content of any size, many at once.
func TestHTTP2ServersInBothDirections(t *testing.T) {
	addr := h2origin(t, http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Link", "</a.css>; rel=preload")
		w.WriteHeader(103)
		w.Header().Del("Link")
		w.Header().Set("Trailer", "X-Sum")
		io.Copy(w, q.Body)
		w.Header().Set("X-Sum", q.Trailer.Get("X-Up"))
	}), false)
	r := build(t, plan{bind: both, back: speaking(addr)})
	c := r.h2client()
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			want := bytes.Repeat([]byte{byte('a' + i)}, i*50_000+i)
			q := req(t, "POST", r.url("/"), io.MultiReader(bytes.NewReader(want)))
			q.Trailer = http.Header{"X-Up": {fmt.Sprint(i)}}
			hints := 0
			q = q.WithContext(httptrace.WithClientTrace(q.Context(), &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
				if code == 103 && h.Get("Link") != "" {
					hints++
				}
				return nil
			}}))
			resp, got := do(t, c, q)
			if got != string(want) || resp.Trailer.Get("X-Sum") != fmt.Sprint(i) || hints != 1 {
				t.Errorf("stream %d: %d of %d bytes, trailers %v, %d hints", i, len(got), len(want), resp.Trailer, hints)
			}
		})
	}
	wg.Wait()
}

// TestHTTP2ServersUnderTLS: what the server chooses in the handshake counts, and is said in words where it does not do.
func TestHTTP2ServersUnderTLS(t *testing.T) {
	serve := func(h2 bool) string {
		s := httptest.NewUnstartedServer(http.HandlerFunc(telling))
		s.EnableHTTP2 = h2
		s.Config.ErrorLog = quietLog
		s.StartTLS()
		t.Cleanup(s.Close)
		return s.Listener.Addr().String()
	}
	for _, x := range []struct {
		protocol string
		h2       bool
		want     string
	}{
		{"h2", true, "HTTP/2.0"},
		{"auto", true, "HTTP/2.0"},
		{"auto", false, "HTTP/1.1"},
		{"http/1.1", true, "HTTP/1.1"},
		{"h2", false, ""},
	} {
		t.Run(fmt.Sprint(x.protocol, x.h2), func(t *testing.T) {
			r := build(t, plan{bind: both, back: fmt.Sprintf("retries = 0\nserver \"A\" %q {\n protocol = %q\n tls { verify = false }\n }", serve(x.h2), x.protocol)})
			c := r.h2client()
			peers := map[string]bool{}
			for _, method := range []string{"GET", "POST", "GET", "POST"} {
				resp, got := do(t, c, req(t, method, r.url("/p"), strings.NewReader("abc")))
				l := r.line()
				if x.want == "" {
					if resp.StatusCode != 503 || !strings.Contains(l.Error, "does not choose HTTP/2") && !strings.Contains(l.Error, "application protocol") {
						t.Errorf("%d, %+v", resp.StatusCode, l)
					}
					continue
				}
				if resp.StatusCode != 200 || resp.Header.Get("X-Proto") != x.want || got != method+" /p 3" {
					t.Errorf("%d %q %v", resp.StatusCode, got, resp.Header)
				}
				peers[resp.Header.Get("X-Peer")] = true
			}
			if len(peers) > 1 {
				t.Errorf("connections %v", peers)
			}
		})
	}
}

// TestHTTP2ServersWithoutHTTP2: a server that speaks HTTP/1 alone is no server, and the log says why.
func TestHTTP2ServersWithoutHTTP2(t *testing.T) {
	o := newOrigin(t, func(w *wire) {
		w.head()
		w.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
		w.rest()
	})
	r := build(t, plan{back: "retries = 0\n" + speaking(o.addr)})
	w := r.client()
	if q := w.ask(get); q.status != 503 {
		t.Errorf("%d", q.status)
	}
	if l := r.line(); !strings.Contains(l.Error, "speaks HTTP/1 and no HTTP/2") || l.Termination != "SC--" {
		t.Errorf("%+v", l)
	}
}

// TestHTTP2ServersChecked: checks speak what the server speaks.
func TestHTTP2ServersChecked(t *testing.T) {
	asked := make(chan string, 100)
	h := http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.URL.Path == "/health" {
			asked <- q.Proto + " " + q.Method + " " + q.Host
			io.WriteString(w, "fine so far")
			return
		}
		telling(w, q)
	})
	s := httptest.NewUnstartedServer(h)
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	check := `check "http" {
  request = "GET /health"
  host = "app.test"
  expect = ["200"]
  expect_text = "fine"
 }
`
	for name, servers := range map[string]string{
		"clear": speaking(h2origin(t, h, false)),
		"tls":   fmt.Sprintf("server \"A\" %q {\n protocol = \"h2\"\n tls { verify = false }\n }\n", s.Listener.Addr()),
		"auto":  fmt.Sprintf("server \"A\" %q {\n protocol = \"auto\"\n tls { verify = false }\n }\n", s.Listener.Addr()),
	} {
		t.Run(name, func(t *testing.T) {
			r := build(t, plan{bind: both, back: check + servers})
			if got := <-asked; got != "HTTP/2.0 GET app.test" {
				t.Errorf("the check asks %q", got)
			}
			<-r.h.Pool("app").Ready()
			if resp, _ := do(t, r.h2client(), req(t, "GET", r.url("/"), nil)); resp.StatusCode != 200 {
				t.Errorf("%d", resp.StatusCode)
			}
		})
	}
}

// TestHTTP2ServersWebSocket: an upgrade goes by HTTP/1 on a connection of its own.
func TestHTTP2ServersWebSocket(t *testing.T) {
	o := newOrigin(t, func(w *wire) {
		q, err := w.request()
		if err != nil {
			return
		}
		key, _ := field(q.head, "Sec-WebSocket-Key")
		w.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: " + acceptOf(key) + "\r\n\r\n")
		said, _ := w.take(5)
		w.send(strings.ToUpper(said))
	})
	r := build(t, plan{back: speaking(o.addr)})
	w := r.client()
	w.send("GET /ws HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	if head, err := w.head(); err != nil || !strings.HasPrefix(head, "HTTP/1.1 101 ") {
		t.Fatalf("%q %v", head, err)
	}
	w.send("hello")
	if got, err := w.take(5); got != "HELLO" {
		t.Errorf("%q %v", got, err)
	}
}

// TestHTTP2ServersAndReasonPhrases: HTTP/1 has a phrase beside the status, which servers of HTTP/2 cannot give. It is the registered one, also
// from the cache; a server of HTTP/1 says what it likes, or nothing.
func TestHTTP2ServersAndReasonPhrases(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		var status int
		fmt.Sscanf(q.URL.Path, "/%d", &status)
		w.WriteHeader(status)
	})
	mute := newOrigin(t, say("HTTP/1.1 404 \r\nContent-Length: 0\r\n\r\n"))
	r := build(t, plan{bind: both, back: speaking(h2origin(t, h, false)), front: `cache = cache.pages
 route {
  paths = ["/mute"]
  backend = backend.mute
  cache = false
 }`, more: "cache \"pages\" {}\nbackend \"mute\" {\n server \"A\" \"" + mute.addr + "\" {}\n}\n"})
	c := r.client()
	for _, x := range []struct{ path, want string }{
		{"/200", "HTTP/1.1 200 OK"},
		{"/200", "HTTP/1.1 200 OK"}, // from the cache
		{"/404", "HTTP/1.1 404 Not Found"},
		{"/503", "HTTP/1.1 503 Service Unavailable"},
		{"/299", "HTTP/1.1 299 "},
		{"/mute", "HTTP/1.1 404 "},
	} {
		a := c.ask("GET " + x.path + " HTTP/1.1\r\nHost: a.test\r\n\r\n")
		if line, _, _ := strings.Cut(a.head, "\r\n"); line != x.want {
			t.Errorf("%s: %q, want %q", x.path, line, x.want)
		}
	}
}
