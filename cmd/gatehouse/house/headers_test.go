package house_test

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"strings"
	"testing"
)

// ruledSite has header rules wherever they may stand.
func ruledSite(back, front string, servers ...*origin) plan {
	return plan{servers: servers, back: back + `
 request_headers {
  set    = { Host = "app.internal", "X-Depth" = "backend" }
  remove = ["X-Secret"]
 }
 response_headers {
  set    = { "X-Back" = "{server}" }
  remove = ["X-Powered-By"]
 }`, front: front + `
 request_headers {
  set = { "X-Real-IP" = "{client_ip}", "X-Forwarded-Port" = "{port}", "X-Depth" = "frontend", "X-Host" = "{authority}" }
  add = { "X-Seen" = "two" }
 }
 response_headers {
  set    = { "X-Frame-Options" = "DENY", "Content-Type" = "text/plain", "Cache-Control" = "no-transform" }
  remove = ["Server", "Set-Cookie"]
 }
 route {
  paths   = ["/api/*"]
  backend = backend.app
  request_headers { set = { "X-Depth" = "route", "X-Api" = "1" } }
  response_headers { set = { "X-Frame-Options" = "SAMEORIGIN" } }
 }
 route {
  paths   = ["/gone"]
  respond = 410
  response_headers { set = { "X-Gone" = "{uri}" } }
 }
 route {
  paths    = ["/away"]
  redirect = "https://elsewhere.test{uri}"
 }`}
}

// values returns all values of a field in a head, in their order.
func values(head, name string) (list []string) {
	for l := range strings.SplitSeq(head, "\r\n") {
		if n, v, ok := strings.Cut(l, ": "); ok && strings.EqualFold(n, name) {
			list = append(list, v)
		}
	}
	return list
}

func wantField(t *testing.T, what, head, name string, want ...string) {
	t.Helper()
	if got := values(head, name); strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("%s: %s is %q, want %q", what, name, got, want)
	}
}

// TestHeaderRules: those of the frontend come before those of the route, those of the backend last; answers the other way round.
func TestHeaderRules(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, say("HTTP/1.1 200 OK\r\nServer: Apache\r\nX-Powered-By: PHP\r\nSet-Cookie: app=1\r\nX-Frame-Options: ALLOWALL\r\nContent-Length: 2\r\n\r\nok"))
	r := build(t, ruledSite(`cookie "SERVERID" {}`, "", o))
	const forged = "Host: a.test:81\r\nX-Real-IP: 6.6.6.6\r\nX-Forwarded-Port: 22\r\nX-Forwarded-Server: evil\r\nX-Seen: one\r\nX-Secret: s\r\nX-Depth: client\r\n\r\n"
	a := r.client().ask("GET / HTTP/1.1\r\n" + forged)
	head := o.seen()
	_, port, _ := strings.Cut(r.addr, ":")
	wantField(t, "request", head, "Host", "app.internal")
	wantField(t, "request", head, "X-Host", "a.test:81")
	wantField(t, "request", head, "X-Real-IP", "127.0.0.1")
	wantField(t, "request", head, "X-Forwarded-Port", port)
	wantField(t, "request", head, "X-Forwarded-Server")
	wantField(t, "request", head, "X-Forwarded-For", "127.0.0.1")
	wantField(t, "request", head, "X-Forwarded-Proto", "http")
	wantField(t, "request", head, "X-Depth", "backend")
	wantField(t, "request", head, "X-Seen", "one", "two")
	wantField(t, "request", head, "X-Secret")
	wantField(t, "answer", a.head, "X-Back", "A")
	wantField(t, "answer", a.head, "X-Powered-By")
	wantField(t, "answer", a.head, "Server")
	wantField(t, "answer", a.head, "X-Frame-Options", "DENY")
	wantField(t, "answer", a.head, "Content-Type", "text/plain")
	// The persistence cookie stays, and what keeps it private.
	wantField(t, "answer", a.head, "Set-Cookie", "SERVERID=A; path=/; HttpOnly; SameSite=Lax")
	wantField(t, "answer", a.head, "Cache-Control", "private")

	a = r.client().ask("GET /api/x HTTP/1.1\r\nHost: a.test\r\n\r\n")
	wantField(t, "route", a.head, "X-Frame-Options", "SAMEORIGIN")
	o.got("X-Api: 1\r\n")

	for _, c := range []struct{ target, status, name, value string }{
		{"/gone", "410", "X-Gone", "/gone"},
		{"/gone", "410", "X-Frame-Options", "DENY"},
		{"/away", "302", "X-Frame-Options", "DENY"},
		{"/away", "302", "Location", "https://elsewhere.test/away"},
		{"/api/%00", "400", "X-Frame-Options", "DENY"},
		{"/api/%00", "400", "Cache-Control", "no-transform"},
	} {
		a := r.client().ask("GET " + c.target + " HTTP/1.1\r\nHost: a.test\r\n\r\n")
		if !strings.HasPrefix(a.head, "HTTP/1.1 "+c.status) {
			t.Errorf("%s: %s", c.target, a.head)
		}
		wantField(t, c.target, a.head, c.name, c.value)
		wantField(t, c.target, a.head, "Content-Type", "text/plain")
		if n := len(values(a.head, "Date")); c.status == "400" && n != 1 {
			t.Errorf("%s: %d dates", c.target, n)
		}
	}
}

