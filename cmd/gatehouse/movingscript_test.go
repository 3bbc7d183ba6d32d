package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// movingStep is a request that the old programs and gatehouse are asked, and what is done before.
type movingStep struct {
	name    string
	plain   bool   // over the port without TLS
	keep    bool   // on the connection of the step before
	request string // as it is sent; "HOST" stands for the site's name
	down    string // the servers that are stopped before, by name, and the others run
	settle  bool   // before, wait until requests go where they should now
}

// lot is a content that no buffer holds.
var lot = strings.Repeat("All work and no play makes Jack a dull boy. ", 50_000)

func ask(method, target, fields, body string) string {
	if body != "" {
		fields += "Content-Length: " + strconv.Itoa(len(body)) + "\r\n"
	}
	return method + " " + target + " HTTP/1.1\r\nHost: HOST\r\n" + fields + "\r\n" + body
}

// movingSteps is the script. Holder stands for a cookie of the second server.
var movingSteps = []movingStep{
	{name: "newcomer", request: ask("GET", "/page", "User-Agent: test\r\n", "")},
	{name: "holder", request: ask("GET", "/page", "Cookie: HOLDER\r\n", "")},
	{name: "holder among other cookies", request: ask("GET", "/page", "Cookie: a=1; HOLDER; b=2\r\n", "")},
	{name: "cookie of an unknown server", request: ask("GET", "/page", "Cookie: STRANGER\r\n", "")},
	{name: "in the clear", plain: true, request: ask("GET", "/page?q=1", "Cookie: HOLDER\r\n", "")},
	{name: "forged X-Forwarded-For", request: ask("GET", "/page", "Cookie: HOLDER\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: gopher\r\n", "")},
	{name: "HEAD", request: ask("HEAD", "/page", "Cookie: HOLDER\r\n", "")},
	{name: "OPTIONS", request: ask("OPTIONS", "/page", "Cookie: HOLDER\r\n", "")},
	{name: "POST", request: ask("POST", "/page", "Cookie: HOLDER\r\nContent-Type: text/plain\r\n", "hello")},
	{name: "POST of a lot", request: ask("POST", "/page", "Cookie: HOLDER\r\n", lot)},
	{name: "POST in chunks", request: ask("POST", "/page", "Cookie: HOLDER\r\nTransfer-Encoding: chunked\r\n", "") + "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"},
	{name: "a lot of answer", request: ask("GET", "/large", "Cookie: HOLDER\r\n", "")},
	{name: "an answer without a length", request: ask("GET", "/stream", "Cookie: HOLDER\r\n", "")},
	{name: "204", request: ask("GET", "/empty", "Cookie: HOLDER\r\n", "")},
	{name: "404", request: ask("GET", "/missing", "Cookie: HOLDER\r\n", "")},
	{name: "500", request: ask("GET", "/broken", "Cookie: HOLDER\r\n", "")},
	{name: "a file", request: ask("GET", "/file", "Cookie: HOLDER\r\n", "")},
	{name: "range", request: ask("GET", "/file2", "Cookie: HOLDER\r\nRange: bytes=2-4\r\n", "")},
	{name: "304", request: ask("GET", "/file3", "Cookie: HOLDER\r\nIf-None-Match: \"v1\"\r\n", "")},
	{name: "cached page, first", request: ask("GET", "/cached", "Cookie: HOLDER\r\n", "")},
	{name: "cached page, again", request: ask("GET", "/cached", "Cookie: HOLDER\r\n", "")},
	{name: "cached page, newcomer", request: ask("GET", "/cached", "", "")},
	{name: "cached page that newcomers ask for first", request: ask("GET", "/cached2", "", "")},
	{name: "the same, another newcomer", request: ask("GET", "/cached2", "", "")},
	{name: "cached page with an argument", request: ask("GET", "/cached?x=1", "Cookie: HOLDER\r\n", "")},
	{name: "private page, first", request: ask("GET", "/private", "Cookie: HOLDER\r\n", "")},
	{name: "private page, again", request: ask("GET", "/private", "Cookie: HOLDER\r\n", "")},
	{name: "login, first", request: ask("GET", "/login", "Cookie: HOLDER\r\n", "")},
	{name: "login, somebody else", request: ask("GET", "/login", "Cookie: HOLDER\r\n", "")},
	{name: "newcomer redirected by the server", request: ask("GET", "/moved", "", "")},
	{name: "another newcomer redirected by the server", request: ask("GET", "/moved", "", "")},
	{name: "keep-alive, first", request: ask("GET", "/page", "Cookie: HOLDER\r\n", "")},
	{name: "keep-alive, second", keep: true, request: ask("GET", "/missing", "Cookie: HOLDER\r\n", "")},
	{name: "keep-alive, another server's cookie", keep: true, request: ask("POST", "/page", "Cookie: OTHER\r\n", "hello")},
	{name: "keep-alive, last", keep: true, request: ask("GET", "/page", "Cookie: HOLDER\r\nConnection: close\r\n", "")},
	{name: "HTTP/1.0", request: "GET /page HTTP/1.0\r\nHost: HOST\r\nCookie: HOLDER\r\n\r\n"},
	{name: "HTTP/1.0 without a host", request: "GET /page HTTP/1.0\r\nCookie: HOLDER\r\n\r\n"},
	{name: "absolute URL", request: "GET http://HOST/page HTTP/1.1\r\nHost: HOST\r\nCookie: HOLDER\r\n\r\n"},
	{name: "another host", request: "GET /page HTTP/1.1\r\nHost: other.test\r\nCookie: HOLDER\r\n\r\n"},
	{name: "redirect to https", plain: true, request: ask("GET", "/secure/page?q=1", "", "")},
	{name: "forbidden path", request: ask("GET", "/admin/users", "Cookie: HOLDER\r\n", "")},
	{name: "bad: no host", request: "GET /page HTTP/1.1\r\nCookie: HOLDER\r\n\r\n"},
	{name: "bad: two hosts", request: "GET /page HTTP/1.1\r\nHost: HOST\r\nHost: other\r\nCookie: HOLDER\r\n\r\n"},
	{name: "bad: blank before colon", request: "GET /page HTTP/1.1\r\nHost: HOST\r\nCookie: HOLDER\r\nX-A : b\r\n\r\n"},
	{name: "bad: no HTTP", request: "HELO there\r\n\r\n"},
	{name: "bad: two lengths", request: "POST /page HTTP/1.1\r\nHost: HOST\r\nCookie: HOLDER\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello"},
	{name: "bad: length and chunks", request: "POST /page HTTP/1.1\r\nHost: HOST\r\nCookie: HOLDER\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
	{name: "bad: unknown coding", request: "POST /page HTTP/1.1\r\nHost: HOST\r\nCookie: HOLDER\r\nTransfer-Encoding: gzip\r\n\r\n0\r\n\r\n"},
	{name: "its server is down", down: "B", settle: true, request: ask("GET", "/page", "Cookie: HOLDER\r\n", "")},
	{name: "newcomer while one is down", down: "B", request: ask("GET", "/page", "", "")},
	{name: "all are down", down: "AB", settle: true, request: ask("GET", "/page", "", "")},
	{name: "all are back", settle: true, request: ask("GET", "/page", "Cookie: HOLDER\r\n", "")},
}

// movingClient plays the script against one stack of programs.
type movingClient struct {
	testing.TB
	site         *movingSite
	secure, open string // addresses with and without TLS; "" for none
	host         string
	cookie       func(server string) string // the cookie that names a server

	conn net.Conn
	r    *bufio.Reader
}

const movingPatience = 20 * time.Second

// play returns what became of each step: lines that say what the client got and what a server was asked.
func (c *movingClient) play(skip func(*movingStep) bool) map[string][]string {
	c.Helper()
	c.settle("")
	c.site.forget()
	got := map[string][]string{}
	for i := range movingSteps {
		s := &movingSteps[i]
		if skip(s) {
			continue
		}
		for _, o := range c.site.servers {
			o.turn(!strings.Contains(s.down, o.name))
		}
		if s.settle {
			c.settle(s.down)
		}
		c.site.news()
		got[s.name] = c.step(s)
	}
	c.conn.Close()
	return got
}

// words replaces what stands for cookies and the host.
func (c *movingClient) words(s string) string {
	return strings.NewReplacer("HOLDER", c.cookie("B"), "OTHER", c.cookie("A"), "STRANGER", c.cookie("Z"), "HOST", c.host).Replace(s)
}

// dial connects to the stack. It tries until somebody listens.
func (c *movingClient) dial(plain bool) {
	c.Helper()
	addr := c.secure
	if plain {
		addr = c.open
	}
	late := time.After(movingPatience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			conn.SetDeadline(time.Now().Add(movingPatience))
			if !plain {
				tc := tls.Client(conn, &tls.Config{ServerName: c.host, InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
				if err = tc.Handshake(); err != nil {
					conn.Close()
				}
				conn = tc
			}
			if err == nil {
				c.conn, c.r = conn, bufio.NewReader(conn)
				return
			}
		}
		select {
		case <-tick.C:
		case <-late:
			c.Fatalf("%s: %v", addr, err)
		}
	}
}

// settle waits until health checks have noticed who is down.
func (c *movingClient) settle(down string) {
	c.Helper()
	late := time.After(movingPatience)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		good := true
		for _, o := range c.site.servers {
			c.site.news()
			lines := c.step(&movingStep{request: "GET /settle HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\nCookie: " + c.cookie(o.name) + "\r\n\r\n"})
			status, by := lines[0], ""
			for _, l := range lines {
				if who, ok := strings.CutPrefix(l, "answered by "); ok {
					by = who
				}
			}
			switch {
			case len(down) == len(c.site.servers):
				good = good && status == "status 503"
			case strings.Contains(down, o.name):
				good = good && status == "status 200" && by != o.name
			default:
				good = good && status == "status 200" && by == o.name
			}
		}
		if good {
			return
		}
		select {
		case <-tick.C:
		case <-late:
			c.Fatalf("requests never went where they should with %q down", down)
		}
	}
}

// step sends a request and describes what comes of it.
func (c *movingClient) step(s *movingStep) (lines []string) {
	c.Helper()
	if !s.keep {
		if c.conn != nil {
			c.conn.Close()
		}
		c.dial(s.plain)
	}
	say := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	sent := make(chan struct{})
	request := c.words(s.request)
	conn := c.conn
	go func() { // who answers early does not read on
		io.WriteString(conn, request)
		close(sent)
	}()
	method, _, _ := strings.Cut(s.request, " ")
	resp, err := http.ReadResponse(c.r, &http.Request{Method: method})
	switch {
	case err != nil:
		say("no answer, %s", kindOfEnd(err))
		c.conn.Close()
	default:
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			say("content cut short, %s", kindOfEnd(err))
		}
		lines = append(lines, describe(resp, body)...)
	}
	asked, by := c.site.news()
	for i := range lines { // which server it is differs from balancer to balancer
		if by != "" {
			lines[i] = strings.ReplaceAll(lines[i], c.cookie(by), c.cookie("‹who answered›"))
		}
	}
	if holder := strings.Contains(s.request, "HOLDER") || strings.Contains(s.request, "OTHER"); holder && by != "" || s.name == "" {
		say("answered by %s", by)
	}
	if by == "" {
		say("no server was asked")
	}
	if err == nil && s.name != "" {
		say("then %s", c.after(resp.Close))
	}
	<-sent
	return append(lines, asked...)
}

