package frontend

import "bytes"

// Servers differ in how they read a path. Routes match the plainest reading, the normal form: what RFC 3986 6.2.2 calls
// equivalent and nothing more. Percent-encoded unreserved characters are decoded, other percent-encodings get upper-case
// digits, what a path may not hold raw is encoded (a '%' that begins no encoding, too), dot segments are removed. Slashes are not merged, "%2F" is not a slash.
// The server is always sent the raw path.
//
// A server may take liberties. Where one that is known to be taken, or several together, would lead to another route,
// proxy and server would disagree about what was asked for, and a route that denies could be walked around. Such a
// request is refused.

// reading is a set of the liberties a server may take with a path. None of them is the normal form.
type reading uint8

const (
	readDecoded   reading = 1 << iota // every percent-encoding is decoded, once: net/http, most frameworks
	readMerged                        // slashes are merged: nginx, Apache
	readBackslash                     // a backslash is a slash: IIS
	readParams                        // a dot segment may carry parameters, "..;v=1": Tomcat, Jetty
	readings                          // how many sets there are
)

// pathForm is what a look at a target finds out about its path.
type pathForm struct {
	path    []byte  // what stands before the query (and before a '#', which no target may hold)
	twisted bool    // its normal form may differ from it
	open    reading // the liberties that may make a difference
}

// lookAtPath looks once at every byte of a target's path.
func lookAtPath(target []byte) (f pathForm) {
	f.path = target
	for i, c := range target {
		if !telling[c] {
			continue
		}
		switch c {
		default: // not allowed raw
			f.twisted = true
			f.open |= readDecoded
		case '?', '#':
			f.path = target[:i]
			return f
		case '%':
			f.twisted = true
			v, ok := percent(target[i:])
			if ok && unreserved(v) {
				continue
			}
			f.open |= readDecoded
			switch v {
			case '/':
				f.open |= readMerged
			case '\\':
				f.open |= readMerged | readBackslash
			case ';':
				f.open |= readParams
			}
		case '\\':
			f.open |= readMerged | readBackslash
		case '/':
			if i > 0 && target[i-1] == '/' {
				f.open |= readMerged
			}
		case ';':
			// After a dot, raw or encoded.
			if i > 0 && target[i-1] == '.' || i > 2 && target[i-3] == '%' {
				f.open |= readParams
			}
		case '.':
			// Only what may become a dot segment: /.well-known/ is plain.
			if i > 0 && target[i-1] == '/' && (i+1 == len(target) || bytes.IndexByte([]byte("./?#%"), target[i+1]) >= 0) {
				f.twisted = true
			}
		}
	}
	return f
}

// telling are the bytes lookAtPath stops at.
var telling = func() (t [256]bool) {
	for c := range t {
		t[c] = c <= ' ' || c >= 0x7f || bytes.IndexByte([]byte(`?#%\/;.`), byte(c)) >= 0
	}
	return
}()

// hasNUL reports whether the path of a target holds an encoded NUL.
func hasNUL(target []byte) bool {
	i := bytes.Index(target, []byte("%00"))
	return i >= 0 && !bytes.ContainsAny(target[:i], "?#")
}

// appendPath appends path, as a server with these liberties reads it, to dst, which must be empty.
func appendPath(dst, path []byte, r reading) []byte {
	for i := 0; i < len(path); i++ {
		c := path[i]
		v, encoded := percent(path[i:])
		if encoded {
			c = v
			i += 2
		}
		// A '%' that encodes nothing is encoded too: with what is decoded behind it, it would make a percent-encoding.
		if r&readDecoded == 0 && (encoded && !unreserved(c) || c <= ' ' || c >= 0x7f || c == '%') {
			dst = append(dst, '%', upperHex[c>>4], upperHex[c&15])
			continue
		}
		if c == '\\' && r&readBackslash != 0 {
			c = '/'
		}
		if c == '/' && r&readMerged != 0 && len(dst) > 0 && dst[len(dst)-1] == '/' {
			continue
		}
		dst = append(dst, c)
	}
	return removeDots(dst, r&readParams != 0)
}

// removeDots removes the dot segments of an absolute path in place (RFC 3986 5.2.4). With parameters, a dot segment may
// carry some. A path that does not begin with a slash is left alone.
func removeDots(p []byte, parameters bool) []byte {
	if len(p) == 0 || p[0] != '/' {
		return p
	}
	out := p[:0]
	for i := 0; i < len(p); { // p[i] is the slash in front of a segment
		end := len(p)
		if j := bytes.IndexByte(p[i+1:], '/'); j >= 0 {
			end = i + 1 + j
		}
		seg := p[i+1 : end]
		if parameters {
			if j := bytes.IndexByte(seg, ';'); j >= 0 {
				seg = seg[:j]
			}
		}
		up := len(seg) == 2 && seg[0] == '.' && seg[1] == '.'
		if up || len(seg) == 1 && seg[0] == '.' {
			if up {
				out = out[:max(bytes.LastIndexByte(out, '/'), 0)]
			}
			if end == len(p) {
				out = append(out, '/') // "/a/.." is the directory "/"
			}
		} else {
			out = append(out, p[i:end]...) // never overtakes what is still to be read
		}
		i = end
	}
	return out
}

const upperHex = "0123456789ABCDEF"

// percent decodes the percent-encoding b begins with.
func percent(b []byte) (v byte, ok bool) {
	if len(b) < 3 || b[0] != '%' {
		return 0, false
	}
	h, l := hexDigit(b[1]), hexDigit(b[2])
	if h > 15 || l > 15 {
		return 0, false
	}
	return h<<4 | l, true
}

func hexDigit(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}

// unreserved are the characters that mean the same encoded or not (RFC 3986 2.3).
func unreserved(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~'
}
