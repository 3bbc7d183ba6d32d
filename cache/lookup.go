package cache

import (
	"bytes"
	"errors"
	"time"

	"gatehouse/backend/h1"
)

// use is what may be done with a stored answer.
type use uint8

const (
	useNot   use = iota // ask the server first
	useNow              // it is fresh
	useStale            // use it, and fetch it anew in the background
)

// errGone ends the wait of an exchange that was cancelled.
var errGone = errors.New("the client is gone")

func gone() error { return &h1.Error{Side: h1.ByClient, Err: errGone, Cause: 'C', State: 'H'} }

// run answers a GET or HEAD request.
func (a *ask) run() error {
	a.setKey()
	h := &a.x.Req.Header
	res := a.c.store.get(a.hash, a.key)
	e := res.pick(h, a.c.o.Hidden)
	switch {
	case e == nil:
		res, e = a.recall(res)
	case e.stored != nil:
		e = a.again(e)
	}
	if e != nil && a.outlawed(e) {
		a.release()
		a.c.store.drop(a.hash, string(a.key), e)
		res, e = a.c.store.get(a.hash, a.key), nil
	}
	fwd := fwdMiss
	switch {
	case e != nil:
		var u use
		u, fwd = a.judge(e)
		if u == useNow || u == useStale && a.refresh(e) {
			a.serve(e)
			return nil
		}
	case res != nil:
		fwd = fwdVary
	}
	if h.Has(h1.CacheControl) && readDirectives(h).onlyIfCached {
		a.answerOnlyIfCached()
		return nil
	}
	return a.fetch(res, e, fwd)
}

// outlawed reports whether a stored answer would not be stored any more: it has a cookie, of the time before unsafe_store_set_cookie was taken
// back.
func (a *ask) outlawed(e *entry) bool {
	return e.head.Has(h1.SetCookie) && !a.c.c.UnsafeStoreSetCookie
}

// judge says what may be done with a stored answer now, and else why the server is asked.
func (a *ask) judge(e *entry) (use, string) {
	if a.outlawed(e) { // it came in the meantime, by the configuration before
		return useNot, fwdMiss
	}
	h := &a.x.Req.Header
	left := e.left(a.now)
	if refresh := a.c.c.RefreshFrom; len(refresh) > 0 && (h.Has(h1.CacheControl) || h.Has(h1.Pragma)) && within(refresh, a.x.Peer.Addr()) {
		d := readDirectives(h)
		// "When the Cache-Control header field is not present in a request, caches MUST consider the no-cache request pragma-directive as
		// having the same effect as if Cache-Control: no-cache were present" (RFC 7234 5.4, which RFC 9111 deprecates)
		pragma := !h.Has(h1.CacheControl) && h.HasToken(h1.Pragma, "no-cache")
		if d.noCache || pragma || d.maxAge != absent && e.age(a.now) >= d.maxAge*second || d.minFresh != absent && left < d.minFresh*second {
			return useNot, fwdRequest
		}
	}
	switch {
	case e.validate:
		return useNot, fwdStale
	case left > 0:
		return useNow, ""
	case -left < e.staleRevalidate || a.excused(e):
		return useStale, fwdStale
	}
	return useNot, fwdStale
}

// answerOnlyIfCached answers a request that wants nothing but what is stored, and there is nothing (RFC 9111 5.2.1.7).
func (a *ask) answerOnlyIfCached() {
	r := &a.x.Resp
	r.Status, r.Reason, r.Length = 504, reasonTimeout, 0
	r.Header.AddString("Content-Length", "0")
	a.x.Note.Cache = statusName
	r.Header.AddString(statusField, statusName+"; detail=ONLY-IF-CACHED")
}

// What a request does while another one for the same URL, of which nothing is known, is waiting for its answer, which may turn out to be
// for one client alone: it waits for a moment, in case the answer is for everybody, and then a few of them ask for themselves. With
// cookies or credentials that is likely, so a few always do; without, only where there are no more than a few: a crowd waits.
const (
	doubt    = 50 * time.Millisecond
	maxAlone = 8
)

