package cache

import (
	"bytes"
	"errors"
	"io/fs"
	"sync/atomic"

	"gatehouse/backend/h1"
)

// What requests have to do with the disk tier. An answer that is found there comes into memory without its content, like any other: whether
// it is the right variant and still fresh is asked as always. Only the content is read from the file, for each request anew. Who finds such
// an entry in memory is the second one to want it soon: then the content comes into memory too.

type flag = atomic.Bool

// recall looks for what is stored for the key on the disk. res is what is in memory. It may park, and returns what is in memory then and what
// answers this request, nil for nothing.
func (a *ask) recall(res *resource) (*resource, *entry) {
	s := a.c.store
	d := s.disk.Load()
	if d == nil || res != nil && res.known || a.now < d.slow.Load() {
		return res, nil
	}
	from := s.purges.Load()
	var room [maxVariants]found
	list := d.find(keyHash(a.key), a.hash, room[:0])
	if len(list) == 0 {
		return res, nil
	}
	got := make([]*entry, len(list))
	known := true
	for i, f := range list {
		e, err := a.look(d, f)
		if err != nil {
			known = false
			if err = a.lost(d, f.fileName, err); err != nil {
				break
			}
			continue
		}
		got[i] = e // nil for another key of the same hash
	}
	a.tick()
	sh := s.shard(a.hash)
	sh.mu.Lock()
	if s.purges.Load() != from { // one of these may have been meant
		sh.mu.Unlock()
		a.release()
		return res, nil
	}
	res = s.peek(a.hash, string(a.key))
	for i, e := range got {
		switch {
		case e == nil:
		case !d.holds(list[i]): // it was forgotten while it was read
			known = false
		case res == nil:
			res = &resource{key: string(a.key), variants: []*entry{e}}
		default:
			res = res.and(e)
		}
	}
	if res != nil {
		o := *res
		o.known = known
		res = &o
		s.data.Set(a.hash, res)
	}
	sh.mu.Unlock()
	e := res.pick(&a.x.Req.Header, a.c.o.Hidden)
	if e == nil || e.stored == nil || !a.needs(e) {
		a.release()
		return res, e
	}
	if e = a.ready(e); e != nil {
		a.fetched = true
	}
	return res, e
}

// and returns the resource with one more answer behind the others, unless there is one that was selected alike.
func (r *resource) and(e *entry) *resource {
	for _, v := range r.variants {
		if v.choice.same(&e.choice) {
			return r
		}
	}
	if len(r.variants) == maxVariants {
		return r
	}
	o := *r
	o.variants = append(r.variants[:len(r.variants):len(r.variants)], e)
	return &o
}

// look reads what a file says of its answer, and keeps it open as what a holds. The entry is nil for a file of another key.
func (a *ask) look(d *disk, f found) (*entry, error) {
	a.hold(d, f)
	r := a.held
	if err := r.open(lookupPatience); err != nil {
		return nil, err
	}
	h, err := readDiskHead(r.buf.b[:r.n], d.epoch, d.epoch+a.now)
	if err != nil {
		return nil, err
	}
	if h.key != string(a.key) {
		return nil, nil
	}
	h.entry.stored = &stored{d: d, found: f, id: h.id}
	if f.strange {
		d.learn(f, tagBits(&h.entry.head))
	}
	return h.entry, nil
}

// lost notes that a file could not be used. It returns errWouldWait where none is going to be.
func (a *ask) lost(d *disk, n fileName, err error) error {
	a.release()
	switch {
	case err == errWouldWait:
		d.s.Stats.DiskSlow.Add(1)
		d.slow.Store(a.now + slowTime.Milliseconds())
		return err
	case err == errDamaged:
		d.damaged(n)
	case errors.Is(err, fs.ErrNotExist):
		d.drop(n) // somebody has removed it
	default:
		d.fail("read", err)
		d.drop(n)
	}
	return nil
}

// needs reports whether the response takes content of e, not its head alone.
func (a *ask) needs(e *entry) bool {
	x := a.x
	h := &x.Req.Header
	return e.size > 0 && !a.background && len(x.Req.Method) == len("GET") && !(e.status == 200 && unchanged(h, &e.head, e.changed, e.date))
}

// ready makes the content of a stored answer available, which may park, and returns the entry, or nil if there is none any more. What was held of
// another one is let go of.
func (a *ask) ready(e *entry) *entry {
	st := e.stored
	switch {
	case st == nil:
		a.release()
		return e
	case !a.needs(e):
		return e
	case a.held != nil && a.held.head.id == st.id:
		return e
	case a.now < st.d.slow.Load():
		return nil
	}
	a.hold(st.d, st.found)
	r := a.held
	err := r.open(lookupPatience)
	a.tick()
	if err == nil && (r.head.id != st.id || r.head.size != e.size) {
		err = fs.ErrNotExist // another answer has its place
	}
	if err == nil {
		a.fetched = true
		return e
	}
	if errors.Is(err, fs.ErrNotExist) {
		a.release()
		a.c.store.drop(a.hash, string(a.key), e)
	} else if a.lost(st.d, st.fileName, err) == nil {
		a.c.store.drop(a.hash, string(a.key), e)
	}
	return nil
}

