package house_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"

	"gatehouse/backend/h2"
)

// inFrames returns an answer in frames of a stream: a head, content, and trailers where there are some.
func inFrames(content string, fields, trailers []string) []byte {
	block := func(lines []string) []byte {
		var b bytes.Buffer
		e := hpack.NewEncoder(&b)
		e.SetMaxDynamicTableSize(0)
		for _, l := range lines {
			i := strings.Index(l[1:], ": ") + 1
			e.WriteField(hpack.HeaderField{Name: l[:i], Value: l[i+2:]})
		}
		return b.Bytes()
	}
	out := h2.AppendHeaders(nil, 1, block(fields), false)
	for len(content) > 0 {
		n := min(len(content), h2.MaxFrame)
		f := h2.Frame{Len: n, Type: h2.Data, Stream: 1}
		if n == len(content) && trailers == nil {
			f.Flags = h2.EndStream
		}
		out = append(h2.AppendFrame(out, f), content[:n]...)
		content = content[n:]
	}
	if trailers != nil {
		out = h2.AppendHeaders(out, 1, block(trailers), true)
	}
	return out
}

// repeatFrames is a server of HTTP/2 that gives every request the same answer and takes no memory for it.
func repeatFrames(answer []byte) func(*wire) {
	return func(w *wire) {
		w.Conn.SetDeadline(noTime)
		open := h2.AppendSetting(h2.AppendFrame(nil, h2.Frame{Len: 6, Type: h2.SettingsFrame}), h2.InitialWindowSize, h2.MaxWindow)
		w.Conn.Write(h2.AppendWindow(open, 0, h2.MaxWindow-h2.FirstWindow))
		buf, n, skip := make([]byte, 256<<10), 0, len(h2.Preface)
		for {
			m, err := w.Conn.Read(buf[n:])
			if err != nil {
				return
			}
			n += m
			at := 0
			if skip > 0 && n >= skip {
				at, skip = skip, 0
			}
			for n-at >= h2.FrameHead {
				f := h2.ParseFrame(buf[at:])
				if n-at < h2.FrameHead+f.Len {
					break
				}
				at += h2.FrameHead + f.Len
				if f.Type > h2.Headers || !f.Flags.Has(h2.EndStream) {
					continue
				}
				for i := 0; i < len(answer); {
					g := h2.ParseFrame(answer[i:])
					binary.BigEndian.PutUint32(answer[i+5:], f.Stream)
					i += h2.FrameHead + g.Len
				}
				if _, err := w.Conn.Write(answer); err != nil {
					return
				}
			}
			n = copy(buf, buf[at:n])
		}
	}
}

// hot2 are exchanges of clients of HTTP/1 with servers of HTTP/2.
var hot2 = []struct {
	name, request string
	answer        []byte
	end           string
}{
	{"get", "GET /index.html?a=b HTTP/1.1\r\nHost: a.test\r\nUser-Agent: Mozilla/5.0\r\nAccept: */*\r\nCookie: a=1; S=A; b=2\r\n\r\n",
		inFrames(strings.Repeat("x", 999)+"$", []string{":status: 200", "content-type: text/html", "content-length: 1000"}, nil), "$"},
	{"unknown length", "GET / HTTP/1.1\r\nHost: a.test\r\nCookie: S=A\r\n\r\n", inFrames("hello", []string{":status: 200"}, nil), "0\r\n\r\n"},
	{"trailers", "GET / HTTP/1.1\r\nHost: a.test\r\nCookie: S=A\r\n\r\n", inFrames("hello", []string{":status: 200"}, []string{"grpc-status: 0", "grpc-message: fine"}), "fine\r\n\r\n"},
	{"100 KB", "GET / HTTP/1.1\r\nHost: a.test\r\nCookie: S=A\r\n\r\n",
		inFrames(strings.Repeat("x", 99_999)+"$", []string{":status: 200", "content-length: 100000"}, nil), "$"},
	{"post", "POST /form HTTP/1.1\r\nHost: a.test\r\nCookie: S=A\r\nContent-Length: 3000\r\n\r\n" + strings.Repeat("y", 3000),
		inFrames("$", []string{":status: 200", "content-length: 1"}, nil), "$"},
	{"small post", "POST /form HTTP/1.1\r\nHost: a.test\r\nCookie: S=A\r\nContent-Length: 3\r\n\r\nyyy",
		inFrames("$", []string{":status: 200", "content-length: 1"}, nil), "$"},
}

func start2(t testing.TB, i int) *exchangeOf {
	x := &hot2[i]
	o := newOrigin(t, repeatFrames(bytes.Clone(x.answer)))
	r := build(t, plan{back: "cookie \"S\" {}\n" + speaking(o.addr), access: io.Discard})
	c := r.client()
	c.Conn.SetDeadline(noTime)
	return &exchangeOf{c: c.Conn, request: []byte(x.request), end: []byte(x.end), buf: make([]byte, 300<<10)}
}

// TestHTTP2ServersAllocateNothing: the promise holds towards servers of HTTP/2 too.
func TestHTTP2ServersAllocateNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for i := range hot2 {
		t.Run(hot2[i].name, func(t *testing.T) {
			e := start2(t, i)
			for range 300 {
				e.run(t)
			}
			if n := allocations(0, func() { e.run(t) }); n > 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
}

func BenchmarkHTTP2Servers(b *testing.B) {
	for i := range hot2 {
		b.Run(hot2[i].name, func(b *testing.B) {
			e := start2(b, i)
			for range 300 {
				e.run(b)
			}
			b.ReportAllocs()
			for b.Loop() {
				e.run(b)
			}
		})
	}
}
