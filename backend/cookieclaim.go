package backend

import (
	"bytes"

	"gatehouse/backend/h1"
)

// claim reads the cookies of the request, finds the server they name, and takes out what servers are not to see. st
// is what the servers take at the moment, in declaration order; now is the time in Unix seconds. It notes for the
// log how the cookie came: N none, I no known server, D its server is down, V good, E not seen for too
// long, O given too long ago.
//
// Where several cookies of the name came, the first one that names a usable server wins. A server that is failing
// still takes its holders; the log says D.
func (p *persistence) claim(x *h1.Exchange, st []standing, now int64) claim {
	w := walk{p: p, st: st, now: now, claim: claim{server: -1}, flag: 'N'}
	h := &x.Req.Header
	for i := h.Index(h1.Cookie, 0); i >= 0; i = h.Index(h1.Cookie, i+1) {
		v := h.Value(i)
		switch n, changed := w.line(v); {
		case !changed:
		case n == 0:
			h.DelAt(i)
		default:
			h.SetValue(i, v[:n])
		}
	}
	if p.logged() {
		x.Note.CookieIn, x.Note.CookieOut = w.flag, 'N'
	}
	return w.claim
}

// walk is the state of one claim.
type walk struct {
	p     *persistence
	st    []standing
	now   int64
	claim claim
	flag  byte
}

// item is one cookie of a Cookie line, as ranges of the line's value.
type item struct {
	start, end       int // without white space around it
	name, eq, v0, v1 int // name is start to name; eq is -1 without "="; the value is v0 to v1
	next             int // the delimiter after it, or the end of the line
}

// nextItem finds the cookie that starts at or after place i. Cookies are separated by ";" and, as in RFC 2109, by
// ",", outside of double quotes in a value. A backslash in quotes hides the character after it.
func nextItem(v []byte, i int) item {
	t := item{start: skipBlank(v, i), eq: -1}
	quoted := false
	j := t.start
scan:
	for ; j < len(v); j++ {
		switch c := v[j]; {
		case c == '=' && t.eq < 0:
			t.eq = j
		case c == '"' && t.eq >= 0:
			quoted = !quoted
		case c == '\\' && quoted:
			j++
		case (c == ';' || c == ',') && !quoted:
			break scan
		}
	}
	t.next = min(j, len(v))
	t.end = trimBlank(v, t.start, t.next)
	if t.eq >= 0 {
		t.name = trimBlank(v, t.start, t.eq)
		t.v0 = min(skipBlank(v, t.eq+1), t.end)
		t.v1 = t.end
	}
	return t
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

func skipBlank(v []byte, i int) int {
	for i < len(v) && isBlank(v[i]) {
		i++
	}
	return i
}

func trimBlank(v []byte, start, end int) int {
	for end > start && isBlank(v[end-1]) {
		end--
	}
	return end
}

// line walks one Cookie line and edits it in place: what it leaves is never longer. n is its new length, 0 when no
// cookie is left.
//
// Only the modes that edit requests touch anything, and then they also take out white space around "=", so that
// what a server sees is read alike by everybody. All other bytes stay, separators included: one goes with
// the cookie after it.
func (w *walk) line(v []byte) (n int, changed bool) {
	edits := w.p.Mode == Prefix || w.p.Mode == Insert && w.p.Indirect
	kept := false    // a cookie is left
	removed := false // the cookie before was taken out, and its attributes go with it
	last := 0        // the end of the item before
	for i := 0; ; {
		t := nextItem(v, i)
		attribute := t.start < t.end && v[t.start] == '$'
		ours := t.eq >= 0 && string(v[t.start:t.name]) == w.p.Name
		cut := 0 // of the value's start
		if ours {
			cut = w.cookie(v[t.v0:t.v1])
		}
		switch removed = ours && w.p.Mode == Insert || attribute && removed; {
		case !edits:
		case removed:
			changed = true
		default:
			sep := v[last:t.start]
			if n > 0 || last == 0 {
				n += copy(v[n:], sep)
			}
			from := n
			if t.eq < 0 {
				n += copy(v[n:], v[t.start:t.end])
			} else {
				n += copy(v[n:], v[t.start:t.name])
				n += copy(v[n:], "=")
				n += copy(v[n:], v[t.v0+cut:t.v1])
			}
			changed = changed || n-from != t.end-t.start
			kept = kept || !attribute && t.start < t.end
		}
		if i, last = t.next+1, t.end; t.next >= len(v) {
			break
		}
	}
	if !kept {
		n = 0
	}
	return n, changed
}

// cookie reads one cookie of the right name and chooses its server, unless one is chosen already. It returns how many
// bytes of the value are not the application's.
func (w *walk) cookie(value []byte) (cut int) {
	c := claim{server: -1}
	if w.p.Mode == Prefix {
		if i := bytes.IndexByte(value, prefixSep); i >= 0 {
			value, cut = value[:i], i+1
		}
	} else if i := bytes.IndexByte(value, dateSep); i >= 0 {
		last, first, _ := bytes.Cut(value[i+1:], []byte{dateSep})
		c.last, c.first = parseDate(last), parseDate(first)
		value = value[:i]
	}
	if w.claim.server >= 0 {
		return cut
	}
	if flag := w.p.outdated(c, w.now); flag != 0 {
		w.flag = flag
		return cut
	}
	for i, v := range w.p.values {
		if v == "" || !w.p.names(value, v) {
			continue
		}
		// A cookie of a known server keeps its dates also when another server answers: max_life counts on.
		w.claim.last, w.claim.first = c.last, c.first
		switch w.st[i] {
		case open, closing:
			w.claim.server, w.flag = i, 'V'
			return cut
		case failing:
			w.claim.server, w.flag = i, 'D'
			return cut
		}
		w.flag = 'D'
	}
	if w.flag == 'N' {
		w.flag = 'I'
	}
	return cut
}
