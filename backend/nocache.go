package backend

import (
	"bytes"

	"gatehouse/backend/h1"
)

// keepPrivate makes sure that no shared cache stores the answer, which carries somebody's persistence cookie. The shareable
// part of the answer is not what changes: our own cache reads it. A Cache-Control for this client alone goes to
// x.Own instead, and whoever writes the answer obeys one rule: a Cache-Control line in Own replaces every
// Cache-Control, CDN-Cache-Control and Surrogate-Control line of Resp.Header.
//
// Exactly one effective Cache-Control goes out. What it said stays ("max-age=60" is still good for the browser), but for
// "public" and "s-maxage", which invite shared caches, and a "private" or "no-store" that does not do what it seems to:
//
//   - "private" with a list of fields forbids to store these fields only (RFC 9111 5.2.2.7);
//   - "no-store" is ignored beside "must-understand" by caches that know the status (RFC 9111 5.2.2.3).
//
// Of a malformed one no two caches read the same: only the "no-store" in it is believed.
func keepPrivate(x *h1.Exchange) {
	h := &x.Resp.Header
	targeted := h.Has(h1.CDNCacheControl) || h.Has(h1.SurrogateControl)
	dropTargeted(h)

	var d directives
	for i := h.Index(h1.CacheControl, 0); i >= 0; i = h.Index(h1.CacheControl, i+1) {
		d.read(h.Value(i))
	}
	safe := d.private || d.noStore && !d.mustUnderstand
	if safe && !d.shared && !d.bad && d.lines == 1 && !targeted {
		return
	}
	if d.bad {
		if d.noStore {
			x.Own.AddString("Cache-Control", "private, no-store")
		} else {
			x.Own.AddString("Cache-Control", "private")
		}
		return
	}
	var room [512]byte
	out := room[:0]
	if !safe {
		out = append(out, "private"...)
	}
	for i := h.Index(h1.CacheControl, 0); i >= 0; i = h.Index(h1.CacheControl, i+1) {
		for v := h.Value(i); ; {
			var t h1.Directive
			if t, v = h1.NextDirective(v); t.Text == nil {
				break
			}
			if invites(&t) {
				continue
			}
			if len(out) > 0 {
				out = append(out, ", "...)
			}
			out = append(out, t.Text...)
		}
	}
	x.Own.Add("Cache-Control", out)
}

// dropTargeted takes out the fields by which an origin speaks to one brand of shared cache alone, past Cache-Control: any
// "NAME-Cache-Control" (RFC 9213 2.3 lets everybody define one) and nginx's X-Accel-Expires. Our own cache reads none of
// them. CDN-Cache-Control, which it does read, is known by name and stays.
func dropTargeted(h *h1.Header) {
	const suffix, accel = "-cache-control", "x-accel-expires"
	for i := range h.Len() {
		id, name, _ := h.At(i)
		if id == 0 && (len(name) == len(accel) && h1.EqualFold(name, accel) ||
			len(name) > len(suffix) && h1.EqualFold(name[len(name)-len(suffix):], suffix)) {
			h.DelAt(i)
		}
	}
}

// directives is what the Cache-Control lines of an answer say together.
type directives struct {
	private, noStore, mustUnderstand bool
	shared                           bool // something has to go
	bad                              bool
	lines                            int
}

func (d *directives) read(v []byte) {
	d.lines++
	for {
		var t h1.Directive
		if t, v = h1.NextDirective(v); t.Text == nil {
			break
		}
		switch {
		case t.Bad:
			d.bad = true
			d.noStore = d.noStore || bytes.Contains(bytes.ToLower(t.Text), []byte("no-store"))
		case invites(&t):
			d.shared = true
		case h1.EqualFold(t.Name, "private"):
			d.private = true
		case h1.EqualFold(t.Name, "no-store") && !t.HasArg:
			d.noStore = true
		case h1.EqualFold(t.Name, "must-understand"):
			d.mustUnderstand = true
		}
	}
}

// invites reports whether the directive has to go.
func invites(t *h1.Directive) bool {
	return h1.EqualFold(t.Name, "public") || h1.EqualFold(t.Name, "s-maxage") || t.HasArg && h1.EqualFold(t.Name, "private")
}
