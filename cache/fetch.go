package cache

import (
	"io"
	"strconv"

	"gatehouse/backend/h1"
)

// send asks the server. f is the fill that others wait for, nil for none; old is what is stored and may still be good, nil for nothing. It
// parks.
func (a *ask) send(f *fill, old *entry, fwd string) error {
	x := a.x
	ended := f == nil
	defer func() {
		if !ended { // a panic, or the end of the loop: nobody shall wait in vain
			f.end(a.loop, failed, cut())
		}
	}()
	if old != nil {
		old = a.ready(old) // another one's content may have been looked at since
	}
	validating := a.setConditions(old, f != nil)
	began := x.Loop.Now()
	cookies, err := a.roundTrip(f != nil)
	a.tick()
	if err != nil {
		ended = true
		if f != nil {
			f.end(a.loop, failed, err)
		}
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
		ended = true
		return a.validated(f, old, fwd)
	case r.Status >= 500 && a.stands(old, true):
		ended = true
		if f != nil {
			f.end(a.loop, failed, cut())
		}
		if r.Body != nil {
			r.Body.Close()
		}
		a.serveStale(old)
		return nil
	}
	q := asked{header: &a.req, rule: a.rule, hidden: a.c.o.Hidden, cookies: cookies, known: known(x), own: x.Own.Len() > 0, background: a.background,
		elapsed: x.Loop.Now() - began, unix: x.Loop.Unix() / 1000}
	j := judge(q, r, a.c.c)
	kept := r.Length > 0 && r.Length <= a.c.c.inMemory() // else it goes past memory, a piece at a time
	if j.detail == "" && kept && !a.c.store.reserve(r.Length) {
		j.detail = "FULL"
	}
	ended = true
	if j.detail == "" {
		e := makeEntry(r, &j, a.now, q.unix, a.c.c.UnsafeStoreSetCookie)
		if f == nil {
			f = a.late(e)
		}
		if f != nil {
			a.keep(f, e, fwd)
			a.answerCondition(f, e)
			return nil
		}
		if kept {
			a.c.store.unreserve(r.Length)
		}
	}
	a.refuse(f, old, &j, fwd)
	if r.Status == 200 && (f != nil || validating) && unchangedBy(&a.req, &r.Header, q.unix) {
		if r.Body != nil {
			r.Body.Close()
		}
		notModified(r)
	}
	return nil
}

// known reports whether the client has shown a certificate.
func known(x *h1.Exchange) bool { return x.TLS != nil && len(x.TLS.PeerCertificates) > 0 }

// roundTrip lets the server answer, and puts the request back to what it was. It reports whether the server got cookies. A fill goes
// on when its client leaves: then nobody watches the client.
func (a *ask) roundTrip(fill bool) (cookies bool, err error) {
	x, s := a.x, a.c.store
	a.purges, a.forgets = s.purges.Load(), s.shard(a.hash).forgets.Load()
	client, local, target := x.Client, x.Local, x.Req.Target
	if fill && client != nil {
		if !local.IsValid() {
			x.Local = client.Local()
		}
		x.Client = nil
	}
	if !a.sameTarget() {
		x.Req.Target = a.target
	}
	err = a.c.next.RoundTrip(x)
	cookies = x.Req.Header.Has(h1.Cookie)
	a.bare = !cookies
	x.Client, x.Local, x.Req.Target = client, local, target
	x.Req.Header.CopyFrom(&a.req)
	return cookies, err
}

// setConditions puts the validators of a stored answer into the request (RFC 9111 4.3.1), in the place of the client's, and reports
// whether there were any. Where the answer is wanted for others too, the client's go: to a 304 nobody else could be given an answer.
func (a *ask) setConditions(old *entry, fill bool) (validating bool) {
	h := &a.x.Req.Header
	var tag, changed []byte
	if old != nil {
		tag, changed = old.head.Get(h1.ETag), old.head.Get(h1.LastModified)
	}
	validating = len(tag) > 0 || old != nil && old.changed != 0
	if !validating && !fill {
		return false
	}
	h.Del(h1.IfNoneMatch)
	h.Del(h1.IfModifiedSince)
	if len(tag) > 0 {
		h.Add("If-None-Match", tag)
	}
	if old != nil && old.changed != 0 {
		h.Add("If-Modified-Since", changed)
	}
	return validating
}

// stands reports whether a stored answer may stand in for one that the server does not give. answered: it gave one, an error.
func (a *ask) stands(old *entry, answered bool) bool {
	if old == nil || old.validate || a.background {
		return false
	}
	allowed := old.staleError
	if !answered && !old.strict {
		allowed = max(allowed, bridge)
	}
	return -old.left(a.now) < allowed && a.ready(old) != nil
}

