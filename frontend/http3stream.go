package frontend

import (
	"context"
	"net/http"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"gatehouse/backend/h1"
	"gatehouse/backend/loop"
)

// http3Stream is a request over HTTP/3 and its answer. The goroutine that quic-go has started for the request sees it read and goes; a task of the
// connection's loop serves the exchange, and writes what is short itself. What may block is done by a goroutine for as long as it is needed:
// one reads content, one writes what is long. What one side hands the other lies still until that is done with it, so nothing is copied on the
// way, and who is slow holds up the other.
type http3Stream struct {
	conn // stands for the connection, for this exchange alone: it has no loop.Conn
	q    *quicConn
	req  *http.Request
	e    *exchange     // while the task runs
	str  *http3.Stream // ends the stream, and reads
	raw  *quic.Stream  // the same, without frames
	body *http3Body    // nil: no content
	stop func() bool   // of gone

	jobs   chan job // for the goroutine that writes; at most one is under way. nil: none was needed yet
	said   func()   // posts that the job is done; made once
	err    error    // of that job
	done   loop.Event
	queued int // bytes that may still lie with quic-go

	begun  int64         // Unix milliseconds
	headed bool          // the head of the answer was written, or tried to
	whole  bool          // and so was all of it
	over   bool          // the task has ended
	taken  bool          // the protocol is switched
	code   http3.ErrCode // how the stream ends where nothing was written
}

// malformedCode is how a stream ends whose request is malformed (RFC 9114 4.1.2).
const malformedCode = http3.ErrCodeMessageError

// longAgo is a deadline that is over.
var longAgo = time.Unix(1, 0)

// serveHTTP3 serves a request (http.Handler). It takes the stream over from quic-go and returns when the request is read but for its content.
func serveHTTP3(w http.ResponseWriter, r *http.Request) {
	c, ok := r.Context().Value(quicConnKey{}).(*quicConn)
	if !ok || c == nil {
		panic(http.ErrAbortHandler)
	}
	str, err := w.(http3.HTTPStreamer).HTTPStream()
	if err != nil {
		return
	}
	if !c.begin() {
		// "a client can treat requests rejected by the server as though they had never been sent at all" (RFC 9114 4.1.1)
		abandon(str, http3.ErrCodeRequestRejected)
		return
	}
	x := &http3Stream{q: c, req: r, str: str, raw: str.QUICStream(), code: http3.ErrCodeInternalError, begun: time.Now().UnixMilli()}
	x.room, x.peer, x.local, x.session, x.h3 = c.room, c.peer, c.local, c.session, c
	if content := x.lookForContent(); content != nil {
		x.body = newHTTP3Body(x, content)
	}
	x.stop = context.AfterFunc(str.Context(), x.gone)
	l := x.room.l
	l.Post(func() { l.Go(x) })
}

// abandon ends both sides of a stream.
func abandon(s *http3.Stream, code http3.ErrCode) {
	s.CancelRead(quic.StreamErrorCode(code))
	s.CancelWrite(quic.StreamErrorCode(code))
}

// Run serves the exchange (loop.Task).
func (x *http3Stream) Run() {
	defer x.end()
	r := x.room
	e := r.take(&x.conn)
	defer r.done(e)
	e.wire, x.e = x, e
	e.Req.Secure, e.Req.Proto = true, "HTTP/3.0"
	v := r.ln.view.Load()
	f := v.Entries[0].Frontend
	if f.c.Mode == h1.TCP { // since a reload; nobody would understand a request any more
		return
	}
	x.killed = x.q.killed.Load()
	e.Note.Begin, e.Note.Request = x.begun, max(0, r.l.Unix()-x.begun)
	begin := r.l.Now() - e.Note.Request
	x.Patience = f.t.Client
	if err := x.read(&e.Req, &f.limits); err != nil {
		e.entry = &v.Entries[0]
		e.unreadable(f, err)
		return
	}
	e.Note.BytesIn = int64(e.Req.Bytes)
	if x.body != nil {
		e.Req.Body = x.body
	}
	e.serve(v, begin)
}

// end ends the stream as it should, when the task has ended. It does not park.
func (x *http3Stream) end() {
	x.over = true
	x.e = nil
	x.stop()
	if x.jobs != nil {
		close(x.jobs)
	}
	if x.body != nil {
		x.body.stop()
	}
	switch {
	case x.taken: // whoever took it has ended it
	case x.whole:
		// "the server MAY request that the client abort transmission of a request without error by sending a STOP_SENDING frame with an
		// error code of H3_NO_ERROR" (RFC 9114 4.1): of no effect where all of it was read.
		x.str.CancelRead(quic.StreamErrorCode(http3.ErrCodeNoError))
		x.str.Close()
	case x.headed:
		abandon(x.str, http3.ErrCodeInternalError)
	default:
		if x.code == malformedCode {
			x.q.broken()
		}
		abandon(x.str, x.code)
	}
	x.q.end()
}

// gone is called when the client has ended the request, or its connection has. From any goroutine.
func (x *http3Stream) gone() {
	l := x.room.l
	l.Post(func() {
		if x.over {
			return
		}
		x.q.broken()
		if !x.taken { // a stream that was taken over says itself how it ends
			l.Go(loop.Func(x.cancel))
		}
	})
}

// cancel ends what the exchange waits for. That may be nothing yet, and something soon.
func (x *http3Stream) cancel() {
	x.killed = x.q.killed.Load()
	for !x.over && !x.taken {
		if e := x.now; e != nil && e.Cancel != nil {
			e.Cancel()
			return
		}
		x.room.l.Sleep(50 * time.Millisecond)
	}
}
