package cache

import (
	"strconv"

	"gatehouse/backend/h1"
)

// Every answer says what the cache did (RFC 9211):
//
//	Cache-Status: gatehouse; hit; ttl=31
//	Cache-Status: gatehouse; fwd=uri-miss; fwd-status=200; detail=PRIVATE
//
// ttl is left out of the log: what has one is a hit.
const (
	statusField = "Cache-Status"
	statusName  = "gatehouse"
	statusHit   = statusName + "; hit"
	statusDisk  = statusHit + "; detail=DISK"
)

// Why the server was asked (RFC 9211 2.2).
const (
	fwdMiss    = "fwd=uri-miss"
	fwdVary    = "fwd=vary-miss"
	fwdStale   = "fwd=stale"
	fwdRequest = "fwd=request"
	fwdBypass  = "fwd=bypass"
	fwdMethod  = "fwd=method"
)

// tell says what the cache did on an answer that came from the server, or with it: words are parameters of RFC 9211.
func tell(x *h1.Exchange, words ...string) {
	s := statusName
	for _, w := range words {
		if w != "" {
			s += "; " + w
		}
	}
	x.Note.Cache = s
	if x.Resp.Status != 101 {
		x.Resp.Header.AddString(statusField, s)
	}
}

// tellHit says that a stored answer is used, which is fresh for left milliseconds. disk: its content came from there.
func tellHit(x *h1.Exchange, left int64, disk bool) {
	var room [64]byte
	b := append(room[:0], statusHit...)
	b = append(b, "; ttl="...)
	b = strconv.AppendInt(b, left/second, 10)
	x.Note.Cache = statusHit
	if disk {
		b = append(b, "; detail=DISK"...)
		x.Note.Cache = statusDisk
	}
	x.Resp.Header.Add(statusField, b)
}

// detail is the parameter of that name, "" for none.
func detail(word string) string {
	if word == "" {
		return ""
	}
	return "detail=" + word
}

// fwdStatus is the parameter that tells the status of the server's answer.
func fwdStatus(status int) string { return "fwd-status=" + strconv.Itoa(status) }
