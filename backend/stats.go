package backend

import (
	"sync/atomic"
	"time"
)

// Stats are the counters of a pool. All loops share them, and so do the pools of one name that follow one another.
type Stats struct {
	Requests     atomic.Uint64
	Active       atomic.Int64 // exchanges under way
	Retries      atomic.Uint64
	Redispatches atomic.Uint64
	Failed       atomic.Uint64 // exchanges that ended without an answer of a server
}

// ServerStats are the counters of a server.
type ServerStats struct {
	Requests    atomic.Uint64
	Connections atomic.Uint64 // made, as opposed to reused
	Refused     atomic.Uint64 // attempts to connect that failed
	Failed      atomic.Uint64 // exchanges that ended in the server's failure after it was connected
}

// ServerStatus is a server at a moment.
type ServerStatus struct {
	Name    string
	Address string // as configured, with the address of a name behind it once it is resolved
	Cookie  string // the value that names it, "" in a backend without a cookie
	Backup  bool

	Checked bool
	Known   bool      // a verdict has come; false without checks
	Health  string    // "up", "leaving", "failing" or "down": what the checks say, "up" without checks
	Why     string    // the check's words, "" before the first and without checks
	Since   time.Time // when Health became what it is

	State            State // that counts
	ConfiguredState  State
	Weight           int // that counts
	ConfiguredWeight int
	Will             Will

	Newcomers bool // requests without a cookie for it may come, as far as it is concerned
	Holders   bool // requests with its cookie may come

	Share       int // percent of its weight and max_connections it gets, less than 100 while it warms up (slow_start)
	Active      int // exchanges under way
	Idle        int // connections kept for the next request
	Waiting     int // requests in its own line of the queue
	Requests    uint64
	Connections uint64
	Refused     uint64
	Failed      uint64
}

// Waiting returns how many requests wait for a server, in all lines.
func (p *Pool) Waiting() int { return int(p.kin.n.Load()) }

// Servers describes the servers, in the order of the configuration.
func (p *Pool) Servers() []ServerStatus {
	out := make([]ServerStatus, len(p.servers))
	standing := *p.standing.Load()
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, s := range p.servers {
		state, weight := s.will.over(s.c)
		v := &out[i]
		*v = ServerStatus{
			Name: s.c.Name, Address: s.c.Address.String(), Backup: s.c.Backup,
			Checked: len(p.checksOf(s)) > 0, Known: p.known[i], Health: p.health[i].verdict(), Why: s.why, Since: s.since,
			State: state, ConfiguredState: s.c.State, Weight: weight, ConfiguredWeight: s.c.Weight, Will: s.will,
			Newcomers: standing[i] == open, Holders: standing[i] != shut,
			Share:    100 - 100/tenths*int(s.cold.Load()),
			Active:   int(s.active.Load()),
			Requests: s.stats.Requests.Load(), Connections: s.stats.Connections.Load(), Refused: s.stats.Refused.Load(), Failed: s.stats.Failed.Load(),
		}
		if a := s.address(); s.c.Address.Host != "" && a.Host == "" {
			v.Address += " (" + a.Addr().String() + ")"
		}
		if p.cookie != nil {
			v.Cookie = s.value()
		}
		for _, h := range s.homes {
			if h != nil {
				v.Idle += int(h.n.Load())
			}
		}
		if p.queue != nil {
			p.queue.mu.Lock()
			v.Waiting = p.queue.own[i].n
			p.queue.mu.Unlock()
		}
	}
	return out
}
