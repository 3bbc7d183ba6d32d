package loop

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"time"
)

// memory is what a loop without epoll sleeps on, and the connections it serves by goroutines.
type memory struct {
	bell    chan struct{} // nil: this loop has an epoll
	adapted map[*Conn]struct{}
}

func (m *memory) initMem() {
	m.bell = make(chan struct{}, 1)
	m.adapted = map[*Conn]struct{}{}
}

// waitMem sleeps until the bell, or until a timer may be due.
func (m *memory) waitMem(l *Loop, busy bool) {
	switch ms := l.wheel.sleep(l.now); {
	case busy:
		select {
		case <-m.bell:
		default:
		}
	case ms < 0:
		<-m.bell
	default:
		t := time.NewTimer(time.Duration(ms) * time.Millisecond)
		select {
		case <-m.bell:
		case <-t.C:
		}
		t.Stop()
	}
	l.tick()
	l.runPosted()
}

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
	if l.adapted != nil {
		l.adapted[c] = struct{}{}
	}
	go s.readFor(c)
	go s.writeFor(c)
	return c
}

// readFor reads ahead by one buffer. Its goroutine ends with the connection.
func (s *stream) readFor(c *Conn) {
	b := make([]byte, 32<<10)
	for {
		n, err := s.nc.Read(b)
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
			s.werr = err
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

func (s *stream) close(c *Conn) {
	delete(c.l.adapted, c)
	s.nc.SetReadDeadline(time.Unix(1, 0)) // ends the reader at once; the writer may finish
	s.nc.SetWriteDeadline(time.Now().Add(lingering))
	close(s.more)
	close(s.out)
}

func (m *memory) closeAdapted() {
	for c := range m.adapted {
		c.Close()
	}
}

// dialNet is Dial by the standard library.
func (l *Loop) dialNet(d Dial) (*Conn, error) {
	var nc net.Conn
	var err error
	l.Block(func() {
		nd := net.Dialer{Timeout: max(0, d.Timeout)}
		nd.SetMultipathTCP(false)
		if d.From.IsValid() {
			nd.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(d.From, 0))
		}
		if d.To.Path != "" {
			nc, err = nd.Dial("unix", d.To.Path)
		} else {
			nc, err = nd.Dial("tcp", d.To.AddrPort.String())
		}
	})
	if err != nil {
		if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
			err = os.ErrDeadlineExceeded
		} else if oe, ok := errors.AsType[*net.OpError](err); ok {
			err = oe.Err
		}
		return nil, err
	}
	return l.Adopt(socketOf(nc))
}

// listenNet is Listen by the standard library.
func (l *Loop) listenNet(a Addr, accept func(Socket)) (*Listener, error) {
	var nl net.Listener
	var err error
	switch {
	case a.FD != "":
		return nil, errors.New("inherited descriptors need Linux")
	case a.Path != "":
		nl, err = net.Listen("unix", a.Path)
	default:
		nl, err = net.Listen("tcp", net.JoinHostPort(a.ip(), a.port()))
	}
	if err != nil {
		return nil, err
	}
	n := &Listener{l: l, addr: a, accept: accept, nl: nl}
	if ta, ok := nl.Addr().(*net.TCPAddr); ok {
		n.addr.AddrPort = ta.AddrPort()
	}
	go func() {
		for {
			nc, err := nl.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				l.Post(func() { n.failed(err) })
				time.Sleep(backOff)
				continue
			}
			l.Post(func() { n.arrived(socketOf(nc)) })
		}
	}()
	return n, nil
}

func socketOf(nc net.Conn) Socket {
	s := Socket{nc: nc}
	if a, ok := nc.RemoteAddr().(*net.TCPAddr); ok {
		s.Remote = unmap(a.AddrPort())
	}
	if a, ok := nc.LocalAddr().(*net.TCPAddr); ok {
		s.Local = unmap(a.AddrPort())
	}
	return s
}
