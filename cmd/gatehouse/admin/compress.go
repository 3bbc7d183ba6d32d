package admin

import (
	"fmt"
	"strings"
)

// Compress is what a frontend's compress block has done. Counters begin when a frontend of that name first appears.
type Compress struct {
	Answers []Count `json:"answers"` // that went out compressed, by coding
	Copies  uint64  `json:"copies"`  // of these, were made once and are kept beside the cache
	In      uint64  `json:"in"`      // bytes of content there were
	Out     uint64  `json:"out"`     // bytes that clients got in their place
	Skipped []Count `json:"skipped"` // that went out as they are, by reason
}

// Count is how often something was so.
type Count struct {
	What string `json:"what"`
	N    uint64 `json:"n"`
}

func total(list []Count) (n uint64) {
	for _, c := range list {
		n += c.N
	}
	return n
}

// Compressed is how many answers went out compressed.
func (c *Compress) Compressed() uint64 { return total(c.Answers) }

// Saved is how much of the content did not have to be sent, in percent.
func (c *Compress) Saved() int {
	if c.In == 0 || c.Out >= c.In {
		return 0
	}
	return int((c.In - c.Out) * 100 / c.In)
}

// Codings says how often each coding was used, and Reasons why answers went out as they are. What never happened is left out.
func (c *Compress) Codings() string { return inWords(c.Answers) }

// Reasons is like Codings.
func (c *Compress) Reasons() string { return inWords(c.Skipped) }

func inWords(list []Count) string {
	var words []string
	for _, c := range list {
		if c.N > 0 {
			words = append(words, fmt.Sprintf("%s %d", c.What, c.N))
		}
	}
	return strings.Join(words, ", ")
}

// Compressors returns the frontends that compress.
func (s *Status) Compressors() (list []*Frontend) {
	for i := range s.Frontends {
		if s.Frontends[i].Compress != nil {
			list = append(list, &s.Frontends[i])
		}
	}
	return list
}
