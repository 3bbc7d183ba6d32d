package house_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"strings"
	"testing"

	"gatehouse/backend/h2"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// h2exchange is a client of HTTP/2 that sends one request after the other and takes no memory itself.
type h2exchange struct {
	p       *h2peer
	request []byte // HEADERS and what follows, of stream 0
	starts  []int  // where its frames begin
	id      uint32
	in      []byte
	n       int
	unsaid  int // content taken since the last WINDOW_UPDATE
}

// run sends the request and reads to the end of the answer.
func (e *h2exchange) run(t testing.TB) {
	e.id += 2
	for _, i := range e.starts {
		binary.BigEndian.PutUint32(e.request[i+5:], e.id)
	}
	if _, err := e.p.nc.Write(e.request); err != nil {
		t.Fatal(err)
	}
	for {
		for e.n >= h2.FrameHead {
			f := h2.ParseFrame(e.in)
			whole := h2.FrameHead + f.Len
			if e.n < whole {
				break
			}
			e.n = copy(e.in, e.in[whole:e.n])
			switch {
			case f.Type == h2.GoAway || f.Type == h2.ResetStream:
				t.Fatalf("%+v", f)
			case f.Type == h2.Data:
				e.unsaid += f.Len
			}
			if f.Stream == e.id && f.Flags.Has(h2.EndStream) && f.Type != h2.WindowUpdate {
				if e.unsaid > 1<<28 {
					e.p.fr.WriteWindowUpdate(0, uint32(e.unsaid))
					e.unsaid = 0
				}
				return
			}
		}
		m, err := e.p.nc.Read(e.in[e.n:])
		if err != nil {
			t.Fatal(err)
		}
		e.n += m
	}
}

// h2hot are exchanges as most sites have them: fields of the request, its content, and the answer.
var h2hot = []struct {
	name   string
	lines  []string
	body   string
	seen   string
	answer string
}{
	{"get", asking("/index.html?a=b", "user-agent: Mozilla/5.0", "accept: */*", "cookie: a=1", "cookie: S=A", "priority: u=0, i"), "", "\r\n\r\n",
		"HTTP/1.1 200 OK\r\nServer: x\r\nContent-Type: text/html\r\nContent-Length: 1000\r\n\r\n" + strings.Repeat("x", 1000)},
	{"newcomer", asking("/"), "", "\r\n\r\n", "HTTP/1.1 200 OK\r\nCache-Control: public, max-age=60\r\nContent-Length: 1\r\n\r\n$"},
	{"not modified", asking("/", "cookie: S=A"), "", "\r\n\r\n", "HTTP/1.1 304 Not Modified\r\nETag: \"$\"\r\n\r\n"},
	{"chunked", asking("/", "cookie: S=A"), "", "\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"},
	{"200 KB", asking("/", "cookie: S=A"), "", "\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + strings.Repeat("x", 200_000)},
	{"post", []string{":method: POST", ":scheme: http", ":authority: a.test", ":path: /form", "cookie: S=A", "content-length: 3000"}, strings.Repeat("y", 2999) + "!", "!",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n$"},
	{"post of unknown length", []string{":method: POST", ":scheme: http", ":authority: a.test", ":path: /form", "cookie: S=A"}, "hello!", "!",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n$"},
}

// h2start opens the hot exchange i.
func h2start(t testing.TB, i int, tls bool) *h2exchange {
	x := &h2hot[i]
	o := newOrigin(t, repeat(x.seen, x.answer))
	bind := both
	if tls {
		bind = ""
	}
	r := build(t, plan{servers: []*origin{o}, back: `cookie "S" {}`, access: io.Discard, tls: tls, bind: bind})
	p := r.raw(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 30})
	p.nc.SetDeadline(noTime)
	p.fr.WriteWindowUpdate(0, 1<<30)
	var buf bytes.Buffer
	enc := hpack.NewEncoder(&buf)
	enc.SetMaxDynamicTableSize(0) // the same block each time
	for _, l := range x.lines {
		j := strings.Index(l[1:], ": ") + 1
		enc.WriteField(hpack.HeaderField{Name: l[:j], Value: l[j+2:]})
	}
	e := &h2exchange{p: p, in: make([]byte, 1<<20), id: 1<<32 - 1, starts: []int{0}}
	e.request = h2.AppendHeaders(nil, 0, buf.Bytes(), x.body == "")
	if x.body != "" {
		e.starts = append(e.starts, len(e.request))
		e.request = h2.AppendFrame(e.request, h2.Frame{Len: len(x.body), Type: h2.Data, Flags: h2.EndStream})
		e.request = append(e.request, x.body...)
	}
	return e
}

// TestStreamsAllocateNothing is TestExchangesAllocateNothing over HTTP/2: a stream with all that belongs to it, task, exchange, heads and
// content, costs no memory.
func TestStreamsAllocateNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for i := range h2hot {
		t.Run(h2hot[i].name, func(t *testing.T) {
			e := h2start(t, i, false)
			for range 200 { // pools fill, slices grow
				e.run(t)
			}
			if n := allocations(0, func() { e.run(t) }); n > 0 {
				t.Errorf("%v allocations per stream", n)
			}
		})
	}
}

// TestStreamsOverTLSAllocateNothing allows what crypto/tls itself takes, as TestExchangesOverTLSAllocateNothing does.
func TestStreamsOverTLSAllocateNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for i := range h2hot {
		t.Run(h2hot[i].name, func(t *testing.T) {
			e := h2start(t, i, true)
			for range 200 {
				e.run(t)
			}
			most := float64(4 + len(h2hot[i].answer)>>13)
			if n := allocations(most, func() { e.run(t) }); n > most {
				t.Errorf("%v allocations per stream, more than crypto/tls's %v", n, most)
			}
		})
	}
}

func BenchmarkStream(b *testing.B) {
	for i := range h2hot {
		b.Run(h2hot[i].name, func(b *testing.B) {
			e := h2start(b, i, false)
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
