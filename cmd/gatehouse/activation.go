package main

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"gatehouse/backend/loop"
	"gatehouse/cmd/gatehouse/config"
	"gatehouse/cmd/gatehouse/house"
)

// firstActivated is the descriptor of the first socket that systemd passes on (sd_listen_fds(3)).
const firstActivated = 3

// passed is a socket that systemd has opened.
type passed struct {
	name string   // for a person
	keys []string // under which it is among the descriptors
}

// activated returns the listening sockets that systemd has opened for this process, by address, and by "fd@NAME" for those that their unit
// gives a name (FileDescriptorName=). Binds of the form "fd@3" find them by number, so they stay open even if nobody asks for their
// address. What systemd has said about it is taken out of the environment: it is for no program that this one runs.
func activated() (list map[string]int, all []passed, err error) {
	if pid, err := strconv.Atoi(os.Getenv("LISTEN_PID")); err != nil || pid != os.Getpid() {
		return nil, nil, nil
	}
	names := strings.Split(os.Getenv("LISTEN_FDNAMES"), ":")
	n, err := strconv.Atoi(os.Getenv("LISTEN_FDS"))
	if err != nil {
		return nil, nil, fmt.Errorf("LISTEN_FDS: %w", err)
	}
	for _, word := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
		os.Unsetenv(word)
	}
	list = map[string]int{}
	for fd := firstActivated; fd < firstActivated+n; fd++ {
		a, err := listensAt(fd)
		if err != nil {
			return nil, nil, fmt.Errorf("descriptor %d, from LISTEN_FDS: %w", fd, err)
		}
		unix.CloseOnExec(fd)
		number := "fd@" + strconv.Itoa(fd)
		p := passed{name: number}
		if a != "" {
			p.name += ", " + a
			p.keys = append(p.keys, a)
		}
		// A name is that of all sockets of a unit: a bind that asks for it means those that listen.
		if i := fd - firstActivated; i < len(names) && names[i] != "" && names[i] != unnamedSocket && a != "" && listens(fd) {
			p.name += ", fd@" + names[i]
			p.keys = append(p.keys, "fd@"+names[i])
		}
		for _, key := range p.keys {
			if list[key] != 0 {
				continue // the first of that name
			}
			// The house owns what it takes, and the number stays for fd@.
			if list[key], err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0); err != nil {
				return nil, nil, err
			}
		}
		p.keys = append(p.keys, number)
		all = append(all, p)
	}
	return list, all, nil
}

// unnamedSocket is what systemd calls a socket whose unit has given it no name, where it does not call it by the unit.
const unnamedSocket = "unknown"

// unused returns those of all that no bind of a configuration asks for.
func unused(all []passed, f *config.File) (names []string) {
	asked := map[string]bool{}
	for _, c := range f.Frontends {
		for _, b := range c.Binds {
			asked[b.Address.String()] = true
			if b.HTTP3 {
				asked[house.PacketAddress(b.Address.String())] = true
			}
		}
	}
	for _, p := range all {
		if !slices.ContainsFunc(p.keys, func(key string) bool { return asked[key] }) {
			names = append(names, p.name)
		}
	}
	return names
}

// listens reports whether a descriptor is that of a stream socket that listens.
func listens(fd int) bool {
	on, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	return err == nil && on != 0
}

// listensAt returns where a socket listens, as a configuration spells it, and where one for datagrams does as the house calls it; "" for any other
// descriptor.
func listensAt(fd int) (string, error) {
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	switch {
	case err == unix.ENOTSOCK:
		return "", nil
	case err != nil:
		return "", err
	case kind != unix.SOCK_DGRAM && !listens(fd):
		return "", nil
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
	switch {
	case kind != unix.SOCK_DGRAM:
		return a.String(), nil
	case a.Port() != 0 && a.Path == "":
		return house.PacketAddress(a.String()), nil
	}
	return "", nil
}
