package frontend

import "gatehouse/backend/h2"

// waiting are the streams that have content to send and no room for it: by urgency, and of one urgency those that want to be served one after
// the other, in the order of their numbers, apart from those that share (RFC 9218 10). Both kinds have their turns.
type waiting struct {
	n     int
	level [8]struct {
		row   streamList // one after the other
		share streamList // in turns
		turn  bool       // share is next
	}
}

// streamList is a list of streams that wait.
type streamList struct{ first, last *stream }

// put inserts s behind p, at the beginning where p is nil.
func (l *streamList) put(s, p *stream) {
	s.older = p
	if p == nil {
		s.newer, l.first = l.first, s
	} else {
		s.newer, p.newer = p.newer, s
	}
	if s.newer == nil {
		l.last = s
	} else {
		s.newer.older = s
	}
}

func (l *streamList) remove(s *stream) {
	if s.older == nil {
		l.first = s.newer
	} else {
		s.older.newer = s.newer
	}
	if s.newer == nil {
		l.last = s.older
	} else {
		s.newer.older = s.older
	}
	s.older, s.newer = nil, nil
}

// list returns the list that a stream waits in.
func (w *waiting) list(s *stream) *streamList {
	l := &w.level[s.prio.Level()]
	if s.prio&h2.Incremental != 0 {
		return &l.share
	}
	return &l.row
}

// before reports whether somebody waits who should be served before s.
func (w *waiting) before(s *stream) bool {
	if w.n == 0 {
		return false
	}
	for i := range s.prio.Level() + 1 {
		for _, l := range [...]*streamList{&w.level[i].row, &w.level[i].share} {
			for o := l.first; o != nil; o = o.newer {
				if o.window > 0 { // else it waits for its own window alone
					return true
				}
			}
		}
	}
	return false
}

// enqueue has s wait.
func (h *http2) enqueue(s *stream) {
	if s.queued {
		return
	}
	s.queued = true
	h.wait.n++
	l := h.wait.list(s)
	p := l.last
	if s.prio&h2.Incremental == 0 {
		for p != nil && p.id > s.id {
			p = p.older
		}
	}
	l.put(s, p)
}

// dequeue takes s out.
func (h *http2) dequeue(s *stream) {
	if s.queued {
		s.queued = false
		s.pending = nil
		h.wait.n--
		h.wait.list(s).remove(s)
	}
}

// hurry changes the priority of a stream.
func (s *stream) hurry(u h2.Urgency) {
	if s.prio == u {
		return
	}
	if !s.queued {
		s.prio = u
		return
	}
	pending := s.pending
	s.h.dequeue(s)
	s.prio, s.pending = u, pending
	s.h.enqueue(s)
}

// pump sends what waits, as far as there is room, the most urgent first. Whoever has sent all it had is woken to bring more, and before less
// urgent ones have their turn it may do so.
func (h *http2) pump() {
	for i := range h.wait.level {
		if h.wait.n == 0 || h.window <= 0 || !h.roomy() {
			break
		}
		if h.pumpLevel(i) && h.wait.n > 0 {
			h.mark()
			return
		}
	}
}

// pumpLevel serves the streams of one urgency. It reports whether one of them may have more to send.
func (h *http2) pumpLevel(i int) (more bool) {
	l := &h.wait.level[i]
	stuck := 0 // how many of those that share were looked at without being served
	for h.window > 0 && h.roomy() {
		s := l.row.first
		for s != nil && s.window <= 0 && len(s.pending) > 0 {
			s = s.newer
		}
		if o := l.share.first; o != nil && (s == nil || l.turn) {
			if o.window <= 0 && len(o.pending) > 0 {
				l.share.remove(o)
				l.share.put(o, l.share.last)
				if stuck++; stuck > h.wait.n {
					if s == nil {
						return more
					}
					l.turn = false
				}
				continue
			}
			s = o
		}
		if s == nil {
			return more
		}
		stuck = 0
		l.turn = s.prio&h2.Incremental == 0
		s.pending = h.frameData(s, s.pending, s.last, h2.MaxFrame)
		switch {
		case len(s.pending) == 0 && (!s.last || s.sent):
			more = more || !s.last
			h.dequeue(s)
			s.wake.Set(h.l)
		case s.prio&h2.Incremental != 0:
			l.share.remove(s)
			l.share.put(s, l.share.last)
		}
	}
	return more
}
