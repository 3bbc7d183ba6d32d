package loop

import (
	"io"
	"net"
	"net/netip"
	"os"
	"time"
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
	l      *Loop
	fd     int
	gen    int32 // tells events of this connection from those of an earlier one with the same descriptor
	s      *stream
	local  netip.AddrPort
	remote netip.AddrPort

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

	reader, writer *co
	idle           Task // started when there is something to read

	queue []byte // taken by Write, not yet by the kernel
	qoff  int
	hold  []byte // gathers writes, when not nil

	in, out int64
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

func (c *Conn) flushQueue() {
	n, err := c.send(c.queue[c.qoff:])
	if err != nil {
		c.hup, c.readable = true, true
		return
	}
	if c.qoff += n; c.qoff == len(c.queue) {
		c.queue, c.qoff = nil, 0
		if c.shut {
			c.shutdownWrite()
		}
	}
}

// expire: a deadline has come. The loop itself calls.
func (c *Conn) expire(l *Loop) {
	if c.writeEnd != 0 && c.writeEnd <= l.now {
		c.writeLate = true
		if w := c.writer; w != nil {
			c.writer = nil
			l.resume(w)
		}
	}
	if !c.closed && c.readEnd != 0 && c.readEnd <= l.now {
		c.readLate = true
		c.wakeReader()
	}
	if !c.closed {
		c.arm()
	}
}

// arm sets the timer to the earlier of the deadlines that are still to come.
func (c *Conn) arm() {
	at := int64(0)
	if c.readEnd > c.l.now {
		at = c.readEnd
	}
	if c.writeEnd > c.l.now && (at == 0 || c.writeEnd < at) {
		at = c.writeEnd
	}
	if at != 0 {
		c.l.wheel.arm(&c.timer, at)
	}
}

// SetReadTimeout bounds the waiting for input from now on; 0 or less: no limit. It costs a store, mostly.
func (c *Conn) SetReadTimeout(d time.Duration) {
	c.readLate = false
	if d <= 0 {
		c.readEnd = 0
		return
	}
	c.readEnd = c.l.now + max(1, d.Milliseconds())
	c.arm()
}

// SetWriteTimeout bounds the waiting for room from now on; 0 or less: no limit.
func (c *Conn) SetWriteTimeout(d time.Duration) {
	c.writeLate = false
	if d <= 0 {
		c.writeEnd = 0
		return
	}
	c.writeEnd = c.l.now + max(1, d.Milliseconds())
	c.arm()
}

// Await ends the waiting of an idle connection without a coroutine: t is started when there is input, the
// end, or the read deadline, at once if that is so already. nil takes it back.
func (c *Conn) Await(t Task) {
	c.idle = t
	if t != nil && (c.readable || c.readLate) {
		c.idle = nil
		c.l.Go(t)
	}
}

// Watch is Await for a connection that was read until it would block, or whose owner wants only what comes from now on.
func (c *Conn) Watch(t Task) { c.idle = t }

// Hup reports whether the peer has ended its side. Input may be left.
func (c *Conn) Hup() bool { return c.hup }

// Broken reports whether nothing can be read or written any more: the peer has reset the connection, or both sides
// are shut down.
func (c *Conn) Broken() bool { return c.broken }

// Closed reports whether Close was called.
func (c *Conn) Closed() bool { return c.closed }

// WaitRead parks until a read is worth trying.
func (c *Conn) WaitRead() error {
	if c.readable {
		c.l.worked()
	}
	for !c.readable {
		switch {
		case c.closed:
			return ErrClosed
		case c.readLate:
			return os.ErrDeadlineExceeded
		case c.reader != nil:
			panic("loop: two readers of one connection")
		}
		c.reader = c.l.cur
		c.l.park()
		if c.kicked {
			c.kicked = false
			return ErrInterrupted
		}
	}
	if c.closed {
		return ErrClosed
	}
	return nil
}

// Interrupt makes a parked read return ErrInterrupted. A read that is not parked is not affected.
func (c *Conn) Interrupt() {
	if r := c.reader; r != nil {
		c.reader, c.kicked = nil, true
		c.l.wake(r)
	}
}

// ReadBuf waits for input and only then takes a buffer from the loop, so that a waiting task holds none. The caller gives the
// buffer back with PutBuf. from leaves room in front of the input.
func (c *Conn) ReadBuf(from, to int) (b []byte, n int, err error) {
	for {
		if err := c.WaitRead(); err != nil {
			return nil, 0, err
		}
		b := c.l.Buf()
		n, err := c.TryRead(b[from:to])
		if n > 0 {
			return b, n, nil
		}
		c.l.PutBuf(b)
		if err != ErrWouldBlock {
			return nil, 0, err
		}
	}
}

// TryRead reads what is there. It does not park: it returns ErrWouldBlock instead.
func (c *Conn) TryRead(p []byte) (int, error) {
	switch {
	case c.closed:
		return 0, ErrClosed
	case len(p) == 0:
		return 0, nil
	case c.s != nil:
		n, err := c.s.read(c, p)
		c.in += int64(n)
		return n, err
	case !c.readable:
		if c.readLate {
			return 0, os.ErrDeadlineExceeded
		}
		return 0, ErrWouldBlock
	}
	n, err := c.recv(p)
	c.in += int64(n)
	return n, err
}

// Read is net.Conn's: it parks until there is something.
func (c *Conn) Read(p []byte) (int, error) {
	for {
		n, err := c.TryRead(p)
		if err != ErrWouldBlock || c.try {
			if err == nil && !c.try {
				c.l.worked()
			}
			return n, err
		}
		if err := c.WaitRead(); err != nil {
			return 0, err
		}
	}
}

// SetTry makes Read return ErrWouldBlock instead of parking.
func (c *Conn) SetTry(on bool) { c.try = on }

// SetBuffered makes Write take everything at once; Drain then parks until it is out.
func (c *Conn) SetBuffered(on bool) { c.buffered = on }

func (c *Conn) send(p []byte) (int, error) {
	if c.closed {
		return 0, ErrClosed
	}
	var n int
	var err error
	if c.s != nil {
		n, err = c.s.send(c, p)
	} else if c.writable {
		n, err = c.sendmsg(p)
	}
	c.out += int64(n)
	return n, err
}

// waitWrite parks until there may be room.
func (c *Conn) waitWrite() error {
	switch {
	case c.closed:
		return ErrClosed
	case c.writable:
		return nil
	case c.writeLate:
		return os.ErrDeadlineExceeded
	case c.writer != nil:
		panic("loop: two writers of one connection")
	}
	c.writer = c.l.cur
	c.l.park()
	switch {
	case c.closed:
		return ErrClosed
	case c.writeLate && !c.writable:
		return os.ErrDeadlineExceeded
	}
	return nil
}

// Write is net.Conn's: it parks until the kernel has everything. Set to buffered, it queues the rest instead.
func (c *Conn) Write(p []byte) (int, error) {
	switch {
	case c.hold != nil:
		c.hold = append(c.hold, p...)
		return len(p), nil
	case c.shut:
		return 0, io.ErrClosedPipe
	case c.qoff < len(c.queue):
		c.queue = append(c.queue, p...)
		return len(p), nil
	case len(p) == 0:
		return 0, nil
	}
	for o := 0; ; {
		n, err := c.send(p[o:])
		if err != nil {
			return o, err
		}
		if o += n; o == len(p) {
			return o, nil
		}
		if c.buffered {
			c.queue = append(c.queue[:0], p[o:]...)
			c.qoff = 0
			return len(p), nil
		}
		if err := c.waitWrite(); err != nil {
			return o, err
		}
	}
}

// Queued returns the bytes that Write took and the kernel did not yet.
func (c *Conn) Queued() int { return len(c.queue) - c.qoff }

// Drain parks until the queue is out.
func (c *Conn) Drain() error {
	if c.qoff == len(c.queue) {
		c.l.worked()
		return nil
	}
	for {
		n, err := c.send(c.queue[c.qoff:])
		if err != nil {
			return err
		}
		if c.qoff += n; c.qoff >= len(c.queue) {
			c.queue, c.qoff = nil, 0
			return nil
		}
		if err := c.waitWrite(); err != nil {
			return err
		}
	}
}

// Hold gathers what Write gets (the records of one large tls.Conn.Write) until Release.
func (c *Conn) Hold() { c.hold = c.l.Buf()[:0] }

// Release writes what was gathered, with one system call if the kernel has room. It parks until all is out.
func (c *Conn) Release() error {
	h := c.hold
	c.hold = nil
	err := c.Drain()
	if err == nil {
		// No lock of crypto/tls is held here, so the gathered bytes need no copy: park with them.
		b := c.buffered
		c.buffered = false
		_, err = c.Write(h)
		c.buffered = b
	}
	if cap(h) == BufSize {
		c.l.PutBuf(h[:BufSize])
	}
	return err
}

// CloseWrite ends this side: the peer reads its end after what was written.
func (c *Conn) CloseWrite() error {
	if c.closed {
		return ErrClosed
	}
	if c.shut {
		return nil
	}
	c.shut = true
	if c.qoff < len(c.queue) {
		return nil // flushQueue does it
	}
	return c.shutdownWrite()
}

// Close ends the connection. Tasks that wait for it get ErrClosed.
func (c *Conn) Close() error {
	if c.closed {
		return nil
	}
	c.closed = true
	c.idle, c.queue, c.qoff = nil, nil, 0
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

// SetDeadline is net.Conn's. A deadline in the past expires within a tick of the wheel.
func (c *Conn) SetDeadline(t time.Time) error {
	c.SetReadTimeout(until(t))
	c.SetWriteTimeout(until(t))
	return nil
}

// SetReadDeadline is net.Conn's.
func (c *Conn) SetReadDeadline(t time.Time) error { c.SetReadTimeout(until(t)); return nil }

// SetWriteDeadline is net.Conn's.
func (c *Conn) SetWriteDeadline(t time.Time) error { c.SetWriteTimeout(until(t)); return nil }

func until(t time.Time) time.Duration {
	if t.IsZero() {
		return 0
	}
	return max(time.Until(t), time.Millisecond)
}

// unmap turns IPv4 addresses inside IPv6 into what they are.
func unmap(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }
