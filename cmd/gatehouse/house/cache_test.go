package house_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"

	"gatehouse/cmd/gatehouse/admin"
)

// cached is web with a cache before the backend, whose answers carry a persistence cookie for newcomers. front goes into the frontend.
func cached(front string, servers ...*origin) string {
	text := strings.Replace(web("cookie \"SERVERID\" {}\n", servers...), "log = log.access", "log = log.access\n cache = cache.pages\n"+front, 1)
	return "cache \"pages\" {\n memory = \"16MiB\"\n max_object = \"1MiB\"\n}\n" + text
}

// numbered is a server that counts its answers, which are for everybody.
func numbered(t *testing.T) (o *origin, answers *atomic.Int64) {
	answers = &atomic.Int64{}
	return newOrigin(t, func(w *wire) {
		for {
			if _, err := w.request(); err != nil {
				return
			}
			body := fmt.Sprintf("answer %d", answers.Add(1))
			if w.send(fmt.Sprintf("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: %d\r\n\r\n%s", len(body), body)) != nil {
				return
			}
		}
	}), answers
}

// TestCacheAndPersistence: who has a cookie fills the cache, who has none is answered from it, and no cookie is ever replayed
// (AT-3.5).
func TestCacheAndPersistence(t *testing.T) {
	t.Parallel()
	o, _ := numbered(t)
	s := newLodge(t, cached("route {\n paths = [\"/live/*\"]\n backend = backend.app\n cache = false\n}\n", o))
	c := s.client("www")
	const holder = "GET / HTTP/1.1\r\nHost: a.test\r\nCookie: SERVERID=A\r\n\r\n"
	first := c.ask(get)
	if first.body != "answer 1" || first.Get("Set-Cookie") == "" || !strings.Contains(first.Get("Cache-Control"), "private") ||
		first.Get("Cache-Status") != "gatehouse; fwd=uri-miss; fwd-status=200; detail=OWN" {
		t.Errorf("a newcomer: %s %q", first.head, first.body)
	}
	if a := c.ask(holder); a.body != "answer 2" || a.Get("Set-Cookie") != "" || !strings.HasSuffix(a.Get("Cache-Status"), "; stored") {
		t.Errorf("a holder: %s %q", a.head, a.body)
	}
	for _, q := range []string{get, holder} {
		a := c.ask(q)
		if a.body != "answer 2" || a.Get("Set-Cookie") != "" || !strings.HasPrefix(a.Get("Cache-Status"), "gatehouse; hit; ttl=") || a.Get("Age") == "" {
			t.Errorf("from the cache: %s %q", a.head, a.body)
		}
	}
	if o := s.reload(cached("max_connections = 10\n", o)); !o.Done {
		t.Fatalf("%+v", o)
	}
	if a := c.ask(get); a.body != "answer 2" {
		t.Errorf("after a reload: %s %q", a.head, a.body)
	}
	if a := c.ask("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\n\r\nhi"); a.body != "answer 3" {
		t.Errorf("POST: %s %q", a.head, a.body)
	}
	if a := c.ask(holder); a.body != "answer 4" {
		t.Errorf("after POST: %s %q", a.head, a.body)
	}
}

// TestCacheAndRulesOfTheBackend: what a rule says about one client is told to no other one.
func TestCacheAndRulesOfTheBackend(t *testing.T) {
	t.Parallel()
	for _, newcomers := range []bool{false, true} {
		o, _ := numbered(t)
		text := strings.Replace(cached("", o), "cookie \"SERVERID\" {}\n",
			`response_headers { set = { "X-Client" = "<{client_ip}>", "X-Host" = "{host}" } }`+"\n", 1)
		text = strings.Replace(text, "max_object =", fmt.Sprintf("fill_from_newcomers = %v\n max_object =", newcomers), 1)
		s := newLodge(t, text)
		for i := range 3 {
			a := s.client("www").ask(get)
			hit := strings.Contains(a.Get("Cache-Status"), "; hit")
			if a.Get("X-Host") != "a.test" || hit != (newcomers && i > 0) || (a.Get("X-Client") == "") != hit {
				t.Errorf("fill_from_newcomers = %v: %s", newcomers, a.head)
			}
		}
	}
}

