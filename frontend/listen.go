package frontend

import (
	"crypto/tls"
	"io"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/backend/h1"
	"gatehouse/backend/loop"
)

// Entry is what one frontend does on an address.
type Entry struct {
	Frontend *Frontend
	// Redirect answers every request with a redirect to the same URL over TLS.
	Redirect bool
	// Policy is that of its tls block; nil where that demands nothing of clients.
	Policy *Policy
	// HSTS is the value of Strict-Transport-Security in every answer over TLS. "": what the server sends is left alone.
	HSTS string
}

// ListenConfig is an address and who takes what comes in there.
type ListenConfig struct {
	Address loop.Addr
	Entries []Entry     // at least one; several are told apart by their hosts
	TLS     *tls.Config // nil: plain HTTP
	Loops   []*loop.Loop
	// Listen opens the address. nil: the loop does, on the real network.
	Listen func(l *loop.Loop, a loop.Addr, accept func(loop.Socket)) (io.Closer, error)
	// H2C lets clients begin with HTTP/2 where there is no TLS to agree on it.
	H2C bool
	// Freebind opens the address also when this machine does not have it.
	Freebind bool
	// Hold opens the address and leaves whoever comes in the kernel's queue until Open.
	Hold bool
	// Handed is the descriptor of a socket that listens on the address already, which is the listener's from then on. 0: there is none.
	Handed int
	// OnError is told, on a loop, when accepting fails for want of descriptors or memory. nil: nobody is.
	OnError func(error)
	// OnRefusal is told, on a loop, why a TLS handshake failed. nil: nobody is.
	OnRefusal func(peer netip.AddrPort, err error)
	// HTTP3 is the TLS configuration of HTTP/3, which is spoken over UDP on the same port then. nil: it is not spoken.
	HTTP3 *tls.Config
	// Packets are what another process has handed over for that. The zero value: nothing.
	Packets Packets
	// HadHTTP3 says that another process spoke it on the address before: where that is over, clients are told.
	HadHTTP3 bool
	// Secret is what connections of HTTP/3 are known by to a process that comes after this one. nil: by nothing.
	Secret []byte
	// AcceptProxy lists the networks from where connections have to begin with a PROXY header; from elsewhere none are taken then. Empty:
	// there are no such headers.
	AcceptProxy []netip.Prefix

	proxies monitorSet
	altSvc  string // tells clients of HTTP/3, "" where there is none
}

// Listener is an open address. Connections are accepted on the first loop and spread over all of them in turn: with one
// listening socket per loop the kernel would spread a few long connections unevenly.
type Listener struct {
	view    atomic.Pointer[ListenConfig] // who takes what comes in now
	loops   []*loop.Loop
	l       *loop.Loop
	in      atomic.Pointer[io.Closer] // nil for the first moment: connections may come before Listen has returned
	addr    loop.Addr
	turn    int
	rooms   []*room // by Loop.ID
	closing atomic.Bool
	failing atomic.Bool // the end is near, and monitors are told
	conns   sync.WaitGroup
	quic    atomic.Pointer[quicSide] // nil: there is no HTTP/3
	ready   *quicSocket              // for HTTP/3, opened and not yet served; nil: none. The house's
	former  []*quicSide              // switched off, and not yet over. The house's
	loan    *PacketLoan              // from the last of them to ready; nil: none. The house's

	handed int           // ListenConfig.Handed, until it is used
	held   []loop.Socket // came before Open
	hold   bool
}

// room is what a listener owns on one loop.
type room struct {
	ln       *Listener
	l        *loop.Loop
	first    *conn // the connections, in no order
	free     []*exchange
	greeters greeters
	pools
}

