package loop

import (
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"syscall"
	"unsafe"
)

const edgeTriggered = 1 << 31 // EPOLLET, as the kernel has it

// poller is the part of a loop that waits for sockets: one epoll, edge-triggered, each socket registered once for life.
type poller struct {
	memory
	pipes
	ep, bellFD int
	conns      []*Conn // by descriptor
	gen        int32
	evs        [64]syscall.EpollEvent
}

// New starts a loop. id is the number rooms know it by: 0, 1, 2 and so on.
func New(id int) (*Loop, error) {
	l := newLoop(id)
	var err error
	if l.ep, err = syscall.EpollCreate1(syscall.EPOLL_CLOEXEC); err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	fd, _, errno := syscall.RawSyscall(syscall.SYS_EVENTFD2, 0, syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if errno != 0 {
		syscall.Close(l.ep)
		return nil, os.NewSyscallError("eventfd", errno)
	}
	l.bellFD = int(fd)
	ev := syscall.EpollEvent{Events: syscall.EPOLLIN | edgeTriggered, Fd: int32(fd)}
	if err := syscall.EpollCtl(l.ep, syscall.EPOLL_CTL_ADD, l.bellFD, &ev); err != nil {
		l.poller.close()
		return nil, os.NewSyscallError("epoll_ctl", err)
	}
	go l.run()
	return l, nil
}

// ring ends the loop's sleep. From any goroutine. The eventfd is never read: each write is an edge.
func (p *poller) ring() {
	if p.bell != nil {
		select {
		case p.bell <- struct{}{}:
		default:
		}
		return
	}
	b := [8]byte{1}
	syscall.RawSyscall(syscall.SYS_WRITE, uintptr(p.bellFD), uintptr(unsafe.Pointer(&b)), 8)
}

// wait sleeps until something happens, unless the loop is busy, and hands out the events.
func (p *poller) wait(l *Loop, busy bool) {
	if p.bell != nil {
		p.waitMem(l, busy)
		return
	}
	n := p.poll()
	if n == 0 && !busy {
		// A blocking system call: the runtime takes the processor away only when another goroutine wants it.
		n, _ = syscall.EpollWait(p.ep, p.evs[:], int(l.wheel.sleep(l.now)))
		l.gone = l.now
	}
	before := l.now
	l.tick()
	l.quiet = n <= 0
	p.dispatch(l, n)
	if l.now-before > tick {
		// The process was stopped, perhaps, and goes on much later: what has come meanwhile counts before deadlines that have passed.
		n = p.poll()
		l.quiet = l.quiet && n == 0
		p.dispatch(l, n)
	}
}

// poll asks for events and does not wait.
func (p *poller) poll() int {
	n, _, e := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(p.ep), uintptr(unsafe.Pointer(&p.evs)), uintptr(len(p.evs)), 0, 0, 0)
	if e != 0 {
		return 0
	}
	return int(n)
}

// dispatch hands out the first n events.
func (p *poller) dispatch(l *Loop, n int) {
	p.announce(max(n, 0))
	for i := range max(n, 0) {
		ev := &p.evs[i]
		if int(ev.Fd) == p.bellFD {
			l.runPosted()
			continue
		}
		if c := p.conns[ev.Fd]; c != nil && c.gen == ev.Pad {
			e := ev.Events
			if c.isAhead && e&wasRead == 0 {
				c.ahead.more = true
			}
			c.event(e&syscall.EPOLLIN != 0, e&syscall.EPOLLOUT != 0,
				e&(syscall.EPOLLRDHUP|syscall.EPOLLHUP|syscall.EPOLLERR) != 0, e&(syscall.EPOLLHUP|syscall.EPOLLERR) != 0)
		}
	}
}

// announce notes which idle connections have something to read before any task runs: none shall find one quiet that is not. It reads ahead for
// those that want it.
func (p *poller) announce(n int) {
	const news = syscall.EPOLLIN | syscall.EPOLLRDHUP | syscall.EPOLLHUP | syscall.EPOLLERR
	for i := range n {
		ev := &p.evs[i]
		if ev.Events&news == 0 || int(ev.Fd) >= len(p.conns) {
			continue
		}
		c := p.conns[ev.Fd]
		if c == nil || c.gen != ev.Pad {
			continue
		}
		if c.idle != nil {
			c.readable = true
		}
		if c.eager && ev.Events&^syscall.EPOLLOUT == syscall.EPOLLIN && !c.isAhead && !c.bulk && (c.reader != nil || c.idle != nil && c.awaits) {
			c.lookAhead()
			ev.Events |= wasRead
		}
	}
}

