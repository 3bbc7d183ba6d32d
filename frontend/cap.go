package frontend

import (
	"net/netip"
	"sync"
	"sync/atomic"
)

// Cap counts connections up to a maximum. Whoever finds it full waits; the first of those who leave wakes them. All loops
// share it.
type Cap struct {
	max     atomic.Int64 // 0: no limit
	n       atomic.Int64
	full    atomic.Bool
	mu      sync.Mutex // guards waiting
	waiting []func()
}

// SetMax sets the maximum, 0 for no limit. Whoever waits has another look. More connections than that stay; they are only not joined
// by others.
func (c *Cap) SetMax(n int) {
	if c.max.Swap(int64(n)) != int64(n) {
		c.wake()
	}
}

// Max returns the maximum, 0 for no limit.
func (c *Cap) Max() int { return int(c.max.Load()) }

// Count returns how many connections there are.
func (c *Cap) Count() int { return int(c.n.Load()) }

// take counts one more, even beyond the maximum: the connection exists already.
func (c *Cap) take() { c.n.Add(1) }

// isFull reports whether no further connection should be accepted. wake is called once, from any goroutine, when one may be again.
func (c *Cap) isFull(wake func()) bool {
	if max := c.max.Load(); max <= 0 || c.n.Load() < max {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.full.Store(true)
	if max := c.max.Load(); max <= 0 || c.n.Load() < max { // one left meanwhile, and may not have seen that somebody waits
		return false
	}
	c.waiting = append(c.waiting, wake)
	return true
}

// over reports whether no further connection should be accepted, where those who come cannot wait.
func (c *Cap) over() bool {
	max := c.max.Load()
	return max > 0 && c.n.Load() >= max
}

// leave counts one less.
func (c *Cap) leave() {
	c.n.Add(-1)
	if c.full.Load() {
		c.wake()
	}
}

// wake calls everybody who waits.
func (c *Cap) wake() {
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
	max atomic.Int64 // 0: no limit, nothing is counted

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

// take counts a connection, or reports that its source has enough. What was not counted is not to leave.
func (s *perSource) take(a netip.Addr) (ok, counted bool) {
	max := s.max.Load()
	if max <= 0 || !a.IsValid() {
		return true, false
	}
	a = sourceKey(a)
	s.mu.Lock()
	defer s.mu.Unlock()
	if int64(s.n[a]) >= max {
		return false, false
	}
	if s.n == nil {
		s.n = map[netip.Addr]int{}
	}
	s.n[a]++
	return true, true
}

// leave counts one less, of those that were counted.
func (s *perSource) leave(a netip.Addr) {
	a = sourceKey(a)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.n[a]--; s.n[a] <= 0 {
		delete(s.n, a)
	}
}
