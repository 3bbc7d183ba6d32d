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
		c, err := handedUDP(a)
		if err == nil {
			growUDP(c)
		}
		return c, err
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
	u := pc.(*net.UDPConn)
	growUDP(u)
	return u, nil
}

// UDPBuffer is how many bytes of datagrams the kernel shall keep in each direction: all clients share the one socket, and what comes while the
// process does something else must find room.
const UDPBuffer = 7 << 20

// growUDP asks for buffers of that size: insistently at first, which takes the rights that the process may still have.
func growUDP(c *net.UDPConn) {
	if raw, err := c.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) { forceUDP(int(fd)) })
	}
	if in, out := UDPBuffers(c); in < UDPBuffer || out < UDPBuffer {
		c.SetReadBuffer(UDPBuffer)
		c.SetWriteBuffer(UDPBuffer)
	}
}

// UDPBuffers returns how much the kernel keeps for a socket: of what comes in, and of what goes out. 0: it does not say.
func UDPBuffers(c *net.UDPConn) (in, out int) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, 0
	}
	raw.Control(func(fd uintptr) {
		in, _ = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF)
		out, _ = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_SNDBUF)
	})
	return in, out
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
