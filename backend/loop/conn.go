package loop

import (
	"net"
	"net/netip"
)

// notNow is the error of a read that would have to park and may not. It is temporary, so a tls.Conn that gets it from its
// transport stays usable.
type notNow struct{ s string }

func (e *notNow) Error() string   { return e.s }
func (e *notNow) Timeout() bool   { return true }
func (e *notNow) Temporary() bool { return true }

var (
	// ErrWouldBlock is returned by reads that may not park and would have to.
	ErrWouldBlock error = &notNow{"would block"}
	// ErrInterrupted is returned by a parked read that Interrupt woke.
	ErrInterrupted error = &notNow{"interrupted"}
	// ErrClosed is returned by everything after Close.
	ErrClosed = net.ErrClosed
)

// Conn is a connection of one loop, a net.Conn to the tasks of that loop. At most one task reads and at most one
// writes at a time. Whoever adopted or dialled it closes it.
type Conn struct {
	l   *Loop
	fd  int
	gen int32 // tells events of this connection from those of an earlier one with the same descriptor

	eager    bool // what has come is read before the task runs that waits for it
	awaits   bool // idle is going to read
	isAhead  bool // something was read ahead
	bulk     bool // the last read was a large one
	late     bool // Write leaves small messages to the end of the turn
	isLate   bool // that is what is in queue
	readable bool // a read may give something
	writable bool
	hup      bool // the peer has ended its side: a short read does not mean "no more"
	broken   bool // both sides are gone: reset, or shut down
	closed   bool
	shut     bool // CloseWrite was called: the socket follows when the queue is out
	try      bool // Read returns ErrWouldBlock where it would park
	buffered bool // Write never parks: the rest is queued
	kicked   bool // Interrupt

	readLate, writeLate bool
	readEnd, writeEnd   int64 // deadlines in milliseconds of Loop.Now, 0: none
	timer               Timer

	s              *stream
	reader, writer *co
	idle           Task // started when there is something to read

	queue []byte // taken by Write, not yet by the kernel; nil when that has everything
	qoff  int    // how much of queue the kernel has
	hold  []byte // gathers writes, when not nil

	in, out int64

	ahead  ahead
	local  netip.AddrPort
	remote netip.AddrPort
}

// Loop returns the loop the connection belongs to.
func (c *Conn) Loop() *Loop { return c.l }

// event takes what the poller said. The loop itself calls.
func (c *Conn) event(in, out, hup, broken bool) {
	c.hup = c.hup || hup
	c.broken = c.broken || broken
	if (out || hup) && !c.writable {
		c.writable = true
		c.wakeWriter()
	}
	if (in || hup) && !c.closed {
		c.readable = true
		c.wakeReader()
	}
}

// wakeReader resumes the task that waits for input, or starts the one that awaits it.
func (c *Conn) wakeReader() {
	if r := c.reader; r != nil {
		c.reader = nil
		c.l.resume(r)
	} else if t := c.idle; t != nil {
		c.idle = nil
		c.l.Go(t)
	}
}

// wakeWriter resumes the task that waits for room; when none does, the loop empties the queue itself.
func (c *Conn) wakeWriter() {
	if w := c.writer; w != nil {
		c.writer = nil
		c.l.resume(w)
	} else if c.qoff < len(c.queue) && !c.closed {
		c.flushQueue()
	}
}

// Await is the waiting of an idle connection without a coroutine: t is started when there is input, the end, or the read
// deadline, at once if that is so already. nil takes it back; so does Close, which starts nothing.
func (c *Conn) Await(t Task) {
	c.idle, c.awaits = t, true
	if t != nil && (c.readable || c.readLate || c.closed) {
		c.idle = nil
		c.l.Go(t)
	}
}

// Watch is Await for a connection that was read until it would block, or whose owner wants only what comes from now on.
func (c *Conn) Watch(t Task) { c.idle, c.awaits = t, false }

// Hup reports whether the peer has ended its side. Input may be left.
func (c *Conn) Hup() bool { return c.hup }

// Broken reports whether nothing can be read or written any more: the peer has reset the connection, or both sides
// are shut down.
func (c *Conn) Broken() bool { return c.broken }

// Closed reports whether Close was called.
func (c *Conn) Closed() bool { return c.closed }

// Close ends the connection. Tasks that wait for it get ErrClosed.
func (c *Conn) Close() error {
	if c.closed {
		return nil
	}
	if c.isLate {
		c.sendLate()
	}
	c.closed = true
	c.idle = nil
	c.dropQueue()
	if c.isAhead {
		c.dropAhead()
	}
	if c.s != nil {
		c.s.close(c)
	} else {
		c.closeSocket()
	}
	c.l.wheel.drop(&c.timer)
	if r := c.reader; r != nil {
		c.reader = nil
		c.readable = true
		c.l.wake(r)
	}
	if w := c.writer; w != nil {
		c.writer = nil
		c.l.wake(w)
	}
	return nil
}

// Reset ends the connection so that the peer can tell it from a regular end: by a reset, where the network knows one. What the peer has
// not got yet is lost.
func (c *Conn) Reset() {
	if !c.closed {
		c.resetOnClose()
		c.Abandon()
	}
}

// Remote returns the peer's address, the zero AddrPort for unix sockets.
func (c *Conn) Remote() netip.AddrPort { return c.remote }

// Local returns this side's address.
func (c *Conn) Local() netip.AddrPort {
	if !c.local.IsValid() && c.s == nil && !c.closed {
		c.local = c.sockname()
	}
	return c.local
}

// BytesRead returns how many bytes have come in.
func (c *Conn) BytesRead() int64 { return c.in }

// BytesWritten returns how many bytes the kernel has taken.
func (c *Conn) BytesWritten() int64 { return c.out }

// LocalAddr is net.Conn's.
func (c *Conn) LocalAddr() net.Addr { return net.TCPAddrFromAddrPort(c.Local()) }

// RemoteAddr is net.Conn's.
func (c *Conn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.remote) }

// unmap turns IPv4 addresses inside IPv6 into what they are.
func unmap(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }
