package frontend

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
)

func TestCap(t *testing.T) {
	var c Cap
	if c.take(); c.isFull(func() { t.Error("woken without a limit") }) {
		t.Error("full without a limit")
	}
	c.SetMax(2)
	woken := 0
	wake := func() { woken++ }
	if c.isFull(wake) {
		t.Error("full with one of two")
	}
	c.take()
	if !c.isFull(wake) || woken != 0 {
		t.Error("not full with two of two")
	}
	c.leave()
	if woken != 1 || c.Count() != 1 {
		t.Errorf("woken %d times, %d connections", woken, c.Count())
	}
	c.leave()
	if woken != 1 { // once is once
		t.Errorf("woken %d times", woken)
	}
	c.SetMax(0)
	if c.take(); c.isFull(wake) {
		t.Error("full without a limit")
	}
}

// TestCapLosesNoWaiter has connections come and go on many goroutines: whoever is told to wait is woken, and never are there more than the
// maximum and one.
func TestCapLosesNoWaiter(t *testing.T) {
	var c Cap
	c.SetMax(4)
	var most atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 2000 {
				wake := make(chan struct{})
				if c.isFull(func() { close(wake) }) {
					<-wake
					continue
				}
				c.take()
				for n := int64(c.Count()); n > most.Load(); {
					most.Store(n)
				}
				c.leave()
			}
		})
	}
	wg.Wait()
	if c.Count() != 0 || most.Load() > 4+8 {
		t.Errorf("%d left, %d at most", c.Count(), most.Load())
	}
}

func TestPerSourceCounts(t *testing.T) {
	var s perSource
	a := netip.MustParseAddr
	if ok, counted := s.take(a("10.0.0.1")); !ok || counted {
		t.Error("counted without a limit")
	}
	s.max.Store(2)
	for i, x := range []struct {
		addr string
		ok   bool
	}{
		{"10.0.0.1", true}, {"::ffff:10.0.0.1", true}, {"10.0.0.1", false}, {"10.0.0.2", true},
		{"2001:db8::1", true}, {"2001:db8::ffff:2", true}, {"2001:db8::3", false}, {"2001:db8:0:1::1", true},
		{"fe80::1%eth0", true}, {"fe80::1%eth1", true}, {"fe80::1", false},
	} {
		if ok, counted := s.take(a(x.addr)); ok != x.ok || counted != ok {
			t.Errorf("%d %s: %v", i, x.addr, ok)
		}
	}
	s.leave(a("10.0.0.1"))
	if ok, _ := s.take(a("10.0.0.1")); !ok {
		t.Error("a place that became free was not given")
	}
	if ok, counted := s.take(netip.Addr{}); !ok || counted { // a unix socket has no address
		t.Error("nobody was counted")
	}
	for range 2 {
		s.leave(a("10.0.0.1"))
	}
	s.leave(a("10.0.0.2"))
	for range 2 {
		s.leave(a("2001:db8::1"))
		s.leave(a("fe80::1"))
	}
	s.leave(a("2001:db8:0:1::1"))
	if len(s.n) != 0 {
		t.Errorf("left: %v", s.n)
	}
}
