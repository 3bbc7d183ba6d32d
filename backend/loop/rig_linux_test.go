package loop

import (
	"net"
	"os"
	"syscall"
)

// sockets returns the descriptors of a connected pair.
func sockets() [2]int {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		panic(err)
	}
	return fds
}

func mustAdd(l *Loop, fd int) *Conn {
	c, err := l.add(fd)
	if err != nil {
		panic(err)
	}
	return c
}

func socketPair(l *Loop) (*Conn, *Conn) {
	fds := sockets()
	return mustAdd(l, fds[0]), mustAdd(l, fds[1])
}

func socketHalf(l *Loop) (*Conn, net.Conn) {
	fds := sockets()
	f := os.NewFile(uintptr(fds[1]), "peer")
	defer f.Close()
	peer, err := net.FileConn(f)
	if err != nil {
		panic(err)
	}
	return mustAdd(l, fds[0]), peer
}