// serveStale makes a stored answer the response instead of what came from the server.
func (a *ask) serveStale(old *entry) {
	a.x.Own.Reset()
	clearResponse(&a.x.Resp)
	a.serve(old)
}

// clearResponse makes a response unused again and keeps its memory.
func clearResponse(r *h1.Response) {
	h := r.Header
	*r = h1.Response{Header: h}
	r.Header.Reset()
}

// refuse relays an answer that is not stored.
func (a *ask) refuse(f *fill, old *entry, j *judgement, fwd string) {
	s, r := a.c.store, &a.x.Resp
	s.Stats.Unstorable.Add(1)
	if j.gone && old != nil && r.Status < 500 {
		s.drop(a.hash, string(a.key), old)
	}
	if r.Status < 500 && j.detail != "" && j.detail != "FULL" {
		s.marks.set(a.hash, a.now) // before those who wait are told: they, too, may come again
	}
	if f != nil {
		f.end(a.loop, refused, nil)
	}
	tell(a.x, fwd, fwdStatus(r.Status), detail(j.detail))
}

// late makes a fill of an answer that nobody was expected to wait for, unless another one is on its way, or something was forgotten since the server
// was asked, which may have been this.
func (a *ask) late(e *entry) *fill {
	s := a.c.store
	sh := s.shard(a.hash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if a.purges != s.purges.Load() || a.forgets != sh.forgets.Load() {
		return nil
	}
	for _, f := range sh.fills[a.hash] {
		if f.key != string(a.key) {
			continue
		}
		if choice, ok := f.promises(); ok && (choice == nil || choice.same(&e.choice)) {
			return nil
		}
	}
	return s.begin(sh, a.hash, a.key)
}

// keep stores an answer while it is read.
func (a *ask) keep(f *fill, e *entry, fwd string) {
	s, r := a.c.store, &a.x.Resp
	tell(a.x, fwd, fwdStatus(r.Status), "stored")
	if e.joinable() {
		s.marks.clear(a.hash)
	} else {
		s.marks.set(a.hash, a.now) // everybody has to ask for themselves
	}
	if r.Body == nil {
		f.open(a.loop, e, 0, nil)
		f.finish(a.loop, nil)
		return
	}
	d := &feeder{f: f, body: r.Body, loop: a.loop, most: a.c.c.inMemory()}
	f.large = a.c.c.largest()
	f.open(a.loop, e, r.Length, d)
	f.join(a)
	a.fill, a.feeder = f, d
	r.Body = a
	if err := d.feed(false); err != nil {
		d.close(err) // all of it was here already
		if err == io.EOF {
			a.whole(f)
		}
		return
	}
	a.loop.Go(d)
}

// whole is for an answer that came in one piece: its length is known now.
func (a *ask) whole(f *fill) {
	r := &a.x.Resp
	if r.Length >= 0 || f.trailer != nil {
		return
	}
	r.Length = f.size
	addLength(&r.Header, f.size)
	r.Header.Del(h1.Trailer)
	if f.size == 0 {
		f.part(a)
		a.fill, a.feeder, r.Body = nil, nil, nil
	}
}

func addLength(h *h1.Header, n int64) {
	var room [20]byte
	h.Add("Content-Length", strconv.AppendInt(room[:0], n, 10))
}

// answerCondition makes the response a 304 where the client has what came already. The fill is waited for, as it lasts no longer than
// the exchange.
func (a *ask) answerCondition(f *fill, e *entry) {
	x := a.x
	if e.status != 200 || !a.req.Has(h1.IfNoneMatch) && !a.req.Has(h1.IfModifiedSince) || !unchanged(&a.req, &e.head, e.changed, e.date) {
		return
	}
	if a.fill != nil {
		f.part(a)
		if !a.feeder.over.Wait(a.loop, afterlife) {
			a.abandon(a.feeder)
		}
		a.fill, a.feeder = nil, nil
	}
	notModified(&x.Resp)
}

// unchangedBy is unchanged for an answer that is not stored.
func unchangedBy(req, resp *h1.Header, unix int64) bool {
	if !req.Has(h1.IfNoneMatch) && !req.Has(h1.IfModifiedSince) {
		return false
	}
	changed, _ := headerDate(resp, h1.LastModified)
	if !resp.Has(h1.LastModified) {
		changed = 0
	}
	date, ok := headerDate(resp, h1.Date)
	if !ok {
		date = unix
	}
	return unchanged(req, resp, changed, date)
}

// relay lets the server answer this request alone, and stores nothing.
func (a *ask) relay(fwd, why string) error {
	if _, err := a.roundTrip(false); err != nil {
		return err
	}
	tell(a.x, fwd, fwdStatus(a.x.Resp.Status), detail(why))
	return nil
}
