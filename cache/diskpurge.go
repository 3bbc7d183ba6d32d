package cache

import (
	"errors"
	"io/fs"
	"strings"
)

// purge is an order to forget: one of its fields says what.
type purge struct {
	all    bool
	prefix string // of URLs
	tag    string
}

// wants reports whether an answer is to be forgotten.
func (p *purge) wants(key string, e *entry) bool {
	switch {
	case p.all:
		return true
	case p.tag != "":
		return e.tagged(p.tag)
	}
	return strings.HasPrefix(urlOf(key), p.prefix)
}

// may reports whether the answer of a record may have to be forgotten, as far as the record says.
func (p *purge) may(r *record) bool {
	switch site := siteOf(p.prefix); {
	case p.all:
		return true
	case p.tag != "":
		return r.tags&tagBit([]byte(p.tag)) != 0
	default:
		return site == 0 || site == r.site
	}
}

// maxOwed bounds how many purges are remembered until the directory is known; more than that forget everything there.
const maxOwed = 256

// purge forgets what p wants of what was here when it was called, and waits until the files are gone: in whatever time that takes. Where the
// directory is not known yet, or belongs to another process, it is made up for later. forgot is told the keys. It returns what to pass to
// purgeSince. Not on a loop.
func (d *disk) purge(p *purge, forgot func(key uint64)) (since uint32) {
	if d == nil {
		return 0
	}
	d.mu.Lock()
	since = d.seq
	if d.state < diskReady {
		if d.owed = append(d.owed, p); len(d.owed) > maxOwed {
			d.owed = []*purge{{all: true}}
		}
	}
	d.mu.Unlock()
	d.walk(p, nil, forgot)
	return since
}

// purgeSince forgets what p wants of what came after a call of purge returned since, and waits for it all to be gone.
func (d *disk) purgeSince(p *purge, since uint32, forgot func(key uint64)) {
	if d == nil {
		return
	}
	d.walk(p, &since, forgot)
	d.settle()
}

// walk goes through all files there are, or those that came since, and forgets what p wants.
func (d *disk) walk(p *purge, since *uint32, forgot func(key uint64)) {
	tell := func(key uint64) {
		if forgot != nil {
			forgot(key)
		}
	}
	d.mu.Lock()
	for _, list := range d.pending {
		for _, w := range list {
			if !w.cancelled && p.wants(w.key, w.entry) {
				d.cancel(w)
				tell(w.fileName.key)
			}
		}
	}
	d.mu.Unlock()
	for r := range d.records(func(r *record) bool {
		return p.may(r) && (since == nil || int32(r.seq-*since) > 0)
	}) {
		f := found{fileName: r.fileName, seq: r.seq}
		if !p.all {
			h, err := d.inspect(r.fileName)
			switch {
			case errors.Is(err, errDamaged):
				d.damaged(r.fileName)
				continue
			case errors.Is(err, fs.ErrNotExist):
				continue // it has gone meanwhile
			case err != nil:
				d.fail("read", err) // what cannot be read may be what is meant
			case !p.wants(h.key, h.entry):
				d.learn(f, tagBits(&h.entry.head))
				continue
			}
		}
		d.mu.Lock()
		if i := d.index.get(r.fileName); i != 0 && d.index.at(i).seq == r.seq {
			d.index.remove(i)
			d.doomed = append(d.doomed, r.fileName)
			tell(r.fileName.key)
		}
		d.mu.Unlock()
	}
	d.ring()
}

// learn remembers the tags of a file.
func (d *disk) learn(f found, tags uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if i := d.index.get(f.fileName); i != 0 && d.index.at(i).seq == f.seq {
		d.index.at(i).tags = tags
	}
}

// records yields copies of the records that which chooses. Those that come meanwhile may be among them or not. The lock is held for moments
// only.
func (d *disk) records(which func(r *record) bool) func(yield func(r record) bool) {
	const some = 512
	return func(yield func(r record) bool) {
		list := make([]record, 0, some)
		for at := uint32(1); ; {
			list = list[:0]
			d.mu.Lock()
			x := d.index
			for end := min(at+some, x.made); at < end; at++ {
				if r := x.at(at); r.blocks > 0 && which(r) {
					list = append(list, *r)
				}
			}
			over := at >= x.made
			d.mu.Unlock()
			for _, r := range list {
				if !yield(r) {
					return
				}
			}
			if over {
				return
			}
		}
	}
}
