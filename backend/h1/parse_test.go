package h1

import (
	"errors"
	"strings"
	"testing"
)

const browserHead = "GET /assets/app.js?v=12 HTTP/1.1\r\n" +
	"Host: www.example.com\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n" +
	"Accept: */*\r\n" +
	"Accept-Language: en-US,en;q=0.5\r\n" +
	"Accept-Encoding: gzip, deflate, br\r\n" +
	"Referer: https://www.example.com/\r\n" +
	"Connection: keep-alive\r\n" +
	"Cookie: SERVERID=A; theme=dark\r\n" +
	"\r\n"

const serverHead = "HTTP/1.1 200 OK\r\n" +
	"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n" +
	"Server: Apache/2.4.62 (Debian)\r\n" +
	"Last-Modified: Sat, 05 Nov 1994 08:49:37 GMT\r\n" +
	"ETag: \"400-5f1c2d3e4a5b6\"\r\n" +
	"Accept-Ranges: bytes\r\n" +
	"Content-Length: 1024\r\n" +
	"Keep-Alive: timeout=5, max=100\r\n" +
	"Connection: Keep-Alive\r\n" +
	"\r\n"

// TestParseAllocatesNothing: a head is copied into memory that the header keeps. One allocation for each request costs
// 2 % of them.
func TestParseAllocatesNothing(t *testing.T) {
	const get = "GET / HTTP/1.1\r\nHost: h\r\n"
	var r Request
	var p Response
	for _, c := range []struct{ name, head string }{
		{"browser", browserHead},
		{"absolute-form", "GET http://b?x HTTP/1.1\r\nHost: a\r\n\r\n"},
		{"WebSocket", get + "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n\r\n"},
		{"chunked", get + "Transfer-Encoding: chunked\r\nTE: trailers\r\nExpect: 100-continue\r\n\r\n"},
		{"odd length", get + "Content-Length: 007\r\nConnection: x-hop\r\nX-Hop: 1\r\nX_Y: 2\r\n\r\n"},
		{"response", serverHead},
		{"switch", "HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"},
	} {
		for _, step := range []int{len(c.head), 5} {
			head := []byte(c.head)
			n := testing.AllocsPerRun(100, func() {
				var err error
				used := 0
				for end := step; used == 0 && err == nil; end += step {
					b := head[:min(end, len(head))]
					if c.head[:5] == "HTTP/" {
						used, err = p.Parse(b, nil, nil)
					} else {
						used, err = r.Parse(b, nil)
					}
				}
				if used != len(head) || err != nil {
					t.Fatal(c.name, used, err)
				}
			})
			if n != 0 {
				t.Errorf("%s in steps of %d: %v allocations", c.name, step, n)
			}
		}
	}
}

// TestRefusedAtOnce: what cannot become a head is not waited for. Every input is refused with its last byte and not
// before it.
func TestRefusedAtOnce(t *testing.T) {
	for _, c := range []struct {
		status int
		head   string
	}{
		{400, "\x16"},
		{400, "\n"},
		{400, "\rG"},
		{400, "GET\t"},
		{400, "GET /\x00"},
		{400, "GET / HTTP/1.1\n"},
		{400, "GET / HTTP/1.1\rX"},
		{400, "GET / \r\n"},
		{505, "GET / HTTP/2.0\r\n"},
		{400, "GET / HTTP/1.1\r\n "},
		{400, "GET / HTTP/1.1\r\n:"},
		{400, "GET / HTTP/1.1\r\nHost "},
		{400, "GET / HTTP/1.1\r\nHost: h\r\n\t"},
		{400, "GET / HTTP/1.1\r\nHost: h\r\nX\r"},
		{400, "GET / HTTP/1.1\r\nHost: h\r\nX: \x01"},
		{400, "GET / HTTP/1.1\r\nHost: h\r\nX: y\n"},
		{400, "GET / HTTP/1.1\r\nHost: h\r\n\rX"},
		{400, "\r\n\r\n\r\n\r\n\r\n"},
		{501, strings.Repeat("M", 33)},
		{502, "HTTP/1.1 200 OK\r\nX "},
		{502, "HTTP/1.1 99 \r\n"},
		{502, "HTTP/1.1 200 O\x00"},
		{502, "HTTP/2"},
		{502, "HTTP/1.1 200 OK\n"},
	} {
		var r Request
		var p Response
		for n := range len(c.head) + 1 {
			var err error
			if c.status == 502 {
				_, err = p.Parse([]byte(c.head[:n]), nil, nil)
			} else {
				_, err = r.Parse([]byte(c.head[:n]), nil)
			}
			switch e, ok := errors.AsType[*Error](err); {
			case n < len(c.head) && err != nil:
				t.Errorf("%q is refused after %d bytes: %v", c.head, n, err)
			case n == len(c.head) && (!ok || e.Status != c.status):
				t.Errorf("%q: %v, want %d", c.head, err, c.status)
			case err == nil:
				continue
			}
			break
		}
	}
}

// TestHeaderIsEmptyUntilComplete: a timeout in the middle of a head logs a request without fields, not a broken one.
func TestHeaderIsEmptyUntilComplete(t *testing.T) {
	var r Request
	for n := range len(browserHead) {
		if used, err := r.Parse([]byte(browserHead[:n]), nil); used != 0 || err != nil {
			t.Fatalf("after %d bytes: %d, %v", n, used, err)
		}
		if r.Header.Len() != 0 || r.Header.Has(Host) || len(r.Header.AppendTo(nil)) != 0 {
			t.Fatalf("after %d bytes there are fields", n)
		}
	}
}

