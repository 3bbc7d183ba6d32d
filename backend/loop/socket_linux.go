package loop

import (
	"errors"
	"os"
	"strconv"
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
	sa, family := sockaddr(d.To)
	if d.To.Host != "" || d.To.Path == "" && !d.To.Addr().IsValid() {
		return nil, errors.New("not a literal address")
	}
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
	c.SetWriteTimeout(d.Timeout)
	if err = c.waitWrite(); err == nil {
		if so, e := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_ERROR); e != nil || so != 0 {
			err = os.NewSyscallError("connect", syscall.Errno(so))
		}
	}
	c.SetWriteTimeout(0)
	if err != nil {
		c.Close()
		return nil, err
	}
	c.readable = c.hup
	return c, nil
}

// backlog is how many connections the kernel keeps for us; net.core.somaxconn caps it.
const backlog = 4096

// Listen listens on an address and calls accept on the loop for each connection. From any goroutine but those of the
// loop's tasks. Addresses without an IP listen on IPv6 and IPv4.
func (l *Loop) Listen(a Addr, accept func(Socket)) (*Listener, error) {
	if l.bell != nil {
		return l.listenNet(a, accept)
	}
	fd, err := listenSocket(a)
	if err != nil {
		return nil, err
	}
	n := &Listener{l: l, addr: a, accept: accept}
	if sa, err := syscall.Getsockname(fd); err == nil && a.Path == "" {
		if got := addrOf(sa); got.IsValid() {
			n.addr = n.addr.WithPort(got.Port())
		}
	}
	started := make(chan error, 1)
	l.Post(func() {
		var err error
		if n.c, err = l.add(fd); err == nil {
			l.Go(n)
		}
		started <- err
	})
	return n, <-started
}

func listenSocket(a Addr) (int, error) {
	if a.FD != "" {
		return inherited(a.FD)
	}
	if a.Path != "" {
		if err := removeStale(a.Path); err != nil {
			return -1, err
		}
	}
	sa, family := sockaddr(a)
	fd, err := syscall.Socket(family, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err == syscall.EAFNOSUPPORT && !a.Addr().IsValid() { // a kernel without IPv6
		sa, family = &syscall.SockaddrInet4{Port: int(a.Port())}, syscall.AF_INET
		fd, err = syscall.Socket(family, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	}
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	if family != syscall.AF_UNIX {
		syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
		syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1) // accepted sockets inherit it
	}
	if family == syscall.AF_INET6 {
		only := 1
		if !a.Addr().IsValid() {
			only = 0
		}
		syscall.SetsockoptInt(fd, syscall.IPPROTO_IPV6, syscall.IPV6_V6ONLY, only)
	}
	if err := syscall.Bind(fd, sa); err != nil {
		syscall.Close(fd)
		return -1, os.NewSyscallError("bind", err)
	}
	if err := syscall.Listen(fd, backlog); err != nil {
		syscall.Close(fd)
		return -1, os.NewSyscallError("listen", err)
	}
	return fd, nil
}

// inherited duplicates a listening descriptor given by number, or by the name of an environment variable that holds it.
func inherited(name string) (int, error) {
	num := name
	n, err := strconv.Atoi(num)
	if err != nil {
		num = os.Getenv(name)
		if n, err = strconv.Atoi(num); err != nil {
			return -1, errors.New("fd@" + name + ": neither a number nor an environment variable with one")
		}
	}
	if on, err := syscall.GetsockoptInt(n, syscall.SOL_SOCKET, syscall.SO_ACCEPTCONN); err != nil || on == 0 {
		return -1, errors.New("fd@" + name + ": not a listening socket")
	}
	fd, err := syscall.Dup(n)
	if err != nil {
		return -1, os.NewSyscallError("dup", err)
	}
	syscall.CloseOnExec(fd)
	return fd, os.NewSyscallError("fcntl", syscall.SetNonblock(fd, true))
}

// removeStale removes a unix socket that nobody listens on any more.
func removeStale(path string) error {
	fi, err := os.Lstat(path)
	if err != nil {
		return nil // bind will say what is wrong, if anything is
	}
	if fi.Mode()&os.ModeSocket == 0 {
		return errors.New(path + " exists and is not a socket")
	}
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer syscall.Close(fd)
	if syscall.Connect(fd, &syscall.SockaddrUnix{Name: path}) == nil {
		return os.NewSyscallError("bind", syscall.EADDRINUSE)
	}
	return os.Remove(path)
}

// acceptBurst is how many connections are accepted before the other tasks have their turn.
const acceptBurst = 64

// Run accepts until there is nobody left, and then waits without a coroutine.
func (n *Listener) Run() {
	n.active = true
	defer func() { n.active = false }()
	for i := 1; !n.paused && !n.closed; i++ {
		fd, sa, err := syscall.Accept4(n.c.fd, syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
		switch err {
		case nil:
			s := Socket{fd: fd, Remote: addrOf(sa)}
			n.accept(s)
		case syscall.EAGAIN:
			n.c.readable = false
			n.c.Watch(n)
			return
		case syscall.ECONNABORTED, syscall.EINTR:
		default: // EMFILE, ENFILE, ENOBUFS, ENOMEM: trying again at once would only spin
			n.failed(os.NewSyscallError("accept", err))
			n.l.Sleep(backOff)
		}
		if i%acceptBurst == 0 {
			n.l.Yield()
		}
	}
}

func (n *Listener) closeSocket() {
	if n.nl != nil {
		n.nl.Close()
	} else {
		n.c.Close()
	}
	if n.addr.Path != "" {
		os.Remove(n.addr.Path)
	}
}
