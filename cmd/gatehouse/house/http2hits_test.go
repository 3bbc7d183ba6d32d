package house_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"testing"

	"gatehouse/backend/h2"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// h2volley is a client of HTTP/2 that asks for many things at once, as browsers and load generators do, and takes no memory itself.
type h2volley struct {
	p      *h2peer
	frames []byte // a HEADERS frame for each request
	starts []int  // where they begin
	id     uint32
	in     []byte
	n      int
	unsaid int // content taken since the last WINDOW_UPDATE
}

// run sends all requests and reads all answers to their ends.
func (v *h2volley) run(t testing.TB) {
	for _, i := range v.starts {
		v.id += 2
		binary.BigEndian.PutUint32(v.frames[i+5:], v.id)
	}
	if _, err := v.p.nc.Write(v.frames); err != nil {
		t.Fatal(err)
	}
	for ends := 0; ends < len(v.starts); {
		m, err := v.p.nc.Read(v.in[v.n:])
		if err != nil {
			t.Fatal(err)
		}
		v.n += m
		b := v.in[:v.n]
		for len(b) >= h2.FrameHead {
			f := h2.ParseFrame(b)
			if len(b) < h2.FrameHead+f.Len {
				break
			}
			switch {
			case f.Type == h2.GoAway || f.Type == h2.ResetStream:
				t.Fatalf("%+v", f)
			case f.Type == h2.Data:
				v.unsaid += f.Len
				fallthrough
			case f.Type == h2.Headers:
				if f.Flags.Has(h2.EndStream) {
					ends++
				}
			}
			b = b[h2.FrameHead+f.Len:]
		}
		v.n = copy(v.in, b)
	}
	if v.unsaid > 1<<28 {
		v.p.fr.WriteWindowUpdate(0, uint32(v.unsaid))
		v.unsaid = 0
	}
}

// h2cached are what is asked for: how many URLs, and fields besides.
var h2cached = []struct {
	name   string
	urls   int
	fields []string
}{
	{"the same again", 1, []string{"user-agent: h2load nghttp2/1.52.0"}},
	{"the parts of a page", 32, []string{"user-agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", "accept: image/avif,image/webp,*/*",
		"accept-language: en-US,en;q=0.5", "accept-encoding: gzip, deflate, br, zstd", "referer: https://a.test/index.html", "cookie: a=1; S=A; b=2",
		"sec-fetch-dest: image", "sec-fetch-mode: no-cors", "sec-fetch-site: same-origin", "priority: u=5, i"}},
}

// h2hits opens volley i of 32 requests, which the cache answers with a kilobyte each.
func h2hits(t testing.TB, i int, tls bool) *h2volley {
	const many = 32
	x := &h2cached[i]
	o := newOrigin(t, repeat("\r\n\r\n", "HTTP/1.1 200 OK\r\nServer: x\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nETag: \"1\"\r\nContent-Type: text/html\r\n"+
		"Cache-Control: max-age=100000000, public\r\nContent-Length: 1024\r\n\r\n"+strings.Repeat("x", 1024)))
	bind := both
	if tls {
		bind = ""
	}
	r := build(t, plan{servers: []*origin{o}, back: `cookie "S" {}`, front: "cache = cache.pages", access: io.Discard, tls: tls, bind: bind,
		log: `format = "httplog"`, more: "cache \"pages\" { fill_from_newcomers = true }\n"})
	p := r.raw(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 30})
	p.nc.SetDeadline(noTime)
	p.fr.WriteWindowUpdate(0, 1<<30)
	v := &h2volley{p: p, in: make([]byte, 1<<20), id: 1<<32 - 1}
	var buf bytes.Buffer
	enc := hpack.NewEncoder(&buf)
	encode := func(k int) []byte {
		buf.Reset()
		for _, l := range append([]string{":method: GET", ":scheme: https", ":authority: a.test", fmt.Sprintf(":path: /c/image-%d.png?v=7", k%x.urls)}, x.fields...) {
			j := strings.Index(l[1:], ": ") + 1
			enc.WriteField(hpack.HeaderField{Name: l[:j], Value: l[j+2:], Sensitive: l[:j] == ":path"})
		}
		return h2.AppendHeaders(nil, 0, buf.Bytes(), true)
	}
	v.starts = []int{0}
	for k := range x.urls { // the cache is filled, and the table
		v.frames = encode(k)
		v.run(t)
	}
	v.frames, v.starts = nil, nil
	for k := range many {
		v.starts = append(v.starts, len(v.frames))
		v.frames = append(v.frames, encode(k)...)
	}
	for range 100 { // pools fill, slices grow
		v.run(t)
	}
	if s := r.h.Status().Caches[0]; s.Hits != uint64(100*many) {
		t.Fatalf("%d hits", s.Hits)
	}
	return v
}

// TestHitsOverHTTP2AllocateNothing is TestHitsAllocateNothing for streams.
func TestHitsOverHTTP2AllocateNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for i := range h2cached {
		for _, tls := range []bool{false, true} {
			t.Run(h2cached[i].name+map[bool]string{true: " over TLS"}[tls], func(t *testing.T) {
				v := h2hits(t, i, tls)
				most := 0.0
				if tls { // see TestHitsAllocateNothing: records, of all 32 answers together
					most = 32
				}
				if n := allocations(most, func() { v.run(t) }); n > most {
					t.Errorf("%v allocations for %d hits, want at most %v", n, len(v.starts), most)
				}
			})
		}
	}
}

// BenchmarkHTTP2Hits is of client and proxy together, without TLS.
func BenchmarkHTTP2Hits(b *testing.B) {
	for i := range h2cached {
		b.Run(h2cached[i].name, func(b *testing.B) {
			v := h2hits(b, i, false)
			b.ReportAllocs()
			for b.Loop() {
				v.run(b)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(v.starts)), "ns/request")
		})
	}
}
