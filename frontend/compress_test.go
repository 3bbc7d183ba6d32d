package frontend

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"gatehouse/backend/h1"
	"gatehouse/backend/loop"
)

// usual is a compress block as an empty one is decoded, with few types.
func usual() *Compress {
	return &Compress{Types: []string{"text/*", "application/json"}, Algorithms: everyCoding, MinSize: 1 << 10, GzipLevel: 5, BrotliLevel: 5,
		ZstdLevel: 3, Memory: 128 << 20}
}

// inflate decodes content.
func inflate(coding string, b []byte) ([]byte, error) {
	var r io.Reader
	var err error
	switch coding {
	case "gzip":
		r, err = gzip.NewReader(bytes.NewReader(b))
	case "br":
		r = brotli.NewReader(bytes.NewReader(b))
	case "zstd":
		var d *zstd.Decoder
		if d, err = zstd.NewReader(bytes.NewReader(b), zstd.WithDecoderConcurrency(1)); err == nil {
			defer d.Close()
			r = d
		}
	case "":
		return b, nil
	default:
		return nil, fmt.Errorf("coding %q", coding)
	}
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// inLoop runs f as a task of a loop in a bubble.
func inLoop(t *testing.T, f func(l *loop.Loop)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := loop.NewMem(0)
		l.OnPanic = func(v any, stack []byte) { t.Errorf("panic: %v\n%s", v, stack) }
		done := make(chan struct{})
		l.Post(func() {
			l.Go(loop.Func(func() {
				defer close(done)
				f(l)
			}))
		})
		<-done
		l.Stop()
	})
}

// story is a request and the response a server gives, as text: lines of heads, without the first.
type story struct {
	method        string // GET unless said
	minor         int    // 1 unless said: -1 is 0
	request       string
	status        int // 200 unless said
	response, own string
	length        int64 // of the content; 0 stands for 5000, -1 for unknown
	note          string
}

func (s story) exchange(l *loop.Loop, body h1.Body) *h1.Exchange {
	x := &h1.Exchange{Loop: l}
	x.Reset()
	x.Req.Method, x.Req.Minor = []byte("GET"), 1
	if s.method != "" {
		x.Req.Method = []byte(s.method)
	}
	if s.minor < 0 {
		x.Req.Minor = 0
	}
	fill := func(h *h1.Header, text string) {
		for line := range strings.Lines(text) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
			h.AddString(name, value)
		}
	}
	fill(&x.Req.Header, s.request)
	fill(&x.Own, s.own)
	r := &x.Resp
	fill(&r.Header, s.response)
	r.Status, r.Length = 200, 5000
	if s.status != 0 {
		r.Status = s.status
	}
	if s.length != 0 {
		r.Length = s.length
	}
	if r.Length >= 0 {
		r.Header.AddString("Content-Length", fmt.Sprint(r.Length))
	}
	if body == nil && string(x.Req.Method) != "HEAD" && r.Status != 304 && r.Status != 204 {
		body = &h1.Static{B: bytes.Repeat([]byte("x"), int(max(r.Length, 5000)))}
	}
	r.Body = body
	x.Note.Cache = s.note
	return x
}

// readAll reads a body to its end.
func readAll(b h1.Body) ([]byte, error) {
	var all []byte
	for wait := false; ; wait = true {
		p, err := b.Next(wait)
		all = append(all, p.Data()...)
		switch {
		case err == io.EOF:
			return all, nil
		case err != nil:
			return all, err
		case p.Last:
			return all, nil
		}
	}
}

const (
	anyClient = "Accept-Encoding: gzip"
	aText     = "Content-Type: text/html; charset=utf-8"
)

