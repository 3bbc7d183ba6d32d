package backend

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"gatehouse/backend/h1"
	"gatehouse/backend/loop"
)

// bench is a pool at work in front of servers that speak HTTP/2 frame by frame.
type bench struct {
	testing.TB
	l *loop.Loop
	p *Pool
}

// framing makes a pool whose servers are played by play, one after the other as they are connected to. change may change its configuration.
func framing(t testing.TB, change func(c *Config), play ...func(s *h2server)) *bench {
	t.Helper()
	l, err := loop.New(0)
	if err != nil {
		t.Fatal(err)
	}
	l.OnPanic = func(v any, stack []byte) { t.Errorf("panic: %v\n%s", v, stack) }
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for i := 0; ; i++ {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer nc.Close()
				nc.SetDeadline(time.Now().Add(20 * time.Second))
				if i >= len(play) {
					t.Errorf("connection %d, which nobody expected", i+1)
					return
				}
				play[i](newH2Server(t, nc))
			})
		}
	})
	a, err := loop.ParseAddr(ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c := &Config{Name: "app", Retries: 2, Redispatch: true, Servers: []*Server{{Name: "A", Address: a, Weight: 1, Protocol: ProtocolHTTP2}}}
	if change != nil {
		change(c)
	}
	p, err := New(c, Options{Loops: []*loop.Loop{l}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Close()
		l.Stop()
		ln.Close()
		running.Wait()
	})
	return &bench{TB: t, l: l, p: p}
}

// told is what came of an exchange.
type told struct {
	status  int
	body    string
	trailer string
	err     error
	note    h1.Note
}

func (t told) String() string {
	return fmt.Sprintf("%d %q %q %v", t.status, t.body, t.trailer, t.err)
}

// ask sends a request with that content, "" for none, and waits for what comes of it.
func (b *bench) ask(method, body string) told {
	b.Helper()
	select {
	case got := <-b.start(method, body):
		return got
	case <-time.After(20 * time.Second):
		b.Fatalf("%s: no answer", method)
		return told{}
	}
}

func (b *bench) start(method, body string) chan told {
	done := make(chan told, 1)
	b.l.Post(func() {
		b.l.Go(loop.Func(func() {
			x := &h1.Exchange{Loop: b.l}
			x.Reset()
			x.Req.Method, x.Req.Target, x.Req.Host, x.Req.Minor = []byte(method), []byte("/"), []byte("a.test"), 1
			x.Req.Header.AddString("Host", "a.test")
			if body != "" {
				x.Req.Framing, x.Req.Length, x.Req.Body = h1.ByLength, int64(len(body)), &whole{h1.Static{B: []byte(body)}}
			}
			done <- b.run(x)
		}))
	})
	return done
}

// whole is content that is here already.
type whole struct{ h1.Static }

func (*whole) Ready() bool { return true }

// run does an exchange, on the loop.
func (b *bench) run(x *h1.Exchange) (got told) {
	if got.err = b.p.RoundTrip(x); got.err != nil {
		got.note = x.Note
		return got
	}
	got.status, got.note = x.Resp.Status, x.Note
	if x.Resp.Body == nil {
		return got
	}
	defer x.Resp.Body.Close()
	for {
		p, err := x.Resp.Body.Next(true)
		got.body += string(p.Data())
		if err == io.EOF || p.Last {
			break
		}
		if err != nil {
			got.err = err
			return got
		}
	}
	if t := x.Resp.Body.Trailer(); t != nil {
		got.trailer = string(t.AppendTo(nil))
	}
	return got
}

// h2server is the other end of a link.
type h2server struct {
	testing.TB
	nc  net.Conn
	fr  *http2.Framer
	enc *hpack.Encoder
	buf bytes.Buffer
	dec *hpack.Decoder
}

func newH2Server(t testing.TB, nc net.Conn) *h2server {
	s := &h2server{TB: t, nc: nc, fr: http2.NewFramer(nc, nc)}
	s.fr.AllowIllegalWrites = true
	s.enc, s.dec = hpack.NewEncoder(&s.buf), hpack.NewDecoder(4096, nil)
	return s
}

// greet reads the preface and sends SETTINGS.
func (s *h2server) greet(settings ...http2.Setting) {
	preface := make([]byte, len(http2.ClientPreface))
	if _, err := io.ReadFull(s.nc, preface); err != nil || string(preface) != http2.ClientPreface {
		s.Errorf("preface %q: %v", preface, err)
	}
	s.fr.WriteSettings(settings...)
}

