package convert

import "strings"

// compression reads Apache's DEFLATE and BROTLI_COMPRESS. It reports whether the line is about them.
func (v *vhost) compression(n *apacheNode) bool {
	if !hasCompress() {
		return false
	}
	set := func() *compressSet {
		if v.compress == nil {
			v.compress = &compressSet{off: true}
		}
		return v.compress
	}
	switch n.name {
	case "deflatecompressionlevel":
		c := set()
		c.level(n.directive, &c.gzip, "gzip_level", n.arg(1), leastGzip, mostGzip)
		return true
	case "brotlicompressionquality":
		c := set()
		c.level(n.directive, &c.brotli, "brotli_level", n.arg(1), leastBrotli, mostBrotli)
		return true
	case "deflatealteretag", "brotlialteretag":
		n.fold("a weak entity tag stands for both forms")
		return true
	case "deflateinflatelimitrequestbody", "deflateinflateratiolimit", "deflateinflateratioburst":
		n.fold("requests are not unpacked here")
		return true
	case "addoutputfilterbytype", "setoutputfilter", "addoutputfilter":
	default:
		if strings.HasPrefix(n.name, "deflate") || strings.HasPrefix(n.name, "brotli") {
			n.fold("buffers and windows take care of themselves")
			return true
		}
		return false
	}
	var algorithms []string
	inflates := false
	for w := range strings.SplitSeq(strings.ToUpper(n.arg(1)), ";") {
		switch w {
		case "DEFLATE":
			algorithms = append(algorithms, "gzip")
		case "BROTLI_COMPRESS":
			algorithms = append(algorithms, "br")
		case "INFLATE":
			inflates = true
		default:
			return false
		}
	}
	if len(algorithms) == 0 {
		return false
	}
	c := set()
	c.off = false
	c.algorithms = append(c.algorithms, algorithms...)
	c.take("", n.directive)
	if n.name == "addoutputfilterbytype" {
		c.types = append(c.types, n.args(2)...)
	} else {
		c.all = true
	}
	n.keep("compress")
	n.note("%s", remarkPrivate)
	if inflates {
		n.note("what servers have compressed passes as it is")
	}
	return true
}

// compressionIn reads what a <Location> of Apache says about compressing. It reports whether the line is about that: what is for some paths
// alone is for all of them here.
func (v *vhost) compressionIn(n *apacheNode) bool {
	word := strings.ToLower(n.arg(1))
	switch {
	case !hasCompress():
		return false
	case n.name == "setoutputfilter" && word == "none", n.name == "removeoutputfilter",
		n.name == "setenv" && (word == "no-gzip" || word == "no-brotli" || word == "dont-vary"):
		n.note("write compress = false in a route for these paths, if they are not to be compressed")
		return true
	case v.compression(n):
		if n.Verdict != Folded {
			n.note("it is for all paths here: compress = false in a route keeps others from it")
		}
		return true
	}
	return false
}
