package backend

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"reflect"
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
	// Port is where servers without a port are checked: the one clients come to. 0: there is no such port, or more than one.
	Port uint16
	// Log is told of servers that go up and down. nil: nobody is.
	Log *zap.Logger
	// Probes are the checks of other pools, to share those that are the same. nil: there are none.
	Probes *Probes
	// CookieKey signs cookies that are to be signed and have no secret of their own.
	CookieKey []byte
	// Former is the pool of this name in the configuration before. Servers that are in both go on counting where they are, and those with
	// the same checks keep their health. nil: there was none.
	Former *Pool
}

// Pool is a backend at work: a RoundTripper that lets one of its servers answer. All loops share it.
type Pool struct {
	Stats *Stats

	c       *Config
	o       Options
	t       h1.Timeouts
	servers []*server
	cookie  *persistence // nil: none
	forward *forward     // nil: switched off
	request *h1.Rules    // of request_headers
	answers *h1.Rules    // of response_headers
	rooms   []*room      // by Loop.ID

	balance *balancer
	queue   *queue  // nil: no server has a limit
	kin     *kin    // of the queues of all pools of this name
	checks  *prober // nil: nobody is checked

	mu       sync.Mutex                 // guards what follows
	health   []standing                 // what the checks say
	known    []bool                     // of each server: its first verdict has come
	unknown  int                        // how many verdicts and names are still to come
	ready    chan struct{}              // closed when none is
	closed   bool                       // by Close
	thawing  *time.Timer                // publishes when a server of slow_start gets more
	standing atomic.Pointer[[]standing] // what servers take at the moment: replaced as a whole

	cancel  context.CancelFunc
	running sync.WaitGroup
}

// room is what a pool owns on one loop.
type room struct {
	free  []*answer
	calls []*call
	parts [][]byte // for the content of calls
}

// New makes a pool of its configuration. Servers with a check take no requests until Start has had them checked once.
func New(c *Config, o Options) (*Pool, error) {
	p := &Pool{Stats: &Stats{}, kin: &kin{}, c: c, o: o, ready: make(chan struct{})}
	if o.Former != nil {
		p.Stats, p.kin = o.Former.Stats, o.Former.kin
	}
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
		srv := newServer(s, i, o.Loops)
		if s.TLS != nil {
			if len(s.TLS.files()) > 0 {
				srv.watch = newTLSWatch(p, srv)
			}
			t, err := s.TLS.client(s.Address.Host, s.offers(c.Mode))
			if err != nil {
				return nil, fmt.Errorf("server %s: %w", s.Name, err)
			}
			srv.tls.Store(t)
		}
		if old := p.formerly(srv); old != nil {
			srv.books = old.books
			a := old.address()
			srv.addr.Store(&a)
		}
		p.servers = append(p.servers, srv)
		values = append(values, p.servers[i].value())
	}
	if c.Cookie != nil {
		p.cookie = newPersistence(c.Cookie, values, o.CookieKey)
	}
	p.forward = newForward(c.Forwardfor)
	p.request, p.answers = h1.NewRules(c.RequestHeaders), h1.NewRules(c.ResponseHeaders)
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

// formerly returns the server of the former pool that s goes on for, nil when there is none.
func (p *Pool) formerly(s *server) *server {
	if p.o.Former == nil {
		return nil
	}
	for _, old := range p.o.Former.servers {
		if old.c.Name == s.c.Name && old.c.Address == s.c.Address {
			return old
		}
	}
	return nil
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

// publish tells requests what the servers take from now on. mu is held, or nobody else has the pool yet.
func (p *Pool) publish() {
	st := make([]standing, len(p.servers))
	weights := make([]int, len(p.servers))
	for i, s := range p.servers {
		state, weight := s.will.over(s.c)
		st[i], weights[i] = standingOf(p.health[i], state, weight), weight
	}
	p.thaw(weights)
	p.balance.update(st, weights)
	p.standing.Store(&st)
	if p.queue != nil {
		p.queue.changed(st)
	}
}

// Start resolves names and begins to check. It does not wait for results: Ready tells when they are there.
func (p *Pool) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	p.mu.Lock()
	p.cancel = cancel
	carried := p.carry()
	p.unknown++ // this function, until it is through
	for _, s := range p.servers {
		if a := s.c.Address; a.Host != "" {
			if s.address().Host != "" {
				p.unknown++
			}
			p.running.Go(func() { p.resolve(ctx, s) })
		}
		if s.watch != nil {
			p.running.Go(func() { s.watch.run(ctx) })
		}
	}
	p.startChecks(carried)
	p.learnt()
	p.mu.Unlock()
	p.o.Former = nil // whose memory is not ours to keep
}

// carry takes over what the former pool knows of the servers' health, and returns of which. mu is held.
func (p *Pool) carry() (carried []bool) {
	carried = make([]bool, len(p.servers))
	f := p.o.Former
	if f == nil {
		return carried
	}
	f.mu.Lock()
	for i, s := range p.servers {
		old := p.formerly(s)
		if old == nil || !p.checkedAlike(s, f, old) {
			continue
		}
		if f.known[old.place] {
			p.health[i], p.known[i], carried[i] = f.health[old.place], true, true
			s.why = old.why
		}
		s.since, s.up = old.since, old.up
	}
	f.mu.Unlock()
	p.publish()
	return carried
}

// checkedAlike reports whether a verdict on old, a server of f, is one on s too.
func (p *Pool) checkedAlike(s *server, f *Pool, old *server) bool {
	return p.o.Port == f.o.Port && s.c.Source == old.c.Source && s.c.SendProxy == old.c.SendProxy &&
		reflect.DeepEqual(s.c.TLS, old.c.TLS) && reflect.DeepEqual(p.checksOf(s), f.checksOf(old))
}

// learnt counts down to Ready. mu is held.
func (p *Pool) learnt() {
	if p.unknown--; p.unknown == 0 {
		close(p.ready)
	}
}

// Ready is closed when every server has been checked once, and every name been looked up. Before that a request may find no server though
// there are some.
func (p *Pool) Ready() <-chan struct{} { return p.ready }

// Close ends checks and idle connections. Exchanges under way go on, and so do those that still come.
func (p *Pool) Close() {
	if p.cancel != nil {
		p.cancel()
	}
	p.stopChecks()
	p.running.Wait()
	p.mu.Lock()
	p.closed = true
	if p.thawing != nil {
		p.thawing.Stop()
	}
	p.mu.Unlock()
	for _, s := range p.servers {
		s.gone.Store(true)
		p.closeIdle(s)
	}
	p.kin.part(p.queue)
}

// closeIdle closes the idle connections to a server on all loops, as soon as they get round to it.
func (p *Pool) closeIdle(s *server) {
	for _, l := range p.o.Loops {
		l.Post(func() { s.closeIdle(l) })
	}
}

// reresolve is how often a server's name is looked up again.
const reresolve = 30 * time.Second

// resolve keeps the address of a server given by name. A name that cannot be looked up keeps its last address.
func (p *Pool) resolve(ctx context.Context, s *server) {
	t := time.NewTicker(reresolve)
	defer t.Stop()
	waited := s.address().Host != "" // Ready waits for the first answer, whatever it is
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
		if waited {
			waited = false
			p.mu.Lock()
			p.learnt()
			p.mu.Unlock()
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}
