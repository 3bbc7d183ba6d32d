package h2

// TableSize is the size a dynamic table begins with (RFC 9113 6.5.2). We ask nobody for another one.
const TableSize = 4096

// entry is a field in a dynamic table: its line is lines[off:off+n].
type entry struct {
	off, n int32
	name   int32
	kind   Kind
	id     uint8
}

// table is the dynamic table of a decoder (RFC 7541 2.3.2). The lines of its entries stand one behind the other in one buffer, ready to be
// copied into a message: an entry is looked at once, when it comes in.
type table struct {
	lines []byte
	ring  []entry // a power of two
	first int     // place of the oldest
	n     int
	size  int // as RFC 7541 counts
	max   int
	age   uint64 // how often anything of it has changed
}

// evict drops the oldest entries until the table has room for more.
func (t *table) evict(more int) {
	for t.n > 0 && t.size+more > t.max {
		e := &t.ring[t.first]
		t.size -= int(e.n) - 4 + overhead
		t.first = (t.first + 1) & (len(t.ring) - 1)
		t.n--
	}
	if t.n == 0 {
		t.lines, t.first = t.lines[:0], 0
	}
}

// insert adds a field, which must not be in the table's own memory.
func (t *table) insert(f *Field) {
	t.age++
	t.evict(f.size())
	if f.size() > t.max {
		return // "it is not an error": the table is empty then (RFC 7541 4.4)
	}
	if len(t.lines)+len(f.Line) > cap(t.lines) && t.n > 0 {
		// Twice the table's size at most is in use, and moving happens once for each of it.
		if from := int(t.ring[t.first].off); from >= cap(t.lines)/2 {
			m := copy(t.lines, t.lines[from:])
			t.lines = t.lines[:m]
			for i := range t.n {
				t.ring[(t.first+i)&(len(t.ring)-1)].off -= int32(from)
			}
		}
	}
	if t.n == len(t.ring) {
		t.grow()
	}
	off := len(t.lines)
	t.lines = append(t.lines, f.Line...)
	t.ring[(t.first+t.n)&(len(t.ring)-1)] = entry{int32(off), int32(len(f.Line)), int32(f.N), f.Kind, uint8(f.ID)}
	t.n++
	t.size += f.size()
}

func (t *table) grow() {
	r := make([]entry, max(16, 2*len(t.ring)))
	for i := range t.n {
		r[i] = t.ring[(t.first+i)&(len(t.ring)-1)]
	}
	t.ring, t.first = r, 0
}

// at returns entry i, the newest being 0, or nil.
func (t *table) at(i int) *entry {
	if i < 0 || i >= t.n {
		return nil
	}
	return &t.ring[(t.first+t.n-1-i)&(len(t.ring)-1)]
}

// line returns the line of an entry. It is valid until the next insert.
func (t *table) line(e *entry) []byte { return t.lines[e.off : e.off+e.n] }