// TestCacheStatusAndPurge: what an operator sees of a cache, and makes it forget.
func TestCacheStatusAndPurge(t *testing.T) {
	t.Parallel()
	o, answers := numbered(t)
	s := newLodge(t, cached("", o))
	c := s.client("www")
	const holder = "GET / HTTP/1.1\r\nHost: a.test\r\nCookie: SERVERID=A\r\n\r\n"
	for range 3 {
		c.ask(holder)
	}
	v := s.h.Status().Caches
	if len(v) != 1 || v[0].Name != "pages" || v[0].Hits != 2 || v[0].Misses != 1 || v[0].Stored != 1 || v[0].Keys != 1 || v[0].Memory != 16<<20 || v[0].Ratio() != 66 {
		t.Errorf("%+v", v)
	}
	for i, p := range []admin.Purge{{URL: "http://a.test/"}, {Prefix: "http://a.test/"}, {All: true, Cache: "pages"}} {
		done, err := s.h.Purge(p)
		if err != nil || done.URLs != 1 {
			t.Errorf("%+v: %+v, %v", p, done, err)
		}
		if c.ask(holder); answers.Load() != int64(i+2) {
			t.Errorf("%+v: the server was asked %d times", p, answers.Load())
		}
	}
	if done, err := s.h.Purge(admin.Purge{Tag: "x"}); err != nil || done.URLs != 0 {
		t.Errorf("%+v, %v", done, err)
	}
	if _, err := s.h.Purge(admin.Purge{All: true, Cache: "other"}); !errors.Is(err, admin.ErrUnknown) || err.Error() != `unknown cache "other": there is pages` {
		t.Errorf("%v", err)
	}
}

func TestRouteWithoutTheCache(t *testing.T) {
	t.Parallel()
	o, _ := numbered(t)
	s := newLodge(t, cached("route {\n paths = [\"/live/*\"]\n backend = backend.app\n cache = false\n}\n", o))
	c := s.client("www")
	for i := range 3 {
		a := c.ask("GET /live/x HTTP/1.1\r\nHost: a.test\r\nCookie: SERVERID=A\r\n\r\n")
		if want := fmt.Sprintf("answer %d", i+1); a.body != want || a.Get("Cache-Status") != "" {
			t.Errorf("%s %q, want %q", a.head, a.body, want)
		}
	}
}

// TestClientThatLeavesFillsTheCache: the server goes on sending when the client that asked is gone, and the next one has all of it.
func TestClientThatLeavesFillsTheCache(t *testing.T) {
	t.Parallel()
	const size = 600_000
	gone := make(chan struct{})
	var asked atomic.Int64
	o := newOrigin(t, func(w *wire) {
		if _, err := w.request(); err != nil {
			return
		}
		asked.Add(1)
		w.send(fmt.Sprintf("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: %d\r\n\r\n%s", size, strings.Repeat("x", 1000)))
		<-gone
		w.send(strings.Repeat("x", size-1000))
		w.rest()
	})
	s := newLodge(t, cached("", o))
	const holder = "GET /big HTTP/1.1\r\nHost: a.test\r\nCookie: SERVERID=A\r\n\r\n"
	first := s.client("www")
	first.send(holder)
	if _, err := first.head(); err != nil {
		t.Fatal(err)
	}
	first.reset()
	s.await("the client is counted as gone, or still feeds the cache", func() bool { return s.h.Status().Frontends[0].Connections <= 1 })
	second := s.client("www")
	second.send(holder)
	if head, err := second.head(); err != nil || !strings.Contains(head, "collapsed") {
		t.Fatalf("%s, %v", head, err)
	}
	close(gone)
	if body, err := second.take(size); err != nil || len(body) != size {
		t.Errorf("%d bytes, %v", len(body), err)
	}
	s.await("it is stored", func() bool {
		a := s.client("www").ask(holder)
		return strings.Contains(a.Get("Cache-Status"), "hit") && len(a.body) == size
	})
	if n := asked.Load(); n != 1 {
		t.Errorf("the server was asked %d times", n)
	}
}

