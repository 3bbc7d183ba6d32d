package h2

import (
	"strings"

	"gatehouse/backend/h1"
)

// static is the static table (RFC 7541 appendix A), the first field at place 1.
var static = func() []Field {
	t := []Field{{}}
	for s := range strings.FieldsFuncSeq(staticText, func(r rune) bool { return r == '\n' }) {
		name, value, _ := strings.Cut(s, "\t")
		f := Field{Line: []byte(name + ": " + value + "\r\n"), N: len(name)}
		f.classify()
		t = append(t, f)
	}
	return t
}()

const staticText = `:authority
:method	GET
:method	POST
:path	/
:path	/index.html
:scheme	http
:scheme	https
:status	200
:status	204
:status	206
:status	304
:status	400
:status	404
:status	500
accept-charset
accept-encoding	gzip, deflate
accept-language
accept-ranges
accept
access-control-allow-origin
age
allow
authorization
cache-control
content-disposition
content-encoding
content-language
content-length
content-location
content-range
content-type
cookie
date
etag
expect
expires
from
host
if-match
if-modified-since
if-none-match
if-range
if-unmodified-since
last-modified
link
location
max-forwards
proxy-authenticate
proxy-authorization
range
referer
refresh
retry-after
server
set-cookie
strict-transport-security
transfer-encoding
user-agent
vary
via
www-authenticate`

// places has the place of each known name in the static table, 0 for none.
var places = func() (p [64]uint8) {
	for i := len(static) - 1; i > 0; i-- {
		if f := &static[i]; f.Kind == Regular && f.ID != 0 {
			p[f.ID] = uint8(i)
		}
	}
	return p
}()

// placeOf returns the place of a name in the static table, 0 for none.
func placeOf(id h1.Name) uint8 { return places[id] }
