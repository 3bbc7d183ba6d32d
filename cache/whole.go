package cache

import (
	"gatehouse/backend/h1"
	"gatehouse/backend/loop"
)

// wholeMark sets apart the mark that says of a key that the whole was fetched because of a part: once in a while is enough, whatever became of it.
const wholeMark = 0x5851f42d4c957f2d

// fetchWhole fetches in the background what a client has just got a part of, so that the next part of it comes from the store. j is what was
// thought of that answer, size that of the whole. old is what is stored, nil for nothing: then that is validated, and nothing is fetched if it
// is still good.
func (a *ask) fetchWhole(old *entry, j *judgement, size int64) {
	s := a.c.store
	mark := a.hash ^ wholeMark
	switch {
	case j.choice.needsClient() || a.req.Has(h1.Authorization) || known(a.x): // nobody else gets what this client gets
		return
	case s.marks.has(a.hash, a.now) || s.marks.has(mark, a.now):
		return
	case size <= a.c.c.inMemory() && s.filling.Load()+size > s.under.Load(): // there will be room later
		return
	}
	sh := s.shard(a.hash)
	sh.mu.Lock()
	f := a.fillUnderWay(sh)
	if f == nil {
		choice := j.choice
		f = s.begin(sh, a.hash, a.key)
		if f != nil {
			f.choice = &choice
		}
	} else {
		f = nil // somebody is at it
	}
	sh.mu.Unlock()
	if f == nil {
		return
	}
	s.marks.set(mark, a.now)
	a.fetchInBackground(f, old)
}

// fillUnderWay returns a fill for the key, nil when there is none. The shard's lock is held.
func (a *ask) fillUnderWay(sh *shard) *fill {
	for _, f := range sh.fills[a.hash] {
		if f.key == string(a.key) {
			return f
		}
	}
	return nil
}

// fetchInBackground lets a task of its own fetch the answer for f. old is what is stored, nil for nothing.
func (a *ask) fetchInBackground(f *fill, old *entry) {
	a.c.store.Stats.Refreshes.Add(1)
	b := a.c.take(a.detached())
	b.rule, b.background = a.rule, true
	b.setKey()
	b.req.CopyFrom(&b.x.Req.Header)
	a.loop.Go(loop.Func(func() { b.runRefresh(f, old) }))
}
