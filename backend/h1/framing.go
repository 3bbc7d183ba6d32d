package h1

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
)

// Framing is how the end of a message's content is found (RFC 9112 6.3).
type Framing uint8

// The framings.
const (
	NoContent  Framing = iota // the message ends with its head
	ByLength                  // Length bytes follow
	Chunked                   // chunks follow, and a trailer section
	UntilClose                // everything until the connection ends; responses only
)

func (f Framing) String() string {
	return [...]string{"no content", "by length", "chunked", "until close"}[f]
}

// set is a set of known names.
type set uint64

func setOf(ids ...Name) (s set) {
	for _, id := range ids {
		s |= 1 << id
	}
	return
}

func (s set) has(id Name) bool { return s>>id&1 != 0 }

var (
	// hopByHop are the fields for the next hop alone: understood, then taken out (RFC 9110 7.6.1). Trailer goes with
	// them unless chunks follow, which may carry one. Credentials for a proxy are meant for us, and we ask for none.
	hopByHop = setOf(Connection, KeepAlive, ProxyConnection, ProxyAuthenticate, ProxyAuthorization, TE,
		TransferEncoding, Upgrade, HTTP2Settings, Expect)

	// control are the fields that say how to read the message, and those that are taken out.
	control = hopByHop | setOf(Host, ContentLength, Trailer)

	// protected are fields that Connection must not name: whoever does wants the next server to miss what this one
	// saw. "A sender MUST NOT send a connection option corresponding to a field that is intended for all recipients
	// of the content." (RFC 9110 7.6.1)
	protected = setOf(Host, ContentLength, TransferEncoding, ContentType, ContentEncoding, ContentRange,
		ContentLocation, Authorization, WWWAuthenticate, Cookie, SetCookie, XForwardedFor, XForwardedProto,
		XForwardedHost, Forwarded, XRealIP, CacheControl, Pragma, Expires, Age, Date, ETag, LastModified, Vary,
		Location, SurrogateControl, CDNCacheControl, CacheStatus, Range, IfRange, IfMatch, IfNoneMatch,
		IfModifiedSince, IfUnmodifiedSince, SecWebSocketKey, SecWebSocketVersion, StrictTransportSecurity, Via)
)

// maxOptions bounds the connection options of one message, each of which is searched among the lines.
const maxOptions = 64

// sense is what the control fields of a head say.
type sense struct {
	host, coding, upgrade int   // places of these lines, -1 for none
	length                int64 // of Content-Length, -1 without
	close, keepAlive, up  bool  // connection options
	trailers              bool  // TE: trailers
	expect                bool  // Expect: 100-continue
	keep                  int   // seconds of Keep-Alive: timeout, -1 without
}

var (
	errTwoHosts   = errors.New("two Host lines")
	errTwoLengths = errors.New("two Content-Length lines")
	errTwoCodings = errors.New("two Transfer-Encoding lines")
	errBothFrames = errors.New("both Transfer-Encoding and Content-Length")
	errOldCoding  = errors.New("Transfer-Encoding in an HTTP/1.0 message")
	errOptions    = fmt.Errorf("more than %d connection options", maxOptions)
)

// refuse makes the error of a request that is not served.
func refuse(status int, cause error) error {
	return &Error{Status: status, Side: ByClient, Err: cause}
}

// makeSense reads the control fields and takes the hop-by-hop ones out. Its errors are those of a request. Without
// request, what only means something in requests is passed over, and so are protected fields that Connection names.
func (h *Header) makeSense(request bool) (m sense, err error) {
	m = sense{host: -1, coding: -1, upgrade: -1, length: -1, keep: -1}
	options := 0
	for i := range h.line {
		f := &h.line[i]
		if !control.has(f.id) || f.gone {
			continue
		}
		v := h.buf[f.v0:f.v1]
		switch f.id {
		case Host:
			if m.host >= 0 && request {
				return m, refuse(400, errTwoHosts)
			}
			m.host = i
		case ContentLength:
			// RFC 9110 8.6 lets equal duplicates pass as one. Nobody honest sends them, so they are refused.
			if m.length >= 0 {
				return m, refuse(400, errTwoLengths)
			}
			if m.length, err = contentLength(v); err != nil {
				return m, err
			}
			if len(v) > 1 && v[0] == '0' {
				// Decimal all the same, but some read 010 as octal: say it unmistakably.
				h.SetValue(i, strconv.AppendInt(make([]byte, 0, 20), m.length, 10))
			}
		case TransferEncoding:
			if m.coding >= 0 {
				return m, refuse(400, errTwoCodings)
			}
			if err = transferEncoding(v); err != nil {
				return m, err
			}
			m.coding = i
		case Connection:
			if options, err = h.obeyOptions(v, options, request, &m); err != nil {
				return m, err
			}
		case Upgrade:
			if m.upgrade < 0 {
				m.upgrade = i
			}
		case TE:
			m.trailers = m.trailers || hasToken(v, "trailers")
		case Expect:
			// 100-continue is the only expectation there is (RFC 9110 10.1.1).
			if request && !EqualFold(v, "100-continue") {
				return m, refuse(417, fmt.Errorf("unknown expectation %.40q", v))
			}
			m.expect = true
		case KeepAlive:
			if !request {
				m.keep = keepAlive(v)
			}
		}
		if hopByHop.has(f.id) {
			f.gone = true
		}
	}
	h.has &^= uint64(hopByHop)
	if m.coding >= 0 && m.length >= 0 {
		// Smuggling or response splitting, which "ought to be handled as an error" (RFC 9112 6.3).
		return m, refuse(400, errBothFrames)
	}
	return m, nil
}

