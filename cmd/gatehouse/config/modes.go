package config

import (
	"fmt"
	"slices"

	"gatehouse/backend"
	"gatehouse/backend/h1"
	"gatehouse/frontend"
)

// modes refuses frontends that hand what they cannot read to a backend that reads it, and the other way round.
func (d *decoder) modes() {
	for _, f := range d.file.Frontends {
		if d.file.seen.of(&f.Mode).failed {
			continue
		}
		check := func(field *string) {
			for _, b := range d.file.Backends {
				if b.Name == *field && b.Mode != f.Mode && !d.file.seen.of(&b.Mode).failed {
					d.file.Bad(field, fmt.Sprintf("frontend %q is in mode %q, backend %q in mode %q", f.Name, f.Mode, b.Name, b.Mode),
						fmt.Sprintf("Write mode = %q in both of them, or in none.", h1.TCP))
				}
			}
		}
		check(&f.Backend)
		for _, r := range f.Routes {
			check(&r.Backend)
		}
	}
}

// usesOf returns the frontends that lead to a backend.
func (f *File) usesOf(name string) (list []*frontend.Config) {
	for _, c := range f.Frontends {
		if c.Backend == name || slices.ContainsFunc(c.Routes, func(r *frontend.Route) bool { return r.Backend == name }) {
			list = append(list, c)
		}
	}
	return list
}

// portsOf returns the ports by which clients come to a backend, each once.
func (f *File) portsOf(name string) (ports []uint16) {
	for _, c := range f.usesOf(name) {
		for _, b := range c.Binds {
			if p := b.Address.Port(); p != 0 && b.Redirect == "" && !slices.Contains(ports, p) {
				ports = append(ports, p)
			}
		}
	}
	return ports
}

// PortOf returns the only port by which clients come to a backend, 0 when there are several or none.
func (f *File) PortOf(backend string) uint16 {
	if ports := f.portsOf(backend); len(ports) == 1 {
		return ports[0]
	}
	return 0
}

// ports refuses servers without a port where nobody knows which one they are reached or checked at.
func (d *decoder) ports() {
	for _, b := range d.file.Backends {
		uses := d.file.usesOf(b.Name)
		if len(uses) == 0 {
			continue // that it is not used has been said
		}
		ports := d.file.portsOf(b.Name)
		blamed := map[*backend.Check]bool{}
		for _, s := range b.Servers {
			if a := s.Address; !a.Valid() || a.Port() != 0 || a.Path != "" || a.FD != "" {
				continue
			}
			if len(ports) == 0 && !inherits(uses) {
				d.file.Bad(&s.Address, fmt.Sprintf("%s has no port, and no client comes to one", s.Address), fmt.Sprintf("Write %q.", s.Address.WithPort(80)))
				continue
			}
			if s.TLS == nil && b.Mode == h1.HTTP {
				d.clear(s, uses)
			}
			for _, c := range b.ChecksOf(s) {
				if c.Port != 0 || c.Address != nil && (c.Address.Port() != 0 || c.Address.Path != "") || len(ports) == 1 || blamed[c] {
					continue
				}
				blamed[c] = true
				d.file.Bad(c, fmt.Sprintf("nobody knows at which port to check server %q", s.Name),
					"The server has no port of its own, and clients do not come to one only. Add a port to the check, such as port = 3389.")
			}
		}
	}
}

// inherits reports whether clients may come by a descriptor, whose port is known when it is there.
func inherits(uses []*frontend.Config) bool {
	return slices.ContainsFunc(uses, func(f *frontend.Config) bool {
		return slices.ContainsFunc(f.Binds, func(b *frontend.Bind) bool { return b.Address.FD != "" })
	})
}

// clear warns of a server that is reached in the clear at the port where TLS is ended.
func (d *decoder) clear(s *backend.Server, uses []*frontend.Config) {
	for _, f := range uses {
		for _, b := range f.Binds {
			if b.TLS != "" && b.Address.Port() != 0 {
				d.file.Warn(&s.Address, fmt.Sprintf("%s has no port: clients of %s are led to its port %d, in the clear", s.Address, b.Address, b.Address.Port()),
					fmt.Sprintf("Write the port, as in %q, or add tls {} to the server.", s.Address.WithPort(80)))
				return
			}
		}
	}
}
