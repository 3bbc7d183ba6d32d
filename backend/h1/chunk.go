package h1

import (
	"errors"
	"fmt"
	"math"
	"strconv"
)

// What bounds the parts of a chunked message that are not content.
const (
	maxExtensions    = 16 << 10 // bytes of chunk extensions in one message
	maxTrailer       = 8 << 10  // bytes of the trailer section
	maxTrailerFields = 64
	maxSizeDigits    = 16
	// mergeMax is how much of a further chunk is moved to make one piece of several: 4 KiB take 35 ns, a write of its own
	// takes microseconds.
	mergeMax = 4 << 10
)

// chunks decodes chunked content (RFC 9112 7.1). The zero chunks is at its beginning.
type chunks struct {
	state   chunkState
	digits  int   // of the size, up to now
	left    int64 // the size, up to now; then the bytes of the chunk still to come
	ext     int   // bytes of extensions in the whole message
	section int   // bytes of the trailer section that were read
	fields  int   // lines of it
	// trailer has the trailer fields that may be passed on, nil while there are none. It is not reused: it belongs to
	// who asks.
	trailer *Header
	err     error
}

// chunkState is what comes next.
type chunkState uint8

const (
	chunkSize chunkState = iota
	chunkSizeLF
	chunkExt       // a name, behind ";"
	chunkExtName   // more of it
	chunkExtSpace  // "=" or ";", behind white space
	chunkExtEquals // a value
	chunkExtToken  // more of it
	chunkExtQuoted
	chunkExtEscape // a character behind a backslash
	chunkExtClosed // what may follow a quoted value
	chunkExtAfter  // ";", behind a value and white space
	chunkData
	chunkDataCR
	chunkDataLF
	chunkTrailer
	chunkDone
)

var (
	errChunkSize  = errors.New("a chunk size without digits")
	errChunkLong  = errors.New("a chunk size is too large")
	errChunkEnd   = errors.New("a chunk is not followed by CRLF")
	errExtensions = fmt.Errorf("more than %d bytes of chunk extensions", maxExtensions)
	errTrailer    = fmt.Errorf("more than %d bytes or %d lines of trailer fields", maxTrailer, maxTrailerFields)
)

// next decodes b, which has come and is unread. b[i:j] is content; used is how many bytes of b were taken by it and by
// the framing around it: they are not to be given again. done says that the message ended with them. Where nothing is
// used more bytes are wanted. Content of small chunks behind the first is moved within b[:used], so that it comes in
// one piece. There is no content together with done or with an error; an error comes again at every call.
func (c *chunks) next(b []byte) (i, j, used int, done bool, err error) {
	k := 0
	for k < len(b) && c.err == nil {
		switch c.state {
		case chunkData:
			n := int(min(c.left, int64(len(b)-k)))
			switch {
			case j == 0:
				i, j = k, k+n
			case n <= mergeMax:
				j += copy(b[j:], b[k:k+n])
			default:
				return i, j, k, false, nil
			}
			k += n
			if c.left -= int64(n); c.left == 0 {
				c.state = chunkDataCR
			}
		case chunkTrailer, chunkDone:
			if j > 0 {
				return i, j, k, false, nil
			}
			n := c.readTrailer(b[k:])
			return 0, 0, k + n, c.state == chunkDone, c.err
		default:
			if c.err = c.step(b[k]); c.err == nil {
				k++
			}
		}
	}
	if j > 0 {
		return i, j, k, false, nil
	}
	return 0, 0, k, c.state == chunkDone, c.err
}

