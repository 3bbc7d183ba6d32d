package cache

import (
	"bytes"

	"gatehouse/backend/h1"
)

// directives is what the Cache-Control lines of one message say together (RFC 9111 5.2). The zero directives is not what an
// absent field says: readDirectives makes that.
type directives struct {
	noStore, private, public         bool
	noCache                          bool // without a list of fields
	mustRevalidate, proxyRevalidate  bool
	mustUnderstand, onlyIfCached     bool
	maxAge, sMaxAge                  int64 // seconds, absent: not there
	minFresh                         int64
	staleWhileRevalidate, staleError int64    // RFC 5861
	hidden                           [][]byte // fields that may not be stored: those no-cache="…" and private="…" list

	// malformed: nobody knows what the rest of a line says. It may have said "private", so for what is stored it counts as
	// that.
	malformed bool
}

// absent is the number of seconds of a directive that is not there.
const absent = -1

// longest is what larger numbers of seconds stand for: "If a cache receives a delta-seconds value greater than the greatest
// integer it can represent, or if any of its subsequent calculations overflows, the cache MUST consider the value to be
// 2147483648 (2^31) or the greatest positive integer it can conveniently represent." (RFC 9111 1.2.2)
const longest = 1 << 31

// readDirectives reads the Cache-Control lines of h. It allocates only where a directive lists fields; what it returns
// holds ranges of h.
func readDirectives(h *h1.Header) directives {
	d := directives{maxAge: absent, sMaxAge: absent, minFresh: absent, staleWhileRevalidate: absent, staleError: absent}
	for i := h.Index(h1.CacheControl, 0); i >= 0; i = h.Index(h1.CacheControl, i+1) {
		d.read(h.Value(i))
	}
	return d
}

// read takes in one line.
func (d *directives) read(v []byte) {
	for {
		var t h1.Directive
		switch t, v = h1.NextDirective(v); {
		case t.Text == nil:
			return
		case t.Bad:
			d.malformed = true
			// What cannot be read may still forbid.
			d.noStore = d.noStore || bytes.Contains(bytes.ToLower(t.Text), []byte("no-store"))
			return
		case t.Quoted:
			d.take(t.Name, unquote(t.Arg[1:len(t.Arg)-1]), true)
		default:
			d.take(t.Name, t.Arg, false)
		}
	}
}

// take takes in one directive. arg is nil when there is none; of a quoted one it is what stands between the quotes.
func (d *directives) take(name, arg []byte, quoted bool) {
	switch {
	case h1.EqualFold(name, "max-age"):
		d.maxAge = shortest(d.maxAge, arg)
	case h1.EqualFold(name, "s-maxage"):
		d.sMaxAge = shortest(d.sMaxAge, arg)
	case h1.EqualFold(name, "min-fresh"):
		d.minFresh = shortest(d.minFresh, arg)
	case h1.EqualFold(name, "stale-while-revalidate"):
		d.staleWhileRevalidate = shortest(d.staleWhileRevalidate, arg)
	case h1.EqualFold(name, "stale-if-error"):
		d.staleError = shortest(d.staleError, arg)
	case h1.EqualFold(name, "no-store"):
		d.noStore = true
	case h1.EqualFold(name, "private"):
		// Unquoted lists are not what RFC 9111 5.2.2.7 defines: then all of the answer is private.
		if quoted {
			d.hide(arg)
		} else {
			d.private = true
		}
	case h1.EqualFold(name, "no-cache"):
		if quoted {
			d.hide(arg)
		} else {
			d.noCache = true
		}
	case h1.EqualFold(name, "public"):
		d.public = true
	case h1.EqualFold(name, "must-revalidate"):
		d.mustRevalidate = true
	case h1.EqualFold(name, "proxy-revalidate"):
		d.proxyRevalidate = true
	case h1.EqualFold(name, "must-understand"):
		d.mustUnderstand = true
	case h1.EqualFold(name, "only-if-cached"):
		d.onlyIfCached = true
	}
}

// hide adds a list of field names to those that are not stored. A list that cannot be read makes the whole malformed.
func (d *directives) hide(list []byte) {
	found := false
	for more := true; more; {
		var name []byte
		name, list, more = bytes.Cut(list, []byte(","))
		if name = trimBlank(name); len(name) == 0 {
			continue
		}
		if !h1.IsToken(name) {
			d.malformed = true
			return
		}
		d.hidden = append(d.hidden, name)
		found = true
	}
	if !found {
		d.malformed = true
	}
}

// hides reports whether the field of that name must not be stored.
func (d *directives) hides(name []byte) bool {
	for _, n := range d.hidden {
		if h1.EqualFold(n, string(name)) {
			return true
		}
	}
	return false
}

// shortest takes in another number of seconds: "If directives conflict (e.g., both max-age and no-cache are present), the
// most restrictive directive should be honored." (RFC 9111 4.2.1) What is no number is 0: "caches are encouraged to consider
// responses that have invalid freshness information (e.g., a max-age directive with non-integer content) to be stale."
func shortest(seconds int64, arg []byte) int64 {
	n, ok := parseSeconds(arg)
	if !ok {
		n = 0
	}
	if seconds == absent {
		return n
	}
	return min(seconds, n)
}

// parseSeconds reads delta-seconds (RFC 9111 1.2.2): digits and nothing else.
func parseSeconds(b []byte) (n int64, ok bool) {
	if len(b) == 0 {
		return 0, false
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		if n = n*10 + int64(c-'0'); n > longest {
			n = longest
		}
	}
	return n, true
}

// unquote takes the backslashes out of the inside of a quoted string.
func unquote(b []byte) []byte {
	if bytes.IndexByte(b, '\\') < 0 {
		return b
	}
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		if b[i] == '\\' && i+1 < len(b) {
			i++
		}
		out = append(out, b[i])
	}
	return out
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

func trimLeft(b []byte) []byte {
	for len(b) > 0 && isBlank(b[0]) {
		b = b[1:]
	}
	return b
}

// trimBlank removes optional white space from both ends (RFC 9110 5.6.3).
func trimBlank(b []byte) []byte {
	b = trimLeft(b)
	for len(b) > 0 && isBlank(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}
