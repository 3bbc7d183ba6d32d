package frontend

import (
	"errors"
	"io"
	"os"
	"time"

	"gatehouse/backend/h1"
	"gatehouse/backend/h2"
)

var (
	errLateWindow = errors.New("write: the client took nothing in time")
	errNoRoom     = errors.New("write: the connection took nothing in time")
)

// send is carrier's.
func (s *stream) send(e *exchange, f *Frontend) (goOn bool, err error) {
	x := &e.Exchange
	body := x.Resp.Body
	if x.Own.Len() > 0 {
		overrule(x)
	}
	if body == nil {
		if err := s.headOf(e, f, true); err != nil {
			return false, err
		}
		return true, nil
	}
	// As much as is there goes out together with the head.
	p, err := body.Next(false)
	none := err == io.EOF && body.Trailer() == nil
	if err != nil && err != io.EOF {
		return false, err
	}
	if err := s.headOf(e, f, none); err != nil {
		return false, err
	}
	if none {
		return true, nil
	}
	if !p.Last {
		if u := x.Resp.Header.GetName("priority"); u != nil {
			s.hurry(h2.ParsePriority(u)) // the server knows better (RFC 9218 8)
		}
	}
	for {
		switch {
		case err == io.EOF:
			return true, s.finish(e, body.Trailer(), f)
		case err != nil:
			return false, err
		case p.Len() > 0 || p.Last:
			if err := s.write(e, p.Data(), p.Last, f); err != nil {
				return false, err
			}
			if p.Last {
				return true, nil
			}
		}
		p, err = body.Next(true)
	}
}

// headOf writes the head of the response.
func (s *stream) headOf(e *exchange, f *Frontend, end bool) error {
	if err := s.roomFor(f.t.Client); err != nil {
		return err
	}
	h, x := s.h, &e.Exchange
	if e.hsts() != "" {
		x.Resp.Header.Del(h1.StrictTransportSecurity)
	}
	at := h.beginHead(s, x.Resp.Status)
	h.out = h2.AppendHeader(h.out, &x.Resp.Header)
	h.out = h2.AppendHeader(h.out, &x.Own)
	s.endHead(e, !x.Resp.Header.Has(h1.Date))
	x.Note.Status = x.Resp.Status
	s.finishHead(e, at, end)
	return nil
}

// beginHead begins a HEADERS frame and returns its place.
func (h *http2) beginHead(s *stream, status int) (at int) {
	h.mark()
	at = len(h.out)
	h.out = h2.AppendFrame(h.out, h2.Frame{Type: h2.Headers, Flags: h2.EndHeaders, Stream: s.id})
	if h.shrink {
		h.shrink, h.shrunk = false, true
		h.out = h2.AppendTableSize(h.out)
	}
	if status > 0 {
		h.out = h2.AppendStatus(h.out, status)
	}
	return at
}

// endHead appends the fields that are about this connection.
func (s *stream) endHead(e *exchange, date bool) {
	h := s.h
	if date {
		var room [32]byte
		h.out = h2.AppendField(h.out, h1.Date, dateName, h1.AppendDate(room[:0], e.Loop.Unix()/1000))
	}
	if v := e.hsts(); v != "" {
		var room [32]byte
		h.out = h2.AppendField(h.out, h1.StrictTransportSecurity, hstsName, append(room[:0], v...))
	}
}

var (
	dateName = []byte("date")
	hstsName = []byte("strict-transport-security")
)

// finishHead ends the HEADERS frame that begins at place at. One that is too long becomes several.
func (s *stream) finishHead(e *exchange, at int, end bool) {
	h := s.h
	n := len(h.out) - at - h2.FrameHead
	if n > h2.MaxFrame {
		block := append(h.l.Small(), h.out[at+h2.FrameHead:]...)
		h.out = h2.AppendHeaders(h.out[:at], s.id, block, end)
		h.l.PutSmall(block)
	} else {
		h2.SetLen(h.out[at:], n)
		if end {
			h.out[at+4] |= byte(h2.EndStream)
		}
	}
	e.Note.BytesOut += int64(len(h.out) - at)
	if end {
		s.ends()
	}
}

