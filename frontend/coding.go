package frontend

import (
	"bytes"
	"fmt"
	"strconv"

	"gatehouse/backend/h1"
)

// Coding is a content coding (RFC 9110 8.4.1) that answers can be given.
type Coding uint8

// The codings.
const (
	Plain  Coding = iota // as it is
	Gzip                 // RFC 1952
	Brotli               // RFC 7932
	Zstd                 // RFC 8878
	codings
)

var codingNames = [codings]string{"identity", "gzip", "br", "zstd"}

// String returns the name that stands in Content-Encoding.
func (c Coding) String() string {
	if c < codings {
		return codingNames[c]
	}
	return "Coding(" + strconv.Itoa(int(c)) + ")"
}

// UnmarshalText reads "zstd", "br" or "gzip".
func (c *Coding) UnmarshalText(text []byte) error {
	for i := Gzip; i < codings; i++ {
		if string(text) == codingNames[i] {
			*c = i
			return nil
		}
	}
	return fmt.Errorf(`unknown algorithm %q: choose "zstd", "br" or "gzip"`, text)
}

// weights are what a request's Accept-Encoding says about each coding, in thousandths; absent where it says nothing.
type weights struct {
	of   [codings]int
	star int // of all that are not named
}

const absent = -1

// readWeights reads the Accept-Encoding lines of a request (RFC 9110 12.5.3). Elements that cannot be read count for nothing. A coding
// that is named twice has the smaller weight: who refuses it somewhere does not want it.
func readWeights(h *h1.Header) weights {
	w := weights{star: absent}
	for c := range w.of {
		w.of[c] = absent
	}
	for i := h.Index(h1.AcceptEncoding, 0); i >= 0; i = h.Index(h1.AcceptEncoding, i+1) {
		for v := h.Value(i); len(v) > 0; {
			var t []byte
			t, v = h1.NextToken(v)
			name, parameter, weighted := bytes.Cut(t, []byte(";"))
			q, ok := 1000, true
			if weighted {
				q, ok = readWeight(trimBlank(parameter))
			}
			if slot := w.slot(trimBlank(name)); ok && slot != nil && (*slot == absent || q < *slot) {
				*slot = q
			}
		}
	}
	return w
}

// slot returns where the weight of a named coding belongs, nil for codings we do not have.
func (w *weights) slot(name []byte) *int {
	if len(name) == 1 && name[0] == '*' {
		return &w.star
	}
	for c, s := range codingNames {
		if h1.EqualFold(name, s) {
			return &w.of[c]
		}
	}
	if h1.EqualFold(name, "x-gzip") { // "A recipient SHOULD consider "x-gzip" to be equivalent to "gzip"." (RFC 9110 8.4.1.3)
		return &w.of[Gzip]
	}
	return nil
}

// readWeight reads "q=" and a weight of at most three decimals (RFC 9110 12.4.2).
func readWeight(b []byte) (thousandths int, ok bool) {
	if len(b) < 3 || len(b) > 7 || b[0]|0x20 != 'q' || b[1] != '=' || b[2] != '0' && b[2] != '1' || len(b) > 3 && b[3] != '.' {
		return 0, false
	}
	n, unit := int(b[2]-'0')*1000, 100
	for _, c := range b[min(4, len(b)):] {
		if c < '0' || c > '9' {
			return 0, false
		}
		n += int(c-'0') * unit
		unit /= 10
	}
	return n, n <= 1000
}

// weight returns how much a request likes a coding, 0 for not at all.
func (w *weights) weight(c Coding) int {
	switch {
	case w.of[c] != absent:
		return w.of[c]
	case w.star != absent:
		return w.star
	case c == Plain:
		return 1 // acceptable, and liked less than whatever is named
	}
	return 0
}

// choose returns the coding of those offered that a request likes best, the first of several: Plain when it takes none of them, or
// likes the answer as it is better. A request without Accept-Encoding takes everything by the letter; in truth it comes from a program
// that expects nothing but the plain answer.
func choose(h *h1.Header, offered []Coding) Coding {
	if !h.Has(h1.AcceptEncoding) {
		return Plain
	}
	w := readWeights(h)
	best, most := Plain, 0
	if w.of[Plain] != absent {
		most = max(w.of[Plain]-1, 0) // liked as much as another one, that one saves the way
	}
	for _, c := range offered {
		if q := w.weight(c); q > most {
			best, most = c, q
		}
	}
	return best
}

// trimBlank removes optional white space (RFC 9110 5.6.3) from both ends.
func trimBlank(b []byte) []byte { return bytes.Trim(b, " \t") }
