package convert

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// parseHAProxyTime reads "5000", milliseconds, and "5s", "1m", "500us". Remark tells of spellings the old program took without
// meaning to.
func parseHAProxyTime(s string) (v time.Duration, remark string, ok bool) {
	digits := len(s) - len(strings.TrimLeft(s, "0123456789"))
	n, err := strconv.ParseInt(s[:digits], 10, 64)
	if err != nil {
		return 0, "", false
	}
	unit := time.Millisecond
	switch s[digits:] {
	case "", "ms":
	case "us":
		unit = time.Microsecond
	case "s":
		unit = time.Second
	case "m":
		unit = time.Minute
	case "h":
		unit = time.Hour
	case "d":
		unit = 24 * time.Hour
	case "sec", "min", "hour", "day":
		unit = map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}[s[digits]]
		remark = fmt.Sprintf("%q is read as HAProxy did, by its first letter", s)
	default:
		return 0, "", false
	}
	if n > int64(100*365*24*time.Hour)/int64(unit) {
		return 0, "", false
	}
	return time.Duration(n) * unit, remark, true
}

// timeoutNames are the words of timeouts here. The empty ones have no counterpart that is needed.
var timeoutNames = map[string]string{
	"connect": "connect", "contimeout": "connect", "client": "client", "clitimeout": "client", "server": "server", "srvtimeout": "server",
	"queue": "queue", "http-request": "request", "http-keep-alive": "idle", "tunnel": "tunnel", "check": "check",
	"client-fin": "", "server-fin": "", "tarpit": "", "client-hs": "request",
}

// ofFront are the timeouts that are waited for in a front.
var ofFront = []string{"client", "request", "idle"}

func (x *proxy) timeout(d *directive) {
	name, known := timeoutNames[d.arg(1)]
	switch {
	case !known:
		d.refuse("there is no timeout %q here", d.arg(1))
	case name == "":
		d.fold("bounded by the other timeouts")
	case d.arg(1) == "client-hs" && x.last["timeout http-request"] != nil:
		d.fold("the handshake has the time of timeouts.request")
	case slices.Contains(ofFront, name) && x.f == nil || !slices.Contains(ofFront, name) && x.b == nil:
		if slices.Contains(x.own, d) || d.Verdict == unjudged {
			d.fold("has no effect in a %s", x.kind)
		}
	case x.tcp && (name == "request" && d.arg(1) != "client-hs" || name == "idle"):
		d.fold("has no effect in mode tcp")
	default:
		x.wait(d, name, d.arg(2))
	}
}

func (x *proxy) wait(d *directive, name, value string) {
	v, remark, ok := parseHAProxyTime(value)
	switch {
	case !ok:
		d.refuse("%q is not a time", value)
		return
	case remark != "":
		d.note("%s", remark)
	}
	t := &timeouts{}
	if slices.Contains(ofFront, name) {
		t = &x.f.timeouts
	} else {
		t = &x.b.timeouts
	}
	t.set(name, v, d)
	d.keep("timeouts { %s }", name)
}
