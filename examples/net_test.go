package examples

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"gatehouse/backend/loop"
)

// network is an in-memory network: the house listens and dials on it, clients connect to the house, and servers wait for the
// house. Addresses are whatever the configuration says. Writing never blocks; reading blocks on nothing but memory, so all of it
// is at home in a testing/synctest bubble.
type network struct {
	gateway netip.Addr // where the house dials from, unless it says otherwise

	mu       sync.Mutex
	wires    []*memConn                 // every connection, one end of each
	cuts     [][2]netip.Prefix          // networks that do not reach each other
	machines map[netip.Addr]bool        // where houses stand, or stood
	doors    map[netip.AddrPort][]*door // where the house listens, one door for each loop
	servers  map[netip.AddrPort]*port   // where servers listen
	turn     int                        // spreads newcomers over the doors of an address
	lastTCP  uint16                     // the last client port given away
}

// door is one listener of the house.
type door struct {
	n      *network
	at     netip.AddrPort
	l      *loop.Loop
	accept func(loop.Socket)
}

// port is where a server listens.
type port struct {
	state   portState
	arrived func(c *memConn) // called on a goroutine of the network
}

// portState is how a port greets who dials it.
type portState int

const (
	portUp   portState = iota // accepts
	portDown                  // refuses
	portHang                  // says nothing
)

func newNetwork(gateway netip.Addr) *network {
	return &network{
		gateway: gateway, lastTCP: 40_000,
		doors: map[netip.AddrPort][]*door{}, servers: map[netip.AddrPort]*port{}, machines: map[netip.Addr]bool{},
	}
}

// machine is where a house stands.
type machine struct {
	*network
	at netip.Addr // its address; invalid: the gateway, and it listens on whatever address its clients use
}

// listen is the house's Listen.
func (m machine) listen(l *loop.Loop, a loop.Addr, accept func(loop.Socket)) (io.Closer, error) {
	if m.at.IsValid() && !a.Addr().IsValid() {
		a.AddrPort = netip.AddrPortFrom(m.at, a.Port())
	}
	return m.network.listen(l, a, accept)
}

// dial is the house's Dial. What a machine with houses calls localhost is itself.
func (m machine) dial(l *loop.Loop, d loop.Dial) (*loop.Conn, error) {
	if m.at.IsValid() && !d.From.IsValid() {
		d.From = m.at
	}
	if to := netip.AddrPortFrom(m.at, d.To.Port()); d.To.Addr().IsLoopback() && m.housed(to) {
		d.To.AddrPort = to
	}
	return m.network.dial(l, d)
}

// listen opens an address.
func (n *network) listen(l *loop.Loop, a loop.Addr, accept func(loop.Socket)) (io.Closer, error) {
	if a.Path != "" || a.FD != "" || a.Host != "" {
		return nil, fmt.Errorf("listen %v: no such address on this network", a)
	}
	d := &door{n: n, at: a.AddrPort, l: l, accept: accept}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, other := range n.doors[d.at] {
		if other.l == l {
			return nil, os.NewSyscallError("bind", syscall.EADDRINUSE)
		}
	}
	n.doors[d.at] = append(n.doors[d.at], d)
	return d, nil
}

// closed reports whether the house listens here no more.
func (d *door) closed() bool {
	d.n.mu.Lock()
	defer d.n.mu.Unlock()
	return !slices.Contains(d.n.doors[d.at], d)
}

// Close ends the listening.
func (d *door) Close() error {
	d.n.mu.Lock()
	defer d.n.mu.Unlock()
	left := slices.DeleteFunc(slices.Clone(d.n.doors[d.at]), func(other *door) bool { return other == d })
	if d.n.doors[d.at] = left; len(left) == 0 {
		delete(d.n.doors, d.at)
	}
	return nil
}

