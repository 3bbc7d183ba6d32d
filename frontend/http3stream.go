package frontend

import (
	"errors"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"gatehouse/backend/h1"
	"gatehouse/backend/loop"
)

// http3Stream is a request over HTTP/3 and its answer, on two sides. A task of the connection's loop serves the exchange. The goroutine that
// quic-go has started for the request does for it what blocks: it writes. A second one reads content, if there is any. What one side
// hands the other lies still until that is done with it, so nothing is copied on the way, and who is slow holds up the other.
type http3Stream struct {
	conn // stands for the connection, for this exchange alone: it has no loop.Conn
	q    *quicConn
	req  *http.Request
	e    *exchange // while the task runs
	w    responseWriter
	body *http3Body // nil: no content

	jobs chan job // for the goroutine; at most one is under way
	said func()   // posts that the job is done; made once
	err  error    // of that job
	done loop.Event

	begun  int64         // Unix milliseconds
	headed bool          // the head of the answer was written, or tried to
	whole  bool          // and so was all of it
	over   bool          // the task has ended
	taken  bool          // the protocol is switched
	hold   *http3.Stream // after the protocol was switched
	code   http3.ErrCode // how the stream ends where it is not whole
}

// responseWriter is what quic-go's has beyond http.ResponseWriter.
type responseWriter interface {
	http.ResponseWriter
	http3.HTTPStreamer
	FlushError() error
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
}

// job is something the goroutine does for the task.
type job struct {
	what     jobKind
	status   int
	data     []byte
	patience time.Duration
}

type jobKind uint8

const (
	jobInterim jobKind = iota // writes a head that is not the last one
	jobHead                   // writes the head
	jobData                   // writes content, and the head if that was not
	jobTake                   // writes the head, and leaves the stream to the task
)

// longAgo is a deadline that is over.
var longAgo = time.Unix(1, 0)

func newHTTP3Stream(q *quicConn, w http.ResponseWriter, r *http.Request) *http3Stream {
	x := &http3Stream{q: q, req: r, w: w.(responseWriter), jobs: make(chan job, 1), code: http3.ErrCodeInternalError, begun: time.Now().UnixMilli()}
	x.room, x.peer, x.local, x.session = q.room, q.peer, q.local, q.session
	l := q.room.l
	x.said = func() { x.done.Set(l) }
	return x
}

// serve is the goroutine's side. It returns when the exchange has ended.
func (x *http3Stream) serve() {
	l := x.room.l
	content := x.lookForContent()
	if content != nil {
		x.body = newHTTP3Body(x, content)
	}
	l.Post(func() { l.Go(x) })
	for j := range x.jobs {
		x.err = x.do(j)
		l.Post(x.said)
	}
	if x.body != nil {
		x.body.stop()
	}
	switch {
	case x.hold != nil: // the task has ended it
	case x.whole:
	case x.headed:
		// quic-go resets the stream, with H3_INTERNAL_ERROR.
		panic(http.ErrAbortHandler)
	default:
		if s, err := x.w.HTTPStream(); err == nil {
			s.CancelRead(quic.StreamErrorCode(x.code))
			s.CancelWrite(quic.StreamErrorCode(x.code))
		}
	}
}

// glance is how long the first bytes of content that nothing announces are waited for. The end of a request without content most often came
// together with its head.
const glance = 2 * time.Millisecond

// lookForContent finds out whether content follows: most requests have none, and neither HTTP/1 nor the cache likes content that turns out
// to be nothing. nil: there is none.
func (x *http3Stream) lookForContent() *firstRead {
	r := x.req
	if r.Method == http.MethodConnect || r.ContentLength == 0 && r.Header.Get("Content-Length") != "" {
		return nil
	}
	f := &firstRead{from: r.Body, came: make(chan struct{}), buf: make([]byte, 1<<10)}
	switch {
	case r.ContentLength > 0:
		go f.read()
		return f
	case r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions || r.Method == http.MethodTrace:
		// Nothing is lost by waiting: none of these has content that depends on the beginning of its answer.
		if d := x.room.ln.first().t.Request; d > 0 {
			x.w.SetReadDeadline(time.Now().Add(d))
		}
		f.read()
		x.w.SetReadDeadline(time.Time{})
	default:
		go f.read()
		t := time.NewTimer(glance)
		defer t.Stop()
		select {
		case <-f.came:
		case <-t.C:
			return f
		}
	}
	if f.n == 0 && f.err == io.EOF && len(r.Trailer) == 0 {
		return nil
	}
	return f
}

// firstRead is the first piece of content, read ahead.
type firstRead struct {
	from io.Reader
	buf  []byte
	n    int
	err  error
	came chan struct{}
}

func (f *firstRead) read() {
	f.n, f.err = f.from.Read(f.buf)
	close(f.came)
}

// do does a job of the task's.
func (x *http3Stream) do(j job) error {
	if j.patience > 0 {
		x.w.SetWriteDeadline(time.Now().Add(j.patience))
	} else {
		x.w.SetWriteDeadline(time.Time{})
	}
	switch j.what {
	case jobInterim:
		x.w.WriteHeader(j.status)
		clear(x.w.Header())
		return nil
	case jobHead:
		x.w.WriteHeader(j.status)
		return x.w.FlushError()
	case jobTake:
		x.w.WriteHeader(j.status)
		var err error
		x.hold, err = x.w.HTTPStream()
		x.w.SetWriteDeadline(time.Time{})
		return err
	}
	if j.status != 0 {
		x.w.WriteHeader(j.status)
	}
	// A bit at a time: who takes a little is slow, not gone.
	const bit = 16 << 10
	for b := j.data; len(b) > 0; {
		n := min(len(b), bit)
		if _, err := x.w.Write(b[:n]); err != nil {
			return err
		}
		if b = b[n:]; j.patience > 0 && len(b) > 0 {
			x.w.SetWriteDeadline(time.Now().Add(j.patience))
		}
	}
	return x.w.FlushError()
}

// ask lets the goroutine do a job, and parks until it is done. An error is the client's.
func (x *http3Stream) ask(j job) error {
	if x.headed = x.headed || j.what != jobInterim; j.what == jobInterim && x.headed {
		return nil
	}
	x.done.Clear()
	x.jobs <- j // has room: there is no other
	x.done.Wait(x.room.l, 0)
	if x.err == nil {
		return nil
	}
	e := &h1.Error{Side: h1.ByClient, Err: x.err, Cause: 'C', State: 'D'}
	if errors.Is(x.err, os.ErrDeadlineExceeded) {
		e.Cause = 'c'
	}
	return e
}

// Run serves the exchange (loop.Task).
func (x *http3Stream) Run() {
	defer func() {
		x.over = true
		close(x.jobs)
	}()
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

// gone is called when the client has ended the request, or its connection has. From any goroutine.
func (x *http3Stream) gone() {
	l := x.room.l
	l.Post(func() {
		if !x.over && !x.taken { // a stream that was taken over says itself how it ends
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
