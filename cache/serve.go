package cache

import (
	"bytes"
	"strconv"

	"gatehouse/backend/h1"
)

// serve makes a stored answer the response: whole, a part of it, or as 304 (Not Modified) where the client has it already. It
// allocates nothing, but for several ranges.
func (a *ask) serve(e *entry) {
	a.build(e)
	tellHit(a.x, e.left(a.now), a.fetched)
	s := &a.c.store.Stats
	if a.fetched {
		s.DiskHits.Add(1)
	}
	s.Hits.Add(1)
	if e.left(a.now) <= 0 {
		s.Stale.Add(1)
	}
}

// build is serve, but for what is told about it.
func (a *ask) build(e *entry) {
	x := a.x
	r := &x.Resp
	r.Status, r.Reason, r.Length = e.status, e.reason, e.size
	r.Header.CopyFrom(&e.head)
	var room [20]byte
	// "The presence of an Age header field implies that the response was not generated or validated by the origin server for this
	// request." (RFC 9111 5.1)
	r.Header.Add("Age", strconv.AppendInt(room[:0], e.age(a.now)/second, 10))
	h := &x.Req.Header
	switch {
	case e.status == 200 && unchanged(h, &e.head, e.changed, e.date):
		notModified(r)
		return
	case e.size == 0 || len(x.Req.Method) != len("GET") || e.stored != nil && a.background: // HEAD, or nobody wants it
		return
	case e.status == 200 && h.Has(h1.Range) && a.selectRanges(e):
		return
	}
	a.supply(e)
}

// notModified makes a 304 of an answer (RFC 9110 15.4.5). The fields that describe the content are of no use in it.
func notModified(r *h1.Response) {
	r.Status, r.Reason, r.Length, r.Body = 304, reasonNotModified, 0, nil
	r.Header.Del(h1.ContentLength)
	r.Header.Del(h1.ContentType)
	r.Header.Del(h1.ContentEncoding)
	r.Header.Del(h1.ContentRange)
}

var (
	reasonNotModified = []byte("Not Modified")
	reasonPartial     = []byte("Partial Content")
	reasonRange       = []byte("Range Not Satisfiable")
	reasonTimeout     = []byte("Gateway Timeout")
	reasonOK          = []byte("OK")
	reasonForbidden   = []byte("Forbidden")
	reasonNotFound    = []byte("Not Found")
)

// unchanged reports whether a request is conditional, and its condition says that the client has this answer already (RFC 9111 4.3.2,
// RFC 9110 13.2.2). changed and date are the answer's Last-Modified, 0 for none, and Date.
func unchanged(req, resp *h1.Header, changed, date int64) bool {
	if req.Has(h1.IfNoneMatch) {
		return listed(req, resp.Get(h1.ETag))
	}
	if !req.Has(h1.IfModifiedSince) {
		return false
	}
	since, ok := headerDate(req, h1.IfModifiedSince)
	if changed == 0 {
		// "If a request received by a cache contains an If-Modified-Since header field and the Last-Modified header field is not present
		// in a stored response, a cache SHOULD use the stored response's Date field value" (RFC 9111 4.3.2)
		changed = date
	}
	return ok && changed <= since
}

// listed reports whether If-None-Match lists an entity tag, or "*". The comparison is the weak one (RFC 9110 13.1.2).
func listed(req *h1.Header, tag []byte) bool {
	for i := req.Index(h1.IfNoneMatch, 0); i >= 0; i = req.Index(h1.IfNoneMatch, i+1) {
		v := trimBlank(req.Value(i))
		if string(v) == "*" {
			return true
		}
		for len(v) > 0 {
			var t []byte
			var ok bool
			if t, v, ok = nextTag(v); !ok {
				break
			}
			if len(tag) > 0 && bytes.Equal(strong(t), strong(tag)) {
				return true
			}
		}
	}
	return false
}

// nextTag splits the first entity tag off a list (RFC 9110 8.8.3).
func nextTag(v []byte) (tag, rest []byte, ok bool) {
	for len(v) > 0 && (isBlank(v[0]) || v[0] == ',') {
		v = v[1:]
	}
	start := 0
	if len(v) > 1 && v[0] == 'W' && v[1] == '/' {
		start = 2
	}
	if len(v) == start || v[start] != '"' {
		return nil, nil, false
	}
	n := bytes.IndexByte(v[start+1:], '"')
	if n < 0 {
		return nil, nil, false
	}
	end := start + n + 2
	return v[:end], v[end:], true
}

// strong returns an entity tag without what marks it as weak.
func strong(tag []byte) []byte { return bytes.TrimPrefix(tag, []byte("W/")) }
