package h1

import (
	"cmp"
	"slices"
	"strings"
)

// HeaderRules change the fields of messages on their way. First what is removed goes, then what is set is set, then what is added is added.
type HeaderRules struct {
	// Set gives fields a value, in the place of whatever came under their names: set = { "X-Frame-Options" = "DENY" }. Several
	// values are a list, and become a line each. Words in braces stand for something of the exchange: {client_ip} and {client_port},
	// who asks; {host}, the host that was asked for, and {authority}, the same with its port as the client wrote it; {port}, the port
	// the client came to; {scheme}, http or https; {method}; {uri}, the path with the query; and in answers {server}, the server that
	// gave it, which is nobody for an answer from the cache. A field whose value comes out empty is not sent. Other braces are text.
	Set []FieldRule `hcl:"set,optional" entries:"true"`
	// Add adds lines to those that came under the same names: add = { "Link" = "</style.css>; rel=preload" }. Values are as in set.
	Add []FieldRule `hcl:"add,optional" entries:"true"`
	// Remove takes fields out, in whatever case their names are written: remove = ["X-Powered-By"]. A star at the end stands for
	// all names that begin so.
	Remove []string `hcl:"remove,optional"`
}

// FieldRule is a field to set or add.
type FieldRule struct{ Name, Value string }

// Rules are HeaderRules at work. They are built once and then only read, by all loops. A nil *Rules changes nothing.
type Rules struct {
	remove []removal
	set    []field
	add    []field
}

// removal is a name to take out, or the beginning of names.
type removal struct {
	id    Name // 0: not a known one
	name  string
	below bool
}

// field is a line to write.
type field struct {
	removal
	value    template
	personal bool // a line of that name says who asked
}

// NewRules makes rules work. They have been found without faults. Nil, or none, is nil.
func NewRules(c *HeaderRules) *Rules {
	if c == nil || len(c.Set)+len(c.Add)+len(c.Remove) == 0 {
		return nil
	}
	r := &Rules{}
	for _, name := range c.Remove {
		name, below := strings.CutSuffix(name, "*")
		rm := removal{name: name, below: below}
		if !below {
			rm.id = nameOf([]byte(name))
		}
		r.remove = append(r.remove, rm)
	}
	// All that is set under one name goes together: the first of them takes the old lines out.
	set := slices.Clone(c.Set)
	slices.SortStableFunc(set, func(a, b FieldRule) int { return cmp.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)) })
	personal := map[string]bool{} // names
	for _, f := range slices.Concat(c.Set, c.Add) {
		if strings.Contains(f.Value, "{client_ip}") || strings.Contains(f.Value, "{client_port}") {
			personal[strings.ToLower(f.Name)] = true
		}
	}
	r.set, r.add = fields(set, personal), fields(c.Add, personal)
	return r
}

func fields(rules []FieldRule, personal map[string]bool) (list []field) {
	for _, f := range rules {
		list = append(list, field{removal{id: nameOf([]byte(f.Name)), name: f.Name}, newTemplate(f.Value), personal[strings.ToLower(f.Name)]})
	}
	return list
}

// Request changes the request of x. It may be called several times: later rules see what earlier ones did.
func (r *Rules) Request(x *Exchange) {
	if r != nil {
		x.Req.Header.Seal()
		r.apply(&x.Req.Header, nil, x)
	}
}

// Response changes the response of x. Of the part that is for its client alone, cookies and Cache-Control stay.
func (r *Rules) Response(x *Exchange) {
	if r == nil {
		return
	}
	if x.Own.Len() > 0 {
		r.disown(&x.Own)
	}
	r.apply(&x.Resp.Header, nil, x)
}

// Shared is Response for an answer that a cache may give to others afterwards: fields that say who asked go to the part that is for this
// client alone.
func (r *Rules) Shared(x *Exchange) {
	if r != nil {
		r.apply(&x.Resp.Header, &x.Own, x)
	}
}

// disown takes out of the part for one client what earlier rules have put there, and these remove or replace.
func (r *Rules) disown(own *Header) {
	for i := range own.Len() {
		id, name, _ := own.At(i)
		if name == nil || id == SetCookie || id == CacheControl {
			continue
		}
		if slices.ContainsFunc(r.remove, func(m removal) bool { return m.has(name) }) ||
			slices.ContainsFunc(r.set, func(f field) bool { return f.has(name) }) {
			own.DelAt(i)
		}
	}
}

// has reports whether lines of that name are meant.
func (f *removal) has(name []byte) bool {
	if f.below {
		return len(name) >= len(f.name) && EqualFold(name[:len(f.name)], f.name)
	}
	return EqualFold(name, f.name)
}

// AppendTo appends to dst the lines that a message without any field gets.
func (r *Rules) AppendTo(dst []byte, x *Exchange) []byte {
	if r == nil {
		return dst
	}
	for _, list := range [...][]field{r.set, r.add} {
		for i := range list {
			f := &list[i]
			before := len(dst)
			dst = append(append(dst, f.name...), ": "...)
			n := len(dst)
			if dst = f.value.appendTo(dst, x); len(dst) == n {
				dst = dst[:before]
				continue
			}
			dst = append(dst, "\r\n"...)
		}
	}
	return dst
}

// apply changes h. What says who asked goes to own, unless that is nil. It allocates nothing.
func (r *Rules) apply(h, own *Header, x *Exchange) {
	for i := range r.remove {
		r.remove[i].from(h)
	}
	for i := range r.set {
		if i == 0 || !strings.EqualFold(r.set[i-1].name, r.set[i].name) {
			r.set[i].from(h)
		}
		r.set[i].put(h, own, x)
	}
	for i := range r.add {
		r.add[i].put(h, own, x)
	}
}

// put adds the line to h, or to own if it says who asked: then with the lines that are in h, whose place own takes.
func (f *field) put(h, own *Header, x *Exchange) {
	if own == nil || !f.personal {
		f.addTo(h, x)
		return
	}
	if f.id != SetCookie && own.IndexName(f.name, 0) < 0 {
		for i := h.IndexName(f.name, 0); i >= 0; i = h.IndexName(f.name, i+1) {
			own.Add(f.name, h.Value(i))
		}
	}
	f.addTo(own, x)
}

// from takes the lines out of h.
func (f *removal) from(h *Header) {
	switch {
	case f.below:
		for i := range h.Len() {
			if _, name, _ := h.At(i); f.has(name) {
				h.DelAt(i)
			}
		}
	case f.id != 0:
		h.Del(f.id)
	default:
		h.DelName(f.name)
	}
}

// addTo adds the line to h.
func (f *field) addTo(h *Header, x *Exchange) {
	if f.value.pieces == nil {
		h.AddString(f.name, f.value.text)
		return
	}
	b := f.value.appendTo(x.Loop.Small(), x)
	if len(b) > 0 {
		h.Add(f.name, b)
	}
	x.Loop.PutSmall(b)
}
