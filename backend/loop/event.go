package loop

import "time"

// Event is a one-shot signal with any number of waiting tasks, all of one loop. The zero Event is not set.
type Event struct {
	set         bool
	first, last *co
}

// IsSet reports whether Set was called.
func (e *Event) IsSet() bool { return e.set }

// Wait parks until Set, or until d is over (0 or less: no limit). It reports whether the event is set.
func (e *Event) Wait(l *Loop, d time.Duration) bool {
	if e.set {
		return true
	}
	c := l.self()
	c.late, c.waiting = false, nil
	if e.first == nil {
		e.first = c
	} else {
		e.last.waiting = c
	}
	e.last = c
	if d > 0 {
		l.wheel.arm(&c.timer, l.now+millis(d))
	}
	c.park()
	if !c.late {
		return true // even if Clear was called since
	}
	e.remove(c)
	return e.set
}

// expire wakes a waiter whose time is over.
func (c *co) expire(l *Loop) {
	c.late = true
	l.wake(c)
}

func (e *Event) remove(c *co) {
	var before *co
	for p := e.first; p != nil; before, p = p, p.waiting {
		if p != c {
			continue
		}
		if before == nil {
			e.first = p.waiting
		} else {
			before.waiting = p.waiting
		}
		if e.last == p {
			e.last = before
		}
		return
	}
}

// Set sets the event and wakes the tasks that wait for it, in the order in which they came.
func (e *Event) Set(l *Loop) {
	e.set = true
	for c := e.first; c != nil; {
		next := c.waiting
		if !c.late { // else its timer has woken it already
			l.wheel.drop(&c.timer)
			l.wake(c)
		}
		c.waiting = nil
		c = next
	}
	e.first, e.last = nil, nil
}

// Clear makes the event usable again. Tasks that Set has woken still see it as set.
func (e *Event) Clear() { e.set = false }
