package frontend

import (
	"time"

	"gatehouse/backend/h1"
	"gatehouse/backend/h2"
)

// How long a connection waits for what comes next.

// rest waits for more without a task. Whoever is in the middle of a frame or of a header block has the time of a request head for it, counted
// from when it began: content whose frames never end where a read does may go on for ever.
func (h *http2) rest() {
	half := h.in != nil || h.head.Len > 0 || !h.settled
	switch {
	case half && h.settled && (h.fresh || !h.half):
		h.c.C.SetReadTimeout(h.forHalf())
	case !half && h.half:
		h.calm()
	}
	h.half, h.fresh = half, false
	h.reading = false
	h.c.C.Await(h.c)
}

// forHalf returns the time for the rest of what the client is in the middle of, 0 for ever. A frame of content has the time that it may
// take at the least rate besides.
func (h *http2) forHalf() time.Duration {
	d := h.front().t.Request
	if d > 0 && len(h.in) >= h2.FrameHead {
		if f := h2.ParseFrame(h.in); f.Type == h2.Data {
			d += time.Duration(f.Len) * time.Second / h1.MinRate
		}
	}
	if h.tasks > 0 {
		return max(d, 0)
	}
	if left := h.idleLeft(); d <= 0 || left > 0 && left < d {
		return left
	}
	return d
}

// idleLeft returns how much longer a connection may be without streams, whatever else its client says; 0 for ever.
func (h *http2) idleLeft() time.Duration {
	idle := h.front().t.Idle
	if idle <= 0 {
		return 0
	}
	return max(idle-time.Duration(h.l.Now()-h.lull)*time.Millisecond, time.Millisecond)
}

// calm sets the time for the next frame, when the client is in the middle of none: only a connection without streams must not be silent
// for ever.
func (h *http2) calm() {
	switch {
	case h.away == announced:
		h.c.C.SetReadTimeout(quiet)
	case h.tasks > 0:
		h.c.C.SetReadTimeout(0)
	default:
		h.c.C.SetReadTimeout(h.idleLeft())
	}
}

// excused reports whether the connection goes on although the time for its next frame is over.
func (h *http2) excused() bool {
	switch {
	case h.half:
		return false
	case h.away == announced:
		h.depart()
	case h.tasks == 0:
		return false
	}
	h.c.C.SetReadTimeout(0)
	return !h.farewell
}
