package convert

import (
	"time"

	"gatehouse/cmd/gatehouse/config"
)

// write lays the site out: what concerns the process, then what frontends refer to, then frontends and backends.
func (s *site) write(o *outline) {
	s.global.write(o)
	s.admin.write(o)
	for _, l := range s.logs {
		l.write(o)
	}
	for _, t := range s.tlss {
		t.write(o)
	}
	for _, c := range s.caches {
		c.write(o)
	}
	joint := map[*back]bool{} // written with their front
	for _, f := range s.fronts {
		if f.listen && f.back != nil {
			joint[f.back] = true
		}
	}
	for _, it := range s.items {
		switch it := it.(type) {
		case *front:
			it.write(o)
		case *back:
			if !joint[it] {
				it.write(o)
			}
		}
	}
}

// listening returns the fronts that would be written.
func (s *site) listening(off map[key]bool) (list []*front) {
	for _, f := range s.fronts {
		if !off[key{&f.node, ""}] {
			list = append(list, f)
		}
	}
	return list
}

func (g *global) write(o *outline) {
	if len(g.from) == 0 && len(g.said) == 0 {
		return
	}
	o.optional(&g.node, "global", nil, func(o *outline) {
		o.text(&g.node, "user", g.user)
		o.text(&g.node, "group", g.group)
		o.text(&g.node, "pid_file", g.pidFile)
		o.number(&g.node, "max_connections", g.maxConn)
		if g.grace != nil {
			o.attr(&g.node, "shutdown_grace", str(config.FormatDuration(*g.grace)))
		}
	})
}

func (a *admin) write(o *outline) {
	if a.socket == "" && a.listen == "" {
		return
	}
	o.optional(&a.node, "admin", nil, func(o *outline) {
		o.text(&a.node, "socket", a.socket)
		o.text(&a.node, "listen", a.listen)
	})
}

func (l *logTo) write(o *outline) {
	o.block(&l.node, "log", []string{l.name}, func(o *outline) {
		o.text(&l.node, "format", l.format)
		o.must(&l.node, "output", str(l.output))
		o.yes(&l.node, "empty", l.empty)
	})
}

func (t *tlsSet) write(o *outline) {
	o.block(&t.node, "tls", []string{t.name}, func(o *outline) {
		if t.acme != nil {
			t.acme.write(o)
			if len(t.hosts) > 0 {
				o.attr(&t.node, "hosts", list(t.hosts))
			}
		} else {
			o.text(&t.node, "certificate", t.cert)
			o.text(&t.node, "key", t.key)
		}
		o.text(&t.node, "min_version", t.minVersion)
		o.yes(&t.node, "strict_sni", t.strictSNI)
		o.text(&t.node, "hsts", t.hsts)
		if t.clientCA == "" && t.clientMode == "" {
			return
		}
		auth := t.part("client_auth")
		o.block(auth, "client_auth", nil, func(o *outline) {
			o.text(auth, "ca", t.clientCA)
			o.text(auth, "mode", t.clientMode)
			o.text(auth, "crl", t.crl)
			if len(t.clientHeaders) > 0 {
				h := t.part("headers")
				o.block(h, "headers", nil, func(o *outline) {
					for _, what := range sortedKeys(t.clientHeaders) {
						o.text(h, what, t.clientHeaders[what])
					}
				})
			}
		})
	})
}

func (c *cacheSet) write(o *outline) {
	o.block(&c.node, "cache", []string{c.name}, func(o *outline) {
		o.text(&c.node, "memory", c.memory)
		o.text(&c.node, "max_object", c.maxObject)
		if len(c.bypass) > 0 {
			rule := c.part("rule")
			o.block(rule, "rule", nil, func(o *outline) {
				o.attr(rule, "paths", list(c.bypass))
				o.yes(rule, "bypass", true)
			})
		}
		for _, r := range c.rules {
			o.block(&r.node, "rule", nil, func(o *outline) {
				o.attr(&r.node, "paths", list(r.paths))
				o.text(&r.node, "ttl", r.ttl)
			})
		}
	})
}

