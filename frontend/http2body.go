package frontend

import (
	"errors"
	"fmt"
	"io"

	"gatehouse/backend/h1"
	"gatehouse/backend/h2"
	"gatehouse/backend/loop"
)

// inbody is the content of a request as it comes in on a stream. It is the Body of the request; the connection's reader fills it. What is
// in it is bounded by the windows.
type inbody struct {
	s       *stream
	parts   []inpart // come and not yet taken, the oldest first
	lent    inpart   // what the last piece is in
	left    int64    // what must still come by Content-Length; -1 where that was not said
	size    int64    // what has come
	credit  int64    // milliseconds a client may still keep us waiting
	flow    inflow
	trailer *h1.Header
	ended   bool // the client has ended its side
	shut    bool // nobody wants the rest
	err     error

	more    loop.Event // something has come
	waiting bool
	broken  bool // Interrupt
}

// inpart is a piece of content in memory of the loop.
type inpart struct {
	buf   []byte
	small bool
}

// partRoom is left in front of content in larger parts, so that heads and framing of HTTP/1 can be written in place.
const partRoom = h1.Room

// partSize is the size of a larger part: a frame.
const partSize = partRoom + h2.MaxFrame + 64

var (
	errLateBody = errors.New("content: nothing came in time")
	errSlowBody = fmt.Errorf("content: less than %d bytes per second", h1.MinRate)
)

// content takes a DATA frame.
func (h *http2) content(f h2.Frame, p []byte) error {
	if h.idle(f.Stream) {
		return errIdleStream
	}
	if !h.inbound.receive(f.Len) {
		return errOverrun
	}
	p, err := f.Unpad(p)
	if err != nil {
		return err
	}
	s := h.find(f.Stream)
	if s == nil || s.in.ended {
		h.taken(f.Len)
		if h.past.has(f.Stream) { // the client did not know yet
			return h.waste()
		}
		return h.reset(f.Stream, h2.StreamClosed)
	}
	b := &s.in
	if !b.flow.receive(f.Len) {
		h.taken(f.Len)
		return h.reset(f.Stream, h2.FlowControlError)
	}
	h.taken(f.Len - len(p)) // padding takes no memory
	b.flow.taken += f.Len - len(p)
	ended := f.Flags.Has(h2.EndStream)
	if b.left >= 0 {
		// "A request or response is also malformed if the value of a Content-Length header field does not equal the sum of the DATA
		// frame payload lengths that form the content" (RFC 9113 8.1.1)
		if b.left -= int64(len(p)); b.left < 0 || ended && b.left > 0 {
			h.taken(len(p))
			return h.reset(f.Stream, h2.ProtocolError)
		}
	}
	if len(p) > 0 {
		h.abuse.earn()
		b.add(p)
	}
	if ended {
		b.end()
		return nil
	}
	if len(p) == 0 {
		return h.waste()
	}
	return nil
}

// complete reports whether all has come that Content-Length says.
func (b *inbody) complete() bool { return b.left <= 0 }

// add takes content.
func (b *inbody) add(p []byte) {
	b.size += int64(len(p))
	if b.shut || b.err != nil {
		b.took(len(p))
		return
	}
	r := b.s.h.c.room
	if n := len(b.parts); n > 0 {
		if last := &b.parts[n-1]; cap(last.buf)-len(last.buf) >= len(p) {
			last.buf = append(last.buf, p...)
			b.tell()
			return
		}
	}
	if len(p) <= loop.SmallSize {
		b.parts = append(b.parts, inpart{buf: append(r.l.Small(), p...), small: true})
	} else {
		b.parts = append(b.parts, inpart{buf: append(r.part(), p...)})
	}
	b.tell()
}

// end notes that nothing follows.
func (b *inbody) end() {
	b.ended = true
	b.tell()
	if s := b.s; s.sent {
		s.h.close(s)
	}
}

// fail ends the content early.
func (b *inbody) fail(err error) {
	if b.err == nil && !(b.ended && len(b.parts) == 0) {
		b.err = err
	}
	b.tell()
}

func (b *inbody) tell() {
	if b.waiting {
		b.more.Set(b.s.h.l)
	}
}