// TestWhatIsCompressed is the list of rules.
func TestWhatIsCompressed(t *testing.T) {
	for _, c := range []struct {
		name       string
		s          story
		compressed bool
		vary       bool
	}{
		{"a page", story{request: anyClient, response: aText}, true, true},
		{"a page for a client that takes nothing", story{response: aText}, false, true},
		{"a page for HTTP/1.0", story{minor: -1, request: anyClient, response: aText}, false, true},
		{"a type in other letters", story{request: anyClient, response: "Content-Type: Application/JSON"}, true, true},
		{"a picture", story{request: anyClient, response: "Content-Type: image/png"}, false, false},
		{"no type", story{request: anyClient}, false, false},
		{"a type that begins like one", story{request: anyClient, response: "Content-Type: application/jsonp"}, false, false},
		{"too short", story{request: anyClient, response: aText, length: 1023}, false, false},
		{"just long enough", story{request: anyClient, response: aText, length: 1024}, true, true},
		{"of unknown length", story{request: anyClient, response: aText, length: -1}, true, true},
		{"an error page", story{request: anyClient, response: aText, status: 404}, true, true},
		{"compressed by the server", story{request: anyClient, response: aText + "\nContent-Encoding: gzip"}, false, false},
		{"not to be transformed", story{request: anyClient, response: aText + "\nCache-Control: public, no-transform"}, false, false},
		{"not to be transformed for this client", story{request: anyClient + "\nCache-Control: no-transform", response: aText}, false, false},
		{"a part", story{request: anyClient + "\nRange: bytes=0-4999", response: aText + "\nContent-Range: bytes 0-4999/9999", status: 206}, false, false},
		{"all of it, though a part was asked for", story{request: anyClient + "\nRange: bytes=0-4999", response: aText}, true, true},
		{"no content", story{request: anyClient, response: aText, status: 204}, false, false},
		{"HEAD", story{method: "HEAD", request: anyClient, response: aText}, true, true},
		{"HEAD of something short", story{method: "HEAD", request: anyClient, response: aText, length: 10}, false, false},
		{"HEAD of unknown length", story{method: "HEAD", request: anyClient, response: aText, length: -1}, true, true},
		{"Vary is there", story{request: anyClient, response: aText + "\nVary: Origin, accept-encoding"}, true, true},
		{"Vary says everything", story{request: anyClient, response: aText + "\nVary: *"}, true, false},

		{"private", story{request: anyClient, response: aText + "\nCache-Control: max-age=60, private"}, false, true},
		{"fields that are private", story{request: anyClient, response: aText + "\nCache-Control: private=\"x-user\""}, false, true},
		{"with a cookie of the server's", story{request: anyClient, response: aText + "\nSet-Cookie: a=1"}, false, true},
		{"with a persistence cookie, of which the server knows nothing", story{request: anyClient, response: aText, own: "Set-Cookie: SERVERID=A\nCache-Control: private"}, true, true},
		{"with both", story{request: anyClient, response: aText + "\nSet-Cookie: a=1", own: "Set-Cookie: SERVERID=A"}, false, true},
		{"to a client with cookies", story{request: anyClient + "\nCookie: a=1", response: aText}, false, true},
		{"to a client with cookies, for everybody", story{request: anyClient + "\nCookie: a=1", response: aText + "\nCache-Control: public"}, true, true},
		{"to a client with cookies, to be kept", story{request: anyClient + "\nCookie: a=1", response: aText + "\nCache-Control: max-age=600"}, true, true},
		{"to a client with cookies, to be kept for no time", story{request: anyClient + "\nCookie: a=1", response: aText + "\nCache-Control: max-age=00"}, false, true},
		{"to a client with cookies, not to be kept", story{request: anyClient + "\nCookie: a=1", response: aText + "\nCache-Control: no-store, max-age=600"}, false, true},
		{"to a client with cookies, by which it was chosen", story{request: anyClient + "\nCookie: a=1", response: aText + "\nCache-Control: public\nVary: Cookie"}, false, true},
		{"to a client with cookies, from the cache", story{request: anyClient + "\nCookie: a=1", response: aText, note: "gatehouse; hit"}, true, true},
		{"to a client with cookies, on its way into the cache", story{request: anyClient + "\nCookie: a=1", response: aText, note: "gatehouse; fwd=uri-miss; fwd-status=200; stored"}, true, true},
		{"to a client with cookies, refused by the cache", story{request: anyClient + "\nCookie: a=1", response: aText, note: "gatehouse; fwd=uri-miss; fwd-status=200; detail=SET-COOKIE"}, false, true},
		{"to a client with credentials", story{request: anyClient + "\nAuthorization: Basic eA==", response: aText + "\nCache-Control: max-age=600"}, false, true},
		{"to a client with credentials, for everybody", story{request: anyClient + "\nAuthorization: Basic eA==", response: aText + "\nCache-Control: s-maxage=600"}, true, true},
	} {
		inLoop(t, func(l *loop.Loop) {
			k := newCompressor(usual(), &CompressStats{})
			x := c.s.exchange(l, nil)
			before := x.Resp.Length
			k.apply(x)
			h := &x.Resp.Header
			if got := string(h.Get(h1.ContentEncoding)) == "gzip" && !strings.Contains(c.s.response, "Content-Encoding"); got != c.compressed {
				t.Errorf("%s: compressed %v, want %v", c.name, got, c.compressed)
			}
			if got := h.HasToken(h1.Vary, "Accept-Encoding"); got != c.vary {
				t.Errorf("%s: Vary %v, want %v", c.name, got, c.vary)
			}
			n := 0
			for i := h.Index(h1.Vary, 0); i >= 0; i = h.Index(h1.Vary, i+1) {
				n += strings.Count(strings.ToLower(string(h.Value(i))), "accept-encoding")
			}
			if n > 1 {
				t.Errorf("%s: Vary says it %d times", c.name, n)
			}
			if c.compressed == h.Has(h1.ContentLength) && before >= 0 {
				t.Errorf("%s: with Content-Length %q", c.name, h.Get(h1.ContentLength))
			}
			if b := x.Resp.Body; b != nil {
				all, err := readAll(b)
				if err == nil {
					all, err = inflate(string(h.Get(h1.ContentEncoding)), all)
				}
				if c.compressed && (err != nil || len(all) != int(max(before, 5000))) {
					t.Errorf("%s: %d bytes, %v", c.name, len(all), err)
				}
				b.Close()
			}
			if n := k.under.Load(); n != 0 {
				t.Errorf("%s: %d bytes of encoders are still in use", c.name, n)
			}
		})
	}
}

