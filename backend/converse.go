package backend

import (
	"bytes"
	"errors"
	"io"
	"os"
	"time"

	"gatehouse/backend/h1"
	"gatehouse/backend/h2"
	"gatehouse/backend/loop"
)

// join gets a call on a link to the server, on which a has a place: one that is there, or a new one. The place is given back when it
// fails. plain reports that the server has chosen HTTP/1. It parks.
func (a *answer) join(srv *server, w purpose) (err error, plain bool) {
	l := a.x.Loop
	h := srv.homes[l.ID]
	if srv.c.Protocol == ProtocolAuto && l.Now() < h.plainUntil {
		return nil, true
	}
	began := l.Now()
	for {
		if k := h.usable(w); k != nil {
			if k.stale() && !repeatable(a.x.Req.Method) {
				k.look()
				continue
			}
			a.s, a.reused = k.open(a), k.last > 1
			a.x.Note.Connect = l.Now() - began
			return nil, false
		}
		k := h.coming(w)
		if k == nil {
			k = a.p.newLink(l, srv, w)
		}
		err := a.meet(k, remaining(l, began, a.p.t.Connect))
		if err == errPlainChosen && !a.cancelled {
			return nil, true
		}
		if err == nil && k.ready && k.most == 0 {
			err = errNoCalls
		}
		if err != nil {
			if a.p.release(srv); !a.cancelled {
				srv.stats.Refused.Add(1)
			}
			return err, false
		}
	}
}

// meet waits for a link that is being made, d at most.
func (a *answer) meet(k *link, d time.Duration) error {
	x := a.x
	ready := &loop.Event{}
	k.waiters = append(k.waiters, ready)
	a.pause, a.joining = ready, true
	if x.Client != nil {
		x.Client.Watch(&a.watch)
	}
	ok := ready.Wait(x.Loop, d)
	if x.Client != nil {
		x.Client.Watch(nil)
	}
	a.pause, a.joining = nil, false
	for i, e := range k.waiters {
		if e == ready {
			k.waiters = append(k.waiters[:i], k.waiters[i+1:]...)
			break
		}
	}
	switch {
	case a.cancelled:
		return errGone
	case !ok:
		return os.ErrDeadlineExceeded
	}
	if !k.ready {
		return k.dead
	}
	return nil
}

// converse sends the request on the call and waits for the head of the response. It parks.
func (a *answer) converse() error {
	p, x, s := a.p, a.x, a.s
	a.unsent = false
	if x.Client != nil {
		x.Client.Watch(&a.watch)
	}
	x.Req.Converse = isRPC(x.Req.Header.Get(h1.ContentType))
	began := x.Loop.Now()
	err := s.roomFor(p.t.Server)
	if err == nil {
		a.say()
		err = a.attend()
	}
	if err != nil {
		switch {
		case a.up.err != nil: // that is why the stream was reset
			return a.up.err
		case a.cancelled:
			return gone('H')
		}
		a.unsent = s.safe
		return a.failed(err)
	}
	x.Note.Response = x.Loop.Now() - began
	return a.accept()
}

var typeRPC = []byte("application/grpc")

// isRPC reports whether a Content-Type is one of gRPC: application/grpc, or that with a format ("+proto").
func isRPC(v []byte) bool {
	return bytes.HasPrefix(v, typeRPC) && (len(v) == len(typeRPC) || v[len(typeRPC)] == '+' || v[len(typeRPC)] == ';')
}

// say sends the head, and the content as far as it is there.
func (a *answer) say() {
	x, s := a.x, a.s
	k := s.k
	body := a.wish()
	if x.Req.Body == nil {
		a.sayHead(true)
		return
	}
	ready, ok := x.Req.Body.(interface{ Ready() bool })
	if a.replay == nil && (!ok || !ready.Ready()) {
		a.sayHead(false)
		a.up = upload{a: a, running: true}
		x.Loop.Go(&a.up)
		return
	}
	piece, err := body.Next(false)
	switch {
	case err == io.EOF && body.Trailer() == nil:
		a.sayHead(true)
	case err == nil && piece.Last && (a.replay != nil || piece.Len() <= loop.SmallSize) && a.fits(piece.Len()):
		// The whole of it is here, and kept as long as it may have to be sent again.
		a.sayHead(false)
		if a.replay == nil {
			a.replay = append(x.Loop.Small(), piece.Data()...)
			x.Note.BytesIn += int64(piece.Len())
		}
		k.frameData(s, a.replay, true, len(a.replay))
	default:
		a.sayHead(false)
		a.up = upload{a: a, running: true, begun: err != nil || piece.Len() > 0 || piece.Last, first: piece, fault: err}
		x.Loop.Go(&a.up)
	}
}