// Listen opens the address.
func Listen(c ListenConfig) (*Listener, error) {
	n := &Listener{loops: c.Loops, l: c.Loops[0], hold: c.Hold, handed: c.Handed}
	c.proxies = newMonitorSet(c.AcceptProxy)
	n.view.Store(&c)
	for _, l := range c.Loops {
		for len(n.rooms) <= l.ID {
			n.rooms = append(n.rooms, nil)
		}
		n.rooms[l.ID] = &room{ln: n, l: l}
	}
	n.conns.Add(1) // for the listening: others are added while somebody waits for the last to end
	var err error
	if n.addr, err = n.listen(); err != nil {
		return nil, err
	}
	if err = n.Prepare(&c); err != nil {
		n.Abort()
		return nil, err
	}
	if c.HTTP3 != nil || c.HadHTTP3 {
		own, was := c, "" // others may be reading c already
		if c.HadHTTP3 {
			was = withdrawn
		}
		own.announceHTTP3(n.addr, was)
		n.view.Store(&own)
	}
	if !c.Hold {
		n.serveHTTP3(&c)
	}
	return n, nil
}

// listen opens the address, and returns it with the port the kernel chose where 0 was asked for.
func (n *Listener) listen() (loop.Addr, error) {
	c := n.view.Load()
	at := c.Address
	at.Free = c.Freebind
	at.Handed, n.handed = n.handed, 0
	if c.Listen != nil {
		in, err := c.Listen(n.l, at, n.accept)
		if err != nil {
			return at, err
		}
		n.in.Store(&in)
		return c.Address, nil
	}
	in, err := n.l.Listen(at, n.accept)
	if err != nil {
		return at, err
	}
	n.l.Post(func() { in.OnError, in.Admit = c.OnError, func() bool { return n.hold || !n.isFull() } })
	n.in.Store(new(io.Closer(in)))
	return in.Addr(), nil
}

// Yield closes the address, so that one that overlaps it can be opened, and leaves the connections alone. Either Shutdown follows, or
// Regain. It waits for the accepting loop, and must not be called on one.
func (n *Listener) Yield() {
	done := make(chan struct{})
	n.l.Post(func() {
		(*n.in.Load()).Close()
		close(done)
	})
	<-done
}

// Regain opens the address again.
func (n *Listener) Regain() error {
	_, err := n.listen()
	return err
}

// first is the frontend whose limits and timeouts count until a request says which frontend it is for.
func (n *Listener) first() *Frontend { return n.view.Load().Entries[0].Frontend }

// Address returns the address as it was asked for.
func (n *Listener) Address() loop.Addr { return n.view.Load().Address }

// TakeOver puts others in charge of what comes in: connections made from now on, and the next request of those that are there. The
// address and the loops stay as they are. It does not wait.
func (n *Listener) TakeOver(c ListenConfig) {
	was := n.view.Load()
	c.proxies = newMonitorSet(c.AcceptProxy)
	c.announceHTTP3(n.addr, was.altSvc)
	n.view.Store(&c)
	n.serveHTTP3(&c)
	if was.Entries[0].Frontend.Tally != n.first().Tally {
		n.resume() // where one was full another need not be
	}
}

// Open lets in whoever was held back.
func (n *Listener) Open() {
	n.serveHTTP3(n.view.Load())
	n.l.Post(func() {
		if !n.hold {
			return
		}
		n.hold = false
		for _, s := range n.held {
			n.accept(s)
		}
		n.held = nil
	})
	n.resume()
}

// pauser is a listener that can leave newcomers in the kernel's queue. All but some in tests can.
type pauser interface {
	Pause()
	Resume()
}

// resume goes on accepting if there is room. From any goroutine.
func (n *Listener) resume() {
	n.l.Post(func() {
		if in := n.in.Load(); in != nil && !n.closing.Load() && !n.isFull() {
			if p, ok := (*in).(pauser); ok {
				p.Resume()
			}
		}
	})
}

// isFull reports whether nobody else should be accepted. Then resume is called when somebody may be again.
func (n *Listener) isFull() bool {
	f := n.first()
	return f.conns.isFull(n.resume) || f.o.Process != nil && f.o.Process.isFull(n.resume)
}

// pause stops accepting. On the accepting loop.
func (n *Listener) pause() {
	if in := n.in.Load(); in != nil {
		if p, ok := (*in).(pauser); ok {
			p.Pause()
		}
	}
}

// Addr returns the address, with the port the kernel chose where 0 was asked for.
func (n *Listener) Addr() loop.Addr { return n.addr }

