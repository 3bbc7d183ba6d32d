package convert

import (
	"slices"
	"strings"
)

// idiomatic shapes the site as somebody would who begins anew: a frontend and the backend that is there for it alone are one
// listen block, and an address without a host is all addresses of the machine.
func (p *pile) idiomatic() {
	for _, f := range p.site.fronts {
		for _, b := range f.binds {
			b.addr = strings.TrimPrefix(b.addr, "0.0.0.0")
		}
		b := f.back
		if f.listen || b == nil || f.tcp != b.tcp || p.site.users(b) != 1 || !b.request.empty() || !b.response.empty() {
			continue
		}
		name := b.name
		if other := p.site.front(name); other != nil && other != f {
			if name = f.name; p.site.back(name) != nil && p.site.back(name) != b {
				continue
			}
		}
		f.name, b.name, f.listen = name, name, true
		for _, d := range b.from[""] {
			if !slices.Contains(f.from[""], d) {
				f.from[""] = append(f.from[""], d)
			}
		}
		f.node.said = joined(f.node.said, b.said)
		b.said = nil
	}
}

// joined adds the comments of one block to those of another.
func joined(a, b map[string][]*comment) map[string][]*comment {
	if a == nil {
		a = map[string][]*comment{}
	}
	for _, name := range sortedKeys(b) {
		if name == "" {
			a[""] = append(a[""], b[""]...)
		} else {
			a["}"] = append(a["}"], b[name]...)
		}
	}
	return a
}

// users counts the fronts that lead to b, and their routes.
func (s *site) users(b *back) (n int) {
	for _, f := range s.fronts {
		if f.back == b {
			n++
		}
		for _, r := range f.routes {
			if r.back == b {
				n++
			}
		}
	}
	return n
}
