package frontend

import (
	"errors"

	"gatehouse/backend/h1"
)

// Relayer takes whole connections: a pool of servers in mode "tcp". Relay runs as a task of x.Loop and relays until both sides have
// ended; the connection stays its caller's. x has no request: its Peer and Local say who came and where, and its Note is filled for the
// log. written are the frontend's timeouts as the configuration has them. An error is an *h1.Error.
type Relayer interface {
	Relay(x *h1.Exchange, client *h1.Conn, written h1.Timeouts) error
}

// Why a connection is not relayed.
var (
	errNoRelay   = errors.New("no backend for this connection")
	errNotServed = errors.New("no frontend on this address serves the name")
)

// relay serves a connection in mode "tcp". It parks until the connection is over, and leaves it to be closed.
func (c *conn) relay() {
	r := c.room
	v := r.ln.view.Load() // one and the same for the whole connection, whatever a reload does meanwhile
	e := r.take(c)
	defer r.done(e)
	x := &e.Exchange
	n := &x.Note
	n.Begin, n.Mode = c.began, h1.TCP
	begin := c.since
	entry, err := c.entry(v)
	if err != nil {
		c.over(err)
		return
	}
	e.entry = entry
	if entry == nil {
		e.entry = &v.Entries[0]
	}
	f := e.entry.Frontend
	n.Frontend = f.c.Name
	f.Stats.Requests.Add(1)
	f.Stats.Active.Add(1)
	c.served = true
	switch {
	case entry == nil:
		err = refuse(0, errNotServed)
	case f.o.Relay == nil:
		err = refuse(0, errNoRelay)
	default:
		err = f.o.Relay.Relay(x, &c.Conn, f.written)
	}
	n.Total = r.l.Now() - begin
	n.FeConn = f.conns.Count()
	n.ActConn = n.FeConn
	if f.o.Process != nil {
		n.ActConn = f.o.Process.Count()
	}
	f.Stats.Active.Add(-1)
	by := h1.ByClient // the one who ended it
	if err != nil {
		by = c.note(n, err)
	}
	if l := f.log(); l != nil && (l.Empty() || n.BytesIn > 0 || n.BytesOut > 0 || by != h1.ByClient) {
		e.log(f)
	}
	if by == h1.ByServer && n.State == 'D' && c.T == nil {
		c.hangUp() // what the server said last may still be on its way
	}
}

// note notes the error that ended a relay, and returns whose it is.
func (c *conn) note(n *h1.Note, err error) h1.Side {
	c.aborted = true // no close_notify: what is cut must not look complete
	he, ok := errors.AsType[*h1.Error](err)
	if !ok {
		he = &h1.Error{Side: h1.ByProxy, Cause: 'I', State: 'D'}
	}
	n.Err, n.Cause, n.State = err, he.Cause, he.State
	if c.killed {
		n.Cause = 'K'
		return h1.ByProxy
	}
	return he.Side
}

// entry finds the frontend a connection is for: where hosts tell frontends apart, by the name the client asks for in its TLS hello. nil:
// none serves it. An error means that the client said nothing whole. It parks.
func (c *conn) entry(v *ListenConfig) (*Entry, error) {
	if !v.byName() {
		return &v.Entries[0], nil
	}
	if c.T != nil {
		return v.pick([]byte(c.T.ConnectionState().ServerName)), nil
	}
	for {
		name, done := serverName(c.Unread())
		if done {
			return v.pick(name), nil
		}
		if err := c.Fill(true); err != nil {
			return nil, err
		}
	}
}

// byName reports whether a connection's name counts.
func (v *ListenConfig) byName() bool {
	return len(v.Entries) > 1 || len(v.Entries[0].Frontend.c.Hosts) > 0
}

// tcp reports whether connections are relayed as they are.
func (v *ListenConfig) tcp() bool { return v.Entries[0].Frontend.c.Mode == h1.TCP }
