package convert

import "strings"

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
				c.all = true
				break
			}
			c.types = append(c.types, w)
		}
		c.take("types", d)
		d.keep("compress { types }")
	case "gzip_min_length", "brotli_min_length", "zstd_min_length":
		c.size(d, n.arg(1))
	case "gzip_comp_level":
		c.level(d, &c.gzip, "gzip_level", n.arg(1), leastGzip, mostGzip)
	case "brotli_comp_level":
		c.level(d, &c.brotli, "brotli_level", n.arg(1), leastBrotli, mostBrotli)
	case "zstd_comp_level":
		c.level(d, &c.zstd, "zstd_level", n.arg(1), leastZstd, mostZstd)
	case "gzip_vary":
		d.fold("Vary tells of it by itself")
	case "gzip_proxied":
		d.fold("who asks through a proxy is asked what it takes, as everybody")
	case "gzip_disable", "gzip_http_version":
		d.fold("clients say what they take")
	default:
		d.fold("buffers and windows take care of themselves")
	}
}

// compressionBelow reads what a location says about compressing, and reports whether its answers go out as they are while those of the
// server are compressed.
func (s *nginxServer) compressionBelow(list []*nginxNode) (plain bool) {
	c := s.v.compress
	on := map[string]bool{}
	if c != nil && !c.off {
		for _, a := range c.algorithms {
			on[a] = true
		}
	}
	left := len(on)
	for _, n := range list {
		coding := map[string]string{"gzip": "gzip", "brotli": "br", "zstd": "zstd"}[n.words[0]]
		switch {
		case !hasCompress():
			n.note("%s", reasonContents)
		case coding == "":
			n.note("what the frontend compresses, it compresses alike for all paths")
		case n.arg(1) == "off" && !on[coding]:
			n.fold("the default")
		case n.arg(1) == "off":
			left--
			n.keep("route { compress = false }")
		case on[coding]:
			n.fold("the frontend compresses")
		default:
			n.note("a frontend compresses, and no path alone: write compress {} in it, and compress = false in the other routes")
		}
	}
	if len(on) == 0 || left > 0 {
		for _, n := range list {
			if n.Verdict == Kept {
				n.note("other codings are left on, and which of them is the frontend's to say")
			}
		}
		return false
	}
	return true
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
			if c.all && !c.off && attr == "types" {
				d.note("of all types, those that are worth it")
			}
		}
	}
}

// isCompressing reports whether a directive of nginx is about compressing.
func isCompressing(name string) bool {
	return name == "gzip" || name == "brotli" || name == "zstd" || strings.HasPrefix(name, "brotli_") && name != "brotli_static" || strings.HasPrefix(name, "zstd_") ||
		strings.HasPrefix(name, "gzip_") && name != "gzip_static"
}
