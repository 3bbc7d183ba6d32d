package backend

import (
	"context"
	"net/netip"
	"sync/atomic"
	"time"

	"gatehouse/backend/loop"
)

// prober checks the servers of a backend, all on one loop. Each check is made in rounds, which are shared with whoever checks the same.
type prober struct {
	loop     *loop.Loop
	dial     func(l *loop.Loop, d loop.Dial) (*loop.Conn, error)
	resolve  func(ctx context.Context, host string) ([]netip.Addr, error)
	limit    time.Duration // bounds checks that have no timeout of their own
	onChange func(server int, health standing, why string)
	probes   *Probes

	patients []*patient
	seats    []*seat
	stopped  atomic.Bool
}

// target is a server as a prober sees it.
type target struct {
	// address is where the traffic goes. A name in it is being looked up by somebody else; the check waits for that.
	address func() loop.Addr
	named   bool // what address returns changes
	// greet begins a connection to the server's own port as its traffic does (PROXY header, TLS); nil: there is nothing to begin
	// with. A check that speaks TLS itself has the first only.
	greet func(c *loop.Conn, withTLS bool, d time.Duration) (stream, error)
	// protocol is what an "http" check speaks where its connection is greeted.
	protocol Protocol
	source   netip.Addr
	checks   []*Check // none: the server is left alone
	carried  bool     // health is known from before a reload
	health   standing
}

// seat is one check of one server, at a round.
type seat struct {
	p       *prober
	server  int
	check   int // among the server's
	carried bool
	r       *round // of its own, until start finds that somebody makes an equal one
}

// newProber makes a prober for servers in declaration order. onChange is called on l whenever the health of a server
// changes, and once for each when it is first known; it must not park. dial and resolve are the seams of Options. probes are those of
// others to share rounds with, all on l; nil: there are no others.
func newProber(l *loop.Loop, dial func(*loop.Loop, loop.Dial) (*loop.Conn, error),
	resolve func(context.Context, string) ([]netip.Addr, error), limit time.Duration, targets []target, probes *Probes,
	onChange func(server int, health standing, why string)) *prober {
	if probes == nil {
		probes = &Probes{}
	}
	p := &prober{loop: l, dial: dial, resolve: resolve, limit: limit, onChange: onChange, probes: probes}
	for i := range targets {
		t := &targets[i]
		pt := newPatient(t.checks)
		if t.carried {
			pt.carry(t.health)
		}
		p.patients = append(p.patients, pt)
		for k, c := range t.checks {
			p.seats = append(p.seats, &seat{p: p, server: i, check: k, carried: t.carried, r: p.newRound(t, c)})
		}
	}
	// The first checks run at once, all together: until then nobody is served. Afterwards they go apart by up to an
	// eighth of their interval, and stay so: never faster than configured, and the same in every run.
	for i, s := range p.seats {
		s.r.phase = s.r.c.Interval / 8 * time.Duration(i) / time.Duration(len(p.seats))
	}
	return p
}

// start begins to check. From any goroutine.
func (p *prober) start() {
	p.loop.Post(func() {
		for _, s := range p.seats {
			if !p.stopped.Load() {
				p.probes.join(s)
			}
		}
	})
}

// stop ends all checks but those that others make too; of what is under way nobody hears. From any goroutine.
func (p *prober) stop() {
	p.stopped.Store(true)
	p.loop.Post(func() {
		for _, s := range p.seats {
			p.probes.leave(s)
		}
	})
}

// note takes a result. On the loop.
func (s *seat) note(found finding, said string) {
	if s.p.stopped.Load() {
		return
	}
	pt := s.p.patients[s.server]
	if changed, why := pt.note(s.check, found, said); changed {
		s.p.onChange(s.server, pt.health, why)
	}
}

// interval is when this check wants its next result, after the one it has got.
func (s *seat) interval() time.Duration {
	c, pulse := s.r.c, &s.p.patients[s.server].pulses[s.check]
	switch {
	case pulse.count == 0 && c.DownInterval > 0:
		return c.DownInterval
	case pulse.count > 0 && pulse.count < pulse.full() && c.FastInterval > 0:
		return c.FastInterval
	}
	return c.Interval
}
