package cache

import (
	"bytes"

	"gatehouse/backend/h1"
)

// fetchRange answers a request for a part of something that is not stored, or not fresh any more: old, nil for nothing. The first byte waits for
// nobody but the server, which is asked for that part alone. Parts are not kept: to put together what servers rarely say so strongly to be the
// same (RFC 9110 15.3.7.3) is worth less than it costs, as the whole is fetched in the background where it may be stored (see fetchWhole). Two
// kinds of answers are stored as they come: a server that cares for no Range sends the whole anyway, and players of audio and video ask for
// "bytes=0-" before anything else, a part that is all there is.
func (a *ask) fetchRange(old *entry, fwd string) error {
	x := a.x
	if a.joinPart(fwd) {
		return nil
	}
	began := x.Loop.Now()
	h := &x.Req.Header
	// "A recipient MUST evaluate the request preconditions … in the following order": If-None-Match comes before Range and If-Range (RFC 9110
	// 13.2.2), so that one question brings either the part, or that what is stored is still good.
	validating := old != nil && !h.Has(h1.IfNoneMatch) && !h.Has(h1.IfModifiedSince) && a.setConditions(old, false)
	cookies, err := a.roundTrip(false)
	a.tick()
	if err != nil {
		if !blames(err, h1.ByClient) {
			a.inTrouble(false)
			if a.stands(old, false) {
				a.serveStale(old)
				return nil
			}
		}
		return err
	}
	r := &x.Resp
	a.answered(r.Status)
	switch {
	case r.Status == 304 && validating:
		return a.validated(nil, old, fwd)
	case r.Status >= 500 && a.stands(old, true):
		if r.Body != nil {
			r.Body.Close()
		}
		a.serveStale(old)
		return nil
	}
	all, ok := asWhole(r)
	if !ok {
		tell(x, fwd, fwdStatus(r.Status), detail("RANGE"))
		return nil
	}
	q := asked{header: &a.req, rule: a.rule, hidden: a.c.o.Hidden, cookies: cookies, known: known(x), own: x.Own.Len() > 0, elapsed: x.Loop.Now() - began, unix: x.Loop.Unix() / 1000}
	j := judge(q, all, a.c.c)
	if j.gone && old != nil {
		a.c.store.drop(a.hash, string(a.key), old)
	}
	switch {
	case j.detail != "":
	case all.Length != r.Length: // it is a part
		a.fetchWhole(old, &j, all.Length)
	case a.keepWhole(all, &j, &q, fwd):
		return nil
	}
	why := j.detail
	if r.Status == 206 {
		why = "RANGE"
	}
	tell(x, fwd, fwdStatus(r.Status), detail(why))
	return nil
}

// keepWhole stores the answer to a request for a part, all being what it is of: the same content. It reports false when that cannot be.
func (a *ask) keepWhole(all *h1.Response, j *judgement, q *asked, fwd string) bool {
	s, n := a.c.store, all.Length
	kept := n > 0 && n <= a.c.c.inMemory()
	if kept && !s.reserve(n) {
		return false
	}
	e := makeEntry(all, j, a.now, q.unix, a.c.c.UnsafeStoreSetCookie)
	if f := a.late(e); f != nil {
		a.keep(f, e, fwd)
		return true
	}
	if kept {
		s.unreserve(n)
	}
	return false
}

// asWhole returns what the answer to a request without Range would have been like, going by the answer to one with it. It is not ok where that
// cannot be said. Its content is that of r only if it has the same length.
func asWhole(r *h1.Response) (all *h1.Response, ok bool) {
	switch r.Status {
	case 200:
		return r, true
	case 206:
	default:
		return nil, false
	}
	s, size, ok := contentRange(&r.Header)
	if !ok || r.Body == nil || r.Length != s.to-s.from {
		return nil, false
	}
	all = &h1.Response{}
	*all = *r
	all.Status, all.Reason, all.Header, all.Length = 200, reasonOK, h1.Header{}, size
	all.Header.CopyFrom(&r.Header)
	all.Header.Del(h1.ContentRange)
	all.Header.Del(h1.ContentLength)
	addLength(&all.Header, size)
	return all, true
}

// contentRange reads "bytes 0-4/10" (RFC 9110 14.4). It is not ok without a known size, or where there is more than one field.
func contentRange(h *h1.Header) (s span, size int64, ok bool) {
	i := h.Index(h1.ContentRange, 0)
	if i < 0 || h.Index(h1.ContentRange, i+1) >= 0 {
		return s, 0, false
	}
	unit, rest, _ := bytes.Cut(trimBlank(h.Value(i)), []byte(" "))
	places, whole, _ := bytes.Cut(rest, []byte("/"))
	first, last, _ := bytes.Cut(places, []byte("-"))
	from, ok1 := parseOffset(first)
	to, ok2 := parseOffset(last)
	size, ok3 := parseOffset(whole)
	if !h1.EqualFold(unit, "bytes") || !ok1 || !ok2 || !ok3 || from > to || to >= size {
		return s, 0, false
	}
	return span{from, to + 1}, size, true
}
