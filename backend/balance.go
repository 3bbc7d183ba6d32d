package backend

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"sync/atomic"

	"gatehouse/backend/h1"
)

// balancer chooses servers for requests that no cookie binds to one. All loops share it: pick takes no lock and allocates
// nothing. What it chooses from changes seldom; update then puts a new field in the place of the old one.
type balancer struct {
	by      Balance
	all     bool // all_backups
	members []member
	field   atomic.Pointer[field]
	turn    atomic.Uint64 // whose turn it is: a place in field.turns, or for leastconn in field.servers
}

// member is what a balancer has to know of a server, in declaration order. Its name, not its place, is what
// hashing goes by: so gatehouses whose lists differ by a server still agree on the others.
type member struct {
	name   string
	backup bool
	active *atomic.Int64 // exchanges under way; nil where the algorithm does not look at it
}

// field is the servers that take new clients at the moment. It is immutable.
type field struct {
	servers []int    // their places in the backend, ascending
	weights []int64  // of each, at least 1
	seeds   []uint64 // hashes of their names
	equal   bool     // all weights are the same
	turns   []uint16 // one period of round robin: places in the backend
}

// newBalancer makes a balancer that has nothing to choose from before its first update.
func newBalancer(by Balance, allBackups bool, members []member) *balancer {
	b := &balancer{by: by, all: allBackups, members: members}
	b.field.Store(&field{})
	return b
}

// update says what the servers take from now on, and how much. Without an open server that is no backup, the first open
// backup gets everything, or all of them do (all_backups). Servers of weight 0 get nobody.
//
// A round robin goes on where it was, if there is such a place in the new period, else from its beginning. Calls must not
// overlap. It takes a time proportional to the servers times the sum of their weights, so it is better not called
// on a loop when there are hundreds of servers with large weights.
func (b *balancer) update(st []standing, weights []int) {
	servers := b.usable(st, weights, false)
	if len(servers) == 0 {
		if servers = b.usable(st, weights, true); !b.all {
			servers = servers[:min(1, len(servers))]
		}
	}
	f := &field{servers: servers, equal: true}
	for _, i := range servers {
		f.weights = append(f.weights, int64(weights[i]))
		f.seeds = append(f.seeds, hash(b.members[i].name))
		f.equal = f.equal && weights[i] == weights[servers[0]]
	}
	old := b.field.Load()
	if slices.Equal(old.servers, f.servers) && slices.Equal(old.weights, f.weights) {
		return
	}
	f.turns = period(f.servers, f.weights)
	if n := uint64(len(old.turns)); n > 0 {
		if at := b.turn.Load() % n; at < uint64(len(f.turns)) {
			b.turn.Store(at)
		} else {
			b.turn.Store(0)
		}
	}
	b.field.Store(f)
}

func (b *balancer) usable(st []standing, weights []int, backup bool) (servers []int) {
	for i, m := range b.members {
		if m.backup == backup && st[i] == open && weights[i] > 0 {
			servers = append(servers, i)
		}
	}
	return servers
}

// any reports whether there is a server for new clients.
func (b *balancer) any() bool { return len(b.field.Load().servers) > 0 }

// pick returns the place of the server for x in the backend, -1 when there is none. refuse reports whether a server cannot
// take this one: it is full, or was tried in vain; nil refuses none. Where the algorithm goes by a hash, a refused
// server's requests spread over all the others.
func (b *balancer) pick(x *h1.Exchange, refuse func(server int) bool) int {
	f := b.field.Load()
	if len(f.servers) == 0 {
		return -1
	}
	switch b.by.Algorithm {
	case byLeastConn:
		return b.least(f, refuse)
	case byRandom:
		return b.luckier(f, refuse)
	case byFirst:
		for _, i := range f.servers {
			if refuse == nil || !refuse(i) {
				return i
			}
		}
		return -1
	case bySource:
		if a := x.Peer.Addr().Unmap(); a.Is4() {
			ip := a.As4()
			return f.rendezvous(hash(ip[:]), refuse)
		} else if a.Is6() {
			ip := a.As16()
			return f.rendezvous(hash(ip[:]), refuse)
		}
	case byURI:
		path := x.Req.Target
		if i := bytes.IndexByte(path, '?'); i >= 0 {
			path = path[:i]
		}
		return f.rendezvous(hash(path), refuse)
	case byHeader:
		if v := x.Req.Header.GetName(b.by.Header); len(v) > 0 {
			return f.rendezvous(hash(v), refuse)
		}
	}
	return f.next(&b.turn, refuse) // also for what has nothing to hash
}

// least returns the server with the least (exchanges + 1) / weight, those with the same in turn.
func (b *balancer) least(f *field, refuse func(int) bool) int {
	best, load, weight := -1, int64(0), int64(1)
	n := len(f.servers)
	start := int(b.turn.Load() % uint64(n))
	for k := range n {
		at := start + k
		if at >= n {
			at -= n
		}
		l, w := b.members[f.servers[at]].active.Load()+1, f.weights[at]
		// l/w < load/weight without division
		if (best < 0 || l*weight < load*w) && (refuse == nil || !refuse(f.servers[at])) {
			best, load, weight = at, l, w
		}
	}
	if best < 0 {
		return -1
	}
	b.turn.Store(uint64(best) + 1)
	return f.servers[best]
}

// luckier draws two servers by weight and returns the one with less to do for its weight: nearly as even as looking at all of
// them, and loops that know little of one another do not all run to the same.
func (b *balancer) luckier(f *field, refuse func(int) bool) int {
	n := uint64(len(f.turns))
	one, two := int(f.turns[rand.Uint64N(n)]), int(f.turns[rand.Uint64N(n)])
	if refuse != nil {
		switch no1, no2 := refuse(one), refuse(two); {
		case no1 && no2:
			var turn atomic.Uint64
			turn.Store(rand.Uint64N(n))
			return f.next(&turn, refuse)
		case no1:
			return two
		case no2:
			return one
		}
	}
	w1, w2 := int64(1), int64(1)
	if !f.equal {
		w1, w2 = f.weightOf(one), f.weightOf(two)
	}
	if (b.members[two].active.Load()+1)*w1 < (b.members[one].active.Load()+1)*w2 {
		return two
	}
	return one
}

func (f *field) weightOf(server int) int64 {
	at, _ := slices.BinarySearch(f.servers, server)
	return f.weights[at]
}