// ends notes that our side of the stream has ended.
func (s *stream) ends() {
	s.sent = true
	if s.in.ended {
		s.h.close(s)
	}
}

// finish ends the response behind its content, with the trailer section if there is one.
func (s *stream) finish(e *exchange, trailer *h1.Header, f *Frontend) error {
	if trailer == nil {
		return s.write(e, nil, true, f)
	}
	if err := s.roomFor(f.t.Client); err != nil {
		return err
	}
	h := s.h
	at := h.beginHead(s, 0)
	h.out = h2.AppendHeader(h.out, trailer)
	s.finishHead(e, at, true)
	return nil
}

// page is carrier's.
func (s *stream) page(e *exchange, status int, _ bool) error {
	f := e.entry.Frontend
	if err := s.roomFor(lingerTime); err != nil {
		return err
	}
	if isRPC(&e.Req) {
		s.refuseRPC(e, status)
		return nil
	}
	p := pageOf(status)
	h, r := s.h, &e.Resp
	r.Status = status
	r.Header.Reset()
	p.addTo(&r.Header)
	e.pageRules().Response(&e.Exchange)
	at := h.beginHead(s, status)
	h.out = h2.AppendHeader(h.out, &r.Header)
	s.endHead(e, true)
	e.Note.Status = status
	body := p.body
	if string(e.Req.Method) == "HEAD" {
		body = nil
	}
	s.finishHead(e, at, len(body) == 0)
	if len(body) == 0 {
		return nil
	}
	return s.write(e, body, true, f)
}

// interim is carrier's.
func (s *stream) interim(e *exchange, r *h1.Response) error {
	if err := s.roomFor(e.entry.Frontend.t.Client); err != nil {
		return err
	}
	h := s.h
	at := h.beginHead(s, r.Status)
	h.out = h2.AppendHeader(h.out, &r.Header)
	s.finishHead(e, at, false)
	return nil
}

// roomFor parks until the head of an answer may be written: heads are not subject to windows, so only this keeps thousands of them
// from gathering here while a client does not read.
func (s *stream) roomFor(d time.Duration) error {
	h := s.h
	for {
		switch {
		case s.gone != nil:
			return s.ended(s.gone)
		case h.roomy():
			return nil
		}
		h.room.Clear()
		if !h.room.Wait(h.l, d) {
			return &h1.Error{Side: h1.ByClient, Err: errNoRoom, Cause: 'c', State: 'D'}
		}
	}
}

// ended makes the error of an answer that nobody listens to any more.
func (s *stream) ended(why error) error {
	if he, ok := errors.AsType[*h1.Error](why); ok {
		return he
	}
	e := &h1.Error{Side: h1.ByClient, Err: why, Cause: 'C', State: 'D'}
	if errors.Is(why, os.ErrDeadlineExceeded) {
		e.Cause, e.Err = 'c', errLateWindow
	}
	return e
}

// write writes content, and with end the end of the stream. It parks until all of it is on its way; b is not kept.
func (s *stream) write(e *exchange, b []byte, end bool, f *Frontend) error {
	h := s.h
	if s.gone != nil {
		return s.ended(s.gone)
	}
	if len(b) == 0 {
		if !end {
			return nil
		}
		err := s.roomFor(f.t.Client) // windows are for content alone
		if err == nil {
			h.frameData(s, nil, true, 0)
		}
		return err
	}
	if h.roomy() && !h.wait.before(s) {
		if b = h.frameData(s, b, end, len(b)); len(b) == 0 && (!end || s.sent) {
			return nil
		}
	}
	s.pending, s.last = b, end
	h.enqueue(s)
	patience := f.t.Client
	since := h.l.Now() // when the client last did something for this stream
	for s.queued {
		s.wake.Clear()
		h.mark()
		left := len(s.pending)
		if s.wake.Wait(h.l, patience) || !s.queued {
			continue
		}
		if len(s.pending) < left || s.window > 0 && h.moved > since {
			since = h.l.Now() // others had their turn meanwhile
			continue
		}
		h.dequeue(s)
		return &h1.Error{Side: h1.ByClient, Err: errLateWindow, Cause: 'c', State: 'D'}
	}
	if s.gone != nil {
		return s.ended(s.gone)
	}
	return nil
}
