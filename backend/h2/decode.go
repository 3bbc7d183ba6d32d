package h2

import "gatehouse/backend/h1"

// Decoder reads the header blocks of one direction of a connection (RFC 7541), each from Begin until Next is false: what a block says
// may change the table for all that follow, so every one must be read to its end, wanted or not. It is ours because
// golang.org/x/net/http2/hpack makes strings of every field that is not in a table yet: of 12 fields it makes 12 allocations and takes
// 1.6 µs where a Decoder and all the checks of an Assembler take 0.9 µs and allocate nothing. When all are in the table
// there is no difference (BenchmarkRequest).
//
// The zero Decoder is ready for a connection.
type Decoder struct {
	// Field is the field that Next found, valid until the next call of Next.
	Field Field

	t       table
	b       []byte
	err     error
	scratch []byte // the line of a field that is in no table
	begun   bool   // a field was read of this block: the table's size cannot change any more
	updates int    // changes of the size in this block

	memo *memo  // nil: no block is worth it
	last uint64 // hash of the last block that could have been
}

var (
	errTruncated = &Error{CompressionError, "a header block ends within a field"}
	errInteger   = &Error{CompressionError, "an integer too large"}
	errIndex     = &Error{CompressionError, "no field has that index"}
	errCode      = &Error{CompressionError, "a string that is no Huffman code"}
	errTable     = &Error{CompressionError, "a dynamic table larger than allowed"}
	errUpdate    = &Error{CompressionError, "a change of the table's size not at the beginning of a header block, or one too many"}
)

// maxUpdates is how often a block may change the table's size: "the smallest maximum table size that occurs in that interval MUST be
// signaled in a dynamic table size update. The final maximum size is always signaled, resulting in at most two dynamic table size
// updates" (RFC 7541 4.2).
const maxUpdates = 2

// Begin starts reading a block, which the decoder keeps until the last call of Next.
func (d *Decoder) Begin(block []byte) {
	if d.t.max == 0 && d.t.ring == nil {
		d.t.max = TableSize
	}
	d.b, d.err, d.begun, d.updates = block, nil, false, 0
}

// Err returns what was wrong with the block, an *Error for the whole connection, or nil.
func (d *Decoder) Err() error { return d.err }

// Trim gives back what a long field has let grow, and what is remembered of a block besides the table.
func (d *Decoder) Trim() {
	if cap(d.scratch) > 4<<10 {
		d.scratch = nil
	}
	d.memo = nil
}

// Next reads the next field and reports whether there is one.
func (d *Decoder) Next() bool {
	for d.err == nil && len(d.b) > 0 {
		c := d.b[0]
		switch {
		case c&0x80 != 0: // 6.1: a field of a table
			i := d.integer(7)
			return d.err == nil && d.indexed(i)
		case c&0x40 != 0: // 6.2.1: a field that goes into the table
			return d.literal(6, true)
		case c&0x20 != 0: // 6.3
			d.resize(d.integer(5))
		default: // 6.2.2, 6.2.3
			return d.literal(4, false)
		}
	}
	return false
}

// Skip reads the rest of the block for the sake of those that follow it alone. What refers to the tables says nothing to them, and a block may
// consist of it: a frame full of references to one field, which is a head of 64 MiB, takes 8 µs instead of 127 (BenchmarkBomb).
func (d *Decoder) Skip() {
	for {
		most := min(len(static)+d.t.n, 0x7f) // that, and more, is written otherwise
		n := 0
		for n < len(d.b) && d.b[n] > 0x80 && int(d.b[n]&0x7f) < most {
			n++
		}
		d.b, d.begun = d.b[n:], d.begun || n > 0
		if !d.Next() {
			return
		}
	}
}

// resize changes the size of the table.
func (d *Decoder) resize(n int) {
	switch d.updates++; {
	case d.err != nil:
	case d.begun || d.updates > maxUpdates:
		d.err = errUpdate
	case n > TableSize:
		d.err = errTable
	default:
		d.t.max = n
		d.t.age++
		d.t.evict(0)
		if d.t.ring == nil {
			d.t.grow() // see Begin
		}
	}
}

// indexed makes the field at place i of the tables the current one.
func (d *Decoder) indexed(i int) bool {
	d.begun = true
	if i < len(static) {
		if i == 0 {
			d.err = errIndex
			return false
		}
		d.Field = static[i]
		return true
	}
	e := d.t.at(i - len(static))
	if e == nil {
		d.err = errIndex
		return false
	}
	d.Field = Field{Line: d.t.line(e), N: int(e.name), ID: h1.Name(e.id), Kind: e.kind}
	return true
}

// literal reads a field, the index of whose name has that many bits.
func (d *Decoder) literal(bits uint, insert bool) bool {
	i := d.integer(bits)
	if d.err != nil {
		return false
	}
	f := &d.Field
	b := d.scratch[:0]
	known := i > 0
	if known {
		if !d.indexed(i) {
			return false
		}
		b = append(b, f.Name()...)
	} else {
		d.begun = true
		b = d.str(b)
		f.N = len(b)
	}
	b = append(b, ": "...)
	b = d.str(b)
	if d.err != nil {
		d.scratch = b[:0]
		return false
	}
	b = append(b, "\r\n"...)
	d.scratch = b
	f.Line = b
	if !known || f.Kind == Malformed {
		f.classify()
	}
	if !h1.IsValue(f.Value()) {
		f.Kind = Malformed
	}
	if insert {
		d.t.insert(f)
	}
	return true
}

// integer reads an integer with a prefix of that many bits (RFC 7541 5.1).
func (d *Decoder) integer(bits uint) int {
	if len(d.b) == 0 {
		d.err = errTruncated
		return 0
	}
	m := 1<<bits - 1
	n := int(d.b[0]) & m
	d.b = d.b[1:]
	if n < m {
		return n
	}
	for s := uint(0); len(d.b) > 0; s += 7 {
		if s > 21 { // 268 million: more than any block, table or string
			d.err = errInteger
			return 0
		}
		c := d.b[0]
		d.b = d.b[1:]
		n += int(c&0x7f) << s
		if c&0x80 == 0 {
			return n
		}
	}
	d.err = errTruncated
	return 0
}

// str reads a string (RFC 7541 5.2) and appends it to dst.
func (d *Decoder) str(dst []byte) []byte {
	if d.err != nil {
		return dst
	}
	if len(d.b) == 0 {
		d.err = errTruncated
		return dst
	}
	coded := d.b[0]&0x80 != 0
	n := d.integer(7)
	if d.err != nil {
		return dst
	}
	if n > len(d.b) {
		d.err = errTruncated
		return dst
	}
	s := d.b[:n]
	d.b = d.b[n:]
	if !coded {
		return append(dst, s...)
	}
	dst, ok := appendHuffman(dst, s)
	if !ok {
		d.err = errCode
	}
	return dst
}
