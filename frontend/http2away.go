package frontend

import "gatehouse/backend/h2"

// departure is how far the end of a connection has come. "A server that is attempting to gracefully shut down a connection SHOULD send
// an initial GOAWAY frame with the last stream identifier set to 2^31-1 and a NO_ERROR code. [...] After allowing time for any
// in-flight stream creation (at least one round-trip time), the server MAY send another GOAWAY frame with an updated last stream
// identifier." (RFC 9113 6.8)
type departure uint8

const (
	staying   departure = iota
	announced           // the first GOAWAY is out; streams may still be opened
	departed            // the second one is: streams that come now are not served
)

// retire lets the connection end when its streams have ended. It does not park.
func (h *http2) retire() {
	if h.away != staying || h.dead != nil {
		return
	}
	h.away, h.leave = announced, h.l.Now()+quiet.Milliseconds()
	h.goAway(1<<31-1, h2.NoError)
	if !h.half {
		h.c.C.SetReadTimeout(quiet)
	}
}

// depart serves no further streams.
func (h *http2) depart() {
	h.away = departed
	h.goAway(h.last, h2.NoError)
	h.farewell = h.tasks == 0
}

// goAway appends GOAWAY.
func (h *http2) goAway(last uint32, c h2.Code) {
	if h.dead == nil {
		h.mark()
		h.out = h2.AppendGoAway(h.out, last, c)
	}
}
