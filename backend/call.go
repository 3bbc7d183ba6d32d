package backend

import (
	"errors"
	"io"

	"gatehouse/backend/h1"
	"gatehouse/backend/h2"
	"gatehouse/backend/loop"
)

// call is one exchange on a link: a stream. Its answer owns it, from open to recycle; the link's reader fills it in between.
type call struct {
	k    *link
	a    *answer // nil: nobody listens any more
	id   uint32
	next *call // of the same list in the table

	// What comes in.
	header   bool           // the exchange's Response holds a head that nobody has looked at yet
	later    []*h1.Response // heads that came while it did
	answered bool           // the head of the final response came
	empty    bool           // it has no content, whatever comes
	parts    []callPart     // content come and not yet taken, the oldest first
	lent     callPart       // what the last piece is in
	size     int64          // what must still come by Content-Length; -1 where that was not said
	left     int            // what the server may still send
	taken    int            // what was taken since it was last told so
	width    int            // size of the window for what it sends
	trailer  h1.Header
	trailed  bool
	ended    bool // the server has ended its side
	safe     bool // the server has not acted on the request, and says so
	err      error
	more     loop.Event // something has come

	// What goes out.
	window    int64
	pending   []byte // content that waits for its turn; valid while the task waits
	lastPiece bool   // END_STREAM goes with the end of it
	queued    bool
	older     *call
	newer     *call
	wake      loop.Event
	sent      bool // END_STREAM

	closed bool // not in the table any more
}

// callPart is a piece of content in memory of the loop.
type callPart struct {
	buf   []byte
	small bool
}

const (
	// callRoom is left in front of content in larger parts, so that framing of HTTP/1 can be written in place.
	callRoom = h1.Room
	callSize = callRoom + h2.MaxFrame + 64
)

var (
	errMuch      = errors.New("more content than Content-Length says")
	errLittle    = errors.New("less content than Content-Length says")
	errNoHead    = errors.New("content before a head")
	errLateTrail = errors.New("a trailer section that does not end the stream")
	errInterims  = errors.New("more interim responses than anybody reads")
)

// open makes a call for a.
func (k *link) open(a *answer) *call {
	r := k.p.rooms[k.l.ID]
	var s *call
	if n := len(r.calls); n > 0 {
		s = r.calls[n-1]
		r.calls = r.calls[:n-1]
	} else {
		s = &call{}
	}
	if k.last++; k.last > 1 {
		k.last++
	}
	parts, trailer := s.parts[:0], s.trailer
	trailer.Reset()
	*s = call{k: k, a: a, id: k.last, parts: parts, trailer: trailer, size: -1, left: firstInflow, width: firstInflow, window: k.first}
	p := &k.table[s.id>>1%callTable]
	s.next, *p = *p, s
	if k.n++; k.n == 1 {
		k.c.SetReadTimeout(pingAfter)
	}
	if k.p.c.HTTPClose || k.home.srv.gone.Load() {
		k.away = true // it is for this call alone
	}
	return s
}

// find returns the call of that number, nil when there is none, or it is closed.
func (k *link) find(id uint32) *call {
	s := k.table[id>>1%callTable]
	for s != nil && s.id != id {
		s = s.next
	}
	return s
}

// close takes a call out of the table: its stream has ended.
func (k *link) close(s *call) {
	if s.closed {
		return
	}
	s.closed = true
	p := &k.table[s.id>>1%callTable]
	for *p != s {
		p = &(*p).next
	}
	*p, s.next = s.next, nil
	s.dequeue()
	s.wake.Set(k.l)
	k.room.Set(k.l)
	if k.n--; k.n == 0 && k.dead == nil {
		if k.calm(); k.away {
			k.retire()
		}
	}
	if s.a == nil { // it was left alone to end
		s.recycle()
	}
}

