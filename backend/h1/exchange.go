package h1

import (
	"crypto/tls"
	"net/netip"
	"time"

	"gatehouse/backend/loop"
)

// RoundTripper answers requests: a cache, a pool of servers, a fixed page. RoundTrip runs as a task of x.Loop and
// waits only through it. It fills x.Resp and returns nil, or it returns an *Error and leaves x.Resp
// unused. The caller reads x.Resp.Body to its end or closes it.
type RoundTripper interface {
	RoundTrip(x *Exchange) error
}

// RoundTripFunc makes a RoundTripper of a function.
type RoundTripFunc func(x *Exchange) error

// RoundTrip calls f.
func (f RoundTripFunc) RoundTrip(x *Exchange) error { return f(x) }

// Exchange is one request, its one response, and what was noted between them. It is reused, one for each
// exchange under way; whoever keeps something of it past the end keeps a copy.
type Exchange struct {
	Loop   *loop.Loop
	Req    Request
	Resp   Response
	Own    Header                // response fields for this client alone (the persistence cookie): written last, never stored
	Peer   netip.AddrPort        // who asks, after any PROXY header
	Local  netip.AddrPort        // where the request came in
	TLS    *tls.ConnectionState  // of the client's connection, nil in the clear; shared by its exchanges, and not to be changed
	Client *loop.Conn            // the connection it came on, to notice that the client went away; nil when there is none
	Inform func(*Response) error // hands a 1xx to the client; nil drops it
	// Cancel ends what a RoundTripper waits for: RoundTrip, or the Body of its response, fails soon after. The RoundTripper sets
	// it for as long as it waits for others; nil: there is nothing to end. On the loop, from whatever task.
	Cancel func()
	Note   Note
}

// Request is what the client asks, checked (hostile-input rules) and with the hop-by-hop fields taken out. A
// RoundTripper may change it.
type Request struct {
	Method []byte
	Target []byte // origin-form or "*"; an absolute-form target was split into Host and Target
	Host   []byte // the authority that counts: of the target, else the Host field. Header's Host line agrees
	Secure bool   // came over TLS: its scheme is https
	Minor  int    // minor HTTP/1 version of the client: 0 or 1; 1 for later versions
	Proto  string // "HTTP/2.0" for a client that speaks that, "" for HTTP/1
	Header Header
	// Length is the length of the content: 0 none, -1 known at its end only (it will be sent chunked).
	// The Content-Length line, if one came, is in Header and agrees.
	Length  int64
	Framing Framing // how the end of the content was marked as it came in
	Close   bool    // the client's connection ends after this exchange: "Connection: close", or HTTP/1.0 without keep-alive
	Body    Body    // nil: no content
	// Upgrade is "websocket" when the client asks for that upgrade properly, else "". The
	// Upgrade and Connection lines are not in Header.
	Upgrade string
	// Continue says the client waits for 100 Continue before it sends the content. The Expect line is not in Header.
	Continue bool
	Trailers bool // the client takes trailers ("TE: trailers")
	// Converse says that the content is one half of a conversation (gRPC): both sides may be silent for as long as the tunnel timeout, and the client
	// need not send at any rate. A RoundTripper sets it that knows its server to speak so.
	Converse bool
	Bytes    int // of the head as it came in

	head progress // of a head that is not complete yet
}

// Response is what the server answers, checked and with the hop-by-hop fields taken out.
type Response struct {
	Status int
	Reason []byte // nil where the server has none to give: it spoke HTTP/2
	Minor  int    // minor HTTP/1 version of the server
	Header Header
	// Length is the length of the content as in Request. A response without content (HEAD, 204, 304) has a nil Body
	// whatever Length says: to HEAD and with 304 it is the length that GET would have got, -1 if that is unknown.
	Length  int64
	Framing Framing // how the end of the content is marked as it comes in
	Close   bool    // the server's connection ends after this response
	Keep    int     // seconds the server keeps the connection when it is idle, as it says (Keep-Alive: timeout=N), -1 where it does not
	Body    Body    // nil: no content
	// Upgrade is the protocol a 101 switches to ("websocket"), else "". The Upgrade and Connection lines are not in Header.
	Upgrade string
	// Tunnel is the server's connection after 101 Switching Protocols: the caller relays bytes between it
	// and the client, then closes it.
	Tunnel *Conn

	head progress // of a head that is not complete yet
}

// Body is the content of a message, piece by piece. Exactly one task reads it.
type Body interface {
	// Next returns the next piece of content, io.EOF after the last one, or the *Error that
	// ended it early. The piece is valid until the following call of Next or Close. Without
	// wait, it returns an empty piece where it would have to park.
	Next(wait bool) (Piece, error)
	// Trailer returns the trailer fields, nil when none came. Valid after io.EOF.
	Trailer() *Header
	// Close gives back what the body holds, read to its end or not. It may park.
	Close()
}

// Piece is content and the room around it: Data is Buf[I:J]. The bytes before I and after J are
// scratch memory, so framing can be written in place. Memory that must not be touched has no room: I == 0 and J == len(Buf).
type Piece struct {
	Buf  []byte
	I, J int
	Last bool // nothing follows, trailers included. Without it, something may or may not follow
}

