package backend

import (
	"errors"
	"strings"
	"time"

	"gatehouse/backend/h1"
	"gatehouse/backend/h2"
	"gatehouse/backend/loop"
)

// answer is one exchange on its way through the pool, and the Body of its response. It is pooled per loop.
type answer struct {
	p       *Pool
	x       *h1.Exchange
	claim   claim
	tried   uint64 // places of servers that were tried in vain; of the first 64, which is as far as failing over goes
	failure *h1.Error

	srv      *server
	c        *conn
	s        *call  // in the place of c where HTTP/2 is spoken
	joining  bool   // waits for a link that is being made
	replay   []byte // the whole content of the request, while it may have to be sent again; nil for none
	reused   bool   // c had carried requests before
	fresh    bool   // an idle connection turned out to be dead: the next one must be new
	unsent   bool   // not a byte of the request was taken by the kernel
	up       upload
	content  *h1.Content // of the response, nil for none and once all of it is here
	piece    []byte      // the memory of the last piece, which outlives the connection's part in the exchange
	trailer  *h1.Header
	answered bool // the head of the final response is here
	settled  bool // the connection is given back or closed

	cancel    func() // Exchange.Cancel, made once: a method value costs an allocation
	cancelled bool
	pause     *loop.Event // what the exchange waits for while no server has it
	making    *loop.Conn  // to a server, on its way
	watch     watch
	speaking  bool       // an interim response is being written to the client
	spoken    loop.Event // it is written
}

func (p *Pool) takeAnswer(x *h1.Exchange) *answer {
	r := p.rooms[x.Loop.ID]
	var a *answer
	if n := len(r.free); n > 0 {
		a = r.free[n-1]
		r.free = r.free[:n-1]
	} else {
		a = newAnswer(p)
	}
	a.x = x
	x.Cancel = a.cancel
	return a
}

func newAnswer(p *Pool) *answer {
	a := &answer{p: p}
	a.watch.a = a
	a.cancel = a.cut
	return a
}

// cut is Exchange.Cancel: who waits for the server gets an error.
func (a *answer) cut() {
	a.cancelled = true
	switch {
	case a.pause != nil:
		a.pause.Set(a.x.Loop)
	case a.making != nil:
		a.making.Close()
	case a.s != nil:
		a.s.k.breakOff(a.s, h2.Cancel, errGone)
	case a.c != nil && !a.settled:
		a.c.C.Abandon()
	}
}

// watch is the task that looks at the client's connection while a server is connected to, or has the word. A client that has only ended its own side may
// still want the answer, unless abort_on_close says that it does not before there is a server; one whose connection is broken does not.
type watch struct{ a *answer }

// Run is called when something happens on the client's connection that no other task reads.
func (w *watch) Run() {
	a := w.a
	switch {
	case a.x == nil || a.x.Client == nil || a.c == nil && a.s == nil && a.making == nil && !a.joining: // the exchange is over
	case a.x.Client.Broken(), (a.making != nil || a.joining) && a.x.Client.Hup() && a.p.c.AbortOnClose:
		a.cut()
	default:
		a.x.Client.Watch(w)
	}
}

// finish ends the answer: whatever is still under way with the server is cut short. It may park.
func (a *answer) finish() {
	a.leave()
	if a.replay != nil {
		a.x.Loop.PutSmall(a.replay)
	}
	a.p.Stats.Active.Add(-1)
	a.x.Cancel = nil
	r := a.p.rooms[a.x.Loop.ID]
	*a = answer{p: a.p, watch: a.watch, cancel: a.cancel}
	if len(r.free) < 256 {
		r.free = append(r.free, a)
	}
}

// abandon is finish for an exchange that ended in a panic: nothing of it is used again.
func (a *answer) abandon() {
	a.p.Stats.Active.Add(-1)
	a.x.Cancel = nil
	if a.x.Client != nil {
		a.x.Client.Watch(nil)
	}
	switch {
	case a.s != nil:
		a.up.stop = true
		a.s.k.quit(a.s, h2.Cancel)
		a.srv.active.Add(-1)
	case a.c != nil:
		a.up.stop = true
		a.c.C.Close()
		a.srv.active.Add(-1)
	}
}

// leave lets go of the server. A connection whose exchange is not complete is closed. It may park.
func (a *answer) leave() {
	if a.s != nil {
		a.part()
		return
	}
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
	a.quiet()
	a.c, a.content, a.piece, a.trailer, a.settled = nil, nil, nil, nil, false
}

// quiet ends the upload, and gives the place on the server back. It may park.
func (a *answer) quiet() {
	if cl := a.x.Client; cl != nil {
		cl.Watch(nil)
	}
	if a.up.running {
		a.up.stop = true
		a.up.proceed(a.x.Loop)
		if a.x.Client != nil {
			a.x.Client.Interrupt()
		}
		if b, ok := a.x.Req.Body.(interface{ Interrupt() }); ok { // content that comes on a stream
			b.Interrupt()
		}
		a.up.done.Wait(a.x.Loop, 0)
	}
	a.up = upload{}
	a.x.Note.SrvConn, a.x.Note.BeConn = int(a.srv.active.Load()), int(a.p.Stats.Active.Load())
	a.p.release(a.srv)
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
	errGone     = errors.New("the client is gone")
)