// quit resets a stream.
func (k *link) quit(s *call, c h2.Code) {
	if s.closed {
		return
	}
	if k.dead == nil {
		k.mark()
		k.out = h2.AppendReset(k.out, s.id, c)
	}
	k.close(s)
}

// lose closes a call whose stream has come to an early end, for that reason.
func (k *link) lose(s *call, err error) {
	heard := s.a != nil
	if k.close(s); heard {
		s.fail(err)
	}
}

// breakOff is lose of a stream that the server is told about.
func (k *link) breakOff(s *call, c h2.Code, err error) {
	heard := s.a != nil
	if k.quit(s, c); heard {
		s.fail(err)
	}
}

func (s *call) dequeue() {
	if s.queued {
		s.queued = false
		s.pending = nil
		s.k.queue.remove(s)
	}
}

// fail ends the call early. What has come before is still there.
func (s *call) fail(err error) {
	if s.err == nil && !s.ended {
		s.err = err
	}
	s.more.Set(s.k.l)
}

// ends notes that our side has ended.
func (s *call) ends() {
	s.sent = true
	if s.ended {
		s.k.close(s)
	}
}

// end notes that the server's side has.
func (s *call) end() {
	s.ended = true
	s.more.Set(s.k.l)
	if s.sent {
		s.k.close(s)
	}
}

// headers takes a header block of the server's.
func (s *call) headers(block []byte, ended bool) error {
	k := s.k
	switch {
	case s.a == nil: // nobody is interested
		for k.dec.Begin(block); k.dec.Next(); {
		}
		if err := k.dec.Err(); err != nil {
			return err
		}
		if ended {
			s.end()
		}
		return nil
	case s.answered:
		err := h2.ResponseTrailer(&k.dec, block, &s.trailer)
		switch {
		case err != nil:
			return err
		case !ended:
			return broken(errLateTrail)
		case s.size > 0 && !s.empty:
			return broken(errLittle)
		}
		s.trailed = s.trailer.Len() > 0
		s.end()
		return nil
	}
	r := &s.a.x.Resp
	if s.header {
		if len(s.later) > maxInterim {
			k.skip(block)
			return broken(errInterims)
		}
		r = &h1.Response{}
	}
	if err := h2.Response(&k.dec, block, r, s.a.x.Req.Method, ended); err != nil {
		return err
	}
	if r.Status >= 200 {
		s.answered = true
		s.empty = r.Framing == h1.NoContent
		if s.size = -1; r.Framing == h1.ByLength {
			s.size = r.Length
		}
	}
	if s.header {
		s.later = append(s.later, r)
	}
	s.header = true
	if ended {
		s.end()
	}
	s.more.Set(k.l)
	return nil
}

// skip reads a header block for the sake of those that follow it alone.
func (k *link) skip(block []byte) {
	for k.dec.Begin(block); k.dec.Next(); {
	}
}

// broken makes the error of an answer that breaks a rule.
func broken(err error) error {
	return &h1.Error{Status: 502, Side: h1.ByServer, Err: err, Cause: 'P'}
}

// another puts the next head into the exchange's Response, which was looked at and is free again. It reports whether there is one.
func (s *call) another() bool {
	if s.header = len(s.later) > 0; s.header {
		r := &s.a.x.Resp
		header := r.Header
		header.CopyFrom(&s.later[0].Header)
		*r = *s.later[0]
		r.Header = header
		s.later = s.later[1:]
	}
	return s.header
}

// data takes a DATA frame.
func (s *call) data(f h2.Frame, p []byte) (h2.Code, error) {
	ended := f.Flags.Has(h2.EndStream)
	switch {
	case !s.answered:
		return h2.ProtocolError, broken(errNoHead)
	case s.left < f.Len:
		return h2.FlowControlError, broken(errOverrun)
	}
	s.left -= f.Len
	s.taken += f.Len - len(p) // padding takes no memory
	if s.size >= 0 {
		// "A request or response is also malformed if the value of a Content-Length header field does not equal the sum of the DATA
		// frame payload lengths that form the content" (RFC 9113 8.1.1)
		if s.size -= int64(len(p)); s.size < 0 {
			return h2.ProtocolError, broken(errMuch)
		}
		if ended && s.size > 0 {
			return h2.ProtocolError, broken(errLittle)
		}
	}
	if len(p) > 0 && !s.empty {
		s.add(p)
	}
	if ended {
		s.end()
	}
	return 0, nil
}

