package convert

import (
	"slices"
	"strings"

	"gatehouse/backend/h1"

	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"
)

// fieldRules are what a block does to header fields, one way. The language removes, then sets, then adds; old programs do one after the
// other: what a later rule makes void is dropped, so that the order does not matter.
type fieldRules struct {
	node
	set, add []h1.FieldRule
	remove   []string
}

// A fieldChange is one rule of an old program.
type fieldChange struct {
	do          string // "set", "add", "remove"
	name, value string
	d           *directive
}

// change takes over a rule. Fault says what is wrong with it, as the language sees it.
func (r *fieldRules) change(c fieldChange) {
	same := func(f h1.FieldRule) bool { return strings.EqualFold(f.Name, c.name) }
	switch c.do {
	case "set":
		r.set = append(slices.DeleteFunc(r.set, same), h1.FieldRule{Name: c.name, Value: c.value})
		r.add = slices.DeleteFunc(r.add, same)
	case "add":
		r.add = append(r.add, h1.FieldRule{Name: c.name, Value: c.value})
	case "remove":
		prefix, below := strings.CutSuffix(c.name, "*")
		gone := func(f h1.FieldRule) bool {
			return same(f) || below && len(f.Name) >= len(prefix) && strings.EqualFold(f.Name[:len(prefix)], prefix)
		}
		r.set, r.add = slices.DeleteFunc(r.set, gone), slices.DeleteFunc(r.add, gone)
		if !slices.ContainsFunc(r.remove, func(name string) bool { return strings.EqualFold(name, c.name) }) {
			r.remove = append(r.remove, c.name)
		}
	}
	r.take(c.do, c.d)
}

// fault says why the language cannot have a rule, or "". host says that the rule stands in a backend, which may set Host.
func (c *fieldChange) fault(response, host bool) (problem string) {
	rules := &h1.HeaderRules{}
	switch c.do {
	case "set":
		rules.Set = []h1.FieldRule{{Name: c.name, Value: c.value}}
	case "add":
		rules.Add = []h1.FieldRule{{Name: c.name, Value: c.value}}
	case "remove":
		rules.Remove = []string{c.name}
	}
	bad := func(_ any, what, _ string) { problem = what }
	at := h1.InFrontend
	if host {
		at = h1.InBackend
	}
	if response {
		rules.CheckResponse(bad)
	} else {
		rules.CheckRequest(at, bad)
	}
	return problem
}

func (r *fieldRules) empty() bool { return r == nil || len(r.set)+len(r.add)+len(r.remove) == 0 }

// equal reports whether two lists of rules do the same.
func (r *fieldRules) equal(o *fieldRules) bool {
	if r.empty() || o.empty() {
		return r.empty() && o.empty()
	}
	return slices.Equal(r.set, o.set) && slices.Equal(r.add, o.add) && slices.Equal(r.remove, o.remove)
}

// then returns rules that do what r does, and then what o does.
func (r *fieldRules) then(o *fieldRules) *fieldRules {
	switch {
	case o.empty():
		return r
	case r.empty():
		return o.copied()
	}
	all := r.copied()
	for _, name := range o.remove {
		all.change(fieldChange{do: "remove", name: name})
	}
	for _, f := range o.set {
		all.change(fieldChange{do: "set", name: f.Name, value: f.Value})
	}
	for _, f := range o.add {
		all.change(fieldChange{do: "add", name: f.Name, value: f.Value})
	}
	all.link(&o.node)
	return all
}

// united returns the rules of r, or those of o where r is nil, with the lines behind both: they do the same.
func (r *fieldRules) united(o *fieldRules) *fieldRules {
	if r == nil {
		return o.copied()
	}
	if o != nil {
		r.link(&o.node)
	}
	return r
}

// drop takes out what is set or added under a name, and returns how many lines that were.
func (r *fieldRules) drop(name string) int {
	before := len(r.set) + len(r.add)
	same := func(f h1.FieldRule) bool { return strings.EqualFold(f.Name, name) }
	r.set, r.add = slices.DeleteFunc(r.set, same), slices.DeleteFunc(r.add, same)
	return before - len(r.set) - len(r.add)
}

// copied returns rules of its own that do the same and come from the same lines.
func (r *fieldRules) copied() *fieldRules {
	if r == nil {
		return nil
	}
	c := &fieldRules{set: slices.Clone(r.set), add: slices.Clone(r.add), remove: slices.Clone(r.remove)}
	c.link(&r.node)
	return c
}

// link makes n know where o comes from, too.
func (n *node) link(o *node) {
	for attr, list := range o.from {
		for _, d := range list {
			n.from = withAttr(n.from, attr, d)
		}
	}
}

// write writes a block of rules, if there are any.
func (r *fieldRules) write(o *outline, name string) {
	if r.empty() {
		return
	}
	if r.from != nil {
		r.from[""] = r.lines()
	}
	o.block(&r.node, name, nil, func(o *outline) {
		o.fields(&r.node, "set", r.set)
		o.fields(&r.node, "add", r.add)
		if len(r.remove) > 0 {
			o.attr(&r.node, "remove", list(r.remove))
		}
		o.leftover(&r.node)
	})
}

// fields writes a map of fields and their values; several values of one field are a list.
func (o *outline) fields(n *node, name string, rules []h1.FieldRule) {
	if len(rules) == 0 {
		return
	}
	var entries []string
	done := map[string]bool{}
	for _, f := range rules {
		key := strings.ToLower(f.Name)
		if done[key] {
			continue
		}
		done[key] = true
		var values []string
		for _, g := range rules {
			if strings.EqualFold(g.Name, f.Name) {
				values = append(values, g.Value)
			}
		}
		value := str(values[0])
		if len(values) > 1 {
			value = list(values)
		}
		entries = append(entries, quoted(f.Name)+" = "+string(hclwrite.TokensForValue(value).Bytes()))
	}
	text := "{ " + entries[0] + " }"
	if len(entries) > 1 {
		text = "{\n" + strings.Join(entries, "\n") + "\n}"
	}
	o.write(n, name, text, "")
}

func quoted(s string) string { return string(hclwrite.TokensForValue(cty.StringVal(s)).Bytes()) }

// lines returns the directives behind the rules.
func (r *fieldRules) lines() (all []*directive) {
	if r == nil {
		return nil
	}
	for _, attr := range sortedKeys(r.from) {
		for _, d := range r.from[attr] {
			if !slices.Contains(all, d) {
				all = append(all, d)
			}
		}
	}
	return all
}

// languageWords are what stands for parts of an exchange in the values of fields here.
var languageWords = []string{"{client_ip}", "{client_port}", "{host}", "{authority}", "{port}", "{scheme}", "{method}", "{uri}", "{server}"}

// asField puts what an old program writes for parts of a request into words of the language: words maps the one to the other. What is
// left of its own words, which begin with mark, cannot be said; then it is not ok, and rest is the first of them.
func asField(value string, words []string, mark string) (field, rest string, ok bool) {
	for _, w := range languageWords { // text that would be a word here
		if strings.Contains(value, w) {
			return "", w, false
		}
	}
	field = strings.NewReplacer(words...).Replace(value)
	if i := strings.Index(field, mark); i >= 0 {
		rest := field[i:]
		if end := strings.IndexAny(rest[1:], " \t;,\"'"); end >= 0 {
			rest = rest[:end+1]
		}
		return "", rest, false
	}
	return field, "", true
}
