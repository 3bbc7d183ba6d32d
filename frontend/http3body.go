package frontend

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/quic-go/quic-go/http3"

	"gatehouse/backend/h1"
	"gatehouse/backend/loop"
)

// http3Piece is how much of the content of a request is read at once, and ahead.
const http3Piece = 32 << 10

// glance is how long the first bytes of content that nothing announces are waited for. The end of a request without content most often came
// together with its head.
const glance = 2 * time.Millisecond

// firstRead is the first piece of content, read ahead.
type firstRead struct {
	from io.Reader
	buf  []byte
	n    int
	err  error
	came chan struct{} // nil: nobody else reads it
	read bool          // it is here
}

func (f *firstRead) do() {
	f.n, f.err = readOn(f.from, f.buf)
	f.read = true
}

// readOn reads something, or the end: quic-go says of a frame without content, and of trailers, that it has read nothing, and no error.
func readOn(r io.Reader, b []byte) (n int, err error) {
	for n == 0 && err == nil {
		n, err = r.Read(b)
	}
	return n, err
}

// lookForContent finds out whether content follows: most requests have none, and neither HTTP/1 nor the cache likes content that turns out
// to be nothing. nil: there is none.
func (x *http3Stream) lookForContent() *firstRead {
	r := x.req
	if r.Method == http.MethodConnect {
		return nil
	}
	none := r.ContentLength == 0 && r.Header.Get("Content-Length") != "" // but there may be trailers, and lies
	f := &firstRead{from: r.Body}
	switch {
	case r.ContentLength > 0:
		return f
	case none || r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions || r.Method == http.MethodTrace:
		// Nothing is lost by waiting: none of these has content that depends on the beginning of its answer.
		if d := x.room.ln.first().t.Request; d > 0 {
			x.str.SetReadDeadline(time.Now().Add(d))
		}
		f.buf = make([]byte, 64)
		if f.do(); f.n > 0 {
			x.str.SetReadDeadline(time.Time{})
		}
	default:
		f.buf, f.came = make([]byte, 1<<10), make(chan struct{})
		x.q.running.Go(func() {
			f.do()
			close(f.came)
		})
		t := time.NewTimer(glance)
		defer t.Stop()
		select {
		case <-f.came:
			f.came = nil
		case <-t.C:
			return f
		}
	}
	if f.n == 0 && f.err == io.EOF && len(r.Trailer) == 0 {
		return nil
	}
	return f
}

// http3Body is the content of a request over HTTP/3 as it comes in, a Body. A goroutine reads a piece, and the next one when that is used.
type http3Body struct {
	x    *http3Stream
	want chan struct{} // the goroutine shall go on
	quit chan struct{}

	// Of the loop:
	data   []byte // the piece that is here
	lent   bool   // it was handed out
	err    error  // what came behind it
	more   loop.Event
	wait   bool  // a task is parked in Next
	broken bool  // and is to return, by Interrupt
	credit int64 // milliseconds the client may still keep us waiting; see h1.MinRate
	fields *h1.Header
}

func newHTTP3Body(x *http3Stream, first *firstRead) *http3Body {
	b := &http3Body{x: x, want: make(chan struct{}, 1), quit: make(chan struct{}), credit: h1.Grace.Milliseconds()}
	x.q.running.Go(func() { b.fetch(first) })
	return b
}

// fetch is the goroutine.
func (b *http3Body) fetch(first *firstRead) {
	l := b.x.room.l
	if first.came != nil {
		<-first.came
	}
	buf, n, err := first.buf, first.n, first.err
	for here := first.read; ; here = false {
		if !here {
			if len(buf) < http3Piece {
				buf = make([]byte, http3Piece)
			}
			n, err = readOn(first.from, buf)
		}
		l.Post(func() { b.arrived(buf[:n], err) })
		if err != nil {
			return
		}
		select {
		case <-b.want:
		case <-b.quit:
			return
		}
	}
}

// stop ends the goroutine soon.
func (b *http3Body) stop() {
	close(b.quit)
	b.x.str.SetReadDeadline(longAgo)
}

// arrived takes a piece. On the loop.
func (b *http3Body) arrived(data []byte, err error) {
	if b.err != nil { // nobody waits for it any more
		return
	}
	b.data, b.err = data, err
	if err == io.EOF {
		b.fields = trailerOf(b.x.req.Trailer)
	}
	b.more.Set(b.x.room.l)
}

