package cache

// A server that does not answer takes its time: connections are tried again, and time out. One client waits for that and gets what is stored; others who
// want the same soon after get it at once, while it is fetched in the background. "A cache MUST NOT generate a stale response unless it is disconnected
// or doing so is explicitly permitted" (RFC 9111 4.2.4): it was disconnected when it last looked, seconds ago.
const (
	unreachedMark = 0x9e3779b97f4a7c15 // sets apart the mark of a key whose server did not answer
	erredMark     = 0xbf58476d1ce4e5b9 // and of one whose server answered with an error
	troubleTime   = 10                 // seconds after the last failure
)

// inTrouble notes that the server gave no answer, or an error.
func (a *ask) inTrouble(answered bool) {
	mark := uint64(unreachedMark)
	if answered {
		mark = erredMark
	}
	a.c.store.marks.setFor(a.hash^mark, a.now, troubleTime)
}

// answered notes that the server gave an answer with that status.
func (a *ask) answered(status int) {
	m := &a.c.store.marks
	m.clear(a.hash ^ unreachedMark)
	if status >= 500 {
		a.inTrouble(true)
	} else {
		m.clear(a.hash ^ erredMark)
	}
}

// excused reports whether a stored answer that is not fresh may be used because the server failed a moment ago.
func (a *ask) excused(e *entry) bool {
	m := &a.c.store.marks
	return a.stands(e, true) && m.has(a.hash^erredMark, a.now) || a.stands(e, false) && m.has(a.hash^unreachedMark, a.now)
}
