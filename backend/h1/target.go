package h1

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
)

// maxMethod bounds a method. The longest registered one has 17 bytes.
const maxMethod = 32

var (
	errMethod    = errors.New("the request line does not begin with a method and a space")
	errLongVerb  = errors.New("the method is too long")
	errLongURI   = errors.New("the request target is too long")
	errNoVersion = errors.New("the request line does not end in HTTP/1.1 or HTTP/1.0")
	errTarget    = errors.New("the request target is not origin-form, absolute-form or *")
	errConnect   = errors.New("CONNECT is not served")
	errNoHost    = errors.New("no Host line in an HTTP/1.1 request")
)

// method returns the length of the method that b begins with, 0 when b ends before it does.
func method(b []byte) (int, error) {
	i := 0
	for i < len(b) && i <= maxMethod && tokens[b[i]] != 0 {
		i++
	}
	switch {
	case i > maxMethod:
		return 0, refuse(501, errLongVerb)
	case i == len(b):
		return 0, nil
	case b[i] != ' ' || i == 0:
		return 0, refuse(400, errMethod)
	}
	return i, nil
}

// parse reads a request line without its CRLF (RFC 9112 3): one space, and nothing but that, on either side of the target.
func (l *startLine) request(b []byte, maxTarget int) (err error) {
	if l.method, err = method(b); err != nil {
		return err
	}
	if l.method == 0 {
		return refuse(400, errMethod)
	}
	l.target0 = l.method + 1
	l.target1 = l.target0
	for l.target1 < len(b) && targets[b[l.target1]] {
		l.target1++
	}
	if l.target1-l.target0 > maxTarget {
		return refuse(414, errLongURI)
	}
	switch {
	case l.target1 == len(b):
		return refuse(400, errNoVersion)
	case b[l.target1] != ' ':
		return refuse(400, fmt.Errorf("the character %q in the request target", b[l.target1]))
	case l.target1 == l.target0:
		return refuse(400, errTarget)
	}
	switch v := b[l.target1+1:]; {
	case string(v) == "HTTP/1.1":
		l.minor = 1
	case string(v) == "HTTP/1.0":
		l.minor = 0
	case len(v) == 8 && string(v[:5]) == "HTTP/" && digit(v[5]) && v[6] == '.' && digit(v[7]):
		return refuse(505, fmt.Errorf("the version %s", v))
	default:
		return refuse(400, errNoVersion)
	}
	return nil
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// targets are the characters of a request target. RFC 3986 forbids some of them, but browsers send those ("|", "{") and
// servers know what they mean; what matters is that none of them ends a target for anybody. "#" does for some.
var targets = func() (t [256]bool) {
	for c := '!'; c <= '~'; c++ {
		t[c] = c != '#'
	}
	return
}()

// splitAbsolute splits an absolute-form target: the authority is t[a0:a1], the rest, which may be empty, t[a1:].
func splitAbsolute(t []byte) (a0, a1 int, ok bool) {
	switch {
	case hasPrefixFold(t, "http://"):
		a0 = len("http://")
	case hasPrefixFold(t, "https://"):
		a0 = len("https://")
	default:
		return 0, 0, false
	}
	if a1 = bytes.IndexAny(t[a0:], "/?"); a1 < 0 {
		return a0, len(t), true
	}
	return a0, a0 + a1, true
}

// setTarget checks the target t and sets Target and Host. t is in the memory of the header; host is the place of its
// Host line, -1 for none.
func (r *Request) setTarget(t []byte, host int) error {
	h := &r.Header
	r.Host = nil
	if host >= 0 {
		// "A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1 request message that lacks a Host header
		// field and to any request message that contains more than one Host header field line or a Host header field with an
		// invalid field value." (RFC 9112 3.2)
		if r.Host = h.Value(host); !validHost(r.Host) {
			return refuse(400, fmt.Errorf("the Host %.100q is not a host", r.Host))
		}
	} else if r.Minor > 0 {
		return refuse(400, errNoHost)
	}
	switch {
	case string(r.Method) == "CONNECT":
		return refuse(405, errConnect)
	case t[0] == '/':
		r.Target = t
		return nil
	case len(t) == 1 && t[0] == '*':
		if string(r.Method) != "OPTIONS" {
			return refuse(400, fmt.Errorf("the target * with the method %s", r.Method))
		}
		r.Target = t
		return nil
	}
	a0, a1, ok := splitAbsolute(t)
	if !ok {
		return refuse(400, errTarget)
	}
	authority := t[a0:a1:a1]
	if !validHost(authority) {
		return refuse(400, fmt.Errorf("the authority %.100q of the target is not a host", authority))
	}
	switch r.Target = t[a1:]; {
	case len(r.Target) == 0 && string(r.Method) == "OPTIONS":
		r.Target = h.keep("*") // RFC 9112 3.2.4
	case len(r.Target) == 0:
		r.Target = h.keep("/")
	case r.Target[0] == '?':
		r.Target = h.keep("/", r.Target...)
	}
	// "When an origin server receives a request with an absolute-form of request-target, the origin server MUST ignore
	// the received Host header field (if any) and instead use the host information of the request-target." (RFC 9112 3.2.2)
	if host < 0 {
		h.Add("Host", authority)
		host = h.Index(Host, 0)
	} else if !bytes.Equal(r.Host, authority) {
		h.SetValue(host, authority)
	}
	r.Host = h.Value(host)
	return nil
}

// keep appends s and more to the memory of h, outside of any line, and returns them there.
func (h *Header) keep(s string, more ...byte) []byte {
	off := len(h.buf)
	h.buf = append(append(h.buf, s...), more...)
	return h.buf[off:len(h.buf):len(h.buf)]
}

// hosts are the characters of a host name. RFC 3986 allows more in a reg-name (a comma, percent escapes): nobody has
// such a host, and others read them in different ways.
var hosts = func() (t [256]bool) {
	for c := range t {
		t[c] = c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-' || c == '.' || c == '_' || c == '~'
	}
	return
}()

// validHost reports whether v is a host name or an address, with or without a port (RFC 9110 7.2).
func validHost(v []byte) bool {
	i := 0
	if len(v) > 0 && v[0] == '[' {
		i = bytes.IndexByte(v, ']')
		if i < 0 {
			return false
		}
		if a, err := netip.ParseAddr(string(v[1:i])); err != nil || !a.Is6() || a.Zone() != "" {
			return false
		}
		i++
	} else {
		for i < len(v) && hosts[v[i]] {
			i++
		}
	}
	if i == len(v) || i == 0 {
		return i > 0
	}
	return v[i] == ':' && validPort(v[i+1:])
}

// validPort reports whether v is empty, as RFC 3986 3.2.3 lets a port be, or a number up to 65535.
func validPort(v []byte) bool {
	n := 0
	for _, c := range v {
		if !digit(c) || len(v) > 5 {
			return false
		}
		n = n*10 + int(c-'0')
	}
	return n <= 65535
}
