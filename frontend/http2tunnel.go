package frontend

import (
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"io"
	"os"
	"time"

	"gatehouse/backend/h1"
	"gatehouse/backend/loop"
)

// A WebSocket on a stream (RFC 8441): the client's extended CONNECT goes to the server as the opening handshake of RFC 6455, and what both
// say is carried in DATA frames.

// offerWebSocket completes the handshake for the server: "Implementations using this extended CONNECT to bootstrap WebSockets do not do the
// processing of the Sec-WebSocket-Key and Sec-WebSocket-Accept header fields" (RFC 8441 5). Of another version than HTTP/1 may ask for there is
// none here either.
func offerWebSocket(h *h1.Header) error {
	switch i := h.Index(h1.SecWebSocketVersion, 0); {
	case i < 0:
		h.AddString("Sec-WebSocket-Version", "13")
	case string(h.Value(i)) != "13" || h.Index(h1.SecWebSocketVersion, i+1) >= 0:
		return refuse(400, errVersion)
	}
	h.Del(h1.SecWebSocketKey)
	var key [16]byte
	rand.Read(key[:])
	h.AddString("Sec-WebSocket-Key", base64.StdEncoding.EncodeToString(key[:]))
	return nil
}

var (
	errVersion = errors.New("a WebSocket of another version than 13")
	errAccept  = errors.New("101 without the right Sec-WebSocket-Accept")
)

// accepted reports whether the server has understood the handshake (RFC 6455 4.2.2).
func accepted(x *h1.Exchange) bool {
	const id = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
	sum := sha1.Sum(append(append([]byte{}, x.Req.Header.Get(h1.SecWebSocketKey)...), id...))
	return string(x.Resp.Header.GetName("Sec-WebSocket-Accept")) == base64.StdEncoding.EncodeToString(sum[:])
}

// tunnel is carrier's.
func (s *stream) tunnel(e *exchange, f *Frontend) {
	x := &e.Exchange
	server := x.Resp.Tunnel
	defer server.Close()
	if !accepted(x) {
		e.fail(&h1.Error{Status: 502, Side: h1.ByServer, Err: errAccept, Cause: 'P', State: 'H'})
		return
	}
	x.Resp.Header.DelName("Sec-WebSocket-Accept")
	x.Resp.Status = 200
	if err := s.headOf(e, f, false); err != nil {
		e.fail(err)
		return
	}
	x.Note.Status = 101 // what it is to everybody else
	t := &h2tunnel{s: s, e: e, f: f, server: server, busy: s.h.l.Now()}
	t.up.t = t
	s.h.l.Go(&t.up)
	t.down()
	t.up.done.Wait(s.h.l, 0)
	x.Note.BytesIn += t.up.n
	if t.err != nil {
		e.fail(&h1.Error{Side: t.by, Err: t.err, State: 'D'})
	}
}

// h2tunnel is what both directions share.
type h2tunnel struct {
	s      *stream
	e      *exchange
	f      *Frontend
	server *h1.Conn
	busy   int64 // when something last moved, in either direction
	err    error
	by     h1.Side
	up     h2up
}

// fail ends both directions.
func (t *h2tunnel) fail(err error, by h1.Side) {
	if t.err == nil {
		t.err, t.by = err, by
	}
	t.server.C.Close()
	t.s.in.Interrupt()
	t.s.in.shut = true
}

// left returns how long both sides may still be silent, 0 for ever.
func (t *h2tunnel) left() time.Duration {
	d := t.f.t.Tunnel
	if d <= 0 {
		return 0
	}
	return max(d-time.Duration(t.s.h.l.Now()-t.busy)*time.Millisecond, time.Millisecond)
}

// over reports whether both have been silent for too long.
func (t *h2tunnel) over() bool {
	d := t.f.t.Tunnel.Milliseconds()
	return d > 0 && t.s.h.l.Now()-t.busy >= d
}

// down relays from the server to the client.
func (t *h2tunnel) down() {
	c := t.server
	c.Patience = 0
	for {
		for c.Buffered() == 0 {
			c.C.SetReadTimeout(t.left())
			err := c.Fill(true)
			switch {
			case err == io.EOF:
				if err := t.s.write(t.e, nil, true, t.f); err != nil {
					t.fail(err, h1.ByClient)
				}
				return
			case errors.Is(err, os.ErrDeadlineExceeded) && !t.over():
			case err != nil:
				t.fail(err, h1.ByServer)
				return
			}
		}
		t.busy = t.s.h.l.Now()
		b := c.Unread()
		if err := t.s.write(t.e, b, false, t.f); err != nil {
			t.fail(err, h1.ByClient)
			return
		}
		t.busy = t.s.h.l.Now()
		c.Discard(len(b))
	}
}

// h2up is the task that relays from the client to the server.
type h2up struct {
	t    *h2tunnel
	n    int64
	done loop.Event
}

// Run relays until the end.
func (u *h2up) Run() {
	t := u.t
	defer u.done.Set(t.s.h.l)
	b := &t.s.in
	for {
		p, err := b.Next(false)
		switch {
		case err == io.EOF:
			t.server.CloseWrite()
			return
		case err != nil:
			t.fail(err, h1.ByClient)
			return
		case p.Len() == 0:
			b.more.Clear()
			b.waiting = true
			ok := b.more.Wait(t.s.h.l, t.left())
			b.waiting = false
			switch {
			case b.broken || t.err != nil:
				return
			case !ok && t.over():
				t.fail(os.ErrDeadlineExceeded, h1.ByClient)
				return
			}
			continue
		}
		t.busy = t.s.h.l.Now()
		t.server.C.SetWriteTimeout(t.f.t.Tunnel)
		if err := t.server.Write(p.Data()); err != nil {
			t.fail(err, h1.ByServer)
			return
		}
		t.busy = t.s.h.l.Now()
		u.n += int64(p.Len())
	}
}
