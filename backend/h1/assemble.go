package h1

import (
	"errors"
	"fmt"
	"strconv"
)

// Later versions of HTTP bring a request in pieces: a method, a path, an authority, and fields with names in lower case. This file makes
// a Request of them, held to the rules that Parse holds the text of HTTP/1 to.

// NameOf returns the known name that the token b spells in any case, or 0.
func NameOf(b []byte) Name { return nameOf(b) }

// MayTrail reports whether a field may stand in a trailer section (RFC 9110 6.5.1).
func MayTrail(id Name, name []byte) bool { return mayTrail(id, name) }

// IsToken reports whether b is a token (RFC 9110 5.6.2).
func IsToken(b []byte) bool { return isToken(b) }

// Disguised reports whether name is one that the engine knows, with underscores for dashes.
func Disguised(name []byte) bool { return disguised(name) }

// IsValue reports whether v can be the value of a field: without control characters but HTAB, and without white space around it.
func IsValue(v []byte) bool {
	if n := len(v); n > 0 && (v[0] == ' ' || v[0] == '\t' || v[n-1] == ' ' || v[n-1] == '\t') {
		return false
	}
	return nextControl(v, 0) == len(v)
}

// AddLine appends a whole line, "name: value\r\n", which is copied. n is the length of its name and id what NameOf says of that.
func (h *Header) AddLine(raw []byte, n int, id Name) {
	off := int32(len(h.buf))
	h.buf = append(h.buf, raw...)
	end := int32(len(h.buf))
	h.line = append(h.line, line{off: off, end: end, v0: off + int32(n) + 2, v1: end - 2, n: int16(n), id: id})
	h.has |= 1 << id
}

// Keep copies b to the memory of h, outside of any line, and returns it there. It is valid until h is reset.
func (h *Header) Keep(b []byte) []byte { return h.keep("", b...) }

// malformed makes the error of a request that a later version of HTTP calls so: its stream is reset and nothing is told.
func malformed(err error) error { return &Error{Side: ByClient, Err: err, Cause: 'P', State: 'R'} }

var (
	errNoAuthority = errors.New("neither :authority nor a Host field")
	errTwoNames    = errors.New("the Host field and :authority differ")
	errHopField    = errors.New("a field for the next hop alone")
	errTE          = errors.New("a TE field other than trailers")
	errNoBody      = errors.New("a Content-Length and no content")
	errPath        = errors.New("the :path is not a request target")
)

// Assemble completes a request of which Method and Target are set and the fields are in Header. named says that the :authority came and
// was made the first line, Host. ended says that no content follows. An *Error with the status 0 means that the request is malformed
// (RFC 9113 8.1.1), with any other that this status answers it. lim may be nil.
func (r *Request) Assemble(named, ended bool, lim *ParseLimits) error {
	l := lim.or(&requestLimits)
	r.Minor = 1
	if err := r.checkLine(&l); err != nil {
		return err
	}
	h := &r.Header
	host, length := -1, int64(-1)
	for i := range h.line {
		f := &h.line[i]
		if !control.has(f.id) || f.gone {
			continue
		}
		v := h.buf[f.v0:f.v1]
		switch f.id {
		case Host:
			switch {
			case host < 0:
				host = i
			case !named:
				return malformed(errTwoHosts)
			case !EqualFold(v, h.Value(host)):
				// "A server SHOULD treat a request as malformed if it contains a Host header field that identifies an entity
				// that differs from the entity in the ":authority" pseudo-header field." (RFC 9113 8.3.1)
				return malformed(errTwoNames)
			default:
				f.gone = true
			}
		case ContentLength:
			if length >= 0 {
				return malformed(errTwoLengths)
			}
			n, err := contentLength(v)
			if err != nil {
				return malformed(errors.Unwrap(err))
			}
			if length = n; len(v) > 1 && v[0] == '0' {
				h.SetValue(i, strconv.AppendInt(make([]byte, 0, 20), n, 10))
			}
		case Connection, KeepAlive, ProxyConnection, TransferEncoding, Upgrade:
			// "An endpoint MUST NOT generate an HTTP/2 message containing connection-specific header fields. [...] Any message
			// containing connection-specific header fields MUST be treated as malformed." (RFC 9113 8.2.2)
			return malformed(errHopField)
		case TE:
			if !EqualFold(v, "trailers") {
				return malformed(errTE)
			}
			r.Trailers = true
		case Expect:
			if !EqualFold(v, "100-continue") {
				return refuse(417, fmt.Errorf("unknown expectation %.40q", v))
			}
			r.Continue = !ended
		}
		if hopByHop.has(f.id) {
			f.gone = true
		}
	}
	h.has &^= uint64(hopByHop)
	if err := r.frame(ended, length); err != nil {
		return err
	}
	if host < 0 {
		return malformed(errNoAuthority)
	}
	if r.Host = h.Value(host); !validHost(r.Host) {
		return malformed(fmt.Errorf("the authority %.100q is not a host", r.Host))
	}
	return nil
}

// checkLine checks what would be the request line.
func (r *Request) checkLine(lim *ParseLimits) error {
	switch {
	case !isToken(r.Method):
		return malformed(errMethod)
	case len(r.Method) > maxMethod:
		return refuse(501, errLongVerb)
	case string(r.Method) == "CONNECT":
		return refuse(405, errConnect)
	case len(r.Target) > lim.Target:
		return refuse(414, errLongURI)
	}
	for _, c := range r.Target {
		if !targets[c] {
			return malformed(fmt.Errorf("the character %q in the request target", c))
		}
	}
	if len(r.Target) == 0 || r.Target[0] != '/' && (string(r.Target) != "*" || string(r.Method) != "OPTIONS") {
		return malformed(errPath)
	}
	return nil
}

// frame decides how the content is framed. length is that of Content-Length, -1 without.
func (r *Request) frame(ended bool, length int64) error {
	switch {
	case ended && length > 0:
		return malformed(errNoBody)
	case ended:
		r.Framing, r.Length = NoContent, 0
		// "A user agent SHOULD send Content-Length in a request when the method defines a meaning for enclosed content" (RFC 9110
		// 8.6): what the end of a stream said until now. There are servers that answer 411 otherwise.
		if m := string(r.Method); length < 0 && (m == "POST" || m == "PUT" || m == "PATCH") {
			r.Header.AddString("Content-Length", "0")
		}
	case length == 0: // an end without content is still to come
		r.Framing, r.Length = NoContent, 0
	case length > 0:
		r.Framing, r.Length = ByLength, length
	default:
		r.Framing, r.Length = Chunked, -1
	}
	if r.Framing != Chunked {
		r.Header.Del(Trailer)
	}
	return nil
}

// Whole notes that the content of a request has come completely, n bytes of it, before its head was passed on: its length is known
// then, although the client did not say it.
func (r *Request) Whole(n int64) {
	if r.Framing != Chunked {
		return
	}
	if r.Length = n; n == 0 {
		r.Framing = NoContent
		return
	}
	r.Framing = ByLength
	r.Header.Del(Trailer)
	var room [20]byte
	r.Header.Add("Content-Length", strconv.AppendInt(room[:0], n, 10))
}
