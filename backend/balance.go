package backend

import (
	"bytes"
	"math"
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

// next is round robin from place turn of the period. It moves turn behind the server it returns.
func (f *field) next(turn *atomic.Uint64, refuse func(int) bool) int {
	n := uint64(len(f.turns))
	at := turn.Add(1) - 1
	i := int(f.turns[at%n])
	if refuse == nil || !refuse(i) {
		return i
	}
	if !slices.ContainsFunc(f.servers, func(i int) bool { return !refuse(i) }) {
		return -1
	}
	for k := uint64(1); k < n; k++ {
		if i := int(f.turns[(at+k)%n]); !refuse(i) {
			turn.Add(k)
			return i
		}
	}
	return -1 // the one that took it a moment ago is full now
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

// rendezvous is weighted rendezvous hashing: every server makes a number of the key, and the highest wins. So a server
// that comes or goes moves its own share and nothing else, shares are exact, and there is no ring to keep. It looks
// at all servers: 2 ns each, 12 ns where weights differ.
func (f *field) rendezvous(key uint64, refuse func(int) bool) int {
	best, high := -1, math.Inf(-1)
	for at, i := range f.servers {
		u := mix(key ^ f.seeds[at])
		score := float64(u >> 11) // the 53 bits a float64 can hold
		if !f.equal {
			// -weight/ln(u), u in (0,1). With equal weights it has the order of u.
			score = -float64(f.weights[at]) / math.Log((score+0.5)/(1<<53))
		}
		if score > high && (refuse == nil || !refuse(i)) {
			best, high = i, score
		}
	}
	return best
}

// hash is FNV-1a with a finish. It is the same in every process, so gatehouses side by side agree.
func hash[S []byte | string](s S) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return mix(h)
}

// mix makes every bit of the result depend on every bit of h.
func mix(h uint64) uint64 {
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}

// period returns one period of round robin, as smooth as the weights allow: "Whatever the weights, the first server will
// always be assigned first." For each turn every server's score grows by its weight; the first of those that
// have come furthest takes the turn and falls back by the sum of all weights.
func period(servers []int, weights []int64) []uint16 {
	unit, sum := int64(0), int64(0)
	for _, w := range weights {
		unit = gcd(unit, w)
		sum += w
	}
	if sum == 0 {
		return nil
	}
	sum /= unit
	score := make([]int64, len(servers))
	turns := make([]uint16, 0, sum)
	for range sum {
		best, far := 0, int64(-1)
		for k, w := range weights {
			score[k] += w / unit
			if v := (score[k] + sum) / sum; v > far {
				best, far = k, v
			}
		}
		score[best] -= sum
		turns = append(turns, uint16(servers[best]))
	}
	return turns
}

func gcd(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
