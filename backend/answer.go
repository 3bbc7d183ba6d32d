package backend

import (
	"errors"
	"io"
	"strings"
	"time"

	"gatehouse/backend/h1"
	"gatehouse/backend/loop"
)

// answer is one exchange on its way through the pool, and the Body of its response. It is pooled per loop.
type answer struct {
	p       *Pool
	x       *h1.Exchange
	claim   claim
	tried   uint64 // places of servers that were tried in vain; of the first 64, which is as far as failing over goes
	failure *h1.Error

	srv     *server
	c       *conn
	reused  bool // c had carried requests before
	fresh   bool // an idle connection turned out to be dead: the next one must be new
	unsent  bool // not a byte of the request was taken by the kernel
	up      upload
	content *h1.Content // of the response, nil for none and once all of it is here
	piece   []byte      // the memory of the last piece, which outlives the connection's part in the exchange
	trailer *h1.Header
	settled bool // the connection is given back or closed
}

func (p *Pool) takeAnswer(x *h1.Exchange) *answer {
	r := p.rooms[x.Loop.ID]
	var a *answer
	if n := len(r.free); n > 0 {
		a = r.free[n-1]
		r.free = r.free[:n-1]
	} else {
		a = &answer{p: p}
	}
	a.x = x
	return a
}

// finish ends the answer: whatever is still under way with the server is cut short. It may park.
func (a *answer) finish() {
	a.leave()
	a.p.Stats.Active.Add(-1)
	r := a.p.rooms[a.x.Loop.ID]
	*a = answer{p: a.p}
	if len(r.free) < 256 {
		r.free = append(r.free, a)
	}
}

// leave lets go of the server. A connection whose exchange is not complete is closed. It may park.
func (a *answer) leave() {
	if a.c == nil {
		return
	}
	if !a.settled {
		a.c.Close()
		a.settled = true
	}
	if a.piece != nil {
		a.x.Loop.PutBuf(a.piece)
	}
	if a.up.running {
		a.up.stop = true
		a.up.proceed(a.x.Loop)
		a.x.Client.Interrupt()
		a.up.done.Wait(a.x.Loop, 0)
	}
	a.up = upload{}
	a.x.Note.SrvConn, a.x.Note.BeConn = int(a.srv.active.Load()), int(a.p.Stats.Active.Load())
	a.p.release(a.srv)
	a.c, a.content, a.piece, a.trailer, a.settled = nil, nil, nil, nil, false
}

// touched reports whether content of the request was taken: then the request cannot be sent again.
func (a *answer) touched() bool { return a.up.touched }

// maxInterim is how many interim responses a server may send before the final one.
const maxInterim = 16

// continueTime is how long a server may take to say whether it wants the content of a request that expects 100-continue, before it is
// sent without asking: servers older than that expectation never say.
const continueTime = time.Second

var (
	errInterim  = errors.New("more than 16 interim responses")
	errUnasked  = errors.New("101 that nobody asked for")
	errUpgraded = errors.New("101 to another protocol than the one asked for")
)

// talk sends the request and reads the head of the response. It parks.
func (a *answer) talk() error {
	p, x, c := a.p, a.x, a.c
	c.C.SetReadTimeout(p.t.Server)
	c.Patience = p.t.Server
	a.unsent = false
	sent := c.C.BytesWritten()
	began := x.Loop.Now()
	b := h1.AppendRequest(x.Loop.Small(), &x.Req)
	if p.c.HTTPClose {
		b = append(b, "Connection: close\r\n"...)
	}
	var err error
	if x.Req.Body == nil {
		b = append(b, "\r\n"...)
		c.C.SetWriteTimeout(p.t.Server)
		if err = c.Write(b); err != nil {
			a.unsent = c.C.BytesWritten() == sent
			err = &h1.Error{Status: 502, Side: h1.ByServer, Reused: true, Err: &serverError{a.srv, "write to", err}, Cause: 'S', State: 'H'}
		}
		x.Loop.PutSmall(b)
	} else {
		if x.Req.Continue {
			b = append(b, "Expect: 100-continue\r\n"...)
		}
		a.up = upload{a: a, head: append(b, "\r\n"...), running: true}
		x.Loop.Go(&a.up)
	}
	if err == nil {
		err = a.hear()
	}
	if err != nil {
		if a.up.err != nil { // the client failed, not the server
			return a.up.err
		}
		return a.failed(err)
	}
	x.Note.Response = x.Loop.Now() - began
	return a.accept()
}

