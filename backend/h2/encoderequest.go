package h2

import "gatehouse/backend/h1"

// AppendRequest appends the header block of a request (RFC 9113 8.3.1) to a server that is spoken to under TLS (secure) or in the clear. The
// authority is what the Host field says, which rules may have changed; without one there is none. Fields for the next hop alone stay
// out, but for "te: trailers", which some servers want to see before they send any.
func AppendRequest(dst []byte, r *h1.Request, secure bool) []byte {
	switch string(r.Method) {
	case "GET":
		dst = append(dst, 0x80|2)
	case "POST":
		dst = append(dst, 0x80|3)
	default:
		dst = appendPseudo(dst, 2, r.Method)
	}
	if secure {
		dst = append(dst, 0x80|7)
	} else {
		dst = append(dst, 0x80|6)
	}
	h := &r.Header
	if host := h.Get(h1.Host); len(host) > 0 {
		dst = appendPseudo(dst, 1, host)
	}
	if string(r.Target) == "/" {
		dst = append(dst, 0x80|4)
	} else {
		dst = appendPseudo(dst, 4, r.Target)
	}
	for i := range h.Len() {
		if id, name, value := h.At(i); name != nil && !connectional(id) {
			dst = AppendField(dst, id, name, value)
		}
	}
	if r.Trailers {
		dst = AppendField(dst, h1.TE, nameTE, valueTrailers)
	}
	if r.Continue {
		dst = AppendField(dst, h1.Expect, nameExpect, valueContinue)
	}
	return dst
}

var (
	nameTE        = []byte("te")
	valueTrailers = []byte("trailers")
	nameExpect    = []byte("expect")
	valueContinue = []byte("100-continue")
)

// appendPseudo appends a pseudo-header field whose name stands at that place of the static table.
func appendPseudo(dst []byte, place byte, value []byte) []byte {
	dst = appendInteger(append(dst, place), 0, 7, len(value))
	return append(dst, value...)
}

// connectional reports whether a field is about the connection, or is said in another way here.
func connectional(id h1.Name) bool {
	switch id {
	case h1.Host, h1.Connection, h1.KeepAlive, h1.ProxyConnection, h1.TransferEncoding, h1.Upgrade, h1.HTTP2Settings, h1.TE, h1.Expect:
		return true
	}
	return false
}