// gone ends an exchange that nobody waits for any more.
func gone(state byte) error {
	return &h1.Error{Side: h1.ByClient, Err: errGone, Cause: 'C', State: state}
}

// talk sends the request and reads the head of the response. It parks.
func (a *answer) talk() error {
	p, x, c := a.p, a.x, a.c
	c.C.SetReadTimeout(p.t.Server)
	c.Patience = p.t.Server
	a.unsent = false
	if x.Client != nil {
		x.Client.Watch(&a.watch)
	}
	sent := c.C.BytesWritten()
	began := x.Loop.Now()
	b := h1.AppendRequest(x.Loop.Small(), &x.Req)
	if p.c.HTTPClose && x.Req.Upgrade == "" {
		b = append(b, "Connection: close\r\n"...)
	}
	var err error
	if x.Req.Body == nil {
		b = append(b, "\r\n"...)
		c.C.SetWriteTimeout(p.t.Server)
		if a.prompt() {
			err = c.Write(b)
		} else {
			err = c.WriteLate(b)
		}
		if err != nil {
			err = &h1.Error{Status: 502, Side: h1.ByServer, Reused: true, Err: &serverError{a.srv, "write to", err}, Cause: 'S', State: 'H'}
		}
		x.Loop.PutSmall(b)
	} else {
		if x.Req.Continue {
			b = append(b, "Expect: 100-continue\r\n"...)
		}
		a.up = upload{a: a, head: append(b, "\r\n"...), running: true}
		// The server's time begins when the request is there. Until then the client's counts, and that for each write.
		c.C.SetReadTimeout(0)
		c.Patience = 0
		x.Loop.Go(&a.up)
	}
	if err == nil {
		err = a.hear()
	}
	if err != nil {
		if x.Req.Body == nil && c.C.BytesWritten() == sent {
			// Nobody has acted on the head, and what still waits for the end of the turn never leaves: another server may get it.
			a.unsent = true
			c.C.Abandon()
		}
		switch {
		case a.up.err != nil: // that is why the connection was closed
			return a.up.err
		case a.cancelled:
			return gone('H')
		}
		return a.failed(err)
	}
	x.Note.Response = x.Loop.Now() - began
	return a.accept()
}

// prompt reports whether the request does not even wait for the end of the turn: the server may end the connection meanwhile, and then the request is
// lost, if it must not be sent twice.
func (a *answer) prompt() bool { return a.reused && !repeatable(a.x.Req.Method) }

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
		if err := a.interim(r); err != nil {
			return err
		}
		if !a.up.running {
			a.c.C.SetReadTimeout(a.p.t.Server)
		}
	}
	return &h1.Error{Status: 502, Side: h1.ByServer, Err: errInterim, Cause: 'P', State: 'H'}
}

// interim takes an interim response: the client is told, unless it does not want to know.
func (a *answer) interim(r *h1.Response) error {
	tell := a.x.Inform != nil
	if r.Status == 100 {
		tell = tell && a.x.Req.Continue && !a.up.told
		a.up.proceed(a.x.Loop)
	}
	if tell {
		if err := a.inform(r); err != nil {
			return err
		}
	}
	r.Header.Reset()
	return nil
}

// inform hands an interim response to the client, one at a time: the upload may have one to tell too.
func (a *answer) inform(r *h1.Response) error {
	a.hush()
	a.speaking = true
	err := a.x.Inform(r)
	a.speaking = false
	a.spoken.Set(a.x.Loop)
	if err != nil {
		return &h1.Error{Side: h1.ByClient, Err: err, Cause: 'C', State: 'H'}
	}
	return nil
}

// hush waits until no interim response is being written. It parks.
func (a *answer) hush() {
	for a.speaking {
		a.spoken.Clear()
		a.spoken.Wait(a.x.Loop, 0)
	}
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
	if he.Side == h1.ByServer {
		if !he.Reused || !a.reused {
			a.srv.stats.Failed.Add(1)
		} else if a.c != nil { // it had merely ended an idle connection
			a.c.forsaken(a.x.Loop)
		}
		if _, ok := he.Err.(*serverError); !ok {
			he.Err = &serverError{a.srv, "answer of", he.Err}
		}
	}
	return he
}

// accept takes a final response: marks it for the client, and gives the connection back when nothing more comes on it.
func (a *answer) accept() error {
	p, x, r := a.p, a.x, &a.x.Resp
	a.hush()
	a.answered = true
	p.answers.Shared(x)
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
	if a.c != nil {
		a.content = a.c.Content()
	}
	r.Body = a
	return nil
}

// settle gives the connection back, if it can carry another request, as soon as the response is here: the client may take its time.
func (a *answer) settle() {
	if a.settled || a.s != nil {
		return
	}
	a.settled = true
	if a.content != nil {
		a.trailer = a.content.Trailer()
		a.piece = a.content.Detach()
		a.content = nil
	}
	if a.x.Resp.Close || a.p.c.HTTPClose || a.up.running || a.up.cut || a.c.C.Queued() > 0 || a.x.Resp.Framing == h1.UntilClose {
		a.c.Close()
		return
	}
	a.c.keep = a.x.Resp.Keep
	a.c.home.put(a.c)
}
