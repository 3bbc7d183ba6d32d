package loop

import (
	"os"
	"syscall"
)

// Adopt makes the loop the owner of a connection. When it fails, the connection is closed.
func (l *Loop) Adopt(s Socket) (*Conn, error) {
	l.check()
	if s.nc != nil {
		return l.Adapt(s.nc, s.Local, s.Remote), nil
	}
	c, err := l.add(s.fd)
	if err != nil {
		return nil, err
	}
	c.remote, c.local = s.Remote, s.Local
	return c, nil
}

// Close closes a connection nobody adopted.
func (s Socket) Close() {
	if s.nc != nil {
		s.nc.Close()
	} else {
		syscall.Close(s.fd)
	}
}

const ipBindAddressNoPort = 24 // IP_BIND_ADDRESS_NO_PORT: the port is chosen when the destination is known

// Dial connects and parks meanwhile. Errors are those of the kernel, or os.ErrDeadlineExceeded.
func (l *Loop) Dial(d Dial) (*Conn, error) {
	if l.bell != nil {
		return l.dialNet(d)
	}
	if err := d.To.literal(); err != nil {
		return nil, err
	}
	sa, family := sockaddr(d.To)
	fd, err := syscall.Socket(family, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	if family != syscall.AF_UNIX {
		syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
	}
	if d.From.IsValid() {
		syscall.SetsockoptInt(fd, syscall.SOL_IP, ipBindAddressNoPort, 1)
		from, _ := sockaddr(Addr{}.withIP(d.From))
		if err := syscall.Bind(fd, from); err != nil {
			syscall.Close(fd)
			return nil, os.NewSyscallError("bind "+d.From.String(), err)
		}
	}
	cerr := syscall.Connect(fd, sa)
	if cerr != nil && cerr != syscall.EINPROGRESS {
		syscall.Close(fd)
		return nil, os.NewSyscallError("connect", cerr)
	}
	c, err := l.add(fd)
	if err != nil {
		return nil, err
	}
	c.remote = d.To.AddrPort
	// A new connection has nothing to read: the first edge will say so when it has.
	c.readable = false
	if cerr == nil {
		return c, nil
	}
	c.writable = false
	if d.Making != nil {
		*d.Making = c
		defer func() { *d.Making = nil }()
	}
	c.SetWriteTimeout(d.Timeout)
	if err = c.waitWrite(); err == nil {
		so, e := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_ERROR)
		if e == nil && so != 0 {
			e = syscall.Errno(so)
		}
		err = os.NewSyscallError("connect", e)
	}
	c.SetWriteTimeout(0)
	if err != nil {
		c.Close()
		return nil, err
	}
	c.readable = c.hup
	return c, nil
}
