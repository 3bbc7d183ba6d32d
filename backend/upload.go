package backend

import (
	"errors"
	"os"

	"gatehouse/backend/h1"
	"gatehouse/backend/h2"
	"gatehouse/backend/loop"
)

// upload is the task that sends a request with content, while the answer may already be coming in.
type upload struct {
	a       *answer
	head    []byte
	first   h1.Piece // of the content, where it was taken already
	begun   bool     // it was
	fault   error    // and that is what came of it
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
		switch {
		case a.s != nil:
			if u.cut && u.err != nil && !u.lenient {
				a.s.k.breakOff(a.s, h2.Cancel, u.err)
			}
			a.s.more.Set(l) // the server's time begins
		case u.cut && u.err != nil && !u.lenient:
			a.c.C.Close()
		}
		u.done.Set(l)
	}()
	var err error
	if a.s != nil {
		err = u.push()
	} else {
		err = u.send()
		l.PutSmall(u.head)
	}
	returned, whole = true, err == nil
	if !whole && !u.stop {
		u.fail(err)
	}
	if a.c != nil {
		a.c.Patience = a.p.t.Server
		a.c.C.SetReadTimeout(a.p.t.Server)
	}
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
	u.lenient = late && a.answered && !a.x.Req.Converse // it has heard enough, and the client may well know that
}

func (u *upload) send() error {
	a := u.a
	x := a.x
	s := h1.Sender{Conn: &a.c.Conn, Head: u.head, Chunked: x.Req.Length < 0, Patience: a.p.t.Server, Stop: &u.stop, Prompt: a.prompt()}
	if u.asks() {
		if err := s.Send(nil); err != nil {
			return err
		}
		if err := u.ask(); err != nil {
			return err
		}
	}
	u.touched = true
	err := s.Send(a.wish())
	x.Note.BytesIn += s.Sent
	return err
}

// asks reports whether the server is to say first that it wants the content.
func (u *upload) asks() bool {
	r, ok := u.a.x.Req.Body.(interface{ Ready() bool })
	return u.a.x.Req.Continue && !(ok && r.Ready())
}

// ask waits until the server wants the content, or is taken to want it.
func (u *upload) ask() error {
	x := u.a.x
	if !u.may.Wait(x.Loop, continueTime) && !u.stop && x.Inform != nil {
		u.told = true
		if err := u.a.inform(&h1.Response{Status: 100, Reason: []byte("Continue")}); err != nil {
			return err
		}
	}
	if u.stop {
		return h1.ErrStopped
	}
	return nil
}

// wish returns the content of the request.
func (a *answer) wish() h1.Body {
	if a.replay != nil {
		return &h1.Static{B: a.replay}
	}
	return a.x.Req.Body
}
