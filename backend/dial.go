package backend

import (
	"crypto/tls"
	"errors"
	"net/netip"
	"time"

	"gatehouse/backend/h1"
	"gatehouse/backend/loop"
)

// purpose is what a connection to a server is good for, beyond leading there: which port, and whom it has announced. Most servers
// have one port and are told nothing: then it is zero.
type purpose struct {
	port     uint16         // the one the client came to, where the server has none of its own
	from, to netip.AddrPort // the client and where it came in, where the server is told (send_proxy)
}

// purpose returns what a connection must be good for to carry x.
func (s *server) purpose(x *h1.Exchange) (w purpose) {
	if s.c.SendProxy == 0 && !s.portless() {
		return w
	}
	in := x.Local
	if !in.IsValid() && x.Client != nil {
		in = x.Client.Local()
	}
	if s.portless() {
		w.port = in.Port()
	}
	if s.c.SendProxy != 0 {
		w.from, w.to = x.Peer, in
	}
	return w
}

// portless reports whether the server is reached at whatever port clients come to.
func (s *server) portless() bool { return s.c.Address.Port() == 0 && s.c.Address.Path == "" }

var errNoPort = errors.New("neither the server nor the place where the client came in has a port")

// dial makes a new connection for HTTP/1. Until it is ready it is also in *making, and closing it there gives it up. It parks.
func (p *Pool) dial(l *loop.Loop, srv *server, w purpose, making **loop.Conn) (*conn, error) {
	under := srv.tls.Load()
	if under != nil && srv.c.Protocol != ProtocolHTTP1 {
		under = under.Clone()
		under.NextProtos = []string{protocolH1}
	}
	lc, t, err := p.reach(l, srv, w, under, making)
	if err != nil {
		return nil, err
	}
	return srv.homes[l.ID].conn(lc, t, w), nil
}

// reach connects to a server, tells it whom the connection is for, and does the TLS handshake, all within the connect timeout. Until it is
// ready the connection is also in *making, and closing it there gives it up. It parks.
func (p *Pool) reach(l *loop.Loop, srv *server, w purpose, under *tls.Config, making **loop.Conn) (*loop.Conn, *tls.Conn, error) {
	began := l.Now()
	to := srv.address()
	if srv.portless() {
		if to = to.WithPort(w.port); w.port == 0 {
			return nil, nil, errNoPort
		}
	}
	lc, err := p.o.Dial(l, loop.Dial{To: to, From: srv.c.Source, Timeout: p.t.Connect, Making: making})
	if err != nil {
		return nil, nil, err
	}
	*making = lc
	defer func() { *making = nil }()
	t, err := greet(lc, srv.c.SendProxy, w.from, w.to, under, remaining(l, began, p.t.Connect))
	if err != nil {
		lc.Close()
		return nil, nil, err
	}
	return lc, t, nil
}

// remaining returns what is left of d since began, at least a millisecond; d itself where it is no limit.
func remaining(l *loop.Loop, began int64, d time.Duration) time.Duration {
	if d <= 0 {
		return d
	}
	return max(d-time.Duration(l.Now()-began)*time.Millisecond, time.Millisecond)
}

// greet begins a new connection as a server wants it, within d (0 or less: no limit): with a PROXY header unless v is 0, then with a TLS
// handshake unless config is nil. The TLS connection is nil in the clear. It parks. It does not close the connection when it fails.
func greet(c *loop.Conn, v ProxyVersion, from, to netip.AddrPort, config *tls.Config, d time.Duration) (*tls.Conn, error) {
	l := c.Loop()
	began := l.Now()
	if v != 0 {
		b := v.append(l.Small(), from, to)
		c.SetWriteTimeout(d)
		_, err := c.Write(b)
		c.SetWriteTimeout(0)
		l.PutSmall(b)
		if err != nil {
			return nil, err
		}
	}
	if config == nil {
		return nil, nil
	}
	return greetServer(c, config, remaining(l, began, d))
}
