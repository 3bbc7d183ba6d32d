package backend

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"gatehouse/backend/h1"
	"gatehouse/backend/loop"
)

// Options are what a pool needs from the rest of the house.
type Options struct {
	Loops []*loop.Loop
	// Dial connects to a server. nil: the loop does, on the real network.
	Dial func(l *loop.Loop, d loop.Dial) (*loop.Conn, error)
	// Resolve finds the addresses of servers given by name. nil: the system's resolver.
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)
	// Log is told of servers that go up and down. nil: nobody is.
	Log *zap.Logger
}

// Pool is a backend at work: a RoundTripper that lets one of its servers answer. All loops share it.
type Pool struct {
	Stats Stats

	c       *Config
	o       Options
	t       h1.Timeouts
	servers []*server
	cookie  *persistence // nil: none
	forward *forward     // nil: switched off
	rooms   []*room      // by Loop.ID

	balance *balancer
	queue   *queue  // nil: no server has a limit
	checks  *prober // nil: nobody is checked

	known   []bool // of each server: its first verdict has come
	unknown int    // how many are still to come

	mu       sync.Mutex                 // guards changes of health, known and unknown, and so of standing
	health   []standing                 // what the checks say
	standing atomic.Pointer[[]standing] // what servers take at the moment: replaced as a whole

	cancel  context.CancelFunc
	running sync.WaitGroup
}

// room is what a pool owns on one loop.
type room struct{ free []*answer }

// New makes a pool of its configuration. Servers with a check take no requests until Start has had them checked once.
func New(c *Config, o Options) (*Pool, error) {
	p := &Pool{c: c, o: o}
	if p.o.Dial == nil {
		p.o.Dial = (*loop.Loop).Dial
	}
	if p.o.Log == nil {
		p.o.Log = zap.NewNop()
	}
	if p.o.Resolve == nil {
		p.o.Resolve = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	if c.Timeouts != nil {
		p.t = *c.Timeouts
	}
	p.t = p.t.WithDefaults()
	for _, l := range o.Loops {
		for len(p.rooms) <= l.ID {
			p.rooms = append(p.rooms, nil)
		}
		p.rooms[l.ID] = &room{}
	}
	var values []string
	for i, s := range c.Servers {
		p.servers = append(p.servers, newServer(s, i, o.Loops))
		values = append(values, p.servers[i].value())
	}
	if c.Cookie != nil {
		p.cookie = newPersistence(c.Cookie, values)
	}
	p.forward = newForward(c.Forwardfor)
	p.health, p.known = make([]standing, len(p.servers)), make([]bool, len(p.servers))
	members := make([]member, len(p.servers))
	for i, s := range p.servers {
		members[i] = member{name: s.c.Name, backup: s.c.Backup, active: &s.active}
		if len(p.checksOf(s)) > 0 {
			p.health[i] = shut // until the first check
		}
	}
	p.balance = newBalancer(c.Balance, c.AllBackups, members)
	p.queue = newQueue(p)
	p.publish()
	return p, nil
}

// Name returns the name of the block.
func (p *Pool) Name() string { return p.c.Name }

// Timeouts returns the pool's timeouts as they are written, for frontends that set none themselves.
func (p *Pool) Timeouts() h1.Timeouts {
	if p.c.Timeouts == nil {
		return h1.Timeouts{}
	}
	return *p.c.Timeouts
}

// HTTPClose reports whether connections end after each exchange.
func (p *Pool) HTTPClose() bool { return p.c.HTTPClose }

// Usable reports whether a newcomer would find a server.
func (p *Pool) Usable() bool { return p.balance.any() }

// publish tells requests what the servers take from now on. Calls must not overlap.
func (p *Pool) publish() {
	st := make([]standing, len(p.servers))
	weights := make([]int, len(p.servers))
	for i, s := range p.servers {
		st[i], weights[i] = standingOf(p.health[i], s.c.State, s.c.Weight), s.c.Weight
	}
	p.balance.update(st, weights)
	p.standing.Store(&st)
	if p.queue != nil {
		p.queue.changed(st)
	}
}

// Start resolves names and begins to check. It does not wait for results.
func (p *Pool) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	for _, s := range p.servers {
		if s.c.Address.Host != "" {
			p.running.Go(func() { p.resolve(ctx, s) })
		}
	}
	p.startChecks()
}

// Close ends checks and idle connections. Exchanges under way are not affected.
func (p *Pool) Close() {
	if p.cancel != nil {
		p.cancel()
	}
	p.stopChecks()
	p.running.Wait()
	for _, s := range p.servers {
		s.gone.Store(true)
		for _, l := range p.o.Loops {
			l.Post(func() { s.closeIdle(l) })
		}
	}
}

// reresolve is how often a server's name is looked up again.
const reresolve = 30 * time.Second

// resolve keeps the address of a server given by name. A name that cannot be looked up keeps its last address.
func (p *Pool) resolve(ctx context.Context, s *server) {
	t := time.NewTicker(reresolve)
	defer t.Stop()
	for last := ""; ; {
		ips, err := p.o.Resolve(ctx, s.c.Address.Host)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil && len(ips) > 0:
			a := s.address()
			if !slices.ContainsFunc(ips, func(ip netip.Addr) bool { return ip.Unmap() == a.Addr() }) {
				a.Host = ""
				a.AddrPort = netip.AddrPortFrom(ips[0].Unmap(), s.c.Address.Port())
				s.addr.Store(&a)
				p.o.Log.Info("server address resolved", zap.String("server", p.c.Name+"/"+s.c.Name), zap.Stringer("address", a))
			}
			last = ""
		case err == nil:
			err = errors.New("the name has no address")
			fallthrough
		default:
			if err.Error() != last {
				last = err.Error()
				p.o.Log.Warn("server name not resolved; its last address stays", zap.String("server", p.c.Name+"/"+s.c.Name), zap.Error(err))
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}
