package cache

import (
	"bytes"
	"time"

	"gatehouse/backend/h1"
)

// renewTime is how long a file may wait to be written anew whose answer has become nothing but fresh for longer. Some become that every second, and
// the whole file is written each time.
const renewTime = 5 * time.Second

// renew writes an answer of which the server said that it is still good: fresh is what old has become. hash is the store's.
func (d *disk) renew(hash uint64, key string, old, fresh *entry) {
	if d == nil {
		return
	}
	if !old.choice.same(&fresh.choice) {
		d.drop(fileNameOf(key, &old.choice))
	}
	if !fresh.prolongs(old) || !d.putLater(hash, key, fresh) {
		d.put(hash, key, fresh)
	}
}

// putLater is put for an answer whose file may be found until it is written. It reports false when there is no such file.
func (d *disk) putLater(hash uint64, key string, e *entry) bool {
	n := fileNameOf(key, &e.choice)
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, o := range d.pending[n.key] {
		if o.fileName == n && !o.begun && !o.cancelled && o.key == key && e.stored == o.entry.stored {
			d.queued += e.size - o.entry.size // of one content: nothing, but for what is in memory now and was not
			o.entry = e
			return true
		}
	}
	if d.state != diskReady || d.ending || d.index.get(n) == 0 {
		return false
	}
	w := &write{fileName: n, key: key, memory: hash, entry: e, due: time.Now().Add(renewTime)}
	if len(d.later) >= maxQueue || d.queued+w.pinned() > d.most/2 {
		return true // what is there is right, though it seems older than it is
	}
	d.queued += w.pinned()
	d.later = append(d.later, w)
	d.pending[n.key] = append(d.pending[n.key], w)
	if len(d.later) == 1 {
		d.ring()
	}
	return true
}

// prolongs reports whether e says nothing else than old but that it is fresh for longer: who still has old does nothing wrong.
func (e *entry) prolongs(old *entry) bool {
	if e.born+e.life < old.born+old.life || e.validate != old.validate || e.strict != old.strict ||
		e.staleRevalidate != old.staleRevalidate || e.staleError != old.staleError || !e.choice.same(&old.choice) || e.status != old.status {
		return false
	}
	i, j := 0, 0
	for {
		a, value := nextLasting(&e.head, &i)
		b, was := nextLasting(&old.head, &j)
		if !bytes.EqualFold(a, b) || !bytes.Equal(value, was) {
			return false
		}
		if a == nil {
			return true
		}
	}
}

// nextLasting returns the next line of a header that does not only tell the time, from place *i on; nil at the end.
func nextLasting(h *h1.Header, i *int) (name, value []byte) {
	for ; *i < h.Len(); *i++ {
		id, name, value := h.At(*i)
		if name != nil && id != h1.Date && id != h1.Expires && id != h1.Age {
			*i++
			return name, value
		}
	}
	return nil, nil
}
