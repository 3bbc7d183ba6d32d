//go:build !linux

package loop

import (
	"net"
	"net/netip"
)

func socketHalf(l *Loop) (*Conn, net.Conn) {
	a, b := tcpPair()
	return l.Adapt(a, netip.AddrPort{}, netip.AddrPort{}), b
}

func socketPair(l *Loop) (*Conn, *Conn) {
	a, b := tcpPair()
	return l.Adapt(a, netip.AddrPort{}, netip.AddrPort{}), l.Adapt(b, netip.AddrPort{}, netip.AddrPort{})
}

func tcpPair() (a, b net.Conn) {
	n, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer n.Close()
	if a, err = net.Dial("tcp", n.Addr().String()); err != nil {
		panic(err)
	}
	if b, err = n.Accept(); err != nil {
		panic(err)
	}
	return a, b
}
