package loop

import (
	"errors"
	"net"
	"os"
	"syscall"
	"time"
)

// Listener accepts connections on one loop. It ends with Close, or with its loop.
type Listener struct {
	l      *Loop
	addr   Addr
	accept func(Socket)
	c      *Conn // a listening socket is a Conn whose readability means "accept"
	nl     net.Listener
	paused bool
	closed bool
	lent   bool     // the file of a unix socket is somebody else's to remove
	active bool     // Run is under way, or about to be
	queue  []Socket // accepted while paused, where the platform's listener cannot wait

	// Admit is asked on the loop before a connection is accepted: false pauses the listener and leaves it in the kernel's queue. nil: all are
	// accepted. Set it on the loop.
	Admit func() bool

	// OnError is told, on the loop, when accepting fails and is put off: most often, the process has no descriptor
	// left. nil: nobody is. Set it on the loop.
	OnError func(error)
}

// backOff is the pause after an accept that failed for want of descriptors or memory.
const backOff = 100 * time.Millisecond

// errName is for addresses that still have to be resolved: taken literally, they would be the wildcard.
var errName = errors.New("a host name, not an address")

// Addr returns the address the listener is bound to, with the port the kernel chose where 0 was asked for.
func (n *Listener) Addr() Addr { return n.addr }

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
		n.take(s)
	}
	if n.c != nil && !n.active && !n.paused {
		n.c.Watch(nil)
		n.start()
	}
}

// Descriptor returns a further descriptor of the listening socket, for another process to go on with. It is the caller's. On the loop.
func (n *Listener) Descriptor() (*os.File, error) {
	switch {
	case n.closed:
		return nil, ErrClosed
	case n.nl == nil:
		return n.file()
	}
	f, ok := n.nl.(interface{ File() (*os.File, error) })
	if !ok {
		return nil, errors.New("a listener without a descriptor")
	}
	return f.File()
}

// Lend says whether the file of a unix socket stays when the listener closes, since another process listens there. On the loop.
func (n *Listener) Lend(on bool) { n.lent = on }

// Close stops listening, and removes the file of a unix socket. On the loop.
func (n *Listener) Close() error {
	if n.closed {
		return nil
	}
	n.closed = true
	for _, s := range n.queue {
		s.Close()
	}
	n.queue = nil
	delete(n.l.listeners, n)
	n.closeSocket()
	if n.addr.Path != "" && !n.lent {
		os.Remove(n.addr.Path)
	}
	return nil
}

// start begins accepting.
func (n *Listener) start() {
	n.active = true
	n.l.Go(n)
}

// admit pauses the listener when no connection is wanted.
func (n *Listener) admit() {
	if n.Admit != nil && !n.paused && !n.Admit() {
		n.paused = true
	}
}

// take hands a connection over. If the callback panics, that is counted and the listener goes on.
func (n *Listener) take(s Socket) {
	defer n.l.recovered()
	n.accept(s)
}

// arrived takes a connection from the platform's listener. On the loop.
func (n *Listener) arrived(s Socket) {
	if !n.closed {
		n.admit()
	}
	switch {
	case n.closed:
		s.Close()
	case n.paused:
		n.queue = append(n.queue, s)
	default:
		n.take(s)
	}
}

func (n *Listener) failed(err error) {
	if n.OnError != nil {
		n.OnError(err)
	}
}

// removeStale removes a unix socket that nobody listens on any more.
func removeStale(path string) error {
	fi, err := os.Lstat(path)
	if err != nil {
		return nil // bind will say what is wrong, if anything is
	}
	if fi.Mode()&os.ModeSocket == 0 {
		return errors.New(path + " exists and is not a socket")
	}
	c, err := net.Dial("unix", path)
	switch {
	case err == nil:
		c.Close()
		return os.NewSyscallError("bind", syscall.EADDRINUSE)
	case errors.Is(err, syscall.EAGAIN): // a full queue
		return os.NewSyscallError("bind", syscall.EADDRINUSE)
	case !errors.Is(err, syscall.ECONNREFUSED): // a socket for datagrams, say
		return err
	}
	return os.Remove(path)
}
