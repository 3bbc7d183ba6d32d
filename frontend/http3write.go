package frontend

import (
	"errors"
	"io"
	"os"
	"time"

	"github.com/quic-go/quic-go"

	"gatehouse/backend/h1"
	"gatehouse/backend/h2"
)

// How a stream of HTTP/3 carries an exchange (carrier).

// send is carrier's.
func (x *http3Stream) send(e *exchange, f *Frontend) (goOn bool, err error) {
	r := &e.Resp
	if e.Own.Len() > 0 {
		overrule(&e.Exchange)
	}
	var p h1.Piece
	err = io.EOF
	if r.Body != nil {
		if p, err = r.Body.Next(false); err != nil && err != io.EOF {
			return false, err // nothing is written: there is still time for a page
		}
		if u := r.Header.GetName("priority"); u != nil && !p.Last {
			said := h2.ParsePriority(u) // the server knows better (RFC 9218 8)
			x.str.SetPriority(int8(said.Level()), said&h2.Incremental != 0)
		}
	}
	b := e.Loop.Small()
	defer func() { e.Loop.PutSmall(b) }()
	b = x.appendHead(b, e)
	e.Note.Status, x.headed = r.Status, true
	for {
		data := p.Data()
		if len(data) > 0 {
			b = appendContentHead(b, len(data))
		}
		if err == io.EOF && r.Body != nil {
			if t := r.Body.Trailer(); t != nil {
				at := len(b)
				b = appendFields3(beginFields(b, 0), t)
				endFields(b, at)
			}
		}
		if err := x.write(e, b, data, f.t.Client); err != nil {
			return false, err
		}
		if err == io.EOF || p.Last {
			x.whole = true
			return true, nil
		}
		b = b[:0]
		if p, err = r.Body.Next(true); err != nil && err != io.EOF {
			return false, err
		}
	}
}

// appendHead appends the head of the response.
func (x *http3Stream) appendHead(b []byte, e *exchange) []byte {
	r, hsts := &e.Resp, e.hsts()
	if hsts != "" {
		r.Header.Del(h1.StrictTransportSecurity)
	}
	at := len(b)
	b = appendFields3(beginFields(b, r.Status), &r.Header)
	b = appendFields3(b, &e.Own)
	var room [40]byte
	if !r.Header.Has(h1.Date) {
		b = appendField3(b, h1.Date, nil, h1.AppendDate(room[:0], e.Loop.Unix()/1000))
	}
	if hsts != "" {
		b = appendField3(b, h1.StrictTransportSecurity, nil, append(room[:0], hsts...))
	}
	endFields(b, at)
	return b
}

// page is carrier's.
func (x *http3Stream) page(e *exchange, status int, _ bool) error {
	var body []byte
	if isRPC(&e.Req) {
		e.refuseRPC(status)
	} else {
		p, r := pageOf(status), &e.Resp
		r.Status = status
		r.Header.Reset()
		p.addTo(&r.Header)
		e.pageRules().Response(&e.Exchange)
		if string(e.Req.Method) != "HEAD" {
			body = p.body
		}
	}
	e.Own.Reset() // is the server's answer's
	b := x.appendHead(e.Loop.Small(), e)
	defer func() { e.Loop.PutSmall(b) }()
	if len(body) > 0 {
		b = appendContentHead(b, len(body))
	}
	e.Note.Status, x.headed = e.Resp.Status, true
	err := x.write(e, b, body, lingerTime)
	x.whole = err == nil
	return err
}

// interim is carrier's.
func (x *http3Stream) interim(e *exchange, r *h1.Response) error {
	if x.headed {
		return nil
	}
	b := appendFields3(beginFields(e.Loop.Small(), r.Status), &r.Header)
	defer func() { e.Loop.PutSmall(b) }()
	endFields(b, 0)
	return x.write(e, b, nil, e.entry.Frontend.t.Client)
}

// deaf is carrier's.
func (x *http3Stream) deaf() bool { return x.str.Context().Err() != nil }

// cut is carrier's: the stream is going to be reset.
func (x *http3Stream) cut() { x.whole = false }

// hangUp is carrier's. The connection goes on in any case; a stream on which nothing was told, because its request is malformed, is reset.
func (x *http3Stream) hangUp() {
	if !x.headed {
		x.code = malformedCode
	}
}

// atOnce is how many bytes quic-go is given without waiting for those before to leave. It keeps them until the client has said that they came,
// as the kernel does for a connection over TCP, where it is more.
const atOnce = 20 << 10

// write hands bytes to quic-go: frames, and the content of the last of them. What is short leaves without another goroutine: one that waits
// for it costs 10 µs of the 50 that a small answer takes.
func (x *http3Stream) write(e *exchange, frames, content []byte, patience time.Duration) error {
	n := len(frames) + len(content)
	e.Note.BytesOut += int64(n)
	if x.queued+n > atOnce {
		return x.ask(job{frames: frames, content: content, patience: patience})
	}
	var err error
	if len(content) == 0 {
		err = x.raw.TryWriteAll(frames)
	} else {
		l := e.Loop
		b := append(append(l.Buf()[:0], frames...), content...)
		err = x.raw.TryWriteAll(b)
		l.PutBuf(b[:cap(b)])
	}
	switch {
	case err == nil:
		x.queued += n
		return nil
	case errors.Is(err, quic.ErrWouldBlock):
		return x.ask(job{frames: frames, content: content, patience: patience})
	}
	return notTaken(err)
}

// notTaken makes the error of a client that has not taken what it was sent.
func notTaken(err error) error {
	e := &h1.Error{Side: h1.ByClient, Err: err, Cause: 'C', State: 'D'}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		e.Cause = 'c'
	}
	return e
}

// job is something to write that may take its time.
type job struct {
	frames, content []byte
	patience        time.Duration
}

// ask lets a goroutine do a job, and parks until it is done.
func (x *http3Stream) ask(j job) error {
	if x.jobs == nil {
		x.jobs = make(chan job, 1)
		l := x.room.l
		x.said = func() { x.done.Set(l) }
		x.q.running.Go(x.work)
	}
	x.done.Clear()
	x.jobs <- j // has room: there is no other
	x.done.Wait(x.room.l, 0)
	if x.err != nil {
		return notTaken(x.err)
	}
	x.queued = 0 // it waits for what was queued before
	return nil
}

// work is the goroutine: it does what the task asks for until that has ended.
func (x *http3Stream) work() {
	for j := range x.jobs {
		x.err = x.do(j)
		x.room.l.Post(x.said)
	}
}

// do writes. A bit at a time: who takes a little is slow, not gone.
func (x *http3Stream) do(j job) error {
	const bit = 16 << 10
	for _, b := range [2][]byte{j.frames, j.content} {
		for len(b) > 0 {
			if j.patience > 0 {
				x.raw.SetWriteDeadline(time.Now().Add(j.patience))
			}
			n := min(len(b), bit)
			if _, err := x.raw.Write(b[:n]); err != nil {
				return err
			}
			b = b[n:]
		}
	}
	return nil
}
