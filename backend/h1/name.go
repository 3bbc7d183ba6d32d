package h1

import (
	"encoding/binary"
	"math/bits"
)

// Name is a field name the engine knows. Everything else is 0; such lines are found by their
// bytes.
type Name uint8

// The known names, less than 64 of them: Header keeps one bit for each.
const (
	_ Name = iota
	Host
	Connection
	ContentLength
	TransferEncoding
	TE
	Trailer
	Upgrade
	KeepAlive
	ProxyConnection
	Expect
	Cookie
	SetCookie
	XForwardedFor
	XForwardedProto
	XForwardedHost
	Forwarded
	XRealIP
	CacheControl
	Pragma
	Expires
	Age
	Date
	ETag
	LastModified
	Vary
	Location
	ContentType
	ContentEncoding
	ContentRange
	Range
	IfRange
	IfNoneMatch
	IfModifiedSince
	IfMatch
	IfUnmodifiedSince
	AcceptEncoding
	Accept
	AcceptRanges
	Authorization
	WWWAuthenticate
	ProxyAuthorization
	ProxyAuthenticate
	SurrogateControl
	SurrogateKey
	CacheTag
	CDNCacheControl
	CacheStatus
	Server
	UserAgent
	Referer
	Via
	SecWebSocketKey
	SecWebSocketVersion
	StrictTransportSecurity
	AltSvc
	HTTP2Settings
	XOriginalURL
	XRewriteURL
	XHTTPMethodOverride
	Warning
	ContentLocation
	Allow
)

var names = [...]string{
	Host:                    "Host",
	Connection:              "Connection",
	ContentLength:           "Content-Length",
	TransferEncoding:        "Transfer-Encoding",
	TE:                      "TE",
	Trailer:                 "Trailer",
	Upgrade:                 "Upgrade",
	KeepAlive:               "Keep-Alive",
	ProxyConnection:         "Proxy-Connection",
	Expect:                  "Expect",
	Cookie:                  "Cookie",
	SetCookie:               "Set-Cookie",
	XForwardedFor:           "X-Forwarded-For",
	XForwardedProto:         "X-Forwarded-Proto",
	XForwardedHost:          "X-Forwarded-Host",
	Forwarded:               "Forwarded",
	XRealIP:                 "X-Real-IP",
	CacheControl:            "Cache-Control",
	Pragma:                  "Pragma",
	Expires:                 "Expires",
	Age:                     "Age",
	Date:                    "Date",
	ETag:                    "ETag",
	LastModified:            "Last-Modified",
	Vary:                    "Vary",
	Location:                "Location",
	ContentType:             "Content-Type",
	ContentEncoding:         "Content-Encoding",
	ContentRange:            "Content-Range",
	Range:                   "Range",
	IfRange:                 "If-Range",
	IfNoneMatch:             "If-None-Match",
	IfModifiedSince:         "If-Modified-Since",
	IfMatch:                 "If-Match",
	IfUnmodifiedSince:       "If-Unmodified-Since",
	AcceptEncoding:          "Accept-Encoding",
	Accept:                  "Accept",
	AcceptRanges:            "Accept-Ranges",
	Authorization:           "Authorization",
	WWWAuthenticate:         "WWW-Authenticate",
	ProxyAuthorization:      "Proxy-Authorization",
	ProxyAuthenticate:       "Proxy-Authenticate",
	SurrogateControl:        "Surrogate-Control",
	SurrogateKey:            "Surrogate-Key",
	CacheTag:                "Cache-Tag",
	CDNCacheControl:         "CDN-Cache-Control",
	CacheStatus:             "Cache-Status",
	Server:                  "Server",
	UserAgent:               "User-Agent",
	Referer:                 "Referer",
	Via:                     "Via",
	SecWebSocketKey:         "Sec-WebSocket-Key",
	SecWebSocketVersion:     "Sec-WebSocket-Version",
	StrictTransportSecurity: "Strict-Transport-Security",
	AltSvc:                  "Alt-Svc",
	HTTP2Settings:           "HTTP2-Settings",
	XOriginalURL:            "X-Original-URL",
	XRewriteURL:             "X-Rewrite-URL",
	XHTTPMethodOverride:     "X-HTTP-Method-Override",
	Warning:                 "Warning",
	ContentLocation:         "Content-Location",
	Allow:                   "Allow",
}

// String returns the name as RFCs spell it.
func (n Name) String() string { return names[n] }

// maxName is more than the length of the longest known name.
const maxName = 32

// known is a place of the hash table of known names.
type known struct {
	lo, hi uint64 // the first and the last bytes of the name, as ends folds them
	n      int
	id     Name
}

// knowns has every known name at its hash, and no two at one: hash, compare two words, done. 2 ns, 10 for the few of
// more than 16 bytes.
var knowns = func() (t [hashes]known) {
	for i, s := range names {
		if s != "" {
			lo, hi := ends([]byte(s))
			k := &t[hash(lo, hi)]
			if k.n != 0 {
				panic("h1: " + s + " and " + names[k.id] + " have the same hash: change the multiplier")
			}
			*k = known{lo, hi, len(s), Name(i)}
		}
	}
	return
}()

const hashes = 256

// hash is perfect for the known names. The multiplier was found by trying.
func hash(lo, hi uint64) uint64 {
	return (lo ^ bits.RotateLeft64(hi, 23)) * 0xb2119d8d35de1e59 >> (64 - 8)
}

// ends returns the first and the last eight bytes of a name, or what there is of them, in lower case. Setting the bit
// 0x20 folds letters and maps no other character of a token to one that a known name holds.
func ends(b []byte) (lo, hi uint64) {
	const fold = 0x2020202020202020
	switch n := len(b); {
	case n >= 8:
		return binary.LittleEndian.Uint64(b) | fold, binary.LittleEndian.Uint64(b[n-8:]) | fold
	case n >= 4:
		return uint64(binary.LittleEndian.Uint32(b)) | fold, uint64(binary.LittleEndian.Uint32(b[n-4:])) | fold
	case n >= 2:
		return uint64(binary.LittleEndian.Uint16(b)) | fold, uint64(b[n-1]) | fold
	}
	return 0, 0
}

// nameOf returns the known name that the token b spells in any case, or 0.
func nameOf(b []byte) Name {
	lo, hi := ends(b)
	k := &knowns[hash(lo, hi)]
	if k.n != len(b) || k.lo != lo || k.hi != hi || k.n > 16 && !EqualFold(b, names[k.id]) {
		return 0
	}
	return k.id
}

// underscore marks that character in tokens.
const underscore = 2

// lower folds ASCII letters; tokens is not 0 for the characters of RFC 9110 5.6.2.
var (
	lower  [256]byte
	tokens [256]byte
)

func init() {
	for c := range 256 {
		lower[c] = byte(c)
		if c >= 'A' && c <= 'Z' {
			lower[c] = byte(c + 'a' - 'A')
		}
		if c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' {
			tokens[c] = 1
		}
	}
	for _, c := range []byte("!#$%&'*+-.^_`|~") {
		tokens[c] = 1
	}
	tokens['_'] |= underscore
}

// EqualFold reports whether b spells s in any case of ASCII letters.
func EqualFold[S []byte | string](b []byte, s S) bool {
	if len(b) != len(s) {
		return false
	}
	for i := range b {
		if lower[b[i]] != lower[s[i]] {
			return false
		}
	}
	return true
}
