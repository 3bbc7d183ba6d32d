package backend

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/backend/loop"
)

// AT-4.1, AT-4.4 with the guide's inter 2000 rise 2 fall 2: a stopped server is out after two checks, and back after two.
func TestProberLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newLab(t)
		defer b.close()
		const a = "192.168.1.11:80"
		ok, gone := says("HTTP/1.0 200 OK\r\n\r\n"), says("HTTP/1.0 404 Not Found\r\n\r\n")
		c := httpCheck()
		c.Fall, c.OnFail = 2, OnFailDrain
		b.set(a, ok)
		p := b.prober(at(a, c))
		p.start()
		b.sleep(time.Second)
		if got := b.heard(); got != "0 A open: HTTP status 200 after 0 ms" {
			t.Errorf("at the start: %q", got)
		}
		b.set(a, gone)
		b.sleep(2 * time.Second) // one bad check at 2 s
		if got := b.heard(); got != "" {
			t.Errorf("after one bad check: %q", got)
		}
		b.sleep(2 * time.Second)
		if got := b.heard(); !strings.HasSuffix(got, " A failing: HTTP status 404, expected 2xx or 3xx, after 0 ms") {
			t.Errorf("after two bad checks: %q", got)
		}
		b.set(a, ok)
		b.sleep(2 * time.Second)
		if got := b.heard(); got != "" {
			t.Errorf("after one good check: %q", got)
		}
		b.sleep(2 * time.Second)
		if got := b.heard(); !strings.HasSuffix(got, " A open: HTTP status 200 after 0 ms") {
			t.Errorf("after two good checks: %q", got)
		}
		p.stop()
	})
}

// All first checks at once; then each in its own rhythm, never faster than configured (AT-4.8, and hostile-input.md, row 98).
func TestProberRhythm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newLab(t)
		defer b.close()
		var targets []target
		for i := range 4 {
			a := fmt.Sprintf("10.0.0.%d:80", i)
			b.set(a, holds)
			targets = append(targets, at(a, tcpCheck()))
		}
		p := b.prober(targets...)
		p.start()
		b.sleep(time.Millisecond)
		first := b.dialled()
		if want := []string{"0 10.0.0.0:80", "0 10.0.0.1:80", "0 10.0.0.2:80", "0 10.0.0.3:80"}; !slices.Equal(first, want) {
			t.Errorf("first checks %q", first)
		}
		b.sleep(time.Minute)
		times := map[string][]int{}
		for _, d := range b.dialled() {
			var ms int
			var a string
			fmt.Sscan(d, &ms, &a)
			times[a] = append(times[a], ms)
		}
		phases := map[int]bool{}
		for a, ms := range times {
			if len(ms) < 28 || len(ms) > 30 {
				t.Errorf("%s: %d checks in a minute, want 29 or 30", a, len(ms))
			}
			for i := range ms[1:] {
				if gap := ms[i+1] - ms[i]; gap < 1940 || gap > 2060 { // the timers' tick is 50 ms
					t.Errorf("%s: %d ms between checks", a, gap)
				}
			}
			phases[ms[0]] = true
		}
		if len(phases) < 4 {
			t.Errorf("after the first check still together: %v", times)
		}
		p.stop()
	})
}

// A check may take longer than its interval: the next one follows, and what was missed is not made up for.
func TestProberSlowChecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newLab(t)
		defer b.close()
		const a = "10.0.0.1:80"
		b.set(a, holds)
		c := httpCheck()
		c.Interval, c.Timeout = time.Second, 3*time.Second
		p := b.prober(at(a, c))
		p.start()
		b.sleep(20 * time.Second)
		if n := len(b.dialled()); n < 6 || n > 7 {
			t.Errorf("%d checks of 3 s in 20 s", n)
		}
		b.set(a, says("HTTP/1.0 200 OK\r\n\r\n"))
		b.sleep(4 * time.Second) // the slow one under way ends
		b.dialled()
		b.sleep(10 * time.Second)
		if n := len(b.dialled()); n < 9 || n > 11 {
			t.Errorf("%d checks in 10 s, one a second is wanted", n)
		}
		p.stop()
	})
}

func TestProberUsesAddressPortAndSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newLab(t)
		defer b.close()
		port, addr := tcpCheck(), tcpCheck()
		port.Port = 81
		other := loop.Addr{AddrPort: netip.MustParseAddrPort("10.9.9.9:99")}
		addr.Address = &other
		both := tcpCheck()
		both.Address, both.Port = &other, 7
		x := at("10.0.0.1:80", port, addr, both)
		x.source = netip.MustParseAddr("10.1.2.1")
		for _, a := range []string{"10.0.0.1:81", "10.9.9.9:99", "10.9.9.9:7"} {
			b.set(a, holds)
		}
		p := b.prober(x)
		p.start()
		b.sleep(time.Millisecond)
		if got := b.dialled(); !slices.Equal(got, []string{"0 10.0.0.1:81", "0 10.9.9.9:99", "0 10.9.9.9:7"}) {
			t.Errorf("%q", got)
		}
		for _, f := range b.from {
			if f != x.source {
				t.Errorf("from %v", f)
			}
		}
		if got := b.heard(); got != "0 A open: connected after 0 ms" {
			t.Errorf("%q", got)
		}
		p.stop()
	})
}

// Names: of the traffic, they are looked up by the pool, and checks wait for that; in a check, it looks them up itself.
func TestProberWaitsForNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newLab(t)
		defer b.close()
		b.set("10.0.0.7:80", holds)
		b.set("10.0.0.8:80", holds)
		name, _ := loop.ParseAddr("app.internal:80")
		lit, _ := loop.ParseAddr("10.0.0.7:80")
		begin := time.Now()
		late := target{checks: []*Check{tcpCheck()}, address: func() loop.Addr {
			if time.Since(begin) < 500*time.Millisecond {
				return name
			}
			return lit
		}}
		never := target{checks: []*Check{tcpCheck()}, address: func() loop.Addr { return name }}
		c, bad := tcpCheck(), tcpCheck()
		other, _ := loop.ParseAddr("other.internal:80")
		nowhere, _ := loop.ParseAddr("nowhere.internal:80")
		c.Address, bad.Address = &other, &nowhere
		p := newProber(b.l, b.dial, func(ctx context.Context, host string) ([]netip.Addr, error) {
			if host == "other.internal" {
				return []netip.Addr{netip.MustParseAddr("::ffff:10.0.0.8")}, nil
			}
			return nil, nil
		}, 0, []target{late, never, at("10.0.0.9:80", c), at("10.0.0.9:80", bad)}, nil, b.changed)
		p.start()
		b.sleep(2100 * time.Millisecond)
		p.stop()
		got := b.heard()
		for _, want := range []string{"0 C open: connected", "A open: connected", "B shut: the name app.internal is not resolved within 2s", "0 D shut: the name nowhere.internal has no address"} {
			if !strings.Contains(got, want) {
				t.Errorf("%q, want it to say %q", got, want)
			}
		}
		if !strings.Contains(got, "| 500 A open") {
			t.Errorf("A was not up as soon as its name was known: %q", got)
		}
	})
}

// A check without its own timeout takes the backend's, or its interval if that is shorter.
func TestProberTimeouts(t *testing.T) {
	tests := []struct {
		own, limit, interval, want time.Duration
	}{
		{0, 2 * time.Second, 5 * time.Second, 2 * time.Second},
		{0, 2 * time.Second, time.Second, time.Second},
		{0, 0, 3 * time.Second, 3 * time.Second},
		{0, -1, 3 * time.Second, 3 * time.Second},
		{4 * time.Second, 2 * time.Second, time.Second, 4 * time.Second},
	}
	for _, tt := range tests {
		p := newProber(nil, nil, nil, tt.limit, []target{at("10.0.0.1:80", &Check{Timeout: tt.own, Interval: tt.interval})}, nil, nil)
		if got := p.seats[0].r.wait; got != tt.want {
			t.Errorf("%v: %v, want %v", tt, got, tt.want)
		}
	}
}

// Health known from before a reload counts at once, and only changes are told.
func TestProberCarriesHealthOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newLab(t)
		defer b.close()
		b.set("10.0.0.1:80", holds)
		b.set("10.0.0.2:80", holds)
		up, down := at("10.0.0.1:80", tcpCheck()), at("10.0.0.2:80", tcpCheck())
		up.carried, up.health = true, open
		down.carried, down.health = true, shut
		p := b.prober(up, down)
		p.start()
		b.sleep(time.Second)
		if got := b.heard(); got != "" {
			t.Errorf("after the first check: %q", got)
		}
		b.sleep(2 * time.Second)
		if got := b.heard(); !strings.HasSuffix(got, " B open: connected after 0 ms") {
			t.Errorf("after the second: %q", got)
		}
		p.stop()
	})
}

