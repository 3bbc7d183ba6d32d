package cache

import (
	"time"

	"gatehouse/backend/h1"
)

// asked is what counts of a request when its answer is judged.
type asked struct {
	header     *h1.Header // as it came in
	rule       *rule
	hidden     string // name of a cookie that the server does not see
	cookies    bool   // the server got cookies, other than the one that persistence took out
	known      bool   // the client has shown a certificate
	own        bool   // the answer has a part for this client alone
	background bool   // no client asked
	elapsed    int64  // milliseconds from sending the request to the answer
	unix       int64  // the time at which the answer came, in seconds since 1970
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
	if all := readDirectives(h); !targeted {
		d = all
	} else {
		d.hidden = append(d.hidden, all.hidden...) // whatever overrules them: fields that are for one client stay that
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
	j.choice, star, ok = selectionOf(q.header, h, q.hidden)
	var explicit bool
	j.policy, explicit = freshness(q, resp, &d, targeted)
	switch {
	case !explicit && !heuristic(resp.Status) && !(d.public && understood(resp.Status, q.rule)):
		j.detail = "STATUS"
	case !understood(resp.Status, q.rule):
		j.detail = "STATUS"
	case (q.known || q.header.Has(h1.Authorization)) && !d.public && !d.mustRevalidate && d.sMaxAge == absent:
		// "A shared cache MUST NOT use a cached response to a request with an Authorization header field to satisfy any subsequent request
		// unless the response contains a Cache-Control field with a response directive that allows it to be stored by a shared cache, and
		// the cache conforms to the requirements of that directive for that response. In this specification, the following response
		// directives have such an effect: must-revalidate, public, and s-maxage." (RFC 9111 3.5) Who has shown a certificate is known to
		// the server just as well, by what the frontend tells it.
		j.detail = "AUTH"
	case q.cookies && !explicit && !d.public:
		// Servers that say nothing about caching do not know that they make a page for one visitor: a guess is not good enough.
		j.detail = "COOKIE"
	case h.Has(h1.SetCookie) && !d.hides([]byte("Set-Cookie")) && !c.UnsafeStoreSetCookie:
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
