package house_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
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
