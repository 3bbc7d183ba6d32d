package frontend

import "time"

// Fail lets monitors know that the end is near: from now on they are told that this place is not well, while everybody else is
// served as before.
func (n *Listener) Fail() { n.failing.Store(true) }

// quiet is how long an idle connection may still send a request after Shutdown: one may be on its way already.
const quiet = 500 * time.Millisecond

// Shutdown stops listening. Connections end after the exchange that is under way, idle ones after a moment. Wait waits for them.
func (n *Listener) Shutdown() {
	n.Fail()
	n.shut()
}

func (n *Listener) shut() {
	if n.closing.Swap(true) {
		return
	}
	n.l.Post(func() {
		(*n.in.Load()).Close()
		for _, s := range n.held {
			s.Close()
		}
		n.held = nil
		n.conns.Done() // nobody comes any more: see Listen
	})
	n.Withdraw()
	if s := n.quic.Load(); s != nil {
		s.shutdown()
	}
	for _, l := range n.loops {
		r := n.rooms[l.ID]
		l.Post(func() {
			for c := r.first; c != nil; c = c.next {
				if c.h2 != nil {
					c.h2.retire()
				} else if c.idle {
					c.C.SetReadTimeout(quiet)
				}
			}
		})
	}
}

// Abort closes every connection at once.
func (n *Listener) Abort() {
	n.Shutdown()
	if s := n.quic.Load(); s != nil {
		s.abort()
	}
	for _, s := range n.former {
		s.abort()
	}
	for _, l := range n.loops {
		r := n.rooms[l.ID]
		l.Post(func() {
			for c := r.first; c != nil; {
				next := c.next
				c.abort()
				c = next
			}
		})
	}
}

// Wait returns when every connection has ended.
func (n *Listener) Wait() { n.conns.Wait() }
