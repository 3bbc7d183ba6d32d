package frontend

import (
	"errors"
	"io"
	"net/netip"
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
	began      int64          // Unix milliseconds, when it was accepted
	since      int64          // Loop.Now then
	peer       netip.AddrPort // whose it is: the announced client's, where a PROXY header came
	local      netip.AddrPort // where that came in; not valid: where the connection did
	announcing bool           // the PROXY header is still to come
	greeting   bool           // the TLS handshake is still to be done
	tcp        bool           // it is relayed as it is
	served     bool           // at least one request came
	idle       bool           // waits for a request
	aborted    bool           // the client shall notice that the end is not a regular one
	killed     bool           // by Abort
	endless    bool           // the content under way has no other end than the connection's
	ended      bool
	now        *exchange // under way
	h2         *http2    // nil while HTTP/1 is spoken
	h3         *quicConn // nil but for HTTP/3

	session *session      // what its TLS handshake has settled; nil in the clear, and before
	under   *ListenConfig // what it came in under, until then

	older, newer *conn // among those in their handshake
	greets       bool  // is one of them
}

// exchange is an Exchange of this listener and what has to be found from it again.
type exchange struct {
	h1.Exchange
	conn   *conn
	inform func(*h1.Response) error // made once: a method value costs an allocation
	entry  *Entry
	wire   carrier
}

// Run serves the connection until it is idle or over.
func (c *conn) Run() {
	defer c.survive()
	c.idle = false
	if c.announcing && !c.announce() {
		c.end()
		return
	}
	if c.greeting {
		if err := c.greet(); err != nil {
			c.end()
			return
		}
	}
	if c.tcp {
		c.relay()
		c.end()
		return
	}
	if c.h2 == nil && c.speaksHTTP2() {
		c.h2 = c.startHTTP2()
	}
	if c.h2 != nil {
		c.h2.run()
		return
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
	}
}

