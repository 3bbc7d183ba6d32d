package h1

import "sync/atomic"

// Ready is the place for what a later version of HTTP writes for lines that are copied into answer after answer, so that it need not look
// at each of them every time. All copies share it, on all loops.
type Ready struct {
	lines int
	form  atomic.Pointer[[]byte]
}

// Freeze notes that the lines so far are going to be copied again and again, and are not changed in h itself any more. Copies have Ready until
// one of these lines is changed in them; what is added does not matter.
func (h *Header) Freeze() { h.ready = &Ready{lines: len(h.line)} }

// Ready returns the place for what the first lines of h look like, nil when there is none: h is not a copy of frozen lines, or one of them
// was changed.
func (h *Header) Ready() *Ready { return h.ready }

// Lines returns how many places the lines have that Form is made of, from the first one on.
func (r *Ready) Lines() int { return r.lines }

// Form returns what SetForm has put there, nil for nothing yet. Nobody changes it.
func (r *Ready) Form() []byte {
	if p := r.form.Load(); p != nil {
		return *p
	}
	return nil
}

// SetForm puts b there, which is r's from then on. It depends on the lines alone. Of two who do so at once one wins.
func (r *Ready) SetForm(b []byte) { r.form.Store(&b) }
