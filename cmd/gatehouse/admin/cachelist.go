package admin

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// Listing asks what caches remember.
type Listing struct {
	Cache  string `json:"cache,omitempty"`  // "": all caches
	Prefix string `json:"prefix,omitempty"` // of URLs
	Limit  int    `json:"limit"`            // of answers, at least 1
}

// MaxListing is the largest limit of a Listing.
const MaxListing = 100_000

// Check reports a limit that is none.
func (l *Listing) Check() error {
	if l.Limit < 1 || l.Limit > MaxListing {
		return fmt.Errorf("want a limit from 1 to %d, not %d", MaxListing, l.Limit)
	}
	return nil
}

// Listed is what caches remember, in the order of URLs.
type Listed struct {
	Answers []Answer `json:"answers"`
	More    bool     `json:"more"` // there are more than the limit
}

// Answer is one answer that a cache remembers.
type Answer struct {
	Cache   string   `json:"cache"`
	Backend string   `json:"backend"`
	URL     string   `json:"url"`
	Status  int      `json:"status"`
	Size    int64    `json:"size"` // of the content, in bytes
	Age     float64  `json:"age"`  // seconds
	TTL     float64  `json:"ttl"`  // seconds; negative once it is not fresh any more
	Vary    []string `json:"vary,omitempty"`
	Tier    string   `json:"tier"` // "memory", "disk" or "both"
}

// WriteText writes the answers for people to read.
func (l *Listed) WriteText(w io.Writer) error {
	p := &printer{w: w}
	if len(l.Answers) == 0 {
		p.line("nothing is remembered")
		return p.err
	}
	p.table("status\tsize\tage\tttl\ttier\tvary\turl", len(l.Answers), func(i int) string {
		a := &l.Answers[i]
		ttl := age(time.Duration(a.TTL * float64(time.Second)))
		if a.TTL < 0 {
			ttl = "stale"
		}
		vary := strings.Join(a.Vary, ",")
		if vary == "" {
			vary = "-"
		}
		return row(a.Status, a.Size, age(time.Duration(a.Age*float64(time.Second))), ttl, a.Tier, vary, a.URL)
	})
	return p.err
}
