package frontend

import (
	"encoding/binary"

	"gatehouse/backend/h2"
)

// What ends a connection.
var (
	errPreface      = &h2.Error{Code: h2.ProtocolError, Why: "not the preface of HTTP/2"}
	errFirstFrame   = &h2.Error{Code: h2.ProtocolError, Why: "the first frame is not SETTINGS"}
	errLongFrame    = &h2.Error{Code: h2.FrameSizeError, Why: "a frame longer than allowed"}
	errContinuation = &h2.Error{Code: h2.ProtocolError, Why: "a header block is not continued, or there is none"}
	errWrongStream  = &h2.Error{Code: h2.ProtocolError, Why: "a frame on a stream that it must not be on"}
	errIdleStream   = &h2.Error{Code: h2.ProtocolError, Why: "a frame on an idle stream"}
	errEndedStream  = &h2.Error{Code: h2.StreamClosed, Why: "a frame on a closed stream"}
	errNoIncrement  = &h2.Error{Code: h2.ProtocolError, Why: "WINDOW_UPDATE by 0"}
	errBigWindow    = &h2.Error{Code: h2.FlowControlError, Why: "a window beyond 2^31-1"}
	errOverrun      = &h2.Error{Code: h2.FlowControlError, Why: "more content than the window allows"}
)

// frames takes the whole frames that b begins with, and returns how many bytes they have.
func (h *http2) frames(b []byte) (used int, err error) {
	if !h.greeted {
		n := min(len(b), len(h2.Preface))
		if string(b[:n]) != h2.Preface[:n] {
			return 0, errPreface
		}
		if n < len(h2.Preface) {
			return 0, nil
		}
		h.greeted = true
		used = n
	}
	for len(b)-used >= h2.FrameHead {
		f := h2.ParseFrame(b[used:])
		if f.Len > h2.MaxFrame {
			return used, errLongFrame
		}
		end := used + h2.FrameHead + f.Len
		if end > len(b) {
			break
		}
		if err := h.frame(f, b[used+h2.FrameHead:end]); err != nil {
			return used, err
		}
		used = end
		h.fresh = h.fresh || h.head.Len == 0
	}
	return used, nil
}

// frame takes a frame. It does not park. An error ends the connection.
func (h *http2) frame(f h2.Frame, p []byte) error {
	switch {
	case h.head.Len > 0 && (f.Type != h2.Continuation || f.Stream != h.head.Stream):
		return errContinuation
	case !h.settled && (f.Type != h2.SettingsFrame || f.Flags.Has(h2.Ack)):
		return errFirstFrame
	}
	if err := f.Check(); err != nil {
		return err
	}
	switch f.Type {
	case h2.Data:
		return h.content(f, p)
	case h2.Headers:
		return h.headers(f, p)
	case h2.Continuation:
		return h.continued(f, p)
	case h2.ResetStream:
		return h.resetBy(f, p)
	case h2.WindowUpdate:
		return h.widen(f, p)
	case h2.SettingsFrame:
		return h.settings(f, p)
	case h2.Ping:
		return h.ping(f, p)
	case h2.Priority:
		return h.oldPriority(f, p)
	case h2.PriorityUpdate:
		return h.priorityUpdate(f, p)
	case h2.GoAway:
		// The client opens no more streams; it closes the connection when those under way have ended.
		return h.waste()
	}
	return h.waste() // "Implementations MUST ignore and discard frames of unknown types." (RFC 9113 4.1)
}

// settings takes the client's settings.
func (h *http2) settings(f h2.Frame, p []byte) error {
	if err := h.waste(); err != nil || f.Flags.Has(h2.Ack) {
		return err
	}
	h.settled = true
	for len(p) > 0 {
		var s h2.Setting
		var v uint32
		var err error
		if s, v, p, err = h2.NextSetting(p); err != nil {
			return err
		}
		switch s {
		case h2.InitialWindowSize:
			if err := h.firstWindow(int64(v)); err != nil {
				return err
			}
		case h2.HeaderTableSize:
			// We never put anything into a table. Who wants one smaller than it is at first must be told so once (RFC 7541 4.2).
			h.shrink = h.shrink || v < h2.TableSize && !h.shrunk
		}
	}
	h.mark()
	h.out = h2.AppendFrame(h.out, h2.Frame{Type: h2.SettingsFrame, Flags: h2.Ack})
	return nil
}

func (h *http2) ping(f h2.Frame, p []byte) error {
	if !f.Flags.Has(h2.Ack) {
		h.mark()
		h.out = h2.AppendPing(h.out, true, p)
	}
	return h.waste()
}

// oldPriority takes a PRIORITY frame, which says nothing any more (RFC 9113 5.3.2).
func (h *http2) oldPriority(f h2.Frame, p []byte) error {
	switch {
	case f.Len != 5:
		return h.reset(f.Stream, h2.FrameSizeError)
	case binary.BigEndian.Uint32(p)&0x7fffffff == f.Stream:
		return h.reset(f.Stream, h2.ProtocolError)
	}
	return h.waste()
}

// resetBy takes RST_STREAM.
func (h *http2) resetBy(f h2.Frame, p []byte) error {
	if h.idle(f.Stream) {
		return errIdleStream
	}
	if s := h.find(f.Stream); s != nil {
		h.close(s)
		s.cancel(errReset)
		return h.abuse.reset(h)
	}
	return h.waste()
}

// idle reports whether a stream was never opened. We open none: those of even numbers always are.
func (h *http2) idle(id uint32) bool { return id > h.last || id&1 == 0 }
