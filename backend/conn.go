package backend

import (
	"crypto/tls"
	"sync/atomic"
	"time"

	"gatehouse/backend/h1"
	"gatehouse/backend/loop"
)

// conn is a connection to a server. It belongs to one loop; between exchanges it waits in the server's list of idle ones there.
type conn struct {
	h1.Conn
	home       *home
	purpose    purpose
	next, prev *conn // among the idle ones
	used       int64 // Loop.Now when it became idle
	keep       int   // seconds the server said it keeps it idle, -1: it did not say
}

// home is what a server has on one loop.
type home struct {
	srv  *server
	idle *conn // the most recently used one first
	n    atomic.Int32

	links      []*link // of HTTP/2
	plainUntil int64   // Loop.Now, until when a server that may choose has chosen HTTP/1
}

// maxIdle is how many idle connections a server keeps on one loop, idleTime how long. Most servers end them sooner, and
// that is noticed at once.
const (
	maxIdle  = 512
	idleTime = time.Minute
)

// freshness is how long a connection may have been idle to carry a request that must not be sent twice (RFC 9110
// 9.2.2): if the server ended it meanwhile, we could not tell whether it took the request. No server in use gives up a
// kept-alive connection sooner.
const freshness = time.Second

// haste is for how long such a request gets a new connection, after the server ended one without a word that had just carried an answer.
// Servers that mean to end one say so (RFC 9112 9.6: "SHOULD send"); from those that do not, even a fresh connection is
// no safe one, and one in some thousand requests would be lost on it.
const haste = time.Minute

// conn makes a connection on which HTTP/1 is spoken of what was dialled.
func (h *home) conn(lc *loop.Conn, t *tls.Conn, w purpose) *conn {
	c := &conn{home: h, purpose: w}
	c.Init(lc, t, h1.ByServer)
	return c
}

// take removes the most recently used idle connection that is good for w and returns it, nil when there is none that fits.
func (h *home) take(l *loop.Loop, w purpose, repeatable bool) *conn {
	for c, next := h.idle, (*conn)(nil); c != nil; c = next {
		next = c.next
		if c.purpose != w {
			continue
		}
		if !repeatable {
			if l.Now()-c.used > freshness.Milliseconds() || h.srv.isHasty(l) {
				return nil
			}
			c.C.Recheck()
		}
		h.remove(c)
		c.C.Watch(nil)
		if c.quiet() {
			return c
		}
		c.forsaken(l)
		c.Close()
	}
	return nil
}

// forsaken notes when the server has ended an idle connection that had just carried an answer.
func (c *conn) forsaken(l *loop.Loop) {
	if c.C.Hup() && l.Now()-c.used <= freshness.Milliseconds() {
		c.home.srv.hasty.Store(l.Unix() + haste.Milliseconds())
	}
}

// isHasty reports whether the server has done so lately.
func (s *server) isHasty(l *loop.Loop) bool { return s.hasty.Load() > l.Unix() }

// Close ends the connection, under TLS with a close_notify as far as the kernel has room (RFC 8446 6.1). To cut what the server must not take for
// complete, close C first.
func (c *conn) Close() {
	if c.T != nil && !c.C.Closed() && !c.C.Broken() {
		c.T.CloseWrite()
	}
	c.Conn.Close()
}

// quiet reports whether nothing has come on an idle connection, as far as the loop knows: it costs a system call only where there is
// news.
func (c *conn) quiet() bool {
	return !c.C.Hup() && c.Buffered() == 0 && c.Fill(false) == loop.ErrWouldBlock
}

// put keeps a connection for the next request.
func (h *home) put(c *conn) {
	l := c.C.Loop()
	c.used = l.Now()
	if h.n.Load() >= maxIdle || h.srv.gone.Load() || c.keep == 0 || !c.quiet() {
		c.forsaken(l)
		c.Close()
		return
	}
	c.prev, c.next = nil, h.idle
	if h.idle != nil {
		h.idle.prev = c
	}
	h.idle = c
	h.n.Add(1)
	c.C.SetReadTimeout(c.idleTime())
	c.C.Watch(c)
}

// idleTime returns how long the connection may be idle: not until the server ends it, where that is known, but a second less,
// or half as long: a request must not be on its way in that moment.
func (c *conn) idleTime() time.Duration {
	if c.keep < 0 {
		return idleTime
	}
	d := time.Duration(c.keep) * time.Second
	return min(idleTime, max(d-time.Second, d/2))
}

func (h *home) remove(c *conn) {
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		h.idle = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	}
	c.next, c.prev = nil, nil
	h.n.Add(-1)
}

// Run is called when something happens on an idle connection: its end, its time is over, or the server sent what nobody asked
// for, which must never reach the next client. It is discarded in each case. Only TLS may have something to say of its own, such as a
// ticket to resume with.
func (c *conn) Run() {
	if c.T != nil && c.quiet() {
		c.C.Watch(c)
		return
	}
	c.forsaken(c.C.Loop())
	c.home.remove(c)
	c.Close()
}
