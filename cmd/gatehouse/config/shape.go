package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// shape compares a body with the form of its block before anything is computed: it reports attributes and blocks nobody knows and
// labels that are too few or too many, takes them out, and turns a label that stands for an attribute into that
// attribute. What is inside dynamic blocks is looked at once, even if it will be repeated or never be used.
// Where is the type of the block, "" at the top.
func (d *decoder) shape(b *hclsyntax.Body, f *form, where string) {
	for _, a := range sorted(b.Attributes) {
		if f.attr(a.Name) == nil {
			d.diags.fail(a.NameRange, fmt.Sprintf("there is no attribute %q %s", a.Name, in(where)), d.otherwise(a.Name, f, true))
			delete(b.Attributes, a.Name)
		}
	}
	b.Blocks = slices.DeleteFunc(b.Blocks, func(block *hclsyntax.Block) bool {
		if block.Type == "dynamic" {
			return !d.shapeDynamic(block, f, where)
		}
		it := f.block(block.Type)
		if it == nil {
			d.diags.fail(block.TypeRange, fmt.Sprintf("there is no block %q %s", block.Type, in(where)), d.otherwise(block.Type, f, false))
			return true
		}
		if !d.labels(block, it) {
			return true
		}
		d.shape(block.Body, it.form, it.name)
		return false
	})
}

// shapeDynamic looks into dynamic "TYPE" { for_each = …  labels = […]  content { … } }. It reports whether the block may stay.
func (d *decoder) shapeDynamic(block *hclsyntax.Block, f *form, where string) bool {
	if len(block.Labels) != 1 {
		d.diags.fail(block.DefRange(), "a dynamic block has one label, the type of the blocks it makes", `Write dynamic "server" { for_each = …  content { … } }.`)
		return false
	}
	it := f.block(block.Labels[0])
	if it == nil {
		d.diags.fail(block.LabelRanges[0], fmt.Sprintf("there is no block %q %s", block.Labels[0], in(where)), d.otherwise(block.Labels[0], f, false))
		return false
	}
	for _, inner := range block.Body.Blocks {
		if inner.Type == "content" {
			d.shape(inner.Body, it.form, it.name)
		}
	}
	return true
}

// labels compares a block's labels with its form and moves those that are attributes to where they belong.
func (d *decoder) labels(block *hclsyntax.Block, it *item) bool {
	need := len(it.form.labels)
	if len(block.Labels) < need {
		missing := it.form.labels[len(block.Labels)].name
		d.diags.fail(block.DefRange(), fmt.Sprintf("%s block without a %s", it.name, missing), fmt.Sprintf("Write %s.", usage(it)))
		return false
	}
	for n := need; n < len(block.Labels); n++ {
		place := block.LabelRanges[n]
		a := it.form.labelled(n)
		if a == nil {
			d.diags.fail(place, fmt.Sprintf("%s block with one label too many", it.name), fmt.Sprintf("Write %s.", usage(it)))
			return false
		}
		if first, ok := block.Body.Attributes[a.name]; ok {
			d.twice(place, a.name, first.SrcRange)
			continue
		}
		if block.Body.Attributes == nil { // behind a syntax error
			block.Body.Attributes = hclsyntax.Attributes{}
		}
		block.Body.Attributes[a.name] = &hclsyntax.Attribute{
			Name:        a.name,
			Expr:        &hclsyntax.LiteralValueExpr{Val: cty.StringVal(block.Labels[n]), SrcRange: place},
			SrcRange:    place,
			NameRange:   place,
			EqualsRange: place,
		}
	}
	block.Labels = block.Labels[:need]
	return true
}

// usage spells a block's header: server "NAME" "ADDRESS" { … }.
func usage(it *item) string {
	var b strings.Builder
	b.WriteString(it.name)
	for _, l := range it.form.labels {
		fmt.Fprintf(&b, " %q", strings.ToUpper(l.name))
	}
	for n := len(it.form.labels); it.form.labelled(n) != nil; n++ {
		fmt.Fprintf(&b, " %q", strings.ToUpper(it.form.labelled(n).name))
	}
	b.WriteString(" { … }")
	return b.String()
}

