package h1

import (
	"errors"
	"io"
	"os"
	"strconv"
	"time"
)

// AppendRequest appends the request line of r, its Header, and the fields that say how SendBody will frame its content. The blank line that
// ends a head is the caller's.
func AppendRequest(dst []byte, r *Request) []byte {
	dst = append(append(dst, r.Method...), ' ')
	dst = append(append(dst, r.Target...), " HTTP/1.1\r\n"...)
	if !r.Header.Has(Host) {
		// "If the target URI's authority component is missing or undefined, then a client MUST send a Host header field with an empty
		// field value" (RFC 9112 3.2): HTTP/1.0, which needs none, is passed on as HTTP/1.1, which does.
		dst = append(dst, "Host:\r\n"...)
	}
	dst = r.Header.AppendTo(dst)
	if r.Length < 0 {
		dst = append(dst, "Transfer-Encoding: chunked\r\n"...)
	}
	if r.Upgrade != "" {
		dst = append(append(append(dst, "Connection: upgrade\r\nUpgrade: "...), r.Upgrade...), "\r\n"...)
	}
	return dst
}

// AppendStatusLine appends the status line of r, as HTTP/1.1 (RFC 9110 6.2: a proxy sends its own version). Without a reason phrase, that is with
// nil, it gets the registered one; one that is empty stays so.
func AppendStatusLine(dst []byte, r *Response) []byte {
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendUint(dst, uint64(r.Status), 10)
	dst = append(dst, ' ')
	if r.Reason == nil { // of a server that has none to give: HTTP/2 and HTTP/3 leave out the phrase (RFC 9113 8.3.2)
		dst = append(dst, ReasonPhrase(r.Status)...)
	} else {
		dst = append(dst, r.Reason...)
	}
	return append(dst, "\r\n"...)
}

// Sender writes one message: a head, and content behind it as it comes. Its zero fields are documented one by one.
type Sender struct {
	Conn     *Conn
	Head     []byte        // a whole head with its blank line; nil when it has been written
	Chunked  bool          // frame the content in chunks; the head says so. Otherwise it goes out as it is
	Patience time.Duration // bounds every wait for room. 0 or less: no limit
	Stop     *bool         // looked at between pieces: true ends the sending. nil: never
	Prompt   bool          // what is small does not wait for the end of the turn either, and all is with the kernel when Send returns

	Sent int64 // bytes of content written
}

// ErrStopped is returned by a Sender that was told to stop.
var ErrStopped = errors.New("stopped")

// Send writes the head and the content of body, nil for none. As much as is there goes out together with the head, in one system
// call, framed in place where the piece leaves room. Errors of body are returned as they are, with Head not nil as long as
// nothing was written; those of the connection are *Error.
func (s *Sender) Send(body Body) error {
	if body == nil {
		return s.flush()
	}
	p, err := body.Next(false)
	for {
		switch {
		case err == io.EOF:
			return s.end(body.Trailer())
		case err != nil:
			return err
		case s.Stop != nil && *s.Stop:
			return ErrStopped
		case p.Len() > 0:
			if err := s.piece(p); err != nil {
				return s.failed(err)
			}
			s.Sent += int64(p.Len())
			if p.Last {
				return nil
			}
		default: // nothing yet, and the head does not wait for it
			if err := s.flush(); err != nil {
				return err
			}
		}
		p, err = body.Next(true)
	}
}

func (s *Sender) flush() error {
	if s.Head == nil {
		return nil
	}
	h := s.Head
	s.Head = nil
	s.Conn.C.SetWriteTimeout(s.Patience)
	return s.failed(s.write(h))
}

const (
	crlf      = "\r\n"
	lastChunk = "0\r\n\r\n"
)

// piece writes a piece with its framing, and the head before it if that is still to be written.
func (s *Sender) piece(p Piece) error {
	s.Conn.C.SetWriteTimeout(s.Patience)
	h := s.Head
	s.Head = nil
	var before []byte
	after := ""
	if s.Chunked {
		l := s.Conn.C.Loop()
		before = appendChunkHead(l.Small(), p.Len())
		defer l.PutSmall(before)
		after = crlf
		if p.Last {
			after = crlf + lastChunk
		}
	}
	i, j := p.I-len(before)-len(h), p.J+len(after)
	if i >= 0 && j <= len(p.Buf) {
		copy(p.Buf[i:], h)
		copy(p.Buf[i+len(h):], before)
		copy(p.Buf[p.J:], after)
		return s.write(p.Buf[i:j])
	}
	n := len(h) + len(before) + p.Len() + len(after)
	switch {
	case n <= cap(h):
		h = append(append(append(h, before...), p.Data()...), after...)
		return s.write(h)
	case n <= maxRecord && n > p.Len() && s.Conn.T != nil:
		return s.Conn.writeRecord(h, before, p.Data(), after)
	}
	return s.Conn.writeAll(h, before, p.Data(), after)
}

// write writes what is in one piece.
func (s *Sender) write(b []byte) error {
	if s.Prompt {
		return s.Conn.Write(b)
	}
	return s.Conn.WriteLate(b)
}

// end writes what ends the content: nothing, or the last chunk with the trailers.
func (s *Sender) end(trailer *Header) error {
	if !s.Chunked {
		return s.flush()
	}
	l := s.Conn.C.Loop()
	b := append(append(l.Small(), s.Head...), "0\r\n"...)
	s.Head = nil
	if trailer != nil {
		b = trailer.AppendTo(b)
	}
	b = append(b, crlf...)
	s.Conn.C.SetWriteTimeout(s.Patience)
	err := s.write(b)
	l.PutSmall(b)
	return s.failed(err)
}

// failed says whose fault it was that writing ended.
func (s *Sender) failed(err error) error {
	if err == nil {
		return nil
	}
	e := &Error{Side: s.Conn.Peer, Err: &writeError{err}, State: 'D'}
	late := errors.Is(err, os.ErrDeadlineExceeded)
	switch {
	case s.Conn.Peer == ByClient && late:
		e.Cause = 'c'
	case s.Conn.Peer == ByClient:
		e.Cause = 'C'
	case late:
		e.Status, e.Cause = 504, 's'
	default:
		e.Status, e.Cause = 502, 'S'
	}
	return e
}

// writeError is what ended writing.
type writeError struct{ err error }

func (e *writeError) Error() string {
	if errors.Is(e.err, os.ErrDeadlineExceeded) {
		return "write: the peer took nothing in time"
	}
	return e.err.Error()
}

func (e *writeError) Unwrap() error { return e.err }