// TestClientCertificateIsACredential as good as a password.
func TestClientCertificateIsACredential(t *testing.T) {
	for control, want := range map[string]string{"max-age=600": "", "public": "gzip"} {
		inLoop(t, func(l *loop.Loop) {
			x := story{request: anyClient, response: aText + "\nCache-Control: " + control}.exchange(l, nil)
			x.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{{}}}
			newCompressor(usual(), &CompressStats{}).apply(x)
			if got := string(x.Resp.Header.Get(h1.ContentEncoding)); got != want {
				t.Errorf("%s: Content-Encoding %q", control, got)
			}
			x.Resp.Body.Close()
		})
	}
}

func TestPrivateIsCompressedWhereAsked(t *testing.T) {
	inLoop(t, func(l *loop.Loop) {
		c := usual()
		c.Private = true
		x := story{request: anyClient + "\nCookie: a=1", response: aText + "\nSet-Cookie: a=2\nCache-Control: private", own: "Set-Cookie: S=1"}.exchange(l, nil)
		newCompressor(c, &CompressStats{}).apply(x)
		if got := string(x.Resp.Header.Get(h1.ContentEncoding)); got != "gzip" {
			t.Errorf("Content-Encoding %q", got)
		}
		x.Resp.Body.Close()
	})
}

