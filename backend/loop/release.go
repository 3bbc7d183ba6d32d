package loop

import "io"

// ReleaseNow is Release for a connection that is set to buffered, and for callers that must not park: what the kernel has no room for
// stays queued, as with Write, and the loop writes it later.
func (c *Conn) ReleaseNow() error {
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
		return nil
	case len(h) == 0:
		c.l.putLent(h)
		return nil
	}
	c.queue = h
	n, err := c.send(h)
	if err == nil {
		err = c.sent(n)
	}
	return err
}