// Next is h1.Body's.
func (b *inbody) Next(wait bool) (h1.Piece, error) {
	b.free()
	for {
		switch {
		case b.err != nil:
			return h1.Piece{}, b.err
		case len(b.parts) > 0:
			b.lent = b.parts[0]
			m := copy(b.parts, b.parts[1:])
			b.parts[m] = inpart{}
			b.parts = b.parts[:m]
			p := h1.Piece{Buf: b.lent.buf[:cap(b.lent.buf)], J: len(b.lent.buf)}
			if !b.lent.small {
				p.I = partRoom
			}
			p.Last = m == 0 && b.ended && b.trailer == nil
			return p, nil
		case b.ended:
			return h1.Piece{}, io.EOF
		case !wait:
			return h1.Piece{}, nil
		}
		if err := b.await(); err != nil {
			b.err = err
		}
	}
}

// await parks until something has come, and holds the client to h1.MinRate.
func (b *inbody) await() error {
	l := b.s.h.l
	began, had := l.Now(), b.size
	b.more.Clear()
	b.waiting = true
	t, converse := &b.s.e.entry.Frontend.t, b.s.e.Req.Converse
	ok := false
	if converse {
		ok = b.s.e.hear(l, &b.more, t.Tunnel)
	} else {
		ok = b.more.Wait(l, t.Client)
	}
	b.waiting = false
	switch {
	case b.broken:
		return &h1.Error{Status: 400, Side: h1.ByClient, Err: loop.ErrInterrupted, Cause: 'C', State: 'D'}
	case !ok:
		return &h1.Error{Status: 408, Side: h1.ByClient, Err: errLateBody, Cause: 'c', State: 'D'}
	}
	b.credit -= l.Now() - began
	b.credit = min(b.credit+(b.size-had)*1000/h1.MinRate, h1.MaxCredit.Milliseconds())
	if b.credit < 0 && !converse {
		return &h1.Error{Status: 408, Side: h1.ByClient, Err: errSlowBody, Cause: 'c', State: 'D'}
	}
	return nil
}

// free lets go of the piece that was handed out.
func (b *inbody) free() {
	if b.lent.buf == nil {
		return
	}
	n := b.give(b.lent)
	b.lent = inpart{}
	b.took(n)
}

// give gives the memory of a part back and returns how much content was in it.
func (b *inbody) give(p inpart) int {
	if p.small {
		b.s.h.l.PutSmall(p.buf)
		return len(p.buf)
	}
	b.s.h.c.room.putPart(p.buf)
	return len(p.buf) - partRoom
}

// took opens the windows after content was taken. That of the stream grows when the client has filled it while its server was waiting
// for more: then the window is what holds up the content.
func (b *inbody) took(n int) {
	h := b.s.h
	h.taken(n)
	if b.ended || b.shut || b.s.closed || h.dead != nil {
		return
	}
	open := b.flow.take(n)
	if open == 0 {
		return
	}
	if len(b.parts) == 0 && b.flow.size < mostInflow {
		open += b.flow.size
		b.flow.left += b.flow.size
		b.flow.size *= 2
	}
	h.mark()
	h.out = h2.AppendWindow(h.out, b.s.id, open)
}

// Trailer is h1.Body's.
func (b *inbody) Trailer() *h1.Header { return b.trailer }

// Ready reports whether the next piece is here, or the end.
func (b *inbody) Ready() bool { return len(b.parts) > 0 || b.ended || b.err != nil }

// Done reports whether the whole content has come.
func (b *inbody) Done() bool { return b.ended }

// Interrupt makes a wait for the next piece end in an error. It changes nothing for who does not wait.
func (b *inbody) Interrupt() {
	if b.waiting {
		b.broken = true
		b.more.Set(b.s.h.l)
	}
}

// Close is h1.Body's.
func (b *inbody) Close() {
	b.shut = true
	b.drop()
}

// drop gives all memory back.
func (b *inbody) drop() {
	if b.s == nil {
		return
	}
	b.shut = true
	b.free()
	for i, p := range b.parts {
		b.parts[i] = inpart{}
		b.s.h.taken(b.give(p))
	}
	b.parts = b.parts[:0]
}

// part lends memory for the content of a frame, with room in front.
func (r *room) part() []byte {
	if n := len(r.parts); n > 0 {
		p := r.parts[n-1]
		r.parts = r.parts[:n-1]
		return p
	}
	return make([]byte, partRoom, partSize)
}

// putPart takes it back.
func (r *room) putPart(p []byte) {
	if len(r.parts) < 64 {
		r.parts = append(r.parts, p[:partRoom])
	}
}
