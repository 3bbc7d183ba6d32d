package house_test

import (
	"net"
	"syscall"
)

// shrinkQueue makes the kernel keep one connection that is not accepted, and drop what comes beyond.
func shrinkQueue(ln *net.TCPListener) error {
	rc, err := ln.SyscallConn()
	if err != nil {
		return err
	}
	var e error
	err = rc.Control(func(fd uintptr) { e = syscall.Listen(int(fd), 0) })
	if err == nil {
		err = e
	}
	return err
}
