package h1

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
)

// What can be wrong with a field line. RFC 9112 2.2 and 5 let a lenient reader repair some of these; two readers that
// repair differently are what smuggling is made of, so all are refused.
var (
	errBareLF     = errors.New("a line ends in LF without CR")
	errBareCR     = errors.New("CR without LF in the head")
	errLeadSpace  = errors.New("white space before the first field")
	errFold       = errors.New("a folded field line")
	errColonSpace = errors.New("white space between field name and colon")
	errNoColon    = errors.New("a field line without a colon")
	errNoName     = errors.New("a field line without a name")
	errLongName   = errors.New("a field name is too long")
	errFields     = errors.New("too many fields")
	errField      = errors.New("a field is too long")
	errHead       = errors.New("the head is too long")
)

// fieldLimits bound a section of field lines.
type fieldLimits struct {
	field int // bytes of a line without its CRLF
	end   int // the offset where the section must have ended
	count int // lines
	// keep says to keep fields with an underscore in their name, unless they look like a field that we know.
	keep bool
}

// parse reads the field lines of b from offset i on, which begins a line, and appends them to h.line as ranges of b. It
// returns the offset after the empty line that ends the section and true, or the offset of the first line that is not
// complete. count is the number of lines up to now, with those that were dropped.
func (h *Header) parse(b []byte, i int, count *int, lim *fieldLimits) (int, bool, error) {
	for {
		start := i
		if start > lim.end {
			return start, false, refuse(431, errHead)
		}
		class := byte(0)
		for i < len(b) && tokens[b[i]] != 0 {
			class |= tokens[b[i]]
			i++
		}
		if i == start || i == len(b) || b[i] != ':' {
			// Not a name: the end of the section, of what is there, or of our patience.
			if i == len(b) {
				return start, false, nil
			}
			if i == start && b[i] == '\r' {
				if i+1 == len(b) {
					return start, false, nil
				}
				if b[i+1] == '\n' {
					if i+2 > lim.end {
						return start, false, refuse(431, errHead)
					}
					return i + 2, true, nil
				}
			}
			return start, false, refuse(400, notName(b, start, i, *count))
		}
		name := b[start:i]
		for i++; i < len(b) && (b[i] == ' ' || b[i] == '\t'); i++ {
		}
		v0 := i
		i = nextControl(b, i)
		if i+1 >= len(b) {
			if i < len(b) && b[i] != '\r' {
				return start, false, refuse(400, badControl(b, i))
			}
			return start, false, nil
		}
		if b[i] != '\r' || b[i+1] != '\n' {
			return start, false, refuse(400, badControl(b, i))
		}
		v1 := i
		for v1 > v0 && (b[v1-1] == ' ' || b[v1-1] == '\t') {
			v1--
		}
		i += 2
		if i-2-start > lim.field {
			return start, false, refuse(431, errField)
		}
		if *count++; *count > lim.count {
			return start, false, refuse(431, errFields)
		}
		if len(name) > math.MaxInt16 {
			return start, false, refuse(431, errLongName)
		}
		id := nameOf(name)
		if class&underscore != 0 && (!lim.keep || disguised(name)) {
			continue
		}
		h.line = append(h.line, line{off: int32(start), end: int32(i), v0: int32(v0), v1: int32(v1), n: int16(len(name)), id: id})
		h.has |= 1 << id
	}
}

// notName says why what begins at offset start and stops being a field name at offset i is none.
func notName(b []byte, start, i, count int) error {
	switch c := b[i]; {
	case c == '\n':
		return errBareLF
	case i == start && (c == ' ' || c == '\t'):
		if count == 0 {
			return errLeadSpace // RFC 9112 2.2
		}
		return errFold // RFC 9112 5.2
	case c == ' ' || c == '\t':
		for i < len(b) && (b[i] == ' ' || b[i] == '\t') {
			i++
		}
		if i < len(b) && b[i] == ':' {
			return errColonSpace // RFC 9112 5.1
		}
		return errNoColon
	case c == ':':
		return errNoName
	case c == '\r' && i+1 < len(b) && b[i+1] != '\n':
		return errBareCR
	case c == '\r':
		return errNoColon
	default:
		return fmt.Errorf("the character %q in a field name", c)
	}
}

// badControl says what is wrong with the control character at offset i.
func badControl(b []byte, i int) error {
	switch b[i] {
	case '\n':
		return errBareLF
	case '\r':
		return errBareCR
	}
	return fmt.Errorf("the control character %q in the head", b[i])
}

// nextControl returns the offset of the first control character of b at or after offset i other than HTAB, or len(b). Eight
// bytes at a time: 72 of them take 12 ns, one by one 78.
func nextControl(b []byte, i int) int {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	for i+8 <= len(b) {
		// The high bit of a byte gets set where the byte is below 0x20 or 0x7f; a carry may set it
		// in the byte above one of those or of 0xff too, so what was found is looked at again.
		x := binary.LittleEndian.Uint64(b[i:])
		m := ((x - 0x20*ones) | (x + ones)) &^ x & highs
		if m == 0 {
			i += 8
			continue
		}
		if i += bits.TrailingZeros64(m) >> 3; isControl(b[i]) {
			return i
		}
		i++
	}
	for ; i < len(b); i++ {
		if isControl(b[i]) {
			return i
		}
	}
	return i
}

func isControl(c byte) bool { return c < ' ' && c != '\t' || c == 0x7f }

// disguised reports whether name is a field that we know, or one that tells where a request came from, with underscores
// for dashes: CGI and its heirs take one for the other.
func disguised(name []byte) bool {
	if len(name) > maxName {
		name = name[:maxName]
	}
	var a [maxName]byte
	n := copy(a[:], name)
	for i, c := range a[:n] {
		if c == '_' {
			a[i] = '-'
		}
	}
	return nameOf(a[:n]) != 0 || hasPrefixFold(a[:n], "x-forwarded-")
}
