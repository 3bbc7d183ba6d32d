package loop

// A hashed timer wheel. Timers move lazily: extending one is a store, its entry moves on when its old slot comes round. So a
// kept-alive connection costs nothing per request.

const (
	tick  = 50   // milliseconds
	slots = 1024 // a turn of the wheel: 51 s; what is further away is looked at once per turn
)

// Timer is an entry of a wheel. It fires at its time or up to one tick later.
type Timer struct {
	when       int64 // milliseconds of Loop.Now; 0: disarmed
	at         int64 // the tick whose slot it is in, 0: in none
	next, prev *Timer
	owner      interface{ expire(*Loop) }
}

type wheel struct {
	slot [slots]Timer // rings
	pos  int64        // the last tick looked at
	n    int
}

func (w *wheel) init() {
	for i := range w.slot {
		s := &w.slot[i]
		s.next, s.prev = s, s
	}
}

// arm makes t fire at when.
func (w *wheel) arm(t *Timer, when int64) {
	t.when = when
	if k := when/tick + 1; t.at == 0 || k < t.at {
		w.unlink(t)
		w.link(t, k)
	}
}

func (w *wheel) link(t *Timer, k int64) {
	k = min(max(k, w.pos+1), w.pos+slots-1)
	s := &w.slot[k%slots]
	t.at, t.next, t.prev = k, s, s.prev
	s.prev.next, s.prev = t, t
	w.n++
}

func (w *wheel) unlink(t *Timer) {
	if t.at != 0 {
		t.next.prev, t.prev.next = t.prev, t.next
		t.next, t.prev, t.at = nil, nil, 0
		w.n--
	}
}

// drop disarms t.
func (w *wheel) drop(t *Timer) {
	w.unlink(t)
	t.when = 0
}

// sleep returns for how many milliseconds from now no timer can fire: -1 when there is none. It looks at one second at most.
func (w *wheel) sleep(now int64) int64 {
	if w.n == 0 {
		return -1
	}
	k := w.pos + 1
	for last := w.pos + 1000/tick; k < last; k++ {
		if s := &w.slot[k%slots]; s.next != s {
			break
		}
	}
	return max(0, k*tick-now)
}

// advance fires what is due.
func (w *wheel) advance(l *Loop) {
	to := l.now / tick
	if w.n == 0 {
		w.pos = to
		return
	}
	if to-w.pos > slots { // a long stop of the process: once round is enough
		w.pos = to - slots
	}
	for w.pos < to {
		w.pos++
		s := &w.slot[w.pos%slots]
		for s.next != s {
			t := s.next
			w.unlink(t)
			switch {
			case t.when == 0:
			case t.when > l.now:
				w.link(t, t.when/tick+1)
			default:
				t.when = 0
				t.owner.expire(l)
			}
		}
	}
}
