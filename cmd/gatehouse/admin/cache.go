package admin

import "fmt"

// Cache is a cache at a moment. Counters begin when a cache of that name first appears.
type Cache struct {
	Name    string `json:"name"`
	Keys    int    `json:"keys"`    // URLs of which something is remembered, about
	Bytes   uint64 `json:"bytes"`   // of all that, about
	Memory  uint64 `json:"memory"`  // the bound of bytes
	Filling int64  `json:"filling"` // bytes of content on their way into it

	Hits        uint64 `json:"hits"`        // answered from memory
	Stale       uint64 `json:"stale"`       // of these, no longer fresh
	Misses      uint64 `json:"misses"`      // for which a server was asked, or waited for
	Collapsed   uint64 `json:"collapsed"`   // of these, got the answer that another request fetched
	Revalidated uint64 `json:"revalidated"` // of these, what is remembered was still good
	Unstorable  uint64 `json:"unstorable"`  // of these, had an answer that may not be remembered
	Passed      uint64 `json:"passed"`      // not looked up: other methods, bypass
	Refreshes   uint64 `json:"refreshes"`   // fetched in the background
	Stored      uint64 `json:"stored"`      // answers
	Truncated   uint64 `json:"truncated"`   // answers that broke off
	Evicted     uint64 `json:"evicted"`     // URLs that made room for others
	Purged      uint64 `json:"purged"`      // URLs forgotten by order
	Invalidated uint64 `json:"invalidated"` // URLs forgotten as a request may have changed them

	Disk *Disk `json:"disk,omitempty"` // its disk tier; nil: there is none
}

// Disk is the disk tier of a cache at a moment.
type Disk struct {
	Path    string `json:"path"`
	State   string `json:"state"`             // "waiting" for the directory, "loading", "ready" or "closed"
	Trouble string `json:"trouble,omitempty"` // why it is not used, or not written to
	Objects int    `json:"objects"`           // answers
	Bytes   uint64 `json:"bytes"`             // of their files, in blocks of the file system
	Size    uint64 `json:"size"`              // the bound of bytes
	Queued  uint64 `json:"queued"`            // bytes that wait to be written

	Hits     uint64 `json:"hits"`     // of all hits: the content came from the disk
	Promoted uint64 `json:"promoted"` // answers brought from there into memory
	Stored   uint64 `json:"stored"`   // answers written
	Written  uint64 `json:"written"`  // bytes
	Dropped  uint64 `json:"dropped"`  // answers not written, as the disk was too slow or full
	Evicted  uint64 `json:"evicted"`  // answers that made room for others
	Corrupt  uint64 `json:"corrupt"`  // files that were not what had been written, and were removed
	Errors   uint64 `json:"errors"`   // of the file system
	Slow     uint64 `json:"slow"`     // requests that asked a server as the disk was too slow
}

// Disks returns the caches that have a disk tier.
func (s *Status) Disks() (list []*Cache) {
	for i := range s.Caches {
		if s.Caches[i].Disk != nil {
			list = append(list, &s.Caches[i])
		}
	}
	return list
}

// Ratio is how many of the requests that were looked up were answered without asking a server for them, in percent; 0 for no requests.
func (c *Cache) Ratio() int {
	if c.Hits+c.Misses == 0 {
		return 0
	}
	return int((c.Hits + c.Collapsed) * 100 / (c.Hits + c.Misses))
}

// Purge is what a cache shall forget: one of URL, Prefix, Tag and All.
type Purge struct {
	Cache  string `json:"cache,omitempty"` // "": all caches
	URL    string `json:"url,omitempty"`
	Prefix string `json:"prefix,omitempty"` // of URLs
	Tag    string `json:"tag,omitempty"`    // a word of Surrogate-Key or Cache-Tag
	All    bool   `json:"all,omitempty"`
}

// Check reports an order that says nothing, or several things at once.
func (p *Purge) Check() error {
	n := 0
	for _, said := range []bool{p.URL != "", p.Prefix != "", p.Tag != "", p.All} {
		if said {
			n++
		}
	}
	if n != 1 {
		return fmt.Errorf("want one of a URL, a prefix, a tag and all, not %d of them", n)
	}
	return nil
}

// Purged is how such an order ended.
type Purged struct {
	URLs int `json:"urls"` // of which something was forgotten
}
