package backend

import (
	"net/netip"

	"gatehouse/backend/h1"
)

const xForwardedFor = "X-Forwarded-For"

// forward is a forwardfor block at work: it tells the server who asks. It is immutable, and all loops share it.
type forward struct {
	header          string
	except, trusted []netip.Prefix
}

// newForward makes the block work. A missing block is one with nothing in it, which is on; for one that is switched off,
// newForward returns nil.
func newForward(c *Forwardfor) *forward {
	if c == nil {
		return &forward{header: xForwardedFor}
	}
	if !c.Enabled {
		return nil
	}
	f := &forward{header: c.Header, except: unmapAll(c.Except), trusted: unmapAll(c.Trusted)}
	if f.header == "" {
		f.header = xForwardedFor
	}
	return f
}

// tell sets the fields of the request by where it comes from:
//
//   - except: somebody in front has told already; nothing is touched;
//   - trusted: what a proxy in front says stays, and its own address goes to the end of the list;
//   - everybody else: whatever says something about the client, or about another URL or method than the request's, is taken
//     out and said anew.
//
// A nil forward does nothing. A client without an address, one of a unix socket, is everybody else, and no address is added.
func (f *forward) tell(x *h1.Exchange) {
	if f == nil {
		return
	}
	peer := x.Peer.Addr().Unmap().WithZone("")
	if within(f.except, peer) {
		return
	}
	var room [512]byte
	h, list := &x.Req.Header, room[:0]
	if within(f.trusted, peer) {
		list = f.take(h, list)
	} else {
		f.clean(h)
	}
	if peer.IsValid() {
		if len(list) > 0 {
			list = append(list, ", "...)
		}
		list = peer.AppendTo(list)
	}
	// A line of its own after all others: applications that take the last one are right too.
	if len(list) > 0 {
		h.Add(f.header, list)
	}
	if len(h.Get(h1.XForwardedProto)) == 0 {
		h.Del(h1.XForwardedProto)
		if x.Req.Secure {
			h.AddString("X-Forwarded-Proto", "https")
		} else {
			h.AddString("X-Forwarded-Proto", "http")
		}
	}
}

// take takes the lines of the field out and appends their values to list: several lines are one list (RFC 9110 5.3).
func (f *forward) take(h *h1.Header, list []byte) []byte {
	for i := h.IndexName(f.header, 0); i >= 0; i = h.IndexName(f.header, i+1) {
		if v := h.Value(i); len(v) > 0 {
			if len(list) > 0 {
				list = append(list, ", "...)
			}
			list = append(list, v...)
		}
		h.DelAt(i)
	}
	return list
}

// clean takes out what only a proxy may say, as far as the client said it. X-Original-URL and its like make some applications answer
// another request than the one that was routed and cached.
func (f *forward) clean(h *h1.Header) {
	const prefix = "x-forwarded-"
	for i := range h.Came() {
		switch id, name, _ := h.At(i); id {
		case h1.XForwardedFor, h1.XForwardedProto, h1.XForwardedHost, h1.Forwarded, h1.XRealIP,
			h1.XOriginalURL, h1.XRewriteURL, h1.XHTTPMethodOverride:
			h.DelAt(i)
		case 0:
			if len(name) > len(prefix) && h1.EqualFold(name[:len(prefix)], prefix) {
				h.DelAt(i)
			}
		}
	}
	if f.header != xForwardedFor {
		h.DelName(f.header)
	}
}

func within(nets []netip.Prefix, a netip.Addr) bool {
	for _, n := range nets {
		if n.Contains(a) {
			return true
		}
	}
	return false
}

// unmapAll makes IPv4 networks of those written inside IPv6, as addresses are compared unmapped.
func unmapAll(nets []netip.Prefix) (out []netip.Prefix) {
	for _, n := range nets {
		if n.Addr().Is4In6() && n.Bits() >= 96 {
			n = netip.PrefixFrom(n.Addr().Unmap(), n.Bits()-96)
		}
		out = append(out, n.Masked())
	}
	return out
}
