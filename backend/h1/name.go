package h1

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

// byLength lists the known names by their length: few have the same.
var byLength = func() (t [32][]Name) {
	for i, s := range names {
		if s != "" {
			t[len(s)] = append(t[len(s)], Name(i))
		}
	}
	return
}()

// nameOf returns the known name that b spells in any case, or 0.
func nameOf(b []byte) Name {
	if len(b) >= len(byLength) {
		return 0
	}
	for _, id := range byLength[len(b)] {
		if s := names[id]; lower[s[0]] == lower[b[0]] && EqualFold(b, s) {
			return id
		}
	}
	return 0
}

// lower folds ASCII letters; token marks the characters of RFC 9110 5.6.2.
var (
	lower [256]byte
	token [256]bool
)

func init() {
	for c := range 256 {
		lower[c] = byte(c)
		if c >= 'A' && c <= 'Z' {
			lower[c] = byte(c + 'a' - 'A')
		}
		token[c] = c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
	}
	for _, c := range []byte("!#$%&'*+-.^_`|~") {
		token[c] = true
	}
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
