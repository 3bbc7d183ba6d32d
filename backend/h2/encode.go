package h2

import (
	"slices"

	"gatehouse/backend/h1"
)

// What is written here never uses the dynamic table: every field is a literal without indexing, whose name stands in the static table if
// possible. The most that saves is some bytes of every response; what it costs is a table for every connection, and looking up every
// field in it. HAProxy and nginx do the same.

// AppendTableSize appends the change of the dynamic table's size to 0. The first block after a peer allows less than TableSize begins with it.
func AppendTableSize(dst []byte) []byte { return append(dst, 0x20) }

// AppendStatus appends the :status of a response.
func AppendStatus(dst []byte, status int) []byte {
	switch status {
	case 200:
		return append(dst, 0x80|8)
	case 204:
		return append(dst, 0x80|9)
	case 206:
		return append(dst, 0x80|10)
	case 304:
		return append(dst, 0x80|11)
	case 400:
		return append(dst, 0x80|12)
	case 404:
		return append(dst, 0x80|13)
	case 500:
		return append(dst, 0x80|14)
	}
	return append(dst, 8, 3, byte('0'+status/100%10), byte('0'+status/10%10), byte('0'+status%10))
}

// AppendField appends a field; its name may be in any case. id is what h1 knows it as, 0 for nothing.
func AppendField(dst []byte, id h1.Name, name, value []byte) []byte {
	// "Literal Header Field Never Indexed": whoever passes it on must not index it either (RFC 7541 7.1.3).
	secret := byte(0)
	if id == h1.SetCookie || id == h1.Authorization || id == h1.Cookie {
		secret = 0x10
	}
	switch p := placeOf(id); {
	case p == 0:
		dst = appendInteger(append(dst, secret), 0, 7, len(name))
		n := len(dst)
		dst = append(dst, name...)
		for i, c := range dst[n:] {
			dst[n+i] = lower[c]
		}
	case p < 15:
		dst = append(dst, secret|p)
	case len(value) < 127: // as good as always
		return append(append(dst, secret|15, p-15, byte(len(value))), value...)
	default:
		dst = append(dst, secret|15, p-15)
	}
	dst = appendInteger(dst, 0, 7, len(value))
	return append(dst, value...)
}

// AppendHeader appends the fields of h. Of those that are ready they are looked at once only: a head of eight fields takes 130 ns, and 20 ns
// when they are.
func AppendHeader(dst []byte, h *h1.Header) []byte {
	r := h.Ready()
	if r == nil {
		return appendLines(dst, h, 0, h.Len())
	}
	form := r.Form()
	if form == nil {
		form = appendLines([]byte{}, h, 0, r.Lines())
		r.SetForm(slices.Clip(form))
	}
	return appendLines(append(dst, form...), h, r.Lines(), h.Len())
}

// appendLines appends the fields from place i up to, and without, to.
func appendLines(dst []byte, h *h1.Header, i, to int) []byte {
	for ; i < to; i++ {
		if id, name, value := h.At(i); name != nil {
			dst = AppendField(dst, id, name, value)
		}
	}
	return dst
}

// appendInteger appends an integer whose prefix has that many bits, below others that are given.
func appendInteger(dst []byte, others byte, bits uint, n int) []byte {
	m := 1<<bits - 1
	if n < m {
		return append(dst, others|byte(n))
	}
	dst = append(dst, others|byte(m))
	for n -= m; n >= 0x80; n >>= 7 {
		dst = append(dst, byte(n)|0x80)
	}
	return append(dst, byte(n))
}

// lower folds ASCII letters.
var lower = func() (t [256]byte) {
	for c := range t {
		if t[c] = byte(c); c >= 'A' && c <= 'Z' {
			t[c] += 'a' - 'A'
		}
	}
	return
}()
