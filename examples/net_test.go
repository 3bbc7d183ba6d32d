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

	mu      sync.Mutex
	doors   map[netip.AddrPort][]*door // where the house listens, one door for each loop
	servers map[netip.AddrPort]*port   // where servers listen
	turn    int                        // spreads newcomers over the doors of an address
	lastTCP uint16                     // the last client port given away
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
		doors: map[netip.AddrPort][]*door{}, servers: map[netip.AddrPort]*port{},
	}
}

// listen is the house's Listen.
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

// connect makes a connection from a client to the house.
func (n *network) connect(from netip.Addr, to netip.AddrPort) (net.Conn, error) {
	n.mu.Lock()
	doors := n.doors[to]
	if len(doors) == 0 {
		doors = n.doors[netip.AddrPortFrom(netip.Addr{}, to.Port())]
	}
	if len(doors) == 0 {
		n.mu.Unlock()
		return nil, os.NewSyscallError("connect", syscall.ECONNREFUSED)
	}
	n.turn++
	d := doors[n.turn%len(doors)]
	client, house := connPair(n.from(from), to)
	n.mu.Unlock()
	d.l.Post(func() {
		if d.closed() {
			house.Reset()
			return
		}
		d.accept(loop.SocketOf(house, house.local, house.remote))
	})
	return client, nil
}

// from gives away a client port. With n.mu.
func (n *network) from(a netip.Addr) netip.AddrPort {
	if n.lastTCP++; n.lastTCP < 40_000 {
		n.lastTCP = 40_000
	}
	return netip.AddrPortFrom(a, n.lastTCP)
}

// dial is the house's Dial.
func (n *network) dial(l *loop.Loop, d loop.Dial) (*loop.Conn, error) {
	from := n.gateway
	if d.From.IsValid() {
		from = d.From
	}
	n.mu.Lock()
	p, state := n.servers[d.To.AddrPort], portHang
	if p != nil {
		state = p.state
	}
	src := n.from(from)
	n.mu.Unlock()
	switch state {
	case portDown:
		return nil, os.NewSyscallError("connect", syscall.ECONNREFUSED)
	case portHang:
		if d.Timeout <= 0 {
			d.Timeout = 127 * time.Second // six SYNs of Linux
		}
		l.Sleep(d.Timeout)
		return nil, os.ErrDeadlineExceeded
	}
	house, server := connPair(src, d.To.AddrPort)
	go p.arrived(server)
	return l.Adopt(loop.SocketOf(house, src, d.To.AddrPort))
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

// memConn is one end of a connection in memory.
type memConn struct {
	local, remote netip.AddrPort
	in, out       *half
}

// half is one direction of a connection.
type half struct {
	mu    sync.Mutex
	more  *sync.Cond
	buf   []byte
	err   error // after buf: io.EOF, or a reset
	late  bool  // the reader's deadline passed
	timer *time.Timer
	gone  bool // the reader went away: writing is an error
	lost  bool // what is written vanishes
}

// connPair returns the two ends of a connection: of who dialled and of who accepted.
func connPair(from, to netip.AddrPort) (client, server *memConn) {
	a, b := new(half), new(half)
	a.more, b.more = sync.NewCond(&a.mu), sync.NewCond(&b.mu)
	return &memConn{local: from, remote: to, in: a, out: b}, &memConn{local: to, remote: from, in: b, out: a}
}

// Read implements net.Conn.
func (c *memConn) Read(p []byte) (int, error) {
	h := c.in
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		switch {
		case h.gone:
			return 0, net.ErrClosed
		case h.late:
			return 0, os.ErrDeadlineExceeded
		case len(h.buf) > 0:
			n := copy(p, h.buf)
			h.buf = h.buf[n:]
			return n, nil
		case h.err != nil:
			return 0, h.err
		}
		h.more.Wait()
	}
}

// Write implements net.Conn. It never blocks.
func (c *memConn) Write(p []byte) (int, error) {
	h := c.out
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.lost:
		return len(p), nil
	case h.gone:
		return 0, os.NewSyscallError("write", syscall.EPIPE)
	case h.err != nil:
		return 0, os.NewSyscallError("write", syscall.EPIPE)
	}
	h.buf = append(h.buf, p...)
	h.more.Broadcast()
	return len(p), nil
}

// CloseWrite ends what this end says; the other end may go on.
func (c *memConn) CloseWrite() error {
	c.out.end(io.EOF)
	return nil
}

// Close implements net.Conn.
func (c *memConn) Close() error {
	c.out.end(io.EOF)
	c.in.leave()
	return nil
}

// Reset breaks the connection off: the other end reads and writes errors from now on, and what it did not read is lost.
func (c *memConn) Reset() {
	h := c.out
	h.mu.Lock()
	h.buf, h.lost = nil, false
	h.mu.Unlock()
	h.end(os.NewSyscallError("read", syscall.ECONNRESET))
	c.in.leave()
}

// Vanish cuts the wire: from now on neither end hears anything of the other, until Reset.
func (c *memConn) Vanish() {
	for _, h := range []*half{c.in, c.out} {
		h.mu.Lock()
		h.lost = true
		h.mu.Unlock()
	}
}

// vanished reports whether Vanish was called.
func (c *memConn) vanished() bool {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	return c.out.lost
}

// end says that nothing will follow but err.
func (h *half) end(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.err == nil && !h.lost {
		h.err = err
	}
	h.more.Broadcast()
}

// leave says that the reader went away.
func (h *half) leave() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.gone, h.buf = true, nil
	if h.timer != nil {
		h.timer.Stop()
	}
	h.more.Broadcast()
}

// LocalAddr implements net.Conn.
func (c *memConn) LocalAddr() net.Addr { return net.TCPAddrFromAddrPort(c.local) }

// RemoteAddr implements net.Conn.
func (c *memConn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.remote) }

// SetDeadline implements net.Conn.
func (c *memConn) SetDeadline(t time.Time) error { return c.SetReadDeadline(t) }

// SetWriteDeadline implements net.Conn: writing never blocks.
func (c *memConn) SetWriteDeadline(time.Time) error { return nil }

// SetReadDeadline implements net.Conn.
func (c *memConn) SetReadDeadline(t time.Time) error {
	h := c.in
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.timer != nil {
		h.timer.Stop()
		h.timer = nil
	}
	h.late = !t.IsZero() && !t.After(time.Now())
	if !t.IsZero() && !h.late {
		var own *time.Timer
		own = time.AfterFunc(time.Until(t), func() {
			h.mu.Lock()
			defer h.mu.Unlock()
			if h.timer == own { // no later deadline took its place
				h.late = true
				h.more.Broadcast()
			}
		})
		h.timer = own
	}
	h.more.Broadcast()
	return nil
}
