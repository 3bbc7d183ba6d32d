package cache

import (
	"strconv"

	"gatehouse/backend/h1"
)

// joinPart answers a request for a part from a fill that has come as far as the first byte of it. It reports false when there is none.
func (a *ask) joinPart(fwd string) bool {
	f, e, s, size := a.fillWithPart()
	if f == nil {
		return false
	}
	if e.validate || e.left(a.now) <= 0 || a.outlawed(e) {
		f.part(a)
		a.pos = 0
		return false
	}
	a.c.store.Stats.Collapsed.Add(1)
	x := a.x
	r := &x.Resp
	a.build(e)
	tell(x, fwd, "collapsed")
	r.Body = nil
	if r.Status != e.status { // the client has it already
		f.part(a)
		return true
	}
	var text [80]byte
	r.Status, r.Reason, r.Length = 206, reasonPartial, s.to-s.from
	r.Header.Add("Content-Range", appendContentRange(text[:0], s, size))
	setField(&r.Header, h1.ContentLength, "Content-Length", strconv.AppendInt(text[:0], r.Length, 10))
	a.fill, a.segments, a.pos, a.until = f, nil, s.from, s.to
	r.Body = a
	x.Cancel = a.stop
	return true
}

// fillWithPart returns a fill that has the beginning of the part which the request wants, its answer without content, that part, and the size of
// the whole. The request is a reader of the fill from there on. nil: there is none.
func (a *ask) fillWithPart() (f *fill, e *entry, s span, size int64) {
	sh := a.c.store.shard(a.hash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for _, f := range sh.fills[a.hash] {
		if f.key != string(a.key) {
			continue
		}
		if choice, ok := f.promises(); !ok || choice == nil || !choice.matches(&a.req, a.c.o.Hidden) {
			continue
		}
		if e, s, size, ok := f.joinAt(a); ok {
			return f, e, s, size
		}
	}
	return nil, nil, span{}, 0
}

// joinAt adds a reader of a part, if there is one that begins within what is here already.
func (f *fill) joinAt(a *ask) (e *entry, s span, size int64, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.phase != open || f.length <= 0 || f.base > 0 || f.spilled || f.entry.status != 200 {
		return nil, s, 0, false
	}
	h := &a.req
	i := h.Index(h1.Range, 0)
	if i < 0 || h.Index(h1.Range, i+1) >= 0 || h.Has(h1.IfRange) && !ifRange(h.Get(h1.IfRange), f.entry) {
		return nil, s, 0, false
	}
	var room [1]span
	list, ok := parseRanges(room[:0], h.Value(i), f.length)
	if !ok || len(list) != 1 || list[0].from >= f.size {
		return nil, s, 0, false
	}
	if f.readers == nil {
		f.readers = map[*ask]struct{}{}
	}
	a.pos = list[0].from // before ahead sees it
	f.readers[a] = struct{}{}
	return f.entry, list[0], f.length, true
}
