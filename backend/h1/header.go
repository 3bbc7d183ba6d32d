package h1

import (
	"bytes"
	"iter"
)

// Header is the field section of one message (RFC 9110 5): its lines in the order and the spelling in which they
// came, all in one buffer. It is reused from message to message; everything it returns is valid until
// the next change of it.
type Header struct {
	buf  []byte // the lines; what is added goes to its end
	line []line
	has  uint64 // a bit for every known name that was ever in: a cleared bit proves absence
	came int    // 1 + how many lines the peer sent, 0: it sent them all

	ready *Ready // of the first lines; nil: none
}

// line is one field line, as ranges of buf.
type line struct {
	off, end int32 // with CRLF
	v0, v1   int32 // the value without the white space around it
	n        int16 // length of the name
	id       Name
	gone     bool
}

// Reset empties h and keeps its memory.
func (h *Header) Reset() { h.buf, h.line, h.has, h.came, h.ready = h.buf[:0], h.line[:0], 0, 0, nil }

// Seal notes that the lines so far are what the peer sent, unless that was noted before: lines that are added from now on are this
// proxy's own word.
func (h *Header) Seal() {
	if h.came == 0 {
		h.came = 1 + len(h.line)
	}
}

// Came returns how many places, from the first one on, the lines have that the peer sent.
func (h *Header) Came() int {
	if h.came == 0 {
		return len(h.line)
	}
	return h.came - 1
}

// Len returns the number of places At knows, deleted ones included.
func (h *Header) Len() int { return len(h.line) }

// At returns the line at place i. A deleted line has a nil name.
func (h *Header) At(i int) (id Name, name, value []byte) {
	f := &h.line[i]
	if f.gone {
		return 0, nil, nil
	}
	return f.id, h.buf[f.off : f.off+int32(f.n)], h.buf[f.v0:f.v1]
}

// All yields the lines in order. Lines may be deleted or replaced meanwhile.
func (h *Header) All() iter.Seq2[int, []byte] {
	return func(yield func(int, []byte) bool) {
		for i := range h.line {
			if f := &h.line[i]; !f.gone && !yield(i, h.buf[f.off:f.off+int32(f.n)]) {
				return
			}
		}
	}
}

// Has reports whether a line of that known name is there.
func (h *Header) Has(id Name) bool { return h.Index(id, 0) >= 0 }

// Index returns the place of the first line of that known name at or after place from, or -1.
func (h *Header) Index(id Name, from int) int {
	if h.has&(1<<id) == 0 {
		return -1
	}
	for i := from; i < len(h.line); i++ {
		if f := &h.line[i]; f.id == id && !f.gone {
			return i
		}
	}
	return -1
}

// Get returns the value of the first line of that known name, nil when there is none. (An empty
// value is not nil.)
func (h *Header) Get(id Name) []byte {
	if i := h.Index(id, 0); i >= 0 {
		return h.Value(i)
	}
	return nil
}

// Value returns the value at place i.
func (h *Header) Value(i int) []byte { return h.buf[h.line[i].v0:h.line[i].v1:h.line[i].v1] }

// GetName is Get for any name, in any case.
func (h *Header) GetName(name string) []byte {
	if i := h.IndexName(name, 0); i >= 0 {
		return h.Value(i)
	}
	return nil
}

// IndexName is Index for any name, in any case.
func (h *Header) IndexName(name string, from int) int {
	for i := from; i < len(h.line); i++ {
		f := &h.line[i]
		if !f.gone && int(f.n) == len(name) && EqualFold(h.buf[f.off:f.off+int32(f.n)], name) {
			return i
		}
	}
	return -1
}

// Add appends a line. The name and the value must be valid: they are written as they are.
//
//go:noinline // inlined into another package, the generic add makes the caller's value escape to the heap
func (h *Header) Add(name string, value []byte) { add(h, name, value) }

// AddString is Add of a string.
func (h *Header) AddString(name, value string) { add(h, name, value) }

