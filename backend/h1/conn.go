package h1

import (
	"crypto/tls"
	"errors"
	"io"
	"os"
	"time"

	"gatehouse/backend/loop"
)

// Conn is an HTTP/1 connection to a client or to a server, in the clear or over TLS. It belongs to one loop, and it holds
// a buffer only while there is unread input in it.
type Conn struct {
	C *loop.Conn
	T *tls.Conn // nil in the clear

	// Peer is who is at the other end: it decides who is to blame when reading fails.
	Peer Side

	// Patience bounds every wait for input. 0 or less: the deadline that was set on C counts.
	Patience time.Duration

	buf  []byte // nil, or a buffer of the loop
	r, w int    // buf[r:w] is unread

	content Content
}

// Room is how many bytes are left free in front of input, so that a head can be rewritten, or a chunk's size be written, in place.
const Room = loop.Headroom

// readMax bounds one read. Six full TLS records: more brought nothing.
const readMax = 96 << 10

// NewConn returns the HTTP/1 connection over c, which it owns from then on. t is the TLS on top of c, nil for none.
func NewConn(c *loop.Conn, t *tls.Conn, peer Side) *Conn {
	h := &Conn{}
	h.Init(c, t, peer)
	return h
}

// Init is NewConn for a Conn inside another struct.
func (c *Conn) Init(lc *loop.Conn, t *tls.Conn, peer Side) {
	c.C, c.T, c.Peer = lc, t, peer
	c.content.c = c
	lc.SetEager(true)
	if t != nil {
		// crypto/tls holds its locks over the transport's Write: that must never park.
		lc.SetBuffered(true)
	}
}

// Buffered returns how many bytes of input are there and not yet read.
func (c *Conn) Buffered() int { return c.w - c.r }

// Unread returns the input that is there.
func (c *Conn) Unread() []byte { return c.buf[c.r:c.w] }

// Discard drops n bytes of what Unread returned.
func (c *Conn) Discard(n int) {
	c.r += n
	c.release()
}

// release gives the buffer back when there is nothing in it.
func (c *Conn) release() {
	if c.r == c.w && c.buf != nil {
		c.C.Loop().PutBuf(c.buf)
		c.buf, c.r, c.w = nil, 0, 0
	}
}

// tryRead reads what has come, without parking.
func (c *Conn) tryRead(b []byte) (int, error) {
	if c.T == nil {
		return c.C.TryRead(b)
	}
	c.C.SetTry(true)
	n, err := c.T.Read(b)
	c.C.SetTry(false)
	return n, err
}

// Fill reads more input behind what is unread. Without wait it returns loop.ErrWouldBlock where it would park. No buffer is held
// over a park unless there is unread input.
func (c *Conn) Fill(wait bool) error {
	limited := false
	for {
		b := c.buf
		switch {
		case b == nil && c.T == nil:
			if b, c.r, c.w = c.C.TakeAhead(); b != nil {
				c.buf = b
				return nil
			}
			if c.C.Dry() { // no buffer is needed to find that out
				if !wait {
					return loop.ErrWouldBlock
				}
				if err := c.await(&limited); err != nil {
					return err
				}
				continue
			}
			fallthrough
		case b == nil:
			b = c.C.Loop().Buf()
			c.r, c.w = Room, Room
		case c.r == c.w:
			c.r, c.w = Room, Room
		case c.w == len(b) && len(b) < loop.BufSize: // of what was read ahead
			b = c.C.Loop().Buf()
			n := copy(b[Room:], c.buf[c.r:c.w])
			c.C.Loop().PutBuf(c.buf)
			c.r, c.w = Room, Room+n
		case c.w == len(b):
			if c.r <= Room {
				return &Error{Status: 431, Side: c.Peer, Err: errors.New("head larger than the buffer")}
			}
			n := copy(b[Room:], b[c.r:c.w])
			c.r, c.w = Room, Room+n
		}
		n, err := c.tryRead(b[c.w:min(len(b), c.w+readMax)])
		c.buf = b
		if n > 0 {
			c.w += n
			return nil
		}
		c.release()
		if err == nil {
			continue // an empty TLS record
		}
		if err != loop.ErrWouldBlock || !wait {
			return err
		}
		if err := c.await(&limited); err != nil {
			return err
		}
	}
}

// await parks until there may be input, for as long as Patience lets it: limited says that its time runs already, as a TLS record that comes byte by byte
// buys no time.
func (c *Conn) await(limited *bool) error {
	if c.Patience > 0 && !*limited {
		*limited = true
		c.C.SetReadTimeout(c.Patience)
	}
	return c.C.WaitRead()
}

// Write parks until b is with the kernel; then b may be used for something else.
func (c *Conn) Write(b []byte) error {
	if c.T == nil {
		_, err := c.C.Write(b)
		return err
	}
	if len(b) > 16<<10 { // several records: one system call
		c.C.Hold()
		_, err := c.T.Write(b)
		return errors.Join(err, c.C.Release())
	}
	if _, err := c.T.Write(b); err != nil {
		return err
	}
	return c.C.Drain()
}

