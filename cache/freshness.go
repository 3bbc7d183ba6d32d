package cache

import (
	"time"

	"gatehouse/backend/h1"
)

// freshness says how long an answer is fresh (RFC 9111 4.2.1), and whether somebody said so explicitly.
func freshness(q asked, resp *h1.Response, d *directives, targeted bool) (p policy, explicit bool) {
	h := &resp.Header
	date, dated := headerDate(h, h1.Date)
	if !dated {
		date = q.unix
	}
	p.age = ageOf(h, date, q)
	p.validate = d.noCache
	p.strict = d.noCache || d.mustRevalidate || d.proxyRevalidate || d.sMaxAge != absent
	seconds := int64(0)
	expires := h.Has(h1.Expires) && !targeted
	switch {
	case d.sMaxAge != absent:
		seconds, explicit = d.sMaxAge, true
	case d.maxAge != absent:
		seconds, explicit = d.maxAge, true
	case expires:
		explicit = true
		if i := h.Index(h1.Expires, 0); h.Index(h1.Expires, i+1) < 0 {
			if t, ok := headerDate(h, h1.Expires); ok { // "A cache recipient MUST interpret invalid date formats, especially the value "0", as representing a time in the past" (RFC 9111 5.3)
				seconds = min(max(t-date, 0), longest)
			}
		}
	case q.rule.ttl > 0 && !d.noCache && heuristic(resp.Status) && resp.Status != 404:
		seconds, explicit = int64(q.rule.ttl/time.Second), true
	case heuristic(resp.Status) || d.public:
		seconds = heuristicLife(h, date)
	}
	p.life = seconds * second
	p.staleRevalidate, p.staleError = staleness(q.rule, d, p.strict)
	return p, explicit
}

// staleness says how long an answer may be used after its time, while it is fetched anew and while the server fails (RFC 5861). What a
// server says with max-age, it may say with s-maxage too: that forbids stale answers only where nothing else is said about them.
func staleness(r *rule, d *directives, strict bool) (revalidate, fail int64) {
	if d.noCache || d.mustRevalidate || d.proxyRevalidate {
		return 0, 0
	}
	if !strict {
		stale := int64(r.staleFor / time.Millisecond)
		revalidate, fail = stale, stale
	}
	if d.staleWhileRevalidate != absent {
		revalidate = d.staleWhileRevalidate * second
	}
	if d.staleError != absent {
		fail = d.staleError * second
	}
	return revalidate, fail
}

// heuristicLife is a tenth of the time for which the content has not changed: "If the response has a Last-Modified header field,
// caches are encouraged to use a heuristic expiration value that is no more than some fraction of the interval since that time. A
// typical setting of this fraction might be 10%." (RFC 9111 4.2.2) It is a day at most.
func heuristicLife(h *h1.Header, date int64) int64 {
	modified, ok := headerDate(h, h1.LastModified)
	if !ok {
		return 0
	}
	return min(max(date-modified, 0)/10, int64(24*time.Hour/time.Second))
}

// ageOf returns the age of an answer in milliseconds when it came (RFC 9111 4.2.3). "Although it is defined as a singleton header field, a cache
// encountering a message with a list-based Age field value SHOULD use the first member of the field value, discarding subsequent ones. If the
// field value (after discarding additional members, as per above) is invalid (e.g., it contains something other than a non-negative integer),
// a cache SHOULD ignore the field." (RFC 9111 5.1)
func ageOf(h *h1.Header, date int64, q asked) int64 {
	apparent := max(max(0, q.unix-date)*second, q.elapsed)
	first, _ := h1.NextToken(h.Get(h1.Age))
	if n, ok := parseSeconds(first); ok {
		return max(apparent, n*second+q.elapsed)
	}
	return apparent
}

// headerDate returns the value of a date field in seconds since 1970.
func headerDate(h *h1.Header, id h1.Name) (unix int64, ok bool) {
	v := h.Get(id)
	t, ok := h1.ParseDate(v)
	if !ok && len(v) > 0 {
		// "Although all date formats are specified to be case-sensitive, a cache recipient SHOULD match the field value
		// case-insensitively." (RFC 9111 4.2)
		var room [40]byte
		t, ok = h1.ParseDate(dateCase(room[:0], v))
	}
	return t.Unix(), ok
}

// dateCase appends a date with its letters in the case that RFC 9110 5.6.7 gives them.
func dateCase(dst, v []byte) []byte {
	start := len(dst)
	letter := false // before this one
	for _, c := range v {
		is := c|0x20 >= 'a' && c|0x20 <= 'z'
		switch {
		case is && letter:
			c |= 0x20
		case is:
			c &^= 0x20
		}
		letter = is
		dst = append(dst, c)
	}
	if b := dst[start:]; len(b) >= 3 && string(b[len(b)-3:]) == "Gmt" {
		copy(b[len(b)-3:], "GMT")
	}
	return dst
}
