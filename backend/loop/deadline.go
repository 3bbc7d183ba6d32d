package loop

import "time"

// Deadlines bound the waiting, not the call: what is there is read, and what the kernel has room for is written, however late. They are
// counted from the loop's coarse clock, are never early by it, and late by a tick of the wheel at most.

// SetReadTimeout bounds the waiting for input from now on; 0 or less: no limit. It costs a store, mostly.
func (c *Conn) SetReadTimeout(d time.Duration) {
	c.readLate, c.readEnd = false, 0
	if d > 0 {
		c.readEnd = c.l.now + millis(d)
		c.arm()
	}
}

// SetWriteTimeout bounds the waiting for room from now on; 0 or less: no limit.
func (c *Conn) SetWriteTimeout(d time.Duration) {
	c.writeLate, c.writeEnd = false, 0
	if d > 0 {
		c.writeEnd = c.l.now + millis(d)
		c.arm()
	}
}

// SetDeadline is net.Conn's. A deadline in the past expires within a tick of the wheel.
func (c *Conn) SetDeadline(t time.Time) error {
	c.SetReadTimeout(until(t))
	c.SetWriteTimeout(until(t))
	return nil
}

// SetReadDeadline is net.Conn's.
func (c *Conn) SetReadDeadline(t time.Time) error { c.SetReadTimeout(until(t)); return nil }

// SetWriteDeadline is net.Conn's. A tls.Conn's CloseWrite leaves it in the past: whoever drains afterwards sets a new timeout.
func (c *Conn) SetWriteDeadline(t time.Time) error { c.SetWriteTimeout(until(t)); return nil }

// arm sets the timer to the earlier of the deadlines that have not come.
func (c *Conn) arm() {
	at := int64(0)
	if c.readEnd != 0 && !c.readLate {
		at = c.readEnd
	}
	if c.writeEnd != 0 && !c.writeLate && (at == 0 || c.writeEnd < at) {
		at = c.writeEnd
	}
	if at != 0 && !c.closed {
		c.l.wheel.arm(&c.timer, at)
	}
}

// expire: a deadline may have come. The loop itself calls.
func (c *Conn) expire(l *Loop) {
	if c.writeEnd != 0 && !c.writeLate && c.writeEnd <= l.now {
		c.writeLate = true
		if w := c.writer; w != nil {
			c.writer = nil
			l.resume(w)
		}
	}
	if !c.closed && c.readEnd != 0 && !c.readLate && c.readEnd <= l.now {
		if c.idle != nil && c.writer == nil && c.Queued() > 0 && c.writeEnd > l.now {
			// The peer is idle because it has not got everything yet: what was left to the loop to write has its own time.
			c.readEnd = c.writeEnd
		} else {
			c.readLate = true
			c.wakeReader()
		}
	}
	c.arm()
}

// millis returns d in milliseconds, rounded up: nothing expires early.
func millis(d time.Duration) int64 {
	ms := d.Milliseconds()
	if d%time.Millisecond != 0 {
		ms++
	}
	return ms
}

// until returns the timeout that is left for a deadline.
func until(t time.Time) time.Duration {
	if t.IsZero() {
		return 0
	}
	return max(time.Until(t), time.Millisecond)
}
