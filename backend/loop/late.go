package loop

// lateMost is the largest message that waits for the end of the turn: copying it must cost less than it saves.
const lateMost = pageSize

// SetLate makes Write leave small messages to the end of the turn (see Headroom's file for why), as long as everything before them is out: nobody
// parks for them then. Whoever reads from the connection finds out when they could not be written. It is set for the time of one Write, behind which
// Worked is called by whoever may write many.
func (c *Conn) SetLate(on bool) { c.late = on }

// CanBeLate reports whether a message of n bytes would be left to the end of the turn.
func (c *Conn) CanBeLate(n int) bool {
	if c.isLate {
		return len(c.queue)+n <= lateMost && !c.shut
	}
	return n <= lateMost && c.writable && c.s == nil && c.queue == nil && c.hold == nil && !c.closed && !c.shut && !c.broken
}

// writeLater leaves a message for which CanBeLate to the end of the turn.
func (c *Conn) writeLater(p []byte) {
	if !c.isLate {
		c.isLate = true
		c.queue = c.l.page()[:0]
		c.l.lates = append(c.l.lates, c)
	}
	c.queue = append(c.queue, p...)
}

// Abandon is Close for a connection whose peer must not get what was left to the end of the turn: it has not left, and never does.
func (c *Conn) Abandon() {
	if c.isLate {
		c.isLate = false
		c.dropQueue()
	}
	c.Close()
}

// sendLate writes what was left to the end of the turn, as far as the kernel has room.
func (c *Conn) sendLate() error {
	c.isLate = false
	n, err := c.send(c.queue[c.qoff:])
	if err == nil {
		err = c.sent(n)
	}
	return err
}

// WriteLate writes what was left to the end of this turn. Who is going to keep the loop for longer than usual calls it first.
func (l *Loop) WriteLate() {
	for i, c := range l.lates {
		l.lates[i] = nil
		if !c.isLate || c.sendLate() == nil {
			continue
		}
		c.hup, c.readable = true, true // the reader is the one who can be told
		if r := c.reader; r != nil {
			c.reader = nil
			l.wake(r)
		} else if t := c.idle; t != nil {
			c.idle = nil
			l.starts = append(l.starts, t)
		}
	}
	l.lates = l.lates[:0]
}
