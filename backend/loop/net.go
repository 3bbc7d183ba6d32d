package loop

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"time"
)

// dialNet is Dial by the standard library.
func (l *Loop) dialNet(d Dial) (*Conn, error) {
	if err := d.To.literal(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel() // the loop may end meanwhile
	var nc net.Conn
	var err error
	l.block(func() {
		nd := net.Dialer{Timeout: max(0, d.Timeout)}
		nd.SetMultipathTCP(false)
		if d.From.IsValid() {
			nd.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(d.From, 0))
		}
		if d.To.Path != "" {
			nc, err = nd.DialContext(ctx, "unix", d.To.Path)
		} else {
			nc, err = nd.DialContext(ctx, "tcp", d.To.AddrPort.String())
		}
	}, func() {
		if nc != nil {
			nc.Close()
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
	case a.Handed > 0:
		f := os.NewFile(uintptr(a.Handed), a.String())
		nl, err = net.FileListener(f)
		f.Close()
	case a.Free:
		return nil, errors.New("addresses this machine does not have yet need Linux")
	case a.FD != "":
		return nil, errors.New("inherited descriptors need Linux")
	case a.Host != "":
		return nil, errName
	case a.Path != "":
		if err = removeStale(a.Path); err == nil {
			nl, err = net.Listen("unix", a.Path)
		}
	default:
		var lc net.ListenConfig
		lc.SetMultipathTCP(false)
		nl, err = lc.Listen(context.Background(), "tcp", net.JoinHostPort(a.ip(), a.port()))
	}
	if err != nil {
		return nil, err
	}
	a.Handed = 0
	n := &Listener{l: l, addr: a, accept: accept, nl: nl}
	if ta, ok := nl.Addr().(*net.TCPAddr); ok {
		n.addr = n.addr.WithPort(uint16(ta.Port))
	}
	if !l.post(func() { l.listeners[n] = struct{}{} }) {
		nl.Close()
		return nil, ErrClosed
	}
	go n.acceptFrom(nl)
	return n, nil
}

// acceptFrom serves a listener of the standard library. Its goroutine ends with the listener.
func (n *Listener) acceptFrom(nl net.Listener) {
	for {
		nc, err := nl.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			n.l.Post(func() { n.failed(err) })
			time.Sleep(backOff)
		default:
			if s := socketOf(nc); !n.l.post(func() { n.arrived(s) }) {
				s.Close()
			}
		}
	}
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