// request reads until a stream was opened, and to its end with whole. 0: the connection has ended.
func (s *h2server) request(whole bool) (id uint32) {
	for {
		f, err := s.fr.ReadFrame()
		if err != nil {
			return 0
		}
		end := false
		switch f := f.(type) {
		case *http2.HeadersFrame:
			if _, err := s.dec.DecodeFull(f.HeaderBlockFragment()); err != nil {
				s.Errorf("a header block: %v", err)
			}
			id, end = f.StreamID, f.StreamEnded()
		case *http2.DataFrame:
			end = f.StreamEnded()
		case *http2.GoAwayFrame:
			return 0
		}
		if id != 0 && (end || !whole) {
			return id
		}
	}
}

// head sends a HEADERS frame of lines "name: value".
func (s *h2server) head(id uint32, end bool, lines ...string) {
	s.buf.Reset()
	for _, l := range lines {
		i := strings.Index(l[1:], ": ") + 1
		s.enc.WriteField(hpack.HeaderField{Name: l[:i], Value: l[i+2:]})
	}
	s.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: s.buf.Bytes(), EndStream: end, EndHeaders: true})
}

// verdict reads until the stream is reset, or the connection ends, and says how.
func (s *h2server) verdict(id uint32) string {
	for {
		f, err := s.fr.ReadFrame()
		switch f := f.(type) {
		case *http2.RSTStreamFrame:
			if f.StreamID == id {
				return "RST " + f.ErrCode.String()
			}
		case *http2.GoAwayFrame:
			return "GOAWAY " + f.ErrCode.String()
		}
		if err != nil {
			return "EOF"
		}
	}
}

// answering answers every request.
func answering(s *h2server) {
	s.greet()
	for id := s.request(true); id != 0; id = s.request(true) {
		s.head(id, false, ":status: 200")
		s.fr.WriteData(id, true, []byte("ok"))
	}
}

