package frontend

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/pires/go-proxyproto"

	"gatehouse/backend/h1"
	"gatehouse/backend/loop"
)

// proxyTime is how long a balancer may take for its PROXY header. It is the first thing it sends, in one piece.
const proxyTime = 3 * time.Second

// Where a PROXY header ends (its specification, 2.1 and 2.2). A header of version 2 has 16 bytes and then as many as they say; what
// balancers add to the addresses there (names, certificates) is not read and fits into maxProxyV2 by far.
const (
	maxProxyV1 = 107
	minProxyV2 = 16
	maxProxyV2 = 4 << 10
)

var (
	proxyV1 = []byte("PROXY ")
	proxyV2 = []byte("\r\n\r\n\x00\r\nQUIT\n")
)

var (
	errNoProxy    = errors.New("no PROXY header")
	errProxyLong  = errors.New("PROXY header too long")
	errProxyTwice = errors.New("two PROXY headers")
	errNobody     = errors.New("a request behind a PROXY header without addresses")
)

// announcement is what a PROXY header says.
type announcement struct {
	// Peer is the client, Local where it came in. Both are invalid when the balancer speaks for itself (version 1 UNKNOWN, version
	// 2 LOCAL).
	Peer, Local netip.AddrPort
}

// announces reports whether a connection from there announces its client. Whoever may open a unix socket may do so on it.
func (v *ListenConfig) announces(from netip.AddrPort) bool {
	return len(v.AcceptProxy) > 0 && (!from.IsValid() || v.proxies.has(from.Addr()))
}

// announce reads the PROXY header that the connection has to begin with, and counts the connection as its client's from then on. It
// reports whether to go on. It parks.
func (c *conn) announce() bool {
	v := c.room.ln.view.Load()
	f := v.Entries[0].Frontend
	if !v.announces(c.peer) { // a reload has come in between
		f.Stats.Refused.Add(1)
		return false
	}
	var a announcement
	for {
		b := c.Unread()
		var n int
		var err error
		if a, n, err = parseProxy(b); n > 0 {
			c.Discard(n)
			break
		}
		if err == nil {
			if err = c.Fill(true); err == nil {
				continue
			}
			if len(b) == 0 {
				c.over(err)
				return false
			}
		}
		c.unannounced(f, err)
		return false
	}
	c.announcing = false
	if a.Peer.IsValid() {
		c.peer, c.local = a.Peer, a.Local
	} else if !f.monitor.has(c.peer.Addr()) {
		// "The connection was established on purpose by the proxy without being relayed", for a check: that it was taken is the answer. What
		// it sends behind that is nobody's.
		if c.Buffered() > 0 {
			c.unannounced(f, errNobody)
		} else {
			f.Stats.Monitored.Add(1)
		}
		return false
	}
	if f.monitor.has(c.peer.Addr()) {
		f.Stats.Monitored.Add(1)
		if !v.tcp() && v.TLS == nil && !c.room.ln.failing.Load() {
			c.Conn.Write([]byte(well))
			c.hangUp()
		}
		return false
	}
	ok, counted := c.seat.t.sources.take(c.peer.Addr())
	c.seat.source = counted
	if !ok {
		f.Stats.Refused.Add(1)
		return false
	}
	c.C.SetReadTimeout(f.t.Request)
	if v.TLS != nil {
		c.secure(v)
	}
	return true
}

// secure puts TLS on a connection of which something may have been read already.
func (c *conn) secure(v *ListenConfig) {
	transport := net.Conn(c.C)
	if b := c.Unread(); len(b) > 0 {
		transport = &begun{Conn: c.C, read: bytes.Clone(b)}
		c.Discard(len(b))
	}
	c.Init(c.C, tls.Server(transport, v.TLS), h1.ByClient)
	c.under = v
	c.greeting = true
}

// begun is a connection of which something was read already.
type begun struct {
	*loop.Conn
	read []byte
}

// Read is net.Conn's.
func (b *begun) Read(p []byte) (int, error) {
	if len(b.read) == 0 {
		return b.Conn.Read(p)
	}
	n := copy(p, b.read)
	b.read = b.read[n:]
	return n, nil
}

// unannounced logs a connection that did not begin with a proper PROXY header.
func (c *conn) unannounced(f *Frontend, err error) {
	f.Stats.Bad.Add(1)
	if f.log() == nil || c.killed {
		return
	}
	e := c.room.take(c)
	defer c.room.give(e)
	n := &e.Note
	n.Begin, n.Frontend, n.Mode, n.Bad, n.Err, n.Cause, n.State = c.began, f.c.Name, f.c.Mode, true, err, 'P', 'R'
	n.Total = c.room.l.Now() - c.since
	e.log(f)
}

// parseProxy reads the PROXY header that b begins with and returns its length, 0 while it is not complete. It takes what the
// specification allows for TCP and nothing else: "The receiver must not start processing the connection before it receives a
// complete and valid PROXY protocol header".
func parseProxy(b []byte) (a announcement, n int, err error) {
	n, err = proxyLen(b)
	if n == 0 || err != nil {
		return a, 0, err
	}
	// The library gets the header whole and nothing else, so it never waits for more.
	h, err := proxyproto.Read(bufio.NewReaderSize(bytes.NewReader(b[:n]), n))
	switch {
	case err != nil:
		return a, 0, fmt.Errorf("PROXY header: %w", err)
	case isProxy(b[n:]):
		return a, 0, errProxyTwice
	case h.Command.IsLocal():
		return a, n, nil
	}
	src, ok1 := h.SourceAddr.(*net.TCPAddr)
	dst, ok2 := h.DestinationAddr.(*net.TCPAddr)
	if !ok1 || !ok2 {
		return a, 0, fmt.Errorf("PROXY header: %s is not TCP", h.SourceAddr.Network())
	}
	a.Peer, a.Local = plain(src.AddrPort()), plain(dst.AddrPort())
	return a, n, nil
}

// plain returns an IPv4 address in IPv6 clothes as what it is.
func plain(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

// proxyLen returns the length of the PROXY header that b begins with, 0 while that cannot be told.
func proxyLen(b []byte) (int, error) {
	switch {
	case begins(b, proxyV1):
		line := b[:min(len(b), maxProxyV1)]
		if i := bytes.IndexByte(line, '\n'); i >= 0 {
			return i + 1, nil
		}
		if len(line) == maxProxyV1 {
			return 0, errProxyLong
		}
		return 0, nil
	case begins(b, proxyV2):
		if len(b) < minProxyV2 {
			return 0, nil
		}
		n := int(binary.BigEndian.Uint16(b[14:]))
		if n > maxProxyV2 {
			return 0, errProxyLong
		}
		if len(b) < minProxyV2+n {
			return 0, nil
		}
		return minProxyV2 + n, nil
	}
	return 0, errNoProxy
}

// begins reports whether b begins with prefix, or may do so once more of it is there.
func begins(b, prefix []byte) bool {
	n := min(len(b), len(prefix))
	return bytes.Equal(b[:n], prefix[:n])
}

// isProxy reports whether b begins with a PROXY header, whole or not.
func isProxy(b []byte) bool { return bytes.HasPrefix(b, proxyV1) || bytes.HasPrefix(b, proxyV2) }
