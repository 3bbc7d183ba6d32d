package loop

import (
	"os"
	"syscall"
)

// prepareUDP sets the options of a socket that is going to be bound. network is "udp4" or "udp6".
func prepareUDP(fd int, network string, free bool) error {
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return os.NewSyscallError("setsockopt SO_REUSEADDR", err)
	}
	if !free {
		return nil
	}
	family := syscall.AF_INET6
	if network == "udp4" {
		family = syscall.AF_INET
	}
	return os.NewSyscallError("setsockopt IP_FREEBIND", setFree(fd, family))
}

// forceUDP sets the sizes of a socket's buffers beyond net.core.rmem_max and wmem_max, if the process may (CAP_NET_ADMIN).
func forceUDP(fd int) {
	syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_RCVBUFFORCE, UDPBuffer)
	syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_SNDBUFFORCE, UDPBuffer)
}
