package cache

// forget forgets all answers for a key, at once; the files go soon after. It reports whether there were any.
func (d *disk) forget(key uint64) (any bool) {
	if d == nil {
		return false
	}
	d.mu.Lock()
	any = d.forgetLocked(key, nil)
	d.mu.Unlock()
	d.ring()
	return any
}

// drop forgets one answer.
func (d *disk) drop(n fileName) {
	if d == nil {
		return
	}
	d.mu.Lock()
	d.forgetLocked(n.key, &n)
	d.mu.Unlock()
	d.ring()
}

// forgetLocked forgets all answers for a key, or one of them.
func (d *disk) forgetLocked(key uint64, one *fileName) (any bool) {
	any = d.unindex(key, one, true)
	for _, w := range d.pending[key] {
		if !w.cancelled && (one == nil || w.fileName == *one) {
			any = true
			d.cancel(w)
		}
	}
	return any
}

// cancel keeps a write from being found. What it was to replace is not in the index any more, and must not be found by the next process. mu is
// held.
func (d *disk) cancel(w *write) {
	w.cancelled = true
	d.doomed = append(d.doomed, w.fileName)
}

// maxForgotten bounds how many keys are remembered that changed while nobody knows yet what there is.
const maxForgotten = 1 << 20

// unindex takes all files for a key, or one of them, out of the index, and lets them be removed if doom. mu is held.
func (d *disk) unindex(key uint64, one *fileName, doom bool) (any bool) {
	if d.state < diskReady {
		if d.forgotten[key] = true; len(d.forgotten) > maxForgotten {
			d.forgotten, d.owed = map[uint64]bool{}, []*purge{{all: true}}
		}
	}
	for i := d.index.first[key]; i != 0; {
		r := d.index.at(i)
		next := r.next
		if one == nil || r.fileName == *one {
			if doom {
				d.doomed = append(d.doomed, r.fileName)
			}
			d.index.remove(i)
			any = true
		}
		i = next
	}
	return any
}
