package loop

// BufSize is the size of a loop's buffers: a large read, or the records of one, with their overhead.
const BufSize = 128 << 10

// SmallSize is the capacity small buffers start with: a message head.
const SmallSize = 2000

// How many buffers a loop keeps for the next user. The rest is left to the garbage collector.
const (
	keepBufs   = 64
	keepSmalls = 512
	keepPages  = 256
)

// buffers is the part of a loop that lends memory: last in, first out, so that the warmest goes first.
type buffers struct {
	bufs   [][]byte
	smalls [][]byte
	pages  [][]byte

	lowBufs, lowSmalls, lowPages int // the least of their lengths since the last trim
}

// Buf lends a buffer of BufSize bytes.
func (m *buffers) Buf() []byte {
	if n := len(m.bufs); n > 0 {
		b := m.bufs[n-1]
		m.bufs = m.bufs[:n-1]
		m.lowBufs = min(m.lowBufs, n-1)
		return b
	}
	return make([]byte, BufSize)
}

// PutBuf takes back what Buf or TakeAhead lent.
func (m *buffers) PutBuf(b []byte) {
	switch {
	case cap(b) < BufSize:
		if len(m.pages) < keepPages {
			m.pages = append(m.pages, b[:pageSize])
		}
	case len(m.bufs) < keepBufs:
		m.bufs = append(m.bufs, b[:BufSize])
	}
}

// putLent takes b back if it is one that was lent, or as good. append may have replaced it by a larger one.
func (m *buffers) putLent(b []byte) {
	if n := cap(b); n == BufSize || n == pageSize {
		m.PutBuf(b)
	}
}

// pageSize is the size of the buffers for what is small most of the time: with Headroom, 3 KB of input.
const pageSize = 4 << 10

// page lends a buffer of pageSize bytes.
func (m *buffers) page() []byte {
	if n := len(m.pages); n > 0 {
		b := m.pages[n-1]
		m.pages = m.pages[:n-1]
		m.lowPages = min(m.lowPages, n-1)
		return b
	}
	return make([]byte, pageSize)
}

// Small lends an empty slice for a head or a frame.
func (m *buffers) Small() []byte {
	if n := len(m.smalls); n > 0 {
		b := m.smalls[n-1]
		m.smalls = m.smalls[:n-1]
		m.lowSmalls = min(m.lowSmalls, n-1)
		return b
	}
	return make([]byte, 0, SmallSize)
}

// PutSmall takes back what Small lent and append may have let grow.
func (m *buffers) PutSmall(b []byte) {
	if len(m.smalls) < keepSmalls && cap(b) <= BufSize {
		m.smalls = append(m.smalls, b[:0])
	}
}
