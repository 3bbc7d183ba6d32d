package frontend

import (
	"os"

	"gatehouse/backend/loop"
)

// lendable is a listener whose socket another process can go on with. All but some in tests are.
type lendable interface {
	Descriptor() (*os.File, error)
	Lend(on bool)
}

// Descriptor returns a further descriptor of the listening socket, for another process that takes the address over. It is the caller's. It
// waits for the accepting loop, and must not be called on one.
func (n *Listener) Descriptor() (f *os.File, err error) {
	err = loop.ErrClosed
	n.onSocket(func(in lendable) { f, err = in.Descriptor() })
	return f, err
}

// Lend says whether another process listens on the socket too, so that its file stays when this one closes it. It waits for the accepting
// loop, and must not be called on one.
func (n *Listener) Lend(on bool) { n.onSocket(func(in lendable) { in.Lend(on) }) }

// onSocket calls f with the open socket, on the loop it belongs to, and waits for that.
func (n *Listener) onSocket(f func(in lendable)) {
	done := make(chan struct{})
	n.l.Post(func() {
		defer close(done)
		if in := n.in.Load(); in != nil {
			if l, ok := (*in).(lendable); ok {
				f(l)
			}
		}
	})
	<-done
}

// Leave is Shutdown for an address that another process has taken over: monitors that are still connected are not told of an end, since there is
// none.
func (n *Listener) Leave() {
	n.Lend(true)
	n.shut()
}
