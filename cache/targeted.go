package cache

import (
	"strconv"

	"github.com/dunglas/httpsfv"

	"gatehouse/backend/h1"
)

// targetedDirectives reads CDN-Cache-Control, by which an origin speaks to the shared caches it has chosen, and to them alone (RFC
// 9213). It reports whether the field is there and counts: then Cache-Control and Expires do not. "If a targeted field in a
// given response is empty, or a parsing error is encountered, that field MUST be ignored by the cache (i.e., it behaves as if
// the field were not present, likely falling back to other cache-control mechanisms present)." (RFC 9213 2.2)
func targetedDirectives(h *h1.Header) (d directives, ok bool) {
	if !h.Has(h1.CDNCacheControl) {
		return d, false
	}
	var lines []string
	for i := h.Index(h1.CDNCacheControl, 0); i >= 0; i = h.Index(h1.CDNCacheControl, i+1) {
		lines = append(lines, string(h.Value(i)))
	}
	dict, err := httpsfv.UnmarshalDictionary(lines)
	if err != nil || len(dict.Names()) == 0 {
		return d, false
	}
	d = readDirectives(&h1.Header{})
	for _, name := range dict.Names() {
		m, _ := dict.Get(name)
		item, isItem := m.(httpsfv.Item) // "Parameters received on directives are to be ignored, unless other handling is explicitly specified."
		if !isItem {
			d.take([]byte(name), []byte{}, false) // not a number, and no reason not to forbid
			continue
		}
		switch v := item.Value.(type) {
		case bool:
			if v {
				d.take([]byte(name), nil, false)
			}
		case int64:
			d.takeSeconds(name, v)
		case string:
			if name == "private" || name == "no-cache" {
				d.take([]byte(name), []byte(v), true)
			} else {
				d.take([]byte(name), []byte{}, false)
			}
		default:
			d.take([]byte(name), []byte{}, false)
		}
	}
	return d, true
}

// takeSeconds takes in a directive whose value is an integer.
func (d *directives) takeSeconds(name string, n int64) {
	var room [20]byte
	d.take([]byte(name), strconv.AppendInt(room[:0], n, 10), false)
}
