package convert

import (
	"reflect"
	"strings"

	"gatehouse/cmd/gatehouse/config"

	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"
)

// A key is an attribute of a node, or with "" its whole block.
type key struct {
	n    *node
	attr string
}

// An item is a line of the new configuration, or a block of them.
type item struct {
	key      key
	comments []*comment
	text     string // "balance = …", or the head of a block
	block    bool
	body     []*item
}

// blank is an empty line. Several in a row, and those at the ends of a body, are one or none.
var blank = &item{}

// An outline is the body of a block under construction.
type outline struct {
	kind    string       // the block's path in the reference: "backend.server"
	typ     reflect.Type // the struct that obeys the block
	items   []*item
	pending []*comment // of what is not written, for what comes next
	off     map[key]bool
	all     bool // defaults are written too
}

var typeOfFile = reflect.TypeFor[config.File]()

// attribute returns the tags of an attribute of the block, and whether the language has it.
func attribute(t reflect.Type, name string) (tag reflect.StructTag, ok bool) {
	return find(t, name, "")
}

// blockType returns the struct of an inner block, nil if the language has none of that name.
func blockType(t reflect.Type, name string) reflect.Type {
	for i := range t.NumField() {
		f := t.Field(i)
		switch tag, _, _ := strings.Cut(f.Tag.Get("hcl"), ","); {
		case strings.HasSuffix(f.Tag.Get("hcl"), ",squash"):
			if inner := blockType(f.Type, name); inner != nil {
				return inner
			}
		case tag == name && strings.HasSuffix(f.Tag.Get("hcl"), ",block"):
			elem := f.Type
			for elem.Kind() == reflect.Slice || elem.Kind() == reflect.Pointer {
				elem = elem.Elem()
			}
			return elem
		}
	}
	return nil
}

func find(t reflect.Type, name, option string) (reflect.StructTag, bool) {
	for i := range t.NumField() {
		f := t.Field(i)
		tag, opt, _ := strings.Cut(f.Tag.Get("hcl"), ",")
		switch {
		case opt == "squash":
			if tag, ok := find(f.Type, name, option); ok {
				return tag, true
			}
		case tag == name && opt != "block" && opt != "label":
			return f.Tag, true
		}
	}
	return "", false
}

// attr writes an attribute, unless it is the default. What the language does not have is refused.
func (o *outline) attr(n *node, name string, v cty.Value) {
	o.write(n, name, string(hclwrite.TokensForValue(v).Bytes()), literal(v))
}

// ref writes an attribute that refers to a block.
func (o *outline) ref(n *node, name, kind, to string) {
	o.write(n, name, reference(kind, to), "")
}

// must writes an attribute even where it is the default.
func (o *outline) must(n *node, name string, v cty.Value) {
	o.write(n, name, string(hclwrite.TokensForValue(v).Bytes()), "")
}

// write adds a line. Plain is the value as the defaults of the language are spelled, "" for none of them.
func (o *outline) write(n *node, name, value, plain string) {
	tag, known := attribute(o.typ, name)
	switch def := tag.Get("default"); {
	case o.off[key{n, name}]:
		o.pending = append(o.pending, n.said[name]...)
		return
	case !known:
		o.missing(n, name)
		return
	case plain != "" && !o.all && (plain == def || plain == tag.Get("assume") || def == "" && plain == "false"):
		for _, d := range n.from[name] {
			d.lower("the default")
		}
		o.pending = append(o.pending, n.said[name]...)
		return
	}
	o.add(&item{key: key{n, name}, text: name + " = " + value, comments: n.said[name]})
}

// missing judges the origins of an attribute, or with "" of a block, that the language does not have.
func (o *outline) missing(n *node, name string) {
	what := o.kind + "." + name
	verdict, remark := absent(what)
	for _, d := range n.origin(name) {
		d.judge(verdict, "%s", remark)
	}
	o.pending = append(o.pending, n.said[name]...)
}

// absent says what is lost with a word the language does not have yet.
func absent(what string) (Verdict, string) {
	switch what {
	case "global.user", "global.group":
		return Noted, "users are not changed in this version: start gatehouse as the one it is to be, with the capability to bind low ports"
	case "admin.socket", "admin":
		return Noted, "there is no admin socket and no status page in this version"
	case "cache", "frontend.cache", "listen.cache":
		return Noted, reasonNoCache
	case "backend.server.slow_start":
		return Noted, "servers get their full share at once in this version"
	case "frontend.grace":
		return Refused, "a grace period after a soft stop is not in this version"
	case "tls.client_auth":
		return Refused, "client certificates are not in this version: everybody would get in"
	case "tls.hsts":
		return Refused, "Strict-Transport-Security is not in this version"
	}
	return Refused, strings.TrimPrefix(what, "global.") + " is not in this version"
}

// hasCache reports whether the language has caches. What its readers say depends on that.
func hasCache() bool {
	_, ok := attribute(blockType(typeOfFile, "frontend"), "cache")
	return ok && blockType(typeOfFile, "cache") != nil
}

// noCache judges a word about caching that has no counterpart.
func noCache(d *directive) {
	if hasCache() {
		d.note("the cache decides by what servers say; see gatehouse help cache")
	} else {
		d.note("%s", reasonNoCache)
	}
}

// block writes a block; fill makes its body.
func (o *outline) block(n *node, name string, labels []string, fill func(*outline)) {
	if o.off[key{n, ""}] {
		o.pending = append(o.pending, allSaid(n)...)
		return
	}
	typ := blockType(o.typ, name)
	path := name
	if o.kind != "" {
		path = o.kind + "." + name
	}
	if o.kind == "listen" {
		path = name
	}
	if typ == nil {
		verdict, remark := absent(path)
		for _, list := range n.from {
			for _, d := range list {
				d.judge(verdict, "%s", remark)
			}
		}
		o.pending = append(o.pending, allSaid(n)...)
		return
	}
	head := name
	for _, l := range labels {
		head += " " + string(hclwrite.TokensForValue(cty.StringVal(l)).Bytes())
	}
	inner := &outline{kind: path, typ: typ, off: o.off}
	fill(inner)
	it := &item{key: key{n, ""}, text: head, block: true, body: inner.items, comments: n.said[""]}
	if len(inner.pending) > 0 {
		it.body = append(it.body, &item{comments: inner.pending})
	}
	o.add(it)
}

func allSaid(n *node) (list []*comment) {
	for _, name := range sortedKeys(n.said) {
		list = append(list, n.said[name]...)
	}
	return list
}

func (o *outline) add(it *item) {
	it.comments = append(append([]*comment(nil), o.pending...), it.comments...)
	o.pending = nil
	o.items = append(o.items, it)
}

// gap asks for an empty line.
func (o *outline) gap() {
	if len(o.items) > 0 && o.items[len(o.items)-1] != blank {
		o.items = append(o.items, blank)
	}
}

// has reports whether anything was written.
func (o *outline) has() bool { return len(o.items) > 0 }

// literal returns a value as the tags of the structs spell defaults.
func literal(v cty.Value) string {
	switch v.Type() {
	case cty.String:
		return v.AsString()
	case cty.Bool:
		if v.True() {
			return "true"
		}
		return "false"
	case cty.Number:
		return v.AsBigFloat().Text('f', -1)
	}
	if v.CanIterateElements() {
		var list []string
		for _, e := range v.AsValueSlice() {
			list = append(list, literal(e))
		}
		return strings.Join(list, ",")
	}
	return ""
}
