package frontend

import "net/netip"

// monitorSet is a short list of networks: the supervisors' addresses. Each is asked in turn, which for a handful of them
// is quicker than any tree.
type monitorSet []netip.Prefix

// newMonitorSet returns the set of networks, IPv4 ones in their own form. Networks that are not valid are left out.
func newMonitorSet(networks []netip.Prefix) monitorSet {
	var s monitorSet
	for _, p := range networks {
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		if p = p.Masked(); p.IsValid() {
			s = append(s, p)
		}
	}
	return s
}

// has reports whether a is in one of the networks. A socket that takes both families gives IPv4 peers as ::ffff:192.0.2.1; a
// link-local one has a zone: neither matters here.
func (s monitorSet) has(a netip.Addr) bool {
	if len(s) == 0 {
		return false
	}
	a = a.Unmap().WithZone("")
	for _, p := range s {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
