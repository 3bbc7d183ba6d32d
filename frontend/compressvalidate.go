package frontend

import (
	"fmt"
	"slices"
	"strings"
)

// Check reports a block that compresses nothing, and levels that there are not.
func (c *Compress) Check(bad func(field any, problem, remedy string)) {
	if len(c.Types) == 0 {
		bad(&c.Types, "no types to compress", "Leave types out for the usual ones, or the whole block to compress nothing.")
	}
	for i, t := range c.Types {
		if !isMediaType(t) {
			bad(&c.Types[i], fmt.Sprintf("%q is not a media type", t), `Write one such as "text/html", or "text/*" for all of a kind.`)
		}
	}
	if len(c.Algorithms) == 0 {
		bad(&c.Algorithms, "no algorithms to compress with", `Write algorithms = ["zstd", "br", "gzip"], or leave it out.`)
	}
	for i, a := range c.Algorithms {
		if slices.Contains(c.Algorithms[:i], a) {
			bad(&c.Algorithms[i], fmt.Sprintf("algorithm %q is there twice", a), "Keep the first of them.")
		}
	}
	for _, l := range []struct {
		field      *int
		name       string
		from, upTo int
	}{
		{&c.GzipLevel, "gzip_level", 1, 9},
		{&c.BrotliLevel, "brotli_level", 0, 11},
		{&c.ZstdLevel, "zstd_level", 1, 19},
	} {
		if *l.field < l.from || *l.field > l.upTo {
			bad(l.field, fmt.Sprintf("%s is %d", l.name, *l.field), fmt.Sprintf("Levels go from %d to %d. Leave it out for the default.", l.from, l.upTo))
		}
	}
	if c.Memory < leastMemory {
		bad(&c.Memory, "memory is less than 8MiB", "Hardly an answer could be compressed. Leave it out for the default.")
	}
}

// leastMemory has room for an encoder of each kind at the least.
const leastMemory = 8 << 20

// Advise warns of levels that cost too much for what is sent once.
func (c *Compress) Advise(warn func(field any, problem, remedy string)) {
	if c.BrotliLevel > 9 {
		warn(&c.BrotliLevel, fmt.Sprintf("brotli_level is %d", c.BrotliLevel), "That takes up to a second of processor time for each megabyte. 5 is usual for answers that are compressed on their way.")
	}
	if c.ZstdLevel > 9 {
		warn(&c.ZstdLevel, fmt.Sprintf("zstd_level is %d", c.ZstdLevel), "That takes long for little. 3 is usual for answers that are compressed on their way.")
	}
}

// isMediaType reports whether t is a type and a subtype, or a type and a star.
func isMediaType(t string) bool {
	kind, sub, ok := strings.Cut(t, "/")
	return ok && isWord(kind) && (sub == "*" || isWord(sub))
}

func isWord(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}*`, r)
	})
}
