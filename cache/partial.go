package cache

import (
	"bytes"

	"gatehouse/backend/h1"
)

// fetchRange lets the server answer a request for a part of something that is not stored. Parts are not kept: to put together what servers
// rarely say so strongly to be the same (RFC 9110 15.3.7.3) is worth less than it costs. Yet a part that is all of it is the whole
// answer: players of audio and video ask for "bytes=0-" before anything else.
func (a *ask) fetchRange(fwd string) error {
	x := a.x
	began := x.Loop.Now()
	cookies, err := a.roundTrip(false)
	if err != nil {
		return err
	}
	a.tick()
	r := &x.Resp
	if r.Status == 206 && isWhole(r) {
		all := *r
		all.Status, all.Reason, all.Header = 200, reasonOK, h1.Header{}
		all.Header.CopyFrom(&r.Header)
		all.Header.Del(h1.ContentRange)
		q := asked{header: &a.req, rule: a.rule, cookies: cookies, known: known(x), own: x.Own.Len() > 0, elapsed: x.Loop.Now() - began, unix: x.Loop.Unix() / 1000}
		if j := judge(q, &all, a.c.c); j.detail == "" && a.c.store.reserve(r.Length) {
			e := makeEntry(&all, &j, a.now, q.unix, a.c.c.UnsafeStoreSetCookie)
			if f := a.late(e); f != nil {
				a.keep(f, e, fwd)
				return nil
			}
			a.c.store.filling.Add(-r.Length)
		}
	}
	tell(x, fwd, fwdStatus(r.Status), detail("RANGE"))
	return nil
}

// isWhole reports whether the part that a 206 (Partial Content) holds is all there is.
func isWhole(r *h1.Response) bool {
	i := r.Header.Index(h1.ContentRange, 0)
	if i < 0 || r.Header.Index(h1.ContentRange, i+1) >= 0 || r.Length <= 0 || r.Body == nil {
		return false
	}
	var room [80]byte
	return bytes.Equal(trimBlank(r.Header.Value(i)), appendContentRange(room[:0], span{to: r.Length}, r.Length))
}
