package frontend

import (
	"strconv"
	"sync/atomic"
	"time"
)

// logClock writes points of time. The text of a second is made once and kept: formatting one costs as much as the rest of a
// line. Safe for several goroutines at once.
type logClock struct {
	loc  *time.Location
	form LogFormat
	// kept has a place for each second of about the last minute: lines are written when exchanges end but carry
	// the time they began, so the seconds asked for are mixed.
	kept [64]atomic.Pointer[second]
}

// second is the text of one second, around the milliseconds.
type second struct {
	unix       int64
	head, tail string
}

func (c *logClock) init(form LogFormat) { c.form, c.loc = form, time.Local }

// append appends the time in the log's form: "24/Nov/2026:08:31:57.123" (HAProxy), "24/Nov/2026:08:31:57 +0100" (Apache), or
// "2026-11-24T08:31:57.123+01:00" (RFC 3339), in local time. The time is in Unix milliseconds.
func (c *logClock) append(dst []byte, ms int64) []byte {
	ms = max(ms, 0)
	s := c.at(ms / 1000)
	dst = append(dst, s.head...)
	if c.form != Combined {
		ms %= 1000
		dst = append(dst, '.', '0'+byte(ms/100), '0'+byte(ms/10%10), '0'+byte(ms%10))
	}
	return append(dst, s.tail...)
}

func (c *logClock) at(unix int64) *second {
	slot := &c.kept[unix%int64(len(c.kept))]
	s := slot.Load()
	if s == nil || s.unix != unix {
		s = c.make(unix)
		slot.Store(s)
	}
	return s
}

func (c *logClock) make(unix int64) *second {
	t := time.Unix(unix, 0).In(c.loc)
	s := &second{unix: unix}
	switch c.form {
	case HTTPLog:
		s.head = t.Format("02/Jan/2006:15:04:05")
	case Combined:
		s.head = t.Format("02/Jan/2006:15:04:05 -0700")
	case JSON:
		s.head, s.tail = t.Format("2006-01-02T15:04:05"), t.Format("Z07:00")
	}
	return s
}

// appendInt appends n in decimal. Most numbers of a line have one digit; without asking for that first, strconv takes 3 % of a cache hit over
// HTTP/2.
func appendInt[N int | int64](dst []byte, n N) []byte {
	if n >= 0 && n <= 9 {
		return append(dst, byte('0'+n))
	}
	return strconv.AppendInt(dst, int64(n), 10)
}
