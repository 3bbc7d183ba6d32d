package main

import (
	"fmt"
	"net/netip"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"gatehouse/backend/loop"
)

// firstActivated is the descriptor of the first socket that systemd passes on (sd_listen_fds(3)).
const firstActivated = 3

// activated returns the listening sockets that systemd has opened for this process, by address. Binds of the form "fd@3" find them by number,
// so they stay open even if nobody asks for their address.
func activated() (map[string]int, error) {
	if pid, err := strconv.Atoi(os.Getenv("LISTEN_PID")); err != nil || pid != os.Getpid() {
		return nil, nil
	}
	n, err := strconv.Atoi(os.Getenv("LISTEN_FDS"))
	if err != nil {
		return nil, fmt.Errorf("LISTEN_FDS: %w", err)
	}
	list := map[string]int{}
	for fd := firstActivated; fd < firstActivated+n; fd++ {
		a, err := listensAt(fd)
		if err != nil {
			return nil, fmt.Errorf("descriptor %d, from LISTEN_FDS: %w", fd, err)
		}
		unix.CloseOnExec(fd)
		if a != "" {
			// The house owns what it takes, and the number stays for fd@.
			if list[a], err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0); err != nil {
				return nil, err
			}
		}
	}
	return list, nil
}

// listensAt returns where a stream socket listens, as a configuration spells it; "" for any other descriptor.
func listensAt(fd int) (string, error) {
	if on, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); err == unix.ENOTSOCK || err == nil && on == 0 {
		return "", nil
	} else if err != nil {
		return "", err
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return "", err
	}
	var a loop.Addr
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		a.AddrPort = netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		ip := netip.AddrFrom16(sa.Addr)
		if only, _ := unix.GetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY); only == 0 && ip.IsUnspecified() {
			ip = netip.Addr{} // both families: ":80"
		}
		a.AddrPort = netip.AddrPortFrom(ip, uint16(sa.Port))
	case *unix.SockaddrUnix:
		a.Path = sa.Name
	}
	return a.String(), nil
}