// obeyOptions reads one Connection line and takes out the fields it names. n counts the options over all lines.
func (h *Header) obeyOptions(v []byte, n int, request bool, m *sense) (int, error) {
	for len(v) > 0 {
		var t []byte
		if t, v = NextToken(v); len(t) == 0 {
			continue
		}
		if n++; n > maxOptions {
			return n, refuse(400, errOptions)
		}
		switch id := nameOf(t); {
		case id == Upgrade:
			m.up = true
		case EqualFold(t, "keep-alive"):
			m.keepAlive = true
		case EqualFold(t, "close"):
			m.close = true
		case protected.has(id) || hasPrefixFold(t, "x-forwarded-"):
			if request {
				return n, refuse(400, fmt.Errorf("connection option %.40q names a field for all recipients", t))
			}
		case hopByHop.has(id):
		default:
			for i := range h.line {
				if f := &h.line[i]; int(f.n) == len(t) && EqualFold(h.buf[f.off:f.off+int32(f.n)], t) {
					f.gone = true
				}
			}
		}
	}
	return n, nil
}

// keepAlive returns the seconds a server says it keeps an idle connection for ("timeout=5, max=100"), -1 where it does not say. The field is in
// no standard any more (RFC 2068 19.7.1.1), yet Apache, Node and others send it, and mean it.
func keepAlive(v []byte) int {
	const timeout = "timeout="
	for len(v) > 0 {
		var t []byte
		if t, v = NextToken(v); !hasPrefixFold(t, timeout) {
			continue
		}
		if n, err := contentLength(t[len(timeout):]); err == nil {
			return int(min(n, math.MaxInt32))
		}
	}
	return -1
}

// contentLength reads the value of Content-Length: 1*DIGIT (RFC 9110 8.6).
func contentLength(v []byte) (n int64, err error) {
	if len(v) == 0 || len(v) > 19 {
		return 0, refuse(400, fmt.Errorf("the Content-Length %.40q is not a number of 1 to 19 digits", v))
	}
	for _, c := range v {
		d := int64(c) - '0'
		if d < 0 || d > 9 {
			return 0, refuse(400, fmt.Errorf("the Content-Length %q is not a number", v))
		}
		if n > (math.MaxInt64-d)/10 {
			return 0, refuse(400, fmt.Errorf("the Content-Length %s is too large", v))
		}
		n = n*10 + d
	}
	return n, nil
}

// listed are the transfer codings that are registered beside chunked, and identity, which once was. We ask for none.
var listed = [...]string{"gzip", "x-gzip", "deflate", "compress", "x-compress", "identity"}

// transferEncoding accepts the one transfer coding we read: chunked, once and alone. Everything else is 400 where
// chunked is certainly not the last coding ("the message body length cannot be determined reliably; the server MUST
// respond with the 400 (Bad Request) status code", RFC 9112 6.3), and 501 where there is a coding we do not understand
// (6.1).
func transferEncoding(v []byte) error {
	if EqualFold(v, "chunked") {
		return nil
	}
	chunked, strange := 0, 0
	for rest := v; rest != nil; {
		var t []byte
		if t, rest = NextToken(rest); !isToken(t) {
			return refuse(400, fmt.Errorf("the Transfer-Encoding %.40q is malformed", v))
		}
		if chunked > 0 {
			return refuse(400, fmt.Errorf("the Transfer-Encoding %.40q goes on after chunked", v))
		}
		if EqualFold(t, "chunked") {
			chunked++
		} else if !slices.ContainsFunc(listed[:], func(s string) bool { return EqualFold(t, s) }) {
			strange++
		}
	}
	if strange == 0 && (chunked == 0 || hasToken(v, "identity")) {
		return refuse(400, fmt.Errorf("the Transfer-Encoding %.40q is not chunked", v))
	}
	return refuse(501, fmt.Errorf("the Transfer-Encoding %.40q is not understood", v))
}

// hasToken reports whether the list v has the token, in any case.
func hasToken(v []byte, token string) bool {
	for len(v) > 0 {
		var t []byte
		if t, v = NextToken(v); EqualFold(t, token) {
			return true
		}
	}
	return false
}

// isToken reports whether b is a token (RFC 9110 5.6.2).
func isToken(b []byte) bool {
	for _, c := range b {
		if tokens[c] == 0 {
			return false
		}
	}
	return len(b) > 0
}

// hasPrefixFold reports whether b begins with prefix in any case.
func hasPrefixFold(b []byte, prefix string) bool {
	return len(b) >= len(prefix) && EqualFold(b[:len(prefix)], prefix)
}