// TestHeaderRulesOnErrors: the page for a server that is down has the frontend's fields; one for a request nobody could read has not.
func TestHeaderRulesOnErrors(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, nil)
	o.stop()
	r := build(t, ruledSite("retries = 0", "", o))
	a := r.client().ask("HEAD / HTTP/1.1\r\nHost: a.test\r\n\r\n")
	if !strings.HasPrefix(a.head, "HTTP/1.1 503") {
		t.Errorf("got %s", a.head)
	}
	wantField(t, "503", a.head, "X-Frame-Options", "DENY")
	a = r.client().ask("GET / HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n")
	if !strings.HasPrefix(a.head, "HTTP/1.1 400") {
		t.Errorf("got %s", a.head)
	}
	wantField(t, "400", a.head, "X-Frame-Options")
}

// TestHeaderRulesAndCache: the cache remembers what the backend's rules make of an answer, and nothing of what the frontend's do.
func TestHeaderRulesAndCache(t *testing.T) {
	t.Parallel()
	o, _ := numbered(t)
	text := `cache "pages" {
 memory = "16MiB"
}
` + strings.Replace(web(`cookie "SERVERID" {}
 request_headers { set = { Authorization = "Basic eDp5" } }
 response_headers { set = { "X-Back" = "{server}" } }
`, o), "log = log.access", `log = log.access
 cache = cache.pages
 request_headers { remove = ["X-Internal-*"] }
 response_headers {
  set = { "X-Front" = "{uri}", "X-From" = "{server}" }
 }`, 1)
	s := newLodge(t, text)
	c := s.client("www")
	ask := func(query string) *answer {
		return c.ask("GET /page" + query + " HTTP/1.1\r\nHost: a.test\r\nX-Internal-A: 1\r\nCookie: SERVERID=A\r\n\r\n")
	}
	miss, hit := ask(""), ask("")
	if miss.body != "answer 1" || hit.body != "answer 1" || hit.Get("Age") == "" {
		t.Fatalf("%s %q\n%s %q", miss.head, miss.body, hit.head, hit.body)
	}
	wantField(t, "miss", miss.head, "X-From", "A")
	wantField(t, "hit", hit.head, "X-From")
	for what, a := range map[string]*answer{"miss": miss, "hit": hit} {
		wantField(t, what, a.head, "X-Back", "A")
		wantField(t, what, a.head, "X-Front", "/page")
	}
	o.got("Authorization: Basic eDp5\r\n")
	if strings.Contains(o.seen(), "X-Internal") {
		t.Error("what is removed reaches the server")
	}
	// Taken out by the backend, an answer's Set-Cookie does not keep it out of the cache; set there, it does.
	if o := s.reload(strings.Replace(text, `set = { "X-Back" = "{server}" }`, `set = { "Set-Cookie" = "a=b" }`, 1)); !o.Done {
		t.Fatalf("%+v", o)
	}
	if first, second := ask("?2"), ask("?2"); first.body == second.body {
		t.Errorf("an answer with a cookie was remembered: %s", second.head)
	}
}

// TestRedirectingBindHasHeaderRules: the redirect to https is an answer of the frontend as well.
func TestRedirectingBindHasHeaderRules(t *testing.T) {
	t.Parallel()
	p := ruledSite("", "", newOrigin(t, nil))
	p.bind = `redirect = "https"`
	a := build(t, p).client().ask(get)
	if !strings.HasPrefix(a.head, "HTTP/1.1 301") {
		t.Errorf("got %s", a.head)
	}
	wantField(t, "redirect", a.head, "X-Frame-Options", "DENY")
	wantField(t, "redirect", a.head, "Location", "https://a.test/")
}

// A server's answer to an upgrade has the rules too, and the tunnel still opens.
func TestHeaderRulesOnUpgrade(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, func(w *wire) {
		if _, err := w.request(); err != nil {
			return
		}
		w.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nServer: x\r\n\r\nhello")
		w.rest()
	})
	w := build(t, ruledSite("", "", o)).client()
	w.send("GET /ws HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	head, err := w.head()
	if err != nil || !strings.Contains(head, " 101 ") {
		t.Fatalf("%s %v", head, err)
	}
	wantField(t, "101", head, "X-Frame-Options", "DENY")
	wantField(t, "101", head, "Server")
	if got, err := w.take(5); got != "hello" {
		t.Errorf("got %q, %v", got, err)
	}
}

// TestHeaderRulesOverHTTP2: the same rules, whatever the client speaks; gatehouse's own pages are no exception.
func TestHeaderRulesOverHTTP2(t *testing.T) {
	t.Parallel()
	up := newOrigin(t, say("HTTP/1.1 200 OK\r\nServer: Apache\r\nContent-Length: 2\r\n\r\nok"))
	down := newOrigin(t, nil)
	down.stop()
	for what, o := range map[string]*origin{"an answer": up, "a page": down} {
		p := ruledSite("retries = 0", "", o)
		p.tls = true
		r := build(t, p)
		transport := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				var d net.Dialer
				return d.DialContext(ctx, network, r.addr)
			}}
		resp, err := (&http.Client{Transport: transport, Timeout: patience}).Get("https://a.test/x")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		transport.CloseIdleConnections()
		if resp.ProtoMajor != 2 || resp.Header.Get("X-Frame-Options") != "DENY" || resp.Header.Get("Server") != "" {
			t.Errorf("%s: %s %v", what, resp.Proto, resp.Header)
		}
	}
	up.got("X-Real-IP: 127.0.0.1\r\n")
	up.got("X-Host: a.test\r\n")
}
