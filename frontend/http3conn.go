package frontend

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
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
	active  atomic.Int64 // requests
	parting atomic.Bool  // it ends when there are none
	killed  atomic.Bool
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
	return &quicConn{s: s, qc: qc, room: s.n.rooms[l.ID], seat: seat{f.Tally, counted}, peer: peer, local: addrOf(qc.LocalAddr()),
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

// begin counts a request that begins.
func (c *quicConn) begin() { c.active.Add(1) }

// end counts one that has ended.
func (c *quicConn) end() {
	if c.active.Add(-1) == 0 && c.parting.Load() {
		c.rest()
	}
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

// serveHTTP3 serves a request (http.Handler). It returns when the request has ended.
func serveHTTP3(w http.ResponseWriter, r *http.Request) {
	c, ok := r.Context().Value(quicConnKey{}).(*quicConn)
	if !ok || c == nil {
		panic(http.ErrAbortHandler)
	}
	c.begin()
	defer c.end()
	x := newHTTP3Stream(c, w, r)
	stop := context.AfterFunc(r.Context(), x.gone)
	defer stop()
	x.serve()
}
