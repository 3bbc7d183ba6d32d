package frontend

import (
	"encoding/binary"

	"gatehouse/backend/h2"
)

// Windows for what clients send. A stream begins with firstInflow and gets more, up to mostInflow, when its server is faster than the client:
// then the window is what holds the client up. Content that no server has taken yet is in memory: connInflow bounds it for all
// streams of a connection together.
const (
	firstInflow = 128 << 10
	mostInflow  = 1 << 20
	connInflow  = 1 << 20
)

// inflow is the window for what the client sends, of the connection or of a stream.
type inflow struct {
	left  int // what it may still send
	taken int // what was taken since it was last told so
	size  int // of the window
}

func (w *inflow) init() { *w = inflow{left: connInflow, size: connInflow} }

// receive counts what came, and reports whether it was allowed.
func (w *inflow) receive(n int) bool {
	w.left -= n
	return w.left >= 0
}

// take counts what was taken, and returns by how much the window is to be opened now: not for every bit of content.
func (w *inflow) take(n int) (open int) {
	if w.taken += n; w.taken < w.size/2 {
		return 0
	}
	open, w.taken = w.taken, 0
	w.left += open
	return open
}

// taken lets the client send more on the connection.
func (h *http2) taken(n int) {
	if open := h.inbound.take(n); open > 0 && h.dead == nil {
		h.mark()
		h.out = h2.AppendWindow(h.out, 0, open)
	}
}

// widen takes WINDOW_UPDATE.
func (h *http2) widen(f h2.Frame, p []byte) error {
	n := int64(binary.BigEndian.Uint32(p) & 0x7fffffff)
	if f.Stream == 0 {
		switch {
		case n == 0:
			return errNoIncrement
		case h.window+n > h2.MaxWindow:
			return errBigWindow
		}
		h.window += n
		h.mark()
		return h.waste()
	}
	if h.idle(f.Stream) {
		return errIdleStream
	}
	s := h.find(f.Stream)
	if s == nil {
		return h.waste()
	}
	switch {
	case n == 0:
		return h.reset(f.Stream, h2.ProtocolError)
	case s.window+n > h2.MaxWindow:
		return h.reset(f.Stream, h2.FlowControlError)
	}
	s.window += n
	if s.queued {
		h.mark()
	}
	return h.waste()
}

// firstWindow takes the client's INITIAL_WINDOW_SIZE, which changes the windows of all streams (RFC 9113 6.9.2).
func (h *http2) firstWindow(v int64) error {
	by := v - h.first
	h.first = v
	for _, s := range h.table {
		for ; s != nil; s = s.next {
			if s.window += by; s.window > h2.MaxWindow {
				return errBigWindow
			}
		}
	}
	h.mark()
	return nil
}
