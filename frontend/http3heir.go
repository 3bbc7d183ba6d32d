package frontend

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"syscall"

	"gatehouse/backend/loop"
)

// Packets are what another process has handed over for HTTP/3 on an address, as descriptors, which are the Listener's from then on.
type Packets struct {
	Socket int // the UDP socket; 0: there is none
	// Elders lead to the processes that served there before and have connections still, by their names. Theirs are the packets that the
	// socket brings for those.
	Elders map[string]int
	// Wait leaves the socket to the process before until Receive.
	Wait bool
}

// PacketLoan is what another process needs to go on with HTTP/3 on an address. Close it.
type PacketLoan struct {
	Socket *os.File
	Elders map[string]*os.File // this process among them

	s    *quicSide
	ours *net.UnixConn // nil: yielded
}

// LendPackets returns what another process needs to take the address over for HTTP/3 too, nil when that is not spoken here and nobody is left of
// a time when it was.
func (n *Listener) LendPackets() (*PacketLoan, error) {
	if s := n.quic.Load(); s != nil {
		return s.lend()
	}
	s := n.draining()
	if s == nil {
		return nil, nil
	}
	p, err := s.lend()
	if err != nil && s.sock.isClosed() {
		return nil, nil // the last connection has just ended
	}
	return p, err
}

// draining returns the side that was switched off last, if it has connections still; nil: there is none. It knows those before it.
func (n *Listener) draining() *quicSide {
	n.former = slices.DeleteFunc(n.former, func(s *quicSide) bool { return s.sock.isClosed() })
	if len(n.former) == 0 {
		return nil
	}
	return n.former[len(n.former)-1]
}

// lend returns what whoever takes the socket over needs.
func (s *quicSide) lend() (*PacketLoan, error) {
	p := &PacketLoan{Elders: map[string]*os.File{}, s: s}
	err := p.fill()
	if err != nil {
		p.Close()
		return nil, fmt.Errorf("udp: %w", err)
	}
	return p, nil
}

func (p *PacketLoan) fill() (err error) {
	sock := p.s.sock
	if p.Socket, err = fileOf(sock.UDPConn, "udp"); err != nil {
		return err
	}
	if list := sock.elders.Load(); list != nil {
		for _, e := range *list {
			f, err := fileOf(e.to, "packets")
			if err != nil {
				return err
			}
			p.Elders[e.tag.String()] = f
		}
	}
	theirs, ours, err := relayPair()
	if err != nil {
		return err
	}
	p.Elders[sock.tag.String()], p.ours = theirs, ours
	return nil
}

// Yield leaves the socket to the other process. Nobody reads it here any more when it returns; what comes for connections of this process
// comes from the other one.
func (p *PacketLoan) Yield() {
	p.s.sock.yield(p.ours)
	p.ours = nil
}

// Close gives back what is lent, but for what was yielded.
func (p *PacketLoan) Close() {
	if p.Socket != nil {
		p.Socket.Close()
	}
	for _, f := range p.Elders {
		f.Close()
	}
	if p.ours != nil {
		p.ours.Close()
	}
}

// fileOf returns a further descriptor of a socket. It is not what File returns: there Fd makes the socket a blocking one, for all who have it.
// Whoever reads it then is not to be woken by a deadline any more.
func fileOf(c syscall.Conn, name string) (*os.File, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	fd, fault := -1, error(nil)
	if err := raw.Control(func(s uintptr) {
		syscall.ForkLock.RLock()
		if fd, fault = syscall.Dup(int(s)); fault == nil {
			syscall.CloseOnExec(fd)
		}
		syscall.ForkLock.RUnlock()
	}); err != nil {
		return nil, err
	}
	if fault != nil {
		return nil, os.NewSyscallError("dup", fault)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// socket returns the socket that is lent, for this process itself.
func (p *PacketLoan) socket() (*quicSocket, error) {
	c, err := net.FilePacketConn(p.Socket)
	if err != nil {
		return nil, err
	}
	udp, ok := c.(*net.UDPConn)
	if !ok {
		c.Close()
		return nil, errNoUDP
	}
	s := newQUICSocket(udp)
	var list []*elder
	for name, f := range p.Elders {
		e, err := elderOf(name, f)
		if err != nil {
			for _, e := range list {
				e.to.Close()
			}
			udp.Close()
			return nil, err
		}
		list = append(list, e)
	}
	s.adopt(list)
	return s, nil
}

var errNoUDP = errors.New("not a socket of udp")

// openQUIC opens the UDP side of the address, without serving it yet. Where connections are left of one that was switched off, it is the same
// socket: the kernel would bring their packets to the one that was opened last.
func (n *Listener) openQUIC(c *ListenConfig) (*quicSocket, error) {
	if s := n.draining(); s != nil && c.Packets.Socket == 0 {
		loan, err := s.lend()
		if err == nil {
			var sock *quicSocket
			if sock, err = loan.socket(); err == nil {
				n.loan = loan
				return sock, nil
			}
			loan.Close()
		}
		if !s.sock.isClosed() {
			return nil, err
		}
	}
	elders, err := n.eldersOf(&c.Packets)
	if err != nil {
		return nil, err
	}
	at := c.Address.WithPort(n.addr.Port())
	at.Free, at.Handed = c.Freebind, c.Packets.Socket
	udp, err := loop.ListenUDP(at)
	if err != nil {
		for _, e := range elders {
			e.to.Close()
		}
		return nil, err
	}
	s := newQUICSocket(udp)
	s.adopt(elders)
	return s, nil
}

// PacketBuffers returns how many bytes of datagrams the kernel keeps for HTTP/3 on the address, in each direction; 0 where that is not spoken.
func (n *Listener) PacketBuffers() (in, out int) {
	switch s := n.quic.Load(); {
	case n.ready != nil:
		return loop.UDPBuffers(n.ready.UDPConn)
	case s != nil:
		return loop.UDPBuffers(s.sock.UDPConn)
	}
	return 0, 0
}

// eldersOf makes use of the descriptors that lead to processes before.
func (n *Listener) eldersOf(p *Packets) (list []*elder, err error) {
	for name, fd := range p.Elders {
		e, fault := newElder(name, fd)
		if fault != nil {
			err = fmt.Errorf("process %.20q: %w", name, fault)
			continue
		}
		list = append(list, e)
	}
	if err != nil {
		for _, e := range list {
			e.to.Close()
		}
		return nil, err
	}
	return list, nil
}

// Receive serves HTTP/3 where that was left to another process until now (Packets.Wait).
func (n *Listener) Receive() {
	c := *n.view.Load()
	c.Packets.Wait = false
	n.serveHTTP3(&c)
}