// Data returns the content of the piece.
func (p Piece) Data() []byte { return p.Buf[p.I:p.J] }

// Len returns the number of bytes of content.
func (p Piece) Len() int { return p.J - p.I }

// PieceOf makes a piece without room.
func PieceOf(b []byte) Piece { return Piece{Buf: b, J: len(b)} }

// Note is what is remembered of an exchange for the log. Durations are milliseconds, -1 for a stage never reached.
type Note struct {
	Begin    int64 // Unix milliseconds: the first byte of the request
	Request  int64 // receiving the request head (TR)
	Queue    int64 // waiting for a server (Tw)
	Connect  int64 // connecting to it (Tc)
	Response int64 // waiting for the head of the response (Tr)
	Total    int64 // from Begin to the last byte (Ta)

	Mode                      Mode   // TCP: a connection was relayed, and there was no request
	Frontend, Backend, Server string // Server "" : none was chosen (<NOSRV>)

	// Status is what the client was told, -1 when nothing was.
	Status int
	// BytesIn and BytesOut count what was read from and written to the client, heads included.
	BytesIn, BytesOut int64

	// Cause and State are the first two characters of HAProxy's termination state: who or
	// what ended the exchange ('-' for a normal end) and in which state it was then.
	Cause, State byte
	// CookieIn and CookieOut are the other two: the persistence cookie as it came and what was done to it.
	CookieIn, CookieOut byte

	Retries      int
	Redispatched bool

	// Concurrent exchanges when this one ended: process, frontend, backend, server.
	ActConn, FeConn, BeConn, SrvConn int
	// Queue positions on arrival: of the server's queue and of the backend's.
	SrvQueue, BeQueue int

	Bad   bool   // the request could not be read: logged as <BADREQ>
	Err   error  // why, for the log; nil when all went well
	Cache string // Cache-Status, "" without a cache
}

// Reset makes n ready for the next exchange.
func (n *Note) Reset() {
	*n = Note{Request: -1, Queue: -1, Connect: -1, Response: -1, Total: -1, Status: -1,
		Cause: '-', State: '-', CookieIn: '-', CookieOut: '-'}
}

// Reset makes x ready for the next exchange and keeps its memory. Bodies must have been closed.
func (x *Exchange) Reset() {
	q, r := x.Req.Header, x.Resp.Header
	x.Req, x.Resp = Request{Header: q}, Response{Header: r}
	x.Req.Header.Reset()
	x.Resp.Header.Reset()
	x.Own.Reset()
	x.Note.Reset()
	x.Inform, x.Cancel = nil, nil
}

// Timeouts bound the waiting. Zero means: not set here. Negative means: no limit (spelled "0s" in a configuration).
type Timeouts struct {
	// Connect bounds connecting to a server.
	Connect time.Duration `hcl:"connect,optional" assume:"5s"`
	// Client bounds how long a client may stay silent, or refuse to read, in the middle of an
	// exchange. Content it sends must come at 500 bytes per second besides, on average and after ten seconds of grace.
	Client time.Duration `hcl:"client,optional" assume:"1m"`
	// Server bounds how long a server may stay silent, or refuse to read, in the middle of an exchange.
	Server time.Duration `hcl:"server,optional" assume:"1m"`
	// Queue bounds how long a request may wait for a free place on a server. Without it, the connect timeout
	// counts.
	Queue time.Duration `hcl:"queue,optional" assume:"the connect timeout"`
	// Request bounds how long a client may take for the whole head of a request, and for its TLS handshake.
	Request time.Duration `hcl:"request,optional" assume:"10s"`
	// Idle bounds how long a kept-alive connection may wait for its next request.
	Idle time.Duration `hcl:"idle,optional" assume:"1m"`
	// Tunnel bounds how long both sides of an upgraded connection (WebSocket) or of a TCP relay may stay silent. In mode "tcp", where
	// only client or server is written, that counts instead, the shorter of them. Once one side of a relay has ended, the other
	// one has its own timeout, client or server.
	Tunnel time.Duration `hcl:"tunnel,optional" assume:"1h"`
	// Check bounds a health check that has no timeout of its own.
	Check time.Duration `hcl:"check,optional" assume:"2s"`
}

// Or returns t with what is not set there taken from o.
func (t Timeouts) Or(o Timeouts) Timeouts {
	or := func(a, b time.Duration) time.Duration {
		if a != 0 {
			return a
		}
		return b
	}
	return Timeouts{
		Connect: or(t.Connect, o.Connect), Client: or(t.Client, o.Client), Server: or(t.Server, o.Server),
		Queue: or(t.Queue, o.Queue), Request: or(t.Request, o.Request), Idle: or(t.Idle, o.Idle),
		Tunnel: or(t.Tunnel, o.Tunnel), Check: or(t.Check, o.Check),
	}
}

// WithDefaults returns t with the documented defaults where nothing is set.
func (t Timeouts) WithDefaults() Timeouts {
	t = t.Or(Timeouts{Connect: 5 * time.Second, Client: time.Minute, Server: time.Minute, Request: 10 * time.Second,
		Idle: time.Minute, Tunnel: time.Hour, Check: 2 * time.Second})
	if t.Queue == 0 {
		t.Queue = t.Connect
	}
	return t
}
