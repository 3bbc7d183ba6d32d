package house_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"weak"

	"gatehouse/backend"
	"gatehouse/cmd/gatehouse/admin"
)

// TestReloadTakesTheNextRequest: on a connection that stays, the next request is served as the new configuration says: limits, routes,
// backends and log.
func TestReloadTakesTheNextRequest(t *testing.T) {
	t.Parallel()
	one, two := newOrigin(t, say("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none")), newOrigin(t, say("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ntwo"))
	s := newLodge(t, web("", one))
	c := s.client("www")
	if a := c.ask(get); a.body != "one" {
		t.Fatalf("%+v", a)
	}
	o := s.reload(web("", two))
	if want := []string{"backend app server A: address " + one.addr + " → " + two.addr}; !slices.Equal(o.Changes, want) {
		t.Errorf("changes %q, want %q", o.Changes, want)
	}
	if a := c.ask(get); a.body != "two" {
		t.Errorf("after the reload: %+v", a)
	}
	s.reload(strings.Replace(web("", two), "log = log.access", "route {\n paths = [\"/old/*\"]\n respond = 410\n}", 1))
	if a := c.ask("GET /old/x HTTP/1.1\r\nHost: a.test\r\n\r\n"); a.status != 410 {
		t.Errorf("the new route: %+v", a)
	}
	s.reload(strings.Replace(web("", two), "log = log.access", "limits { target = \"100B\" }", 1))
	if a := c.ask("GET /" + strings.Repeat("x", 200) + " HTTP/1.1\r\nHost: a.test\r\n\r\n"); a.status != 414 {
		t.Errorf("the new limit: %+v", a)
	}
	st := s.h.Status()
	if st.Generation != 4 || st.Totals.Reloads != 3 || !st.Reload.Done || st.Frontends[0].Requests != 3 || st.Frontends[0].Bad != 1 || st.Frontends[0].Accepted != 1 {
		t.Errorf("%+v, %+v, %+v", st.Totals, st.Reload, st.Frontends[0])
	}
	s.await("the connection is counted as gone", func() bool { return s.h.Connections() == 0 })
}

// TestReloadKeepsWhatIsUnchanged: a backend that is as before keeps its pool with its idle connections; certificates are kept, too.
func TestReloadKeepsWhatIsUnchanged(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, nil)
	text := "tls \"own\" { internal = true }\nfrontend \"s\" {\n bind \"unix:DIR/tls\" { tls = tls.own }\n backend = backend.app\n}\n" + web("", o)
	s := newLodge(t, text)
	pool, certs := s.h.Pool("app"), s.h.Certificates("own")
	s.client("www").ask(get)
	s.await("the connection is idle", func() bool { return s.server("app", "A").Idle == 1 })
	out := s.reload(strings.Replace(text, "log = log.access", "max_connections = 10", 1))
	if s.h.Pool("app") != pool || s.h.Certificates("own") != certs {
		t.Error("what has not changed was built anew")
	}
	if want := []string{"frontend www: log access → none", "frontend www: max_connections 0 → 10"}; !slices.Equal(out.Changes, want) {
		t.Errorf("changes %q, want %q", out.Changes, want)
	}
	if v := s.server("app", "A"); v.Idle != 1 || v.Requests != 1 {
		t.Errorf("%+v", v)
	}
	if out := s.reload(strings.Replace(text, "log = log.access", "max_connections = 10 # as before", 1)); len(out.Changes) != 0 {
		t.Errorf("a comment changes %q", out.Changes)
	}
}

