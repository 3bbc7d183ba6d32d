package convert

import (
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
