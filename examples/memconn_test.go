package examples

import (
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
)

// memConn is one end of a connection in memory.
type memConn struct {
	local, remote netip.AddrPort
	in, out       *half
}

// half is one direction of a connection.
type half struct {
	mu    sync.Mutex
	more  *sync.Cond
	buf   []byte
	err   error // after buf: io.EOF, or a reset
	late  bool  // the reader's deadline passed
	timer *time.Timer
	gone  bool // the reader went away: writing is an error
	lost  bool // what is written vanishes
}

// connPair returns the two ends of a connection: of who dialled and of who accepted.
func connPair(from, to netip.AddrPort) (client, server *memConn) {
	a, b := new(half), new(half)
	a.more, b.more = sync.NewCond(&a.mu), sync.NewCond(&b.mu)
	return &memConn{local: from, remote: to, in: a, out: b}, &memConn{local: to, remote: from, in: b, out: a}
}

// Read implements net.Conn.
func (c *memConn) Read(p []byte) (int, error) {
	h := c.in
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		switch {
		case h.gone:
			return 0, net.ErrClosed
		case h.late:
			return 0, os.ErrDeadlineExceeded
		case len(h.buf) > 0:
			n := copy(p, h.buf)
			h.buf = h.buf[n:]
			return n, nil
		case h.err != nil:
			return 0, h.err
		}
		h.more.Wait()
	}
}

// Write implements net.Conn. It never blocks.
func (c *memConn) Write(p []byte) (int, error) {
	h := c.out
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.lost:
		return len(p), nil
	case h.gone:
		return 0, os.NewSyscallError("write", syscall.EPIPE)
	case h.err != nil:
		return 0, os.NewSyscallError("write", syscall.EPIPE)
	}
	h.buf = append(h.buf, p...)
	h.more.Broadcast()
	return len(p), nil
}

// CloseWrite ends what this end says; the other end may go on.
func (c *memConn) CloseWrite() error {
	c.out.end(io.EOF)
	return nil
}

// Close implements net.Conn.
func (c *memConn) Close() error {
	c.out.end(io.EOF)
	c.in.leave()
	return nil
}

// Reset breaks the connection off: the other end reads and writes errors from now on, and what it did not read is lost.
func (c *memConn) Reset() {
	h := c.out
	h.mu.Lock()
	h.buf, h.lost = nil, false
	h.mu.Unlock()
	h.end(os.NewSyscallError("read", syscall.ECONNRESET))
	c.in.leave()
}

// Vanish cuts the wire: from now on neither end hears anything of the other, until Reset.
func (c *memConn) Vanish() {
	for _, h := range []*half{c.in, c.out} {
		h.mu.Lock()
		h.lost = true
		h.mu.Unlock()
	}
}

// Break ends both directions with an error.
func (c *memConn) Break() {
	for _, h := range []*half{c.in, c.out} {
		h.mu.Lock()
		h.buf, h.lost = nil, false
		h.mu.Unlock()
		h.end(os.NewSyscallError("read", syscall.ECONNRESET))
	}
}

// vanished reports whether Vanish was called.
func (c *memConn) vanished() bool {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	return c.out.lost
}

// end says that nothing will follow but err.
func (h *half) end(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.err == nil && !h.lost {
		h.err = err
	}
	h.more.Broadcast()
}

// leave says that the reader went away.
func (h *half) leave() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.gone, h.buf = true, nil
	if h.timer != nil {
		h.timer.Stop()
	}
	h.more.Broadcast()
}

// LocalAddr implements net.Conn.
func (c *memConn) LocalAddr() net.Addr { return net.TCPAddrFromAddrPort(c.local) }

// RemoteAddr implements net.Conn.
func (c *memConn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.remote) }

// SetDeadline implements net.Conn.
func (c *memConn) SetDeadline(t time.Time) error { return c.SetReadDeadline(t) }

// SetWriteDeadline implements net.Conn: writing never blocks.
func (c *memConn) SetWriteDeadline(time.Time) error { return nil }

// SetReadDeadline implements net.Conn.
func (c *memConn) SetReadDeadline(t time.Time) error {
	h := c.in
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.timer != nil {
		h.timer.Stop()
		h.timer = nil
	}
	h.late = !t.IsZero() && !t.After(time.Now())
	if !t.IsZero() && !h.late {
		var own *time.Timer
		own = time.AfterFunc(time.Until(t), func() {
			h.mu.Lock()
			defer h.mu.Unlock()
			if h.timer == own { // no later deadline took its place
				h.late = true
				h.more.Broadcast()
			}
		})
		h.timer = own
	}
	h.more.Broadcast()
	return nil
}