// add registers a non-blocking socket. It closes the socket when it fails.
func (l *Loop) add(fd int) (*Conn, error) {
	l.gen++
	c := &Conn{l: l, fd: fd, gen: l.gen, readable: true, writable: true}
	c.timer.owner = c
	if need := fd + 1 - len(l.conns); need > 0 {
		l.conns = append(l.conns, make([]*Conn, max(need, 1024))...)
	}
	ev := syscall.EpollEvent{Events: syscall.EPOLLIN | syscall.EPOLLOUT | syscall.EPOLLRDHUP | edgeTriggered, Fd: int32(fd), Pad: c.gen}
	if err := syscall.EpollCtl(l.ep, syscall.EPOLL_CTL_ADD, fd, &ev); err != nil {
		syscall.Close(fd)
		return nil, os.NewSyscallError("epoll_ctl", err)
	}
	l.conns[fd] = c
	return c, nil
}

// resetOnClose makes Close send a reset.
func (c *Conn) resetOnClose() {
	if c.s != nil {
		c.s.resetOnClose()
		return
	}
	syscall.SetsockoptLinger(c.fd, syscall.SOL_SOCKET, syscall.SO_LINGER, &syscall.Linger{Onoff: 1})
}

func (c *Conn) closeSocket() {
	c.l.conns[c.fd] = nil
	syscall.Close(c.fd)
}

func (p *poller) closeAll() {
	for _, c := range p.conns {
		if c != nil {
			c.Close()
		}
	}
	p.closeAdapted()
}

func (p *poller) close() {
	p.closePipes()
	if p.bell == nil {
		syscall.Close(p.ep)
		if p.bellFD != 0 {
			syscall.Close(p.bellFD)
		}
	}
}

// receive is the system call.
func receive(fd int, p []byte) (int, syscall.Errno) {
	r, _, e := syscall.RawSyscall6(syscall.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), 0, 0, 0)
	return int(r), e
}

// recv reads from the socket. A short read means that the kernel has no more, so the next edge says when to read again: one
// system call less per message.
func (c *Conn) recv(p []byte) (int, error) {
	if c.isAhead {
		return c.readAhead(p)
	}
	for {
		n, e := receive(c.fd, p)
		switch {
		case e == 0 && n > 0:
			if n < len(p) && !c.hup {
				c.readable = false
			}
			c.bulk = n > pageSize-Headroom
			return n, nil
		case e == 0:
			return 0, io.EOF
		case e == syscall.EAGAIN:
			c.readable = false
			if c.readLate {
				return 0, os.ErrDeadlineExceeded
			}
			return 0, ErrWouldBlock
		case e != syscall.EINTR:
			c.hup, c.broken = true, true
			return 0, os.NewSyscallError("read", e)
		}
	}
}

// sendmsg writes to the socket as much as it takes.
func (c *Conn) sendmsg(p []byte) (int, error) {
	for {
		r, _, e := syscall.RawSyscall6(syscall.SYS_SENDTO, uintptr(c.fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), syscall.MSG_NOSIGNAL, 0, 0)
		switch e {
		case 0:
			if int(r) < len(p) {
				c.writable = false
			}
			return int(r), nil
		case syscall.EAGAIN:
			c.writable = false
			return 0, nil
		case syscall.EINTR:
		default:
			c.broken = true
			return 0, os.NewSyscallError("write", e)
		}
	}
}

func (c *Conn) shutdownWrite() error {
	if c.s != nil {
		c.s.out <- nil
		return nil
	}
	return os.NewSyscallError("shutdown", syscall.Shutdown(c.fd, syscall.SHUT_WR))
}

func (c *Conn) sockname() netip.AddrPort {
	sa, _ := syscall.Getsockname(c.fd)
	return addrOf(sa)
}

func addrOf(sa syscall.Sockaddr) netip.AddrPort {
	switch s := sa.(type) {
	case *syscall.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(s.Addr), uint16(s.Port))
	case *syscall.SockaddrInet6:
		a := netip.AddrFrom16(s.Addr).Unmap()
		if s.ZoneId != 0 && a.Is6() {
			a = a.WithZone(strconv.Itoa(int(s.ZoneId)))
		}
		return netip.AddrPortFrom(a, uint16(s.Port))
	}
	return netip.AddrPort{}
}

// sockaddr returns the kernel's form of an address and its family.
func sockaddr(a Addr) (syscall.Sockaddr, int) {
	switch ip := a.Addr(); {
	case a.Path != "":
		return &syscall.SockaddrUnix{Name: a.Path}, syscall.AF_UNIX
	case ip.Is4() || ip.Is4In6():
		return &syscall.SockaddrInet4{Addr: ip.Unmap().As4(), Port: int(a.Port())}, syscall.AF_INET
	case ip.Is6():
		s := &syscall.SockaddrInet6{Addr: ip.As16(), Port: int(a.Port())}
		if z := ip.Zone(); z != "" {
			if n, err := strconv.Atoi(z); err == nil {
				s.ZoneId = uint32(n)
			} else if i, err := net.InterfaceByName(z); err == nil {
				s.ZoneId = uint32(i.Index)
			}
		}
		return s, syscall.AF_INET6
	}
	return &syscall.SockaddrInet6{Port: int(a.Port())}, syscall.AF_INET6
}