// fetch gets an answer from the server, or from another request that is getting it. res is what is stored for the key, old what is stored
// for this request; nil for nothing.
func (a *ask) fetch(res *resource, old *entry, fwd string) error {
	x := a.x
	h := &x.Req.Header
	a.req.CopyFrom(h)
	a.c.store.Stats.Misses.Add(1)
	switch {
	case len(x.Req.Method) != len("GET"):
		return a.fetchHead(old, fwd)
	case h.Has(h1.CacheControl) && readDirectives(h).noStore:
		return a.relay(fwd, "REQUEST-NO-STORE")
	case h.Has(h1.Range):
		return a.fetchRange(old, fwd)
	case a.c.store.marks.has(a.hash, a.now):
		return a.send(nil, old, fwd)
	}
	doubtful := res == nil
	personal := h.Has(h1.Authorization) || hasCookie(h, a.c.o.Hidden) || known(x)
	var before *fill // that was not for us
	for range 3 {
		f, made, e := a.enter(res, before)
		if e != nil { // it came while we looked elsewhere
			if e = a.ready(e); e != nil {
				a.serve(e)
				return nil
			}
			continue
		}
		if made {
			return a.send(f, old, fwd)
		}
		p, err := a.await(f, doubtful, personal)
		a.tick()
		switch {
		case a.cancelled:
			return gone()
		case p == open || p == whole:
			if a.collapse(f, fwd) {
				return nil
			}
		case p == settled:
			if e := a.c.store.get(a.hash, a.key).pick(h, a.c.o.Hidden); e != nil {
				if u, _ := a.judge(e); u == useNow && a.ready(e) != nil {
					a.c.store.Stats.Collapsed.Add(1)
					a.build(e)
					tell(x, fwd, "collapsed")
					return nil
				}
			}
			return a.send(nil, old, fwd)
		case p == failed && blames(err, h1.ByClient): // the next one may have more luck
		case p == failed && a.stands(old, false):
			a.serve(old)
			return nil
		default: // refused, failed, or too slow to wait for
			return a.send(nil, old, fwd)
		}
		before = f
	}
	return a.send(nil, old, fwd)
}

// hasCookie reports whether a request has a cookie besides that of that name.
func hasCookie(h *h1.Header, hidden string) bool {
	for i := h.Index(h1.Cookie, 0); i >= 0; i = h.Index(h1.Cookie, i+1) {
		for v, more := h.Value(i), true; more; {
			var pair []byte
			pair, v, more = bytes.Cut(v, []byte(";"))
			name, _, _ := bytes.Cut(trimBlank(pair), []byte("="))
			if len(trimBlank(pair)) > 0 && (hidden == "" || string(trimBlank(name)) != hidden) {
				return true
			}
		}
	}
	return false
}

// blames reports whether an error is the fault of that side.
func blames(err error, side h1.Side) bool {
	he, ok := errors.AsType[*h1.Error](err)
	return ok && he.Side == side
}

// enter returns a fill that may bring the answer to this request too, or makes one: nil when there are too many for the key. Or it returns an
// answer that can be used: one that was not there when the store was asked before.
func (a *ask) enter(res *resource, before *fill) (f *fill, made bool, e *entry) {
	s := a.c.store
	sh := s.shard(a.hash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	var like *selection // what other answers for this key were selected by
	if res != nil {
		like = &res.variants[0].choice
	}
	for _, f := range sh.fills[a.hash] {
		if f == before || f.key != string(a.key) {
			continue
		}
		choice, ok := f.promises()
		if choice == nil && ok || ok && choice.matches(&a.req, a.c.o.Hidden) {
			return f, false, nil
		}
		if choice != nil {
			like = choice
		}
	}
	if e = s.peek(a.hash, string(a.key)).pick(&a.req, a.c.o.Hidden); e != nil {
		if u, _ := a.judge(e); u == useNow {
			return nil, false, e
		}
	}
	if f = s.begin(sh, a.hash, a.key); f != nil && like != nil {
		c := like.of(&a.req, a.c.o.Hidden)
		f.choice = &c
	}
	return f, true, nil
}

// await waits until the server has answered the fill's request, and returns how far it is then, or asking when there is a reason not to
// wait any longer. doubtful: there may be one, and personal: it is likely.
func (a *ask) await(f *fill, doubtful, personal bool) (phase, error) {
	x := a.x
	x.Cancel = a.stop
	a.watch.begin(false)
	defer func() {
		a.watch.end()
		x.Cancel = nil
	}()
	for {
		a.w.more.Clear()
		p, err := f.look(a)
		if p != asking || a.cancelled {
			f.part(a)
			return p, err
		}
		patience := time.Duration(0)
		if doubtful {
			patience = doubt
		}
		if !a.w.more.Wait(a.loop, patience) {
			if f.strayed(personal) {
				f.part(a)
				return asking, nil
			}
			doubtful = false
		}
	}
}

// collapse makes the answer of a fill the response to this request too. It reports false when that cannot be.
func (a *ask) collapse(f *fill, fwd string) bool {
	x := a.x
	e, length, ok := f.join(a)
	if !ok {
		return false
	}
	if !e.choice.matches(&a.req, a.c.o.Hidden) || e.validate || e.left(a.now) <= 0 || a.outlawed(e) {
		f.part(a)
		return false
	}
	a.c.store.Stats.Collapsed.Add(1)
	r := &x.Resp
	a.build(e)
	tell(x, fwd, "collapsed")
	r.Body = nil
	if r.Status != e.status || length == 0 { // the client has it already, or there is nothing to have
		f.part(a)
		return true
	}
	if r.Length = length; length >= 0 && !r.Header.Has(h1.ContentLength) {
		addLength(&r.Header, length)
	}
	a.fill, a.segments = f, nil
	r.Body = a
	x.Cancel = a.stop
	return true
}