// TestHeadOfCompressed: what said something about the very bytes says it no more.
func TestHeadOfCompressed(t *testing.T) {
	inLoop(t, func(l *loop.Loop) {
		k := newCompressor(usual(), &CompressStats{})
		x := story{request: "Accept-Encoding: br", response: aText + "\nETag: \"v1\"\nAccept-Ranges: bytes\nContent-MD5: x\nRepr-Digest: sha-256=:x:\nLast-Modified: x"}.exchange(l, nil)
		k.apply(x)
		var b []byte
		b = x.Resp.Header.AppendTo(b)
		if got, want := string(b), "Content-Type: text/html; charset=utf-8\r\nETag: W/\"v1\"\r\nLast-Modified: x\r\nVary: Accept-Encoding\r\nContent-Encoding: br\r\n"; got != want {
			t.Errorf("got %q\nwant %q", got, want)
		}
		x.Resp.Body.Close()

		// A weak tag stays as it is, and so does one on what is not compressed.
		for _, c := range [][2]string{{"gzip", `W/"v1"`}, {"deflate", `"v1"`}} {
			tag := `"v1"`
			if c[0] == "gzip" {
				tag = c[1]
			}
			x = story{request: "Accept-Encoding: " + c[0], response: aText + "\nETag: " + tag}.exchange(l, nil)
			k.apply(x)
			if got := string(x.Resp.Header.Get(h1.ETag)); got != c[1] {
				t.Errorf("%s: ETag %s", c[0], got)
			}
			x.Resp.Body.Close()
		}
	})
}

// TestNotModified: a client that has the compressed form is told about that one.
func TestNotModified(t *testing.T) {
	for _, c := range []struct{ has, tag, want string }{
		{`W/"v1"`, `"v1"`, `W/"v1"`},
		{`"v0", W/"v1"`, `"v1"`, `W/"v1"`},
		{`"v1"`, `"v1"`, `"v1"`},
		{`W/"v1"`, `W/"v1"`, `W/"v1"`},
		{`W/"v10"`, `"v1"`, `"v1"`},
		{`*`, `"v1"`, `"v1"`},
	} {
		inLoop(t, func(l *loop.Loop) {
			x := story{request: anyClient + "\nIf-None-Match: " + c.has, status: 304, length: -1, response: "ETag: " + c.tag}.exchange(l, nil)
			newCompressor(usual(), &CompressStats{}).apply(x)
			if got := string(x.Resp.Header.Get(h1.ETag)); got != c.want || x.Resp.Header.Has(h1.ContentEncoding) {
				t.Errorf("%s has %s: %s, want %s", c.tag, c.has, got, c.want)
			}
		})
	}
}

// source is a server's content: pieces come when they are sent.
type source struct {
	l       *loop.Loop
	pieces  [][]byte
	more    loop.Event
	end     error // what comes after them; nil: they go on
	trailer *h1.Header
	closed  bool
}

func (s *source) send(b ...byte) {
	s.pieces = append(s.pieces, b)
	s.more.Set(s.l)
}

func (s *source) Next(wait bool) (h1.Piece, error) {
	for len(s.pieces) == 0 {
		if s.end != nil {
			return h1.Piece{}, s.end
		}
		if !wait {
			return h1.Piece{}, nil
		}
		s.more.Clear()
		s.more.Wait(s.l, 0)
	}
	p := h1.PieceOf(bytes.Clone(s.pieces[0])) // valid until the next call: nobody may rely on more
	clear(s.pieces[0])
	s.pieces = s.pieces[1:]
	return p, nil
}

func (s *source) Trailer() *h1.Header { return s.trailer }
func (s *source) Close()              { s.closed = true }

// TestEventsArriveAtOnce: what a server sends and then pauses is with the client before the pause ends, whatever the coding.
func TestEventsArriveAtOnce(t *testing.T) {
	for _, coding := range everyCoding {
		inLoop(t, func(l *loop.Loop) {
			k := newCompressor(usual(), &CompressStats{})
			src := &source{l: l}
			x := story{request: "Accept-Encoding: " + coding.String(), response: "Content-Type: text/event-stream", length: -1}.exchange(l, src)
			k.apply(x)
			b := x.Resp.Body
			var got []byte
			began := time.Now()
			for i := range 20 {
				l.Go(loop.Func(func() {
					l.Sleep(time.Second)
					src.send(fmt.Appendf(nil, "data: event %d\n\n", i)...)
				}))
				if p, err := b.Next(false); err != nil || p.Len() > 0 {
					t.Fatalf("%v: %d bytes of nothing, %v", coding, p.Len(), err)
				}
				p, err := b.Next(true)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, p.Data()...)
				text, _ := inflate(coding.String(), got) // which ends in the middle
				if want := fmt.Sprintf("data: event %d\n\n", i); !strings.HasSuffix(string(text), want) {
					t.Errorf("%v: after %v there is %q", coding, time.Since(began), text)
				}
			}
			if d := time.Since(began); d > 25*time.Second {
				t.Errorf("%v: 20 events, one a second, took %v", coding, d)
			}
			b.Close()
			if !src.closed || k.under.Load() != 0 {
				t.Errorf("%v: closed %v, %d bytes in use", coding, src.closed, k.under.Load())
			}
		})
	}
}

