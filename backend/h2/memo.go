package h2

import (
	"bytes"
	"hash/maphash"

	"gatehouse/backend/h1"
)

// memo is the block of a request that came twice on a connection, and what was made of it. The parts of a page, the pictures of a gallery and
// the calls of a script ask with the same fields for one path after the other: in a block, the same bytes around another :path, which mean
// the same as long as the table does. Of the 0.4 µs that the fourteen fields of a browser's request take, 0.1 µs is left
// (BenchmarkRequest).
type memo struct {
	before, after []byte          // the block, but for its :path
	age           uint64          // of the table
	lim           *h1.ParseLimits // nil: it is of no use
	size          int             // of all fields together
	prio          Urgency
	pattern       h1.Pattern
}

// What a memo may be of, so that it takes 4 KiB at most: idle connections have one too.
const (
	memoBlock  = 512
	memoHead   = 2 << 10
	memoFields = 40
)

var memoSeed = maphash.MakeSeed()

// remember makes a memo of a request that was read, of which block[from:to] is the :path, if it is not the first of its kind.
func (d *Decoder) remember(block []byte, from, to int, p *reading) {
	if len(block) > memoBlock || p.size > memoHead || p.count > memoFields {
		return
	}
	before, after := block[:from], block[to:]
	hash := maphash.Bytes(memoSeed, before)*31 + maphash.Bytes(memoSeed, after)
	if d.last != hash {
		d.last = hash
		return
	}
	m := d.memo
	if m == nil {
		m = &memo{}
		d.memo = m
	}
	m.before, m.after = append(m.before[:0], before...), append(m.after[:0], after...)
	m.age, m.lim, m.size, m.prio = d.t.age, p.lim, p.size, p.prio
	if !m.pattern.Learn(p.r, p.lim) {
		m.lim = nil
	}
}

// request makes r of a block that m is the memo of, and reports whether it is: else nothing has happened.
func (m *memo) request(d *Decoder, block []byte, r *h1.Request, lim *h1.ParseLimits) (Urgency, bool) {
	if m.age != d.t.age || m.lim != lim || !bytes.HasPrefix(block, m.before) || !bytes.HasSuffix(block, m.after) {
		return 0, false
	}
	path := block[len(m.before):]
	if len(path) <= len(m.after) {
		return 0, false
	}
	path = path[:len(path)-len(m.after)]
	if c := path[0]; c >= 0x20 && c < 0x80 { // it changes the table
		return 0, false
	}
	d.Begin(path)
	if !d.Next() || d.Field.Kind != Path || len(d.b) > 0 {
		return 0, false
	}
	target := d.Field.Value()
	if m.size+m.pattern.Grows(target) > lim.Head || !m.pattern.Make(r, target) {
		return 0, false
	}
	return m.prio, true
}