// TestReloadIsRefusedAsAWhole: whatever is wrong, all of it is said with its place, nothing changes, and nothing is left behind
// (AT-4.11).
func TestReloadIsRefusedAsAWhole(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	o := newOrigin(t, nil)
	good := web("", o)
	s := newLodge(t, good)
	c := s.client("www")
	c.ask(get)
	for _, tt := range []struct {
		name, text string
		says       []string
	}{
		{"syntax", good + "frontend {", []string{"gatehouse.hcl line "}},
		{"words", strings.Replace(good, "backend = backend.app", "backend = backend.ap", 1), []string{"gatehouse.hcl line 8", "backend.app"}},
		{"address in use", good + fmt.Sprintf("frontend \"new\" {\n bind \"unix:DIR/new\" {}\n bind %q {}\n backend = backend.app\n}\n", taken.Addr()),
			[]string{"listen on " + taken.Addr().String() + ": bind: address already in use", "gatehouse.hcl line 17", "ss -ltnp"}},
		{"certificate", good + "tls \"t\" { certificate = \"DIR/none.pem\" }\nfrontend \"new\" {\n bind \"unix:DIR/new\" { tls = tls.t }\n backend = backend.app\n}\n",
			[]string{"none.pem", "no such file"}},
		{"several at once", good + fmt.Sprintf("log \"l\" { output = \"DIR/no/dir/log\" }\nfrontend \"new\" {\n bind %q {}\n backend = backend.app\n log = log.l\n}\n", taken.Addr()),
			[]string{"no/dir/log: no such file or directory"}},
		{"admin socket", good + "admin { socket = \"DIR/gatehouse.hcl\" }\n", []string{"exists and is not a socket"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.write(tt.text)
			out := s.h.Reload()
			if out.Done || out.Generation != 1 || len(out.Changes) > 0 || out.Errors == 0 {
				t.Errorf("%+v", out)
			}
			for _, w := range tt.says {
				if !strings.Contains(out.Diagnostics, w) {
					t.Errorf("%q is not in\n%s", w, out.Diagnostics)
				}
			}
			if a := c.ask(get); a.status != 200 {
				t.Errorf("the old configuration serves no more: %+v", a)
			}
			if _, err := os.Stat(s.path("new")); err == nil {
				t.Error("an address of the refused configuration is open")
			}
		})
	}
	if st := s.h.Status(); st.Totals.ReloadsRefused != 6 || st.Reload.Done {
		t.Errorf("%+v, %+v", st.Totals, st.Reload)
	}
	said := 0
	for _, e := range s.told.All() {
		if strings.Contains(e.Message, "reload refused, generation 1 serves on\nError: ") {
			said++
		}
	}
	if said != 6 {
		t.Errorf("the log says %d times why", said)
	}
}

// checked is a server that says by its check whether it is well, and counts other requests.
func checked(t testing.TB) (o *origin, well *atomic.Bool, served *atomic.Int64) {
	well, served = new(atomic.Bool), new(atomic.Int64)
	well.Store(true)
	o = newOrigin(t, func(w *wire) {
		for {
			q, err := w.request()
			if err != nil {
				return
			}
			status := "200 OK"
			if q.target == "/check" {
				if !well.Load() {
					status = "503 No"
				}
			} else {
				served.Add(1)
			}
			if w.send("HTTP/1.1 "+status+"\r\nContent-Length: 2\r\n\r\nok") != nil {
				return
			}
		}
	})
	return o, well, served
}

const check = "check \"http\" {\n request = \"GET /check HTTP/1.1\"\n interval = \"100ms\"\n rise = 2\n fall = 2\n}\n"

// TestDownServersStayDown: over reloads that change their backend, a server that is down gets no request, and keeps what is known of it.
func TestDownServersStayDown(t *testing.T) {
	t.Parallel()
	a, _, _ := checked(t)
	b, wellB, servedB := checked(t)
	wellB.Store(false)
	s := newLodge(t, web(check, a, b))
	s.settled("app")
	before := s.server("app", "B")
	if before.State != "down" || !strings.Contains(before.Check, "HTTP status 503") {
		t.Fatalf("%+v", before)
	}
	c := s.client("www")
	for i := range 6 {
		s.reload(web(check+fmt.Sprintf("retries = %d\n", i+1), a, b))
		for range 10 {
			if a := c.ask(get); a.status != 200 {
				t.Fatalf("%+v", a)
			}
		}
	}
	if n := servedB.Load(); n != 0 {
		t.Errorf("%d requests went to the server that is down", n)
	}
	if v := s.server("app", "B"); v.State != "down" || !v.Since.Equal(before.Since) || v.Check != before.Check {
		t.Errorf("%+v, before %+v", v, before)
	}
	if v := s.server("app", "A"); v.Requests != 60 {
		t.Errorf("the counter is at %d after 60 requests", v.Requests)
	}
	for _, e := range s.told.FilterMessageSnippet("server is").All()[2:] {
		t.Errorf("said again: %s %v", e.Message, e.ContextMap())
	}
	wellB.Store(true)
	s.await("B is up", func() bool { return s.server("app", "B").Newcomers })
}