// fits reports whether that much content can go out at once.
func (a *answer) fits(n int) bool {
	k := a.s.k
	return int64(n) <= min(a.s.window, k.window) && k.queue.n == 0
}

// sayHead writes the head of the request.
func (a *answer) sayHead(end bool) {
	s := a.s
	k := s.k
	at := k.beginHead(s)
	k.out = h2.AppendRequest(k.out, &a.x.Req, k.t != nil)
	k.finishHead(s, at, end)
}

// push sends the content of the request on a call.
func (u *upload) push() error {
	a := u.a
	x, s, body := a.x, a.s, a.x.Req.Body
	if u.asks() {
		if err := u.ask(); err != nil {
			return err
		}
	}
	u.touched = true
	p, err := u.first, u.fault
	if !u.begun {
		p, err = body.Next(true)
	}
	for {
		switch {
		case u.stop:
			return h1.ErrStopped
		case err == io.EOF:
			return s.finish(body.Trailer(), a.p.t.Server)
		case err != nil:
			return err
		case p.Len() > 0 || p.Last:
			if err := s.write(p.Data(), p.Last, a.p.t.Server); err != nil {
				return err
			}
			if x.Note.BytesIn += int64(p.Len()); p.Last {
				return nil
			}
		}
		p, err = body.Next(true)
	}
}

var errAbsent = errors.New("nothing came in time")

// await parks until something new has come on the call, or the upload has ended: until then the server has all the time there is.
func (a *answer) await() error {
	d := a.p.t.Server
	switch {
	case a.up.running:
		d = 0
	case a.answered && a.x.Req.Converse:
		d = a.p.t.Tunnel
	}
	a.s.more.Clear()
	if a.s.more.Wait(a.x.Loop, d) {
		return nil
	}
	err := &h1.Error{Status: 504, Side: h1.ByServer, Err: errAbsent, Cause: 's'}
	a.s.k.breakOff(a.s, h2.Cancel, err)
	return err
}

// attend reads response heads until the final one.
func (a *answer) attend() error {
	s, r := a.s, &a.x.Resp
	for n := 0; ; {
		switch {
		case s.header && r.Status >= 200:
			if r.Framing != h1.NoContent {
				r.Body = a
			}
			return nil
		case s.header:
			if n++; n > maxInterim {
				return &h1.Error{Status: 502, Side: h1.ByServer, Err: errInterim, Cause: 'P', State: 'H'}
			}
			if err := a.interim(r); err != nil {
				return err
			}
			if s.another() {
				continue
			}
		}
		if s.err != nil {
			return s.err
		}
		if s.ended {
			return broken(errNoHead)
		}
		if err := a.await(); err != nil {
			return err
		}
	}
}

// listen is Next on a call.
func (a *answer) listen(wait bool) (h1.Piece, error) {
	for {
		p, err := a.s.take()
		switch {
		case err == io.EOF, err == nil && (p.Len() > 0 || !wait):
			return p, err
		case err == nil:
			if err = a.await(); err == nil {
				continue
			}
		}
		if he, ok := errors.AsType[*h1.Error](err); ok {
			he.State, he.Reused = 'D', false
		}
		return p, a.torn(err)
	}
}

// part lets go of the call. It may park.
func (a *answer) part() {
	s := a.s
	if a.up.running {
		s.k.quit(s, h2.Cancel)
	} else {
		s.leave()
	}
	a.quiet()
	if s.closed {
		s.recycle()
	}
	a.s = nil
}