func in(where string) string {
	if where == "" {
		return "at the top level"
	}
	return "in " + article(where) + " block"
}

// otherwise is the remedy for a word that is not known where it stands: another spelling, another shape, another place.
func (d *decoder) otherwise(name string, f *form, attribute bool) string {
	attrs, blocks := names(f.attrs), names(f.blocks)
	if f == d.root {
		blocks = append(blocks, "variable", "locals")
	}
	if ours, ok := haproxy[name]; ok {
		return ours
	}
	switch {
	case attribute && slices.Contains(blocks, name):
		if it := f.block(name); it != nil {
			return fmt.Sprintf("%q is a block: %s, without an equals sign.", name, usage(it))
		}
		return fmt.Sprintf("%q is a block, without an equals sign.", name)
	case !attribute && slices.Contains(attrs, name):
		return fmt.Sprintf("%q is an attribute: %s = …", name, name)
	}
	if places := d.places(name); len(places) > 0 {
		return fmt.Sprintf("%q belongs %s.", name, oneOf(places))
	}
	mine, other := attrs, blocks
	if !attribute {
		mine, other = other, mine
	}
	if near := nearest(name, append(slices.Clone(mine), other...)); near != "" {
		return fmt.Sprintf("Did you mean %q?", near)
	}
	if len(mine) == 0 {
		return fmt.Sprintf("Possible is %s.", oneOf(other))
	}
	return fmt.Sprintf("Possible is %s.", oneOf(mine))
}

// places lists the blocks that know an attribute or block of that name.
func (d *decoder) places(name string) []string {
	var list []string
	var walk func(f *form, where string)
	walk = func(f *form, where string) {
		if f.attr(name) != nil || f.block(name) != nil {
			if place := in(where); !slices.Contains(list, place) {
				list = append(list, place)
			}
		}
		for _, it := range f.blocks {
			if it.name != "listen" { // what frontends and backends may hold
				walk(it.form, it.name)
			}
		}
	}
	walk(d.root, "")
	return list
}

// haproxy answers those who know HAProxy's words better than ours.
var haproxy = map[string]string{
	"maxconn":         `HAProxy's maxconn is "max_connections".`,
	"inter":           `HAProxy's inter is "interval", in a check block.`,
	"timeout":         `Timeouts stand in a block: timeouts { connect = "5s" }.`,
	"contimeout":      `HAProxy's contimeout is "connect", in a timeouts block.`,
	"clitimeout":      `HAProxy's clitimeout is "client", in a timeouts block.`,
	"srvtimeout":      `HAProxy's srvtimeout is "server", in a timeouts block.`,
	"default_server":  `Attributes of all servers stand in the backend, or in a dynamic "server" block.`,
	"use_backend":     `Requests go elsewhere by a route block: route { paths = ["/api/*"]  backend = backend.api }.`,
	"acl":             `Requests go elsewhere by a route block: route { paths = ["/api/*"]  backend = backend.api }.`,
	"default_backend": `The frontend's attribute is "backend": backend = backend.NAME.`,
	"defaults":        `There is no block of defaults: every attribute has one; see "gatehouse help". What several blocks share may be a local value.`,
	"httpchk":         `Health checks are a block: check "http" { request = "HEAD /" }.`,
	"monitor_net":     `HAProxy's monitor-net is "sources", in a monitor block.`,
	"monitor_uri":     `HAProxy's monitor-uri is "uri", in a monitor block.`,
	"allbackups":      `HAProxy's allbackups is "all_backups".`,
	"httpclose":       `HAProxy's httpclose is "http_close".`,
	"errorfile":       `Error pages cannot be configured.`,
}
