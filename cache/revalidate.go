package cache

import (
	"bytes"

	"gatehouse/backend/h1"
)

// validated answers with what is stored, of which the server has just said that it is still good. The fields of the 304 that are for
// everybody become part of it; a Set-Cookie goes to this client alone.
func (a *ask) validated(f *fill, old *entry, fwd string) error {
	x := a.x
	h := &x.Resp.Header
	if tag, was := h.Get(h1.ETag), old.head.Get(h1.ETag); tag != nil && was != nil && !bytes.Equal(strong(tag), strong(was)) {
		// "If no stored response is selected … the cache MUST NOT use the new response to update any stored responses" (RFC 9111
		// 4.3.4). It says that something else is good, which we do not have.
		a.c.store.drop(a.hash, string(a.key), old)
		x.Own.Reset()
		clearResponse(&x.Resp)
		if a.req.Has(h1.Range) && f == nil {
			return a.fetchRange(nil, fwd)
		}
		return a.send(f, nil, fwd)
	}
	a.c.store.Stats.Revalidated.Add(1)
	var cookies h1.Header
	for i := h.Index(h1.SetCookie, 0); i >= 0 && !a.c.c.UnsafeStoreSetCookie; i = h.Index(h1.SetCookie, i+1) {
		cookies.Add("Set-Cookie", h.Value(i))
	}
	e := a.freshen(old, h)
	if f != nil {
		f.end(a.loop, settled, nil)
	}
	clearResponse(&x.Resp)
	a.build(e)
	for i := range cookies.Len() {
		_, name, value := cookies.At(i)
		h.Add(string(name), value)
	}
	tell(x, fwd, "fwd-status=304")
	return nil
}

// freshen puts what a 304, or the answer to HEAD, says into the stored answer, and returns the result. When it may not be shared any
// more it is taken out of the store.
func (a *ask) freshen(old *entry, h *h1.Header) *entry {
	x, s := a.x, a.c.store
	unix := x.Loop.Unix() / 1000
	e := old.freshened(h, a.c.c.UnsafeStoreSetCookie)
	if !h.Has(h1.Date) {
		e.head.Del(h1.Date) // complete makes a new one
	}
	e.complete(unix)
	r := h1.Response{Status: e.status, Header: h1.Header{}, Length: e.size}
	r.Header.CopyFrom(&e.head)
	if age := h.Get(h1.Age); age != nil {
		r.Header.Add("Age", age)
	}
	j := judge(asked{header: &a.req, rule: a.rule, hidden: a.c.o.Hidden, known: known(x), background: a.background, unix: unix}, &r, a.c.c)
	e.policy, e.born = j.policy, a.now-j.age
	if forbids(h) {
		j.gone = true
	}
	switch {
	case j.detail == "" && !j.gone:
		e.choice = j.choice
		s.replace(a.hash, string(a.key), old, e.without(j.hidden)) // this client gets all of it
		if e.joinable() {
			s.marks.clear(a.hash)
		} else {
			s.marks.set(a.hash, a.now)
		}
	case j.gone:
		s.drop(a.hash, string(a.key), old)
		s.marks.set(a.hash, a.now)
	}
	return e
}

// forbids reports whether a 304 on its own keeps the answer from being shared, even where what was stored before says
// otherwise by CDN-Cache-Control.
func forbids(h *h1.Header) bool {
	d, targeted := targetedDirectives(h)
	if !targeted {
		d = readDirectives(h)
	}
	d.noStore = d.noStore && !d.mustUnderstand // what is stored was understood
	return forbidden(&d) != ""
}

// refresh fetches a stored answer anew in the background. It reports false where that cannot be done: an answer that was selected by
// cookies or credentials can be had by their owner only.
func (a *ask) refresh(old *entry) bool {
	if old.choice.needsClient() {
		return false
	}
	s := a.c.store
	sh := s.shard(a.hash)
	sh.mu.Lock()
	if a.fillUnderWay(sh) != nil {
		sh.mu.Unlock()
		return true // somebody is at it
	}
	f := s.begin(sh, a.hash, a.key)
	f.choice = &old.choice
	sh.mu.Unlock()
	a.fetchInBackground(f, old)
	return true
}

// detached makes the exchange in which an answer is fetched in the background: the request that has found it missing or stale, without anything
// that is its client's alone.
func (a *ask) detached() *h1.Exchange {
	x := a.x
	b := &h1.Exchange{Loop: a.loop, Peer: x.Peer, Local: x.Local, TLS: x.TLS}
	if !b.Local.IsValid() && x.Client != nil {
		b.Local = x.Client.Local()
	}
	b.Note.Reset()
	q := &b.Req
	q.Method, q.Target, q.Host = []byte("GET"), bytes.Clone(x.Req.Target), bytes.Clone(x.Req.Host)
	q.Secure, q.Minor = x.Req.Secure, 1
	q.Header.CopyFrom(&x.Req.Header)
	for _, id := range [...]h1.Name{h1.Cookie, h1.Authorization, h1.ProxyAuthorization, h1.Range, h1.IfRange, h1.IfNoneMatch,
		h1.IfModifiedSince, h1.CacheControl, h1.Pragma, h1.Referer} {
		q.Header.Del(id)
	}
	return b
}

// runRefresh is the task that fetches an answer anew.
func (a *ask) runRefresh(f *fill, old *entry) {
	if err := a.send(f, old, fwdStale); err != nil {
		a.c.give(a)
		return
	}
	switch body := a.x.Resp.Body; {
	case body == h1.Body(a):
		a.Close() // which waits for the fill
		return
	case body != nil:
		body.Close()
	}
	a.c.give(a)
}
