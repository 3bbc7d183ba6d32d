package loop

import "os"

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
		r := c.l.self()
		c.reader = r
		r.park()
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

// Dry reports whether a read would have to wait: everything that has come was read.
func (c *Conn) Dry() bool { return !c.readable && !c.readLate && !c.closed }

// Recheck makes the next read ask the kernel even if the loop has heard of no news: events of this turn are not yet known to it. For
// those to whom a system call is worth knowing that there is nothing.
func (c *Conn) Recheck() {
	if c.s == nil && !c.closed {
		c.readable = true
	}
}

// SetTry makes Read return ErrWouldBlock instead of parking.
func (c *Conn) SetTry(on bool) { c.try = on }
