package frontend

import (
	"time"

	"gatehouse/backend/loop"
)

// hear waits until the client of a conversation goes on, which sets more, and reports whether it has. It may be silent as long as the server
// speaks: what counts is for how long neither has said anything, as in a tunnel. d bounds that, about; 0 or less: nothing does.
func (e *exchange) hear(l *loop.Loop, more *loop.Event, d time.Duration) bool {
	if d <= 0 {
		return more.Wait(l, 0)
	}
	said, at := e.Note.BytesOut, l.Now()
	for {
		left := d - time.Duration(l.Now()-at)*time.Millisecond
		if left <= 0 {
			return false
		}
		if more.Wait(l, min(left, d/8+time.Millisecond)) {
			return true
		}
		if e.Note.BytesOut != said {
			said, at = e.Note.BytesOut, l.Now()
		}
	}
}
