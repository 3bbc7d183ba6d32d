package convert

import (
	"net/netip"
	"slices"
	"strings"
)

// collapse makes one frontend of each chain of programs: where the only server of one is the address of another, nothing has to
// be sent from process to process any more. What was there for the wire between them goes: the inner address, if it is reached from this
// machine alone, the PROXY protocol, and the exceptions of forwardfor.
func (p *pile) collapse() {
	c := &collapser{pile: p, used: map[*bind]*front{}}
	for c.step() {
	}
	c.close()
}

type collapser struct {
	*pile
	used  map[*bind]*front // inner addresses that were led to, with whose they are
	steps int
}

// A link is a server of one frontend that is an address of another.
type link struct {
	server *server
	inner  *front
	bind   *bind
}

// step joins one link. It reports whether there was one.
func (c *collapser) step() bool {
	if c.steps++; c.steps > len(c.site.fronts)*len(c.site.fronts)+100 {
		return false // programs that lead to one another in circles
	}
	for _, f := range c.site.fronts {
		if l := c.follow(f, f.back); l != nil {
			if len(f.hosts) == 0 && len(f.routes) == 0 && f.monitorURI == "" && len(f.monitorSources) == 0 {
				c.join(f, l)
				return true
			}
			if len(f.routes) == 0 || len(l.inner.routes) == 0 && !f.tcp {
				c.takeOver(f, l)
				return true
			}
		}
		for _, r := range f.routes {
			if l := c.follow(f, r.back); l != nil && len(l.inner.routes) == 0 && l.inner.back != nil {
				c.release(l, r.back)
				r.request, r.response = r.request.then(l.inner.request), l.inner.response.then(r.response)
				c.forget(f, r.back, l.inner.back, func() { r.back = l.inner.back })
				return true
			}
		}
	}
	return false
}

// follow finds the frontend that the only server of b is.
func (c *collapser) follow(f *front, b *back) *link {
	if b == nil || len(b.servers) != 1 || b.cookie != nil {
		return nil
	}
	s := b.servers[0]
	if s.tls != nil || f.tcp && s.sendProxy == "" && !slices.ContainsFunc(f.binds, func(b *bind) bool { return b.tls != nil }) {
		return nil // a plain relay is there to be switched off by itself: the guide's checks go through one
	}
	for _, g := range c.site.fronts {
		if g == f || g.back == b || len(g.hosts) > 0 || g.back == nil && len(g.routes) == 0 || !f.tcp && g.tcp {
			continue
		}
		for _, in := range g.binds {
			if in.tls != nil || in.redirect || (s.sendProxy != "") != (len(in.acceptProxy) > 0) || !c.meets(s.addr, in.addr) {
				continue
			}
			return &link{s, g, in}
		}
	}
	return nil
}

// meets reports whether what connects to an address of this machine arrives at a bind.
func (c *collapser) meets(addr, bind string) bool {
	if addr == bind {
		return true
	}
	host, port := splitPort(addr)
	on, at := splitPort(bind)
	if port != at || strings.HasPrefix(addr, "unix:") || strings.HasPrefix(bind, "unix:") {
		return false
	}
	if on == "localhost" || host == "localhost" {
		return (on == "localhost" || isLoopback(on)) && (host == "localhost" || isLoopback(host)) || host == "localhost" && on == ""
	}
	return (on == "" || on == "0.0.0.0" || on == "::") && c.local(host)
}

