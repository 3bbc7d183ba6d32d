package backend

import (
	"time"

	"gatehouse/backend/h1"
)

// persistence is a cookie block at work: everything about it that does not change from request to request. It is
// immutable, and all loops share it. For each exchange, claim reads what the client holds, and mark tells the client what it
// holds from now on; a claim carries what mark has to know.
type persistence struct {
	*Cookie
	values []string // of the servers, in declaration order; "": holders of this server get rid of their cookie

	idle, life int64 // seconds, 0: no limit
	dated      bool  // the cookie carries dates

	// What is inserted for each server, without and with Secure: the whole value of the Set-Cookie line, or, for a dated
	// cookie, what comes before and after the dates.
	line [2][]string
	head []string
	tail [2]string
}

// The dates of a value "A|LLLLL|FFFFF": when it was last seen, and first given.
const (
	dateSep   = '|'
	prefixSep = '~'
)

// expired is the start of a deletion's attributes, in the spelling of Netscape's specification, which every client reads.
const expired = "; Expires=Thu, 01-Jan-1970 00:00:01 GMT"

// newPersistence makes the cookie block work for servers of these values. key is for a signed cookie without a secret of its own.
func newPersistence(c *Cookie, values []string, key []byte) *persistence {
	if c.Signed {
		sealed := make([]string, len(values))
		for i, v := range values {
			sealed[i] = seal(c.signingKey(key), c.Name, v)
		}
		values = sealed
	}
	p := &persistence{Cookie: c, values: values, idle: seconds(c.MaxIdle), life: seconds(c.MaxLife)}
	p.dated = p.idle > 0 || p.life > 0
	for secure := range p.line {
		p.tail[secure] = c.attributes(secure == 1)
		for _, v := range values {
			text := c.Name + "=" + v + p.tail[secure]
			if v == "" {
				text = c.Name + "=" + expired + p.tail[secure]
			}
			p.line[secure] = append(p.line[secure], text)
		}
	}
	for _, v := range values {
		p.head = append(p.head, c.Name+"="+v+string(dateSep))
	}
	return p
}

// seconds rounds up: a limit below a second would otherwise be none.
func seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }

// attributes returns what follows the value, "path=/" first. A deletion has the same: browsers delete a cookie
// only where its domain and path agree.
func (c *Cookie) attributes(secure bool) string {
	s := "; path=/"
	for _, d := range c.Domain {
		s += "; domain=" + d
	}
	if c.HTTPOnly {
		s += "; HttpOnly"
	}
	if secure {
		s += "; Secure"
	}
	switch c.SameSite {
	case Lax:
		s += "; SameSite=Lax"
	case Strict:
		s += "; SameSite=Strict"
	case None:
		// "If the cookie's same-site-flag is None and secure-only-flag is false, abort" (RFC 6265bis 5.7):
		// without TLS the attribute would lose the whole cookie.
		if secure {
			s += "; SameSite=None"
		}
	}
	return s
}

// logged reports whether the cookie shows in the log. As in HAProxy's, one that is only ever read does not.
func (p *persistence) logged() bool { return p.Mode != Passive || p.Indirect }

// claim is what a request's cookies came to: the server that has to answer, and what the answer's cookie
// depends on.
type claim struct {
	server      int   // the place of the server in the backend, -1: the cookie names none that is usable
	last, first int64 // the dates the cookie came with, in their own unit; 0: none
}

// lose forgets the server: it could not be reached and another one answers (redispatch).
func (c *claim) lose(x *h1.Exchange) {
	if c.server >= 0 && x.Note.CookieIn == 'V' {
		x.Note.CookieIn = 'D'
	}
	c.server = -1
}

// refresh reports whether a client that holds the right cookie needs a new one for the sake of its dates.
func (p *persistence) refresh(c claim, now int64) bool {
	return (p.idle > 0 || c.last != 0) && c.last<<2 < now || // a date is up to 3 s ahead, so at most every 4 s
		p.life > 0 && c.first == 0 ||
		p.life == 0 && c.first != 0
}

// outdated returns 'O' for a cookie that was given too long ago, 'E' for one that was not seen for too long, 0
// for a good one. Dates from more than a day ahead are not from here.
func (p *persistence) outdated(c claim, now int64) byte {
	const day = 24 * 60 * 60
	bad := func(date, limit int64) bool {
		return limit > 0 && date != 0 && (now-date<<2 > limit || date<<2 > now+day)
	}
	switch {
	case bad(c.first, p.life):
		return 'O'
	case bad(c.last, p.idle):
		return 'E'
	}
	return 0
}

// A date is a count of 4 seconds since 1970, rounded up, in 30 bits: 5 characters of base64, the most
// significant first.
const dateLen = 5

const dateDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

// unbase64 is 64 for what is no digit.
var unbase64 = func() (t [256]byte) {
	for i := range t {
		t[i] = 64
	}
	for i := range 64 {
		t[dateDigits[i]] = byte(i)
	}
	return
}()

func dateOf(unix int64) int64 { return (unix + 3) >> 2 & (1<<30 - 1) }

func appendDate(b []byte, date int64) []byte {
	for shift := 24; shift >= 0; shift -= 6 {
		b = append(b, dateDigits[date>>shift&63])
	}
	return b
}

// parseDate returns 0, no date, for anything but 5 digits.
func parseDate(b []byte) (date int64) {
	if len(b) != dateLen {
		return 0
	}
	for _, c := range b {
		d := unbase64[c]
		if d == 64 {
			return 0
		}
		date = date<<6 | int64(d)
	}
	return date
}

// appendDated appends the value of a Set-Cookie line with dates. The date of the last visit is always there; that of the
// first one is kept as long as the cookie lives.
func (p *persistence) appendDated(b []byte, server, secure int, first, now int64) []byte {
	b = appendDate(append(b, p.head[server]...), dateOf(now))
	if p.life > 0 {
		if first == 0 {
			first = dateOf(now)
		}
		b = appendDate(append(b, dateSep), first)
	}
	return append(b, p.tail[secure]...)
}
