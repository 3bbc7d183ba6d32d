package h1

import (
	"bytes"
	"fmt"
)

// ParseLimits bound the head of a message. A zero field stands for the default.
type ParseLimits struct {
	Target int // bytes of a request target, beyond them 414; default 16 KiB
	Field  int // bytes of one field line without its CRLF, beyond them 431; default 16 KiB, of a response 64 KiB
	Head   int // bytes of the whole head, beyond them 431; default 32 KiB, of a response 64 KiB
	Fields int // field lines, beyond them 431; default 100, of a response 256
	// Underscores keeps fields of a request that have an underscore in their name. Those that look like a field the
	// engine knows (Content_Length, X_Forwarded_For) are dropped all the same.
	Underscores bool
}

var (
	requestLimits  = ParseLimits{Target: 16 << 10, Field: 16 << 10, Head: 32 << 10, Fields: 100}
	responseLimits = ParseLimits{Target: 64 << 10, Field: 64 << 10, Head: 64 << 10, Fields: 256}
)

// or returns l with the fields of d where it has none.
func (l *ParseLimits) or(d *ParseLimits) ParseLimits {
	if l == nil {
		return *d
	}
	o := *l
	if o.Target <= 0 {
		o.Target = d.Target
	}
	if o.Field <= 0 {
		o.Field = d.Field
	}
	if o.Head <= 0 {
		o.Head = d.Head
	}
	if o.Fields <= 0 {
		o.Fields = d.Fields
	}
	o.Head = min(o.Head, maxHead)
	return o
}

// maxHead is beyond any limit that makes sense and keeps the ranges of a Header within 32 bits.
const maxHead = 1 << 28

// maxBlank is how many empty lines may come before a request line. "In the interest of robustness, a server that is
// expecting to receive and parse a request-line SHOULD ignore at least one empty line (CRLF) received prior to the
// request-line." (RFC 9112 2.2)
const maxBlank = 4

var errBlank = fmt.Errorf("more than %d empty lines before the request", maxBlank)

// progress is how far a head was read that is not complete yet, so that a head that comes byte by byte costs no more
// than twice one that comes at once. Offsets count from the start line.
type progress struct {
	blank int  // bytes of empty lines before the start line
	next  int  // the first line that was not complete, 0: the start line
	seen  int  // what is before this offset does not end that line
	named bool // the colon of that line was seen
	count int  // field lines before next
	kept  int  // those of them that were not dropped
	has   uint64
	start startLine
}

// startLine is a request line or a status line, as ranges of the head.
type startLine struct {
	method           int // its length
	target0, target1 int // the target
	reason0, reason1 int // the reason phrase
	status, minor    int
}

// moved reports whether the line at p.next may be judged: with its end, or something that must not be in it. Only what was
// not seen before is looked at.
func (p *progress) moved(b []byte) bool {
	if p.next > 0 && !p.named {
		i := max(p.seen, p.next)
		for i < len(b) && tokens[b[i]] != 0 {
			i++
		}
		if i < len(b) && (b[i] != ':' || i == p.next) {
			return true
		}
		p.named = i < len(b)
	}
	i := nextControl(b, max(p.seen-1, p.next))
	return i < len(b) && (b[i] != '\r' || i+1 < len(b))
}

// wait notes that b does not hold the whole head, unless it never will.
func (p *progress) wait(b []byte, lim *ParseLimits) error {
	p.seen = len(b)
	switch {
	case p.next == 0 && p.start.method > 0 && len(b)-p.start.method > lim.Target+len(" HTTP/1.1 \r"):
		return refuse(414, errLongURI)
	case p.next > 0 && len(b)-p.next > lim.Field+len("\r"):
		return refuse(431, errField)
	case len(b) > lim.Head:
		return refuse(431, errHead)
	}
	return nil
}

// Parse reads the head of a request from the beginning of b (RFC 9112 2 to 7). It returns its length, with the empty
// lines that may come before it, or 0 when the head goes on behind b: then Parse wants to be called again with the same
// bytes and more of them. It never asks for more than lim.Head and 8 bytes. Every error is an *Error with the status to
// answer; after it the connection must be closed, as nobody knows where the next request begins.
//
// The head is copied once: b may be used for something else at once, and Method, Target and Host are valid until the
// header is reset or read into again. Secure and Body are left alone. lim may be nil.
func (r *Request) Parse(b []byte, lim *ParseLimits) (n int, err error) {
	l := lim.or(&requestLimits)
	p := &r.head
	blank, err := p.skipBlank(b)
	if err == nil && blank < len(b) {
		n, err = r.parse(b[blank:], &l)
	}
	switch {
	case err != nil:
		*p = progress{}
		r.Method, r.Target, r.Host = nil, nil, nil
		r.Header.Reset()
		return 0, err
	case n > 0:
		*p = progress{}
		return blank + n, nil
	}
	return 0, nil
}

