package h1

import (
	"errors"
	"fmt"
)

var errStatusLine = errors.New("not a status line of HTTP/1.1 or HTTP/1.0")

// Parse reads the head of a response to a request with that method from the beginning of b. It returns the length of
// the head, or 0 when it goes on behind b, as Parse of Request does. Every error is an *Error of the server with the
// status 502; its connection must be closed. An interim response (1xx) is read like the others: the final one follows.
// Body and Tunnel are left alone. lim may be nil.
func (r *Response) Parse(b, method []byte, lim *ParseLimits) (n int, err error) {
	l := lim.or(&responseLimits)
	n, err = r.parse(b, method, &l)
	if n > 0 || err != nil {
		r.head = progress{}
	}
	if err != nil {
		r.Reason = nil
		r.Header.Reset()
		if e, ok := errors.AsType[*Error](err); ok {
			e.Status, e.Side = 502, ByServer
		}
		return 0, err
	}
	return n, nil
}

func (r *Response) parse(b, method []byte, lim *ParseLimits) (n int, err error) {
	p, h := &r.head, &r.Header
	const name = "HTTP/1."
	if k := min(len(b), len(name)); string(b[:k]) != name[:k] {
		return 0, refuse(502, errStatusLine)
	}
	if len(b) == 0 || p.seen > 0 && !p.moved(b) {
		return 0, p.wait(b, lim)
	}
	if p.next == 0 {
		end, err := lineEnd(b)
		if err != nil {
			return 0, err
		}
		if end < 0 {
			return 0, p.wait(b, lim)
		}
		if err = p.start.response(b[:end]); err != nil {
			return 0, err
		}
		p.next = end + 2
	}
	// What servers call their fields is their affair.
	l := *lim
	l.Underscores = true
	n, done, err := h.more(b, p, &l)
	if err != nil {
		return 0, err
	}
	if !done {
		return 0, p.wait(b, lim)
	}
	h.buf = append(h.buf[:0], b[:n]...)
	s := p.start
	r.Status, r.Minor = s.status, s.minor
	r.Reason = h.buf[s.reason0:s.reason1:s.reason1]
	return n, r.finish(method)
}

// response reads a status line without its CRLF (RFC 9112 4). The space before an absent reason phrase may be absent too.
func (l *startLine) response(b []byte) error {
	const least = len("HTTP/1.1 200")
	if len(b) < least || b[7] != '0' && b[7] != '1' || b[8] != ' ' {
		return refuse(502, errStatusLine)
	}
	l.minor = int(b[7] - '0')
	c := b[9:least]
	if !digit(c[0]) || !digit(c[1]) || !digit(c[2]) || c[0] == '0' || c[0] > '5' || len(b) > least && b[least] != ' ' {
		return refuse(502, fmt.Errorf("the status %.40q is not a number from 100 to 599", b[9:]))
	}
	l.status = number(c)
	l.reason0, l.reason1 = min(least+1, len(b)), len(b)
	return nil
}

// finish takes from the fields what they say about the response (RFC 9112 6.3).
func (r *Response) finish(method []byte) error {
	h := &r.Header
	m, err := h.makeSense(false)
	if err != nil {
		return err
	}
	if m.coding >= 0 && r.Minor == 0 {
		return refuse(502, errOldCoding)
	}
	r.Close = m.close || r.Minor == 0 && !m.keepAlive
	r.Keep = m.keep
	r.Upgrade = ""
	r.Length = m.length
	switch {
	case r.Status < 200 || r.Status == 204:
		// "A server MUST NOT send a Content-Length header field in any response with a status code of 1xx (Informational) or
		// 204 (No Content)." (RFC 9110 8.6) Many send 0. Who announces more, or chunks, has lost count of its messages.
		r.Close = r.Close || m.coding >= 0 || m.length > 0
		r.Framing, r.Length = NoContent, 0
		h.Del(ContentLength)
	case r.Status == 304 || string(method) == "HEAD" || string(method) == "CONNECT" && r.Status < 300:
		r.Framing = NoContent
	case m.coding >= 0:
		r.Framing = Chunked
	case m.length > 0:
		r.Framing = ByLength
	case m.length == 0:
		r.Framing = NoContent
	default:
		r.Framing, r.Close = UntilClose, true
	}
	if r.Framing != Chunked {
		h.Del(Trailer)
	}
	if r.Status == 101 && m.up && m.upgrade >= 0 {
		if v := h.Value(m.upgrade); EqualFold(v, "websocket") {
			r.Upgrade = "websocket"
		} else {
			r.Upgrade = string(v)
		}
	}
	return nil
}
