package convert

import (
	"cmp"
	"maps"
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
	zstd       int
	typed      bool
	all        bool // every type there is was meant: those that are worth it
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
		if len(c.types) > 0 && !c.all {
			o.attr(&c.node, "types", list(distinct(c.types)))
		}
		if len(c.algorithms) > 0 {
			o.attr(&c.node, "algorithms", list(distinct(c.algorithms)))
		}
		o.text(&c.node, "min_size", c.minSize)
		o.number(&c.node, "gzip_level", c.gzip)
		o.number(&c.node, "brotli_level", c.brotli)
		o.number(&c.node, "zstd_level", c.zstd)
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

// size reads the size from which on it is compressed: a number of bytes, or one with k, m or g behind it.
func (c *compressSet) size(d *directive, word string) {
	digits := strings.TrimRight(strings.ToLower(word), "kmg")
	n, err := strconv.ParseInt(digits, 10, 32)
	if err != nil || n < 0 || len(word)-len(digits) > 1 {
		d.refuse("%q is not a number of bytes", word)
		return
	}
	switch strings.ToLower(word[len(digits):]) {
	case "k":
		n <<= 10
	case "m":
		n <<= 20
	case "g":
		n <<= 30
	}
	c.minSize = config.FormatSize(max(n, 1))
	c.take("min_size", d)
	d.keep("compress { min_size }")
}

// level reads how hard a coding tries, from least to most.
func (c *compressSet) level(d *directive, level *int, attr, word string, least, most int) {
	n, err := strconv.Atoi(word)
	if err != nil {
		d.refuse("%q is not a level", word)
		return
	}
	*level = min(max(n, least), most)
	c.take(attr, d)
	d.keep("compress { %s }", attr)
	if *level != n {
		d.note("levels go from %d to %d", least, most)
	}
}

// levels of the codings.
const (
	leastGzip, mostGzip     = 1, 9
	leastBrotli, mostBrotli = 1, 11 // 0 would be left out
	leastZstd, mostZstd     = 1, 19
)

// below returns what a virtual host compresses of which the main server says main. Both may be nil.
func (c *compressSet) below(main *compressSet) *compressSet {
	if c == nil || main == nil {
		return cmp.Or(c, main)
	}
	all := *c
	all.from, all.said = maps.Clone(c.from), maps.Clone(c.said)
	inherit := func(attr string) {
		for _, d := range main.from[attr] {
			all.take(attr, d)
		}
	}
	if all.off && !main.off {
		all.off, all.algorithms, all.types, all.all = false, main.algorithms, main.types, main.all
		inherit("")
	}
	if all.gzip == 0 {
		all.gzip = main.gzip
		inherit("gzip_level")
	}
	if all.brotli == 0 {
		all.brotli = main.brotli
		inherit("brotli_level")
	}
	return &all
}

// uses notes which directives make something compressed, and which have no effect as long as no other does.
func (c *compressSet) uses(used map[*directive]bool) {
	if c == nil {
		return
	}
	for _, list := range c.from {
		for _, d := range list {
			used[d] = used[d] || !c.off
		}
	}
}
