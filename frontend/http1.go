package frontend

import (
	"errors"
	"io"
	"os"

	"gatehouse/backend/h1"
	"gatehouse/backend/loop"
)

// conn is a client's connection. It is a task that runs while there is something to do; in between only this struct is left.
type conn struct {
	h1.Conn
	room       *room
	next, prev *conn
	seat       seat
	began      int64 // Unix milliseconds, when it was accepted
	greeting   bool  // the TLS handshake is still to be done
	served     bool  // at least one request came
	idle       bool  // waits for a request
	aborted    bool
}

// exchange is an Exchange of this listener and what has to be found from it again.
type exchange struct {
	h1.Exchange
	conn   *conn
	inform func(*h1.Response) error // made once: a method value costs an allocation
	entry  *Entry
}

// Run serves the connection until it is idle or over.
func (c *conn) Run() {
	c.idle = false
	if c.greeting {
		if err := c.greet(); err != nil {
			c.end()
			return
		}
	}
	for {
		if c.Buffered() == 0 {
			if err := c.Fill(false); err == loop.ErrWouldBlock {
				c.rest()
				return
			} else if err != nil {
				c.over(err)
				return
			}
		}
		if !c.exchange() {
			c.end()
			return
		}
		if c.room.ln.closing.Load() && c.Buffered() == 0 {
			c.end()
			return
		}
	}
}

// rest waits for the next request without a task. The first request has the time of a request head, further ones the idle time.
func (c *conn) rest() {
	t := &c.room.ln.first().t
	switch {
	case c.room.ln.closing.Load():
		c.C.SetReadTimeout(quiet)
	case c.served:
		c.C.SetReadTimeout(t.Idle)
	}
	c.idle = true
	c.C.Await(c)
}

// greetings is how many handshakes a loop has under way at most. Each holds some 30 KiB and costs a third of a millisecond; requests
// of those who are in already must not wait for a flood of newcomers.
const greetings = 256

// greet does the TLS handshake.
func (c *conn) greet() error {
	r := c.room
	for r.greet >= greetings {
		r.waiting.Clear()
		if !r.waiting.Wait(r.l, r.ln.first().t.Request) {
			return os.ErrDeadlineExceeded
		}
	}
	r.greet++
	err := c.T.Handshake()
	if err == nil {
		err = c.C.Drain()
	}
	if r.greet--; r.greet == greetings-1 {
		r.waiting.Set(r.l)
	}
	if err != nil {
		c.C.Drain() // the alert
		return err
	}
	c.greeting = false
	return nil
}

// over notes that the connection ended, or its time did, while no request was under way.
func (c *conn) over(err error) {
	if !c.served && !errors.Is(err, loop.ErrClosed) {
		c.empty(err)
	}
	c.end()
}

// end closes the connection and forgets it.
func (c *conn) end() {
	if c.T != nil && !c.greeting && !c.aborted && !c.C.Broken() {
		c.T.CloseWrite() // close_notify: it is queued, and goes out as far as the kernel has room
	}
	c.Close()
	if c.next != nil {
		c.next.prev = c.prev
	}
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		c.room.first = c.next
	}
	c.room.ln.left(c.seat, c.C.Remote())
}

// abort ends the connection whatever is under way.
func (c *conn) abort() {
	c.aborted = true
	if c.idle {
		c.end()
	} else {
		c.C.Close() // whoever waits for it finds out
	}
}

// take lends an exchange.
func (r *room) take(c *conn) *exchange {
	var e *exchange
	if n := len(r.free); n > 0 {
		e = r.free[n-1]
		r.free = r.free[:n-1]
	} else {
		e = &exchange{}
		e.inform = e.tellInterim
		e.Exchange.Reset()
	}
	e.conn, e.Loop, e.Client = c, r.l, c.C
	e.Peer = c.C.Remote()
	e.Inform = e.inform
	e.Req.Secure = c.T != nil
	return e
}

// give takes it back.
func (r *room) give(e *exchange) {
	e.Exchange.Reset()
	e.conn, e.entry, e.Client = nil, nil, nil
	if len(r.free) < 256 {
		r.free = append(r.free, e)
	}
}

// exchange serves one request, the first bytes of which are here. It reports whether the connection can go on.
func (c *conn) exchange() bool {
	r := c.room
	e := r.take(c)
	defer r.give(e)
	v := r.ln.view.Load() // one and the same for the whole request, whatever a reload does meanwhile
	f := v.Entries[0].Frontend
	e.Note.Begin = r.l.Unix()
	begin := r.l.Now()
	c.served = true
	c.Patience = 0
	c.C.SetReadTimeout(f.t.Request)
	err := c.ReadRequest(&e.Req, &f.limits)
	e.Note.Request = r.l.Now() - begin
	c.Patience = f.t.Client
	if err != nil {
		e.entry = &v.Entries[0]
		return e.unreadable(f, err)
	}
	e.entry = v.pick(e.Req.Host)
	if e.entry == nil {
		e.entry = &v.Entries[0]
		return e.finish(begin, refuse(421, errUnknownHost))
	}
	f = e.entry.Frontend
	c.Patience = f.t.Client
	if f.c.Monitor != nil && f.c.Monitor.URI != "" && pathIs(e.Req.Target, f.c.Monitor.URI) {
		return e.probe(f)
	}
	f.Stats.Requests.Add(1)
	f.Stats.Active.Add(1)
	e.Note.Frontend = f.c.Name
	if e.entry.Redirect {
		err = answerRedirect(&e.Exchange, 301, toHTTPS)
	} else {
		err = f.respond(&e.Exchange)
	}
	return e.finish(begin, err)
}

// pick finds the frontend that serves a host, nil when none does.
func (v *ListenConfig) pick(host []byte) *Entry {
	var best *Entry
	most := hostNone
	for i := range v.Entries {
		e := &v.Entries[i]
		if m := e.Frontend.hosts.match(host); m > most {
			best, most = e, m
		}
	}
	return best
}

// unreadable ends a request whose head could not be read: it is answered where there is somebody to read the answer, and the
// connection closed.
func (e *exchange) unreadable(f *Frontend, err error) bool {
	f.Stats.Bad.Add(1)
	if err == io.EOF { // nothing of it was there
		return false
	}
	e.Note.Frontend = f.c.Name
	e.Note.Bad = true
	e.Note.Request = -1
	he, ok := errors.AsType[*h1.Error](err)
	if !ok {
		he = &h1.Error{Status: 400, Side: h1.ByClient, Err: err}
	}
	e.Note.Err, e.Note.State = he, 'R'
	e.Note.Cause = he.Cause
	switch {
	case he.Cause == 0: // read, and refused
		e.Note.Cause = 'P'
	case he.Cause == 'C': // gone
		e.Note.Status = 400
		e.log(f)
		return false
	}
	e.sendPage(he.Status, true)
	e.log(f)
	linger(e.conn.C, lingerTime)
	return false
}

// empty logs a connection that sent nothing, if anybody wants to know.
func (c *conn) empty(err error) {
	v := c.room.ln.view.Load()
	f := v.Entries[0].Frontend
	if l := f.log(); l == nil || !l.Empty() {
		return
	}
	e := c.room.take(c)
	defer c.room.give(e)
	n := &e.Note
	n.Begin, n.Frontend, n.Bad, n.Status, n.Cause, n.State = c.began, f.c.Name, true, 400, 'C', 'R'
	if errors.Is(err, os.ErrDeadlineExceeded) {
		n.Status, n.Cause = 408, 'c'
	}
	n.Err = err
	e.log(f)
}
