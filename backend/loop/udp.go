package loop

import (
	"context"
	"errors"
	"net"
	"os"
	"strconv"
	"syscall"
)

// ListenUDP opens an address for datagrams, as Listen does for connections: without an IP for both IPv6 and IPv4. No loop has anything to
// do with the socket, which is the caller's.
//
// Another socket of a program that asks for it in the same way may have the very address: the one opened last gets what comes. So whoever
// still answers by an older one does not keep the address from its successor. A socket that somebody else has opened (Addr.Handed) is the
// caller's in any case, and closed when it is of no use.
func ListenUDP(a Addr) (*net.UDPConn, error) {
	if a.Handed > 0 {
		return handedUDP(a)
	}
	if a.Path != "" || a.FD != "" || a.Host != "" {
		return nil, errors.New("datagrams need an IP address")
	}
	network, ip := "udp", ""
	if a.Addr().IsValid() {
		network, ip = "udp6", a.Addr().String()
		if a.Addr().Is4() {
			network = "udp4"
		}
	}
	c := net.ListenConfig{Control: func(network, _ string, rc syscall.RawConn) error {
		var err error
		if e := rc.Control(func(fd uintptr) { err = prepareUDP(int(fd), network, a.Free) }); e != nil {
			return e
		}
		return err
	}}
	pc, err := c.ListenPacket(context.Background(), network, net.JoinHostPort(ip, strconv.Itoa(int(a.Port()))))
	if err != nil {
		if oe, ok := errors.AsType[*net.OpError](err); ok {
			err = oe.Err // the caller knows the address
		}
		return nil, err
	}
	return pc.(*net.UDPConn), nil
}

// handedUDP makes use of a socket that somebody else has opened.
func handedUDP(a Addr) (*net.UDPConn, error) {
	f := os.NewFile(uintptr(a.Handed), a.String())
	defer f.Close()
	pc, err := net.FilePacketConn(f)
	if err != nil {
		return nil, err
	}
	c, ok := pc.(*net.UDPConn)
	if !ok {
		pc.Close()
		return nil, errors.New("a descriptor that is none of a UDP socket")
	}
	return c, nil
}
