package frontend

import (
	"bytes"
	"slices"
	"strings"

	"gatehouse/backend/h1"
)

// unsuited says why the response is none that is compressed for clients that take it so, whoever asks: SkipNone where it is one.
func (k *compressor) unsuited(x *h1.Exchange) Skip {
	r := &x.Resp
	h := &r.Header
	switch {
	case r.Tunnel != nil || r.Status < 200 || r.Status == 204 || r.Status == 205 || r.Status == 206 || r.Status == 226:
		return SkipEmpty
	case r.Body == nil && string(x.Req.Method) != "HEAD" || r.Length == 0:
		return SkipEmpty
	case r.Length > 0 && r.Length < k.c.MinSize:
		return SkipSmall
	case h.Has(h1.ContentRange):
		return SkipEmpty
	case h.Has(h1.ContentEncoding):
		return SkipEncoded
	case !k.takes(h.Get(h1.ContentType)):
		return SkipType
	}
	// "A proxy MUST NOT transform the content … of a message that contains a no-transform cache directive" (RFC 9110 7.7). In a
	// request it "indicates that the client is asking for intermediaries to avoid transforming the content" (RFC 9111 5.2.1.6).
	if h.HasToken(h1.CacheControl, "no-transform") || x.Req.Header.HasToken(h1.CacheControl, "no-transform") {
		return SkipNoTransform
	}
	return SkipNone
}

// takes reports whether content of that Content-Type is compressed.
func (k *compressor) takes(v []byte) bool {
	var room [64]byte
	t, _, _ := bytes.Cut(v, []byte(";"))
	t = trimBlank(t)
	if len(t) == 0 || len(t) > len(room) {
		return false
	}
	lower := room[:len(t)]
	for i, c := range t {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		lower[i] = c
	}
	if find(k.types, lower) {
		return true
	}
	for _, kind := range k.kinds {
		if len(lower) >= len(kind) && string(lower[:len(kind)]) == kind {
			return true
		}
	}
	return false
}

// private reports whether the content may be for this client alone. It looks at the request as the server got it, and at the response as the
// server sent it: a persistence cookie that it was not shown, and one that it knows nothing of, make nothing private.
func private(x *h1.Exchange) bool {
	h := &x.Resp.Header
	if h.Has(h1.SetCookie) {
		return true
	}
	// What the cache gives or takes is for everybody; it has judged that.
	if v := x.Note.Cache; strings.Contains(v, "; hit") || strings.Contains(v, "; stored") || strings.Contains(v, "; collapsed") {
		return false
	}
	s := shareOf(h)
	if s.private {
		return true
	}
	credentials := x.Req.Header.Has(h1.Authorization) || x.TLS != nil && len(x.TLS.PeerCertificates) > 0
	cookies := x.Req.Header.Has(h1.Cookie)
	switch {
	case credentials: // RFC 9111 3.5
		return !s.public
	case cookies:
		return !s.public && !s.fresh || h.HasToken(h1.Vary, "Cookie") || h.HasToken(h1.Vary, "*")
	}
	return false
}

// share is what Cache-Control says about who may have an answer (RFC 9111 5.2.2).
type share struct {
	private bool // for one client
	public  bool // for everybody, also where the request had credentials: "public", "s-maxage"
	fresh   bool // a shared cache may keep it for some time: "max-age"
}

func shareOf(h *h1.Header) (s share) {
	kept := true
	for i := h.Index(h1.CacheControl, 0); i >= 0; i = h.Index(h1.CacheControl, i+1) {
		for v := h.Value(i); len(v) > 0; {
			var t []byte
			t, v = h1.NextToken(v)
			name, arg, _ := bytes.Cut(t, []byte("="))
			switch {
			case h1.EqualFold(name, "private"):
				s.private = true
			case h1.EqualFold(name, "no-store"):
				kept = false
			case h1.EqualFold(name, "public"):
				s.public = true
			case h1.EqualFold(name, "s-maxage"):
				s.public = s.public || positive(arg)
			case h1.EqualFold(name, "max-age"):
				s.fresh = s.fresh || positive(arg)
			}
		}
	}
	s.public, s.fresh = s.public && kept, s.fresh && kept
	return s
}

// positive reports whether b is a number above zero.
func positive(b []byte) bool {
	digits := !slices.ContainsFunc(b, func(c byte) bool { return c < '0' || c > '9' })
	return digits && len(bytes.TrimLeft(b, "0")) > 0
}
