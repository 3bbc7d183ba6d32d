package config

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// entries puts a map into a field with the tag entries. An entry may hold a list: that is as many elements of one name. They stand in the
// order in which they are written, or in that of their names where the map is computed.
func (d *decoder) entries(v reflect.Value, val cty.Value, a *hcl.Attribute, it *item) {
	field := v.Addr().Interface()
	if ty := val.Type(); !ty.IsObjectType() && !ty.IsMapType() {
		d.refuse(field, a.Expr.Range(), &problem{fmt.Sprintf("%s is a map", it.name), fmt.Sprintf(`Write %s = { "NAME" = "VALUE" }.`, it.name)})
		return
	}
	type element struct {
		name, value    string
		key, expr      hcl.Range
		null, compound bool
	}
	var list []element
	gather := func(name string, val cty.Value, key, expr hcl.Range) {
		e := element{name: name, key: key, expr: expr}
		switch {
		case val.IsNull():
			e.null = true
		case val.Type().IsPrimitiveType():
			e.value = text(val)
		default:
			e.compound = true
		}
		list = append(list, e)
	}
	each := func(name string, val cty.Value, key hcl.Range, expr hcl.Expression) {
		place := a.Expr.Range()
		if expr != nil {
			place = expr.Range()
		}
		if ty := val.Type(); val.IsNull() || !ty.IsTupleType() && !ty.IsListType() && !ty.IsSetType() {
			gather(name, val, key, place)
			return
		}
		for i := val.ElementIterator(); i.Next(); {
			_, elem := i.Element()
			gather(name, elem, key, place)
		}
	}
	pairs, diags := hcl.ExprMap(a.Expr)
	if diags.HasErrors() {
		for i := val.ElementIterator(); i.Next(); {
			name, elem := i.Element()
			each(name.AsString(), elem, a.Expr.Range(), nil)
		}
	}
	seen := map[string]hcl.Range{}
	for _, p := range pairs {
		name, ok := d.key(p.Key)
		if !ok {
			d.fail(field)
			continue
		}
		if first, ok := seen[strings.ToLower(name)]; ok {
			d.twice(p.Key.Range(), fmt.Sprintf("%s %q", it.name, name), first)
			d.fail(field)
			continue
		}
		seen[strings.ToLower(name)] = p.Key.Range()
		elem, ok := d.value(p.Value)
		if !ok {
			d.fail(field)
			continue
		}
		each(name, elem, p.Key.Range(), p.Value)
	}
	made := reflect.MakeSlice(v.Type(), len(list), len(list))
	for i, e := range list {
		name, value := made.Index(i).FieldByName("Name"), made.Index(i).FieldByName("Value")
		name.SetString(e.name)
		value.SetString(e.value)
		d.file.seen.put(name.Addr().Interface(), e.key, true)
		d.file.seen.put(value.Addr().Interface(), e.expr, true)
		switch {
		case e.null:
			d.refuse(value.Addr().Interface(), e.expr, &problem{fmt.Sprintf("%s of %q is null", it.name, e.name), "Leave the entry out."})
		case e.compound:
			d.refuse(value.Addr().Interface(), e.expr, &problem{fmt.Sprintf("%s of %q is no text", it.name, e.name), `Write a string in double quotes, or a list of them.`})
		}
	}
	v.Set(made)
}

// key evaluates the name of an entry.
func (d *decoder) key(expr hcl.Expression) (string, bool) {
	val, ok := d.value(expr)
	if !ok || val.IsNull() || !val.Type().IsPrimitiveType() {
		return "", false
	}
	return text(val), true
}
