package loop

import (
	"errors"
	"os"
	"strconv"
	"syscall"
)

// backlog is how many connections the kernel keeps for us; net.core.somaxconn caps it.
const backlog = 4096

// Listen listens on an address and calls accept on the loop for each connection; accept owns it then and must not park. From any
// goroutine but those of the loop's tasks. Addresses without an IP listen on IPv6 and IPv4. The file of a unix socket that
// nobody listens on is replaced.
func (l *Loop) Listen(a Addr, accept func(Socket)) (*Listener, error) {
	if l.bell != nil {
		return l.listenNet(a, accept)
	}
	fd, err := listenSocket(a)
	if err != nil {
		return nil, err
	}
	n := &Listener{l: l, addr: a, accept: accept}
	n.addr.Free, n.addr.Handed = false, 0
	if sa, err := syscall.Getsockname(fd); err == nil && a.Path == "" {
		if got := addrOf(sa); got.IsValid() {
			n.addr = n.addr.WithPort(got.Port())
		}
	}
	started := make(chan error, 1)
	ok := l.post(func() {
		var err error
		if n.c, err = l.add(fd); err == nil {
			l.listeners[n] = struct{}{}
			n.start()
		}
		started <- err
	})
	if !ok {
		syscall.Close(fd)
		err = ErrClosed
	} else {
		err = <-started
	}
	if err != nil {
		if a.Path != "" && a.Handed == 0 {
			os.Remove(a.Path)
		}
		return nil, err
	}
	return n, nil
}

func listenSocket(a Addr) (int, error) {
	switch {
	case a.Handed > 0:
		return prepared(a.Handed, a.String())
	case a.FD != "":
		return inherited(a.FD)
	case a.Host != "":
		return -1, errName
	case a.Path != "":
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
	if a.Free {
		if err := setFree(fd, family); err != nil {
			syscall.Close(fd)
			return -1, os.NewSyscallError("setsockopt IP_FREEBIND", err)
		}
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

const ipv6FreeBind = 78 // IPV6_FREEBIND

// setFree lets a socket be bound to an address that no interface has.
func setFree(fd, family int) error {
	switch family {
	case syscall.AF_INET:
		return syscall.SetsockoptInt(fd, syscall.SOL_IP, syscall.IP_FREEBIND, 1)
	case syscall.AF_INET6:
		return syscall.SetsockoptInt(fd, syscall.SOL_IPV6, ipv6FreeBind, 1)
	}
	return nil
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
	if !listens(n) {
		return -1, errors.New("fd@" + name + ": not a listening socket")
	}
	fd, err := duplicate(n)
	if err != nil {
		return -1, err
	}
	return prepared(fd, "fd@"+name)
}

// listens reports whether a descriptor is that of a listening socket.
func listens(fd int) bool {
	on, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_ACCEPTCONN)
	return err == nil && on != 0
}

// duplicate returns another descriptor of the same socket.
func duplicate(fd int) (int, error) {
	d, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_DUPFD_CLOEXEC, 0)
	if errno != 0 {
		return -1, os.NewSyscallError("fcntl", errno)
	}
	return int(d), nil
}

// prepared makes a descriptor somebody else has opened fit for a loop. It is closed when it fails.
func prepared(fd int, name string) (int, error) {
	if !listens(fd) {
		syscall.Close(fd)
		return -1, errors.New(name + ": not a listening socket")
	}
	syscall.CloseOnExec(fd)
	if err := syscall.SetNonblock(fd, true); err != nil {
		syscall.Close(fd)
		return -1, os.NewSyscallError("fcntl", err)
	}
	syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1) // for accepted sockets; no matter if it is none of TCP
	return fd, nil
}

// file returns a further descriptor of the socket.
func (n *Listener) file() (*os.File, error) {
	fd, err := duplicate(n.c.fd)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), n.addr.String()), nil
}

// acceptBurst is how many connections are accepted before the other tasks have their turn.
const acceptBurst = 64

// Run accepts until there is nobody left, and then waits without a coroutine.
func (n *Listener) Run() {
	n.active = true // if it was the poller that started it
	defer func() { n.active = false }()
	for i := 1; ; i++ {
		if n.admit(); n.paused || n.closed {
			return
		}
		fd, sa, err := syscall.Accept4(n.c.fd, syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
		switch err {
		case nil:
			n.take(Socket{fd: fd, Remote: addrOf(sa)})
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
		return
	}
	// Somebody else may hold the socket too: who passed it to us, or whom we passed it to. Then closing ours does not take it out of the
	// epoll, and the next descriptor with this number could not be added.
	syscall.EpollCtl(n.l.ep, syscall.EPOLL_CTL_DEL, n.c.fd, nil)
	n.c.Close()
}
