package frontend

import "gatehouse/backend/loop"

// press is whose turn it is to compress on a loop, among all that one compressor has under way there. Requests that want nothing compressed
// do not wait for many slices in a row.
type press struct {
	begun int // slices in this turn of the loop

	busy    bool          // somebody compresses in a goroutine
	waiting []*loop.Event // others who want to, in order
}

// pressBurst is how many slices are compressed in one turn of a loop. Most are only copied; a block takes half a millisecond.
const pressBurst = 4

// Flush is called at the end of a turn (loop.Flusher).
func (p *press) Flush() { p.begun = 0 }

// enter waits until this turn of the loop has room for a slice. It reports false where it would have to park and may not.
func (p *press) enter(l *loop.Loop, wait bool) bool {
	for p.begun >= pressBurst {
		if !wait {
			return false
		}
		l.Yield()
	}
	if p.begun == 0 {
		l.AtTurnEnd(p)
	}
	p.begun++
	return true
}

// claim waits until nobody else of this loop compresses in a goroutine: there are processors for one of each loop, and the loops
// themselves need them too. It parks. pass must follow.
func (p *press) claim(l *loop.Loop) {
	if !p.busy {
		p.busy = true
		return
	}
	var e loop.Event
	p.waiting = append(p.waiting, &e)
	e.Wait(l, 0)
}

// pass lets the next one go.
func (p *press) pass(l *loop.Loop) {
	if len(p.waiting) == 0 {
		p.busy = false
		return
	}
	e := p.waiting[0]
	p.waiting = p.waiting[1:]
	e.Set(l)
}
