package frontend

import (
	"io"
	"net/http"
	"net/textproto"
	"strings"

	"github.com/quic-go/quic-go/http3"

	"gatehouse/backend/h1"
)

// How a stream of HTTP/3 carries an exchange (carrier).

// send is carrier's.
func (x *http3Stream) send(e *exchange, f *Frontend) (goOn bool, err error) {
	r := &e.Resp
	var p h1.Piece
	if r.Body != nil {
		if p, err = r.Body.Next(false); err != nil && err != io.EOF {
			return false, err // nothing is written: there is still time for a page
		}
	}
	head := x.setHead(e)
	e.Note.Status = r.Status
	patience := f.t.Client
	if r.Body == nil {
		if err := x.ask(job{what: jobHead, status: r.Status, patience: patience}); err != nil {
			return false, err
		}
		e.Note.BytesOut += head
		x.whole = true
		return true, nil
	}
	for status := r.Status; err != io.EOF; status = 0 {
		j := job{what: jobData, status: status, data: p.Data(), patience: patience}
		if err := x.ask(j); err != nil {
			return false, err
		}
		e.Note.BytesOut += int64(p.Len())
		if status != 0 {
			e.Note.BytesOut += head
		}
		if p.Last {
			x.whole = true
			return true, nil
		}
		if p, err = r.Body.Next(true); err != nil && err != io.EOF {
			return false, err
		}
	}
	if !x.headed { // all there was is the end
		if err := x.ask(job{what: jobHead, status: r.Status, patience: patience}); err != nil {
			return false, err
		}
		e.Note.BytesOut += head
	}
	x.setTrailer(r.Body.Trailer())
	x.whole = true
	return true, nil
}

// setHead hands the fields of a response to quic-go, and returns about how many bytes they are.
func (x *http3Stream) setHead(e *exchange) (size int64) {
	r, to := &e.Resp, x.w.Header()
	if e.Own.Len() > 0 {
		overrule(&e.Exchange)
	}
	if v := e.hsts(); v != "" {
		r.Header.Del(h1.StrictTransportSecurity)
		to["Strict-Transport-Security"] = []string{v}
	}
	r.Header.Del(h1.Trailer) // quic-go would take the fields it announces out of the head
	addFields(to, &r.Header)
	addFields(to, &e.Own)
	if !r.Header.Has(h1.Date) {
		var room [40]byte
		to["Date"] = []string{string(h1.AppendDate(room[:0], e.Loop.Unix()/1000))}
	}
	if _, ok := to["Content-Type"]; !ok {
		to["Content-Type"] = nil // quic-go would guess one
	}
	return int64(r.Header.Size() + e.Own.Size())
}

// addFields adds the lines of h to a map.
func addFields(to http.Header, h *h1.Header) {
	for i := range h.Len() {
		if _, name, value := h.At(i); name != nil {
			key := textproto.CanonicalMIMEHeaderKey(string(name))
			to[key] = append(to[key], string(value))
		}
	}
}

// setTrailer hands trailer fields to quic-go, which writes them when the goroutine returns.
func (x *http3Stream) setTrailer(h *h1.Header) {
	if h == nil {
		return
	}
	for i := range h.Len() {
		if _, name, value := h.At(i); name != nil {
			x.w.Header().Add(http.TrailerPrefix+textproto.CanonicalMIMEHeaderKey(string(name)), string(value))
		}
	}
}

// page is carrier's.
func (x *http3Stream) page(e *exchange, status int, _ bool) error {
	if isRPC(&e.Req) {
		return x.refuseRPC(e, status)
	}
	p := pageOf(status)
	to := x.w.Header()
	clear(to)
	_, lines, _ := strings.Cut(string(e.headOf(p)), "\r\n")
	for l := range strings.SplitSeq(lines, "\r\n") {
		if name, value, ok := strings.Cut(l, ": "); ok {
			to.Add(name, value)
		}
	}
	if v := e.hsts(); v != "" {
		to.Set("Strict-Transport-Security", v)
	}
	j := job{what: jobHead, status: status, patience: lingerTime}
	if len(p.body) > 0 && x.req.Method != http.MethodHead {
		j.what, j.data = jobData, p.body
	}
	e.Note.Status = status
	e.Note.BytesOut += int64(len(p.head) + len(j.data))
	err := x.ask(j)
	x.whole = err == nil
	return err
}

// interim is carrier's.
func (x *http3Stream) interim(e *exchange, r *h1.Response) error {
	addFields(x.w.Header(), &r.Header)
	e.Note.BytesOut += int64(r.Header.Size())
	return x.ask(job{what: jobInterim, status: r.Status, patience: e.entry.Frontend.t.Client})
}

// deaf is carrier's.
func (x *http3Stream) deaf() bool { return x.req.Context().Err() != nil }

// cut is carrier's: the stream is going to be reset.
func (x *http3Stream) cut() { x.whole = false }

// hangUp is carrier's. The connection goes on in any case; a stream on which nothing was told, because its request is malformed, is reset.
func (x *http3Stream) hangUp() {
	if !x.headed {
		x.code = http3.ErrCodeMessageError
	}
}