// WriteLate is Write of something that nobody waits for: if it is small, it leaves at the end of the turn (loop.Conn.SetLate). What goes wrong then,
// the next read tells.
func (c *Conn) WriteLate(b []byte) error {
	const records = 256 // what TLS adds to it
	if !c.C.CanBeLate(len(b) + records) {
		return c.Write(b)
	}
	c.C.SetLate(true)
	var err error
	if c.T == nil {
		_, err = c.C.Write(b)
	} else {
		_, err = c.T.Write(b)
	}
	c.C.SetLate(false)
	if err == nil {
		c.C.Loop().Worked()
	}
	return err
}

// maxRecord is how much one TLS record holds (RFC 8446 5.1).
const maxRecord = 16 << 10

// writeRecord is writeAll of what one record holds. To copy it together costs less than a record for the head alone does: with a head of
// 240 bytes 0.83 µs instead of 1.02 for 4 KB of content, 2.7 instead of 2.9 for 15 KB.
func (c *Conn) writeRecord(head, before, data []byte, after string) error {
	l := c.C.Loop()
	b := l.Buf()
	n := copy(b, head)
	n += copy(b[n:], before)
	n += copy(b[n:], data)
	n += copy(b[n:], after)
	_, err := c.T.Write(b[:n])
	l.PutBuf(b) // what waits for room is the record, not this
	if err != nil {
		return err
	}
	return c.C.Drain()
}

// writeAll is Write of several pieces, with one system call.
func (c *Conn) writeAll(head, before, data []byte, after string) error {
	c.C.Hold()
	var err error
	for _, b := range [...][]byte{head, before, data, []byte(after)} {
		if len(b) == 0 || err != nil {
			continue
		}
		if c.T != nil {
			_, err = c.T.Write(b)
		} else {
			_, err = c.C.Write(b)
		}
	}
	return errors.Join(err, c.C.Release())
}

// CloseWrite tells the peer that nothing more comes, with TLS's close_notify where there is TLS.
func (c *Conn) CloseWrite() error {
	if c.T != nil {
		c.T.CloseWrite()
	}
	return c.C.CloseWrite()
}

// Content returns the content of the message that was read last, as long as the connection is not given to others.
func (c *Conn) Content() *Content { return &c.content }

// Close ends the connection and gives its buffer back, but for a piece that is still in use.
func (c *Conn) Close() {
	if c.content.used > 0 {
		c.content.buf, c.content.used, c.buf = c.buf, 0, nil
	}
	c.r = c.w
	c.release()
	c.C.Close()
}

// ReadRequest reads the head of the next request into r, and makes its Body. io.EOF: the client ended the connection before it sent anything of
// one. A deadline or a broken connection in the middle is an *Error.
func (c *Conn) ReadRequest(r *Request, lim *ParseLimits) error {
	for {
		if c.r < c.w {
			n, err := r.Parse(c.buf[c.r:c.w], lim)
			if err != nil {
				return err
			}
			if n > 0 {
				c.r += n
				r.Bytes = n
				break
			}
		}
		if err := c.Fill(true); err != nil {
			if err == io.EOF && c.r == c.w {
				return io.EOF
			}
			return c.failed(err, "request head")
		}
	}
	if r.Framing == NoContent {
		c.release()
		return nil
	}
	r.Body = c.content.begin(r.Framing, r.Length)
	return nil
}

// ReadResponse reads the head of a response to a request with that method into r and makes its Body. An interim response (1xx) has none; the
// final one is read by another call.
func (c *Conn) ReadResponse(r *Response, method []byte) error {
	for {
		if c.r < c.w {
			n, err := r.Parse(c.buf[c.r:c.w], method, nil)
			if err != nil {
				return err
			}
			if n > 0 {
				c.r += n
				break
			}
		}
		if err := c.Fill(true); err != nil {
			// A server that ends a kept-alive connection before it answers has most likely not read the request.
			e := c.failed(err, "response head")
			e.Reused = c.r == c.w && e.Cause != 's' && !errors.Is(err, loop.ErrClosed)
			return e
		}
	}
	if r.Framing == NoContent {
		if r.Status != 101 {
			c.release()
		}
		return nil
	}
	r.Body = c.content.begin(r.Framing, r.Length)
	return nil
}

// failed says whose fault it was that reading ended.
func (c *Conn) failed(err error, what string) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	e := &Error{Side: c.Peer, Err: &readError{what, err}}
	late := errors.Is(err, os.ErrDeadlineExceeded)
	switch {
	case c.Peer == ByClient && late:
		e.Status, e.Cause = 408, 'c'
	case c.Peer == ByClient:
		e.Status, e.Cause = 400, 'C'
	case late:
		e.Status, e.Cause = 504, 's'
	default:
		e.Status, e.Cause = 502, 'S'
	}
	return e
}

// readError says what was being read. Its text is built when somebody logs it.
type readError struct {
	what string
	err  error
}

func (e *readError) Error() string {
	switch {
	case errors.Is(e.err, io.EOF):
		return e.what + ": connection closed"
	case errors.Is(e.err, io.ErrUnexpectedEOF):
		return e.what + ": connection closed before its end"
	case errors.Is(e.err, os.ErrDeadlineExceeded):
		return e.what + ": nothing came in time"
	}
	return e.what + ": " + e.err.Error()
}

func (e *readError) Unwrap() error { return e.err }