// TestTruncatedAnswerIsNotRemembered: the clients notice, and the next one gets a whole answer.
func TestTruncatedAnswerIsNotRemembered(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	o := newOrigin(t, func(w *wire) {
		if _, err := w.request(); err != nil {
			return
		}
		if asked.Add(1) == 1 {
			w.send("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
			return
		}
		w.send("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n")
		w.rest()
	})
	s := newLodge(t, cached("", o))
	const holder = "GET / HTTP/1.1\r\nHost: a.test\r\nCookie: SERVERID=A\r\n\r\n"
	c := s.client("www")
	c.send(holder)
	if a, err := c.answer("GET"); err == nil && a.status == 200 {
		t.Errorf("half an answer was taken for a whole one: %+v", a)
	}
	for _, want := range []string{"stored", "hit"} {
		if a := s.client("www").ask(holder); a.body != "hello world" || !strings.Contains(a.Get("Cache-Status"), want) {
			t.Errorf("%s %q, want %s", a.head, a.body, want)
		}
	}
}

// TestDiskOutlivesReloadAndRestart: the disk tier stays through a reload, with its new size, and is found again after a restart.
func TestDiskOutlivesReloadAndRestart(t *testing.T) {
	t.Parallel()
	o, answers := numbered(t)
	text := func(disk string) string {
		return strings.Replace(cached("", o), "memory =", disk+"\n memory =", 1)
	}
	s := newLodge(t, text(`disk "DIR/kept" { size = "8MiB" }`))
	const holder = "GET / HTTP/1.1\r\nHost: a.test\r\nCookie: SERVERID=A\r\n\r\n"
	disk := func() *admin.Disk { return s.h.Status().Caches[0].Disk }
	ready := func() bool { d := disk(); return d != nil && d.State == "ready" }
	s.await("the disk tier is ready", ready)
	s.client("www").ask(holder)
	s.await("it is written", func() bool { return disk().Objects == 1 })
	if o := s.reload(text(`disk "DIR/kept" { size = "4MiB" }`)); !o.Done {
		t.Fatalf("%+v", o)
	}
	if d := disk(); !ready() || d.Objects != 1 || d.Size != 4<<20 || d.Path != s.path("kept") {
		t.Errorf("after a reload: %+v", d)
	}
	s.end(0)
	s.start()
	s.await("the disk tier is ready again", ready)
	list, err := s.h.List(admin.Listing{Prefix: "http://a.test/", Limit: 10})
	if err != nil || len(list.Answers) != 1 || list.More || list.Answers[0].Tier != "disk" || list.Answers[0].URL != "http://a.test/" || list.Answers[0].Status != 200 || list.Answers[0].Size != 8 {
		t.Errorf("%+v, %v", list, err)
	}
	if a := s.client("www").ask(holder); a.body != "answer 1" || !strings.HasSuffix(a.Get("Cache-Status"), "; detail=DISK") || answers.Load() != 1 {
		t.Errorf("%s %q", a.head, a.body)
	}
	if done, err := s.h.Purge(admin.Purge{All: true}); err != nil || done.URLs != 1 || disk().Objects != 0 {
		t.Errorf("%+v, %v, %+v", done, err, disk())
	}
	if o := s.reload(text("")); !o.Done || disk() != nil {
		t.Errorf("%+v, %+v", o, disk())
	}
}

// TestVaryCookieBehindPersistence: an answer that was selected by cookies is given to whoever the server would have given the same, whatever the
// persistence cookie, and to nobody else.
func TestVaryCookieBehindPersistence(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, func(w *wire) { // which says what it sees
		for {
			q, err := w.request()
			if err != nil {
				return
			}
			seen, _ := field(q.head, "Cookie")
			body := "[" + seen + "]"
			fields := "Cache-Control: max-age=60\r\nVary: Cookie\r\n"
			if strings.HasPrefix(q.target, "/live") {
				fields = "Cache-Control: no-store\r\n"
			}
			if w.send(fmt.Sprintf("HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s", fields, len(body), body)) != nil {
				return
			}
		}
	})
	s := newLodge(t, cached("", o))
	c := s.client("www")
	hits, parts := 0, []string{"SERVERID=A", "SERVERID=\"A", "id=1", "id=2", "x=\"a; SERVERID=A", "b\"", "SERVERID", "SERVERID = B", "$Path=/", "y=1, SERVERID=A", "", "z"}
	random := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		list := make([]string, 1+random.IntN(3))
		for i := range list {
			list[i] = parts[random.IntN(len(parts))]
		}
		cookies := strings.Join(list, []string{"; ", ";", ", "}[random.IntN(3)])
		ask := func(path string) *answer {
			return c.ask("GET " + path + " HTTP/1.1\r\nHost: a.test\r\nCookie: " + cookies + "\r\n\r\n")
		}
		a, live := ask("/page"), ask("/live")
		if strings.Contains(a.Get("Cache-Status"), "; hit") {
			hits++
		}
		if got, want := pairs(a.body), pairs(live.body); got != want {
			t.Errorf("Cookie: %s: an answer for %q, the server sees %q, %s", cookies, got, want, a.Get("Cache-Status"))
		}
	}
	if hits < 100 {
		t.Errorf("%d hits", hits)
	}
}

// pairs returns cookies without the white space that means nothing between them.
func pairs(cookies string) string {
	if strings.ContainsAny(cookies, "\"\\,$") {
		return cookies
	}
	var list []string
	for c := range strings.SplitSeq(strings.Trim(cookies, "[]"), ";") {
		if c = strings.TrimSpace(c); c != "" {
			list = append(list, c)
		}
	}
	return strings.Join(list, ";")
}
