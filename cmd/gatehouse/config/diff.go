package config

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Diff says in words how one configuration differs from another: one line for each block that came or went and for each attribute that
// changed, in the order of the new configuration. Two that mean the same have none, however they are written.
func Diff(old, new *File) []string {
	d := &differ{}
	f := formOf(typeOfFile)
	for _, it := range f.blocks {
		if it.name == "listen" { // its halves are among the frontends and backends
			continue
		}
		d.blocks(it, nil, reflect.ValueOf(old).Elem(), reflect.ValueOf(new).Elem())
	}
	return d.lines
}

// A differ gathers what has changed.
type differ struct{ lines []string }

func (d *differ) say(where []string, format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	if len(where) > 0 {
		line = strings.Join(where, " ") + ": " + line
	}
	d.lines = append(d.lines, line)
}

// blocks compares the blocks of one type. Where names the block they are in.
func (d *differ) blocks(it *item, where []string, old, new reflect.Value) {
	was, is := blocksOf(it, old), blocksOf(it, new)
	for _, b := range is {
		i := slices.IndexFunc(was, func(o named) bool { return o.name == b.name })
		if i < 0 {
			d.say(where, "%s added", b.name)
			continue
		}
		d.structs(it.form, append(slices.Clone(where), b.name), was[i].v, b.v)
		was = slices.Delete(was, i, i+1)
	}
	for _, o := range was {
		d.say(where, "%s removed", o.name)
	}
}

// structs compares two blocks of one name.
func (d *differ) structs(f *form, where []string, old, new reflect.Value) {
	for _, it := range f.attrs {
		a, b := old.FieldByIndex(it.paths[0]), new.FieldByIndex(it.paths[0])
		if !reflect.DeepEqual(a.Interface(), b.Interface()) {
			d.say(where, "%s %s → %s", it.name, show(a, it), show(b, it))
		}
	}
	for _, it := range f.blocks {
		d.blocks(it, where, old, new)
	}
}

// named is a block and what it is called: its type, its labels, and a number where there are several without a difference.
type named struct {
	name string
	v    reflect.Value
}

// blocksOf returns the blocks of one type in v.
func blocksOf(it *item, v reflect.Value) (list []named) {
	v = v.FieldByIndex(it.paths[0])
	switch {
	case it.many:
		for i := range v.Len() {
			list = append(list, named{v: v.Index(i).Elem()})
		}
	case v.Kind() == reflect.Struct:
		list = append(list, named{v: v})
	case !v.IsNil():
		list = append(list, named{v: v.Elem()})
	}
	seen := map[string]int{}
	for i := range list {
		name := it.name
		for _, l := range it.form.labels {
			name += " " + show(list[i].v.FieldByIndex(l.paths[0]), l)
		}
		// Without labels, an address tells blocks apart, as in bind; else their order does.
		if len(it.form.labels) == 0 {
			if a := it.form.labelled(0); a != nil {
				name += " " + show(list[i].v.FieldByIndex(a.paths[0]), a)
			}
		}
		if seen[name]++; seen[name] > 1 {
			name += " (" + strconv.Itoa(seen[name]) + ")"
		}
		list[i].name = name
	}
	return list
}

// show writes a value as an operator would.
func show(v reflect.Value, it *item) string {
	switch x := v.Interface().(type) {
	case time.Duration:
		if x < 0 {
			return "no limit"
		}
		if _, ok := it.tag.Lookup("assume"); ok && x == 0 {
			return "default"
		}
		return FormatDuration(x)
	case encoding.TextMarshaler, fmt.Stringer:
		if v.Kind() == reflect.Pointer && v.IsNil() {
			return "none"
		}
		if s := fmt.Sprint(x); s != "" && s != "invalid IP" {
			return s
		}
		return "none"
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return "none"
		}
		return show(v.Elem(), it)
	case reflect.Slice:
		list := make([]string, 0, v.Len())
		for i := range v.Len() {
			list = append(list, show(v.Index(i), it))
		}
		return "[" + strings.Join(list, " ") + "]"
	case reflect.String:
		if v.String() == "" {
			return "none"
		}
		return v.String()
	case reflect.Int64:
		if it.tag.Get("unit") == "bytes" {
			return FormatSize(v.Int())
		}
	}
	return fmt.Sprint(v.Interface())
}