func add[V []byte | string](h *Header, name string, value V) {
	off := len(h.buf)
	h.buf = append(append(h.buf, name...), ": "...)
	v0 := len(h.buf)
	h.buf = append(append(h.buf, value...), "\r\n"...)
	id := nameOf(h.buf[off : off+len(name)])
	h.line = append(h.line, line{off: int32(off), end: int32(len(h.buf)), v0: int32(v0), v1: int32(v0 + len(value)), n: int16(len(name)), id: id})
	h.has |= 1 << id
}

// SetValue replaces the value at place i; the line keeps its place and the spelling of its name.
func (h *Header) SetValue(i int, value []byte) {
	h.changed(i)
	f := &h.line[i]
	off := len(h.buf)
	// The value may be a range of buf: append copies before it writes over anything.
	h.buf = append(append(h.buf, h.buf[f.off:f.off+int32(f.n)]...), ": "...)
	v0 := len(h.buf)
	h.buf = append(append(h.buf, value...), "\r\n"...)
	f.off, f.end, f.v0, f.v1 = int32(off), int32(len(h.buf)), int32(v0), int32(v0+len(value))
}

// DelAt deletes the line at place i.
func (h *Header) DelAt(i int) {
	h.changed(i)
	h.line[i].gone = true
}

// changed notes that the line at place i is about to be changed.
func (h *Header) changed(i int) {
	if h.ready != nil && i < h.ready.lines {
		h.ready = nil
	}
}

// Del deletes every line of that known name.
func (h *Header) Del(id Name) {
	for i := h.Index(id, 0); i >= 0; i = h.Index(id, i+1) {
		h.DelAt(i)
	}
	h.has &^= 1 << id
}

// DelName is Del for any name, in any case.
func (h *Header) DelName(name string) {
	for i := h.IndexName(name, 0); i >= 0; i = h.IndexName(name, i+1) {
		h.DelAt(i)
	}
}

// AppendTo appends the lines, each with CRLF, to dst: neighbours are copied in one piece.
func (h *Header) AppendTo(dst []byte) []byte {
	for i := 0; i < len(h.line); {
		f := &h.line[i]
		i++
		if f.gone {
			continue
		}
		end := f.end
		for ; i < len(h.line) && !h.line[i].gone && h.line[i].off == end; i++ {
			end = h.line[i].end
		}
		dst = append(dst, h.buf[f.off:end]...)
	}
	return dst
}

// CopyFrom makes h an independent copy of o.
func (h *Header) CopyFrom(o *Header) {
	h.buf, h.line, h.has, h.came, h.ready = append(h.buf[:0], o.buf...), append(h.line[:0], o.line...), o.has, o.came, o.ready
}

// Size returns the bytes AppendTo would append.
func (h *Header) Size() int {
	n := 0
	for i := range h.line {
		if f := &h.line[i]; !f.gone {
			n += int(f.end - f.off)
		}
	}
	return n
}

// HasToken reports whether a line of that name lists the token, in any case (RFC 9110 5.6.1).
func (h *Header) HasToken(id Name, token string) bool {
	for i := h.Index(id, 0); i >= 0; i = h.Index(id, i+1) {
		for v := h.Value(i); len(v) > 0; {
			var t []byte
			if t, v = NextToken(v); EqualFold(t, token) {
				return true
			}
		}
	}
	return false
}

// NextToken splits a comma-separated list at its first comma and trims the white space.
func NextToken(v []byte) (token, rest []byte) {
	if i := bytes.IndexByte(v, ','); i >= 0 {
		return trim(v[:i]), v[i+1:]
	}
	return trim(v), nil
}

// trim removes optional white space (RFC 9110 5.6.3) from both ends.
func trim(v []byte) []byte {
	for len(v) > 0 && (v[0] == ' ' || v[0] == '\t') {
		v = v[1:]
	}
	for len(v) > 0 && (v[len(v)-1] == ' ' || v[len(v)-1] == '\t') {
		v = v[:len(v)-1]
	}
	return v
}