// TestResetForgetsHalfAHead: the next connection of an exchange does not go on where the last one broke off.
func TestResetForgetsHalfAHead(t *testing.T) {
	var x Exchange
	if n, err := x.Req.Parse([]byte(browserHead[:100]), nil); n != 0 || err != nil {
		t.Fatal(n, err)
	}
	x.Reset()
	if n, err := x.Req.Parse([]byte(browserHead), nil); n != len(browserHead) || err != nil {
		t.Fatal(n, err)
	}
}

// TestParseForgetsTheLast: everything the parser sets it sets each time.
func TestParseForgetsTheLast(t *testing.T) {
	full := "GET /a HTTP/1.1\r\nHost: h\r\nConnection: close, upgrade\r\nUpgrade: websocket\r\nTE: trailers\r\n" +
		"Sec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\nX: y\r\n\r\n"
	content := "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
	bare := "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
	var used, fresh Request
	for _, head := range []string{full, content, bare} {
		if n, err := used.Parse([]byte(head), nil); n != len(head) || err != nil {
			t.Fatal(n, err)
		}
	}
	if n, err := fresh.Parse([]byte(bare), nil); n != len(bare) || err != nil {
		t.Fatal(n, err)
	}
	if got, want := describeRequest(&used), describeRequest(&fresh); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestErrorsNameTheCause(t *testing.T) {
	const get = "GET / HTTP/1.1\r\nHost: h\r\n"
	for _, c := range []struct{ head, want string }{
		{get + "Content-Length: 1x\r\n\r\n", `client: the Content-Length "1x" is not a number`},
		{get + "Transfer-Encoding: gzip, \"\xff\"\r\n\r\n", `client: the Transfer-Encoding "gzip, \"\xff\"" is malformed`},
		{get + "Connection: cookie\r\n\r\n", `client: connection option "cookie" names a field for all recipients`},
		{get + "X : y\r\n\r\n", "client: white space between field name and colon"},
		{get + "X\xe4: y\r\n\r\n", `client: the character 'ä' in a field name`},
		{get + "X: y\x1b\r\n\r\n", `client: the control character '\x1b' in the head`},
		{get + "X: y\r\n z\r\n\r\n", "client: a folded field line"},
		{"GET /\xff HTTP/1.1\r\n\r\n", `client: the character 'ÿ' in the request target`},
		{"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", `client: the Host "a/b" is not a host`},
		{"GET / HTTP/3.0\r\n\r\n", "client: the version HTTP/3.0"},
	} {
		var r Request
		if _, err := r.Parse([]byte(c.head), nil); err == nil || err.Error() != c.want {
			t.Errorf("%q:\ngot  %v\nwant %s", c.head, err, c.want)
		}
	}
}

// TestLimits: a field of ParseLimits counts alone, the others stay what they are.
func TestLimits(t *testing.T) {
	head := []byte("GET /0123456789 HTTP/1.1\r\nHost: h\r\nX-Long: 0123456789\r\n\r\n")
	for _, c := range []struct {
		lim    ParseLimits
		status int
	}{
		{ParseLimits{}, 0},
		{ParseLimits{Target: 11}, 0},
		{ParseLimits{Target: 10}, 414},
		{ParseLimits{Field: 18}, 0},
		{ParseLimits{Field: 17}, 431},
		{ParseLimits{Head: len(head)}, 0},
		{ParseLimits{Head: len(head) - 1}, 431},
		{ParseLimits{Fields: 2}, 0},
		{ParseLimits{Fields: 1}, 431},
	} {
		for _, step := range []int{1, len(head)} {
			var r Request
			n, err := feed(head, step, func(b []byte) (int, error) { return r.Parse(b, &c.lim) })
			status := 0
			if e, ok := errors.AsType[*Error](err); ok {
				status = e.Status
			}
			if status != c.status || (status == 0) != (n == len(head)) {
				t.Errorf("%+v in steps of %d: %d, %v, want %d", c.lim, step, n, err, c.status)
			}
		}
	}
}

func BenchmarkRequest(b *testing.B) {
	head := []byte(browserHead)
	b.SetBytes(int64(len(head)))
	b.ReportAllocs()
	var r Request
	for b.Loop() {
		if n, err := r.Parse(head, nil); n != len(head) || err != nil {
			b.Fatal(n, err)
		}
	}
}

func BenchmarkResponse(b *testing.B) {
	head, get := []byte(serverHead), []byte("GET")
	b.SetBytes(int64(len(head)))
	b.ReportAllocs()
	var r Response
	for b.Loop() {
		if n, err := r.Parse(head, get, nil); n != len(head) || err != nil {
			b.Fatal(n, err)
		}
	}
}

// BenchmarkRequestByteByByte is a head of 32 KiB whose every byte comes alone: about twice a look at each byte, and a call.
func BenchmarkRequestByteByByte(b *testing.B) {
	head := []byte("GET / HTTP/1.1\r\nHost: h\r\nX: " + strings.Repeat("x", 16<<10-3) + "\r\n" +
		"Y: " + strings.Repeat("y", 16<<10-100) + "\r\n\r\n")
	b.SetBytes(int64(len(head)))
	var r Request
	for b.Loop() {
		for n := range len(head) {
			if used, err := r.Parse(head[:n+1], nil); used != 0 && n+1 != len(head) || err != nil {
				b.Fatal(n, used, err)
			}
		}
	}
}
