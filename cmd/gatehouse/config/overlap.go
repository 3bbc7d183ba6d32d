package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"gatehouse/backend/loop"
	"gatehouse/frontend"
)

// A door is an address with the frontend that listens on it.
type door struct {
	frontend *frontend.Config
	bind     *frontend.Bind
}

// overlaps refuses addresses that two binds want, unless the frontends' hosts tell the requests apart.
func (d *decoder) overlaps() {
	var doors []door
	for _, f := range d.file.Frontends {
		for _, b := range f.Binds {
			if !b.Address.Valid() {
				continue
			}
			for _, other := range doors {
				if d.clash(other, door{f, b}) {
					break // one complaint per address
				}
			}
			doors = append(doors, door{f, b})
		}
	}
}

// clash reports whether b cannot listen beside a, and says why.
func (d *decoder) clash(a, b door) bool {
	first := d.file.Range(&a.bind.Address)
	field := &b.bind.Address
	switch {
	case !overlap(a.bind.Address, b.bind.Address):
		return false
	case a.frontend != b.frontend && a.frontend.Name == b.frontend.Name:
		return false // two of one name: that has been said
	case a.frontend == b.frontend && a.bind.Address == b.bind.Address:
		d.file.Bad(field, fmt.Sprintf("%s is bound twice", field), fmt.Sprintf("The first bind is at %s. Keep one of them.", spot(first)))
	case a.bind.Address != b.bind.Address:
		d.file.Bad(field, fmt.Sprintf("%s is part of %s", inner(a, b), outer(a, b)),
			fmt.Sprintf("The other bind is at %s. Use the same address in both, or give every address of its own.", spot(first)))
	case (a.bind.TLS == "") != (b.bind.TLS == ""):
		d.file.Bad(field, fmt.Sprintf("%s is bound with tls and without", field),
			fmt.Sprintf("Frontend %q binds it at %s. An address speaks TLS or it does not.", a.frontend.Name, spot(first)))
	case a.frontend.Mode != b.frontend.Mode:
		d.file.Bad(field, fmt.Sprintf("%s is bound in mode %q and in mode %q", field, a.frontend.Mode, b.frontend.Mode),
			fmt.Sprintf("Frontend %q binds it at %s. Give one of them an address of its own.", a.frontend.Name, spot(first)))
	case !slices.Equal(a.bind.AcceptProxy, b.bind.AcceptProxy):
		d.file.Bad(field, fmt.Sprintf("%s is bound with different lists of accept_proxy", field),
			fmt.Sprintf("Frontend %q binds it at %s. Who comes by which address is known only behind the PROXY header: write the same list in both.", a.frontend.Name, spot(first)))
	case a.bind.HTTP3 != b.bind.HTTP3:
		d.file.Bad(field, fmt.Sprintf("%s is bound with http3 and without", field),
			fmt.Sprintf("Frontend %q binds it at %s. Write the same in both: clients of one host try for the other what they have learned.", a.frontend.Name, spot(first)))
	case a.bind.Freebind != b.bind.Freebind:
		d.file.Bad(field, fmt.Sprintf("%s is bound with freebind and without", field),
			fmt.Sprintf("Frontend %q binds it at %s. Write the same in both: the address is opened once.", a.frontend.Name, spot(first)))
	default:
		return d.sameHosts(a, b)
	}
	return true
}

// sameHosts reports whether two frontends on one address serve the same names, and says which.
func (d *decoder) sameHosts(a, b door) bool {
	first := spot(d.file.Range(&a.bind.Address))
	if len(a.frontend.Hosts) == 0 && len(b.frontend.Hosts) == 0 {
		d.file.Bad(&b.bind.Address, fmt.Sprintf("%s is bound by frontend %q too", &b.bind.Address, a.frontend.Name),
			fmt.Sprintf("It does so at %s. Frontends may share an address when their hosts tell them apart: give at least one of them hosts = […].", first))
		return true
	}
	for i, host := range b.frontend.Hosts {
		for _, other := range a.frontend.Hosts {
			if strings.EqualFold(host, other) {
				d.file.Bad(&b.frontend.Hosts[i], fmt.Sprintf("host %q on %s belongs to frontend %q too", host, &b.bind.Address, a.frontend.Name),
					fmt.Sprintf("That frontend binds the address at %s. Name the host in one of them.", first))
				return true
			}
		}
	}
	return false
}

// overlap reports whether a connection could arrive at both addresses.
func overlap(a, b loop.Addr) bool {
	if a.Path != "" || b.Path != "" || a.FD != "" || b.FD != "" || a.Host != "" || b.Host != "" {
		return a == b
	}
	return a.Port() == b.Port() && (covers(a.Addr(), b.Addr()) || covers(b.Addr(), a.Addr()))
}

// covers reports whether whoever listens on a gets what comes to b: no address at all is both wildcards.
func covers(a, b netip.Addr) bool {
	return !a.IsValid() || a == b || a.IsUnspecified() && b.IsValid() && a.Is4() == b.Is4()
}

// inner and outer name the two overlapping addresses, the narrower first.
func inner(a, b door) *loop.Addr {
	if covers(a.bind.Address.Addr(), b.bind.Address.Addr()) {
		return &b.bind.Address
	}
	return &a.bind.Address
}

func outer(a, b door) *loop.Addr {
	if inner(a, b) == &a.bind.Address {
		return &b.bind.Address
	}
	return &a.bind.Address
}

// redirects warns of redirects to https where no frontend speaks it.
func (d *decoder) redirects() {
	for _, f := range d.file.Frontends {
		for _, b := range f.Binds {
			if b.TLS != "" {
				return
			}
		}
	}
	for _, f := range d.file.Frontends {
		for _, b := range f.Binds {
			if b.Redirect == "https" {
				d.file.Warn(&b.Redirect, "redirect to https, but no bind has tls", "Unless another program serves https here, clients are sent to a closed door. Add a bind with tls = tls.NAME.")
			}
		}
	}
}