// TestTrailersPass and so does what ends content early, without an end that could be taken for a good one.
func TestTrailersPass(t *testing.T) {
	for _, coding := range everyCoding {
		inLoop(t, func(l *loop.Loop) {
			k := newCompressor(usual(), &CompressStats{})
			src := &source{l: l, end: io.EOF, trailer: &h1.Header{}}
			src.trailer.AddString("X-Sum", "1")
			src.send([]byte("hello")...)
			x := story{request: "Accept-Encoding: " + coding.String(), response: aText, length: -1}.exchange(l, src)
			k.apply(x)
			all, err := readAll(x.Resp.Body)
			text, err2 := inflate(coding.String(), all)
			if string(text) != "hello" || err != nil || err2 != nil || x.Resp.Body.Trailer() != src.trailer {
				t.Errorf("%v: %q, %v, %v", coding, text, err, err2)
			}
			x.Resp.Body.Close()

			src = &source{l: l, end: &h1.Error{Status: 502, Side: h1.ByServer, Err: io.ErrUnexpectedEOF}}
			src.send(noise(500_000)...)
			x = story{request: "Accept-Encoding: " + coding.String(), response: aText, length: -1}.exchange(l, src)
			k.apply(x)
			all, err = readAll(x.Resp.Body)
			if err != src.end {
				t.Errorf("%v: a broken answer ends with %v", coding, err)
			}
			if _, err := inflate(coding.String(), all); err == nil || len(all) == 0 {
				t.Errorf("%v: of a broken answer %d bytes came, which look whole", coding, len(all))
			}
			x.Resp.Body.Close()
		})
	}
}

// TestNothingIsLostBetweenTurns: what is put out before a turn of the loop is over, or before the server pauses, goes out later.
func TestNothingIsLostBetweenTurns(t *testing.T) {
	text := []byte(strings.Repeat("It was the best of times, it was the worst of times.\n", 4000))
	for _, coding := range everyCoding {
		for _, length := range []int64{-1, int64(len(text))} {
			inLoop(t, func(l *loop.Loop) {
				k := newCompressor(usual(), &CompressStats{})
				src := &source{l: l}
				src.send(bytes.Clone(text[:150_000])...) // more than one turn does
				x := story{request: "Accept-Encoding: " + coding.String(), response: aText, length: length}.exchange(l, src)
				k.apply(x)
				var all []byte
				for range 20 { // looks, and never waits
					p, err := x.Resp.Body.Next(false)
					if err != nil {
						t.Fatal(err)
					}
					all = append(all, p.Data()...)
					l.Yield()
				}
				src.send(bytes.Clone(text[150_000:])...)
				src.end = io.EOF
				rest, err := readAll(x.Resp.Body)
				got, err2 := inflate(coding.String(), append(all, rest...))
				if !bytes.Equal(got, text) || err != nil || err2 != nil {
					t.Errorf("%v, length %d: %d bytes of %d, %v, %v", coding, length, len(got), len(text), err, err2)
				}
				x.Resp.Body.Close()
			})
		}
	}
}

// TestEncodersAreBounded: who finds no memory left is answered without compression.
func TestEncodersAreBounded(t *testing.T) {
	inLoop(t, func(l *loop.Loop) {
		c := usual()
		c.Memory = 8 << 20 // of which 6 are for encoders
		k := newCompressor(c, &CompressStats{})
		var open []h1.Body
		compressed := 0
		for range 10 {
			x := story{request: "Accept-Encoding: gzip", response: aText, length: -1}.exchange(l, &source{l: l})
			k.apply(x)
			open = append(open, x.Resp.Body)
			if x.Resp.Header.Has(h1.ContentEncoding) {
				compressed++
			} else if !x.Resp.Header.HasToken(h1.Vary, "Accept-Encoding") {
				t.Error("no Vary")
			}
		}
		if compressed != 6 {
			t.Errorf("%d of 10 answers are compressed at once", compressed)
		}
		for _, b := range open {
			b.Close()
		}
		if n := k.under.Load(); n != 0 {
			t.Errorf("%d bytes are still in use", n)
		}
	})
}

