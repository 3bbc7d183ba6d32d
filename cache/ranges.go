package cache

import (
	"bytes"
	"crypto/rand"
	"strconv"

	"gatehouse/backend/h1"
)

// maxRanges bounds the ranges of one request; those who want more get the whole (RFC 9110 14.2).
const maxRanges = 16

// span is the bytes from from up to, and without, to.
type span struct{ from, to int64 }

// selectRanges makes the response a part of the stored content, if the request wants one and has a right to it (RFC 9110 14.2). It
// reports false when the whole is to be sent.
func (a *ask) selectRanges(e *entry) bool {
	h := &a.x.Req.Header
	i := h.Index(h1.Range, 0)
	if h.Index(h1.Range, i+1) >= 0 || h.Has(h1.IfRange) && !ifRange(h.Get(h1.IfRange), e) {
		return false
	}
	var room [maxRanges]span
	list, ok := parseRanges(room[:0], h.Value(i), e.size)
	if !ok {
		return false
	}
	r := &a.x.Resp
	var text [80]byte
	switch len(list) {
	case 0:
		r.Status, r.Reason, r.Length = 416, reasonRange, 0
		setField(&r.Header, h1.ContentLength, "Content-Length", []byte("0"))
		r.Header.Del(h1.ContentType)
		r.Header.Del(h1.ContentEncoding)
		b := append(text[:0], "bytes */"...)
		r.Header.Add("Content-Range", strconv.AppendInt(b, e.size, 10))
		return true
	case 1:
		s := list[0]
		r.Header.Add("Content-Range", appendContentRange(text[:0], s, e.size))
		a.one[0] = segment{from: s.from, to: s.to}
		a.segments = a.one[:]
		r.Length = s.to - s.from
	default:
		r.Length = a.multipart(list, e)
	}
	r.Status, r.Reason = 206, reasonPartial
	setField(&r.Header, h1.ContentLength, "Content-Length", strconv.AppendInt(text[:0], r.Length, 10))
	a.supply(e)
	return true
}

// setField puts one line in the place of those of that name.
func setField(h *h1.Header, id h1.Name, name string, value []byte) {
	h.Del(id)
	h.Add(name, value)
}

func appendContentRange(dst []byte, s span, size int64) []byte {
	dst = strconv.AppendInt(append(dst, "bytes "...), s.from, 10)
	dst = strconv.AppendInt(append(dst, '-'), s.to-1, 10)
	return strconv.AppendInt(append(dst, '/'), size, 10)
}

// multipart makes the segments of several ranges (RFC 9110 14.6) and returns the length of it all.
func (a *ask) multipart(list []span, e *entry) (length int64) {
	boundary := rand.Text()
	kind := bytes.Clone(a.x.Resp.Header.Get(h1.ContentType))
	setField(&a.x.Resp.Header, h1.ContentType, "Content-Type", []byte("multipart/byteranges; boundary="+boundary))
	a.segments = nil
	for i, s := range list {
		var b []byte
		if i > 0 {
			b = append(b, "\r\n"...)
		}
		b = append(append(append(b, "--"...), boundary...), "\r\n"...)
		if kind != nil {
			b = append(append(append(b, "Content-Type: "...), kind...), "\r\n"...)
		}
		b = append(appendContentRange(append(b, "Content-Range: "...), s, e.size), "\r\n\r\n"...)
		a.segments = append(a.segments, segment{text: b}, segment{from: s.from, to: s.to})
		length += int64(len(b)) + s.to - s.from
	}
	end := []byte("\r\n--" + boundary + "--\r\n")
	a.segments = append(a.segments, segment{text: end})
	return length + int64(len(end))
}

// ifRange reports whether the validator of If-Range is the stored answer's: an entity tag, which must be strong, or the very
// Last-Modified, which must be old enough to be one (RFC 9110 13.1.5 and 8.8.2.2).
func ifRange(v []byte, e *entry) bool {
	if tag, _, ok := nextTag(v); ok {
		return tag[0] == '"' && bytes.Equal(tag, e.head.Get(h1.ETag))
	}
	t, ok := h1.ParseDate(v)
	return ok && e.changed != 0 && t.Unix() == e.changed && e.date > e.changed
}

// parseRanges reads a Range field (RFC 9110 14.1.2) and appends the ranges that exist in content of that size to list. It is not ok
// for what is no set of byte ranges, for too many of them, and for ranges that overlap: the field is ignored then.
func parseRanges(list []span, v []byte, size int64) (_ []span, ok bool) {
	unit, set, ok := bytes.Cut(v, []byte("="))
	if !ok || !h1.EqualFold(trimBlank(unit), "bytes") {
		return nil, false
	}
	n := 0
	for more := true; more; {
		var spec []byte
		spec, set, more = bytes.Cut(set, []byte(","))
		if spec = trimBlank(spec); len(spec) == 0 {
			continue
		}
		if n++; n > maxRanges {
			return nil, false
		}
		s, exists, valid := parseRange(spec, size)
		if !valid {
			return nil, false
		}
		if !exists {
			continue
		}
		for _, o := range list {
			if s.from < o.to && o.from < s.to {
				return nil, false
			}
		}
		list = append(list, s)
	}
	return list, n > 0
}

// parseRange reads "0-499", "500-" or "-500".
func parseRange(spec []byte, size int64) (s span, exists, valid bool) {
	first, last, ok := bytes.Cut(spec, []byte("-"))
	if !ok {
		return s, false, false
	}
	from, okFrom := parseOffset(first)
	to, okTo := parseOffset(last)
	switch {
	case len(first) == 0 && okTo: // the last so many bytes
		return span{max(0, size-to), size}, to > 0 && size > 0, true
	case !okFrom || len(last) > 0 && (!okTo || to < from):
		return s, false, false
	case len(last) == 0 || to >= size:
		to = size - 1
	}
	return span{from, to + 1}, from < size, true
}

// parseOffset reads digits. What is beyond all content counts as that.
func parseOffset(b []byte) (n int64, ok bool) {
	const beyond = 1 << 58
	if len(b) == 0 {
		return 0, false
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = min(n*10+int64(c-'0'), beyond)
	}
	return n, true
}
