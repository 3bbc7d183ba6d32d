package backend

import (
	"errors"
	"os"
	"time"

	"gatehouse/backend/h1"
	"gatehouse/backend/h2"
)

var (
	errStreamOver = errors.New("the server has ended the stream")
	errLateWindow = errors.New("the server takes nothing")
)

// over makes the error of content that nobody takes any more.
func (s *call) over() error {
	if s.err != nil {
		if he, ok := errors.AsType[*h1.Error](s.err); ok {
			e := *he // the other half completes its own
			return &e
		}
	}
	return &h1.Error{Status: 502, Side: h1.ByServer, Err: errStreamOver, Cause: 'S'}
}

func late() error {
	return &h1.Error{Status: 504, Side: h1.ByServer, Err: errors.Join(errLateWindow, os.ErrDeadlineExceeded), Cause: 's'}
}

// roomFor parks until a head may be written: heads are not subject to windows.
func (s *call) roomFor(d time.Duration) error {
	k := s.k
	for {
		switch {
		case s.closed:
			return s.over()
		case k.roomy():
			return nil
		}
		k.room.Clear()
		if !k.room.Wait(k.l, d) {
			return late()
		}
	}
}

// write writes content, and with end the end of the stream. It parks until all of it is on its way; b is not kept. d bounds how long
// nothing of it may be taken.
func (s *call) write(b []byte, end bool, d time.Duration) error {
	k := s.k
	if s.closed {
		return s.over()
	}
	if len(b) == 0 { // windows are for content alone
		err := s.roomFor(d)
		if err == nil {
			k.frameData(s, nil, end, 0)
		}
		return err
	}
	if k.roomy() && k.queue.n == 0 {
		if b = k.frameData(s, b, end, len(b)); len(b) == 0 && (!end || s.sent) {
			return nil
		}
	}
	s.pending, s.lastPiece, s.queued = b, end, true
	k.queue.put(s)
	for s.queued {
		s.wake.Clear()
		k.mark()
		left := len(s.pending)
		if s.wake.Wait(k.l, d) || !s.queued || len(s.pending) < left {
			continue
		}
		s.dequeue()
		return late()
	}
	if s.closed && !s.sent {
		return s.over()
	}
	return nil
}

// finish ends the request behind its content, with the trailer section if there is one.
func (s *call) finish(trailer *h1.Header, d time.Duration) error {
	if trailer == nil {
		return s.write(nil, true, d)
	}
	err := s.roomFor(d)
	if err == nil {
		at := s.k.beginHead(s)
		s.k.out = h2.AppendHeader(s.k.out, trailer)
		s.k.finishHead(s, at, true)
	}
	return err
}
