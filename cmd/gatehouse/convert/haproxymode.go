package convert

import (
	"slices"
)

// mode finds out what the section speaks. Without a word about it HAProxy takes bytes; but a file that holds nothing but HTTP's
// words is a piece of a larger one, where the mode is.
func (x *proxy) mode() {
	d := x.last["mode"]
	if d == nil {
		for _, d := range x.eff {
			if k := keywordOf(d.words); k != nil && k.http {
				x.head.note(`no mode is stated, which is tcp in HAProxy: "%s" tells that http was meant`, d.Directive)
				return
			}
		}
		x.tcp, x.unstated = true, true
		return
	}
	switch d.arg(1) {
	case "tcp":
		x.tcp = true
		d.keep("")
	case "http":
		d.fold("the default")
	case "health":
		d.refuse("answer checks with a monitor block in a frontend")
	default:
		d.refuse("there is no mode %q here", d.arg(1))
	}
}

// guess gives a section without a mode that of its other half.
func (x *proxy) guess() {
	if !x.unstated {
		return
	}
	for _, o := range x.h.proxies {
		if o.tcp || !x.uses(o) && !o.uses(x) {
			continue
		}
		x.tcp = false
		x.head.note("no mode is stated, which is tcp in HAProxy: it is http like %q", o.name)
		return
	}
	x.head.note("no mode is stated, which is tcp in HAProxy")
}

// uses reports whether x is a frontend that leads to o.
func (x *proxy) uses(o *proxy) bool {
	if x.kind == "backend" || o.kind == "frontend" {
		return false
	}
	return slices.ContainsFunc(x.eff, func(d *directive) bool {
		return (d.words[0] == "default_backend" || d.words[0] == "use_backend") && d.arg(1) == o.name
	})
}