// TestReloadWaitsForTheFirstVerdict: servers that nobody has looked at yet are checked before the new configuration takes over, so that no
// request finds a backend without a server.
func TestReloadWaitsForTheFirstVerdict(t *testing.T) {
	t.Parallel()
	old := newOrigin(t, nil)
	asked, answer := make(chan struct{}), make(chan struct{})
	slow := newOrigin(t, func(w *wire) {
		q, err := w.request()
		if err != nil {
			return
		}
		if q.target == "/check" {
			close(asked)
			<-answer
		}
		w.send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nnew")
		w.rest()
	})
	s := newLodge(t, web("", old))
	s.write(web(strings.Replace(check, "100ms", "1m", 1), slow))
	answered := sync.OnceFunc(func() { close(answer) })
	defer answered()
	done := make(chan *admin.Outcome, 1)
	go func() { done <- s.h.Reload() }()
	<-asked
	c := s.client("www")
	if a := c.ask(get); a.body != "GET / 0" {
		t.Errorf("meanwhile: %+v", a)
	}
	answered()
	if o := <-done; !o.Done {
		t.Fatalf("%+v", o)
	}
	if a := c.ask(get); a.body != "new" {
		t.Errorf("afterwards: %+v", a)
	}
}

// TestRemovedAddress: it is closed at once; what is under way there may end, for as long as shutdown_grace.
func TestRemovedAddress(t *testing.T) {
	t.Parallel()
	goOn := make(chan struct{})
	o := newOrigin(t, func(w *wire) {
		for {
			q, err := w.request()
			if err != nil {
				return
			}
			if q.target == "/slow" {
				w.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
				<-goOn
				w.send("world")
				continue
			}
			w.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	})
	two := func(grace string) string {
		return strings.Replace(web("", o), "bind", "bind \"unix:DIR/two\" {}\n bind", 1)
	}
	s := newLodge(t, two("20s"))
	slow, idle, other := s.client("two"), s.client("two"), s.client("www")
	slow.send("GET /slow HTTP/1.1\r\nHost: a.test\r\n\r\n")
	if _, err := slow.head(); err != nil {
		t.Fatal(err)
	}
	idle.ask(get)
	other.ask(get)
	s.reload(web("", o))
	s.await("the address is closed", func() bool { _, err := net.Dial("unix", s.path("two")); return err != nil })
	idle.ended()
	if a := other.ask(get); a.status != 200 {
		t.Errorf("%+v", a)
	}
	close(goOn)
	if b, err := slow.take(10); b != "helloworld" {
		t.Errorf("what was under way: %q, %v", b, err)
	}
	// The same address can be opened again, by other means.
	s.reload(two("20s"))
	if a := s.client("two").ask(get); a.status != 200 {
		t.Errorf("opened again: %+v", a)
	}
}

// TestRemovedAddressIsCutInTheEnd: what takes longer than shutdown_grace on an address that is gone is cut.
func TestRemovedAddressIsCutInTheEnd(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, func(w *wire) {
		w.head()
		w.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
		w.rest()
	})
	s := newLodge(t, strings.Replace(web("", o), "bind", "bind \"unix:DIR/two\" {}\n bind", 1))
	c := s.client("two")
	c.send(get)
	if _, err := c.head(); err != nil {
		t.Fatal(err)
	}
	c.take(5)
	s.put("gatehouse.hcl", strings.ReplaceAll("global {\n state_dir = \"DIR\"\n shutdown_grace = \"200ms\"\n}\nlog \"access\" {}\n"+web("", o), "DIR", s.dir))
	if out := s.h.Reload(); !out.Done {
		t.Fatal(out.Diagnostics)
	}
	c.ended()
}