// connect makes a connection from a client to a house.
func (n *network) connect(from netip.Addr, to netip.AddrPort) (net.Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.isCut(from, to.Addr()) {
		return nil, os.NewSyscallError("connect", syscall.ETIMEDOUT)
	}
	d := n.door(to)
	if d == nil {
		d = n.door(netip.AddrPortFrom(netip.Addr{}, to.Port()))
	}
	if d == nil {
		return nil, os.NewSyscallError("connect", syscall.ECONNREFUSED)
	}
	return n.enter(d, n.from(from), to), nil
}

// door returns whoever of a house listens on an address, nil when nobody does. With n.mu.
func (n *network) door(to netip.AddrPort) *door {
	doors := n.doors[to]
	if len(doors) == 0 {
		return nil
	}
	n.turn++
	return doors[n.turn%len(doors)]
}

// enter makes a connection through a door and returns its outer end. With n.mu.
func (n *network) enter(d *door, from, to netip.AddrPort) *memConn {
	client, house := connPair(from, to)
	n.wires = append(n.wires, client)
	d.l.Post(func() {
		if d.closed() {
			house.Reset()
			return
		}
		d.accept(loop.SocketOf(house, house.local, house.remote))
	})
	return client
}

// from gives away a client port. With n.mu.
func (n *network) from(a netip.Addr) netip.AddrPort {
	if n.lastTCP++; n.lastTCP < 40_000 {
		n.lastTCP = 40_000
	}
	return netip.AddrPortFrom(a, n.lastTCP)
}

// dial connects a house to a server, or to another house.
func (n *network) dial(l *loop.Loop, d loop.Dial) (*loop.Conn, error) {
	from := n.gateway
	if d.From.IsValid() {
		from = d.From
	}
	to := d.To.AddrPort
	n.mu.Lock()
	src, state := n.from(from), portHang
	next, p := n.door(to), n.servers[to]
	switch {
	case n.isCut(from, to.Addr()):
	case next != nil:
		c := n.enter(next, src, to)
		n.mu.Unlock()
		return l.Adopt(loop.SocketOf(c, src, to))
	case p != nil:
		state = p.state
	case n.machines[to.Addr()]: // nobody listens there
		state = portDown
	}
	if state == portUp {
		house, server := connPair(src, to)
		n.wires = append(n.wires, house)
		n.mu.Unlock()
		go p.arrived(server)
		return l.Adopt(loop.SocketOf(house, src, to))
	}
	n.mu.Unlock()
	if state == portDown {
		return nil, os.NewSyscallError("connect", syscall.ECONNREFUSED)
	}
	if d.Timeout <= 0 {
		d.Timeout = 127 * time.Second // six SYNs of Linux
	}
	l.Sleep(d.Timeout)
	return nil, os.ErrDeadlineExceeded
}

// isCut reports whether two addresses do not reach each other. With n.mu.
func (n *network) isCut(a, b netip.Addr) bool {
	return slices.ContainsFunc(n.cuts, func(c [2]netip.Prefix) bool {
		return c[0].Contains(a) && c[1].Contains(b) || c[1].Contains(a) && c[0].Contains(b)
	})
}

// cut takes away the line between two networks. Connections over it go on, as far as each end can tell.
func (n *network) cut(a, b netip.Prefix) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cuts = append(n.cuts, [2]netip.Prefix{a, b})
	for _, c := range n.wires {
		if n.isCut(c.local.Addr(), c.remote.Addr()) {
			c.Vanish()
		}
	}
}

// mend brings all lines back. What was lost meanwhile stays lost, so connections over them break.
func (n *network) mend() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range n.wires {
		if c.vanished() && n.isCut(c.local.Addr(), c.remote.Addr()) {
			c.Break()
		}
	}
	n.cuts = nil
}

// serve makes a server listen. A port that was there before stays up, down or silent.
func (n *network) serve(at netip.AddrPort, arrived func(c *memConn)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if p := n.servers[at]; p != nil {
		p.arrived = arrived
		return
	}
	n.servers[at] = &port{arrived: arrived}
}

// set changes how a server's port greets.
func (n *network) set(at netip.AddrPort, s portState) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.servers[at].state = s
}
