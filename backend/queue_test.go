package backend

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/backend/h1"
	"gatehouse/backend/loop"
)

// slowServer answers a request when it is told to, and counts how many it has at once.
type slowServer struct {
	addr    loop.Addr
	now     atomic.Int64
	most    atomic.Int64
	arrived chan string // the path of each request
	release chan struct{}
}

func newSlowServer(t *testing.T) *slowServer {
	t.Helper()
	s := &slowServer{arrived: make(chan string, 1000), release: make(chan struct{})}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := s.now.Add(1)
		for m := s.most.Load(); n > m && !s.most.CompareAndSwap(m, n); m = s.most.Load() {
		}
		s.arrived <- r.URL.Path
		<-s.release
		s.now.Add(-1)
		io.WriteString(w, "ok")
	})}
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	s.addr = loop.Addr{AddrPort: netip.MustParseAddrPort(l.Addr().String())}
	return s
}

// limitedPool is a pool over such servers, each with a limit.
func limitedPool(t *testing.T, c Config, loops int, servers ...*slowServer) *Pool {
	t.Helper()
	var ls []*loop.Loop
	for i := range loops {
		l, err := loop.New(i)
		if err != nil {
			t.Fatal(err)
		}
		l.OnPanic = func(v any, stack []byte) { t.Errorf("panic: %v\n%s", v, stack) }
		ls = append(ls, l)
	}
	c.Name, c.Retries, c.Redispatch, c.AbortOnClose = "farm", 3, true, true
	c.FullConn = max(c.FullConn, 1)
	for i, s := range servers {
		if len(c.Servers) == i {
			c.Servers = append(c.Servers, &Server{MaxConnections: 1})
		}
		sc := c.Servers[i]
		sc.Name, sc.Address, sc.Weight = string(rune('A'+i)), s.addr, 1
	}
	p, err := New(&c, Options{Loops: ls})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Close()
		for _, l := range ls {
			l.Stop()
		}
	})
	return p
}

// get sends a request through the pool and reports how it ended, from a goroutine of the test.
func get(p *Pool, l *loop.Loop, path, cookie string, ended func(x *h1.Exchange, err error)) {
	l.Post(func() {
		l.Go(loop.Func(func() {
			x := &h1.Exchange{Loop: l}
			x.Reset()
			head := fmt.Sprintf("GET %s HTTP/1.1\r\nHost: example.com\r\n", path)
			if cookie != "" {
				head += "Cookie: SRV=" + cookie + "\r\n"
			}
			lim := h1.ParseLimits{Target: 1 << 10, Field: 1 << 10, Head: 1 << 10, Fields: 10}
			if _, err := x.Req.Parse([]byte(head+"\r\n"), &lim); err != nil {
				panic(err)
			}
			err := p.RoundTrip(x)
			if err == nil && x.Resp.Body != nil {
				for {
					if _, e := x.Resp.Body.Next(true); e != nil {
						break
					}
				}
				x.Resp.Body.Close()
			}
			ended(x, err)
		}))
	})
}

func TestServersNeverSeeMoreThanTheirLimit(t *testing.T) { // AT-7.1
	servers := []*slowServer{newSlowServer(t), newSlowServer(t), newSlowServer(t)}
	c := Config{Timeouts: &h1.Timeouts{Queue: -1}}
	for range servers {
		c.Servers = append(c.Servers, &Server{MaxConnections: 4})
	}
	p := limitedPool(t, c, 2, servers...)
	const clients = 200
	var wg sync.WaitGroup
	for i := range clients {
		wg.Add(1)
		get(p, p.o.Loops[i%2], "/", "", func(_ *h1.Exchange, err error) {
			if err != nil {
				t.Error(err)
			}
			wg.Done()
		})
	}
	for range clients { // each answer lets the next one in
		select {
		case <-servers[0].arrived:
			servers[0].release <- struct{}{}
		case <-servers[1].arrived:
			servers[1].release <- struct{}{}
		case <-servers[2].arrived:
			servers[2].release <- struct{}{}
		}
	}
	wg.Wait()
	for i, s := range servers {
		if m := s.most.Load(); m > 4 {
			t.Errorf("server %d had %d requests at once", i, m)
		}
	}
	for _, s := range p.servers {
		if n := s.active.Load(); n != 0 {
			t.Errorf("server %s still counts %d", s.c.Name, n)
		}
	}
	if n := p.queue.n.Load(); n != 0 {
		t.Errorf("%d are still waiting", n)
	}
}

func TestHoldersGoBeforeNewcomersAndBothInOrder(t *testing.T) { // AT-7.2, AT-7.3
	s := newSlowServer(t)
	p := limitedPool(t, Config{Timeouts: &h1.Timeouts{Queue: -1}, Cookie: &Cookie{Name: "SRV", Indirect: true}}, 1, s)
	l := p.o.Loops[0]
	var wg sync.WaitGroup
	send := func(path, cookie string) {
		wg.Add(1)
		get(p, l, path, cookie, func(_ *h1.Exchange, err error) {
			if err != nil {
				t.Error(path, err)
			}
			wg.Done()
		})
	}
	send("/first", "")
	got := []string{<-s.arrived}
	for _, r := range [][2]string{{"/new1", ""}, {"/new2", ""}, {"/holder1", "A"}, {"/new3", ""}, {"/holder2", "A"}} {
		send(r[0], r[1])
	}
	waitFor(l, func() bool { return p.queue.n.Load() == 5 })
	for range 5 {
		s.release <- struct{}{}
		got = append(got, <-s.arrived)
	}
	s.release <- struct{}{}
	wg.Wait()
	if want := []string{"/first", "/holder1", "/holder2", "/new1", "/new2", "/new3"}; !slices.Equal(got, want) {
		t.Errorf("the server saw %v, want %v", got, want)
	}
}

