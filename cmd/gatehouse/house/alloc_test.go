package house_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
)

// exchangeOf is a client with a prebuilt request and a server with a prebuilt answer, which take no memory themselves.
type exchangeOf struct {
	c       net.Conn
	request []byte
	end     []byte // what the answer ends with
	buf     []byte
}

// run sends the request and reads the answer.
func (e *exchangeOf) run(t testing.TB) {
	if _, err := e.c.Write(e.request); err != nil {
		t.Fatal(err)
	}
	for n := 0; ; {
		m, err := e.c.Read(e.buf[n:])
		if err != nil {
			t.Fatal(err)
		}
		if n += m; bytes.HasSuffix(e.buf[:n], e.end) {
			return
		}
	}
}

// repeat is a server that answers as soon as what it got ends with end.
func repeat(end, answer string) func(*wire) {
	return func(w *wire) {
		w.Conn.SetDeadline(noTime)
		buf, out, last := make([]byte, 256<<10), []byte(answer), []byte(end)
		for n := 0; ; {
			m, err := w.Conn.Read(buf[n:])
			if err != nil {
				return
			}
			if n += m; bytes.HasSuffix(buf[:n], last) {
				n = 0
				if _, err := w.Conn.Write(out); err != nil {
					return
				}
			}
		}
	}
}

// hot are exchanges as most sites have them.
var hot = []struct{ name, request, seen, answer string }{
	{"get", "GET /index.html?a=b HTTP/1.1\r\nHost: a.test\r\nUser-Agent: Mozilla/5.0\r\nAccept: */*\r\nReferer: http://a.test/\r\nCookie: a=1; S=A; b=2\r\n\r\n", "\r\n\r\n",
		"HTTP/1.1 200 OK\r\nServer: x\r\nContent-Type: text/html\r\nContent-Length: 1000\r\n\r\n" + strings.Repeat("x", 999) + "$"},
	{"newcomer", "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n", "\r\n\r\n",
		"HTTP/1.1 200 OK\r\nCache-Control: public, max-age=60\r\nContent-Length: 1\r\n\r\n$"},
	{"not modified", "GET / HTTP/1.1\r\nHost: a.test\r\nCookie: S=A\r\nIf-None-Match: \"1\"\r\n\r\n", "\r\n\r\n",
		"HTTP/1.1 304 Not Modified\r\nETag: \"$\"\r\n\r\n"},
	{"chunked", "GET / HTTP/1.1\r\nHost: a.test\r\nCookie: S=A\r\n\r\n", "\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"},
	{"200 KB", "GET / HTTP/1.1\r\nHost: a.test\r\nCookie: S=A\r\n\r\n", "\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + strings.Repeat("x", 199_999) + "$"},
	{"post", "POST /form HTTP/1.1\r\nHost: a.test\r\nCookie: S=A\r\nContent-Length: 3000\r\n\r\n" + strings.Repeat("y", 2999) + "!", "!",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n$"},
	{"post in chunks", "POST /form HTTP/1.1\r\nHost: a.test\r\nCookie: S=A\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n$"},
}

// start opens the hot exchange i.
func start(t testing.TB, i int, log string, tls bool) *exchangeOf {
	x := &hot[i]
	o := newOrigin(t, repeat(x.seen, x.answer))
	r := build(t, plan{servers: []*origin{o}, back: `cookie "S" {}`, log: log, access: io.Discard, tls: tls})
	c := r.client()
	c.Conn.SetDeadline(noTime)
	end := x.answer[strings.LastIndexAny(x.answer, "$0"):] // with "$" the content ends, with "0" the chunks do
	if strings.Contains(x.answer, " 304 ") {
		end = "\r\n\r\n"
	}
	return &exchangeOf{c: c.Conn, request: []byte(x.request), end: []byte(end), buf: make([]byte, 300<<10)}
}

// allocations counts those of a run: the least of some measurements, since on a busy machine what is read comes in more pieces. One that is
// no more than most is enough.
func allocations(most float64, run func()) float64 {
	least := testing.AllocsPerRun(500, run)
	for i := 1; i < attempts && least > most; i++ {
		least = min(least, testing.AllocsPerRun(500, run))
	}
	return least
}

// TestExchangesAllocateNothing is the product's promise: with cookie, forwardfor and access log, a request on a kept-alive connection
// costs no memory, whatever its framing.
func TestExchangesAllocateNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for i := range hot {
		for _, format := range []string{"httplog", "combined", "json"} {
			if i > 0 && format != "json" {
				continue
			}
			t.Run(hot[i].name+" "+format, func(t *testing.T) {
				e := start(t, i, fmt.Sprintf("format = %q", format), false)
				for range 200 { // pools fill, slices grow
					e.run(t)
				}
				if n := allocations(0, func() { e.run(t) }); n > 0 {
					t.Errorf("%v allocations per exchange", n)
				}
			})
		}
	}
}

// TestExchangesOverTLSAllocateNothing allows what crypto/tls itself takes: 32 bytes (an atLeastReader) each time it looks for a record. That
// is once in the client and twice in the house, when the request is there and when nothing more is; and once for each further record.
func TestExchangesOverTLSAllocateNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for i := range hot {
		t.Run(hot[i].name, func(t *testing.T) {
			e := start(t, i, "", true)
			for range 200 {
				e.run(t)
			}
			most := float64(3 + len(hot[i].answer)>>14)
			if n := allocations(most, func() { e.run(t) }); n > most {
				t.Errorf("%v allocations per exchange, more than crypto/tls's %v", n, most)
			}
		})
	}
}

func BenchmarkExchange(b *testing.B) {
	for i := range hot {
		b.Run(hot[i].name, func(b *testing.B) {
			e := start(b, i, "", false)
			for range 100 {
				e.run(b)
			}
			b.ReportAllocs()
			for b.Loop() {
				e.run(b)
			}
		})
	}
}