// After stop nothing is checked and nobody is told anything, whatever was under way.
func TestProberStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newLab(t)
		defer b.close()
		b.set("10.0.0.1:80", holds)                           // under way: waits for an answer
		b.set("10.0.0.2:80", says("HTTP/1.0 200 OK\r\n\r\n")) // between checks
		p := b.prober(at("10.0.0.1:80", httpCheck()), at("10.0.0.2:80", httpCheck()), at("10.0.0.3:80", httpCheck()) /* dials */)
		p.start()
		b.sleep(time.Second)
		b.heard()
		b.dialled()
		p.stop()
		b.sleep(time.Millisecond)
		idle := func() (busy int) {
			done := make(chan struct{})
			b.l.Post(func() { all, free := b.l.Coroutines(); busy = all - free; close(done) })
			<-done
			return busy
		}
		if got := idle(); got != 1 {
			t.Errorf("%d tasks right after stop, want the one that dials", got)
		}
		b.sleep(10 * time.Second)
		if got := idle(); got != 0 {
			t.Errorf("%d tasks are left", got)
		}
		if got := b.heard(); got != "" {
			t.Errorf("heard after stop: %q", got)
		}
		if got := b.dialled(); len(got) != 0 {
			t.Errorf("checked after stop: %q", got)
		}
		p.stop() // again is harmless
		b.sleep(time.Millisecond)
	})
}

func TestProberStoppedBeforeItStarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newLab(t)
		defer b.close()
		p := b.prober(at("10.0.0.1:80", tcpCheck()))
		p.stop()
		p.start()
		b.sleep(time.Minute)
		if got := b.dialled(); len(got) != 0 {
			t.Errorf("%q", got)
		}
	})
}

// On real sockets the words are the same.
func TestProberOnTheRealNetwork(t *testing.T) {
	l, err := loop.New(0)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Stop()
	up, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer up.Close()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer up.Close()
	wg.Go(func() {
		for {
			nc, err := up.Accept()
			if err != nil {
				return
			}
			says("HTTP/1.0 200 OK\r\n\r\nmore that nobody reads")(nc)
			nc.Close()
		}
	})
	down, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refused := down.Addr().String()
	down.Close()

	heard := make(chan string, 2)
	p := newProber(l, (*loop.Loop).Dial, nil, 2*time.Second, []target{at(up.Addr().String(), httpCheck()), at(refused, httpCheck())}, nil,
		func(server int, health standing, why string) {
			heard <- fmt.Sprintf("%s %v: %s", letter(server), health, why)
		})
	p.start()
	defer p.stop()
	got := []string{<-heard, <-heard}
	slices.Sort(got)
	if !strings.HasPrefix(got[0], "A open: HTTP status 200 after ") || got[1] != "B shut: connect "+refused+": connection refused" {
		t.Errorf("%q", got)
	}
}

