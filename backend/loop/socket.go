package loop

import (
	"net"
	"net/netip"
	"time"
)

// Socket is a connection that no loop owns yet. Adopt it or Close it.
type Socket struct {
	Remote, Local netip.AddrPort // zero for unix sockets; Local may be zero until asked of the Conn

	fd int
	nc net.Conn
}

// SocketOf makes a Socket of a net.Conn that is no kernel socket, for tests on an in-memory network.
func SocketOf(nc net.Conn, local, remote netip.AddrPort) Socket {
	return Socket{nc: nc, Local: local, Remote: remote}
}

// Dial is a connection to be made.
type Dial struct {
	To      Addr          // a literal IP address with a port, or a unix path
	From    netip.Addr    // the local address to connect from, if valid
	Timeout time.Duration // 0 or less: as long as the kernel tries
	// Making is set to the connection while it is being made: closing that gives it up, with ErrClosed. nil: nobody wants to. Where the platform
	// has no epoll, it stays nil.
	Making **Conn
}