// survive ends a connection whose task panicked, or whose loop ended, and passes the panic on to the loop.
func (c *conn) survive() {
	if v := recover(); v != nil {
		c.aborted = true
		if c.h2 != nil {
			c.h2.wreck()
		} else {
			c.end()
		}
		panic(v)
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

// over notes that the connection ended, or its time did, while no request was under way.
func (c *conn) over(err error) {
	if !c.served && !errors.Is(err, loop.ErrClosed) {
		c.empty(err)
	}
	if err == io.EOF && c.C.Queued() > 0 { // who has ended its own side still wants the end of the last answer
		c.C.SetWriteTimeout(c.Patience)
		c.C.Drain()
	}
	c.end()
}

// end closes the connection and forgets it.
func (c *conn) end() {
	if c.ended {
		return
	}
	c.ended = true
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
	c.room.ln.left(c.seat, c.peer)
}

// abort ends the connection whatever is under way.
func (c *conn) abort() {
	c.aborted, c.killed = true, true
	if c.h2 != nil {
		c.h2.abort()
		return
	}
	if c.idle {
		c.end()
		return
	}
	c.C.Close() // whoever waits for it finds out
	if c.now != nil && c.now.Cancel != nil {
		c.now.Cancel()
	}
}

// hangUp ends a connection after its last answer, so that the client can read that. It parks.
func (c *conn) hangUp() {
	if c.C.Closed() || c.C.Broken() {
		return
	}
	if c.T != nil {
		c.T.CloseWrite()
	}
	linger(c.C, lingerTime)
}

// take lends an exchange.
func (r *room) take(c *conn) *exchange {
	var e *exchange
	if n := len(r.free); n > 0 {
		e = r.free[n-1]
		r.free = r.free[:n-1]
	} else {
		e = &exchange{}
		e.inform = e.tell
		e.Exchange.Reset()
	}
	c.now = e
	e.conn, e.wire, e.Loop, e.Client = c, c, r.l, c.C
	e.Peer, e.Local = c.peer, c.local
	e.Inform = e.inform
	e.Req.Secure = c.T != nil
	e.TLS = nil
	if c.session != nil {
		e.TLS = &c.session.state
	}
	return e
}

// done takes an exchange back, also from a task that panicked: its client gets what can still be said, and the panic goes on.
func (r *room) done(e *exchange) {
	if v := recover(); v != nil {
		if !loop.Stopped(v) {
			e.wreck(v)
		}
		panic(v)
	}
	r.give(e)
}

// give takes it back.
func (r *room) give(e *exchange) {
	e.Exchange.Reset()
	e.conn.now = nil
	e.conn, e.entry, e.wire, e.Client = nil, nil, nil, nil
	if len(r.free) < 256 {
		r.free = append(r.free, e)
	}
}

// exchange serves one request, the first bytes of which are here. It reports whether the connection can go on.
func (c *conn) exchange() bool {
	r := c.room
	e := r.take(c)
	defer r.done(e)
	v := r.ln.view.Load() // one and the same for the whole request, whatever a reload does meanwhile
	f := v.Entries[0].Frontend
	if f.c.Mode == h1.TCP { // since a reload; nobody would understand a request any more
		return false
	}
	e.Note.Begin = r.l.Unix()
	begin := r.l.Now()
	if c.served || r.ln.closing.Load() { // the time for the first one runs already
		c.C.SetReadTimeout(f.t.Request)
	}
	c.served = true
	c.Patience = 0
	err := c.ReadRequest(&e.Req, &f.limits)
	c.C.SetReadTimeout(0)
	e.Note.Request = r.l.Now() - begin
	e.Note.BytesIn = int64(e.Req.Bytes)
	c.Patience = f.t.Client
	if err != nil {
		e.entry = &v.Entries[0]
		return e.unreadable(f, err)
	}
	return e.serve(v, begin)
}

// serve answers a request whose head is read. begin is when it came, by the loop's clock. It reports whether the connection can go on.
func (e *exchange) serve(v *ListenConfig, begin int64) bool {
	if e.challenge(v) {
		return e.finish(begin, nil)
	}
	e.entry = v.pick(e.Req.Host)
	if e.entry == nil {
		e.entry = &v.Entries[0]
		return e.finish(begin, refuse(421, errUnknownHost))
	}
	f := e.entry.Frontend
	e.conn.Patience = f.t.Client
	var err error
	if f.c.Monitor != nil && f.c.Monitor.URI != "" && pathIs(e.Req.Target, f.c.Monitor.URI) {
		return e.probe(f)
	}
	f.Stats.Requests.Add(1)
	f.Stats.Active.Add(1)
	e.Note.Frontend = f.c.Name
	tameRanges(&e.Req.Header)
	if err = e.conn.admit(e.entry, &e.Exchange); err != nil {
		// it is refused
	} else if e.entry.Redirect {
		if err = answerRedirect(&e.Exchange, 301, toHTTPS); err == nil {
			f.answers.Response(&e.Exchange)
		}
	} else {
		err = f.respond(&e.Exchange)
	}
	if v.altSvc != "" && err == nil && !e.Resp.Header.Has(h1.AltSvc) {
		e.Resp.Header.AddString("Alt-Svc", v.altSvc)
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
	e.Note.Total, e.Note.Request = e.Note.Request, -1
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
	if he.Status != 0 {
		e.wire.page(e, he.Status, true)
	}
	e.log(f)
	e.wire.hangUp()
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
	n.Begin, n.Frontend, n.Mode, n.Bad, n.Status, n.Cause, n.State = c.began, f.c.Name, f.c.Mode, true, 400, 'C', 'R'
	if errors.Is(err, os.ErrDeadlineExceeded) {
		n.Status, n.Cause = 408, 'c'
	}
	n.Err, n.Total = err, c.room.l.Now()-c.since
	e.log(f)
}
