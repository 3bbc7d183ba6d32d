package cache

import (
	"sync"
	"time"

	"gatehouse/backend/h1"
	"gatehouse/backend/loop"
)

// A fill is an answer on its way from the server into the store. Whoever asks for the same meanwhile waits for its head at most: then
// either the answer may be shared and is read while it grows, or everybody is on their own. The exchange that made the fill
// feeds it: in a task of its own loop that reads from the server as fast as the server sends, whatever the client of that
// exchange does. The client reads what is there, like all others.

// phase is how far a fill is.
type phase uint8

const (
	asking  phase = iota // the server was asked and has not answered
	open                 // the answer may be shared; its content is coming
	whole                // all of it is here
	refused              // the answer is for one client alone
	settled              // the store knows the answer: what it had is still good
	failed               // there was no answer, or only a part of it
)

// chunkSize is how much content is in one piece of memory.
const chunkSize = 64 << 10

// firstChunk is what content of unknown length begins with.
const firstChunk = 4 << 10

// window is how far the fill of an answer that is too large to be stored runs ahead of its slowest reader.
const window = 4 * chunkSize

type fill struct {
	s      *store
	hash   uint64
	key    string
	from   uint64     // purges when it began
	choice *selection // what is known of the selection in advance: that of an earlier answer, for this request. nil: nothing

	mu      sync.Mutex // guards what follows
	phase   phase
	alone   int    // requests that lost patience with it and went to the server too
	doomed  bool   // it is not stored: the key was forgotten meanwhile
	spilled bool   // it is not kept in memory: the content is too large. What all have read is not kept
	large   int64  // how large the content may be that is stored on the disk
	spool   *spool // on its way there, of content that is not kept in memory; nil: it is not stored
	entry   *entry
	length  int64 // of the content, -1 while that is unknown
	chunks  [][]byte
	base    int64 // bytes of content before chunks[0]: nobody needs them any more
	size    int64 // bytes of content so far
	held    int64 // bytes reserved of what may be under way
	err     error // why it failed
	trailer *h1.Header
	readers map[*ask]struct{}
	waiting []*waiter     // of those who wait for more
	feeder  *feeder       // nil once it is over
	starved bool          // the feeder waits for the slowest reader, or for the disk
	byDisk  bool          // for the disk, and there are readers
	waited  time.Duration // so far, for that
}

// maxFills bounds the fills of one hash: one for each variant at most is of use.
const maxFills = maxVariants

// begin adds a fill. The shard's lock is held.
func (s *store) begin(sh *shard, hash uint64, key []byte) *fill {
	if len(sh.fills[hash]) >= maxFills {
		return nil
	}
	f := &fill{s: s, hash: hash, key: string(key), from: s.purges.Load(), length: -1}
	sh.fills[hash] = append(sh.fills[hash], f)
	return f
}

// promises returns by what the answer will be selected, nil while nobody knows, and whether it may be waited for. Who comes after a purge does not
// get what was asked for before.
func (f *fill) promises() (*selection, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	good := !f.doomed && f.from == f.s.purges.Load()
	if f.entry != nil {
		return &f.entry.choice, good && !f.spilled
	}
	return f.choice, good && f.phase == asking
}

// strayed notes that somebody does not wait any longer, and reports false when too many do not. Without personal it is also false where
// too many wait.
func (f *fill) strayed(personal bool) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.alone >= maxAlone || !personal && len(f.waiting) > maxAlone {
		return false
	}
	f.alone++
	return true
}

// look returns how far the fill is. While the server has not answered, a is woken when that changes.
func (f *fill) look(a *ask) (phase, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.phase == asking {
		f.waiting = append(f.waiting, a.w)
	}
	return f.phase, f.err
}