// after says whether the connection goes on. Closing says that it should not.
func (c *movingClient) after(closing bool) string {
	if c.r.Buffered() > 0 {
		return "something nobody asked for"
	}
	if !closing {
		c.conn.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
	}
	_, err := c.r.Peek(1)
	c.conn.SetReadDeadline(time.Now().Add(movingPatience))
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.r.Reset(c.conn)
		return "the connection is kept"
	}
	return "the connection ends"
}

func kindOfEnd(err error) string {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return "nothing came in time"
	}
	return "the connection ended"
}

// describe spells an answer: the status, each field, the content.
func describe(resp *http.Response, body []byte) (lines []string) {
	lines = append(lines, "status "+strconv.Itoa(resp.StatusCode))
	var fields []string
	for name, values := range resp.Header {
		for _, v := range values {
			switch name {
			case "Date", "Age":
				v = "…"
			case "Content-Length":
				if resp.StatusCode >= 400 && resp.Header.Get("Server") != "origin" {
					v = "…" // of a page of the program's own
				}
			case "Keep-Alive":
				v = "…"
			}
			fields = append(fields, "field "+strings.ToLower(name)+": "+v)
		}
	}
	if len(resp.TransferEncoding) > 0 {
		fields = append(fields, "field transfer-encoding: "+resp.TransferEncoding[0])
	}
	if resp.Close {
		fields = append(fields, "field connection: close")
	}
	slices.Sort(fields)
	lines = append(lines, fields...)
	switch {
	case bytes.Contains(bytes.ToLower(body), []byte("<html")) || bytes.Contains(body, []byte("<!DOCTYPE")):
		lines = append(lines, "content: a page of the program's own")
	case len(body) > 0:
		lines = append(lines, "content: "+brief(body))
	}
	return lines
}
