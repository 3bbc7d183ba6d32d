package convert

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// addFront adds a frontend under a name of its own.
func (s *site) addFront(f *front) *front {
	f.name = unique(f.name, func(name string) bool { return s.front(name) != nil })
	s.fronts = append(s.fronts, f)
	s.items = append(s.items, f)
	return f
}

// addBack adds a backend under a name of its own.
func (s *site) addBack(b *back) *back {
	b.name = unique(b.name, func(name string) bool { return s.back(name) != nil })
	s.backs = append(s.backs, b)
	s.items = append(s.items, b)
	return b
}

func (s *site) front(name string) *front {
	for _, f := range s.fronts {
		if f.name == name {
			return f
		}
	}
	return nil
}

func (s *site) back(name string) *back {
	for _, b := range s.backs {
		if b.name == name {
			return b
		}
	}
	return nil
}

// log returns the log that writes that format there, a new one if there is none.
func (s *site) log(name, format, output string, empty bool) *logTo {
	for _, l := range s.logs {
		if l.format == format && l.output == output && l.empty == empty {
			return l
		}
	}
	l := &logTo{format: format, output: output, empty: empty}
	l.name = unique(name, func(name string) bool {
		for _, l := range s.logs {
			if l.name == name {
				return true
			}
		}
		return false
	})
	s.logs = append(s.logs, l)
	return l
}

// tls returns the set like t, which is added if there is none.
func (s *site) tls(t *tlsSet) *tlsSet {
	for _, o := range s.tlss {
		if o.cert == t.cert && o.key == t.key && o.minVersion == t.minVersion && o.strictSNI == t.strictSNI &&
			o.clientCA == t.clientCA && o.clientMode == t.clientMode && o.crl == t.crl && o.hsts == t.hsts && o.acme == t.acme && maps.Equal(o.clientHeaders, t.clientHeaders) {
			o.adopt(&t.node)
			return o
		}
	}
	t.name = unique(t.name, func(name string) bool {
		for _, o := range s.tlss {
			if o.name == name {
				return true
			}
		}
		return false
	})
	s.tlss = append(s.tlss, t)
	return t
}

// unique returns name, or name with the first number behind it that is not taken.
func unique(name string, taken func(string) bool) string {
	if name == "" {
		name = "site"
	}
	if !taken(name) {
		return name
	}
	for n := 2; ; n++ {
		if other := fmt.Sprintf("%s-%d", name, n); !taken(other) {
			return other
		}
	}
}

// nameOfFile makes a name of a path: "/etc/ssl/site.pem" is "site".
func nameOfFile(path string) string {
	name := strings.TrimRight(path, "/")
	name = name[strings.LastIndexByte(name, '/')+1:]
	if name == "fullchain.pem" { // certbot's: the folder has the name
		if dir := strings.TrimSuffix(path, "/fullchain.pem"); dir != path {
			name = dir[strings.LastIndexByte(dir, '/')+1:]
		}
	}
	for _, suffix := range []string{".pem", ".crt", ".cert", ".cer", ".bundle", "_chained", ".key"} {
		name = strings.TrimSuffix(name, suffix)
	}
	return identifier(name, "site")
}

// identifier makes a name that a reference can spell without brackets, or returns other if nothing of it is left.
func identifier(name, other string) string {
	var b strings.Builder
	for _, c := range name {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '_':
			b.WriteRune(c)
		case c >= '0' && c <= '9', c == '-':
			if b.Len() == 0 {
				b.WriteString(other + "-")
			}
			if c != '-' || b.Len() > len(other)+1 || !strings.HasPrefix(b.String(), other+"-") {
				b.WriteRune(c)
			}
		default:
			if b.Len() > 0 && !strings.HasSuffix(b.String(), "-") {
				b.WriteByte('-')
			}
		}
	}
	if s := strings.TrimRight(b.String(), "-"); s != "" {
		return s
	}
	return other
}

// remove takes a front out.
func (s *site) remove(f *front) {
	s.fronts = slices.DeleteFunc(s.fronts, func(o *front) bool { return o == f })
	s.items = slices.DeleteFunc(s.items, func(o any) bool { return o == any(f) })
}

// removeBack takes a back out, and all that leads to it.
func (s *site) removeBack(b *back) {
	s.backs = slices.DeleteFunc(s.backs, func(o *back) bool { return o == b })
	s.items = slices.DeleteFunc(s.items, func(o any) bool { return o == any(b) })
	for _, f := range s.fronts {
		if f.back == b {
			f.back = nil
			for _, d := range f.from["backend"] {
				d.refuse("backend %q is left out", b.name)
			}
		}
		f.routes = slices.DeleteFunc(f.routes, func(r *route) bool {
			if r.back != b {
				return false
			}
			for _, d := range r.from[""] {
				d.refuse("backend %q is left out", b.name)
			}
			return true
		})
	}
}

// leadsTo returns the backs that requests of a front reach.
func (f *front) leadsTo() (list []*back) {
	if f.back != nil {
		list = append(list, f.back)
	}
	for _, r := range f.routes {
		if r.back != nil && !slices.Contains(list, r.back) {
			list = append(list, r.back)
		}
	}
	return list
}

// cache returns the cache of a name, a new one if there is none.
func (s *site) cache(name string) *cacheSet {
	for _, c := range s.caches {
		if c.name == name {
			return c
		}
	}
	c := &cacheSet{name: name}
	s.caches = append(s.caches, c)
	return c
}
