package frontend

import (
	"bytes"
	"strconv"

	"gatehouse/backend/h1"
)

// maxRanges is how many ranges of a representation a request may ask for. "A server that supports range requests MAY ignore or
// reject a Range header field that contains an invalid ranges-specifier, a ranges-specifier with more than two overlapping
// ranges, or a set of many small ranges" (RFC 9110 14.2): requests for a thousand overlapping ones once brought servers down.
const maxRanges = 16

// tameRanges takes a Range field out of a request when it asks for too many ranges, or for some bytes twice. The server then sends
// the whole, which is a proper answer (RFC 9110 14.2).
func tameRanges(h *h1.Header) {
	i := h.Index(h1.Range, 0)
	if i < 0 {
		return
	}
	if h.Index(h1.Range, i+1) >= 0 || !tame(h.Value(i)) {
		h.Del(h1.Range)
	}
}

// tame reports whether v asks for at most maxRanges ranges, none of which overlaps another. What is not a range at all is left
// to the server to ignore.
func tame(v []byte) bool {
	_, list, ok := bytes.Cut(v, []byte("="))
	if !ok || bytes.IndexByte(list, ',') < 0 {
		return true
	}
	var from, to [maxRanges]int64
	n, suffixes := 0, 0
	for more := true; more; {
		var spec []byte
		spec, list, more = bytes.Cut(list, []byte(","))
		if spec = bytes.TrimSpace(spec); len(spec) == 0 {
			continue
		}
		if n == maxRanges {
			return false
		}
		a, b, _ := bytes.Cut(spec, []byte("-"))
		if len(a) == 0 { // the last bytes: two of those overlap always
			if suffixes++; suffixes > 1 {
				return false
			}
			from[n], to[n] = -1, -1
			n++
			continue
		}
		lo, err := strconv.ParseInt(string(a), 10, 64)
		if err != nil {
			return true
		}
		hi := int64(1<<63 - 1)
		if len(b) > 0 {
			if hi, err = strconv.ParseInt(string(b), 10, 64); err != nil {
				return true
			}
		}
		for k := range n {
			if from[k] >= 0 && lo <= to[k] && from[k] <= hi {
				return false
			}
		}
		from[n], to[n] = lo, hi
		n++
	}
	return true
}
