package frontend

import (
	"sync"
	"weak"

	"github.com/maypok86/otter/v2"

	"gatehouse/backend/h1"
	"gatehouse/backend/loop"
)

// copies keeps compressed copies of content that lies in memory and never changes: that of the cache. A copy is found by the memory of what it
// was made from. So it is not in the way of anything that happens to answers: one that is fetched anew or forgotten takes its copies with
// it, and one that is only validated keeps them. All loops share it.
type copies struct {
	kept *otter.Cache[copyKey, []byte]
	most int64 // bytes of content that is worth it

	mu      sync.Mutex // guards flights
	flights map[copyKey]*flight
}

// copyKey is the memory of the content, which it does not keep alive: an address that is used again makes another key.
type copyKey struct {
	first  weak.Pointer[byte]
	coding Coding
}

// flight is a copy being made, and who waits for it.
type flight struct {
	waiting []flier
	copy    []byte
	ok      bool
}

type flier struct {
	l    *loop.Loop
	over *loop.Event
}

// incompressible stands for a copy that would not be smaller.
var incompressible = []byte{}

func newCopies(memory int64) *copies {
	const overhead = 200
	return &copies{most: memory / 4, flights: map[copyKey]*flight{}, kept: otter.Must(&otter.Options[copyKey, []byte]{
		MaximumWeight: uint64(max(memory, 1)),
		Weigher:       func(_ copyKey, b []byte) uint32 { return uint32(cap(b) + overhead) },
	})}
}

// copyOf returns the compressed copy of content of that size, which it makes if there is none: nil when it would not be smaller. It is not ok when
// the content is too large to be kept, or there is no memory for it. It parks: whoever asks for what somebody is making already waits
// for that.
func (k *compressor) copyOf(l *loop.Loop, content [][]byte, size int64, coding Coding) (b []byte, ok bool) {
	s := k.copies
	if size > s.most || len(content[0]) == 0 {
		return nil, false
	}
	key := copyKey{weak.Make(&content[0][0]), coding}
	if b, ok = s.kept.GetIfPresent(key); ok {
		return smaller(b), true
	}
	s.mu.Lock()
	if f := s.flights[key]; f != nil {
		var over loop.Event
		f.waiting = append(f.waiting, flier{l, &over})
		s.mu.Unlock()
		over.Wait(l, 0)
		return smaller(f.copy), f.ok
	}
	if b, ok = s.kept.GetIfPresent(key); ok { // it was finished meanwhile
		s.mu.Unlock()
		return smaller(b), true
	}
	f := &flight{}
	s.flights[key] = f
	s.mu.Unlock()
	defer s.land(key, f) // also by a panic, or the end of the loop
	if !k.reserve(k.of[coding]) {
		return nil, false
	}
	f.copy = k.compressAll(l, content, size, coding)
	f.ok = f.copy != nil
	return smaller(f.copy), f.ok
}

// smaller returns a copy as it is used.
func smaller(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return b
}

// land ends a flight: its copy is kept, and those who wait are woken.
func (s *copies) land(key copyKey, f *flight) {
	if f.ok {
		s.kept.Set(key, f.copy)
	}
	s.mu.Lock()
	delete(s.flights, key)
	s.mu.Unlock()
	for _, w := range f.waiting {
		w.l.Post(func() { w.over.Set(w.l) })
	}
}

// compressAll returns content compressed, nil when that failed. Its encoder's memory is reserved. It parks.
func (k *compressor) compressAll(l *loop.Loop, content [][]byte, size int64, coding Coding) []byte {
	b := k.take(l)
	defer b.Close()
	b.of, b.enc, b.body = k.of[coding], k.of[coding].take(), &chunks{list: content}
	out := make([]byte, 0, size/4)
	for {
		p, err := b.Next(true)
		out = append(out, p.Data()...)
		switch {
		case err != nil:
			return nil // none comes from memory: the encoder is broken
		case int64(len(out)) >= size:
			return incompressible
		case p.Last:
			return append(make([]byte, 0, len(out)), out...)
		}
	}
}

// chunks is content in memory that somebody else owns, a Body.
type chunks struct {
	list [][]byte
	n    int
}

// Next is h1.Body's.
func (c *chunks) Next(bool) (h1.Piece, error) {
	p := h1.PieceOf(c.list[c.n])
	c.n++
	p.Last = c.n == len(c.list)
	return p, nil
}

// Trailer is h1.Body's.
func (c *chunks) Trailer() *h1.Header { return nil }

// Close is h1.Body's.
func (c *chunks) Close() {}