// write writes a frontend, or a listen block with its back.
func (f *front) write(o *outline) {
	if !f.listen || f.back == nil {
		o.block(&f.node, "frontend", []string{f.name}, func(o *outline) {
			o.mode(&f.node, f.tcp)
			f.body1(o)
			if f.back != nil {
				o.ref(&f.node, "backend", "backend", f.back.name)
			}
			f.body2(o)
			f.timeouts.write(o)
			o.leftover(&f.node)
		})
		return
	}
	b := f.back
	o.block(&f.node, "listen", []string{f.name}, func(o *outline) {
		o.mode(&f.node, f.tcp)
		f.body1(o)
		f.body2(o)
		if f.joint == nil {
			f.joint = &timeouts{of: map[string]time.Duration{}}
			for _, half := range []*timeouts{&f.timeouts, &b.timeouts} {
				for name, v := range half.of {
					f.joint.of[name] = v
				}
				f.joint.link(half)
			}
		}
		b.body(o, f.joint)
		o.leftover(&f.node)
	})
}

// body1 writes where a front listens and for whom, body2 what else it does.
func (f *front) body1(o *outline) {
	for _, b := range f.binds {
		b.write(o)
	}
	if len(f.hosts) > 0 {
		o.attr(&f.node, "hosts", list(f.hosts))
	}
	if o.has() {
		o.gap()
	}
}

func (f *front) body2(o *outline) {
	if f.log != nil {
		o.ref(&f.node, "log", "log", f.log.name)
	}
	if f.cache != nil {
		o.ref(&f.node, "cache", "cache", f.cache.name)
	}
	o.number(&f.node, "max_connections", f.maxConn)
	if f.grace > 0 {
		o.attr(&f.node, "grace", str(config.FormatDuration(f.grace)))
	}
	if f.body != "" {
		limits := f.part("body")
		o.block(limits, "limits", nil, func(o *outline) { o.text(limits, "body", f.body) })
	}
	if len(f.monitorSources) > 0 || f.monitorURI != "" {
		m := f.part("monitor")
		o.block(m, "monitor", nil, func(o *outline) {
			if len(f.monitorSources) > 0 {
				o.attr(m, "sources", list(f.monitorSources))
			}
			o.text(m, "uri", f.monitorURI)
		})
	}
	f.request.write(o, "request_headers")
	f.response.write(o, "response_headers")
	f.compress.write(o)
	for _, r := range f.routes {
		r.write(o)
	}
	if o.has() {
		o.gap()
	}
}

func (b *bind) write(o *outline) {
	o.block(&b.node, "bind", []string{b.addr}, func(o *outline) {
		if b.tls != nil {
			o.ref(&b.node, "tls", "tls", b.tls.name)
		}
		if b.redirect {
			o.attr(&b.node, "redirect", str("https"))
		}
		if len(b.acceptProxy) > 0 {
			o.attr(&b.node, "accept_proxy", list(b.acceptProxy))
		}
		o.yes(&b.node, "freebind", b.freebind)
		o.yes(&b.node, "http3", b.http3)
		if len(b.protocols) > 0 {
			o.attr(&b.node, "protocols", list(b.protocols))
		}
	})
}

func (r *route) write(o *outline) {
	o.block(&r.node, "route", nil, func(o *outline) {
		if len(r.hosts) > 0 {
			o.attr(&r.node, "hosts", list(r.hosts))
		}
		if len(r.paths) > 0 {
			o.attr(&r.node, "paths", list(r.paths))
		}
		if r.back != nil {
			o.ref(&r.node, "backend", "backend", r.back.name)
		}
		if r.uncached {
			o.attr(&r.node, "cache", truth(false))
		}
		o.text(&r.node, "redirect", r.redirect)
		o.number(&r.node, "respond", r.respond)
		r.request.write(o, "request_headers")
		r.response.write(o, "response_headers")
	})
}

// order is how timeouts are written: as a request meets them.
var order = []string{"request", "client", "queue", "connect", "server", "idle", "tunnel", "check"}

func (t *timeouts) write(o *outline) {
	if len(t.of) == 0 {
		return
	}
	o.optional(&t.node, "timeouts", nil, func(o *outline) {
		for _, name := range order {
			v, ok := t.of[name]
			// Without a queue timeout, that of connecting counts.
			if c, both := t.of["connect"]; ok && name == "queue" && both && v == c {
				for _, d := range t.from[name] {
					d.lower("the default, that of connect")
				}
				continue
			}
			if ok {
				o.attr(&t.node, name, str(config.FormatDuration(v)))
			}
		}
	})
}

// link makes t know what h knows.
func (t *timeouts) link(h *timeouts) {
	for name, from := range h.from {
		if t.from == nil {
			t.from = map[string][]*directive{}
		}
		t.from[name] = append(t.from[name], from...)
	}
	for name, said := range h.said {
		if t.said == nil {
			t.said = map[string][]*comment{}
		}
		t.said[name] = append(t.said[name], said...)
	}
}