// stored is content of a cache.
type stored struct {
	chunks
	content [][]byte
	closed  *int
}

func (s *stored) Stored() [][]byte { return s.content }
func (s *stored) Close()           { *s.closed++ }

// TestHitsAreCompressedOnce on several loops that ask at once too.
func TestHitsAreCompressedOnce(t *testing.T) {
	text := bytes.Repeat([]byte("what is here more than once is here more than once\n"), 10_000)
	content := [][]byte{text[:65536], text[65536:]}
	for _, coding := range everyCoding {
		synctest.Test(t, func(t *testing.T) {
			k := newCompressor(usual(), &CompressStats{})
			var made sync.Map
			var wg sync.WaitGroup
			var loops []*loop.Loop
			for id := range 3 {
				l := loop.NewMem(id)
				loops = append(loops, l)
				l.OnPanic = func(v any, stack []byte) { t.Errorf("panic: %v\n%s", v, stack) }
				for range 10 {
					wg.Add(1)
					l.Post(func() {
						l.Go(loop.Func(func() {
							defer wg.Done()
							closed := 0
							x := story{request: "Accept-Encoding: " + coding.String(), response: aText, length: int64(len(text)), note: "gatehouse; hit"}.
								exchange(l, &stored{chunks: chunks{list: content}, content: content, closed: &closed})
							k.apply(x)
							b := x.Resp.Body.(*pressed)
							if b.copy == nil || closed != 1 || x.Resp.Length != int64(len(b.copy)) ||
								string(x.Resp.Header.Get(h1.ContentLength)) != fmt.Sprint(len(b.copy)) {
								t.Errorf("%v: no copy, or not closed (%d), or of length %d", coding, closed, x.Resp.Length)
								return
							}
							made.Store(&b.copy[0], true)
							all, err := readAll(b)
							if err == nil {
								all, err = inflate(coding.String(), all)
							}
							if !bytes.Equal(all, text) {
								t.Errorf("%v: %d bytes, %v", coding, len(all), err)
							}
							b.Close()
						}))
					})
				}
			}
			wg.Wait()
			n := 0
			made.Range(func(any, any) bool { n++; return true })
			if n != 1 {
				t.Errorf("%v: compressed %d times", coding, n)
			}
			for _, l := range loops {
				l.Stop()
			}
		})
	}
}

// noise is content that cannot be compressed.
func noise(n int) []byte {
	b := make([]byte, n)
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range b {
		b[i] = byte(rnd.Uint32())
	}
	return b
}

// TestIncompressibleHits go out as they are.
func TestIncompressibleHits(t *testing.T) {
	noise := noise(20_000)
	inLoop(t, func(l *loop.Loop) {
		k := newCompressor(usual(), &CompressStats{})
		for range 3 {
			closed := 0
			body := &stored{chunks: chunks{list: [][]byte{noise}}, content: [][]byte{noise}, closed: &closed}
			x := story{request: anyClient, response: aText, length: int64(len(noise)), note: "gatehouse; hit"}.exchange(l, body)
			k.apply(x)
			if x.Resp.Body != h1.Body(body) || closed != 0 || x.Resp.Header.Has(h1.ContentEncoding) || !x.Resp.Header.Has(h1.ContentLength) {
				t.Errorf("%+v", x.Resp)
			}
		}
		if n := k.copies.kept.EstimatedSize(); n != 1 {
			t.Errorf("%d are remembered", n)
		}
	})
}

