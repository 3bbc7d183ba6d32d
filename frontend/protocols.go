package frontend

import "slices"

// The names of HTTP's versions (RFC 7301 6), as a bind lists them.
const (
	ProtocolHTTP1 = "http/1.1"
	ProtocolHTTP2 = "h2"
)

// protocolHTTP10 is what few programs call the version that is spoken by the same words ("curl --http1.0"). Whoever offers nothing else would be
// turned away: "In the event that the server supports no protocols that the client advertises, then the server SHALL respond with a fatal
// "no_application_protocol" alert." (RFC 7301 3.2)
const protocolHTTP10 = "http/1.0"

// Speaks returns the protocols that are spoken on the address, the preferred one first.
func (b *Bind) Speaks() []string {
	switch {
	case slices.Contains(b.Protocols, ProtocolHTTP1):
		return append(slices.Clone(b.Protocols), protocolHTTP10)
	case len(b.Protocols) > 0:
		return b.Protocols
	case b.TLS != "":
		return []string{ProtocolHTTP2, ProtocolHTTP1, protocolHTTP10}
	}
	return []string{ProtocolHTTP1}
}