// Servers with the same address and the same check are probed once, in one backend and in several; each has its own rise, fall and
// on_fail (AT-4.8).
func TestProbesAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newLab(t)
		defer b.close()
		const a = "10.0.0.1:80"
		b.set(a, holds)
		quick, slow, held := tcpCheck(), tcpCheck(), tcpCheck()
		quick.Fall, slow.Fall, held.Fall, held.OnFail = 1, 3, 1, OnFailDrain
		probes := &Probes{}
		pool := func(targets ...target) *prober {
			return newProber(b.l, b.dial, nil, 2*time.Second, targets, probes, b.changed)
		}
		one, two := pool(at(a, quick), at(a, slow)), pool(at(a, held))
		one.start()
		two.start()
		b.sleep(time.Millisecond)
		if got := b.dialled(); len(got) != 1 {
			t.Errorf("probed at the start: %q", got)
		}
		if got := b.heard(); strings.Count(got, " open: connected") != 3 {
			t.Errorf("heard %q", got)
		}
		b.sleep(9 * time.Second)
		if n := len(b.dialled()); n != 4 {
			t.Errorf("%d probes in 9 s, one in 2 s is wanted", n)
		}
		b.set(a, nil)
		b.sleep(2 * time.Second)
		if got := b.heard(); strings.Count(got, "A shut: connect") != 1 || strings.Count(got, "A failing: connect") != 1 || strings.Contains(got, " B ") {
			t.Errorf("after one failure: %q", got)
		}
		b.sleep(4 * time.Second)
		if got := b.heard(); !strings.Contains(got, " B shut: connect") || strings.Contains(got, "|") {
			t.Errorf("after three: %q", got)
		}
		// Who comes later knows the last result at once; who leaves does not take the round along.
		b.dialled()
		three := pool(at(a, tcpCheck()))
		three.start()
		one.stop()
		b.sleep(time.Millisecond)
		if got := b.heard(); !strings.HasSuffix(got, " A shut: connect 10.0.0.1:80: connection refused") {
			t.Errorf("the newcomer hears %q", got)
		}
		b.sleep(6 * time.Second)
		if n := len(b.dialled()); n != 3 {
			t.Errorf("%d probes in 6 s, one in 2 s is wanted", n)
		}
		two.stop()
		three.stop()
		b.sleep(10 * time.Second)
		if got := b.dialled(); len(got) > 0 || len(probes.by) > 0 {
			t.Errorf("still probed: %q, %v", got, probes.by)
		}
	})
}

// What is not quite the same is probed apart.
func TestProbesThatDiffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newLab(t)
		defer b.close()
		const a = "10.0.0.1:80"
		b.set(a, says("HTTP/1.0 200 OK\r\n\r\nfine"))
		b.set("10.0.0.1:81", holds)
		change := func(f func(c *Check)) *Check {
			c := httpCheck()
			f(c)
			return c
		}
		sourced, greeted, named := at(a, httpCheck()), at(a, httpCheck()), at(a, httpCheck())
		sourced.source = netip.MustParseAddr("10.1.2.1")
		greeted.greet = func(c *loop.Conn, _ bool, _ time.Duration) (stream, error) { return c, nil }
		named.named = true
		port := change(func(c *Check) { c.Port = 80 })
		p := b.prober(at(a, httpCheck()), sourced, greeted, named, at(a, tcpCheck()), at("10.0.0.1:81", httpCheck()),
			at(a, change(func(c *Check) { c.Request = "GET /" })), at(a, change(func(c *Check) { c.Host = "x" })),
			at(a, change(func(c *Check) { c.Expect = c.Expect[:1] })), at(a, change(func(c *Check) { c.ExpectText = "fine" })),
			at(a, change(func(c *Check) { c.Interval = time.Second })), at(a, change(func(c *Check) { c.Timeout = time.Second })),
			at(a, port)) // which is the first one again
		p.start()
		b.sleep(time.Millisecond)
		if got := b.dialled(); len(got) != 12 {
			t.Errorf("%d probes: %q", len(got), got)
		}
		p.stop()
		b.sleep(5 * time.Second)
	})
}

// On its way down or up a server is checked more often, while it is down less often, if so configured (HAProxy's fastinter and downinter).
func TestProberIntervals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newLab(t)
		defer b.close()
		const a = "10.0.0.1:80"
		b.set(a, holds)
		c := tcpCheck()
		c.FastInterval, c.DownInterval = 500*time.Millisecond, 5*time.Second
		p := b.prober(at(a, c))
		p.start()
		gaps := func(d time.Duration) (list []int) {
			b.sleep(d)
			before := -1
			for _, s := range b.dialled() {
				var ms int
				fmt.Sscan(s, &ms)
				if before >= 0 {
					list = append(list, (ms-before+100)/500*500)
				}
				before = ms
			}
			return list
		}
		if got := gaps(7 * time.Second); !slices.Equal(got, []int{2000, 2000, 2000}) {
			t.Errorf("up: %v", got)
		}
		b.set(a, nil)
		if got := gaps(13 * time.Second); !slices.Equal(got, []int{500, 500, 5000, 5000}) {
			t.Errorf("down: %v", got)
		}
		b.set(a, holds)
		if got := gaps(8 * time.Second); !slices.Equal(got, []int{500, 2000}) {
			t.Errorf("up again: %v", got)
		}
		p.stop()
	})
}
