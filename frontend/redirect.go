package frontend

import (
	"bytes"
	"strings"
)

// redirect is the location a route redirects to, in pieces: "{host}", "{uri}" and the text around them.
type redirect []string

// newRedirect takes a location apart. Anything in braces but {host} and {uri} is text.
func newRedirect(location string) redirect {
	var r redirect
	for location != "" {
		i := len(location)
		for _, word := range []string{"{host}", "{uri}"} {
			if strings.HasPrefix(location, word) {
				i = len(word)
				break
			}
			if j := strings.Index(location, word); j >= 0 {
				i = min(i, j)
			}
		}
		r = append(r, location[:i])
		location = location[i:]
	}
	return r
}

// appendTo appends the location for a request to dst. The host is without its port: the place redirected to has one of its own.
// It is not ok when the location needs a host and the request has none, as HTTP/1.0 allows.
func (r redirect) appendTo(dst, host, target []byte) (location []byte, ok bool) {
	begin := len(dst)
	for _, piece := range r {
		switch piece {
		case "{host}":
			if host = hostOnly(host); len(host) == 0 {
				return dst[:begin], false
			}
			dst = appendURL(dst, host)
		case "{uri}":
			uri := target
			if len(uri) == 0 || uri[0] != '/' {
				uri = []byte("/") // "*" names no resource
			}
			if before := dst[begin:]; len(before) == 0 || string(before) == "/" {
				// A location that begins with "//" names another host (RFC 3986 4.2), and browsers take "/\" for it too.
				dst = append(dst[:begin], '/')
				uri = bytes.TrimLeft(uri, `/\`)
			}
			dst = appendURL(dst, uri)
		default:
			dst = append(dst, piece...)
		}
	}
	return dst, true
}

// appendURL appends what a client wrote, with everything encoded that has no place in a URL: a Location must not be broken
// out of, whatever let such a byte in.
func appendURL(dst, b []byte) []byte {
	for _, c := range b {
		if c <= ' ' || c >= 0x7f || c == '"' || c == '<' || c == '>' {
			dst = append(dst, '%', upperHex[c>>4], upperHex[c&15])
		} else {
			dst = append(dst, c)
		}
	}
	return dst
}
