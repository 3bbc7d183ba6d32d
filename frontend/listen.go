package frontend

import (
	"crypto/tls"
	"io"
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
}

// ListenConfig is an address and who takes what comes in there.
type ListenConfig struct {
	Address loop.Addr
	Entries []Entry     // at least one; several are told apart by their hosts
	TLS     *tls.Config // nil: plain HTTP
	Loops   []*loop.Loop
	// Listen opens the address. nil: the loop does, on the real network.
	Listen func(l *loop.Loop, a loop.Addr, accept func(loop.Socket)) (io.Closer, error)
	// OnError is told, on a loop, when accepting fails for want of descriptors or memory. nil: nobody is.
	OnError func(error)
}

// Listener is an open address. Connections are accepted on the first loop and spread over all of them in turn: with one
// listening socket per loop the kernel would spread a few long connections unevenly.
type Listener struct {
	c       ListenConfig
	first   *Frontend // whose limits and timeouts count until a request says which frontend it is for
	l       *loop.Loop
	in      io.Closer
	addr    loop.Addr
	turn    int
	rooms   []*room // by Loop.ID
	closing atomic.Bool
	conns   sync.WaitGroup
}

// room is what a listener owns on one loop.
type room struct {
	ln      *Listener
	l       *loop.Loop
	first   *conn // the connections, in no order
	free    []*exchange
	greet   int        // TLS handshakes under way
	waiting loop.Event // for room to greet
}

// Listen opens the address.
func Listen(c ListenConfig) (*Listener, error) {
	n := &Listener{c: c, first: c.Entries[0].Frontend, l: c.Loops[0], addr: c.Address}
	for _, l := range c.Loops {
		for len(n.rooms) <= l.ID {
			n.rooms = append(n.rooms, nil)
		}
		n.rooms[l.ID] = &room{ln: n, l: l}
	}
	if c.Listen != nil {
		in, err := c.Listen(n.l, c.Address, n.accept)
		if err != nil {
			return nil, err
		}
		n.in = in
	} else {
		in, err := n.l.Listen(c.Address, n.accept)
		if err != nil {
			return nil, err
		}
		in.OnError = c.OnError
		n.in, n.addr = in, in.Addr()
	}
	return n, nil
}

// Addr returns the address, with the port the kernel chose where 0 was asked for.
func (n *Listener) Addr() loop.Addr { return n.addr }

// accept takes a new connection. On the accepting loop.
func (n *Listener) accept(s loop.Socket) {
	f := n.first
	f.Stats.Connections.Add(1)
	if f.monitor.has(s.Remote.Addr()) {
		f.Stats.Monitored.Add(1)
		n.answerMonitor(s)
		return
	}
	if !f.sources.take(s.Remote.Addr()) {
		f.Stats.Refused.Add(1)
		s.Close()
		return
	}
	f.conns.take()
	if f.o.Process != nil {
		f.o.Process.take()
	}
	n.conns.Add(1)
	l := n.c.Loops[n.turn%len(n.c.Loops)]
	n.turn++
	if l == n.l {
		n.rooms[l.ID].serve(s)
	} else {
		l.Post(func() { n.rooms[l.ID].serve(s) })
	}
	if p, ok := n.in.(interface {
		Pause()
		Resume()
	}); ok {
		resume := func() { n.l.Post(p.Resume) }
		if f.conns.isFull(resume) || f.o.Process != nil && f.o.Process.isFull(resume) {
			p.Pause()
		}
	}
}

// answerMonitor answers a supervisor's connection: at once and without waiting for a request, as HAProxy's monitor-net did;
// where TLS is spoken there is nothing to say in the clear.
func (n *Listener) answerMonitor(s loop.Socket) {
	c, err := n.l.Adopt(s)
	if err != nil {
		return
	}
	if n.c.TLS != nil {
		c.Close()
		return
	}
	n.l.Go(loop.Func(func() {
		c.SetWriteTimeout(time.Second)
		c.Write([]byte("HTTP/1.0 200 OK\r\n\r\n"))
		linger(c, time.Second)
	}))
}

// linger ends a connection so that the peer can read what was written last: closing with input unread would
// make the kernel reset it (RFC 9112 9.6). It parks.
func linger(c *loop.Conn, d time.Duration) {
	defer c.Close()
	if c.Drain() != nil || c.CloseWrite() != nil {
		return
	}
	const most = 1 << 20
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
func (r *room) serve(s loop.Socket) {
	n := r.ln
	lc, err := r.l.Adopt(s)
	if err != nil {
		n.left(s)
		return
	}
	c := &conn{room: r, began: r.l.Unix()}
	var t *tls.Conn
	if n.c.TLS != nil {
		t = tls.Server(lc, n.c.TLS)
		c.greeting = true
	}
	c.Init(lc, t, h1.ByClient)
	c.next = r.first
	if r.first != nil {
		r.first.prev = c
	}
	r.first = c
	lc.SetReadTimeout(n.first.t.Request)
	if n.closing.Load() {
		c.end()
		return
	}
	// Most often the first bytes are still on their way: no task until they are here.
	c.idle = true
	lc.Await(c)
}

// left counts a connection that is gone.
func (n *Listener) left(s loop.Socket) {
	f := n.first
	f.sources.leave(s.Remote.Addr())
	f.conns.leave()
	if f.o.Process != nil {
		f.o.Process.leave()
	}
	n.conns.Done()
}

// quiet is how long an idle connection may still send a request after Shutdown: one may be on its way already.
const quiet = 500 * time.Millisecond

// Shutdown stops listening. Connections end after the exchange that is under way, idle ones after a moment. Wait waits for them.
func (n *Listener) Shutdown() {
	if n.closing.Swap(true) {
		return
	}
	n.l.Post(func() { n.in.Close() })
	for _, l := range n.c.Loops {
		r := n.rooms[l.ID]
		l.Post(func() {
			for c := r.first; c != nil; c = c.next {
				if c.idle {
					c.C.SetReadTimeout(quiet)
				}
			}
		})
	}
}

// Abort closes every connection at once.
func (n *Listener) Abort() {
	n.Shutdown()
	for _, l := range n.c.Loops {
		r := n.rooms[l.ID]
		l.Post(func() {
			for c := r.first; c != nil; {
				next := c.next
				c.abort()
				c = next
			}
		})
	}
}

// Wait returns when every connection has ended.
func (n *Listener) Wait() { n.conns.Wait() }