// hear reads response heads until the final one.
func (a *answer) hear() error {
	x, r := a.x, &a.x.Resp
	for range maxInterim {
		if err := a.c.ReadResponse(r, x.Req.Method); err != nil {
			return err
		}
		switch {
		case r.Status >= 200:
			return nil
		case r.Status == 101 && x.Req.Upgrade == "":
			return &h1.Error{Status: 502, Side: h1.ByServer, Err: errUnasked, Cause: 'P', State: 'H'}
		case r.Status == 101 && !strings.EqualFold(r.Upgrade, x.Req.Upgrade):
			return &h1.Error{Status: 502, Side: h1.ByServer, Err: errUpgraded, Cause: 'P', State: 'H'}
		case r.Status == 101:
			return nil
		}
		tell := x.Inform != nil
		if r.Status == 100 {
			tell = tell && x.Req.Continue && !a.up.told
			a.up.proceed(x.Loop)
		}
		if tell {
			if err := x.Inform(r); err != nil {
				return &h1.Error{Side: h1.ByClient, Err: err, Cause: 'C', State: 'H'}
			}
		}
		r.Header.Reset()
		a.c.C.SetReadTimeout(a.p.t.Server)
	}
	return &h1.Error{Status: 502, Side: h1.ByServer, Err: errInterim, Cause: 'P', State: 'H'}
}

// failed completes an error of the server before its answer.
func (a *answer) failed(err error) error {
	he, ok := errors.AsType[*h1.Error](err)
	if !ok {
		he = &h1.Error{Status: 502, Side: h1.ByServer, Err: err}
	}
	if he.Cause == 0 { // read, and refused
		he.Cause = 'P'
	}
	if he.State == 0 {
		he.State = 'H'
	}
	if _, ok := he.Err.(*serverError); !ok && he.Side == h1.ByServer {
		he.Err = &serverError{a.srv, "answer of", he.Err}
	}
	return he
}

// accept takes a final response: marks it for the client, and gives the connection back when nothing more comes on it.
func (a *answer) accept() error {
	p, x, r := a.p, a.x, &a.x.Resp
	if p.cookie != nil {
		p.cookie.mark(x, a.claim, a.srv.place, x.Loop.Unix()/1000)
	}
	if r.Status == 101 {
		// Stats and the server's load count the tunnel as an exchange, until its connection is closed.
		r.Tunnel = &a.c.Conn
		r.Body = a
		return nil
	}
	if a.up.running && x.Req.Continue {
		// The final answer came instead of 100 Continue: the content is not wanted.
		a.up.stop = true
		a.up.proceed(x.Loop)
	}
	if r.Body == nil {
		a.settle()
		a.finish()
		return nil
	}
	a.content = a.c.Content()
	r.Body = a
	return nil
}

// settle gives the connection back, if it can carry another request, as soon as the response is here: the client may take its time.
func (a *answer) settle() {
	if a.settled {
		return
	}
	a.settled = true
	if a.content != nil {
		a.trailer = a.content.Trailer()
		a.piece = a.content.Detach()
		a.content = nil
	}
	if a.x.Resp.Close || a.p.c.HTTPClose || a.up.running || a.up.err != nil || a.x.Resp.Framing == h1.UntilClose {
		a.c.Close()
		return
	}
	a.c.home.put(a.c)
}

// Next is h1.Body's.
func (a *answer) Next(wait bool) (h1.Piece, error) {
	if a.content == nil {
		return h1.Piece{}, io.EOF
	}
	p, err := a.content.Next(wait)
	switch {
	case err == nil && !p.Last:
	case err == nil, err == io.EOF:
		a.settle()
	default:
		if a.up.err != nil {
			return p, a.up.err
		}
		if he, ok := errors.AsType[*h1.Error](err); ok {
			he.Err = &serverError{a.srv, "answer of", he.Err}
			if he.Cause == 0 {
				he.Cause = 'S'
			}
		}
	}
	return p, err
}

// Trailer is h1.Body's.
func (a *answer) Trailer() *h1.Header { return a.trailer }

// Close is h1.Body's.
func (a *answer) Close() {
	a.finish()
}

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
	err     error // of the client; what the server did wrong shows in its answer
}

// proceed lets the content follow.
func (u *upload) proceed(l *loop.Loop) {
	if u.running && !u.may.IsSet() {
		u.may.Set(l)
	}
}

// Run sends the request.
func (u *upload) Run() {
	l := u.a.x.Loop
	err := u.send()
	u.running = false
	if err != nil && !u.stop {
		if he, ok := errors.AsType[*h1.Error](err); ok && he.Side == h1.ByClient {
			u.err = he
			u.a.c.C.Close() // the other half waits for an answer to a request that will never be whole
		}
	}
	l.PutSmall(u.head)
	u.done.Set(l)
}

func (u *upload) send() error {
	a := u.a
	x := a.x
	s := h1.Sender{Conn: &a.c.Conn, Head: u.head, Chunked: x.Req.Length < 0, Patience: a.p.t.Server, Stop: &u.stop}
	if x.Req.Continue {
		if err := s.Send(nil); err != nil {
			return err
		}
		if !u.may.Wait(x.Loop, continueTime) && !u.stop && x.Inform != nil {
			u.told = true
			if err := x.Inform(&h1.Response{Status: 100, Reason: []byte("Continue")}); err != nil {
				return &h1.Error{Side: h1.ByClient, Err: err, Cause: 'C', State: 'D'}
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