// step reads one byte of the framing of a chunk:
//
//	chunk     = chunk-size [ chunk-ext ] CRLF chunk-data CRLF
//	chunk-ext = *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )
//
// with no white space behind the size, where nobody who is well means to put any and readers disagree about it.
func (c *chunks) step(b byte) error {
	if c.state >= chunkExt && c.state <= chunkExtAfter {
		if c.ext++; c.ext > maxExtensions {
			return errExtensions
		}
	}
	space := b == ' ' || b == '\t'
	switch c.state {
	case chunkSize:
		d := hexDigit(b)
		switch {
		case d >= 0:
			if c.digits++; c.digits > maxSizeDigits || c.left > math.MaxInt64>>4 {
				return errChunkLong
			}
			c.left = c.left<<4 | int64(d)
			return nil
		case b != ';' && b != '\r':
			return fmt.Errorf("the character %q in a chunk size", b)
		case c.digits == 0:
			return errChunkSize
		case b == ';':
			c.state = chunkExt
		default:
			c.state = chunkSizeLF
		}
		return nil
	case chunkSizeLF:
		if b != '\n' {
			return errBareCR
		}
		c.digits, c.state = 0, chunkData
		if c.left == 0 {
			c.state = chunkTrailer
		}
		return nil
	case chunkDataCR:
		if b != '\r' {
			return errChunkEnd
		}
		c.state = chunkDataLF
		return nil
	case chunkDataLF:
		if b != '\n' {
			return errChunkEnd
		}
		c.state = chunkSize
		return nil
	case chunkExt:
		if space {
			return nil
		}
		if tokens[b] != 0 {
			c.state = chunkExtName
			return nil
		}
	case chunkExtName:
		switch {
		case tokens[b] != 0:
			return nil
		case space:
			c.state = chunkExtSpace
			return nil
		case b == '=':
			c.state = chunkExtEquals
			return nil
		}
		return c.extEnds(b)
	case chunkExtSpace:
		switch {
		case space:
			return nil
		case b == '=':
			c.state = chunkExtEquals
			return nil
		case b == ';':
			c.state = chunkExt
			return nil
		}
	case chunkExtEquals:
		switch {
		case space:
			return nil
		case b == '"':
			c.state = chunkExtQuoted
			return nil
		case tokens[b] != 0:
			c.state = chunkExtToken
			return nil
		}
	case chunkExtToken:
		switch {
		case tokens[b] != 0:
			return nil
		case space:
			c.state = chunkExtAfter
			return nil
		}
		return c.extEnds(b)
	case chunkExtQuoted:
		switch {
		case b == '"':
			c.state = chunkExtClosed
			return nil
		case b == '\\':
			c.state = chunkExtEscape
			return nil
		case !isControl(b):
			return nil
		}
	case chunkExtEscape:
		if !isControl(b) {
			c.state = chunkExtQuoted
			return nil
		}
	case chunkExtClosed:
		if space {
			c.state = chunkExtAfter
			return nil
		}
		return c.extEnds(b)
	case chunkExtAfter:
		switch {
		case space:
			return nil
		case b == ';':
			c.state = chunkExt
			return nil
		}
	}
	return badExt(b)
}

// extEnds reads the byte behind an extension.
func (c *chunks) extEnds(b byte) error {
	switch b {
	case ';':
		c.state = chunkExt
	case '\r':
		c.state = chunkSizeLF
	default:
		return badExt(b)
	}
	return nil
}

func badExt(b byte) error {
	if b == '\n' {
		return errBareLF
	}
	return fmt.Errorf("the character %q in a chunk extension", b)
}

// readTrailer reads complete lines of the trailer section and returns how many bytes they take.
func (c *chunks) readTrailer(b []byte) int {
	if c.state == chunkDone {
		return 0
	}
	if len(b) >= 2 && b[0] == '\r' && b[1] == '\n' { // as good as always
		if c.section += 2; c.section > maxTrailer {
			c.err, c.trailer = errTrailer, nil
			return 0
		}
		c.state = chunkDone
		return 2
	}
	h := c.trailer
	if h == nil {
		h = new(Header)
	}
	first := len(h.line)
	lim := fieldLimits{field: maxTrailer, end: maxTrailer - c.section, count: maxTrailerFields}
	n, done, err := h.parse(b, 0, &c.fields, &lim)
	switch {
	case err != nil:
		if c.err = errors.Unwrap(err); err.(*Error).Status == 431 {
			c.err = errTrailer
		}
		c.trailer = nil
		return 0
	case done:
		c.state = chunkDone
	case len(b) > lim.end:
		c.err, c.trailer = errTrailer, nil
		return 0
	}
	off := int32(len(h.buf))
	h.buf = append(h.buf, b[:n]...)
	kept := h.line[:first]
	for _, f := range h.line[first:] {
		if mayTrail(f.id, b[f.off:f.off+int32(f.n)]) {
			f.off, f.end, f.v0, f.v1 = f.off+off, f.end+off, f.v0+off, f.v1+off
			kept = append(kept, f)
		}
	}
	h.line = kept
	if len(kept) > 0 {
		c.trailer = h
	}
	c.section += n
	return n
}

// mayTrail reports whether a field may stand in a trailer section. "A sender MUST NOT generate a trailer field unless
// the sender knows the corresponding header field name's definition permits the field to be sent in
// trailers." (RFC 9110 6.5.1) Of those that the engine knows, none but ETag's does. Others are passed on unless they
// belong to framing, routing, authentication or the description of the content.
func mayTrail(id Name, name []byte) bool {
	if id != 0 {
		return id == ETag
	}
	for _, p := range [...]string{"content-", "proxy-", "x-forwarded-", "sec-", "if-", "set-cookie", "cookie"} {
		if hasPrefixFold(name, p) {
			return false
		}
	}
	return !EqualFold(name, "max-forwards") && !EqualFold(name, "retry-after")
}

// hexDigit returns the value of a hexadecimal digit, or -1.
func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c - 'a' + 10)
	case c >= 'A' && c <= 'F':
		return int(c - 'A' + 10)
	}
	return -1
}

// appendChunkHead appends the line that begins a chunk of n bytes of content, or with n == 0 the last chunk's. The
// content and CRLF follow; the trailer section and CRLF follow the last one.
func appendChunkHead(dst []byte, n int) []byte {
	return append(strconv.AppendUint(dst, uint64(n), 16), "\r\n"...)
}
