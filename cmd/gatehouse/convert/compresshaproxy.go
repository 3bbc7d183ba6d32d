package convert

import (
	"slices"
	"strings"
)

// compression reads HAProxy's compression algo, type and offload.
func (x *proxy) compression(d *directive) {
	if !hasCompress() {
		d.note("%s", reasonGzip)
		return
	}
	if x.compress == nil {
		x.compress = &compressSet{off: true}
	}
	c := x.compress
	switch d.arg(1) {
	case "algo", "algo-res":
		c.off = false
		c.take("", d)
		for _, w := range d.args(2) {
			c.algorithm(d, w)
		}
		d.keep("compress { algorithms }")
		d.note("%s", remarkPrivate)
	case "type", "type-res":
		for _, w := range d.args(2) {
			if strings.HasSuffix(w, "/") {
				w += "*"
			}
			c.types = append(c.types, w)
		}
		c.take("types", d)
		d.keep("compress { types }")
	case "minsize-res":
		c.size(d, d.arg(2))
	case "offload":
		if d.arg(0) == "no" {
			d.fold("the default")
			return
		}
		d.note("servers may compress too: request_headers { remove = [\"Accept-Encoding\"] } in the backend keeps them from it")
	case "direction":
		if d.arg(2) == "request" || d.arg(2) == "both" {
			d.refuse("requests are not compressed here")
			return
		}
		d.fold("the default")
	case "algo-req", "type-req", "minsize-req":
		d.refuse("requests are not compressed here")
	default:
		d.refuse("unknown word %q", d.arg(1))
	}
}

// compressing gives the fronts of a section what it compresses.
func (x *proxy) compressing() {
	if x.compress == nil {
		return
	}
	if x.compress.off {
		for _, list := range x.compress.from {
			for _, d := range list {
				d.revise(Folded, "without compression algo it has no effect")
			}
		}
		return
	}
	for _, f := range x.h.site.fronts {
		if f != x.f && (x.f != nil || !slices.Contains(f.leadsTo(), x.b)) {
			continue
		}
		if f.compress == nil {
			f.compress = x.compress
			if d := x.h.compLevel; d != nil {
				f.compress.level(d, &f.compress.gzip, "gzip_level", d.arg(1), leastGzip, mostGzip)
			}
			continue
		}
		for _, list := range x.compress.from {
			for _, d := range list {
				if f.compress != x.compress && slices.Contains(x.own, d) {
					d.note("what frontend %q says counts", f.name)
				}
			}
		}
	}
}
