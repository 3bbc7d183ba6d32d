package backend

import (
	"encoding/binary"
	"net/netip"
	"strconv"
)

// ProxyVersion is a version of the PROXY protocol, which tells a server whose connection it gets. 0: it is not told.
type ProxyVersion uint8

// The versions: a line of text, and a binary header.
const (
	ProxyV1 ProxyVersion = 1
	ProxyV2 ProxyVersion = 2
)

// proxyVersions are the words of the configuration.
var proxyVersions = []string{"", ProxyV1: "v1", ProxyV2: "v2"}

// String returns the word of the configuration.
func (v ProxyVersion) String() string { return word(v, proxyVersions) }

// UnmarshalText reads "v1" or "v2".
func (v *ProxyVersion) UnmarshalText(text []byte) error {
	for i, w := range proxyVersions {
		if i > 0 && string(text) == w {
			*v = ProxyVersion(i)
			return nil
		}
	}
	return refuse("version of the PROXY protocol", string(text), proxyVersions[1:])
}

// append appends the header for a connection that came from one address and in at another (PROXY protocol specification 2.1, 2.2).
// Addresses that are not known, those of unix sockets, are said to be unknown. IPv4 and IPv6 cannot be mixed; where they are, both
// are written as IPv6.
func (v ProxyVersion) append(b []byte, from, to netip.AddrPort) []byte {
	src, dst := from.Addr().Unmap().WithZone(""), to.Addr().Unmap().WithZone("")
	known := src.IsValid() && dst.IsValid()
	four := src.Is4() && dst.Is4()
	if v == ProxyV1 {
		switch {
		case !known:
			return append(b, "PROXY UNKNOWN\r\n"...)
		case four:
			b = append(b, "PROXY TCP4 "...)
		default:
			b = append(b, "PROXY TCP6 "...)
			src, dst = netip.AddrFrom16(src.As16()), netip.AddrFrom16(dst.As16())
		}
		b = append(src.AppendTo(b), ' ')
		b = append(dst.AppendTo(b), ' ')
		b = append(strconv.AppendUint(b, uint64(from.Port()), 10), ' ')
		b = strconv.AppendUint(b, uint64(to.Port()), 10)
		return append(b, "\r\n"...)
	}
	const (
		local, proxied = 0x20, 0x21 // version 2 and the command
		tcp4, tcp6     = 0x11, 0x21
	)
	b = append(b, "\r\n\r\n\x00\r\nQUIT\n"...)
	switch {
	case !known:
		return append(b, local, 0, 0, 0)
	case four:
		b = append(b, proxied, tcp4, 0, 12)
		s, d := src.As4(), dst.As4()
		b = append(append(b, s[:]...), d[:]...)
	default:
		b = append(b, proxied, tcp6, 0, 36)
		s, d := src.As16(), dst.As16()
		b = append(append(b, s[:]...), d[:]...)
	}
	b = binary.BigEndian.AppendUint16(b, from.Port())
	return binary.BigEndian.AppendUint16(b, to.Port())
}
