package frontend

import (
	"net/netip"
	"sync"
	"sync/atomic"
)

// Cap counts connections up to a maximum. Whoever finds it full waits; the first of those who leave wakes them. All loops
// share it.
type Cap struct {
	Max int // 0: no limit

	n       atomic.Int64
	full    atomic.Bool
	mu      sync.Mutex // guards waiting
	waiting []func()
}

// Count returns how many connections there are.
func (c *Cap) Count() int { return int(c.n.Load()) }

// take counts one more, even beyond the maximum: the connection exists already.
func (c *Cap) take() { c.n.Add(1) }

// isFull reports whether no further connection should be accepted. wake is called once, from any goroutine, when one may be again.
func (c *Cap) isFull(wake func()) bool {
	if c.Max <= 0 || c.n.Load() < int64(c.Max) {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.full.Store(true)
	if c.n.Load() < int64(c.Max) { // one left meanwhile, and may not have seen that somebody waits
		return false
	}
	c.waiting = append(c.waiting, wake)
	return true
}

// leave counts one less.
func (c *Cap) leave() {
	c.n.Add(-1)
	if !c.full.Load() {
		return
	}
	c.mu.Lock()
	w := c.waiting
	c.waiting = nil
	c.full.Store(false)
	c.mu.Unlock()
	for _, f := range w {
		f()
	}
}

// perSource counts the connections of each address. All loops share it.
type perSource struct {
	max int // 0: no limit, nothing is counted

	mu sync.Mutex // guards n
	n  map[netip.Addr]int
}

// sourceKey is what counts as one source: an IPv4 address, or an IPv6 network of /64, which is what a customer gets.
func sourceKey(a netip.Addr) netip.Addr {
	if a = a.Unmap().WithZone(""); a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
}

// take counts a connection, or reports that its source has enough.
func (s *perSource) take(a netip.Addr) bool {
	if s.max <= 0 || !a.IsValid() {
		return true
	}
	a = sourceKey(a)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.n[a] >= s.max {
		return false
	}
	if s.n == nil {
		s.n = map[netip.Addr]int{}
	}
	s.n[a]++
	return true
}

// leave counts one less.
func (s *perSource) leave(a netip.Addr) {
	if s.max <= 0 || !a.IsValid() {
		return
	}
	a = sourceKey(a)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.n[a]--; s.n[a] <= 0 {
		delete(s.n, a)
	}
}
