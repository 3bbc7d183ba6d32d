package config

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// A form is what the tags of a struct say a block may hold. The tags:
//
//	hcl:"name,label"       the block's next label
//	hcl:"name"             an attribute that must be there; "name,optional" one that may
//	hcl:"name,block"       blocks: a struct or a pointer for one, a slice of pointers for several
//	hcl:",squash"          a struct whose fields stand in this very block
//	label:"2"              the attribute may stand as the block's second label instead
//	default:"5s"           the value of an attribute that is absent
//	assume:"5s"            what an absent attribute will count as, decided elsewhere; an explicit "0s" becomes -1, no limit
//	unit:"bytes"           the number is a size such as "64KiB"
//	ref:"backend"          the string is the name of a block, written as the reference backend.NAME
//	path:"true"            a relative path belongs to the directory of the file it is written in; path:"a,b:*" likewise, but
//	                       the words a and those that begin with b: are no paths
//	entries:"true"         the attribute is a map: each entry of it, or each element of a list in it, is an element of the field, whose
//	                       struct holds a Name and a Value
//	inherit:"check"        attributes not written are taken from the block of that type, with the same labels, one level up
//	unite:"true"           several such blocks are one
type form struct {
	typ    reflect.Type
	labels []*item
	attrs  []*item
	blocks []*item
}

// An item is a label, an attribute or a type of block of a form.
type item struct {
	name     string
	typ      reflect.Type
	tag      reflect.StructTag
	doc      string // the Go name of the field, for the reference
	paths    [][]int
	required bool
	label    int   // which label may stand for the attribute, 0: none
	form     *form // of a block
	many     bool  // a block that may be repeated
}

// formOf returns the form of a struct type. A tag nobody understands is our own mistake and panics.
func formOf(t reflect.Type) *form {
	f := &form{typ: t}
	f.collect(t, nil)
	return f
}

func (f *form) collect(t reflect.Type, at []int) {
	for i := range t.NumField() {
		field := t.Field(i)
		tag, ok := field.Tag.Lookup("hcl")
		if !ok {
			continue
		}
		path := append(slices.Clone(at), i)
		name, option, _ := strings.Cut(tag, ",")
		it := &item{name: name, typ: field.Type, tag: field.Tag, doc: field.Name, paths: [][]int{path}}
		switch option {
		case "squash":
			f.collect(field.Type, path)
		case "label":
			f.labels = unite(f.labels, it)
		case "", "optional":
			it.required = option == ""
			if n := field.Tag.Get("label"); n != "" {
				var err error
				if it.label, err = strconv.Atoi(n); err != nil {
					panic(fmt.Sprintf("%s.%s: tag label:%q is no number", t, field.Name, n))
				}
			}
			f.attrs = unite(f.attrs, it)
		case "block":
			elem := field.Type
			if elem.Kind() == reflect.Slice {
				it.many, elem = true, elem.Elem()
			}
			if elem.Kind() == reflect.Pointer {
				elem = elem.Elem()
			}
			it.form = formOf(elem)
			f.blocks = unite(f.blocks, it)
		default:
			panic(fmt.Sprintf("%s.%s: unknown option in tag hcl:%q", t, field.Name, tag))
		}
	}
}

// unite adds it to items. In a listen block, what both halves have goes to both of them.
func unite(items []*item, it *item) []*item {
	for _, have := range items {
		if have.name == it.name {
			have.paths = append(have.paths, it.paths...)
			return items
		}
	}
	return append(items, it)
}

// schema is the form as HCL wants to see it. What is required is checked by the decoder, which has better words.
func (f *form) schema() *hcl.BodySchema {
	s := &hcl.BodySchema{}
	for _, it := range f.attrs {
		s.Attributes = append(s.Attributes, hcl.AttributeSchema{Name: it.name})
	}
	for _, it := range f.blocks {
		s.Blocks = append(s.Blocks, hcl.BlockHeaderSchema{Type: it.name, LabelNames: names(it.form.labels)})
	}
	return s
}

func (f *form) attr(name string) *item  { return find(f.attrs, name) }
func (f *form) block(name string) *item { return find(f.blocks, name) }

// labelled returns the attribute that may stand as the label after the first n ones.
func (f *form) labelled(n int) *item {
	for _, it := range f.attrs {
		if it.label == n+1 {
			return it
		}
	}
	return nil
}

func find(items []*item, name string) *item {
	for _, it := range items {
		if it.name == name {
			return it
		}
	}
	return nil
}

func names(items []*item) []string {
	list := make([]string, 0, len(items))
	for _, it := range items {
		list = append(list, it.name)
	}
	return list
}
