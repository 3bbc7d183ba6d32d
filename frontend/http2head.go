package frontend

import (
	"encoding/binary"
	"errors"

	"gatehouse/backend/h1"
	"gatehouse/backend/h2"
)

// headers takes a HEADERS frame: a request, or the trailer section of one.
func (h *http2) headers(f h2.Frame, p []byte) error {
	if f.Stream&1 == 0 {
		return errWrongStream
	}
	b, err := f.Block(p)
	if err != nil {
		return err
	}
	if !f.Flags.Has(h2.EndHeaders) {
		h.head = f
		h.head.Len = h2.FrameHead + f.Len // never 0: a block is under way
		h.block = append(h.l.Small(), b...)
		return nil
	}
	h.head = h2.Frame{}
	return h.whole(f, b, h2.FrameHead+f.Len)
}

// continued takes a CONTINUATION frame. A block that goes on for longer than any request may be ends the connection: what it says would
// have to be read all the same.
func (h *http2) continued(f h2.Frame, p []byte) error {
	if h.head.Len == 0 {
		return errContinuation
	}
	h.head.Len += h2.FrameHead + f.Len
	h.block = append(h.block, p...)
	if most := h.front().limits.Head; h.head.Len > most+most/2 {
		return errCalmHead
	}
	if !f.Flags.Has(h2.EndHeaders) {
		return h.waste()
	}
	b, head, n := h.block, h.head, h.head.Len
	h.block, h.head = nil, h2.Frame{}
	err := h.whole(head, b, n)
	h.l.PutSmall(b)
	return err
}

// whole takes a header block, of which n bytes were read with their frames.
func (h *http2) whole(f h2.Frame, block []byte, n int) error {
	ended := f.Flags.Has(h2.EndStream)
	if f.Stream > h.last {
		return h.request(f.Stream, block, ended, n)
	}
	s := h.find(f.Stream)
	switch {
	case s == nil && !h.past.has(f.Stream):
		return errEndedStream
	case s == nil: // the client did not know yet
		if err := h.skip(block); err != nil {
			return err
		}
		return h.waste()
	case s.in.ended:
		if err := h.skip(block); err != nil {
			return err
		}
		return h.reset(f.Stream, h2.StreamClosed)
	case !ended: // "A trailer section without END_STREAM is malformed" (RFC 9113 8.1)
		if err := h.skip(block); err != nil {
			return err
		}
		return h.reset(f.Stream, h2.ProtocolError)
	}
	t, err := h.c.room.heads.Trailer(&h.dec, block)
	if e, ok := errors.AsType[*h2.Error](err); ok {
		return e
	}
	if err != nil || !s.in.complete() {
		return h.reset(f.Stream, h2.ProtocolError)
	}
	s.in.trailer = t
	s.in.end()
	return nil
}

// skip reads a header block for the sake of those that follow it alone.
func (h *http2) skip(block []byte) error {
	h.dec.Begin(block)
	h.dec.Skip()
	return h.dec.Err()
}

// request opens a stream.
func (h *http2) request(id uint32, block []byte, ended bool, n int) error {
	if h.away == announced && h.l.Now() >= h.leave { // it has not been silent for that long
		h.depart()
	}
	h.last = id
	r := h.c.room
	switch {
	case h.away == departed: // it is for another connection
		if err := h.skip(block); err != nil {
			return err
		}
		h.forgive(id)
		return h.waste()
	case h.tasks >= h.most:
		// Streams that were reset count as long as they make work.
		if err := h.skip(block); err != nil {
			return err
		}
		return h.reset(id, h2.RefusedStream)
	}
	e := r.take(h.c)
	h.c.now, e.Client = nil, nil // a stream's end is told by Cancel
	prio, err := r.heads.Request(&h.dec, block, &e.Req, ended, &h.front().limits)
	if fatal, ok := errors.AsType[*h2.Error](err); ok {
		r.give(e)
		return fatal
	}
	if he, ok := errors.AsType[*h1.Error](err); ok && he.Status == 0 { // the stream will be reset
		if err := h.abuse.reset(h); err != nil {
			r.give(e)
			return err
		}
	}
	e.Req.Proto, e.Req.Minor, e.Req.Bytes = "HTTP/2.0", 1, n
	s := r.stream()
	s.start(h, id, e, ended)
	s.fault = err
	s.prio = h.forecastOf(id, prio)
	h.open(s)
	if h.tasks++; h.tasks == 1 && h.away != announced && !h.half {
		h.c.C.SetReadTimeout(0)
	}
	h.abuse.earn()
	h.l.Go(s)
	return nil
}

// forecast is a priority that came before its stream.
type forecast struct {
	id   uint32
	prio h2.Urgency
}

// early is how many of them are kept.
const early = 8

// priorityUpdate takes PRIORITY_UPDATE (RFC 9218 7.1).
func (h *http2) priorityUpdate(f h2.Frame, p []byte) error {
	id := binary.BigEndian.Uint32(p) & 0x7fffffff
	if id&1 == 0 {
		return errWrongStream
	}
	prio := h2.ParsePriority(p[4:])
	if id > h.last {
		copy(h.soon[1:], h.soon[:early-1])
		h.soon[0] = forecast{id, prio}
	} else if s := h.find(id); s != nil {
		s.hurry(prio)
	}
	return h.waste()
}

// forecastOf returns the priority of a new stream. said is what its request says: a frame counts more (RFC 9218 7).
func (h *http2) forecastOf(id uint32, said h2.Urgency) h2.Urgency {
	for _, x := range h.soon {
		if x.id == id {
			return x.prio
		}
	}
	return said
}
