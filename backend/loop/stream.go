package loop

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"time"
)

// stream is the inside of a Conn that is not a socket of an epoll: any net.Conn, with a goroutine for each direction.
type stream struct {
	nc   net.Conn
	in   []byte // read and not yet taken
	err  error  // what ended reading, after in
	more chan struct{}
	out  chan []byte // at most one piece and, as nil, the end of writing: sending to it never waits
	werr error
}

// lingering is how long a closed connection may take to write what it was given.
const lingering = 5 * time.Second

// Adapt makes a connection of the loop of any net.Conn, with a goroutine for each direction. It owns nc from then on.
func (l *Loop) Adapt(nc net.Conn, local, remote netip.AddrPort) *Conn {
	s := &stream{nc: nc, more: make(chan struct{}, 1), out: make(chan []byte, 2)}
	c := &Conn{l: l, fd: -1, writable: true, s: s, local: local, remote: remote}
	c.timer.owner = c
	if l.adapted == nil {
		l.adapted = map[*Conn]struct{}{}
	}
	l.adapted[c] = struct{}{}
	go s.readFor(c)
	go s.writeFor(c)
	return c
}

// readFor reads ahead by one buffer. Its goroutine ends with the connection.
func (s *stream) readFor(c *Conn) {
	b := make([]byte, 32<<10)
	for {
		n, err := s.nc.Read(b)
		if n == 0 && err == nil { // io.Reader discourages it, net.Pipe does it
			continue
		}
		c.l.Post(func() {
			s.in, s.err = b[:n], err
			if !c.closed {
				c.hup = c.hup || err != nil
				c.broken = c.broken || err != nil && !errors.Is(err, io.EOF)
				c.readable = true
				c.wakeReader()
			}
		})
		if err != nil {
			return
		}
		if _, ok := <-s.more; !ok {
			return
		}
	}
}

// writeFor writes one piece at a time. Its goroutine closes the connection when all is written.
func (s *stream) writeFor(c *Conn) {
	defer s.nc.Close()
	for b := range s.out {
		var err error
		if b == nil {
			if cw, ok := s.nc.(interface{ CloseWrite() error }); ok {
				err = cw.CloseWrite()
			}
		} else {
			_, err = s.nc.Write(b)
		}
		c.l.Post(func() {
			if s.werr == nil && err != nil {
				s.werr = err
				c.broken = true
			}
			if !c.closed && b != nil {
				c.writable = true
				c.wakeWriter()
			}
		})
	}
}

func (s *stream) read(c *Conn, p []byte) (int, error) {
	switch {
	case len(s.in) > 0:
		n := copy(p, s.in)
		if s.in = s.in[n:]; len(s.in) == 0 && s.err == nil {
			c.readable = false
			s.more <- struct{}{}
		}
		return n, nil
	case s.err != nil:
		if errors.Is(s.err, io.ErrClosedPipe) || errors.Is(s.err, net.ErrClosed) {
			return 0, io.EOF
		}
		return 0, s.err
	case c.readLate:
		return 0, os.ErrDeadlineExceeded
	}
	c.readable = false
	return 0, ErrWouldBlock
}

func (s *stream) send(c *Conn, p []byte) (int, error) {
	if s.werr != nil {
		return 0, s.werr
	}
	if !c.writable {
		return 0, nil
	}
	c.writable = false
	s.out <- append([]byte{}, p...)
	return len(p), nil
}

func (s *stream) resetOnClose() {
	if t, ok := s.nc.(interface{ SetLinger(sec int) error }); ok {
		t.SetLinger(0)
	}
}

func (s *stream) close(c *Conn) {
	delete(c.l.adapted, c)
	s.nc.SetReadDeadline(time.Unix(1, 0)) // ends the reader at once; the writer may finish
	s.nc.SetWriteDeadline(time.Now().Add(lingering))
	close(s.more)
	close(s.out)
}