// trailerOf returns what of a trailer section may be passed on, nil for nothing. As in chunked content, a name with an underscore, which some
// take for another one, is not.
func trailerOf(t http.Header) (h *h1.Header) {
	for name, values := range t {
		for _, v := range values {
			if n := []byte(name); h1.IsToken(n) && bytes.IndexByte(n, '_') < 0 && h1.IsValue([]byte(v)) && h1.MayTrail(h1.NameOf(n), n) {
				if h == nil {
					h = &h1.Header{}
				}
				h.AddString(name, v)
			}
		}
	}
	return h
}

// Next is h1.Body's.
func (b *http3Body) Next(wait bool) (h1.Piece, error) {
	l := b.x.room.l
	if b.lent {
		b.lent, b.data = false, nil
		if b.err == nil {
			b.more.Clear()
			b.want <- struct{}{} // has room: the goroutine has taken the one before
		}
	}
	for {
		switch {
		case len(b.data) > 0:
			b.lent = true
			p := h1.PieceOf(b.data)
			p.Last = b.err == io.EOF && b.fields == nil
			return p, nil
		case b.err == io.EOF:
			return h1.Piece{}, io.EOF
		case b.err != nil:
			return h1.Piece{}, b.failed()
		case !wait:
			return h1.Piece{}, nil
		}
		began, converse, came := l.Now(), b.x.e.Req.Converse, false
		b.wait = true
		if converse {
			came = b.x.e.hear(l, &b.more, b.x.e.entry.Frontend.t.Tunnel)
		} else {
			came = b.more.Wait(l, b.x.Patience)
		}
		b.wait = false
		switch {
		case b.broken:
			b.err = &h1.Error{Status: 400, Side: h1.ByClient, Err: loop.ErrInterrupted, Cause: 'C', State: 'D'}
			return h1.Piece{}, b.err
		case !came:
			return h1.Piece{}, b.late(errSilent)
		}
		b.credit = min(b.credit-(l.Now()-began)+int64(len(b.data))*1000/h1.MinRate, h1.MaxCredit.Milliseconds())
		if b.credit < 0 && !converse {
			return h1.Piece{}, b.late(errSlow)
		}
	}
}

var (
	errSilent = errors.New("content: nothing came in time")
	errSlow   = fmt.Errorf("content: less than %d bytes per second", h1.MinRate)
	errLength = errors.New("content of another length than Content-Length says")
)

// late ends content of a client that keeps us waiting.
func (b *http3Body) late(cause error) error {
	b.err = &h1.Error{Status: 408, Side: h1.ByClient, Err: cause, Cause: 'c', State: 'D'}
	return b.err
}

// failed says why the content ended early.
func (b *http3Body) failed() error {
	if he, ok := errors.AsType[*h1.Error](b.err); ok {
		return he
	}
	if errors.Is(b.err, os.ErrDeadlineExceeded) {
		return b.late(errSilent)
	}
	e := &h1.Error{Status: 400, Side: h1.ByClient, Err: fmt.Errorf("content: %w", b.err), Cause: 'C', State: 'D'}
	// quic-go notices content that is too short, or too long: "A request or response that is defined as having content when it contains a
	// Content-Length header field … is malformed if the value of the Content-Length header field does not equal the sum of the DATA frame
	// lengths received." (RFC 9114 4.1.2)
	if _, reset := errors.AsType[*http3.Error](b.err); !reset && !b.x.deaf() {
		e.Status, e.Err, e.Cause = 0, errLength, 'P'
		b.x.code = http3.ErrCodeMessageError
	}
	b.err = e
	return e
}

// Interrupt makes a wait for the next piece end in an error. It changes nothing for who does not wait.
func (b *http3Body) Interrupt() {
	if b.wait {
		b.broken = true
		b.more.Set(b.x.room.l)
	}
}

// Ready reports whether the next piece is here, or the end.
func (b *http3Body) Ready() bool { return b.err != nil || len(b.data) > 0 && !b.lent }

// Done reports whether the whole content has come.
func (b *http3Body) Done() bool { return b.err == io.EOF && (b.lent || len(b.data) == 0) }

// Trailer is h1.Body's.
func (b *http3Body) Trailer() *h1.Header { return b.fields }

// Close is h1.Body's. The stream's end ends the reading.
func (b *http3Body) Close() {}
