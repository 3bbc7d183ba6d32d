package config

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// attribute decodes an attribute into the field v. A is nil when it is not written.
func (d *decoder) attribute(a *hcl.Attribute, it *item, v reflect.Value, header hcl.Range, inherited bool) {
	field := v.Addr().Interface()
	d.file.seen.put(field, header, false)
	if a != nil {
		val, ok := d.reference(a, it)
		switch {
		case !ok:
			d.file.seen.put(field, a.Expr.Range(), true)
			d.fail(field)
			return
		case !val.IsNull(): // null is how an expression says "not written"
			d.file.seen.put(field, a.Expr.Range(), true)
			d.set(v, val, a, it)
			return
		}
	}
	if it.required {
		remedy := fmt.Sprintf("Write %s = …", it.name)
		if it.label > 0 {
			remedy += ", or the value as a label before the brace."
		}
		d.refuse(field, header, &problem{it.name + " is missing", remedy})
	}
	if inherited {
		d.file.seen.inherit(field)
		return
	}
	if text, ok := it.tag.Lookup("default"); ok {
		if err := setDefault(v, text, it); err != nil {
			panic(fmt.Sprintf("default of %s: %s", it.name, err.what))
		}
	}
}

// set puts a value into the field of an attribute.
func (d *decoder) set(v reflect.Value, val cty.Value, a *hcl.Attribute, it *item) {
	field := v.Addr().Interface()
	if it.tag.Get("entries") == "true" {
		d.entries(v, val, a, it)
		return
	}
	if v.Kind() != reflect.Slice {
		if p := assign(v, val, it.name, it.tag); p != nil {
			d.refuse(field, a.Expr.Range(), p)
			return
		}
		resolvePath(v, a.Expr.Range().Filename, it)
		return
	}
	if ty := val.Type(); !ty.IsTupleType() && !ty.IsListType() && !ty.IsSetType() {
		remedy := want(v.Type(), it.tag)
		if ty.IsPrimitiveType() {
			remedy = fmt.Sprintf("Write [%s].", spell(val))
		}
		d.refuse(field, a.Expr.Range(), &problem{fmt.Sprintf("%s is a list", it.name), remedy})
		return
	}
	places, diags := hcl.ExprList(a.Expr)
	list := reflect.MakeSlice(v.Type(), val.LengthInt(), val.LengthInt())
	i := 0
	for each := val.ElementIterator(); each.Next(); i++ {
		_, elem := each.Element()
		place := a.Expr.Range()
		if !diags.HasErrors() && len(places) == list.Len() {
			place = places[i].Range()
		}
		d.file.seen.put(list.Index(i).Addr().Interface(), place, true)
		p := &problem{fmt.Sprintf("%s holds null", it.name), "Leave the element out."}
		if !elem.IsNull() {
			p = assign(list.Index(i), elem, it.name, it.tag)
		}
		if p != nil {
			d.refuse(field, place, p)
		}
	}
	v.Set(list)
}

// refuse reports a value and notes that the field has been complained about.
func (d *decoder) refuse(field any, place hcl.Range, p *problem) {
	d.diags.fail(place, p.what, p.remedy)
	d.fail(field)
}

// fail notes that field, and with it the structs it stands in, lacks what was written.
func (d *decoder) fail(field any) {
	d.file.seen.fail(field)
	for _, f := range d.stack {
		d.file.seen.spoiled[f.v.Addr().Interface()] = true
		for i := range f.v.NumField() {
			if f.form.typ.Field(i).Tag.Get("hcl") == ",squash" {
				d.file.seen.spoiled[f.v.Field(i).Addr().Interface()] = true
			}
		}
	}
}

// setDefault gives an absent attribute its documented value; commas part the elements of lists.
func setDefault(v reflect.Value, text string, it *item) *problem {
	if v.Kind() != reflect.Slice {
		return assign(v, cty.StringVal(text), it.name, it.tag)
	}
	parts := strings.Split(text, ",")
	list := reflect.MakeSlice(v.Type(), len(parts), len(parts))
	for i, part := range parts {
		if p := assign(list.Index(i), cty.StringVal(part), it.name, it.tag); p != nil {
			return p
		}
	}
	v.Set(list)
	return nil
}

// resolvePath makes a relative file name one below the directory of the file it is written in.
func resolvePath(v reflect.Value, filename string, it *item) {
	words, ok := it.tag.Lookup("path")
	if !ok {
		return
	}
	for word := range strings.SplitSeq(words, ",") {
		if word == "true" {
			break // every value is a path
		}
		prefix, more := strings.CutSuffix(word, "*")
		if v.String() == word || more && strings.HasPrefix(v.String(), prefix) {
			return
		}
	}
	v.SetString(relative(v.String(), filename))
}
