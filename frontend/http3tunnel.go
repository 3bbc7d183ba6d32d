package frontend

import (
	"net"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"gatehouse/backend/h1"
)

// tunnel is carrier's: a WebSocket over a stream of its own (RFC 9220). What is HTTP/1's 101 is a 200 here.
func (x *http3Stream) tunnel(e *exchange, f *Frontend) {
	server := e.Resp.Tunnel
	defer server.Close()
	if !accepted(&e.Exchange) {
		e.fail(&h1.Error{Status: 502, Side: h1.ByServer, Err: errAccept, Cause: 'P', State: 'H'})
		return
	}
	h := &e.Resp.Header
	h.DelName("Sec-WebSocket-Accept")
	e.Note.Status = e.Resp.Status
	e.Resp.Status = 200
	b := x.appendHead(e.Loop.Small(), e)
	x.headed = true
	err := x.write(e, b, nil, f.t.Client)
	e.Loop.PutSmall(b)
	if err != nil {
		e.fail(err)
		return
	}
	x.taken = true
	nc := &http3Pipe{s: x.str, raw: x.raw, local: x.q.qc.LocalAddr(), remote: x.q.qc.RemoteAddr()}
	client := h1.NewConn(x.room.l.Adapt(nc, x.local, x.peer), nil, h1.ByClient)
	up, down, side, err := h1.Tunnel(client, server, f.t.Tunnel)
	e.Note.BytesIn += up
	e.Note.BytesOut += down
	if err != nil {
		e.fail(&h1.Error{Side: side, Err: err, State: 'D'})
	}
	client.Close()
}

// http3Pipe is a stream as a net.Conn.
type http3Pipe struct {
	s             *http3.Stream
	raw           *quic.Stream
	frame         []byte
	local, remote net.Addr
	ended         atomic.Bool // this side has, in good order
}

func (p *http3Pipe) Read(b []byte) (int, error)         { return p.s.Read(b) }
func (p *http3Pipe) LocalAddr() net.Addr                { return p.local }
func (p *http3Pipe) RemoteAddr() net.Addr               { return p.remote }
func (p *http3Pipe) SetDeadline(t time.Time) error      { return p.s.SetDeadline(t) }
func (p *http3Pipe) SetReadDeadline(t time.Time) error  { return p.s.SetReadDeadline(t) }
func (p *http3Pipe) SetWriteDeadline(t time.Time) error { return p.s.SetWriteDeadline(t) }

// Write sends a DATA frame.
func (p *http3Pipe) Write(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	p.frame = appendContentHead(p.frame[:0], len(b))
	if _, err := p.raw.Write(p.frame); err != nil {
		return 0, err
	}
	return p.raw.Write(b)
}

// CloseWrite ends this side.
func (p *http3Pipe) CloseWrite() error {
	p.ended.Store(true)
	return p.s.Close()
}

// Close ends both sides. Where this one has not ended before, something is missing, and the client shall notice.
func (p *http3Pipe) Close() error {
	p.s.CancelRead(quic.StreamErrorCode(http3.ErrCodeRequestCanceled))
	if !p.ended.Load() {
		p.s.CancelWrite(quic.StreamErrorCode(http3.ErrCodeRequestCanceled))
	}
	return nil
}