// local reports whether a host is this machine: the loopback, or an address something listens on.
func (c *collapser) local(host string) bool {
	if isLoopback(host) || host == "localhost" {
		return true
	}
	for _, f := range c.site.fronts {
		for _, b := range f.binds {
			if on, _ := splitPort(b.addr); on == host {
				return true
			}
		}
	}
	return false
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// private reports whether an address is reached from this machine alone.
func (b *bind) private() bool {
	host, _ := splitPort(b.addr)
	return strings.HasPrefix(b.addr, "unix:") || isLoopback(host) || host == "localhost"
}

// join gives the addresses of f to the inner frontend, which then does all there is to do.
func (c *collapser) join(f *front, l *link) {
	g := l.inner
	c.release(l, f.back)
	if len(f.binds) > 0 {
		f.binds[0].said = merged(f.node.said, f.back.said, f.binds[0].said)
	}
	g.binds = append(slices.Clone(f.binds), g.binds...)
	c.note(f, g)
	switch {
	case f.log == nil:
	case g.log == nil:
		g.log = f.log
	default:
		for _, list := range f.log.from {
			for _, d := range list {
				if d.Verdict == Kept && !c.logUsed(f) {
					d.revise(Folded, "the log of "+g.name+" has a line for every request")
				}
			}
		}
	}
	if !f.request.empty() || !f.response.empty() {
		for _, b := range g.binds[len(f.binds):] {
			if c.used[b] == nil || !b.private() {
				for _, d := range append(f.request.lines(), f.response.lines()...) {
					d.note("now for those who come to %s directly, too", b.addr)
				}
			}
		}
		g.request, g.response = f.request.then(g.request), g.response.then(f.response)
	}
	if g.body == "" {
		g.body = f.body
	}
	if g.cache == nil && f.cache != nil {
		g.cache = f.cache
		for _, d := range f.from["cache"] {
			g.from = withAttr(g.from, "cache", d)
		}
	}
	c.site.remove(f)
	c.dropIdle(f.back)
}

// logUsed reports whether another frontend has the log of f.
func (c *collapser) logUsed(f *front) bool {
	return slices.ContainsFunc(c.site.fronts, func(o *front) bool { return o != f && o.log == f.log })
}

// merged puts all comments of the maps to the block itself.
func merged(maps ...map[string][]*comment) map[string][]*comment {
	var all []*comment
	for _, m := range maps {
		for _, name := range sortedKeys(m) {
			all = append(all, m[name]...)
		}
	}
	if len(all) == 0 {
		return nil
	}
	return map[string][]*comment{"": all}
}

// takeOver gives f, which stays because it is for some hosts or has routes, what the inner frontend does.
func (c *collapser) takeOver(f *front, l *link) {
	g := l.inner
	c.release(l, f.back)
	f.tcp = g.tcp
	for _, r := range g.routes {
		copied := *r
		copied.node = node{from: r.from}
		copied.request, copied.response = r.request.copied(), r.response.copied()
		f.routes = append(f.routes, &copied)
	}
	if f.log == nil {
		f.log = g.log
	}
	if f.cache == nil {
		f.cache = g.cache
	}
	if f.monitorURI == "" && len(f.monitorSources) == 0 {
		f.monitorURI, f.monitorSources = g.monitorURI, g.monitorSources
	}
	f.request, f.response = f.request.then(g.request), g.response.then(f.response)
	for name, v := range g.timeouts.of {
		if _, ok := f.timeouts.of[name]; !ok {
			f.timeouts.set(name, v, nil)
		}
	}
	c.note(f, g)
	c.forget(f, f.back, g.back, func() { f.back = g.back })
}

// note tells the directives of f what became of them.
func (c *collapser) note(f, g *front) {
	for _, d := range f.from[""] {
		if d.Verdict != Refused { // what was noted of a process of its own is no longer so
			d.Verdict = unjudged
			d.keep("one with %s", g.name)
		}
	}
	for attr, list := range f.back.timeouts.from {
		for _, d := range list {
			if attr != "tunnel" || !f.tcp || !g.tcp {
				d.revise(Folded, "the timeouts of "+g.name+" count")
			}
		}
	}
}

// forget replaces a back that only led on.
func (c *collapser) forget(f *front, old, by *back, replace func()) {
	replace()
	f.listen = false
	c.dropIdle(old)
}

// dropIdle takes out a back nobody leads to any more.
func (c *collapser) dropIdle(b *back) {
	for _, f := range c.site.fronts {
		if slices.Contains(f.leadsTo(), b) {
			return
		}
	}
	c.site.removeBack(b)
}

// release notes that an inner address was led to, and takes back what was there for the way to it.
func (c *collapser) release(l *link, outer *back) {
	c.used[l.bind] = l.inner
	for _, d := range l.server.from[""] {
		d.revise(Folded, "it leads to "+l.inner.name+", which is the same process now")
	}
	for _, attr := range []string{"send_proxy", "source"} {
		for _, d := range l.server.from[attr] {
			d.revise(Folded, "nothing lies between them any more")
		}
	}
	for _, d := range outer.unneeded {
		d.revise(Folded, "servers learn the client's address from gatehouse itself")
	}
	host, _ := splitPort(l.server.addr)
	for _, b := range l.inner.leadsTo() {
		if b.forwardfor != nil {
			b.forwardfor.without(host)
			if b.forwardfor.empty() {
				b.forwardfor = nil
			}
		}
	}
}

// without drops the exceptions for connections from this machine. A connection to one of its own addresses comes from that address.
func (f *forwardfor) without(host string) {
	kept := f.except[:0:0]
	for _, e := range f.except {
		if !exceptFor(e, host) {
			kept = append(kept, e)
		}
	}
	if len(kept) == len(f.except) {
		return
	}
	f.except = kept
	if f.empty() {
		for _, d := range f.from[""] {
			d.revise(Folded, "who stood in front is part of gatehouse now")
		}
	}
}

func (f *forwardfor) empty() bool {
	return len(f.except) == 0 && len(f.trusted) == 0 && f.header == "" && f.enabled == nil
}

// exceptFor reports whether an exception names this machine and no other one.
func exceptFor(e, host string) bool {
	p, err := netip.ParsePrefix(e)
	if err != nil {
		ip, err := netip.ParseAddr(e)
		if err != nil {
			return false
		}
		p = netip.PrefixFrom(ip, ip.BitLen())
	}
	if host == "localhost" {
		return p.Addr().IsLoopback()
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && (p.Addr() == ip && p.IsSingleIP() || ip.IsLoopback() && p.Addr().IsLoopback())
}

// close takes out the inner addresses that only this machine reached, and the frontends that have none left.
func (c *collapser) close() {
	for b, g := range c.used {
		if !b.private() {
			continue
		}
		g.binds = slices.DeleteFunc(g.binds, func(o *bind) bool { return o == b })
		for _, d := range b.from[""] {
			if !slices.Contains(g.from[""], d) {
				d.revise(Folded, "only programs that are gone came there: "+b.addr+" is not opened")
			}
		}
		if len(g.binds) == 0 {
			c.site.remove(g)
		} else {
			for attr, list := range b.said {
				for _, said := range list {
					g.say(attr, &directive{comments: []*comment{said}})
				}
			}
		}
	}
	// Others keep open what is reached from elsewhere too; what sent a PROXY header there is gone.
	for _, f := range c.site.fronts {
		for _, b := range f.binds {
			if c.used[b] != nil && len(b.acceptProxy) > 0 {
				for _, d := range b.from[""] {
					d.note("who connects to %s must still send a PROXY header", b.addr)
				}
			}
		}
	}
}
