package cache

import (
	"io"
	"slices"
	"time"

	"gatehouse/backend/loop"
)

// What those who read a fill do with it, on whatever loop they are.

// read returns content from offset pos on. Without any, a is woken when there is more, unless err is not nil. last: it is the last piece.
func (f *fill) read(a *ask) (data []byte, last bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if a.until > 0 && a.pos >= a.until {
		return nil, true, io.EOF
	}
	if a.pos < f.size {
		at := a.pos - f.base
		data = f.chunks[at/chunkSize][at%chunkSize:]
		if a.until > 0 && a.pos+int64(len(data)) >= a.until {
			data, last = data[:a.until-a.pos], true
		}
		a.pos += int64(len(data))
		if f.starved {
			f.feed(a.loop)
		}
		if last {
			return data, true, nil
		}
		return data, f.phase == whole && a.pos == f.size && f.trailer == nil, nil
	}
	switch f.phase {
	case whole:
		return nil, true, io.EOF
	case failed:
		return nil, false, f.err
	}
	f.waiting = append(f.waiting, a.w)
	return nil, false, nil
}

// feed lets a feeder go on that was too far ahead. mu is held.
func (f *fill) feed(l *loop.Loop) {
	if d := f.feeder; d != nil && d.loop == l {
		d.room.Set(l)
	} else if d != nil {
		d.loop.Post(func() { d.room.Set(d.loop) })
	}
}

// join adds a reader of the answer, and returns its head and its length, -1 for unknown. It is not ok when the beginning of the content
// is not there any more.
func (f *fill) join(a *ask) (e *entry, length int64, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.base > 0 || f.spilled && (f.size > 0 || len(f.readers) > 0) { // of what is not kept, only who feeds it is a reader: others would have its pace
		return nil, 0, false
	}
	if f.readers == nil {
		f.readers = map[*ask]struct{}{}
	}
	f.readers[a] = struct{}{}
	return f.entry, f.length, true
}

// part takes a reader away.
func (f *fill) part(a *ask) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.readers, a)
	f.waiting = slices.DeleteFunc(f.waiting, func(w *waiter) bool { return w == a.w })
	if f.starved {
		f.feed(a.loop)
	}
}

// readBy returns how many read the fill.
func (f *fill) readBy() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.readers)
}

// useless reports whether nobody is going to have anything of the rest of the content.
func (f *fill) useless() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.readers) == 0 && (f.doomed || f.spilled && f.spool == nil)
}

// ahead reports whether the feeder must wait for the slowest reader, and remembers that it does. Only content that is not stored is
// fetched no faster than it is read.
func (f *fill) ahead() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.starved = false
	if !f.spilled {
		return false
	}
	slowest := f.size
	for a := range f.readers {
		slowest = min(slowest, a.pos)
	}
	for len(f.chunks) > 1 && f.base+chunkSize <= slowest {
		f.chunks = slices.Delete(f.chunks, 0, 1)
		f.base += chunkSize
	}
	late := f.size-slowest > window
	behind := f.spool != nil && f.spool.behind()
	f.starved, f.byDisk = late || behind, behind && !late && len(f.readers) > 0
	return f.starved
}

// patience is how long the feeder waits for room, 0 for as long as it takes.
func (f *fill) patience() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.byDisk {
		return 0
	}
	return max(spoolPatience(f.size)-f.waited, time.Millisecond)
}

// hasWaited notes that the feeder has waited with that patience. Readers do not wait for the disk again and again: then the answer is not
// stored.
func (f *fill) hasWaited(patience, d time.Duration) {
	if patience == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.waited += d; f.waited >= spoolPatience(f.size) && f.spool != nil {
		f.spool.tooSlow()
		f.spool = nil
	}
}

// caughtUp lets a feeder go on that has waited for the disk. From any goroutine.
func (f *fill) caughtUp() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if d := f.feeder; d != nil && f.starved {
		d.loop.Post(func() { d.room.Set(d.loop) })
	}
}