// waitFor returns once f, called on the loop, says yes.
func waitFor(l *loop.Loop, f func() bool) {
	done := make(chan struct{})
	l.Post(func() {
		l.Go(loop.Func(func() {
			for !f() {
				l.Sleep(time.Millisecond)
			}
			close(done)
		}))
	})
	<-done
}

func TestQueueTimeoutIs503(t *testing.T) { // AT-7.4
	s := newSlowServer(t)
	p := limitedPool(t, Config{Timeouts: &h1.Timeouts{Queue: 60 * time.Millisecond}}, 1, s)
	l := p.o.Loops[0]
	end := make(chan error, 1)
	var wg sync.WaitGroup
	wg.Add(1)
	get(p, l, "/first", "", func(*h1.Exchange, error) { wg.Done() })
	<-s.arrived
	var queued int64
	get(p, l, "/late", "", func(x *h1.Exchange, err error) { queued = x.Note.Queue; end <- err })
	he, ok := errors.AsType[*h1.Error](<-end)
	if !ok || he.Status != 503 || he.Cause != 's' || he.State != 'Q' {
		t.Fatalf("got %+v, want 503 sQ", he)
	}
	if queued < 60 || queued > 500 {
		t.Errorf("the log says %d ms in the queue", queued)
	}
	s.release <- struct{}{}
	wg.Wait()
	if n := p.queue.n.Load(); n != 0 {
		t.Errorf("%d are still waiting", n)
	}
}

func TestLongQueueSendsHoldersElsewhere(t *testing.T) {
	a, b := newSlowServer(t), newSlowServer(t)
	p := limitedPool(t, Config{MaxQueue: 1, Timeouts: &h1.Timeouts{Queue: -1}, Cookie: &Cookie{Name: "SRV", Indirect: true}}, 1, a, b)
	l := p.o.Loops[0]
	var wg sync.WaitGroup
	wg.Add(3)
	flags := make(chan string, 3)
	for _, path := range []string{"/1", "/2", "/3"} {
		get(p, l, path, "A", func(x *h1.Exchange, err error) {
			if err != nil {
				t.Error(path, err)
			}
			flags <- path + string([]byte{x.Note.CookieIn, x.Note.CookieOut})
			wg.Done()
		})
	}
	if got := <-b.arrived; got != "/3" {
		t.Errorf("B got %s, want /3: /1 is served and /2 is the one that may wait", got)
	}
	b.release <- struct{}{}
	if got := <-flags; got != "/3DI" {
		t.Errorf("flags %s, want a new cookie", got)
	}
	<-a.arrived
	a.release <- struct{}{}
	<-a.arrived
	a.release <- struct{}{}
	wg.Wait()
}

func TestWaitersOfAServerThatGoesDownMoveOn(t *testing.T) {
	a, b := newSlowServer(t), newSlowServer(t)
	p := limitedPool(t, Config{Timeouts: &h1.Timeouts{Queue: -1}, Cookie: &Cookie{Name: "SRV", Indirect: true}}, 1, a, b)
	l := p.o.Loops[0]
	var wg sync.WaitGroup
	wg.Add(2)
	for _, path := range []string{"/1", "/2"} {
		get(p, l, path, "A", func(_ *h1.Exchange, err error) {
			if err != nil {
				t.Error(path, err)
			}
			wg.Done()
		})
	}
	<-a.arrived
	waitFor(l, func() bool { return p.queue.n.Load() == 1 })
	p.observe(0, shut, "gone")
	if got := <-b.arrived; got != "/2" {
		t.Errorf("B got %s", got)
	}
	b.release <- struct{}{}
	a.release <- struct{}{}
	wg.Wait()
}

func TestLimitFollowsTheLoad(t *testing.T) { // AT-7.6
	s := newSlowServer(t)
	p := limitedPool(t, Config{FullConn: 10, Servers: []*Server{{MaxConnections: 8, MinConnections: 2}}}, 1, s)
	for _, tt := range []struct{ load, active, limit int64 }{{0, 0, 2}, {2, 0, 2}, {5, 0, 4}, {10, 0, 8}, {100, 0, 8}} {
		p.Stats.Active.Store(tt.load)
		for n := range int64(12) {
			p.servers[0].active.Store(n)
			if got, want := p.queue.full(0), n >= tt.limit; got != want {
				t.Errorf("load %d, %d in flight: full is %t, want %t", tt.load, n, got, want)
			}
		}
	}
	p.Stats.Active.Store(0)
	p.servers[0].active.Store(0)
}
