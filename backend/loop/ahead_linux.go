package loop

import (
	"os"
	"syscall"
)

// wasRead marks events whose input was read ahead. The kernel knows nothing of it.
const wasRead = 1 << 27

// lookAhead reads what has come, with one system call if it fits into a page. The end of the input is left to be found again.
func (c *Conn) lookAhead() {
	l, a := c.l, &c.ahead
	b := l.page()
	n, e := receive(c.fd, b[Headroom:])
	if e != 0 || n == 0 {
		l.PutBuf(b)
		if e != 0 && e != syscall.EAGAIN && e != syscall.EINTR {
			c.isAhead = true
			c.failedRead(e)
		}
		return
	}
	more := n == len(b)-Headroom
	if more { // all in one piece, as it would be without reading ahead; and not again while that goes on
		c.bulk = true
		big := l.Buf()
		copy(big[Headroom:], b[Headroom:])
		l.PutBuf(b)
		b = big
		m, e := receive(c.fd, b[Headroom+n:Headroom+aheadMost])
		switch {
		case e == syscall.EAGAIN:
			more = false
		case e != 0 && e != syscall.EINTR:
			c.failedRead(e)
		case m > 0:
			more = n+m == aheadMost
			n += m
		}
	}
	c.isAhead = true
	a.buf, a.r, a.w, a.more = b, Headroom, Headroom+n, more
}

// failedRead keeps an error for the next read.
func (c *Conn) failedRead(e syscall.Errno) {
	c.hup, c.broken = true, true
	c.ahead.err = os.NewSyscallError("read", e)
}
