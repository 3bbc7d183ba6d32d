package house

import (
	"fmt"
	"reflect"
	"slices"
	"time"

	"go.uber.org/zap"

	"gatehouse/backend"
	"gatehouse/backend/h1"
	"gatehouse/cmd/gatehouse/admin"
	"gatehouse/cmd/gatehouse/config"
	"gatehouse/frontend"
	"gatehouse/tlsconf"
)

// generation is a configuration and everything that was built from it, or taken over from the generation before because nothing about it has
// changed. It is not changed once it serves.
type generation struct {
	number int
	since  time.Time
	file   *config.File
	secret []byte          // of HTTP/3; nil: none
	keeper *tlsconf.Keeper // nil: no certificates are obtained by ACME
	certs  map[string]*certificates
	logs   map[string]*frontend.Log
	pools  map[string]*backend.Pool
	caches map[string]*caches
	fronts map[string]*frontend.Frontend
	doors  []*door
	socket *admin.Socket // nil: none
	page   *admin.Page   // nil: none

	yielded []*frontend.Listener // of the generation before, closed to make room for what overlaps them
}

// certificates are those of a tls block, and what they were made of.
type certificates struct {
	*tlsconf.Certificates
	of     tlsconf.Config
	policy *frontend.Policy // nil: nothing is demanded of clients
	hsts   string
}

// build makes the generation of f, which takes over from old what stays as it is; old is nil for the first one. When it fails, all that
// was made is gone again. Nothing is opened yet but files, and old is not touched.
func (h *House) build(f *config.File, old *generation) (*generation, faults) {
	g := &generation{number: 1, since: time.Now(), file: f, certs: map[string]*certificates{}, logs: map[string]*frontend.Log{},
		pools: map[string]*backend.Pool{}, caches: map[string]*caches{}, fronts: map[string]*frontend.Frontend{}}
	if old == nil {
		old = &generation{file: &config.File{}}
	} else {
		g.number = old.number + 1
	}
	var bad faults
	h.openLogs(g, old, &bad)
	h.openKeeper(g, old)
	h.loadCertificates(g, old, &bad)
	g.secret = h.http3Key.of(f, h.o.Log)
	h.buildPools(g, old, &bad)
	if len(bad) > 0 {
		h.abandon(g, old)
		return nil, bad
	}
	buildCaches(h.o.Loops, g, old, h.o.Log)
	h.buildFronts(g, old)
	return g, nil
}

// named finds the block of that name, nil when there is none.
func named[T any](list []*T, name string, nameOf func(*T) string) *T {
	if i := slices.IndexFunc(list, func(x *T) bool { return nameOf(x) == name }); i >= 0 {
		return list[i]
	}
	return nil
}

func logName(c *frontend.LogConfig) string { return c.Name }
func poolName(c *backend.Config) string    { return c.Name }

func (h *House) openLogs(g, old *generation, bad *faults) {
	for _, c := range g.file.Logs {
		if was := named(old.file.Logs, c.Name, logName); was != nil && *was == *c {
			g.logs[c.Name] = old.logs[c.Name]
			continue
		}
		report := func(msg string) { h.o.Log.Warn(msg, zap.String("log", c.Name)) }
		if h.o.AccessLog != nil && c.Output == "stdout" {
			g.logs[c.Name] = frontend.NewLog(c, h.o.AccessLog, report)
			continue
		}
		log, err := frontend.OpenLog(c, report)
		if err != nil {
			bad.add(&c.Output, err, "Correct the path, or make its directory one that gatehouse may write to.")
			continue
		}
		g.logs[c.Name] = log
	}
}

func (h *House) loadCertificates(g, old *generation, bad *faults) {
	for _, c := range g.file.TLS {
		own := *c
		own.StateDir = g.file.Global.StateDir
		switch {
		case own.ACME != nil:
			own.Hosts = certifiedHosts(g.file, c)
		case own.Internal && len(own.Hosts) == 0:
			own.Hosts = hostsOf(g.file, c.Name)
		}
		was := old.certs[c.Name]
		if was != nil && reflect.DeepEqual(was.of, own) {
			g.certs[c.Name] = was
			continue
		}
		made := &certificates{of: own}
		own.Watch, own.Keeper = h.o.Watch, g.keeper
		if was != nil && reflect.DeepEqual(was.of.ClientAuth, own.ClientAuth) {
			own.Tickets = was.Tickets() // under other rules for clients they would be good for nothing
		} else if was == nil {
			own.Tickets = h.inherited(&own)
		}
		var err error
		if made.Certificates, err = tlsconf.New(h.ctx, &own, h.o.Log); err != nil {
			bad.add(c, err, "Nothing can be served with this block as it is.")
			continue
		}
		made.policy, made.hsts = policyOf(made.Certificates, c), hstsOf(c)
		g.certs[c.Name] = made
	}
}

