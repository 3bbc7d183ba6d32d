package cache

import "gatehouse/backend/loop"

// watch is the task that looks at the client's connection while its exchange waits for another one's answer. Nothing has been done for
// that client yet, so who has ended its side is let go at once, as in the queue before a server; who is being sent the answer may
// end its side and still want the rest. The stream of a connection that carries several has no connection of its own: its end is
// told by Exchange.Cancel.
type watch struct {
	a    *ask
	on   bool
	sent bool // the answer is on its way
}

// Run is called when something happens on the client's connection that no other task reads.
func (w *watch) Run() {
	switch {
	case !w.on:
	case w.gone():
		w.a.cancel()
	default: // it merely sent its next request
		w.client().Watch(w)
	}
}

func (w *watch) client() *loop.Conn { return w.a.x.Client }

func (w *watch) gone() bool {
	c := w.client()
	return c.Closed() || c.Broken() || c.Hup() && !w.sent
}

// begin watches the client until end, and cancels the exchange at once if it is gone already.
func (w *watch) begin(sent bool) {
	w.sent = sent
	switch c := w.client(); {
	case c == nil:
	case w.gone():
		w.a.cancel()
	default:
		w.on = true
		c.Watch(w)
	}
}

func (w *watch) end() {
	if w.on {
		w.on = false
		w.client().Watch(nil)
	}
}