// TestHitOfACopyAllocatesNothing but for the header, which has room after the first time.
func TestHitOfACopyAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	text := bytes.Repeat([]byte("what is here more than once\n"), 1000)
	content := [][]byte{text}
	inLoop(t, func(l *loop.Loop) {
		k := newCompressor(usual(), &CompressStats{})
		closed := 0
		body := &stored{content: content, closed: &closed}
		x := story{request: "Accept-Encoding: gzip, br, zstd", response: aText, length: int64(len(text))}.exchange(l, body)
		var head h1.Header
		head.CopyFrom(&x.Resp.Header)
		n := testing.AllocsPerRun(100, func() {
			x.Resp.Header.CopyFrom(&head)
			x.Resp.Length, x.Resp.Body = int64(len(text)), body
			k.apply(x)
			if p, err := x.Resp.Body.Next(false); err != nil || !p.Last {
				t.Errorf("%+v, %v", p, err)
			}
			x.Resp.Body.Close()
		})
		if n > 0 {
			t.Errorf("%v allocations", n)
		}
	})
}

// TestLoopsShareNoRoom: what a loop compresses with is its own, however many loops there are.
func TestLoopsShareNoRoom(t *testing.T) {
	k := newCompressor(usual(), &CompressStats{})
	seen := map[*pressRoom]int{}
	for _, id := range []int{0, 6, 70, 6 + 128, 0, 70} {
		l := loop.NewMem(id)
		r := k.room(l)
		l.Stop()
		if was, ok := seen[r]; ok && was != id {
			t.Errorf("loops %d and %d share a room", was, id)
		}
		seen[r] = id
	}
	if len(seen) != 4 {
		t.Errorf("%d rooms for 4 loops", len(seen))
	}
}

// FuzzCompress: whatever content comes in whatever pieces, it is the same after decoding.
func FuzzCompress(f *testing.F) {
	f.Add([]byte("hello"), uint64(1), uint8(0))
	f.Add(bytes.Repeat([]byte("abc"), 50_000), uint64(2), uint8(1))
	f.Add([]byte{}, uint64(3), uint8(2))
	// One loop and one compressor for all: an encoder that was used before must not show it.
	l := loop.NewMem(0)
	f.Cleanup(l.Stop)
	k := newCompressor(usual(), &CompressStats{})
	f.Fuzz(func(t *testing.T, text []byte, seed uint64, which uint8) {
		coding := everyCoding[int(which)%len(everyCoding)]
		rnd := rand.New(rand.NewPCG(seed, 0))
		if len(text) > 0 {
			most := 4000
			if seed%8 == 0 { // more than an encoder's window would do for little
				most = 300_000
			}
			text = bytes.Repeat(text, 1+rnd.IntN(1+most/len(text)))
		}
		done := make(chan struct{})
		l.Post(func() {
			l.Go(loop.Func(func() {
				defer close(done)
				src := &source{l: l}
				s := story{request: "Accept-Encoding: " + coding.String(), response: aText, length: -1}
				if rnd.IntN(2) == 0 && len(text) >= 1024 {
					s.length = int64(len(text))
				}
				x := s.exchange(l, src)
				k.apply(x)
				l.Go(loop.Func(func() {
					for rest := text; len(rest) > 0; {
						n := 1 + rnd.IntN(min(len(rest), 100_000))
						src.send(bytes.Clone(rest[:n])...)
						if rest = rest[n:]; rnd.IntN(2) == 0 {
							l.Yield()
						}
					}
					src.end = io.EOF
					src.more.Set(l)
				}))
				// As a client reads: now and then it looks without waiting.
				var all []byte
				p, err := x.Resp.Body.Next(false)
				for ; err == nil && !p.Last; p, err = x.Resp.Body.Next(rnd.IntN(2) == 0) {
					all = append(all, p.Data()...)
					if p.Len() == 0 {
						l.Yield()
					}
				}
				all = append(all, p.Data()...)
				if err == nil || err == io.EOF {
					all, err = inflate(coding.String(), all)
				}
				if err != nil || !bytes.Equal(all, text) {
					t.Errorf("%v: %d bytes of %d, %v", coding, len(all), len(text), err)
				}
				x.Resp.Body.Close()
			}))
		})
		<-done
	})
}
