package h2

import "gatehouse/backend/h1"

// Kind is what a field is for.
type Kind uint8

// The kinds. Everything but Regular is a pseudo-header field, or no field at all.
const (
	Regular  Kind = iota
	Dashless      // regular, with an underscore in its name
	Method
	Scheme
	Authority
	Path
	Protocol // RFC 8441 4
	Status
	Malformed // of a name or value that no message may have; an unknown pseudo-header field too
)

// Field is one field of a message. It belongs to the Decoder it came from.
type Field struct {
	// Line is the field as HTTP/1 writes it: "name: value\r\n".
	Line []byte
	N    int     // length of the name
	ID   h1.Name // what h1 calls it, 0 for what it does not know
	Kind Kind
}

// Name returns the name.
func (f *Field) Name() []byte { return f.Line[:f.N] }

// Value returns the value.
func (f *Field) Value() []byte { return f.Line[f.N+2 : len(f.Line)-2] }

// size is what the field counts in a table or a list (RFC 7541 4.1).
func (f *Field) size() int { return len(f.Line) - 4 + overhead }

// overhead is what each field counts beside its bytes.
const overhead = 32

// names are the characters of field names. "A field name MUST NOT contain characters in the ranges 0x00-0x20, 0x41-0x5a, or 0x7f-0xff"
// (RFC 9113 8.2.1): tokens, and in lower case.
var names = func() (t [256]bool) {
	for c := range t {
		t[c] = h1.IsToken([]byte{byte(c)}) && (c < 'A' || c > 'Z')
	}
	return
}()

// classify finds out what the name of a field is.
func (f *Field) classify() {
	b := f.Line[:f.N]
	f.ID, f.Kind = 0, Regular
	if len(b) > 0 && b[0] == ':' {
		switch string(b) {
		case ":method":
			f.Kind = Method
		case ":scheme":
			f.Kind = Scheme
		case ":authority":
			f.Kind = Authority
		case ":path":
			f.Kind = Path
		case ":protocol":
			f.Kind = Protocol
		case ":status":
			f.Kind = Status
		default:
			f.Kind = Malformed
		}
		return
	}
	for _, c := range b {
		if !names[c] {
			f.Kind = Malformed
			return
		}
		if c == '_' {
			f.Kind = Dashless
		}
	}
	if len(b) == 0 || len(b) > maxName {
		f.Kind = Malformed
		return
	}
	f.ID = h1.NameOf(b)
}

// maxName is how long a name may be: h1 counts in 16 bits.
const maxName = 1<<15 - 1