// again is ready for an entry that was found in memory without its content: it is brought there.
func (a *ask) again(e *entry) *entry {
	if e = a.ready(e); e == nil || a.held == nil || e.stored == nil {
		return e
	}
	st, s, r := e.stored, a.c.store, a.held
	if e.size > a.c.c.inMemory() || a.x.Req.Header.Has(h1.Range) || !st.promoted.CompareAndSwap(false, true) {
		return e
	}
	if !s.reserve(e.size) {
		st.promoted.Store(false)
		return e
	}
	r.reserved, r.of = e.size, e
	if e.size > chunkSize || r.block == nil {
		return e // and its content is collected as it is read
	}
	r.collect(0, r.block)
	e = a.promote(e)
	a.release()
	return e
}

// promote puts the content that was collected into memory, and returns the entry with it.
func (a *ask) promote(e *entry) *entry {
	s, r := a.c.store, a.held
	o := *e
	o.content, o.stored = r.collected, nil
	r.collected = nil
	s.promote(a.hash, string(a.key), e, &o)
	s.Stats.DiskPromoted.Add(1)
	return &o
}

// hold makes a reading of a file what a holds.
func (a *ask) hold(d *disk, f found) {
	a.release()
	room := a.c.rooms[a.loop.ID]
	var r *reading
	if n := len(room.readings); n > 0 {
		r = room.readings[n-1]
		room.readings = room.readings[:n-1]
	} else {
		r = &reading{l: a.loop, fd: -1, place: -1}
		r.returned = r.came
	}
	r.d, r.name = d, f
	r.path = append(append(r.path[:0], d.dir...), '/')
	r.path = append(f.appendPath(r.path), 0)
	a.held = r
}

// release lets go of it.
func (a *ask) release() {
	r := a.held
	if r == nil {
		return
	}
	a.held = nil
	if room := a.c.rooms[a.loop.ID]; r.free() && len(room.readings) < 64 {
		room.readings = append(room.readings, r)
	}
}

// chunk returns a chunk of the content. Without wait it is nil where it would have to wait for the disk.
func (a *ask) chunk(place int64, wait bool) ([]byte, error) {
	r := a.held
	if r == nil {
		if place >= int64(len(a.content)) {
			return nil, errShort
		}
		return a.content[place], nil
	}
	b, err := r.at(place, wait)
	if r.of != nil && b != nil && r.collect(place, b) {
		e := r.of
		r.of = nil
		a.promote(e)
		r.settle()
	}
	return b, err
}

// collect keeps a copy of a block that is the next one. It reports whether all are there.
func (r *reading) collect(place int64, b []byte) bool {
	if place == int64(len(r.collected)) {
		r.collected = append(r.collected, bytes.Clone(b)[:len(b):len(b)])
	}
	return int64(len(r.collected)) == sums(r.head.size)
}

// settle ends the way of content into memory.
func (r *reading) settle() {
	if r.reserved > 0 {
		r.d.s.unreserve(r.reserved)
	}
	if r.of != nil {
		r.of.stored.promoted.Store(false) // the next one may try
	}
	r.reserved, r.of, r.collected = 0, nil, nil
}

// now is the time in milliseconds since 1970, by the store's clock.
func (d *disk) now() int64 { return d.epoch + d.s.since() }

// useDisk makes the store's disk tier what c says, nil for none.
func (s *store) useDisk(c *Disk, memory int64) {
	was := s.disk.Load()
	switch {
	case was != nil && c != nil && was.dir == c.Path:
		was.resize(c.Size, memory)
		return
	case c == nil:
		s.disk.Store(nil)
	default:
		s.disk.Store(openDisk(s, c, memory, s.log))
	}
	if was != nil {
		was.give()
		s.closing.Go(was.Close)
	}
}

// hurry gives up what waits for the disk.
func (s *store) hurry() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.inHurry() {
		close(s.hurried)
	}
}

// inHurry reports whether there is no time for the disk any more.
func (s *store) inHurry() bool {
	select {
	case <-s.hurried:
		return true
	default:
		return false
	}
}

// closeDisk closes the disk tier, and waits for those before it.
func (s *store) closeDisk() {
	s.disk.Swap(nil).Close()
	s.closing.Wait()
}
