package cache

import "sync/atomic"

// marks remembers keys whose answers were not to be shared, so that requests for them do not wait for each other (hit-for-miss). It
// has a fixed size: a new mark may take the place of another one, which costs a little waiting. One word per mark: 40 bits of the
// key's hash, 24 bits of the second until which it counts. All loops share it, without a lock.
type marks struct{ table [markCount]atomic.Uint64 }

const (
	markCount = 1 << 13
	markTime  = 120 // seconds
	timeBits  = 24
	timeMask  = 1<<timeBits - 1
)

// set marks a key. now is in milliseconds of the store's clock.
func (m *marks) set(hash uint64, now int64) { m.setFor(hash, now, markTime) }

// setFor marks a key for that many seconds, markTime at most.
func (m *marks) setFor(hash uint64, now, seconds int64) {
	until := uint64(now/second+seconds) & timeMask
	m.table[hash%markCount].Store(hash&^timeMask | until)
}

// clear takes the mark from a key.
func (m *marks) clear(hash uint64) {
	w := &m.table[hash%markCount]
	if v := w.Load(); v&^timeMask == hash&^timeMask {
		w.CompareAndSwap(v, 0)
	}
}

// has reports whether the key is marked.
func (m *marks) has(hash uint64, now int64) bool {
	v := m.table[hash%markCount].Load()
	// The difference is right even when the seconds have run over their bits.
	left := (v - uint64(now/second)) & timeMask
	return v&^timeMask == hash&^timeMask && v != 0 && left > 0 && left <= markTime
}
