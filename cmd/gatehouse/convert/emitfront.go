package convert

import (
	"time"

	"gatehouse/cmd/gatehouse/config"
)

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
		if r.plain {
			o.attr(&r.node, "compress", truth(false))
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
