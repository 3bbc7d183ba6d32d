package house_test

import (
	"fmt"
	"strings"
	"testing"
)

// verdict is what becomes of a hostile request.
type verdict struct {
	name    string
	send    string
	status  int    // of the first answer; 0: the connection is closed without one
	keep    bool   // the connection goes on, and a request that follows is served
	server  string // what the server must have got, in part; "": nothing at all; begun: no whole request
	without string // what it must not have got
}

const begun = "begun"

const smuggled = "GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n"

// framing is hostile-input.md 3.1: what the client is told, and that nothing ambiguous reaches a server.
var framing = []verdict{
	{name: "1 length and coding", send: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled, status: 400},
	{name: "2 TE.CL prefix", send: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n" +
		fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(smuggled), smuggled), status: 400},
	{name: "3 two codings lines", send: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled, status: 400},
	{name: "3 chunked, chunked", send: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n" + smuggled, status: 400},
	{name: "3 identity, chunked", send: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n" + smuggled, status: 400},
	{name: "3 chunked, identity", send: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + smuggled, status: 400},
	{name: "3 unknown coding", send: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: foo\r\n\r\n0\r\n\r\n" + smuggled, status: 501},
	{name: "4 any case", send: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: ChUnKeD\r\n\r\n0\r\n\r\n", status: 200, keep: true, server: "Transfer-Encoding: chunked\r\n"},
	{name: "4 vertical tab", send: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n" + smuggled, status: 400},
	{name: "4 NEL", send: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\x85\r\n\r\n0\r\n\r\n" + smuggled, status: 400},
	{name: "4 NBSP", send: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \xa0chunked\r\n\r\n0\r\n\r\n" + smuggled, status: 400},
	{name: "4 quotes", send: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n" + smuggled, status: 400},
	{name: "4 CR in name", send: "POST / HTTP/1.1\r\nHost: a\r\nTransfer\r-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled, status: 400},
	{name: "4 space in name", send: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + smuggled, status: 400},
	{name: "5 coding in 1.0", send: "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled, status: 400},
	{name: "6 two lengths", send: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello" + smuggled, status: 400},
	{name: "6 two equal lengths", send: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello" + smuggled, status: 400},
	{name: "6 list of lengths", send: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\nhello" + smuggled, status: 400},
	{name: "7 plus", send: length("+5"), status: 400},
	{name: "7 minus", send: length("-1"), status: 400},
	{name: "7 hex", send: length("0x5"), status: 400},
	{name: "7 underscore", send: length("5_0"), status: 400},
	{name: "7 exponent", send: length("1e1"), status: 400},
	{name: "7 empty", send: length(""), status: 400},
	{name: "7 space", send: length("5 5"), status: 400},
	{name: "7 NBSP", send: length("5\xa0"), status: 400},
	{name: "7 leading zeros", send: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 005\r\n\r\nhello", status: 200, keep: true, server: "Content-Length: 5\r\nX-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\n\r\nhello"},
	{name: "8 overflow", send: length("9223372036854775808"), status: 400},
	{name: "8 twenty digits", send: length("00000000000000000005"), status: 400},
	{name: "9 GET with content", send: "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", status: 200, keep: true, server: "Content-Length: 5\r\nX-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\n\r\nhello"},
	{name: "9 OPTIONS with content", send: "OPTIONS / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", status: 200, keep: true, server: "Content-Length: 5\r\nX-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\n\r\nhello"},
	{name: "9 DELETE with chunks", send: "DELETE / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", status: 200, keep: true, server: "\r\n\r\n5\r\nhello\r\n0\r\n\r\n"},
	{name: "10 strange expectation", send: "POST / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\nContent-Length: 5\r\n\r\nhello" + smuggled, status: 417},
	{name: "10 obfuscated expectation", send: "POST / HTTP/1.1\r\nHost: a\r\nExpect: \x0b100-continue\r\nContent-Length: 5\r\n\r\nhello" + smuggled, status: 400},
	{name: "11 0x", send: chunk("0x5"), status: 400, server: begun},
	{name: "11 plus", send: chunk("+5"), status: 400, server: begun},
	{name: "11 minus", send: chunk("-5"), status: 400, server: begun},
	{name: "11 underscore", send: chunk("5_0"), status: 400, server: begun},
	{name: "11 leading space", send: chunk(" 5"), status: 400, server: begun},
	{name: "11 trailing space", send: chunk("5 "), status: 400, server: begun},
	{name: "11 seventeen digits", send: chunk("00000000000000005"), status: 400, server: begun},
	{name: "11 overflow", send: chunk("ffffffffffffffff"), status: 400, server: begun},
	{name: "11 empty", send: chunk(""), status: 400, server: begun},
	{name: "12 extension", send: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b;c=\"d e\"\r\nhello\r\n0;x\r\n\r\n", status: 200, keep: true, server: "\r\n\r\n5\r\nhello\r\n0\r\n\r\n", without: ";"},
	{name: "12 bare LF", send: chunk("5;a\nb"), status: 400, server: begun},
	{name: "12 bare CR", send: chunk("5;a\rb"), status: 400, server: begun},
	{name: "12 NUL", send: chunk("5;a\x00"), status: 400, server: begun},
	{name: "12 bare semicolon", send: chunk("5;"), status: 400, server: begun},
	{name: "12 64 kB", send: chunk("5;" + strings.Repeat("a", 64<<10)), status: 400, server: begun},
	{name: "12 many", send: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + strings.Repeat("1;extension\r\nx\r\n", 3000) + "0\r\n\r\n" + smuggled, status: 400, server: begun},
	{name: "13 no CRLF", send: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello0\r\n\r\n" + smuggled, status: 400, server: begun},
	{name: "13 longer", send: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloo\r\n0\r\n\r\n" + smuggled, status: 400, server: begun},
	{name: "13 XX", send: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nXX0\r\n\r\n" + smuggled, status: 400, server: begun},
	{name: "14 trailers", send: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nContent-Length: 3\r\nTransfer-Encoding: x\r\nHost: evil\r\nAuthorization: y\r\nCookie: z\r\nX-Forwarded-For: 6.6.6.6\r\nX-Sum: 1\r\n\r\n",
		status: 200, keep: true, server: "0\r\nX-Sum: 1\r\n\r\n", without: "6.6.6.6"},
	{name: "15 fold", send: "GET / HTTP/1.1\r\nHost: a\r\nX-A: b\r\n c\r\n\r\n" + smuggled, status: 400},
	{name: "15 folded coding", send: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n" + smuggled, status: 400},
	{name: "16 LF", send: "GET / HTTP/1.1\nHost: a\n\n", status: 400},
	{name: "16 one LF", send: "GET / HTTP/1.1\r\nHost: a\r\nX: y\n\r\n", status: 400},
	{name: "17 CR", send: "GET / HTTP/1.1\r\nHost: a\r\nX: y\rz\r\n\r\n", status: 400},
	{name: "17 CRCRLF", send: "GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", status: 400},
	{name: "18 NUL in value", send: "GET / HTTP/1.1\r\nHost: a\r\nX: y\x00z\r\n\r\n", status: 400},
	{name: "18 control in name", send: "GET / HTTP/1.1\r\nHost: a\r\nX\x01: y\r\n\r\n", status: 400},
	{name: "18 DEL in target", send: "GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n", status: 400},
	{name: "19 space before colon", send: "GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n", status: 400},
	{name: "19 tab before colon", send: "GET / HTTP/1.1\r\nHost: a\r\nX\t: y\r\n\r\n", status: 400},
	{name: "20 empty name", send: "GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n", status: 400},
	{name: "20 no colon", send: "GET / HTTP/1.1\r\nHost: a\r\nnothing\r\n\r\n", status: 400},
	{name: "20 not a token", send: "GET / HTTP/1.1\r\nHost: a\r\nX(y): z\r\n\r\n", status: 400},
	{name: "20 8-bit name", send: "GET / HTTP/1.1\r\nHost: a\r\nX\xe9: z\r\n\r\n", status: 400},
	{name: "21 space first", send: "GET / HTTP/1.1\r\n Host: a\r\n\r\n", status: 400},
	{name: "22 no Host", send: "GET / HTTP/1.1\r\n\r\n", status: 400},
	{name: "22 two Hosts", send: "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", status: 400},
	{name: "22 empty Host", send: "GET / HTTP/1.1\r\nHost:\r\n\r\n", status: 400},
	{name: "22 user", send: "GET / HTTP/1.1\r\nHost: user@a\r\n\r\n", status: 400},
	{name: "22 path", send: "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", status: 400},
	{name: "22 comma", send: "GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", status: 400},
	{name: "22 port", send: "GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", status: 400},
	{name: "23 absolute form", send: "GET http://b.test/x HTTP/1.1\r\nHost: a\r\n\r\n", status: 200, keep: true, server: "GET /x HTTP/1.1\r\nHost: b.test\r\n", without: "Host: a\r\n"},
	{name: "24 GET *", send: "GET * HTTP/1.1\r\nHost: a\r\n\r\n", status: 400},
	{name: "24 OPTIONS *", send: "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", status: 200, keep: true, server: "OPTIONS * HTTP/1.1\r\n"},
	{name: "24 CONNECT", send: "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n" + smuggled, status: 405},
	{name: "24 one slash", send: "GET http:/x HTTP/1.1\r\nHost: a\r\n\r\n", status: 400},
	{name: "24 fragment", send: "GET /x#y HTTP/1.1\r\nHost: a\r\n\r\n", status: 400},
	{name: "24 8-bit", send: "GET /\xe9 HTTP/1.1\r\nHost: a\r\n\r\n", status: 400},
	{name: "24 space", send: "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", status: 400},
	{name: "24 tab", send: "GET /a\tb HTTP/1.1\r\nHost: a\r\n\r\n", status: 400},
	{name: "25 1.10", send: "GET / HTTP/1.10\r\nHost: a\r\n\r\n", status: 400},
	{name: "25 2.0", send: "GET / HTTP/2.0\r\nHost: a\r\n\r\n", status: 505},
	{name: "25 lower case", send: "GET / http/1.1\r\nHost: a\r\n\r\n", status: 400},
	{name: "25 none", send: "GET /\r\n\r\n", status: 400},
	{name: "25 preface", send: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", status: 505},
	{name: "26 lower case method", send: "get / HTTP/1.1\r\nHost: a\r\n\r\n", status: 200, keep: true, server: "get / HTTP/1.1\r\n"},
	{name: "26 unknown method", send: "BREW / HTTP/1.1\r\nHost: a\r\n\r\n", status: 200, keep: true, server: "BREW / HTTP/1.1\r\n"},
	{name: "26 bad token", send: "GET( / HTTP/1.1\r\nHost: a\r\n\r\n", status: 400},
	{name: "26 100 kB", send: strings.Repeat("A", 100_000) + " / HTTP/1.1\r\nHost: a\r\n\r\n", status: 501},
	{name: "27 two blank lines", send: "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", status: 200, keep: true, server: "GET / HTTP/1.1\r\n"},
	{name: "27 10,000 blank lines", send: strings.Repeat("\r\n", 10_000) + "GET / HTTP/1.1\r\nHost: a\r\n\r\n", status: 400},
	{name: "30 close and private fields", send: "GET / HTTP/1.1\r\nHost: a\r\nX-Hop: 1\r\nConnection: X-Hop\r\n\r\n", status: 200, keep: true, server: "GET /", without: "X-Hop"},
	{name: "30 Host as an option", send: "GET / HTTP/1.1\r\nHost: a\r\nConnection: Host\r\n\r\n", status: 400},
	{name: "30 Cookie as an option", send: "GET / HTTP/1.1\r\nHost: a\r\nCookie: a=b\r\nConnection: close, Cookie\r\n\r\n", status: 400},
	{name: "30 X-Forwarded-For as an option", send: "GET / HTTP/1.1\r\nHost: a\r\nConnection: X-Forwarded-For\r\n\r\n", status: 400},
	{name: "31 h2c", send: "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n", status: 200, keep: true, server: "GET /", without: "pgrade"},
	{name: "33 other upgrade", send: "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: TLS/1.0\r\n\r\n", status: 200, keep: true, server: "GET /", without: "pgrade"},
	{name: "33 WebSocket without key", send: "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n", status: 200, keep: true, server: "GET /", without: "\r\nUpgrade"},
	{name: "33 WebSocket of another version", send: "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 12\r\n\r\n", status: 200, keep: true, server: "GET /", without: "\r\nUpgrade"},
	{name: "34 underscores", send: "GET / HTTP/1.1\r\nHost: a\r\nX_Forwarded_For: 6.6.6.6\r\nContent_Length: 5\r\nA_B: c\r\n\r\n", status: 200, keep: true, server: "GET /", without: "_"},
}

func length(v string) string {
	return "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " + v + "\r\n\r\nhello" + smuggled
}

func chunk(size string) string {
	return "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + size + "\r\nhello\r\n0\r\n\r\n" + smuggled
}

// TestFramingRows plays each row in the clear and over TLS, at once and in pieces.
func TestFramingRows(t *testing.T) {
	for _, over := range []string{"clear", "tls"} {
		t.Run(over, func(t *testing.T) {
			for _, v := range framing {
				if over == "tls" { // which has a frontend for one host
					v.send = strings.ReplaceAll(v.send, "Host: a\r\n", "Host: a.test\r\n")
					v.send = strings.ReplaceAll(v.send, "b.test", "a.test:80")
					v.server = strings.ReplaceAll(v.server, "b.test", "a.test:80")
					v.server = strings.ReplaceAll(v.server, "Proto: http\r\n", "Proto: https\r\n")
				}
				t.Run(v.name, func(t *testing.T) { v.play(t, over == "tls", len(v.send)) })
				if over == "clear" && len(v.send) < 1000 && !raceEnabled {
					t.Run(v.name+", byte by byte", func(t *testing.T) { v.play(t, false, 1) })
				}
			}
		})
	}
}

// play sends a hostile request in pieces of a size, and looks at what the client and the server got.
func (v *verdict) play(t *testing.T, tls bool, size int) {
	o := newOrigin(t, nil)
	r := build(t, plan{servers: []*origin{o}, tls: tls})
	c := r.client()
	done := make(chan struct{})
	go func() { // the answer may come before all is sent
		defer close(done)
		for i := 0; i < len(v.send); i += size {
			if c.send(v.send[i:min(i+size, len(v.send))]) != nil {
				return
			}
		}
	}()
	method, _, _ := strings.Cut(strings.TrimLeft(v.send, "\r\n"), " ")
	a, err := c.answer(method)
	switch {
	case v.status == 0:
		if err == nil {
			t.Errorf("answered %d", a.status)
		}
	case err != nil:
		t.Fatal(err)
	case a.status != v.status:
		t.Errorf("status %d, want %d", a.status, v.status)
	}
	if v.keep {
		<-done
		if a := c.ask("GET /next HTTP/1.1\r\nHost: a.test\r\n\r\n"); a.status != 200 || !strings.HasPrefix(a.body, "GET /next") {
			t.Errorf("the next request: %d %q", a.status, a.body)
		}
	} else {
		if a != nil && !a.close {
			t.Errorf("no Connection: close in %q", a.head)
		}
		c.ended()
	}
	saw := o.seen()
	switch {
	case v.server == "" && saw != "", v.server == begun && o.requests() > 0:
		t.Errorf("the server got %q", saw)
	case size == 1 && strings.Contains(v.server, "hello"): // in pieces of their own
		if !strings.HasSuffix(a.body, " 5") {
			t.Errorf("the server answered %q to %q", a.body, saw)
		}
	case v.server != begun && !strings.Contains(saw, v.server):
		t.Errorf("the server got %q, want %q", saw, v.server)
	}
	if v.without != "" && strings.Contains(saw, v.without) {
		t.Errorf("the server got %q", saw)
	}
	if strings.Contains(saw, "smuggled") {
		t.Errorf("a smuggled request came through: %q", saw)
	}
	c.Close()
	<-done
}

// TestChunkThatLooksLikeTheEnd is a request whose content ends like a message. Two small chunks that come at once are moved together in
// the buffer, and what is left of them behind the content once was taken for the last chunk.
func TestChunkThatLooksLikeTheEnd(t *testing.T) {
	o := newOrigin(t, nil)
	r := build(t, plan{servers: []*origin{o}})
	c := r.client()
	c.send("POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\n\r\n0\r\n\r\n")
	// Only when the server has all of that the rest follows, so that it is no part of the same read.
	o.got("hello")
	rest := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(smuggled), smuggled)
	c.send(rest)
	a, err := c.answer("POST")
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("POST /a %d", 10+len(smuggled)); a.body != want {
		t.Errorf("the server read %q, want %q", a.body, want)
	}
	if n := o.requests(); n != 1 {
		t.Errorf("the server got %d requests: %q", n, o.seen())
	}
}