// TestLinkAnswers: what a server may say, and what comes of it. The verdict is what the server is told then, "" for nothing.
func TestLinkAnswers(t *testing.T) {
	long := "x: " + strings.Repeat("y", 70_000)
	for _, tt := range []struct {
		name    string
		method  string
		say     func(s *h2server, id uint32)
		want    string // of told, or the beginning of the error
		verdict string
	}{
		{"content", "GET", func(s *h2server, id uint32) {
			s.head(id, false, ":status: 200")
			s.fr.WriteData(id, false, []byte("he"))
			s.fr.WriteDataPadded(id, true, []byte("llo"), make([]byte, 200))
		}, `200 "hello" "" <nil>`, ""},
		{"trailers", "GET", func(s *h2server, id uint32) {
			s.head(id, false, ":status: 200")
			s.fr.WriteData(id, false, []byte("x"))
			s.head(id, true, "grpc-status: 0", "content-length: 5", "grpc-message: fine")
		}, `200 "x" "grpc-status: 0\r\ngrpc-message: fine\r\n" <nil>`, ""},
		{"trailers alone", "POST", func(s *h2server, id uint32) { s.head(id, true, ":status: 200", "grpc-status: 12") }, `200 "" "" <nil>`, ""},
		{"interim", "GET", func(s *h2server, id uint32) {
			for range 16 {
				s.head(id, false, ":status: 103", "link: </a>")
			}
			s.head(id, true, ":status: 204")
		}, `204 "" "" <nil>`, ""},
		{"HEAD whose stream ends later", "HEAD", func(s *h2server, id uint32) {
			s.head(id, false, ":status: 200", "content-length: 7")
			s.fr.WriteData(id, true, nil)
		}, `200 "" "" <nil>`, ""},
		{"HEAD with content", "HEAD", func(s *h2server, id uint32) {
			s.head(id, false, ":status: 200")
			s.fr.WriteData(id, true, []byte("x"))
		}, `200 "" "" <nil>`, ""},
		{"too many interim", "GET", func(s *h2server, id uint32) {
			for range 2000 {
				s.head(id, false, ":status: 103")
			}
		}, "502 server: answer of A ADDR: more", "RST"},
		{"101", "GET", func(s *h2server, id uint32) { s.head(id, false, ":status: 101") }, "502 server: answer of A ADDR: 101", "RST PROTOCOL_ERROR"},
		{"no status", "GET", func(s *h2server, id uint32) { s.head(id, true, "x: y") }, "502 server: answer of A ADDR: without :status", "RST PROTOCOL_ERROR"},
		{"two statuses", "GET", func(s *h2server, id uint32) { s.head(id, true, ":status: 200", ":status: 200") }, "502 server: answer of A ADDR: a pseudo-header field twice", "RST PROTOCOL_ERROR"},
		{"status 99", "GET", func(s *h2server, id uint32) { s.head(id, true, ":status: 099") }, "502 server: answer of A ADDR: a :status", "RST PROTOCOL_ERROR"},
		{"status behind fields", "GET", func(s *h2server, id uint32) { s.head(id, true, "x: y", ":status: 200") }, "502 server: answer of A ADDR: a pseudo-header field behind", "RST PROTOCOL_ERROR"},
		{"a path", "GET", func(s *h2server, id uint32) { s.head(id, true, ":status: 200", ":path: /") }, "502 server: answer of A ADDR: a pseudo-header field of a request", "RST PROTOCOL_ERROR"},
		{"connection", "GET", func(s *h2server, id uint32) { s.head(id, true, ":status: 200", "connection: close") }, "502 server: answer of A ADDR: a field for the next hop", "RST PROTOCOL_ERROR"},
		{"NUL", "GET", func(s *h2server, id uint32) { s.head(id, true, ":status: 200", "x: a\x00b") }, "502 server: answer of A ADDR: a field that no message", "RST PROTOCOL_ERROR"},
		{"upper case", "GET", func(s *h2server, id uint32) { s.head(id, true, ":status: 200", "X: a") }, "502 server: answer of A ADDR: a field that no message", "RST PROTOCOL_ERROR"},
		{"300 fields", "GET", func(s *h2server, id uint32) {
			s.head(id, true, append([]string{":status: 200"}, strings.Split(strings.Repeat("x: y,", 300)+"z: 1", ",")...)...)
		}, "502 server: answer of A ADDR: too many fields", "RST PROTOCOL_ERROR"},
		{"two lengths", "GET", func(s *h2server, id uint32) {
			s.head(id, false, ":status: 200", "content-length: 1", "content-length: 1")
		}, "502 server: answer of A ADDR: two Content-Length", "RST PROTOCOL_ERROR"},
		{"a length and no content", "GET", func(s *h2server, id uint32) { s.head(id, true, ":status: 200", "content-length: 1") }, "502 server: answer of A ADDR: a Content-Length and no content", "RST PROTOCOL_ERROR"},
		{"less than the length", "GET", func(s *h2server, id uint32) {
			s.head(id, false, ":status: 200", "content-length: 3")
			s.fr.WriteData(id, true, []byte("ab"))
		}, `200 "" "" server: answer of A ADDR: less content`, "RST PROTOCOL_ERROR"},
		{"more than the length", "GET", func(s *h2server, id uint32) {
			s.head(id, false, ":status: 200", "content-length: 1")
			s.fr.WriteData(id, true, []byte("ab"))
		}, `200 "" "" server: answer of A ADDR: more content`, "RST PROTOCOL_ERROR"},
		{"content before the head", "GET", func(s *h2server, id uint32) { s.fr.WriteData(id, true, []byte("ab")) }, "502 server: answer of A ADDR: content before a head", "RST PROTOCOL_ERROR"},
		{"trailers that go on", "GET", func(s *h2server, id uint32) {
			s.head(id, false, ":status: 200")
			s.head(id, false, "x: y")
		}, `200 "" "" server: answer of A ADDR: a trailer section`, "RST PROTOCOL_ERROR"},
		{"reset before the head", "POST", func(s *h2server, id uint32) { s.fr.WriteRSTStream(id, http2.ErrCodeInternal) }, "502 server: answer of A ADDR: the stream was reset: INTERNAL_ERROR", ""},
		{"reset in the middle", "GET", func(s *h2server, id uint32) {
			s.head(id, false, ":status: 200")
			s.fr.WriteRSTStream(id, http2.ErrCodeNo)
		}, `200 "" "" server: answer of A ADDR: the stream was reset: NO_ERROR`, ""},
		{"the end in the middle", "GET", func(s *h2server, id uint32) {
			s.head(id, false, ":status: 200")
			s.nc.Close()
		}, `200 "" "" server: answer of A ADDR: unexpected EOF`, ""},
		{"the end before the head of a POST", "POST", func(s *h2server, id uint32) { s.nc.Close() }, "502 server: answer of A ADDR: unexpected EOF", ""},
		{"PUSH_PROMISE", "POST", func(s *h2server, id uint32) {
			s.fr.WritePushPromise(http2.PushPromiseParam{StreamID: id, PromiseID: 2, BlockFragment: nil, EndHeaders: true})
		}, "502 server: answer of A ADDR: PROTOCOL_ERROR: PUSH_PROMISE", "GOAWAY PROTOCOL_ERROR"},
		{"a stream nobody opened", "POST", func(s *h2server, id uint32) { s.head(id+2, true, ":status: 200") }, "502 server: answer of A ADDR: PROTOCOL_ERROR: a frame on a stream", "GOAWAY PROTOCOL_ERROR"},
		{"a stream of its own", "POST", func(s *h2server, id uint32) { s.head(2, true, ":status: 200") }, "502 server: answer of A ADDR: PROTOCOL_ERROR: a frame on a stream", "GOAWAY PROTOCOL_ERROR"},
		{"a broken header block", "POST", func(s *h2server, id uint32) {
			s.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: []byte{0xff, 0xff, 0xff}, EndHeaders: true})
		}, "502 server: answer of A ADDR: COMPRESSION_ERROR", "GOAWAY COMPRESSION_ERROR"},
		{"a header block without end", "POST", func(s *h2server, id uint32) {
			s.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: []byte{0x88}})
			for range 20 {
				s.fr.WriteContinuation(id, false, make([]byte, 16000))
			}
		}, "502 server: answer of A ADDR: ENHANCE_YOUR_CALM", "GOAWAY ENHANCE_YOUR_CALM"},
		{"a head of 70 KB", "POST", func(s *h2server, id uint32) {
			s.buf.Reset()
			s.enc.WriteField(hpack.HeaderField{Name: ":status", Value: "200"})
			name, value, _ := strings.Cut(long, ": ")
			s.enc.WriteField(hpack.HeaderField{Name: name, Value: value})
			b := s.buf.Bytes()
			s.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: b[:16000]})
			for b = b[16000:]; len(b) > 16000; b = b[16000:] {
				s.fr.WriteContinuation(id, false, b[:16000])
			}
			s.fr.WriteContinuation(id, true, b)
		}, "502 server: answer of A ADDR: the head is too long", "RST PROTOCOL_ERROR"},
		{"a frame too long", "POST", func(s *h2server, id uint32) { s.fr.WriteData(id, false, make([]byte, 20_000)) }, "502 server: answer of A ADDR: FRAME_SIZE_ERROR", "GOAWAY FRAME_SIZE_ERROR"},
		{"a window of nothing", "POST", func(s *h2server, id uint32) { s.fr.WriteWindowUpdate(0, 0) }, "502 server: answer of A ADDR: PROTOCOL_ERROR: WINDOW_UPDATE", "GOAWAY PROTOCOL_ERROR"},
		{"a window too large", "POST", func(s *h2server, id uint32) { s.fr.WriteWindowUpdate(id, 1<<31-1) }, "502 server: answer of A ADDR: FLOW_CONTROL_ERROR", "RST FLOW_CONTROL_ERROR"},
		{"GOAWAY with an error", "POST", func(s *h2server, id uint32) { s.fr.WriteGoAway(id, http2.ErrCodeInternal, nil) }, "502 server: answer of A ADDR: the server has ended the connection: INTERNAL_ERROR", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			verdict := make(chan string, 1)
			b := framing(t, nil, func(s *h2server) {
				s.greet()
				id := s.request(true)
				tt.say(s, id)
				verdict <- s.verdict(id)
			}, answering)
			body := ""
			if tt.method == "POST" {
				body = "some"
			}
			got := b.ask(tt.method, body)
			said := got.String()
			if he, ok := errors.AsType[*h1.Error](got.err); ok && got.status == 0 {
				said = fmt.Sprint(he.Status, " ", he)
			}
			want := strings.Replace(tt.want, "ADDR", b.p.servers[0].address().String(), 1)
			if !strings.HasPrefix(said, want) {
				t.Errorf("%s, want %s", said, want)
			}
			b.p.Close()
			if got := <-verdict; tt.verdict != "" && !strings.HasPrefix(got, tt.verdict) {
				t.Errorf("the server is told %q, want %q", got, tt.verdict)
			}
			if n := b.p.servers[0].active.Load(); n != 0 {
				t.Errorf("%d exchanges under way", n)
			}
		})
	}
}