// hostsOf returns the hosts of the frontends that use a tls block.
func hostsOf(f *config.File, name string) (hosts []string) {
	for _, c := range f.Frontends {
		if slices.ContainsFunc(c.Binds, func(b *frontend.Bind) bool { return b.TLS == name }) {
			hosts = append(hosts, c.Hosts...)
		}
	}
	seen := make(map[string]bool, len(hosts))
	return slices.DeleteFunc(hosts, func(host string) bool {
		was := seen[host]
		seen[host] = true
		return was
	})
}

func (h *House) buildPools(g, old *generation, bad *faults) {
	key := h.cookieKey.of(g.file, h.o.Log)
	for _, c := range g.file.Backends {
		port := g.file.PortOf(c.Name)
		was := named(old.file.Backends, c.Name, poolName)
		if was != nil && reflect.DeepEqual(was, c) && port == old.file.PortOf(c.Name) {
			g.pools[c.Name] = old.pools[c.Name]
			continue
		}
		p, err := backend.New(c, backend.Options{Loops: h.o.Loops, Dial: h.o.Dial, Resolve: h.o.Resolve, Port: port, Log: h.o.Log, Former: old.pools[c.Name], Probes: &h.probes, CookieKey: key})
		if err != nil {
			bad.add(c, fmt.Errorf("backend %q: %w", c.Name, err), "No server of it can be used as it is.")
			continue
		}
		g.pools[c.Name] = p
	}
}

func (h *House) buildFronts(g, old *generation) {
	hidden := hiddenIn(g.file)
	pools := g.pools // and no more of g: exchanges keep their frontend, which keeps this
	for _, c := range g.file.Frontends {
		kept := g.caches[c.Cache]
		o := frontend.Options{
			Backend: func(name string) h1.RoundTripper { return kept.inFront(pools[name]) },
			Direct:  func(name string) h1.RoundTripper { return pools[name] },
			Log:     g.logs[c.Log],
			Process: &h.process,
			Former:  old.fronts[c.Name],
		}
		o.Challenge = g.challenge()
		var next h1.RoundTripper
		if p := g.pools[c.Backend]; p != nil {
			next, o.Relay = kept.inFront(p), p
			o.Usable, o.HTTPClose, o.Timeouts = p.Usable, p.HTTPClose(), p.Timeouts()
		}
		o.Hidden = hidden
		f := frontend.New(c, next, o)
		g.fronts[c.Name] = f
		for _, b := range c.Binds {
			g.bind(f, b)
		}
	}
}

// abandon lets go of what was made for g and is not old's. Nothing of it serves.
func (h *House) abandon(g, old *generation) {
	if old == nil {
		old = &generation{}
	}
	for _, d := range g.doors {
		switch {
		case d.n == nil:
		case old.listener(d.address) == d.n:
			d.n.Withdraw()
		default:
			d.n.Abort()
			d.n.Wait()
		}
	}
	for _, n := range g.yielded {
		if err := n.Regain(); err != nil {
			h.o.Log.Error("an address that was closed for a reload cannot be opened again", zap.Stringer("address", n.Address()), zap.Error(err))
		}
	}
	switch {
	case g.socket == nil || g.socket == old.socket:
	case h.left.Load():
		g.socket.Leave()
	default:
		g.socket.Close()
	}
	if g.page != nil && g.page != old.page {
		g.page.Close()
	}
	for name, p := range g.pools {
		if p != old.pools[name] {
			p.Close()
		}
	}
	for name, c := range g.certs {
		if c != old.certs[name] {
			c.Close()
		}
	}
	g.closeCaches(old)
	closeKeeper(g, old)
	for name, l := range g.logs {
		if l != old.logs[name] {
			closeLog(l)
		}
	}
}
