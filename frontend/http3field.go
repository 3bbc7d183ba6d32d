package frontend

import (
	"strconv"

	"github.com/quic-go/quic-go/quicvarint"

	"gatehouse/backend/h1"
)

// Heads and content as frames of HTTP/3 (RFC 9114 7.2), with fields as QPACK has them (RFC 9204). Nothing is put into the dynamic table, whose
// use would make answers wait for one another, and nothing is squeezed by Huffman's code: neither is worth its time.

const (
	frame3Data    = 0
	frame3Headers = 1
	frame3Head    = 5 // type, and a length in the form of four bytes
)

// statusIndex are the places of :status in the static table (RFC 9204 A).
var statusIndex = map[int]byte{103: 24, 200: 25, 304: 26, 404: 27, 503: 28, 100: 63, 204: 64, 206: 65, 302: 66, 400: 67, 403: 68, 421: 69, 425: 70, 500: 71}

// nameIndex are the places of names there. 0, which is :authority, stands for none.
var nameIndex = [64]byte{
	h1.Age: 2, h1.ContentLength: 4, h1.Date: 6, h1.ETag: 7, h1.LastModified: 10, h1.Location: 12, h1.SetCookie: 14, h1.AcceptRanges: 32,
	h1.CacheControl: 36, h1.ContentEncoding: 42, h1.ContentType: 44, h1.StrictTransportSecurity: 56, h1.Vary: 59, h1.AltSvc: 83, h1.Server: 92,
}

// beginFields begins a HEADERS frame. status 0: that of a trailer section.
func beginFields(dst []byte, status int) []byte {
	dst = append(dst, frame3Headers, 0, 0, 0, 0)
	dst = append(dst, 0, 0) // no dynamic table (RFC 9204 4.5.1)
	if status == 0 {
		return dst
	}
	if i := statusIndex[status]; i != 0 {
		return appendInteger3(dst, 0xc0, 6, int(i))
	}
	dst = appendInteger3(dst, 0x50, 4, 24)
	var room [8]byte
	return appendString3(dst, 0, 7, strconv.AppendInt(room[:0], int64(status), 10))
}

// endFields ends the HEADERS frame that begins at place at.
func endFields(b []byte, at int) {
	quicvarint.AppendWithLen(b[at+1:at+1], uint64(len(b)-at-frame3Head), 4)
}

// appendField3 appends a field line.
func appendField3(dst []byte, id h1.Name, name, value []byte) []byte {
	if i := nameIndex[id]; i != 0 {
		dst = appendInteger3(dst, 0x50, 4, int(i)) // a literal with the name of the static table
	} else {
		dst = appendString3(dst, 0x20, 3, name)
		for i := len(dst) - len(name); i < len(dst); i++ { // "converted to lowercase prior to their encoding" (RFC 9114 4.2)
			if c := dst[i]; c >= 'A' && c <= 'Z' {
				dst[i] = c + 'a' - 'A'
			}
		}
	}
	return appendString3(dst, 0, 7, value)
}

// appendFields3 appends the lines of h.
func appendFields3(dst []byte, h *h1.Header) []byte {
	for i := range h.Len() {
		if id, name, value := h.At(i); name != nil {
			dst = appendField3(dst, id, name, value)
		}
	}
	return dst
}

// appendContentHead begins a DATA frame of that many bytes.
func appendContentHead(dst []byte, n int) []byte {
	return quicvarint.Append(append(dst, frame3Data), uint64(n))
}

// appendString3 appends a string as it is, whose length has that many bits below others (RFC 9204 4.1.2).
func appendString3(dst []byte, others byte, bits uint, s []byte) []byte {
	return append(appendInteger3(dst, others, bits, len(s)), s...)
}

// appendInteger3 appends an integer whose prefix has that many bits, below others that are given (RFC 9204 4.1.1).
func appendInteger3(dst []byte, others byte, bits uint, n int) []byte {
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