// leave takes the fill out of the list of those that may be waited for.
func (f *fill) leave() {
	sh := f.s.shard(f.hash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	f.leaveLocked(sh)
}

func (f *fill) leaveLocked(sh *shard) {
	list := sh.fills[f.hash]
	for i, o := range list {
		if o == f {
			list[i] = list[len(list)-1]
			list[len(list)-1] = nil
			list = list[:len(list)-1]
			break
		}
	}
	if len(list) == 0 {
		delete(sh.fills, f.hash)
	} else {
		sh.fills[f.hash] = list
	}
}

// doom keeps the answer out of the store: it may be older than what made the key be forgotten. Who reads it already reads on.
func (f *fill) doom() {
	f.mu.Lock()
	f.doomed = true
	f.mu.Unlock()
}

// end ends a fill without an answer to share. l is the loop of the caller, as in all that follows.
func (f *fill) end(l *loop.Loop, p phase, err error) {
	f.leave()
	f.mu.Lock()
	f.phase, f.err = p, err
	f.wake(l)
}

// reserve takes n bytes of what may be under way at once, a quarter of the memory. It reports whether they are to be had.
func (s *store) reserve(n int64) bool {
	if s.filling.Add(n) > s.under.Load() {
		s.filling.Add(-n)
		return false
	}
	s.rebound()
	return true
}

// unreserve gives them back.
func (s *store) unreserve(n int64) {
	s.filling.Add(-n)
	s.rebound()
}

// open says that the answer is e, without its content, and may be shared.
func (f *fill) open(l *loop.Loop, e *entry, length int64, d *feeder) {
	f.mu.Lock()
	f.phase, f.entry, f.length, f.feeder = open, e, length, d
	switch {
	case d != nil && length > d.most: // so nothing was reserved
		f.spill()
	case length > 0:
		f.held = length
	}
	f.wake(l)
}

// wake wakes everybody who waits for the fill, and unlocks it.
func (f *fill) wake(l *loop.Loop) {
	list := f.waiting
	f.waiting = nil
	f.mu.Unlock()
	for _, w := range list {
		if w.loop == l {
			w.more.Set(l)
		} else {
			w.loop.Post(w.wake)
		}
	}
}

// add adds content. most bounds what is stored.
func (f *fill) add(l *loop.Loop, data []byte, most int64) {
	n := int64(len(data))
	f.mu.Lock()
	switch {
	case f.length >= 0 || f.spilled:
	case f.size+n > most || !f.s.reserve(n):
		// Longer than anybody could know: the readers get the rest, and then it is on the disk or forgotten.
		f.spill()
	default:
		f.held += n
	}
	for len(data) > 0 {
		n := len(f.chunks) - 1
		if n < 0 || len(f.chunks[n]) == cap(f.chunks[n]) {
			n = f.extend()
		}
		c := f.chunks[n]
		k := copy(c[len(c):cap(c)], data)
		f.chunks[n] = c[:len(c)+k]
		f.size += int64(k)
		data = data[k:]
		if f.spool != nil && len(f.chunks[n]) == chunkSize {
			f.spool.push(f.chunks[n])
		}
	}
	if f.spool != nil && f.size > f.large {
		f.spool.abort()
		f.spool = nil
	}
	f.wake(l)
}

// spill takes the content out of memory, and lets it be written to the disk instead if there is one. mu is held.
func (f *fill) spill() {
	f.spilled = true
	f.s.unreserve(f.held)
	f.held = 0
	if f.large <= 0 || f.length > f.large || f.size > f.large {
		return
	}
	if f.spool = f.s.disk.Load().spool(f); f.spool == nil {
		return
	}
	for _, c := range f.chunks { // of which none has gone yet
		if len(c) == chunkSize {
			f.spool.push(c)
		}
	}
}

// unspool ends the way to the disk. The lock of the shard and mu are held.
func (f *fill) unspool() {
	p := f.spool
	if p == nil {
		return
	}
	f.spool = nil
	if f.doomed || f.from != f.s.purges.Load() {
		p.abort()
		return
	}
	if n := len(f.chunks) - 1; n >= 0 && len(f.chunks[n]) < chunkSize {
		p.push(f.chunks[n])
	}
	e := f.entry.filled(nil, f.size)
	f.s.supersede(f.hash, f.key, e)
	p.finish(e)
}

// extend makes room in the last chunk, or adds one, and returns its place. A chunk that is not the last one has chunkSize bytes.
func (f *fill) extend() int {
	n := len(f.chunks) - 1
	if n == 0 && cap(f.chunks[0]) < chunkSize && f.length < 0 {
		// Content of unknown length. Who reads the old memory has seen it all.
		c := make([]byte, len(f.chunks[0]), min(4*cap(f.chunks[0]), chunkSize))
		copy(c, f.chunks[0])
		f.chunks[0] = c
		return 0
	}
	size := int64(chunkSize)
	switch {
	case f.length >= 0:
		size = min(size, f.length-f.size)
	case n < 0 && f.base == 0:
		size = firstChunk
	}
	f.chunks = append(f.chunks, make([]byte, 0, max(size, 1)))
	return n + 1
}

// finish ends a fill whose content is here up to its end, and stores it.
func (f *fill) finish(l *loop.Loop, trailer *h1.Header) {
	sh := f.s.shard(f.hash)
	sh.mu.Lock()
	f.mu.Lock()
	f.s.unreserve(f.held)
	f.held = 0
	if !f.spilled {
		f.trim()
		f.entry = f.entry.filled(f.chunks, f.size)
		if !f.doomed && f.from == f.s.purges.Load() {
			f.s.put(f.hash, f.key, f.entry)
		}
	}
	f.unspool()
	f.leaveLocked(sh)
	f.phase, f.length, f.trailer, f.feeder = whole, f.size, trailer, nil
	sh.mu.Unlock()
	f.wake(l)
}

// trim gives back what the last chunk has too much, when that is worth a copy.
func (f *fill) trim() {
	n := len(f.chunks) - 1
	if n < 0 {
		return
	}
	if c := f.chunks[n]; cap(c)-len(c) > cap(c)/8 {
		f.chunks[n] = append(make([]byte, 0, len(c)), c...)
	}
}

// short reports whether there is another amount of content than was announced.
func (f *fill) short() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.length >= 0 && f.size != f.length
}

// fail ends a fill whose content broke off.
func (f *fill) fail(l *loop.Loop, err error) {
	f.s.Stats.Truncated.Add(1)
	f.leave()
	f.mu.Lock()
	if f.spool != nil {
		f.spool.abort()
		f.spool = nil
	}
	f.s.unreserve(f.held)
	f.held = 0
	f.phase, f.err, f.feeder = failed, err, nil
	f.wake(l)
}
