package cache

import (
	"errors"
	"strings"
	"time"
)

// Listed is one answer that is remembered.
type Listed struct {
	Backend string
	URL     string
	Status  int
	Size    int64         // of the content
	Age     time.Duration // since the server made it or said that it is still good
	TTL     time.Duration // for how long it will be fresh; negative once it is not
	Vary    []string      // fields by which it was selected
	Memory  bool          // its content is in memory
	Disk    bool          // it is on the disk, or about to be
}

// List passes what is remembered of URLs that begin with prefix, "" for all, to yield, until that returns false: first what memory knows, then what
// else is on the disk, in no order. It takes whatever time it takes to read the beginnings of files. Not on a loop.
func (c *Cache) List(prefix string, yield func(Listed) bool) {
	s := c.store
	d := s.disk.Load()
	seen := map[fileName]bool{}
	for _, r := range s.data.All() {
		if !strings.HasPrefix(urlOf(r.key), prefix) {
			continue
		}
		for _, e := range r.variants {
			v := s.listed(r.key, e)
			v.Memory = e.stored == nil
			if d != nil {
				n := fileNameOf(r.key, &e.choice)
				seen[n] = true
				v.Disk = d.has(n)
			}
			if !yield(v) {
				return
			}
		}
	}
	if d == nil {
		return
	}
	want := purge{prefix: prefix}
	for r := range d.records(func(r *record) bool { return want.may(r) && !seen[r.fileName] }) {
		h, err := d.inspect(r.fileName)
		switch {
		case errors.Is(err, errDamaged):
			d.damaged(r.fileName)
		case err == nil && want.wants(h.key, h.entry):
			v := s.listed(h.key, h.entry)
			v.Disk = true
			if !yield(v) {
				return
			}
		}
	}
}

func (s *store) listed(key string, e *entry) Listed {
	now := s.since()
	backend, url, _ := strings.Cut(key, "\x00")
	v := Listed{Backend: backend, URL: url, Status: e.status, Size: e.size, Age: time.Duration(e.age(now)) * time.Millisecond,
		TTL: time.Duration(e.left(now)) * time.Millisecond}
	for i := range e.choice.fields {
		v.Vary = append(v.Vary, e.choice.fields[i].name)
	}
	return v
}
