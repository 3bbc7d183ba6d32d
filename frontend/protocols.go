package frontend

// The names of HTTP's versions (RFC 7301 6), as a bind lists them.
const (
	ProtocolHTTP1 = "http/1.1"
	ProtocolHTTP2 = "h2"
)

// Speaks returns the protocols that are spoken on the address, the preferred one first.
func (b *Bind) Speaks() []string {
	switch {
	case len(b.Protocols) > 0:
		return b.Protocols
	case b.TLS != "":
		return []string{ProtocolHTTP2, ProtocolHTTP1}
	}
	return []string{ProtocolHTTP1}
}
