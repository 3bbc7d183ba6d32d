package config

import (
	"fmt"
	"reflect"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/dynblock"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

var typeOfFile = reflect.TypeFor[File]()

// A decoder turns bodies into a File.
type decoder struct {
	*evaluator
	file  *File
	root  *form
	diags *Diagnostics
	known map[string]map[string]hcl.Range // the blocks that may be referred to: type, name, header
	lost  map[string]bool                 // the types of blocks to which a reference could not be read
	all   []any                           // the decoded structs, outer before inner, for their Check methods
	stack []frame                         // the structs being decoded, outer before inner
}

// A frame is a struct being decoded.
type frame struct {
	v    reflect.Value
	form *form
}

// decode fills the File. The bodies fit their forms by now.
func (d *decoder) decode(bodies []*hclsyntax.Body) {
	var content hcl.BodyContent
	for _, b := range bodies {
		c, diags := dynblock.Expand(b, d.context(b.SrcRange.Filename)).Content(d.root.schema())
		d.diags.add(diags...)
		content.Blocks = append(content.Blocks, c.Blocks...)
	}
	d.names(content.Blocks)
	d.structure(&content, reflect.ValueOf(d.file).Elem(), d.root, hcl.Range{}, reflect.Value{})
}

// structure decodes the content of a block into the struct v. Header is where the block begins; what is not written is taken from
// the struct inherited if that is valid.
func (d *decoder) structure(c *hcl.BodyContent, v reflect.Value, f *form, header hcl.Range, inherited reflect.Value) {
	d.stack = append(d.stack, frame{v, f})
	defer func() { d.stack = d.stack[:len(d.stack)-1] }()
	if inherited.IsValid() {
		v.Set(inherited)
	}
	d.remember(v, f, header)
	if s, ok := v.Addr().Interface().(interface{ SetDefaults(mode string) }); ok && !inherited.IsValid() {
		s.SetDefaults(d.mode(c.Attributes["mode"]))
	}
	for _, it := range f.attrs {
		for _, path := range it.paths {
			d.attribute(c.Attributes[it.name], it, v.FieldByIndex(path), header, inherited.IsValid())
		}
	}
	blocks := c.Blocks.ByType()
	for _, it := range f.blocks {
		for _, path := range it.paths {
			d.blocks(blocks[it.name], it, v.FieldByIndex(path), header)
		}
	}
}

// remember notes v and the structs squashed into it, for Range and for their Check methods.
func (d *decoder) remember(v reflect.Value, f *form, header hcl.Range) {
	p := v.Addr().Interface()
	d.file.seen.put(p, header, true)
	d.all = append(d.all, p)
	for i := range f.typ.NumField() {
		if f.typ.Field(i).Tag.Get("hcl") == ",squash" {
			d.remember(v.Field(i), &form{typ: f.typ.Field(i).Type}, header)
		}
	}
}

// mode evaluates the attribute mode ahead of all others, because defaults may hang on it.
func (d *decoder) mode(a *hcl.Attribute) string {
	if a == nil {
		return ""
	}
	val, ok := d.value(a.Expr)
	if !ok || val.IsNull() || val.Type() != cty.String {
		return ""
	}
	return val.AsString()
}

// blocks decodes the blocks of one type into the field v.
func (d *decoder) blocks(blocks hcl.Blocks, it *item, v reflect.Value, header hcl.Range) {
	field := v.Addr().Interface()
	d.file.seen.put(field, header, false)
	if len(blocks) > 0 {
		d.file.seen.put(field, blocks[0].DefRange, true)
	}
	switch {
	case it.tag.Get("unite") == "true":
		d.structure(d.united(blocks, it), v, it.form, d.file.Range(field), reflect.Value{})
	case it.many:
		first := map[string]hcl.Range{}
		for _, b := range blocks {
			if len(it.form.labels) > 0 && it.form.labels[0].name == "name" {
				if place, ok := first[b.Labels[0]]; ok {
					d.twice(b.DefRange, fmt.Sprintf("%s %q", it.name, b.Labels[0]), place)
				} else {
					first[b.Labels[0]] = b.DefRange
				}
			}
			elem := reflect.New(it.form.typ)
			d.block(b, it, elem.Elem())
			v.Set(reflect.Append(v, elem))
		}
	case len(blocks) > 0:
		for _, b := range blocks[1:] {
			d.twice(b.DefRange, article(it.name)+" block", blocks[0].DefRange)
		}
		elem := reflect.New(it.form.typ)
		d.block(blocks[0], it, elem.Elem())
		v.Set(elem)
	}
}

// united makes one content of several blocks. The same attribute twice is an error that names both places.
func (d *decoder) united(blocks hcl.Blocks, it *item) *hcl.BodyContent {
	all := &hcl.BodyContent{Attributes: hcl.Attributes{}}
	for _, b := range blocks {
		c, diags := b.Body.Content(it.form.schema())
		d.diags.add(diags...)
		all.Blocks = append(all.Blocks, c.Blocks...)
		for name, a := range c.Attributes {
			if first, ok := all.Attributes[name]; ok {
				d.twice(a.NameRange, it.name+"."+name, first.NameRange)
				continue
			}
			all.Attributes[name] = a
		}
	}
	return all
}

// block decodes one block into the struct v, which is new.
func (d *decoder) block(b *hcl.Block, it *item, v reflect.Value) {
	c, diags := b.Body.Content(it.form.schema())
	d.diags.add(diags...)
	var inherited reflect.Value
	for i, label := range it.form.labels {
		for _, path := range label.paths {
			field := v.FieldByIndex(path)
			d.file.seen.put(field.Addr().Interface(), b.LabelRanges[i], true)
			if p := assign(field, cty.StringVal(b.Labels[i]), label.name, label.tag); p != nil {
				d.refuse(field.Addr().Interface(), b.LabelRanges[i], p)
			} else if b.Labels[i] == "" {
				d.refuse(field.Addr().Interface(), b.LabelRanges[i], &problem{fmt.Sprintf("empty %s", label.name), fmt.Sprintf("Write %s.", usage(it))})
			}
		}
	}
	if from := it.tag.Get("inherit"); from != "" {
		inherited = d.ancestor(from, v, it.form)
	}
	d.structure(c, v, it.form, b.DefRange, inherited)
}

// ancestor finds the block of type from with the labels of v, one level above the struct that v will stand in.
func (d *decoder) ancestor(from string, v reflect.Value, f *form) reflect.Value {
	if len(d.stack) < 2 {
		return reflect.Value{}
	}
	up := d.stack[len(d.stack)-2]
	it := up.form.block(from)
	if it == nil {
		return reflect.Value{}
	}
	list := up.v.FieldByIndex(it.paths[0])
	for i := range list.Len() {
		same := true
		for _, l := range f.labels {
			same = same && list.Index(i).Elem().FieldByIndex(l.paths[0]).Interface() == v.FieldByIndex(l.paths[0]).Interface()
		}
		if same {
			return list.Index(i).Elem()
		}
	}
	return reflect.Value{}
}

// check runs the Check methods of everything decoded, for what no type can say, and the Advise methods, whose complaints are
// warnings. Nothing is advised about a block that could not be read whole.
func (d *decoder) check() {
	for _, v := range d.all {
		at := func(field any) any { // a field nobody decoded stands for its struct
			if _, ok := d.file.seen.fields[field]; ok {
				return field
			}
			return v
		}
		if c, ok := v.(interface {
			Check(bad func(field any, problem, remedy string))
		}); ok {
			c.Check(func(field any, problem, remedy string) {
				if !d.file.seen.of(field).inherited {
					d.file.Bad(at(field), problem, remedy)
				}
			})
		}
		if c, ok := v.(interface {
			Advise(warn func(field any, problem, remedy string))
		}); ok && !d.file.seen.spoiled[v] {
			c.Advise(func(field any, problem, remedy string) { d.file.Warn(at(field), problem, remedy) })
		}
	}
}
