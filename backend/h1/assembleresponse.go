package h1

import (
	"errors"
	"strconv"
)

// broken makes the error of a response that a later version of HTTP calls malformed: its stream is reset.
func broken(err error) error {
	return &Error{Status: 502, Side: ByServer, Err: err, Cause: 'P', State: 'H'}
}

var (
	errSwitched  = errors.New("101, which only HTTP/1 has")
	errLastWords = errors.New("an interim response that ends the stream")
)

// Assemble completes the response to a request with that method, of which Status is set and the fields are in Header. ended says that no
// content follows. Every error is an *Error of the server with the status 502. An interim response (1xx) is read like the others.
func (r *Response) Assemble(method []byte, ended bool) error {
	h := &r.Header
	r.Minor, r.Close, r.Keep, r.Upgrade, r.Reason, r.Body = 1, false, -1, "", nil, nil
	length := int64(-1)
	for i := range h.line {
		f := &h.line[i]
		if !control.has(f.id) || f.gone {
			continue
		}
		switch v := h.buf[f.v0:f.v1]; f.id {
		case ContentLength:
			if length >= 0 {
				return broken(errTwoLengths)
			}
			n, err := contentLength(v)
			if err != nil {
				return broken(errors.Unwrap(err))
			}
			if length = n; len(v) > 1 && v[0] == '0' {
				h.SetValue(i, strconv.AppendInt(make([]byte, 0, 20), n, 10))
			}
		case Connection, KeepAlive, ProxyConnection, TransferEncoding, Upgrade:
			return broken(errHopField) // RFC 9113 8.2.2
		}
		if hopByHop.has(f.id) {
			f.gone = true
		}
	}
	h.has &^= uint64(hopByHop)
	switch {
	case r.Status == 101: // "HTTP/2 removes support for the 101 (Switching Protocols) informational status code" (RFC 9113 8.6)
		return broken(errSwitched)
	case r.Status < 200 && ended:
		return broken(errLastWords)
	case r.Status < 200 || r.Status == 204:
		r.Framing, r.Length = NoContent, 0
		h.Del(ContentLength)
	case r.Status == 304 || string(method) == "HEAD":
		r.Framing, r.Length = NoContent, length
	case ended && length > 0:
		return broken(errNoBody)
	case ended:
		r.Framing, r.Length = NoContent, 0
		if length < 0 { // the end of the stream said so: HTTP/1 needs it in words
			h.AddString("Content-Length", "0")
		}
	case length >= 0:
		r.Framing, r.Length = ByLength, length
	default:
		r.Framing, r.Length = Chunked, -1
	}
	if r.Framing != Chunked {
		h.Del(Trailer)
	}
	return nil
}
