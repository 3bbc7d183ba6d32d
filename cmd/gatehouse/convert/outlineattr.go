package convert

import (
	"time"

	"gatehouse/cmd/gatehouse/config"

	"github.com/zclconf/go-cty/cty"
)

// The helpers below write nothing where there is nothing to say.

func (o *outline) text(n *node, name, v string) {
	if v != "" {
		o.attr(n, name, str(v))
	}
}

func (o *outline) number(n *node, name string, v int) {
	if v != 0 {
		o.attr(n, name, num(v))
	}
}

func (o *outline) yes(n *node, name string, v bool) {
	if v {
		o.attr(n, name, cty.True)
	}
}

func (o *outline) optionalBool(n *node, name string, v *bool) {
	if v != nil {
		o.attr(n, name, truth(*v))
	}
}

func (o *outline) duration(n *node, name string, d time.Duration) {
	if d > 0 {
		o.attr(n, name, str(config.FormatDuration(d)))
	}
}

func (o *outline) mode(n *node, tcp bool) {
	if tcp {
		o.attr(n, "mode", str("tcp"))
		o.gap()
	}
}

// optional writes a block unless it would be empty.
func (o *outline) optional(n *node, name string, labels []string, fill func(*outline)) {
	before := len(o.items)
	o.block(n, name, labels, fill)
	if len(o.items) == before {
		return
	}
	it := o.items[len(o.items)-1]
	if len(it.body) == 0 || len(it.body) == 1 && it.body[0].text == "" {
		o.items = o.items[:before]
		o.pending = append(o.pending, it.comments...)
		for _, inner := range it.body {
			o.pending = append(o.pending, inner.comments...)
		}
	}
}

// leftover puts what was said about attributes that are not written at the end of the block.
func (o *outline) leftover(n *node) {
	for _, name := range sortedKeys(n.said) {
		if name == "" {
			continue
		}
		o.pending = append(o.pending, n.said[name]...)
	}
}
