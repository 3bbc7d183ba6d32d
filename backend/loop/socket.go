package loop

import (
	"net"
	"net/netip"
	"time"
)

// Socket is a connection that no loop owns yet. Adopt it or Close it.
type Socket struct {
	Remote, Local netip.AddrPort // zero for unix sockets; Local may be zero until asked of the Conn

	fd int
	nc net.Conn
}

// SocketOf makes a Socket of a net.Conn that is no kernel socket, for tests on an in-memory network.
func SocketOf(nc net.Conn, local, remote netip.AddrPort) Socket {
	return Socket{nc: nc, Local: local, Remote: remote}
}

// Dial is a connection to be made.
type Dial struct {
	To      Addr          // a literal IP address with a port, or a unix path
	From    netip.Addr    // the local address to connect from, if valid
	Timeout time.Duration // 0 or less: as long as the kernel tries
}

// Listener accepts connections on one loop.
type Listener struct {
	l      *Loop
	addr   Addr
	accept func(Socket)
	c      *Conn // a listening socket is a Conn whose readability means "accept"
	nl     net.Listener
	paused bool
	closed bool
	active bool     // Run is under way
	queue  []Socket // accepted while paused, where the platform's listener cannot wait

	// OnError is told, on the loop, when accepting fails and is put off: most often, the process has no descriptor
	// left. nil: nobody is.
	OnError func(error)
}

// backOff is the pause after an accept that failed for want of descriptors or memory.
const backOff = 100 * time.Millisecond

// Addr returns the address the listener is bound to, with the port the kernel chose where 0 was asked for.
func (n *Listener) Addr() Addr { return n.addr }

// arrived takes a connection from the platform's listener. On the loop.
func (n *Listener) arrived(s Socket) {
	switch {
	case n.closed:
		s.Close()
	case n.paused:
		n.queue = append(n.queue, s)
	default:
		n.accept(s)
	}
}

func (n *Listener) failed(err error) {
	if n.OnError != nil {
		n.OnError(err)
	}
}

// Pause leaves newcomers in the kernel's queue until Resume. On the loop.
func (n *Listener) Pause() { n.paused = true }

// Resume accepts again. On the loop.
func (n *Listener) Resume() {
	if !n.paused || n.closed {
		return
	}
	n.paused = false
	for len(n.queue) > 0 && !n.paused {
		s := n.queue[0]
		n.queue = n.queue[1:]
		n.accept(s)
	}
	if n.c != nil && !n.active && !n.paused {
		n.c.Watch(nil)
		n.l.Go(n)
	}
}

// Close stops listening. On the loop.
func (n *Listener) Close() error {
	if n.closed {
		return nil
	}
	n.closed = true
	for _, s := range n.queue {
		s.Close()
	}
	n.queue = nil
	n.closeSocket()
	return nil
}
