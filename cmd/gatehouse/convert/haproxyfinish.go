package convert

import (
	"slices"
	"strings"
)

// finish makes what needs the whole section: checks, routes, logs, the status page.
func (x *proxy) finish() {
	if x.b != nil {
		for _, s := range x.servers {
			x.finishServer(s)
		}
		x.checks()
		x.queue()
	}
	if x.f != nil {
		x.routes()
		x.logs()
		x.overUDP()
		if x.hstsBy != nil {
			x.h.site.strictTransport(x.f, x.hsts, x.hstsBy)
		}
	}
	x.statistics()
}

// hand gives what a frontend says about requests to the backends that get them: here it stands there.
func (x *proxy) hand() {
	if x.cached != nil {
		for _, f := range x.h.site.fronts { // a backend's is that of the frontends that lead there
			if f == x.f || x.f == nil && slices.Contains(f.leadsTo(), x.b) {
				f.cache = x.cached
				f.from = withAttr(f.from, "cache", x.cachedBy)
			}
		}
	}
	x.compressing()
	if x.f == nil {
		return
	}
	for _, b := range x.f.leadsTo() {
		if x.forwardedBy != nil {
			b.forwarded = true
			if x.forwards != nil && b.forwardfor == nil {
				ff := *x.forwards
				b.forwardfor = &ff
			}
		}
		if x.closedBy != nil {
			b.httpClose = true
			b.from = withAttr(b.from, "http_close", x.closedBy)
		}
	}
}

func (x *proxy) finishServer(s *haproxyServer) {
	if x.b.cookie == nil {
		if s.hasCookie && s.cookie != "" {
			s.d.note("a cookie without a cookie line in the section has no effect")
		}
		s.cookie = ""
	} else if !s.hasCookie {
		s.d.note("without a cookie of its own, the server's name is the value: holders of it come back")
	}
	if s.cookie == s.name {
		s.cookie = ""
	}
	if s.source == "" && x.source != nil {
		s.sourceAddress(x.source, x.source.arg(1))
		if x.source.arg(2) == "usesrc" {
			x.source.refuse("usesrc: servers see gatehouse's address")
		}
	}
	if s.minConn > 0 && s.maxConn == 0 {
		s.d.note("minconn without maxconn has no effect")
		s.minConn = 0
	}
	if s.maxConn > 0 && s.minConn >= s.maxConn {
		s.minConn = 0
	}
	if x.tcp && strings.HasPrefix(x.b.balance, "header:") {
		x.b.balance = ""
	}
	if !x.tcp {
		s.finishProtocol()
	}
	s.finishTLS(x)
}

// queue makes the backend's limit of the servers' if they agree.
func (x *proxy) queue() {
	most := 0
	for _, s := range x.servers {
		most = max(most, s.maxQueue)
	}
	if most == 0 {
		return
	}
	x.b.maxQueue = most
	for _, s := range x.servers {
		if s.maxQueue > 0 {
			x.b.from = withAttr(x.b.from, "max_queue", s.d)
			s.d.note("maxqueue: max_queue counts for every server of the backend")
		}
	}
}

func withAttr(from map[string][]*directive, attr string, d *directive) map[string][]*directive {
	if from == nil {
		from = map[string][]*directive{}
	}
	from[attr] = append(from[attr], d)
	return from
}

// remarks says on the section's head what counts here and was not written there.
func (x *proxy) remarks() {
	if x.b == nil || len(x.b.servers) == 0 || x.disabled != nil {
		return
	}
	var list []string
	if !x.tcp && x.forwardedBy == nil && !x.b.forwarded {
		list = append(list, "servers also get X-Forwarded-For and X-Forwarded-Proto (forwardfor { enabled = false } stops it)")
	}
	if x.last["option redispatch"] == nil && x.b.cookie != nil {
		list = append(list, "redispatch is on by default")
	}
	var unset []string
	for _, name := range []string{"connect", "client", "server"} {
		if x.last["timeout "+name] == nil && (name != "client" || x.f != nil) {
			unset = append(unset, name)
		}
	}
	if len(unset) > 0 {
		list = append(list, "timeouts that were not set have their defaults: "+strings.Join(unset, ", "))
	}
	if len(list) > 0 {
		x.head.note("%s", strings.Join(list, "; "))
	}
	if x.noRedis != nil {
		x.b.redispatch = new(false)
		x.b.take("redispatch", x.noRedis)
		x.noRedis.keep("redispatch = false")
	}
}

// drop takes out sections that are switched off, and those nothing is left of.
func (x *proxy) drop() {
	switch {
	case x.disabled != nil:
		for _, d := range x.own {
			if d != x.disabled && d.Verdict != Refused {
				d.Verdict = unjudged
				d.fold("the section is disabled")
			}
		}
	case x.page:
		x.head.keep("the status page")
	case x.b != nil && len(x.b.servers) == 0 && x.f == nil:
		x.dropEmpty()
		return
	default:
		return
	}
	if x.f != nil {
		x.h.site.remove(x.f)
	}
	if x.b != nil {
		x.h.site.removeBack(x.b)
	}
}

// dropEmpty takes out a backend without servers, and the frontends that are there for its status page alone.
func (x *proxy) dropEmpty() {
	if len(x.stats) == 0 {
		x.head.refuse("no server of it could be converted")
	} else {
		for _, o := range x.h.proxies {
			if o.f == nil || o.f.back != x.b || len(o.f.routes) > 0 {
				continue
			}
			o.head.keep("the status page")
			x.h.site.remove(o.f)
			for _, s := range x.stats {
				if s.arg(1) == "auth" {
					x.h.site.admin.listen = "127.0.0.1:8404"
					break
				}
				if len(o.f.binds) > 0 && o.f.binds[0].tls == nil {
					x.h.site.admin.listen = o.f.binds[0].addr
				}
			}
		}
	}
	x.h.site.removeBack(x.b)
}
