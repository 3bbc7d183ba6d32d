package convert

import (
	"slices"
)

// settle puts the site into an order the language accepts, with better reasons than its own where they are known.
func (p *pile) settle() {
	s := p.site
	p.guarded()
	s.sort()
	for _, f := range s.fronts {
		// A listen block is written as one only where its halves still belong together.
		if f.listen && (f.back == nil || f.back.name != f.name || !f.back.request.empty() || !f.back.response.empty()) {
			f.listen = false
		}
	}
	for _, b := range s.backs {
		if s.users(b) == 0 {
			for _, d := range b.from[""] {
				d.note("no frontend leads to it")
			}
		}
	}
	s.tlss = slices.DeleteFunc(s.tlss, func(t *tlsSet) bool {
		return !slices.ContainsFunc(s.fronts, func(f *front) bool {
			return slices.ContainsFunc(f.binds, func(b *bind) bool { return b.tls == t })
		})
	})
	s.caches = slices.DeleteFunc(s.caches, func(c *cacheSet) bool {
		used := slices.ContainsFunc(s.fronts, func(f *front) bool { return f.cache == c })
		if !used {
			for _, list := range c.from {
				for _, d := range list {
					d.note("no frontend uses it")
				}
			}
		}
		return !used
	})
	s.logs = slices.DeleteFunc(s.logs, func(l *logTo) bool {
		return !slices.ContainsFunc(s.fronts, func(f *front) bool { return f.log == l })
	})
}

// guarded takes out the addresses where clients had to show a certificate and nobody says whose are good: opened without that, they
// would let everybody in.
func (p *pile) guarded() {
	known := blockType(blockType(typeOfFile, "tls"), "client_auth") != nil
	for _, f := range p.site.fronts {
		f.binds = slices.DeleteFunc(f.binds, func(b *bind) bool {
			if b.tls == nil || b.tls.clientMode == "" || known && b.tls.clientCA != "" {
				return false
			}
			lines := append(slices.Clone(b.from[""]), b.tls.from["client_auth"]...)
			switch {
			case b.tls.clientMode == "require":
				for _, d := range lines {
					d.refuse("nobody would know whose certificates are good, and without them everybody would get in: %s is not opened", b.addr)
				}
				return true
			default:
				for _, d := range b.tls.from["client_auth"] {
					d.refuse("clients are not asked for a certificate: nobody says whose are good")
				}
				return false
			}
		})
	}
	for _, t := range p.site.tlss {
		if t.clientCA == "" || !known {
			t.clientMode = ""
		}
	}
}

// revise gives another verdict for what was found out later. What was refused for a reason of its own stays so.
func (e *Entry) revise(v Verdict, reason string) {
	if e.Verdict == Noted && v == Kept {
		return
	}
	e.Verdict, e.reasons = v, []string{reason}
}

// sort moves backs that stand before all fronts that lead to them behind the first of those: a file is read from the clients' side.
func (s *site) sort() {
	for _, b := range s.backs {
		at := slices.Index(s.items, any(b))
		first := -1
		for _, f := range s.fronts {
			if i := slices.Index(s.items, any(f)); slices.Contains(f.leadsTo(), b) && (first < 0 || i < first) {
				first = i
			}
		}
		if at < 0 || first < at {
			continue
		}
		s.items = slices.Delete(s.items, at, at+1)
		end := first // where the front is now
		for end < len(s.items) {
			if other, ok := s.items[end].(*back); !ok || !slices.Contains(s.items[first-1].(*front).leadsTo(), other) {
				break
			}
			end++
		}
		s.items = slices.Insert(s.items, end, any(b))
	}
}
