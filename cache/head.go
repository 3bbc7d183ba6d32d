package cache

import (
	"bytes"

	"gatehouse/backend/h1"
)

// fetchHead lets the server answer a HEAD request. What it says of a stored answer to GET is believed: "When a cache makes an inbound HEAD
// request for a given request target and receives a 200 (OK) response, the cache SHOULD update or invalidate each of its stored GET
// responses that could have been chosen for that request" (RFC 9111 4.3.5).
func (a *ask) fetchHead(old *entry, fwd string) error {
	x := a.x
	_, err := a.roundTrip(false)
	if a.tick(); err != nil {
		if !blames(err, h1.ByClient) && a.stands(old, false) {
			a.serveStale(old)
			return nil
		}
		return err
	}
	r := &x.Resp
	if old != nil && r.Status == 200 && old.status == 200 {
		tag, changed, length := compare(&r.Header, &old.head, h1.ETag), compare(&r.Header, &old.head, h1.LastModified), compare(&r.Header, &old.head, h1.ContentLength)
		switch {
		case tag == differs || changed == differs || length == differs:
			a.c.store.drop(a.hash, string(a.key), old)
		case tag == agrees || changed == agrees: // that two have one length says nothing
			a.freshen(old, &r.Header)
		}
	}
	tell(x, fwd, fwdStatus(r.Status))
	return nil
}

// comparison is what two headers say of one thing.
type comparison uint8

const (
	silent comparison = iota // one of them says nothing
	agrees
	differs
)

func compare(a, b *h1.Header, id h1.Name) comparison {
	v, w := a.Get(id), b.Get(id)
	switch {
	case v == nil || w == nil:
		return silent
	case bytes.Equal(v, w):
		return agrees
	}
	return differs
}
