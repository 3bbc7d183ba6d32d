package backend

import (
	"context"
	"net/netip"
	"sync/atomic"
	"time"

	"gatehouse/backend/loop"
)

// prober checks the servers of a backend, all on one loop. Every check of every server is a task that ends with stop.
type prober struct {
	loop     *loop.Loop
	dial     func(l *loop.Loop, d loop.Dial) (*loop.Conn, error)
	resolve  func(ctx context.Context, host string) ([]netip.Addr, error)
	limit    time.Duration // bounds checks that have no timeout of their own
	onChange func(server int, health standing, why string)

	patients []*patient
	rounds   []*round
	over     loop.Event
	stopped  atomic.Bool
}

// target is a server as a prober sees it.
type target struct {
	// address is where the traffic goes. A name in it is being looked up by somebody else; the check waits for that.
	address func() loop.Addr
	// greet begins a connection to the server's own port as its traffic does (PROXY header, TLS); nil: there is nothing to begin
	// with. A check that speaks TLS itself has the first only.
	greet   func(c *loop.Conn, withTLS bool, d time.Duration) (stream, error)
	source  netip.Addr
	checks  []*Check // none: the server is left alone
	carried bool     // health is known from before a reload
	health  standing
}

// round is one check of one server, again and again.
type round struct {
	p      *prober
	server int
	check  int // among the server's
	t      *target
	c      *Check
	send   []byte        // what the check says, nil: it only connects
	wait   time.Duration // bounds one check
	phase  time.Duration // put between the first check and the second
	conn   *loop.Conn    // of the check under way
}

// newProber makes a prober for servers in declaration order. onChange is called on l whenever the health of a server
// changes, and once for each when it is first known; it must not park. dial and resolve are the seams of Options.
func newProber(l *loop.Loop, dial func(*loop.Loop, loop.Dial) (*loop.Conn, error),
	resolve func(context.Context, string) ([]netip.Addr, error), limit time.Duration, targets []target,
	onChange func(server int, health standing, why string)) *prober {
	p := &prober{loop: l, dial: dial, resolve: resolve, limit: limit, onChange: onChange}
	for i := range targets {
		t := &targets[i]
		pt := newPatient(t.checks)
		if t.carried {
			pt.carry(t.health)
		}
		p.patients = append(p.patients, pt)
		for k, c := range t.checks {
			r := &round{p: p, server: i, check: k, t: t, c: c, wait: c.Timeout}
			if r.wait <= 0 {
				r.wait = c.Interval
				if limit > 0 {
					r.wait = min(limit, c.Interval)
				}
			}
			p.rounds = append(p.rounds, r)
		}
	}
	// The first checks run at once, all together: until then nobody is served. Afterwards they go apart by up to an
	// eighth of their interval, and stay so: never faster than configured, and the same in every run.
	for i, r := range p.rounds {
		r.phase = r.c.Interval / 8 * time.Duration(i) / time.Duration(len(p.rounds))
	}
	return p
}

// start begins to check. From any goroutine.
func (p *prober) start() {
	p.loop.Post(func() {
		for _, r := range p.rounds {
			if !p.stopped.Load() {
				p.loop.Go(r)
			}
		}
	})
}

// stop ends all checks; of what is under way nobody hears. A connection that is just being made is given up at the check's
// timeout, all else at once. From any goroutine.
func (p *prober) stop() {
	p.stopped.Store(true)
	p.loop.Post(func() {
		p.over.Set(p.loop)
		for _, r := range p.rounds {
			if r.conn != nil {
				r.conn.Close()
			}
		}
	})
}

// Run is the task (loop.Task).
func (r *round) Run() {
	l := r.p.loop
	next := l.Now()
	for extra := r.phase; ; extra = 0 {
		good, said := r.probe()
		if r.p.stopped.Load() {
			return
		}
		pt := r.p.patients[r.server]
		if changed, why := pt.note(r.check, good, said); changed {
			r.p.onChange(r.server, pt.health, why)
		}
		next += max(1, (r.c.Interval + extra).Milliseconds())
		// A check that took longer than the interval is not made up for.
		next = max(next, l.Now()+1)
		if r.p.over.Wait(l, time.Duration(next-l.Now())*time.Millisecond) {
			return
		}
	}
}