// accept takes a new connection. On the accepting loop.
func (n *Listener) accept(s loop.Socket) {
	if n.hold {
		n.held = append(n.held, s)
		n.pause()
		return
	}
	v := n.view.Load()
	f := v.Entries[0].Frontend
	f.Stats.Connections.Add(1)
	counted := false
	if !v.announces(s.Remote) {
		if f.monitor.has(s.Remote.Addr()) {
			f.Stats.Monitored.Add(1)
			n.answerMonitor(s)
			return
		}
		ok := len(v.AcceptProxy) == 0 // else it comes from nobody who may announce clients, and is none itself
		if ok {
			ok, counted = f.sources.take(s.Remote.Addr())
		}
		if !ok {
			f.Stats.Refused.Add(1)
			s.Close()
			return
		}
	}
	f.conns.take()
	if f.o.Process != nil {
		f.o.Process.take()
	}
	n.conns.Add(1)
	l := n.loops[n.turn%len(n.loops)]
	n.turn++
	at := seat{f.Tally, counted}
	if l == n.l {
		n.rooms[l.ID].serve(s, at)
	} else {
		l.Post(func() { n.rooms[l.ID].serve(s, at) })
	}
	if n.isFull() {
		n.pause()
	}
}

// well is what a supervisor is told.
const well = "HTTP/1.0 200 OK\r\n\r\n"

// answerMonitor answers a supervisor's connection: at once and without waiting for a request, as HAProxy's monitor-net did;
// where TLS is spoken, or not even HTTP, there is nothing to say in the clear.
func (n *Listener) answerMonitor(s loop.Socket) {
	if v := n.view.Load(); v.TLS != nil || v.tcp() || n.failing.Load() {
		s.Close()
		return
	}
	c, err := n.l.Adopt(s)
	if err != nil {
		return
	}
	n.l.Go(loop.Func(func() {
		c.SetWriteTimeout(time.Second)
		c.Write([]byte(well))
		linger(c, time.Second)
	}))
}

// linger ends a connection so that the peer can read what was written last: closing with input unread would
// make the kernel reset it (RFC 9112 9.6). It parks.
func linger(c *loop.Conn, d time.Duration) {
	defer c.Close()
	c.SetWriteTimeout(d)
	if c.Drain() != nil || c.CloseWrite() != nil {
		return
	}
	const most = 64 << 20 // what is refused is large, and who sends it looks for an answer only behind it, or when the connection stalls
	end := c.Loop().Now() + d.Milliseconds()
	for n := 0; n < most; {
		left := time.Duration(end-c.Loop().Now()) * time.Millisecond
		if left <= 0 {
			return
		}
		c.SetReadTimeout(left)
		b, m, err := c.ReadBuf(0, loop.BufSize)
		if err != nil {
			return
		}
		c.Loop().PutBuf(b)
		n += m
	}
}

// serve makes a connection of this loop and serves it.
func (r *room) serve(s loop.Socket, at seat) {
	n := r.ln
	lc, err := r.l.Adopt(s)
	if err != nil {
		n.left(at, s.Remote)
		return
	}
	v := n.view.Load()
	c := &conn{room: r, seat: at, began: r.l.Unix(), since: r.l.Now(), peer: lc.Remote(), tcp: v.tcp(), announcing: len(v.AcceptProxy) > 0}
	c.Init(lc, nil, h1.ByClient)
	if v.TLS != nil && !c.announcing {
		c.secure(v)
	}
	c.next = r.first
	if r.first != nil {
		r.first.prev = c
	}
	r.first = c
	lc.SetReadTimeout(v.Entries[0].Frontend.t.Request)
	if c.announcing {
		lc.SetReadTimeout(proxyTime)
	}
	if n.closing.Load() {
		lc.SetReadTimeout(quiet)
	}
	if c.tcp && !c.announcing && !c.greeting {
		r.l.Go(c) // the server may be the one who speaks first
		return
	}
	// Most often the first bytes are still on their way: no task until they are here.
	c.idle = true
	lc.Await(c)
}

// left counts a connection that is gone.
func (n *Listener) left(at seat, remote netip.AddrPort) {
	if at.source {
		at.t.sources.leave(remote.Addr())
	}
	at.t.conns.leave()
	if p := n.first().o.Process; p != nil {
		p.leave()
	}
	n.conns.Done()
}
