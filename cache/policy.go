package cache

import (
	"time"

	"gatehouse/backend/h1"
)

// asked is what counts of a request when its answer is judged.
type asked struct {
	header     *h1.Header // as it came in
	rule       *rule
	cookies    bool  // the server got cookies, other than the one that persistence took out
	own        bool  // the answer has a part for this client alone
	background bool  // no client asked
	elapsed    int64 // milliseconds from sending the request to the answer
	unix       int64 // the time at which the answer came, in seconds since 1970
}

// judgement is what becomes of an answer.
type judgement struct {
	detail string // why it is not stored, in a word for Cache-Status; "" when it is
	// gone: what is stored of the same request must not be used any more, as the server does not want this answer to be shared.
	gone bool

	policy
	hidden *directives // names the fields that are left out of the store
	choice selection
}

// policy is how long an answer may be used. Times are milliseconds.
type policy struct {
	age             int64 // when it came
	life            int64 // how long it is fresh, counted from age 0
	staleRevalidate int64 // how long after that while it is fetched anew
	staleError      int64 // how long after that while the server fails
	validate        bool  // not at all without asking the server (no-cache)
	strict          bool  // not a moment longer than life, even when nobody can be asked
}

// joinable reports whether others who are waiting may have the answer too.
func (p *policy) joinable() bool { return !p.validate && p.life > p.age }

const second = int64(time.Second / time.Millisecond)

// bridge is how long an answer may be used after its time when no server can be reached, where nobody has said anything
// about it.
const bridge = int64(10 * time.Minute / time.Millisecond)

// judge says whether a shared cache may store an answer to a GET request, and how long it may use it (RFC 9111 3 and 4.2).
func judge(q asked, resp *h1.Response, c *Config) (j judgement) {
	h := &resp.Header
	d, targeted := targetedDirectives(h)
	if !targeted {
		d = readDirectives(h)
	}
	j.hidden = &d
	if d.mustUnderstand {
		// "The must-understand response directive limits caching of the response to a cache that understands and conforms to the
		// requirements for that response's status code. … When a cache that implements the must-understand directive receives a response
		// that includes it, the cache SHOULD ignore the no-store directive if it understands and implements the status code's caching
		// requirements." (RFC 9111 5.2.2.3)
		d.noStore = !understood(resp.Status, q.rule) || !defined(resp.Status)
	}
	if j.detail = forbidden(&d); j.detail != "" {
		j.gone = true
		return j
	}
	star, ok := false, false
	j.choice, star, ok = selectionOf(q.header, h)
	var explicit bool
	j.policy, explicit = freshness(q, resp, &d, targeted)
	switch {
	case !explicit && !heuristic(resp.Status) && !(d.public && understood(resp.Status, q.rule)):
		j.detail = "STATUS"
	case !understood(resp.Status, q.rule):
		j.detail = "STATUS"
	case q.header.Has(h1.Authorization) && !d.public && !d.mustRevalidate && d.sMaxAge == absent:
		// "A shared cache MUST NOT use a cached response to a request with an Authorization header field to satisfy any subsequent request
		// unless the response contains a Cache-Control field with a response directive that allows it to be stored by a shared cache, and
		// the cache conforms to the requirements of that directive for that response. In this specification, the following response
		// directives have such an effect: must-revalidate, public, and s-maxage." (RFC 9111 3.5)
		j.detail = "AUTH"
	case q.cookies && !explicit && !d.public:
		// Servers that say nothing about caching do not know that they make a page for one visitor: a guess is not good enough.
		j.detail = "COOKIE"
	case h.Has(h1.SetCookie) && !d.hides([]byte("Set-Cookie")):
		j.detail = "SET-COOKIE"
	case q.own && !q.background && !c.FillFromNewcomers:
		j.detail = "OWN"
	case star:
		j.detail = "VARY-STAR"
	case !ok:
		j.detail = "VARY"
	case j.choice.names([]byte("Accept-Encoding")) && !foldable(h):
		j.detail = "CODING"
	case resp.Framing == h1.UntilClose:
		j.detail = "NO-LENGTH" // nobody could tell a whole one from one that was cut
	case resp.Length > c.largest():
		j.detail = "TOO-LARGE"
	case j.life <= j.age && j.staleRevalidate == 0 && !h.Has(h1.ETag) && !h.Has(h1.LastModified):
		j.detail = "NO-FRESHNESS" // of no use: it could not even be validated
	}
	return j
}

// forbidden returns the word of a directive that keeps an answer from any shared cache.
func forbidden(d *directives) string {
	switch {
	case d.noStore:
		return "NO-STORE"
	case d.private:
		return "PRIVATE"
	case d.malformed:
		return "MALFORMED"
	}
	return ""
}

// understood reports whether the cache knows what an answer with that status is about, and that it is not about the single request. What is
// wrong with a request is in fields that are not in the key more often than not: a client could make everybody get its own errors. Only a
// rule makes those last.
func understood(status int, r *rule) bool {
	switch status {
	case 206, 304, 401, 407, 416:
		return false
	case 400, 403, 405, 406, 408, 409, 411, 412, 413, 414, 415, 417, 421, 422, 425, 426, 428, 429, 431, 501, 505, 511:
		return r.errors
	}
	return true
}

// defined reports whether RFC 9110 says what the status means.
func defined(status int) bool {
	switch status {
	case 200, 201, 202, 203, 204, 205, 300, 301, 302, 303, 307, 308, 400, 402, 403, 404, 405, 406, 408, 409, 410, 411, 412, 413, 414, 415, 417,
		421, 422, 426, 500, 501, 502, 503, 504, 505:
		return true
	}
	return false
}

// heuristic reports whether an answer with that status may be stored though nothing is said about its freshness: RFC 9110 15.1 calls
// these heuristically cacheable, and a few errors besides.
func heuristic(status int) bool {
	switch status {
	case 200, 203, 204, 300, 301, 308, 404, 410:
		return true
	}
	return false
}

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
