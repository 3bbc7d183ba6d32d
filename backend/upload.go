package backend

import (
	"errors"
	"os"

	"gatehouse/backend/h1"
	"gatehouse/backend/loop"
)

// upload is the task that sends a request with content, while the answer may already be coming in.
type upload struct {
	a       *answer
	head    []byte
	running bool
	stop    bool
	touched bool // content was taken from the client
	told    bool // the client was told to continue
	may     loop.Event
	done    loop.Event
	cut     bool  // it ended early
	err     error // why the request will never be whole, if that is not the server's doing
	lenient bool  // which is no reason to end the answer
}

var errUpload = errors.New("sending the request ended in a panic")

// proceed lets the content follow.
func (u *upload) proceed(l *loop.Loop) {
	if u.running && !u.may.IsSet() {
		u.may.Set(l)
	}
}

// Run sends the request.
func (u *upload) Run() {
	a := u.a
	l := a.x.Loop
	whole, returned := false, false
	defer func() { // whatever happens, even a panic: the other half waits
		if !returned {
			u.err = errUpload
		}
		u.cut = !whole
		u.running = false
		if u.cut && u.err != nil && !u.lenient {
			a.c.C.Close()
		}
		u.done.Set(l)
	}()
	err := u.send()
	l.PutSmall(u.head)
	returned, whole = true, err == nil
	if !whole && !u.stop {
		u.fail(err)
	}
	a.c.Patience = a.p.t.Server
	a.c.C.SetReadTimeout(a.p.t.Server)
}

// fail judges what ended the sending.
func (u *upload) fail(err error) {
	a := u.a
	he, ok := errors.AsType[*h1.Error](err)
	if !ok {
		he = &h1.Error{Side: h1.ByProxy, Err: err}
	}
	late := errors.Is(err, os.ErrDeadlineExceeded) || he.Cause == 'c'
	switch {
	case he.Side == h1.ByServer && !late:
		return // it has closed the connection: what it said before that is its answer
	case he.Side == h1.ByServer:
		he.Err = &serverError{a.srv, "write to", he.Err}
	}
	u.err = he
	u.lenient = late && a.answered // it has heard enough, and the client may well know that
}

func (u *upload) send() error {
	a := u.a
	x := a.x
	s := h1.Sender{Conn: &a.c.Conn, Head: u.head, Chunked: x.Req.Length < 0, Patience: a.p.t.Server, Stop: &u.stop}
	if r, ok := x.Req.Body.(interface{ Ready() bool }); x.Req.Continue && !(ok && r.Ready()) {
		if err := s.Send(nil); err != nil {
			return err
		}
		if !u.may.Wait(x.Loop, continueTime) && !u.stop && x.Inform != nil {
			u.told = true
			if err := a.inform(&h1.Response{Status: 100, Reason: []byte("Continue")}); err != nil {
				return err
			}
		}
		if u.stop {
			return h1.ErrStopped
		}
	}
	u.touched = true
	err := s.Send(x.Req.Body)
	x.Note.BytesIn += s.Sent
	return err
}