// skipBlank returns how many bytes of empty lines b begins with: all of b while their number is not known.
func (p *progress) skipBlank(b []byte) (int, error) {
	if p.seen > 0 {
		return p.blank, nil
	}
	for p.blank < len(b) && (b[p.blank] == '\r' || b[p.blank] == '\n') {
		switch {
		case b[p.blank] == '\n':
			return 0, refuse(400, errBareLF)
		case p.blank+1 == len(b):
			return len(b), nil
		case b[p.blank+1] != '\n':
			return 0, refuse(400, errBareCR)
		}
		if p.blank += 2; p.blank > 2*maxBlank {
			return 0, refuse(400, errBlank)
		}
	}
	return p.blank, nil
}

// parse is Parse behind the empty lines.
func (r *Request) parse(b []byte, lim *ParseLimits) (n int, err error) {
	p, h := &r.head, &r.Header
	if p.seen > 0 && !p.moved(b) {
		return 0, r.wait(b, lim)
	}
	if p.next == 0 {
		end, err := lineEnd(b)
		if err != nil {
			return 0, err
		}
		if end < 0 {
			return 0, r.wait(b, lim)
		}
		if err = p.start.request(b[:end], lim.Target); err != nil {
			return 0, err
		}
		p.next = end + 2
	}
	n, done, err := h.more(b, p, lim)
	if err != nil {
		return 0, err
	}
	if !done {
		return 0, p.wait(b, lim)
	}
	h.buf = append(h.buf[:0], b[:n]...)
	s := p.start
	r.Minor = s.minor
	r.Method = h.buf[:s.method:s.method]
	return n, r.finish(h.buf[s.target0:s.target1:s.target1])
}

// wait is progress's, and looks at the method until it is known.
func (r *Request) wait(b []byte, lim *ParseLimits) (err error) {
	p := &r.head
	if p.next == 0 && p.start.method == 0 {
		if p.start.method, err = method(b); err != nil {
			return err
		}
	}
	return p.wait(b, lim)
}

// more reads the field lines from p.next on and puts them into h, which is empty to everybody while they are not complete.
func (h *Header) more(b []byte, p *progress, lim *ParseLimits) (int, bool, error) {
	h.line, h.has = h.line[:p.kept], p.has
	n, done, err := h.parse(b, p.next, &p.count, &fieldLimits{lim.Field, lim.Head, lim.Fields, lim.Underscores})
	if err == nil && !done {
		p.next, p.kept, p.has = n, len(h.line), h.has
		p.named = bytes.IndexByte(b[n:], ':') >= 0
		h.Reset()
	}
	return n, done, err
}

// lineEnd returns the length of the line that b begins with, without its CRLF, or -1.
func lineEnd(b []byte) (int, error) {
	i := nextControl(b, 0)
	switch {
	case i == len(b) || b[i] == '\r' && i+1 == len(b):
		return -1, nil
	case b[i] != '\r' || b[i+1] != '\n':
		return 0, refuse(400, badControl(b, i))
	}
	return i, nil
}

// finish takes from the fields what they say about the request.
func (r *Request) finish(target []byte) error {
	m, err := r.Header.makeSense(true)
	if err != nil {
		return err
	}
	switch {
	case m.coding >= 0 && r.Minor == 0:
		// "A server or client that receives an HTTP/1.0 message containing a Transfer-Encoding header field MUST treat
		// the message as if the framing is faulty" (RFC 9112 6.1)
		return refuse(400, errOldCoding)
	case m.coding >= 0:
		r.Framing, r.Length = Chunked, -1
	case m.length > 0:
		r.Framing, r.Length = ByLength, m.length
	default:
		r.Framing, r.Length = NoContent, 0
	}
	if r.Framing != Chunked {
		r.Header.Del(Trailer)
	}
	r.Close = m.close || r.Minor == 0 && !m.keepAlive
	r.Trailers = m.trailers && r.Minor > 0
	// "A server that receives a 100-continue expectation in an HTTP/1.0 request MUST ignore that expectation." and it may
	// where no content follows (RFC 9110 10.1.1).
	r.Continue = m.expect && r.Minor > 0 && r.Framing != NoContent
	r.Upgrade = ""
	if m.up && m.upgrade >= 0 && r.Minor > 0 && r.Framing == NoContent && r.webSocket(m.upgrade) {
		r.Upgrade = "websocket"
	}
	return r.setTarget(target, m.host)
}

// webSocket reports whether the request is the opening handshake of RFC 6455 4.1, the Upgrade line being at place i.
// All that is less is an ordinary request: what the server makes of it is answered as such.
func (r *Request) webSocket(i int) bool {
	h := &r.Header
	k, v := h.Index(SecWebSocketKey, 0), h.Index(SecWebSocketVersion, 0)
	return string(r.Method) == "GET" && hasToken(h.Value(i), "websocket") &&
		k >= 0 && len(h.Value(k)) > 0 && h.Index(SecWebSocketKey, k+1) < 0 &&
		v >= 0 && string(h.Value(v)) == "13" && h.Index(SecWebSocketVersion, v+1) < 0
}
