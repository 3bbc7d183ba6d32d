package loop

import (
	"io"
	"os"
)

// SetBuffered makes Write take everything at once; Drain then parks until it is out.
func (c *Conn) SetBuffered(on bool) { c.buffered = on }

// Write is net.Conn's: it parks until the kernel has everything. Set to buffered, it never parks and queues the rest instead; what
// then goes wrong with the rest, Drain tells.
func (c *Conn) Write(p []byte) (int, error) {
	switch {
	case c.hold != nil:
		c.hold = append(c.hold, p...)
		return len(p), nil
	case c.late && len(p) > 0 && c.CanBeLate(len(p)):
		c.writeLater(p)
		return len(p), nil
	case c.isLate:
		if err := c.sendLate(); err != nil {
			return 0, err
		}
	}
	switch {
	case c.closed:
		return 0, ErrClosed
	case c.shut:
		return 0, io.ErrClosedPipe
	case len(p) == 0:
		return 0, nil
	case c.Queued() > 0 && c.buffered:
		c.enqueue(p)
		return len(p), nil
	case c.Queued() > 0:
		if err := c.Drain(); err != nil {
			return 0, err
		}
	}
	for o := 0; ; {
		n, err := c.send(p[o:])
		if err != nil {
			return o, err
		}
		if o += n; o == len(p) {
			if !c.buffered {
				c.l.worked()
			}
			return o, nil
		}
		if c.buffered {
			c.enqueue(p[o:])
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
	c.isLate = false
	for c.Queued() > 0 {
		n, err := c.send(c.queue[c.qoff:])
		if err == nil {
			err = c.sent(n)
		}
		if err == nil && c.Queued() > 0 {
			err = c.waitWrite()
		}
		if err != nil {
			return err
		}
	}
	if c.closed {
		return ErrClosed
	}
	c.l.worked()
	return nil
}

// Hold gathers what Write gets (the records of one large tls.Conn.Write) until Release.
func (c *Conn) Hold() { c.hold = c.l.Buf()[:0] }

// Release writes what was gathered, with one system call if the kernel has room. It parks until all is out.
func (c *Conn) Release() error {
	h := c.hold
	c.hold = nil
	if c.isLate {
		if err := c.sendLate(); err != nil {
			c.l.putLent(h)
			return err
		}
	}
	switch {
	case c.closed:
		c.l.putLent(h)
		return ErrClosed
	case c.shut:
		c.l.putLent(h)
		return io.ErrClosedPipe
	case c.Queued() > 0:
		c.enqueue(h)
		c.l.putLent(h)
	case len(h) > 0:
		// The gathered bytes become the queue, uncopied. What the reader's task writes meanwhile (a tls.Conn answers
		// its peer's KeyUpdate) stays behind them so.
		c.queue = h
	default:
		c.l.putLent(h)
	}
	return c.Drain()
}

// CloseWrite ends this side: the peer reads its end after what was written. Over a net.Conn that has no CloseWrite
// the peer reads its end after Close only.
func (c *Conn) CloseWrite() error {
	if c.closed {
		return ErrClosed
	}
	if c.shut {
		return nil
	}
	c.shut = true
	if c.Queued() > 0 {
		return nil // sent does it
	}
	return c.shutdownWrite()
}

func (c *Conn) enqueue(p []byte) {
	if c.qoff > len(c.queue)/2 { // a queue that is never quite empty must not grow for ever
		c.queue = append(c.queue[:0], c.queue[c.qoff:]...)
		c.qoff = 0
	}
	c.queue = append(c.queue, p...)
}

// sent notes that the kernel has taken n bytes of the queue.
func (c *Conn) sent(n int) error {
	if c.qoff += n; c.Queued() > 0 {
		return nil
	}
	c.dropQueue()
	if c.shut {
		return c.shutdownWrite()
	}
	return nil
}

func (c *Conn) dropQueue() {
	c.l.putLent(c.queue)
	c.queue, c.qoff = nil, 0
}

// flushQueue writes what the kernel now has room for. The loop itself calls, when no task waits to do it.
func (c *Conn) flushQueue() {
	n, err := c.send(c.queue[c.qoff:])
	if err == nil {
		err = c.sent(n)
	}
	if err != nil { // the reader is the one who can be told
		c.hup, c.readable = true, true
		c.wakeReader()
	}
}

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
	w := c.l.self()
	c.writer = w
	w.park()
	switch {
	case c.closed:
		return ErrClosed
	case c.writeLate && !c.writable:
		return os.ErrDeadlineExceeded
	}
	return nil
}