// TestLogsOverReloads: the line of an exchange is in the log that its frontend has when it ends, and in none twice.
func TestLogsOverReloads(t *testing.T) {
	t.Parallel()
	goOn := make(chan struct{})
	o := newOrigin(t, func(w *wire) {
		for {
			q, err := w.request()
			if err != nil {
				return
			}
			if q.target == "/slow" {
				<-goOn
			}
			w.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	})
	to := func(name string) string {
		return strings.Replace(web("", o), "log = log.access", "log = log."+name, 1) +
			fmt.Sprintf("log %q {\n format = \"json\"\n output = \"DIR/%s.log\"\n}\n", name, name)
	}
	s := newLodge(t, to("one"))
	slow := s.client("www")
	slow.send("GET /slow HTTP/1.1\r\nHost: a.test\r\n\r\n")
	o.got("/slow")
	s.client("www").ask(get)
	text := func(name string) string { b, _ := os.ReadFile(s.path(name)); return string(b) }
	s.await("the line of the quick one", func() bool { return text("one.log") != "" })
	s.reload(to("two"))
	close(goOn)
	if a, err := slow.answer("GET"); err != nil || a.status != 200 {
		t.Fatalf("%+v, %v", a, err)
	}
	s.await("the line of the slow one", func() bool { return strings.Contains(text("two.log"), `"/slow"`) })
	if one, two := text("one.log"), text("two.log"); strings.Count(one, "\n") != 1 || strings.Contains(one, "/slow") || strings.Count(two, "\n") != 1 {
		t.Errorf("one: %s\ntwo: %s", one, two)
	}
	s.await("the old log is closed", func() bool { return !openFile(s.path("one.log")) })
}

// TestNoLineIsLost: while logs come and go, each exchange has its line in one of them.
func TestNoLineIsLost(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, nil)
	to := func(i int) string {
		name := []string{"one", "two"}[i%2]
		return strings.Replace(web("", o), "log = log.access", "log = log."+name, 1) + fmt.Sprintf("log %q { output = \"DIR/%s.log\" }\n", name, name)
	}
	s := newLodge(t, to(0))
	var over atomic.Bool
	var asked atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		c := s.client("www")
		wg.Go(func() {
			for !over.Load() {
				asked.Add(1)
				if c.send(get) != nil {
					return
				}
				if _, err := c.answer("GET"); err != nil {
					t.Error(err)
					return
				}
			}
			c.Close()
		})
	}
	for i := range 20 {
		s.pass(&asked, asked.Load()+30, &over)
		s.reload(to(i + 1))
	}
	over.Store(true)
	wg.Wait()
	if err := s.end(patience); err != nil {
		t.Error(err)
	}
	lines := 0
	for _, name := range []string{"one.log", "two.log"} {
		b, err := os.ReadFile(s.path(name))
		if err != nil {
			t.Error(err)
		}
		lines += strings.Count(string(b), "\n")
	}
	if n := asked.Load(); int64(lines) != n {
		t.Errorf("%d lines of %d requests", lines, n)
	}
}

// openFile reports whether this process has a file open.
func openFile(name string) bool {
	fds, _ := filepath.Glob("/proc/self/fd/*")
	for _, fd := range fds {
		if to, err := os.Readlink(fd); err == nil && to == name {
			return true
		}
	}
	return false
}

// TestTicketsOutliveAReload: a client resumes its TLS session though the tls block has changed.
func TestTicketsOutliveAReload(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, nil)
	text := "tls \"own\" {\n internal = true\n hosts = [\"a.test\"]\n}\nfrontend \"s\" {\n bind \"unix:DIR/tls\" { tls = tls.own }\n backend = backend.app\n}\n" + app("", o)
	s := newLodge(t, text)
	c := &tls.Config{ServerName: "a.test", InsecureSkipVerify: true, ClientSessionCache: tls.NewLRUClientSessionCache(4)}
	visit := func() bool {
		nc := tls.Client(s.client("tls").Conn, c)
		if err := nc.Handshake(); err != nil {
			t.Fatal(err)
		}
		if a := newWire(t, nc).ask(get); a.status != 200 {
			t.Fatalf("%+v", a)
		}
		nc.Close()
		return nc.ConnectionState().DidResume
	}
	visit()
	certs := s.h.Certificates("own")
	s.reload(strings.Replace(text, "hosts", "profile = \"modern\"\n hosts", 1))
	if s.h.Certificates("own") == certs {
		t.Fatal("the certificates are the same though the block has changed")
	}
	if !visit() {
		t.Error("no session was resumed after the reload")
	}
}

// TestReloadsComeTogether: who asks while one waits for its turn gets that one's outcome.
func TestReloadsComeTogether(t *testing.T) {
	t.Parallel()
	s := newLodge(t, web("", newOrigin(t, nil)))
	entered, leave := make(chan struct{}, 100), make(chan struct{})
	s.load = func() { entered <- struct{}{}; <-leave }
	var wg sync.WaitGroup
	first := make(chan struct{})
	wg.Go(func() { close(first); s.h.Reload() })
	<-first
	<-entered
	ready := make(chan struct{}, 20)
	for range 20 {
		wg.Go(func() { ready <- struct{}{}; s.h.Reload() })
	}
	for range 20 {
		<-ready
	}
	close(leave)
	wg.Wait()
	// One that is under way and one for all that came meanwhile; those of the twenty that were late have another.
	if n := s.h.Status().Totals.Reloads; n < 2 || n > 5 {
		t.Errorf("21 signals made %d reloads", n)
	}
}

// TestNoReloadAtTheEnd: a house that is told to end takes nothing new.
func TestNoReloadAtTheEnd(t *testing.T) {
	t.Parallel()
	s := newLodge(t, web("", newOrigin(t, nil)))
	s.end(patience)
	if o := s.h.Reload(); o.Done || o.Unwilling == "" {
		t.Errorf("%+v", o)
	}
	if st := s.h.Status(); st.State != "stopping" {
		t.Errorf("state %s", st.State)
	}
}

// TestMaxConnectionsChange: raising a limit lets in who waited.
func TestMaxConnectionsChange(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, nil)
	with := func(n int) string {
		return strings.Replace(web("", o), "log = log.access", fmt.Sprintf("max_connections = %d", n), 1)
	}
	s := newLodge(t, with(1))
	one := s.client("www")
	one.ask(get)
	two := s.client("www")
	two.send(get)
	s.reload(with(2))
	if a, err := two.answer("GET"); err != nil || a.status != 200 {
		t.Errorf("%+v, %v", a, err)
	}
	s.reload(with(1)) // both stay
	if a := one.ask(get); a.status != 200 {
		t.Errorf("%+v", a)
	}
	three := s.client("www")
	three.send(get)
	one.Close()
	two.Close()
	if a, err := three.answer("GET"); err != nil || a.status != 200 {
		t.Errorf("%+v, %v", a, err)
	}
}

// TestOldGenerationsAreForgotten: a WebSocket that began five reloads ago keeps the pool it goes through, and nothing between that and
// today is left, though connections are open from every time.
func TestOldGenerationsAreForgotten(t *testing.T) {
	o := newOrigin(t, func(w *wire) {
		for {
			q, err := w.request()
			if err != nil {
				return
			}
			if q.upgrade() {
				w.send(switching)
				io.Copy(w.Conn, w.r)
				return
			}
			w.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	})
	s := newLodge(t, web("", o))
	chat := s.client("www")
	chat.send("GET /chat HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	if head, err := chat.head(); err != nil || !strings.Contains(head, "101") {
		t.Fatalf("%q, %v", head, err)
	}
	var pools []weak.Pointer[backend.Pool]
	for i := range 5 {
		c := s.client("www")
		c.ask(get)
		pools = append(pools, weak.Make(s.h.Pool("app")))
		s.reload(web(fmt.Sprintf("retries = %d\n", i), o))
		c.ask(get)
		chat.send("ping")
		if b, err := chat.take(4); b != "ping" {
			t.Fatalf("WebSocket after %d reloads: %q, %v", i+1, b, err)
		}
	}
	s.await("the pools between are gone", func() bool {
		runtime.GC()
		for _, p := range pools[1:] {
			if p.Value() != nil {
				return false
			}
		}
		return true
	})
	if v := s.server("app", "A"); v.Active != 1 {
		t.Errorf("%d under way, want the WebSocket", v.Active)
	}
	if pools[0].Value() == nil {
		t.Error("the pool under the WebSocket is gone")
	}
	chat.Close()
	s.await("the first pool is gone", func() bool { runtime.GC(); return pools[0].Value() == nil })
}

// TestQueuesOverAReload: a server that may have one request at a time has one, whichever configuration it came by; and when that ends, the
// next one has its turn.
func TestQueuesOverAReload(t *testing.T) {
	t.Parallel()
	goOn := make(chan struct{})
	o := newOrigin(t, func(w *wire) {
		for {
			if _, err := w.request(); err != nil {
				return
			}
			<-goOn
			w.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	})
	text := func(i int) string {
		return strings.Replace(web(fmt.Sprintf("retries = %d\n timeouts { queue = \"15s\" }\n", i), o), "{}\n}\n", "{ max_connections = 1 }\n}\n", 1)
	}
	s := newLodge(t, text(1))
	var clients []*wire
	for i := range 4 {
		c := s.client("www")
		c.send(get)
		clients = append(clients, c)
		if i == 0 {
			s.await("the first is with the server", func() bool { return s.server("app", "A").Active == 1 })
		} else {
			s.await("it waits", func() bool { return s.h.Status().Backends[0].Waiting == i })
		}
		s.reload(text(i + 2))
	}
	for i, c := range clients {
		goOn <- struct{}{}
		if a, err := c.answer("GET"); err != nil || a.status != 200 {
			t.Fatalf("client %d: %+v, %v", i, a, err)
		}
	}
	if v := s.server("app", "A"); v.Active > 1 || v.Requests != 4 {
		t.Errorf("%+v", v)
	}
}

// TestAddressesThatOverlap: ":80" may become "127.0.0.1:80" and back, and a reload that fails on the way leaves the old one open.
func TestAddressesThatOverlap(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := free.Addr().String()
	free.Close()
	_, port, _ := net.SplitHostPort(addr)
	o := newOrigin(t, nil)
	at := func(a string) string { return strings.Replace(web("", o), "unix:DIR/www", a, 1) }
	s := newLodge(t, at(":"+port))
	dial := func() *wire {
		t.Helper()
		nc, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { nc.Close() })
		return newWire(t, nc)
	}
	c := dial()
	c.ask(get)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	s.write(at(addr) + fmt.Sprintf("frontend \"bad\" {\n bind %q {}\n backend = backend.app\n}\n", taken.Addr()))
	if out := s.h.Reload(); out.Done || !strings.Contains(out.Diagnostics, taken.Addr().String()) || strings.Contains(out.Diagnostics, "listen on "+addr) {
		t.Errorf("%+v", out)
	}
	for _, c := range []*wire{c, dial()} {
		if a := c.ask(get); a.status != 200 || a.close {
			t.Errorf("after the refusal: %+v", a)
		}
	}
	for _, a := range []string{addr, ":" + port} {
		s.reload(at(a))
		if a := dial().ask(get); a.status != 200 || a.close {
			t.Errorf("%+v", a)
		}
	}
}

// TestModeChanges: where requests were read, connections are relayed from now on, and the other way round.
func TestModeChanges(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, nil)
	http := web("", o)
	tcp := strings.NewReplacer("backend = backend.app", "mode = \"tcp\"\n backend = backend.app", "backend \"app\" {", "backend \"app\" {\n mode = \"tcp\"").Replace(http)
	s := newLodge(t, http)
	old := s.client("www")
	old.ask(get)
	s.reload(tcp)
	old.send(get)
	old.ended()
	relayed := s.client("www")
	if a := relayed.ask(get); a.status != 200 {
		t.Errorf("%+v", a)
	}
	s.reload(http)
	if a := relayed.ask(get); a.status != 200 {
		t.Errorf("what was relayed is no more: %+v", a)
	}
	if a := s.client("www").ask(get); a.status != 200 {
		t.Errorf("%+v", a)
	}
	s.await("only the relay is under way", func() bool { return s.h.Status().Frontends[0].Active == 1 })
}
