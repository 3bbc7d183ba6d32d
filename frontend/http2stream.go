package frontend

import (
	"errors"

	"gatehouse/backend/h1"
	"gatehouse/backend/h2"
	"gatehouse/backend/loop"
)

// stream is one request and its answer on a connection of HTTP/2. It is a task, and a carrier of its exchange.
type stream struct {
	h    *http2
	e    *exchange
	id   uint32
	next *stream // of the same list in the table
	in   inbody  // what the client sends

	// What goes out.
	window  int64
	prio    h2.Urgency
	pending []byte // content that waits for its turn; valid while the task waits
	last    bool   // END_STREAM goes with the end of it
	queued  bool   // it waits
	older   *stream
	newer   *stream
	wake    loop.Event
	sent    bool // END_STREAM

	fault  error // what is wrong with the request
	closed bool  // not in the table any more: reset, or ended on both sides
	gone   error // why nobody listens any more
}

var (
	errReset  = errors.New("the client has reset the stream")
	errBroken = errors.New("the client has broken a rule of HTTP/2")
)

// stream lends a stream.
func (r *room) stream() *stream {
	if n := len(r.streams); n > 0 {
		s := r.streams[n-1]
		r.streams = r.streams[:n-1]
		return s
	}
	return &stream{}
}

// start makes a stream of a request.
func (s *stream) start(h *http2, id uint32, e *exchange, ended bool) {
	parts := s.in.parts
	*s = stream{h: h, e: e, id: id, window: h.first}
	s.in.parts = parts[:0]
	s.in.s = s
	s.in.ended = ended
	s.in.left = -1
	s.in.flow = inflow{left: firstInflow, size: firstInflow}
	s.in.credit = h1.Grace.Milliseconds()
	e.wire = s
	if q := &e.Req; !ended && q.Upgrade == "" && q.Method != nil {
		if q.Framing == h1.ByLength || q.Framing == h1.NoContent {
			s.in.left = q.Length
		}
		q.Body = &s.in
	}
}

// Run answers the request.
func (s *stream) Run() {
	defer s.over()
	e, r := s.e, s.h.c.room
	defer r.done(e)
	v := r.ln.view.Load() // one and the same for the whole request, whatever a reload does meanwhile
	f := v.Entries[0].Frontend
	x := &e.Exchange
	n := &x.Note
	n.Begin, n.Request, n.BytesIn = r.l.Unix(), 0, int64(x.Req.Bytes)
	e.entry = &v.Entries[0]
	switch {
	case s.gone != nil:
		n.Frontend, n.Cause, n.State, n.Err, n.Total = f.c.Name, 'C', 'R', s.gone, 0
		e.log(f)
		return
	case s.fault != nil:
		e.unreadable(f, s.fault)
		return
	case f.c.Mode == h1.TCP: // since a reload
		e.unreadable(f, refuse(421, errUnknownHost))
		return
	case x.Req.Upgrade != "":
		if err := offerWebSocket(&x.Req.Header); err != nil {
			e.unreadable(f, err)
			return
		}
	case x.Req.Body != nil && s.in.ended && s.in.trailer == nil:
		if x.Req.Whole(s.in.size); s.in.size == 0 {
			x.Req.Body = nil
		}
	}
	e.serve(v, r.l.Now())
}

// over is called when the task has ended, however that came about.
func (s *stream) over() {
	h, r := s.h, s.h.c.room
	if !s.closed {
		s.hangUp()
		h.close(s)
	}
	s.in.drop()
	h.dequeue(s)
	parts := s.in.parts
	*s = stream{}
	s.in.parts = parts
	if len(r.streams) < 256 {
		r.streams = append(r.streams, s)
	}
	if h.tasks--; h.tasks == 0 {
		h.lull = h.l.Now()
		switch {
		case h.away == departed:
			h.farewell = true
		case h.away == staying && r.ln.closing.Load():
			h.retire()
		case !h.half:
			h.calm()
		}
	}
	h.settle()
}

// cancel ends the work for a stream that nobody listens to any more.
func (s *stream) cancel(err error) {
	if s.gone != nil {
		return
	}
	s.gone = err
	h := s.h
	h.dequeue(s)
	s.wake.Set(h.l)
	h.room.Set(h.l)
	s.in.fail(&h1.Error{Status: 400, Side: h1.ByClient, Err: err, Cause: 'C', State: 'D'})
	if s.e.Cancel != nil {
		s.e.Cancel()
	}
}

// deaf is carrier's.
func (s *stream) deaf() bool { return s.gone != nil || s.closed }

// cut is carrier's.
func (s *stream) cut() { s.end(h2.InternalError) }

// hangUp is carrier's. The client may be told to stop sending content that nobody wants: "a server MAY request that the client abort
// transmission of a request without error by sending a RST_STREAM with an error code of NO_ERROR after sending a complete response"
// (RFC 9113 8.1).
func (s *stream) hangUp() {
	switch {
	case !s.sent && s.fault != nil:
		s.end(h2.ProtocolError)
	case !s.sent:
		s.end(h2.InternalError)
	case !s.in.ended:
		s.end(h2.NoError)
	}
}

// end resets the stream, if it is not closed.
func (s *stream) end(c h2.Code) {
	if !s.closed {
		s.h.quit(s, c)
	}
}

// quit resets a stream for reasons that are not the client's fault.
func (h *http2) quit(s *stream, c h2.Code) {
	if h.dead == nil {
		h.mark()
		h.out = h2.AppendReset(h.out, s.id, c)
	}
	h.forgive(s.id)
	h.close(s)
	if s.gone == nil {
		s.gone = errBroken
	}
}

// pools are what the connections of one loop lend to their streams.
type pools struct {
	streams []*stream
	parts   [][]byte
	heads   h2.Assembler
}
