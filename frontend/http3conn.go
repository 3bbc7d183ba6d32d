package frontend

import (
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// quicConn is a client's connection of HTTP/3. Its requests are served by one loop.
type quicConn struct {
	s       *quicSide
	qc      *quic.Conn
	room    *room
	seat    seat
	peer    netip.AddrPort // when it came; a client may move on, and is still the one it was then
	local   netip.AddrPort
	session *session
	most    int64          // requests at once, as the client was told
	active  atomic.Int64   // requests
	running sync.WaitGroup // and the goroutines they have
	parting atomic.Bool    // it ends when there are none
	killed  atomic.Bool

	resets resetCount // of the loop
}

// resetCount counts requests that were reset, since a time.
type resetCount struct {
	since int64 // Loop.Now
	n     int64
}

type quicConnKey struct{}

// noLog drops what quic-go says about single connections: it is the access log's, or nobody's.
var noLog = slog.New(slog.DiscardHandler)

// meet makes a connection of a handshake that succeeded. It returns nil when there are enough from that address.
func (s *quicSide) meet(qc *quic.Conn) *quicConn {
	v := s.n.view.Load()
	f := v.Entries[0].Frontend
	f.Stats.Connections.Add(1)
	peer := addrOf(qc.RemoteAddr())
	ok, counted := f.sources.take(peer.Addr())
	if !ok {
		f.Stats.Refused.Add(1)
		return nil
	}
	f.conns.take()
	if f.o.Process != nil {
		f.o.Process.take()
	}
	s.n.conns.Add(1)
	l := s.n.loops[int(s.turn.Add(1))%len(s.n.loops)]
	return &quicConn{s: s, qc: qc, room: s.n.rooms[l.ID], seat: seat{f.Tally, counted}, peer: peer, local: addrOf(qc.LocalAddr()), most: int64(f.maxStreams()),
		session: v.newSession(qc.ConnectionState().TLS)}
}

// addrOf returns the address in a net.Addr.
func addrOf(a net.Addr) netip.AddrPort {
	u, ok := a.(*net.UDPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	p := u.AddrPort()
	return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
}

// begin counts a request that begins. It reports false when there are too many: quic-go lets a client begin a new one for each that it has reset,
// whether we have done with that or not.
func (c *quicConn) begin() bool {
	if c.active.Add(1) > 2*c.most {
		c.active.Add(-1)
		return false
	}
	c.running.Add(1)
	return true
}

// broken counts a request that was reset, by the client or because it was malformed. A client that does that all the time makes work for
// nothing ("rapid reset"), and is sent away. On the loop.
func (c *quicConn) broken() {
	r, now := &c.resets, c.room.l.Now()
	if now-r.since >= abuseTime {
		*r = resetCount{since: now}
	}
	if r.n++; r.n == 2*c.most+1 {
		c.s.n.first().Stats.Bad.Add(1)
		go c.qc.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeExcessiveLoad), "too many requests were reset")
	}
}

// end counts one that has ended.
func (c *quicConn) end() {
	if c.active.Add(-1) == 0 && c.parting.Load() {
		c.rest()
	}
	c.running.Done()
}

// part lets the connection end with its last request.
func (c *quicConn) part() {
	c.parting.Store(true)
	if c.active.Load() == 0 {
		c.rest()
	}
}

// rest ends the connection in a moment, unless a request comes: one may be on its way, and the last answer is. The client, which was told
// to go, may do so first.
func (c *quicConn) rest() {
	time.AfterFunc(quiet, func() {
		if c.active.Load() == 0 {
			c.qc.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "")
		}
	})
}

// kill ends the connection and whatever is under way.
func (c *quicConn) kill() {
	c.killed.Store(true)
	c.qc.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeInternalError), "")
}
