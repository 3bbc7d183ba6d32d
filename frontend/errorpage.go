package frontend

import (
	"fmt"
	"strconv"
	"sync/atomic"

	"gatehouse/backend/h1"
)

// page is an answer of the proxy itself, ready to be written. It is shared: nobody changes it.
type page struct {
	status int
	reason string
	// head is the status line (as HTTP/1.1) and the fields that belong to the page, each line with CRLF. The writer
	// appends Date, Connection and the empty line, then body unless the method is HEAD.
	head []byte
	// body is empty where a response has no content: 1xx, 204, 304 (RFC 9110 6.4.1), whose head has no Content-Length, and
	// 205.
	body []byte
}

// pages holds every page asked for so far. Two loops that build the same one at once build the same bytes.
var pages [500]atomic.Pointer[page]

// ErrorPage returns the page for a status: its head, which lacks Date, Connection and the empty line at its end, and its
// body. Both are shared and must not be changed. What is not a status, from 100 to 599, gets the page of 500.
func ErrorPage(status int) (head, body []byte) {
	p := pageOf(status)
	return p.head, p.body
}

// pageOf is ErrorPage as one piece. It allocates once for each status.
func pageOf(status int) *page {
	if status < 100 || status > 599 {
		status = 500
	}
	slot := &pages[status-100]
	p := slot.Load()
	if p == nil {
		p = newPage(status)
		slot.Store(p)
	}
	return p
}

func newPage(status int) *page {
	p := &page{status: status, reason: reason(status)}
	p.head = fmt.Appendf(nil, "HTTP/1.1 %d %s\r\n", status, p.reason)
	switch {
	case status < 200 || status == 204 || status == 304:
		return p
	case status == 205: // "a server MUST NOT generate content in a 205 response" (RFC 9110 15.3.6)
		p.head = append(p.head, "Content-Length: 0\r\n"...)
		return p
	}
	title := strconv.Itoa(status)
	if p.reason != "" {
		title += " " + p.reason
	}
	p.body = fmt.Appendf(nil, pageForm, title, title)
	if s := said[status]; s != "" {
		p.body = fmt.Appendf(p.body, "<p>%s</p>\n", s)
	}
	p.body = append(p.body, "</html>\n"...)
	// An answer of ours tells how things stand at this moment: nobody may keep it (hostile-input row 81).
	p.head = fmt.Appendf(p.head, "Content-Type: text/html; charset=utf-8\r\nCache-Control: no-store\r\nContent-Length: %d\r\n", len(p.body))
	return p
}

// pageForm is complete in itself: a site that is down serves no style sheets either. It says nothing about what stands
// behind it.
const pageForm = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>%s</title>
<style>
:root { color-scheme: light dark }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 34rem; margin: 20vh auto 0; padding: 0 1.5rem }
h1 { font-size: 1.5rem }
</style>
<h1>%s</h1>
`

// said is what a visitor reads under the title. The log is told the cause, the visitor is not.
var said = map[int]string{
	400: "The request could not be understood.",
	403: "This page is not open to you.",
	404: "There is no page at this address.",
	405: "This method is not offered here.",
	408: "The request did not arrive in time.",
	413: "The request carries more than is accepted here.",
	414: "The address is longer than is accepted here.",
	417: "The request expects something that is not offered here.",
	421: "This host is not served on this connection.",
	429: "Too many requests came in. Please wait a moment and try again.",
	431: "The header fields of the request are larger than is accepted here.",
	500: "Something went wrong on this side. It is not your fault.",
	501: "What the request asks for is not supported.",
	502: "The server behind this site gave no usable answer. Please try again in a moment.",
	503: "The site cannot take the request right now. Please try again in a moment.",
	504: "The server behind this site took too long to answer. Please try again in a moment.",
	505: "This version of HTTP is not supported.",
}

// reason returns the reason phrase of a status, "" for a status that is not registered.
func reason(status int) string { return h1.ReasonPhrase(status) }
