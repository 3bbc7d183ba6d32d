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
			var t directive
			if t, v = nextDirective(v); t.text == nil {
				break
			}
			if t.invites() {
				continue
			}
			if len(out) > 0 {
				out = append(out, ", "...)
			}
			out = append(out, t.text...)
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
		var t directive
		if t, v = nextDirective(v); t.text == nil {
			break
		}
		switch {
		case t.bad:
			d.bad = true
			d.noStore = d.noStore || bytes.Contains(bytes.ToLower(t.text), []byte("no-store"))
		case t.invites():
			d.shared = true
		case h1.EqualFold(t.name, "private"):
			d.private = true
		case h1.EqualFold(t.name, "no-store") && !t.hasArg:
			d.noStore = true
		case h1.EqualFold(t.name, "must-understand"):
			d.mustUnderstand = true
		}
	}
}

// directive is one of Cache-Control (RFC 9111 5.2): a token, perhaps with "=" and a token or a quoted string.
type directive struct {
	text, name []byte
	hasArg     bool
	bad        bool // text is all the rest: nobody knows where it ends
}

// invites reports whether the directive has to go.
func (t *directive) invites() bool {
	return h1.EqualFold(t.name, "public") || h1.EqualFold(t.name, "s-maxage") || t.hasArg && h1.EqualFold(t.name, "private")
}

// nextDirective splits the first directive off a Cache-Control value. Empty elements of the list are skipped (RFC 9110
// 5.6.1.2). A nil text means that there was none.
func nextDirective(v []byte) (t directive, rest []byte) {
	i := 0
	for i < len(v) && (isBlank(v[i]) || v[i] == ',') {
		i++
	}
	if v = v[i:]; len(v) == 0 {
		return directive{}, nil
	}
	bad := directive{text: v, bad: true}
	n := tokenLen(v)
	t.name = v[:n]
	if n == 0 {
		return bad, nil
	}
	if n < len(v) && v[n] == '=' {
		t.hasArg = true
		arg := tokenLen(v[n+1:])
		if arg == 0 {
			arg = quotedLen(v[n+1:])
		}
		if arg == 0 {
			return bad, nil
		}
		n += 1 + arg
	}
	t.text = v[:n]
	n = skipBlank(v, n)
	if n < len(v) && v[n] != ',' {
		return bad, nil
	}
	return t, v[n:]
}

// tokenChar marks the characters of a token (RFC 9110 5.6.2).
var tokenChar = func() (t [256]bool) {
	for c := range 256 {
		t[c] = isToken(string([]byte{byte(c)}))
	}
	return
}()

// tokenLen returns the length of the token b starts with.
func tokenLen(b []byte) (n int) {
	for n < len(b) && tokenChar[b[n]] {
		n++
	}
	return n
}

// quotedLen returns the length of the quoted string b starts with (RFC 9110 5.6.4), 0 when there is none.
func quotedLen(b []byte) int {
	if len(b) == 0 || b[0] != '"' {
		return 0
	}
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return 0
}
