package house_test

import (
	"net"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
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

// queueFull reports whether the kernel drops what would be one more connection for the listener.
func queueFull(t testing.TB, ln *net.TCPListener) bool {
	t.Helper()
	rc, err := ln.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var info *unix.TCPInfo
	var e error
	if err = rc.Control(func(fd uintptr) { info, e = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) }); err == nil {
		err = e
	}
	if err != nil {
		t.Skip(err)
	}
	return info.Unacked > info.Sacked // of a listener: how many wait, and how many may
}
