package convert

import (
	"slices"
	"strconv"
	"strings"

	"gatehouse/cmd/gatehouse/config"
)

// A compressSet is what a front compresses. No types are those that are worth it.
type compressSet struct {
	node
	types      []string
	algorithms []string
	minSize    string
	gzip       int
	brotli     int
	typed      bool
	off        bool // types and levels were written, and nothing that switches it on
}

const remarkPrivate = "answers for one client alone go out as they are, for their length would tell what is in them (compress { private })"

// hasCompress reports whether the language compresses.
func hasCompress() bool { return blockType(blockType(typeOfFile, "frontend"), "compress") != nil }

// write writes the block.
func (c *compressSet) write(o *outline) {
	if c == nil || c.off {
		return
	}
	o.block(&c.node, "compress", nil, func(o *outline) {
		if len(c.types) > 0 {
			o.attr(&c.node, "types", list(distinct(c.types)))
		}
		if len(c.algorithms) > 0 {
			o.attr(&c.node, "algorithms", list(distinct(c.algorithms)))
		}
		o.text(&c.node, "min_size", c.minSize)
		o.number(&c.node, "gzip_level", c.gzip)
		o.number(&c.node, "brotli_level", c.brotli)
	})
}

// algorithm adds one, of those there are.
func (c *compressSet) algorithm(d *directive, name string) {
	switch name {
	case "gzip", "br", "zstd":
		c.algorithms = append(c.algorithms, name)
		c.take("algorithms", d)
	case "identity":
	default:
		d.note("%s is not offered: gzip is, which every client knows", name)
		c.algorithms = append(c.algorithms, "gzip")
		c.take("algorithms", d)
	}
}

// size reads a number of bytes from which on it is compressed.
func (c *compressSet) size(d *directive, word string) {
	n, err := strconv.Atoi(word)
	if err != nil || n < 0 {
		d.refuse("%q is not a number of bytes", word)
		return
	}
	c.minSize = config.FormatSize(int64(max(n, 1)))
	c.take("min_size", d)
	d.keep("compress { min_size }")
}

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

// compression reads nginx's gzip and brotli.
func (s *nginxServer) compression(n *nginxNode) {
	d := n.directive
	if !hasCompress() {
		d.note("%s", reasonContents)
		return
	}
	if s.v.compress == nil {
		s.v.compress = &compressSet{off: true}
	}
	c := s.v.compress
	switch n.words[0] {
	case "gzip", "brotli", "zstd":
		if n.arg(1) != "on" {
			d.fold("the default")
			return
		}
		c.off = false
		c.take("", d)
		c.algorithm(d, map[string]string{"gzip": "gzip", "brotli": "br", "zstd": "zstd"}[n.words[0]])
		d.keep("compress { algorithms }")
		d.note("%s", remarkPrivate)
	case "gzip_types", "brotli_types", "zstd_types":
		c.typed = true
		c.types = append(c.types, "text/html")
		for _, w := range n.args(1) {
			if w == "*" {
				d.note("*: what is worth it is compressed")
				c.types = nil
				break
			}
			c.types = append(c.types, w)
		}
		c.take("types", d)
		d.keep("compress { types }")
	case "gzip_min_length", "brotli_min_length", "zstd_min_length":
		c.size(d, n.arg(1))
	case "gzip_comp_level":
		c.gzip = atoi(n.arg(1))
		c.take("gzip_level", d)
		d.keep("compress { gzip_level }")
	case "brotli_comp_level":
		c.brotli = atoi(n.arg(1))
		c.take("brotli_level", d)
		d.keep("compress { brotli_level }")
	case "gzip_vary":
		d.fold("Vary tells of it by itself")
	default:
		d.fold("needed by nobody here")
	}
}

// compressed says what it means that no types were written.
func (s *nginxServer) compressed() {
	c := s.v.compress
	if c == nil {
		return
	}
	for attr, list := range c.from {
		for _, d := range list {
			s.x.pressed[d] = s.x.pressed[d] || !c.off
			if !c.off && !c.typed && attr == "" {
				d.note("before, text/html alone was compressed: now it is all that is text")
			}
		}
	}
}

// isCompressing reports whether a directive of nginx is about compressing.
func isCompressing(name string) bool {
	return name == "gzip" || name == "brotli" || name == "zstd" || strings.HasPrefix(name, "brotli_") && name != "brotli_static" || strings.HasPrefix(name, "zstd_") ||
		strings.HasPrefix(name, "gzip_") && name != "gzip_static"
}

// compression reads Apache's DEFLATE and BROTLI_COMPRESS. It reports whether the line is about them.
func (v *vhost) compression(n *apacheNode) bool {
	if !hasCompress() {
		return false
	}
	if strings.HasPrefix(n.name, "deflate") || strings.HasPrefix(n.name, "brotlicompression") {
		n.fold("compress { } has its own way")
		return true
	}
	if n.name != "addoutputfilterbytype" && n.name != "setoutputfilter" && n.name != "addoutputfilter" {
		return false
	}
	var algorithms []string
	for w := range strings.SplitSeq(strings.ToUpper(n.arg(1)), ";") {
		switch w {
		case "DEFLATE":
			algorithms = append(algorithms, "gzip")
		case "BROTLI_COMPRESS":
			algorithms = append(algorithms, "br")
		default:
			return false
		}
	}
	if v.compress == nil {
		v.compress = &compressSet{}
	}
	v.compress.algorithms = append(v.compress.algorithms, algorithms...)
	v.compress.take("", n.directive)
	if n.name == "addoutputfilterbytype" {
		v.compress.types = append(v.compress.types, n.args(2)...)
	}
	n.keep("compress")
	n.note("%s", remarkPrivate)
	return true
}