// add keeps content.
func (s *call) add(p []byte) {
	l := s.k.l
	defer s.more.Set(l)
	if n := len(s.parts); n > 0 {
		if last := &s.parts[n-1]; cap(last.buf)-len(last.buf) >= len(p) {
			last.buf = append(last.buf, p...)
			return
		}
	}
	if len(p) <= loop.SmallSize/2 {
		s.parts = append(s.parts, callPart{buf: append(l.Small(), p...), small: true})
	} else {
		s.parts = append(s.parts, callPart{buf: append(s.k.p.rooms[l.ID].part(), p...)})
	}
}

// take returns the next piece of content, an empty one where there is none yet, io.EOF behind the last.
func (s *call) take() (h1.Piece, error) {
	s.free()
	if len(s.parts) > 0 {
		s.lent = s.parts[0]
		m := copy(s.parts, s.parts[1:])
		s.parts[m] = callPart{}
		s.parts = s.parts[:m]
		p := h1.Piece{Buf: s.lent.buf[:cap(s.lent.buf)], J: len(s.lent.buf)}
		if !s.lent.small {
			p.I = callRoom
		}
		p.Last = m == 0 && s.ended && !s.trailed
		return p, nil
	}
	switch {
	case s.err != nil:
		return h1.Piece{}, s.err
	case s.ended:
		return h1.Piece{}, io.EOF
	}
	return h1.Piece{}, nil
}

// free lets go of the piece that was handed out, and opens the window. It grows when the server has filled it while the client was
// waiting for more.
func (s *call) free() {
	if s.lent.buf == nil {
		return
	}
	n := s.give(s.lent)
	s.lent = callPart{}
	k := s.k
	if s.taken += n; s.ended || s.closed || k.dead != nil || s.taken < s.width/2 {
		return
	}
	open := s.taken
	if len(s.parts) == 0 && s.width < mostInflow {
		open += s.width
		s.width *= 2
	}
	s.left += open
	s.taken = 0
	k.mark()
	k.out = h2.AppendWindow(k.out, s.id, open)
}

// give gives the memory of a part back and returns how much content was in it.
func (s *call) give(p callPart) int {
	if p.small {
		s.k.l.PutSmall(p.buf)
		return len(p.buf)
	}
	s.k.p.rooms[s.k.l.ID].putPart(p.buf)
	return len(p.buf) - callRoom
}

// leave ends what is under way: nobody listens any more. A stream that will end by itself at once is left to do so.
func (s *call) leave() {
	if s.closed {
		return
	}
	if s.sent && s.answered && s.empty {
		s.a = nil
		return
	}
	s.k.quit(s, h2.Cancel)
}

// recycle takes a call back whose stream has ended.
func (s *call) recycle() {
	s.free()
	for i, p := range s.parts {
		s.parts[i] = callPart{}
		s.give(p)
	}
	r := s.k.p.rooms[s.k.l.ID]
	*s = call{parts: s.parts[:0], trailer: s.trailer}
	if len(r.calls) < 256 {
		r.calls = append(r.calls, s)
	}
}

// part lends memory for the content of a frame, with room in front.
func (r *room) part() []byte {
	if n := len(r.parts); n > 0 {
		p := r.parts[n-1]
		r.parts = r.parts[:n-1]
		return p
	}
	return make([]byte, callRoom, callSize)
}

// putPart takes it back.
func (r *room) putPart(p []byte) {
	if len(r.parts) < 64 {
		r.parts = append(r.parts, p[:callRoom])
	}
}
