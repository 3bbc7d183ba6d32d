package backend

import (
	"context"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"time"

	"gatehouse/backend/loop"
)

// Probes are the checks that are being made for all pools of a house, so that servers with the same address and the same check, in
// one backend or in several, are probed once: each counts the results by its own rise and fall. The pools' first loop is the same, and owns
// it. A reload shares them too, so that a new generation begins with the last results of the one before. The zero Probes is ready.
type Probes struct{ by map[probe]*round }

// probe is what makes two checks the same one.
type probe struct {
	to                                         loop.Addr
	from                                       netip.Addr
	kind                                       CheckKind
	said                                       string // all that is sent and expected
	interval, fastInterval, downInterval, wait time.Duration
}

// round is one check, again and again. It is a task that ends when nobody sits at it any more.
type round struct {
	loop    *loop.Loop
	dial    func(l *loop.Loop, d loop.Dial) (*loop.Conn, error)
	resolve func(ctx context.Context, host string) ([]netip.Addr, error)
	t       *target
	c       *Check
	pattern *regexp.Regexp // nil: the answer's text does not matter
	send    []byte         // what the check says, nil: it only connects
	wait    time.Duration  // bounds one check
	phase   time.Duration  // put between the first check and the second
	seats   []*seat
	conn    *loop.Conn // of the check under way
	over    loop.Event

	known bool // there was a result: that
	found finding
	said  string
}

func (p *prober) newRound(t *target, c *Check) *round {
	r := &round{loop: p.loop, dial: p.dial, resolve: p.resolve, t: t, c: c, wait: c.Timeout}
	if r.wait <= 0 {
		r.wait = c.Interval
		if p.limit > 0 {
			r.wait = min(p.limit, c.Interval)
		}
	}
	if c.ExpectText != "" {
		r.pattern = regexp.MustCompile(c.ExpectText) // see Check
	}
	return r
}

// key returns what the round probes, false where nobody else can be sure to probe the same: the address is looked up, or the connection begins
// as that of one server does.
func (r *round) key() (k probe, ok bool) {
	c := r.c
	a := r.t.address()
	if c.Address != nil {
		a = *c.Address
	}
	if c.Address == nil && r.t.named || a.Host != "" || r.greets() {
		return k, false
	}
	return probe{
		to: r.port(a), from: r.t.source, kind: c.Kind, said: fmt.Sprintf("%q %q %v %v %q %q", c.Request, c.Host, c.Expect, c.DrainOn, c.Send, c.ExpectText),
		interval: c.Interval, fastInterval: c.FastInterval, downInterval: c.DownInterval, wait: r.wait,
	}, true
}

// greets reports whether the check's connection begins as the server's traffic does.
func (r *round) greets() bool { return r.t.greet != nil && r.c.Port == 0 && r.c.Address == nil }

// join seats a check at an equal round, or starts its own. On the loop.
func (ps *Probes) join(s *seat) {
	k, shared := s.r.key()
	if there := ps.by[k]; shared && there != nil {
		s.r = there
		there.seats = append(there.seats, s)
		if there.known && !s.carried { // no more than an interval ago
			s.note(there.found, there.said)
		}
		return
	}
	if shared {
		if ps.by == nil {
			ps.by = map[probe]*round{}
		}
		ps.by[k] = s.r
	}
	s.r.seats = append(s.r.seats, s)
	s.r.loop.Go(s.r)
}

// leave takes a check from its round, which ends when it was the last. On the loop.
func (ps *Probes) leave(s *seat) {
	r := s.r
	i := slices.Index(r.seats, s)
	if i < 0 {
		return
	}
	if r.seats = slices.Delete(r.seats, i, i+1); len(r.seats) > 0 {
		return
	}
	if k, shared := r.key(); shared && ps.by[k] == r {
		delete(ps.by, k)
	}
	r.over.Set(r.loop)
	if r.conn != nil {
		r.conn.Close()
	}
}

// Run is the task (loop.Task).
func (r *round) Run() {
	l := r.loop
	next := l.Now()
	for extra := r.phase; ; extra = 0 {
		found, said := r.probe()
		if r.over.IsSet() {
			return
		}
		r.known, r.found, r.said = true, found, said
		for _, s := range r.seats {
			s.note(found, said)
		}
		next += max(1, (r.interval() + extra).Milliseconds())
		// A check that took longer than the interval is not made up for.
		next = max(next, l.Now()+1)
		if r.over.Wait(l, time.Duration(next-l.Now())*time.Millisecond) {
			return
		}
	}
}

// interval is that of the seat with the least patience.
func (r *round) interval() time.Duration {
	d := r.seats[0].interval()
	for _, s := range r.seats[1:] {
		d = min(d, s.interval())
	}
	return d
}
