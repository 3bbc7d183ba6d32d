package frontend

import (
	"slices"

	"gatehouse/backend/h2"
)

// What a client may ask of us that is of no use to itself, in abuseTime. A client in its right mind comes nowhere near.
const (
	abuseTime = 10_000 // milliseconds
	// cheapFrames is how many frames may come that cost us something and the client nothing: SETTINGS, PING, PRIORITY, empty DATA and so on.
	// Each frame with content earns the client earned more of them, and two more for each ackedBytes that it is sent: it acknowledges what it got
	// by WINDOW_UPDATE for the stream and for the connection, Go's client every 4 KiB, and some clients measure the connection by PING.
	cheapFrames = 1000
	earned      = 3
	ackedBytes  = 2 << 10
)

var (
	errCalmFrames = &h2.Error{Code: h2.EnhanceYourCalm, Why: "too many frames that lead to nothing"}
	errCalmResets = &h2.Error{Code: h2.EnhanceYourCalm, Why: "too many streams were reset"}
	errCalmHead   = &h2.Error{Code: h2.EnhanceYourCalm, Why: "a header block without end"}
)

// abuse counts what a client does in vain.
type abuse struct {
	since  int64 // Loop.Now, when counting began anew
	cheap  int   // frames; below 0: earned
	resets int   // streams that did not come to their end, whoever reset them
}

func (a *abuse) tick(h *http2) {
	if now := h.l.Now(); now-a.since >= abuseTime {
		*a = abuse{since: now, cheap: min(0, a.cheap)}
	}
}

// waste counts a frame that leads to nothing. Its error ends the connection.
func (h *http2) waste() error {
	a := &h.abuse
	a.tick(h)
	if a.cheap++; a.cheap > cheapFrames {
		return errCalmFrames
	}
	return nil
}

// earn counts a frame with content, in either direction.
func (a *abuse) earn() { a.cheap = max(a.cheap-earned, -cheapFrames) }

// earnBy counts a frame with that many bytes of content that the client will acknowledge.
func (a *abuse) earnBy(n int) { a.cheap = max(a.cheap-earned-2*n/ackedBytes, -cheapFrames) }

// reset counts a stream that was reset: by the client, which cancels a request after it has cost us something ("rapid reset"), or by us
// because the client broke a rule on it, which costs the same ("made you reset").
func (a *abuse) reset(h *http2) error {
	a.tick(h)
	if a.resets++; a.resets > 2*h.most {
		return errCalmResets
	}
	return nil
}

// resets are the streams that were reset last. What still comes on them was sent before the client knew, and is ignored.
type resets struct {
	id   []uint32
	next int
}

// add notes a stream, in the place of the oldest where there are most of them. They are as many as a client may have had under way when
// all of its streams were reset, and once more.
func (r *resets) add(id uint32, most int) {
	if len(r.id) < most {
		r.id = append(r.id, id)
		return
	}
	r.id[r.next%most] = id
	r.next++
}

func (r *resets) has(id uint32) bool { return slices.Contains(r.id, id) }

// forgive notes that a stream was reset.
func (h *http2) forgive(id uint32) { h.past.add(id, 2*max(h.most, 1)) }

// reset ends a stream on which the client broke a rule. Its error ends the connection.
func (h *http2) reset(id uint32, c h2.Code) error {
	h.mark()
	h.out = h2.AppendReset(h.out, id, c)
	h.forgive(id)
	if s := h.find(id); s != nil {
		h.close(s)
		s.cancel(errBroken)
	}
	return h.abuse.reset(h)
}
