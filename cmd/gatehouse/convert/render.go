package convert

import (
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"
)

// A span is the lines an item got, both ends included.
type span struct {
	key         key
	first, last int
}

// A page is an outline written out.
type page struct {
	text  strings.Builder
	line  int // the one being written, from 1
	spans []span
}

// longestLine is how long a block on one line may be.
const longestLine = 110

// render writes items at a depth.
func (p *page) render(items []*item, depth int) {
	items = trim(items)
	for i, it := range items {
		if it == blank {
			p.put(0, "")
			continue
		}
		p.comments(it.comments, depth)
		first := p.line
		switch {
		case it.text == "": // comments alone
			continue
		case !it.block:
			p.put(depth, it.text)
		case len(it.body) == 0:
			p.put(depth, it.text+" {}")
		case oneLine(it):
			p.put(depth, it.text+" { "+it.body[0].text+" }")
			p.spans = append(p.spans, span{it.body[0].key, first, first})
		default:
			p.put(depth, it.text+" {")
			p.render(it.body, depth+1)
			p.put(depth, "}")
		}
		p.spans = append(p.spans, span{it.key, first, p.line - 1})
		if depth == 0 && i < len(items)-1 && items[i+1] != blank {
			p.put(0, "")
		}
	}
}

// oneLine reports whether a block fits a line: HCL allows one attribute there.
func oneLine(it *item) bool {
	return len(it.body) == 1 && !it.body[0].block && !strings.Contains(it.body[0].text, "\n") && it.body[0].text != "" && len(it.body[0].comments) == 0 &&
		len(it.text)+len(it.body[0].text) < longestLine
}

func (p *page) put(depth int, text string) {
	if text != "" {
		p.text.WriteString(strings.Repeat("  ", depth))
		p.text.WriteString(text)
	}
	p.text.WriteByte('\n')
	p.line += 1 + strings.Count(text, "\n")
}

func (p *page) comments(list []*comment, depth int) {
	first := true
	for _, c := range list {
		if c.written {
			continue
		}
		if c.gap && !first {
			p.put(0, "")
		}
		c.written, first = true, false
		p.put(depth, "#"+c.text)
	}
}

// trim drops empty lines at the ends of a body, and all but one of several in a row.
func trim(items []*item) []*item {
	items = slices.CompactFunc(slices.Clone(items), func(a, b *item) bool { return a == blank && b == blank })
	for len(items) > 0 && items[0] == blank {
		items = items[1:]
	}
	for len(items) > 0 && items[len(items)-1] == blank {
		items = items[:len(items)-1]
	}
	return items
}

// reference spells a reference to a block.
func reference(kind, name string) string {
	if hclsyntax.ValidIdentifier(name) {
		return kind + "." + name
	}
	return kind + "[" + string(hclwrite.TokensForValue(cty.StringVal(name)).Bytes()) + "]"
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// str, num, truth and list are values of the configuration.
func str(s string) cty.Value { return cty.StringVal(s) }
func num(n int) cty.Value    { return cty.NumberIntVal(int64(n)) }
func truth(b bool) cty.Value { return cty.BoolVal(b) }

func list(words []string) cty.Value {
	values := make([]cty.Value, len(words))
	for i, w := range words {
		values[i] = cty.StringVal(w)
	}
	return cty.TupleVal(values)
}
