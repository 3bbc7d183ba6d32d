package house_test

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// TestHTTP2RulesOfFrames sends what RFC 9113 forbids. want is what verdict says of the stream 1.
func TestHTTP2RulesOfFrames(t *testing.T) {
	o := newOrigin(t, nil)
	r := build(t, plan{servers: []*origin{o}, bind: both})
	post := func(more ...string) []string {
		return append([]string{":method: POST", ":scheme: http", ":authority: a.test", ":path: /refused"}, more...)
	}
	for _, c := range []struct {
		name, want string
		send       func(p *h2peer)
	}{
		{"an even stream", "GOAWAY PROTOCOL_ERROR", func(p *h2peer) { p.headers(2, true, asking("/refused")...) }},
		{"a lower stream", "GOAWAY STREAM_CLOSED", func(p *h2peer) {
			p.headers(5, true, asking("/ok")...)
			p.headers(3, true, asking("/refused")...)
		}},
		{"DATA on an idle stream", "GOAWAY PROTOCOL_ERROR", func(p *h2peer) { p.fr.WriteData(1, true, []byte("x")) }},
		{"WINDOW_UPDATE on an idle stream", "GOAWAY PROTOCOL_ERROR", func(p *h2peer) { p.fr.WriteWindowUpdate(1, 1) }},
		{"RST_STREAM on an idle stream", "GOAWAY PROTOCOL_ERROR", func(p *h2peer) { p.fr.WriteRSTStream(1, 0) }},
		{"a frame too long", "GOAWAY FRAME_SIZE_ERROR", func(p *h2peer) { p.fr.WriteRawFrame(http2.FrameData, 0, 1, make([]byte, 16385)) }},
		{"PUSH_PROMISE", "GOAWAY PROTOCOL_ERROR", func(p *h2peer) { p.fr.WriteRawFrame(http2.FramePushPromise, 4, 1, make([]byte, 4)) }},
		{"DATA of stream 0", "GOAWAY PROTOCOL_ERROR", func(p *h2peer) { p.fr.WriteRawFrame(http2.FrameData, 0, 0, []byte("x")) }},
		{"SETTINGS on a stream", "GOAWAY PROTOCOL_ERROR", func(p *h2peer) { p.fr.WriteRawFrame(http2.FrameSettings, 0, 1, nil) }},
		{"SETTINGS cut short", "GOAWAY FRAME_SIZE_ERROR", func(p *h2peer) { p.fr.WriteRawFrame(http2.FrameSettings, 0, 0, make([]byte, 5)) }},
		{"ENABLE_PUSH = 2", "GOAWAY PROTOCOL_ERROR", func(p *h2peer) { p.fr.WriteSettings(http2.Setting{ID: http2.SettingEnablePush, Val: 2}) }},
		{"a first window beyond the limit", "GOAWAY FLOW_CONTROL_ERROR", func(p *h2peer) {
			p.fr.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 31})
		}},
		{"PING cut short", "GOAWAY FRAME_SIZE_ERROR", func(p *h2peer) { p.fr.WriteRawFrame(http2.FramePing, 0, 0, make([]byte, 7)) }},
		{"a window by 0", "GOAWAY PROTOCOL_ERROR", func(p *h2peer) { p.fr.WriteRawFrame(http2.FrameWindowUpdate, 0, 0, make([]byte, 4)) }},
		{"a window beyond the limit", "GOAWAY FLOW_CONTROL_ERROR", func(p *h2peer) { p.fr.WriteWindowUpdate(0, 1<<31-1) }},
		{"a stream's window by 0", "RST PROTOCOL_ERROR", func(p *h2peer) {
			p.headers(1, false, post()...)
			p.fr.WriteRawFrame(http2.FrameWindowUpdate, 0, 1, make([]byte, 4))
		}},
		{"a stream's window beyond the limit", "RST FLOW_CONTROL_ERROR", func(p *h2peer) {
			p.headers(1, false, post()...)
			p.fr.WriteWindowUpdate(1, 1<<31-1)
		}},
		{"CONTINUATION of nothing", "GOAWAY PROTOCOL_ERROR", func(p *h2peer) { p.fr.WriteContinuation(1, true, nil) }},
		{"a frame within a header block", "GOAWAY PROTOCOL_ERROR", func(p *h2peer) {
			p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: p.block(asking("/refused")...)[:3], EndStream: true})
			p.fr.WritePing(false, [8]byte{})
		}},
		{"a header block that is none", "GOAWAY COMPRESSION_ERROR", func(p *h2peer) {
			p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0x80}, EndStream: true, EndHeaders: true})
		}},
		{"padding longer than the frame", "GOAWAY PROTOCOL_ERROR", func(p *h2peer) {
			p.headers(1, false, post()...)
			p.fr.WriteRawFrame(http2.FrameData, http2.FlagDataPadded, 1, []byte{5, 'x'})
		}},
		{"DATA behind the end", "RST STREAM_CLOSED", func(p *h2peer) {
			p.headers(1, true, asking("/slow")...)
			p.fr.WriteData(1, true, []byte("x"))
		}},
		{"HEADERS behind the end", "RST STREAM_CLOSED", func(p *h2peer) {
			p.headers(1, true, asking("/slow")...)
			p.headers(1, true, "x: y")
		}},
		{"trailers that do not end the stream", "RST PROTOCOL_ERROR", func(p *h2peer) {
			p.headers(1, false, post()...)
			p.headers(1, false, "x: y")
		}},
		{"trailers with a pseudo-header field", "RST PROTOCOL_ERROR", func(p *h2peer) {
			p.headers(1, false, post()...)
			p.headers(1, true, ":path: /")
		}},
		{"too little content", "RST PROTOCOL_ERROR", func(p *h2peer) {
			p.headers(1, false, post("content-length: 5")...)
			p.fr.WriteData(1, true, []byte("four"))
		}},
		{"too much content", "RST PROTOCOL_ERROR", func(p *h2peer) {
			p.headers(1, false, post("content-length: 3")...)
			p.fr.WriteData(1, false, []byte("four"))
		}},
		{"too little content before trailers", "RST PROTOCOL_ERROR", func(p *h2peer) {
			p.headers(1, false, post("content-length: 5")...)
			p.headers(1, true, "x: y")
		}},
		{"a malformed request", "RST PROTOCOL_ERROR", func(p *h2peer) { p.headers(1, true, asking("/refused", "connection: close")...) }},
		{"CRLF in a value", "RST PROTOCOL_ERROR", func(p *h2peer) { p.headers(1, true, asking("/refused", "x: a\r\ny: b")...) }},
		{"no SETTINGS", "GOAWAY PROTOCOL_ERROR", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := r.silent()
			if c.send == nil {
				p.write(http2.ClientPreface)
				p.fr.WritePing(false, [8]byte{})
			} else {
				p.begin()
				c.send(p)
			}
			if got := p.verdict(1); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
			if strings.HasPrefix(c.want, "RST") {
				p.alive()
			}
		})
	}
	if s := o.seen(); strings.Contains(s, "GET /refused") || strings.Contains(s, "\r\ny: b") {
		t.Errorf("a server got what was refused: %q", s)
	}
}

// TestHTTP2MoreThanTheWindow: while a request waits for its turn, nobody takes its content; more of it than the window allows ends the stream.
func TestHTTP2MoreThanTheWindow(t *testing.T) {
	gate := make(chan struct{})
	o := gatedOrigin(t, "/wait", gate)
	r := build(t, plan{bind: both, back: fmt.Sprintf("server \"A\" %q { max_connections = 1 }\n", o.addr)})
	first := r.raw()
	first.headers(1, true, asking("/wait")...)
	o.got("/wait")
	p := r.raw()
	p.headers(1, false, ":method: POST", ":scheme: http", ":authority: a.test", ":path: /refused")
	for range 9 {
		p.fr.WriteData(1, false, make([]byte, 16384))
	}
	if got, want := p.verdict(1), "RST FLOW_CONTROL_ERROR"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	p.alive()
	close(gate)
	if head, _ := first.response(1); head[":status"] != "200" {
		t.Errorf("%v", head)
	}
	p.headers(3, true, asking("/next")...)
	if head, _ := p.response(3); head[":status"] != "200" {
		t.Errorf("the connection's window is not the stream's: %v", head)
	}
	if s := o.seen(); strings.Contains(s, "/refused") {
		t.Errorf("the server got what was refused: %q", s)
	}
}

// TestHTTP2Abuse: clients that make work for nothing are told to be calm, soon.
func TestHTTP2Abuse(t *testing.T) {
	for _, c := range []struct {
		name string
		most int // frames that may be sent before the house says so
		send func(p *h2peer, i uint32)
	}{
		{"rapid reset", 2 * 202, func(p *h2peer, i uint32) {
			p.headers(2*i+1, true, asking("/")...)
			p.fr.WriteRSTStream(2*i+1, http2.ErrCodeCancel)
		}},
		{"made you reset, by windows", 2 * 202, func(p *h2peer, i uint32) {
			p.headers(2*i+1, true, asking("/")...)
			p.fr.WriteWindowUpdate(2*i+1, 1<<31-1)
		}},
		{"made you reset, by content", 2 * 202, func(p *h2peer, i uint32) {
			p.headers(2*i+1, true, asking("/")...)
			p.fr.WriteData(2*i+1, true, []byte("x"))
		}},
		{"malformed requests", 202, func(p *h2peer, i uint32) { p.headers(2*i+1, true, asking("/", "te: gzip")...) }},
		{"SETTINGS", 1001, func(p *h2peer, i uint32) { p.fr.WriteSettings() }},
		{"SETTINGS that shrink and grow the table", 1001, func(p *h2peer, i uint32) {
			p.fr.WriteSettings(http2.Setting{ID: http2.SettingHeaderTableSize, Val: i % 2 * 4096})
		}},
		{"acknowledged SETTINGS", 1001, func(p *h2peer, i uint32) { p.fr.WriteSettingsAck() }},
		{"PING", 1001, func(p *h2peer, i uint32) { p.fr.WritePing(false, [8]byte{}) }},
		{"PING answered", 1001, func(p *h2peer, i uint32) { p.fr.WritePing(true, [8]byte{}) }},
		{"PRIORITY", 1001, func(p *h2peer, i uint32) { p.fr.WritePriority(1, http2.PriorityParam{StreamDep: 3}) }},
		{"PRIORITY_UPDATE", 1001, func(p *h2peer, i uint32) { p.fr.WriteRawFrame(0x10, 0, 0, []byte("\x00\x00\x00\x01u=1")) }},
		{"WINDOW_UPDATE", 1001, func(p *h2peer, i uint32) { p.fr.WriteWindowUpdate(0, 1) }},
		{"WINDOW_UPDATE of a stream, a byte at a time", 1002, func(p *h2peer, i uint32) {
			if i == 0 {
				p.headers(1, true, asking("/")...)
			}
			p.fr.WriteWindowUpdate(1, 1)
		}},
		{"streams beyond the limit", 100 + 202, func(p *h2peer, i uint32) { p.headers(2*i+1, true, asking("/")...) }},
		{"unknown frames", 1001, func(p *h2peer, i uint32) { p.fr.WriteRawFrame(0xbe, 0, 0, nil) }},
		{"empty DATA", 1010, func(p *h2peer, i uint32) {
			if i == 0 {
				p.headers(1, false, ":method: POST", ":scheme: http", ":authority: a.test", ":path: /")
			}
			p.fr.WriteData(1, false, nil)
		}},
		{"empty CONTINUATION", 1001, func(p *h2peer, i uint32) {
			if i == 0 {
				p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: p.block(asking("/")...), EndStream: true})
			}
			p.fr.WriteContinuation(1, false, nil)
		}},
		{"CONTINUATION without end", 10, func(p *h2peer, i uint32) {
			if i == 0 {
				p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: p.block(asking("/")...), EndStream: true})
			}
			p.fr.WriteContinuation(1, false, p.block("x: "+strings.Repeat("y", 8000)))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := newOrigin(t, func(w *wire) { w.rest() }) // which never answers
			r := build(t, plan{servers: []*origin{o}, bind: both})
			p := r.raw()
			p.nc.SetDeadline(time.Now().Add(patience / 4))
			sent := make(chan struct{})
			go func() {
				defer close(sent)
				for i := range uint32(c.most + 10) {
					c.send(p, i)
				}
			}()
			if got := p.verdict(0); got != "GOAWAY ENHANCE_YOUR_CALM" {
				t.Error(got)
			}
			<-sent
		})
	}
}

// TestHTTP2HonestClientsAreNoAbusers: who acknowledges each frame of a long answer by two windows, and measures the connection, is welcome.
func TestHTTP2HonestClientsAreNoAbusers(t *testing.T) {
	r := build(t, plan{servers: []*origin{newOrigin(t, sizes)}, bind: both})
	p := r.raw()
	p.headers(1, true, asking("/30000000")...)
	n := 0
	for {
		f, err := p.next()
		if err != nil {
			t.Fatal(err)
		}
		if g, ok := f.(*http2.GoAwayFrame); ok {
			t.Fatal(g)
		}
		if d, ok := f.(*http2.DataFrame); ok && len(d.Data()) > 0 {
			n += len(d.Data())
			p.fr.WriteWindowUpdate(0, uint32(len(d.Data())))
			p.fr.WriteWindowUpdate(1, uint32(len(d.Data())))
			if d.StreamEnded() {
				break
			}
		}
	}
	if n != 30_000_000 {
		t.Errorf("%d bytes", n)
	}
}

// TestHTTP2RefusedUploads: a client whose uploads are all refused at once has sent more of each before it hears of that, which is no offence.
func TestHTTP2RefusedUploads(t *testing.T) {
	r := build(t, plan{servers: []*origin{newOrigin(t, nil)}, bind: both, front: `route {
  paths = ["/no"]
  respond = 403
 }`})
	p := r.raw()
	const n = 100
	for i := range uint32(n) {
		p.headers(2*i+1, false, ":method: POST", ":scheme: http", ":authority: a.test", ":path: /no")
		p.fr.WriteData(2*i+1, false, make([]byte, 1000))
	}
	for told := 0; told < n; {
		f, err := p.next()
		if err != nil {
			t.Fatalf("after %d resets: %v", told, err)
		}
		if f, ok := f.(*http2.RSTStreamFrame); ok {
			if told++; f.ErrCode != http2.ErrCodeNo {
				t.Errorf("%v", f)
			}
		}
	}
	for range 4 {
		for i := range uint32(n) {
			p.fr.WriteData(2*i+1, false, make([]byte, 1000))
		}
	}
	p.headers(2*n+1, true, asking("/")...)
	if head, _ := p.response(2*n + 1); head[":status"] != "200" {
		t.Errorf("%v", head)
	}
}

// TestHTTP2StreamsAreBounded: beyond max_streams a stream is refused, and may be asked for again.
func TestHTTP2StreamsAreBounded(t *testing.T) {
	gate := make(chan struct{})
	o := newOrigin(t, func(w *wire) {
		for {
			if _, err := w.request(); err != nil {
				return
			}
			<-gate
			w.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	})
	r := build(t, plan{servers: []*origin{o}, bind: both, front: "limits { max_streams = 3 }"})
	p := r.raw()
	for i := range uint32(4) {
		p.headers(2*i+1, true, asking("/")...)
	}
	if got := p.verdict(7); got != "RST REFUSED_STREAM" {
		t.Error(got)
	}
	close(gate)
	seen := map[uint32]bool{}
	for len(seen) < 3 {
		f, err := p.next()
		if err != nil {
			t.Fatal(err)
		}
		if d, ok := f.(*http2.DataFrame); ok && d.StreamEnded() {
			seen[d.StreamID] = true
		}
	}
	p.headers(9, true, asking("/")...)
	if head, _ := p.response(9); head[":status"] != "200" {
		t.Errorf("%v", head)
	}
}

// TestHTTP2ZeroWindow: many answers whose content the client does not take are no more than their first pieces in memory, and end when the
// client's time is over. Others of the same connection are not held up.
func TestHTTP2ZeroWindow(t *testing.T) {
	o := newOrigin(t, sizes)
	r := build(t, plan{servers: []*origin{o}, bind: both, front: `timeouts { client = "1s" }`})
	p := r.raw(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for i := range uint32(50) {
		p.headers(2*i+1, true, asking("/2000000")...)
	}
	p.headers(101, true, asking("/0")...)
	if head, _ := p.response(101); head[":status"] != "200" {
		t.Errorf("%v", head)
	}
	runtime.ReadMemStats(&after)
	if n := int64(after.HeapAlloc) - int64(before.HeapAlloc); n > 50<<20 { // 100 MB are asked for; the pretend server alone holds 2 MB for each
		t.Logf("%d MB", n>>20)
	}
	reset := p.resets // where the answer took its time
	for reset < 50 {
		f, err := p.next()
		if err != nil {
			t.Fatalf("after %d resets: %v", reset, err)
		}
		if _, ok := f.(*http2.RSTStreamFrame); ok {
			reset++
		}
		if d, ok := f.(*http2.DataFrame); ok && len(d.Data()) > 0 {
			t.Fatal("content without a window")
		}
	}
	p.alive()
	for range 51 {
		if l := r.line(); l.Path == "/2000000" && l.Termination[:2] != "cD" {
			t.Errorf("the line %+v", l)
		}
	}
}

// TestHTTP2SlowStreams: a stream whose window is shut does not hold up another one.
func TestHTTP2SlowStreams(t *testing.T) {
	r := build(t, plan{servers: []*origin{newOrigin(t, sizes)}, bind: both})
	p := r.raw()
	p.fr.WriteWindowUpdate(0, 1<<30)
	p.headers(1, true, asking("/1000000")...) // stops at 65535
	for i := range uint32(5) {
		id := 2*i + 3
		p.headers(id, true, asking("/60000")...)
		if _, body := p.response(id); len(body) != 60_000 {
			t.Errorf("%d bytes", len(body))
		}
	}
	p.fr.WriteWindowUpdate(1, 1<<30)
	p.alive()
}

// TestHTTP2Shares: streams that say nothing of priorities share a connection; of those that do, the most urgent goes first, and of one urgency
// one goes after the other.
func TestHTTP2Shares(t *testing.T) {
	for _, c := range []struct {
		name string
		prio [3]string // of streams 1, 3 and 5
		want string    // streams in the order of their ends; "mixed" where they take turns
	}{
		{"nothing said", [3]string{}, "mixed"},
		{"all incremental", [3]string{"i", "i", "i"}, "mixed"},
		{"one after the other", [3]string{"u=3", "u=3", "u=3"}, "1 3 5"},
		{"the last is the most urgent", [3]string{"u=5", "u=3", "u=1"}, "5 3 1"},
		{"and may be incremental", [3]string{"u=5, i", "u=3, i", "u=1, i"}, "5 3 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := build(t, plan{servers: []*origin{newOrigin(t, sizes)}, bind: both})
			p := r.raw(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 30})
			// The first answers use up the connection's window; the order counts from when there is more.
			p.headers(99, true, asking("/65535")...)
			p.response(99)
			ids := []uint32{101, 103, 105}
			for i, id := range ids {
				lines := asking("/400000")
				if c.prio[i] != "" {
					lines = append(lines, "priority: "+c.prio[i])
				}
				p.headers(id, true, lines...)
			}
			p.heads(3) // all three have an answer, and wait
			p.alive()
			var order []string
			changes, last := 0, uint32(0)
			for len(order) < 3 {
				p.fr.WriteWindowUpdate(0, 32<<10)
				for got := 0; got < 32<<10 && len(order) < 3; {
					f, err := p.next()
					if err != nil {
						t.Fatal(err)
					}
					d, ok := f.(*http2.DataFrame)
					if !ok {
						continue
					}
					got += len(d.Data())
					if d.StreamID != last {
						changes++
						last = d.StreamID
					}
					if d.StreamEnded() {
						order = append(order, fmt.Sprint((d.StreamID-99)/2*2-1))
					}
				}
			}
			got := strings.Join(order, " ")
			if changes > 40 { // in turns it would be 73; between two pieces of one answer, another may have its turn
				got = "mixed"
			}
			if got != c.want {
				t.Errorf("%s (%v, %d changes), want %s", got, order, changes, c.want)
			}
		})
	}
}

// TestHTTP2PriorityUpdate: a stream that waits is moved ahead.
func TestHTTP2PriorityUpdate(t *testing.T) {
	r := build(t, plan{servers: []*origin{newOrigin(t, sizes)}, bind: both})
	p := r.raw(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 30})
	p.headers(1, true, asking("/65535")...)
	p.response(1)
	p.fr.WriteRawFrame(0x10, 0, 0, []byte("\x00\x00\x00\x05u=2")) // of a stream still to come
	p.headers(3, true, asking("/200000", "priority: u=3")...)
	p.headers(5, true, asking("/200000", "priority: u=6")...)
	p.headers(7, true, asking("/200000", "priority: u=5")...)
	p.heads(3)
	p.fr.WriteRawFrame(0x10, 0, 0, []byte("\x00\x00\x00\x07u=1"))
	p.alive()
	// The window grows piece by piece: where the server is slow for a moment, another stream has a piece, and no more.
	var order []uint32
	for len(order) < 3 {
		p.fr.WriteWindowUpdate(0, 16<<10)
		for got := 0; got < 16<<10 && len(order) < 3; {
			f, err := p.next()
			if err != nil {
				t.Fatal(err)
			}
			d, ok := f.(*http2.DataFrame)
			if !ok {
				continue
			}
			if got += len(d.Data()); d.StreamEnded() {
				order = append(order, d.StreamID)
			}
		}
	}
	if fmt.Sprint(order) != "[7 5 3]" {
		t.Errorf("%v", order)
	}
}

// TestHTTP2Bomb: a head that unpacks to megabytes is answered with 431, and its table is still right.
func TestHTTP2Bomb(t *testing.T) {
	r := build(t, plan{servers: []*origin{newOrigin(t, nil)}, bind: both})
	p := r.raw()
	b := bytes.Clone(p.block(asking("/", "x-bomb: "+strings.Repeat("b", 3000))...))
	b = append(b, bytes.Repeat([]byte{0xbe}, 10_000)...)
	p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: b, EndStream: true, EndHeaders: true})
	if head, _ := p.response(1); head[":status"] != "431" {
		t.Errorf("%v", head)
	}
	p.headers(3, true, asking("/", "x-bomb: "+strings.Repeat("b", 3000))...)
	if head, _ := p.response(3); head[":status"] != "200" {
		t.Errorf("%v", head)
	}
}

// TestHTTP2NoDynamicTable: a client that wants none is told so before the first field.
func TestHTTP2NoDynamicTable(t *testing.T) {
	r := build(t, plan{servers: []*origin{newOrigin(t, nil)}, bind: both})
	p := r.raw(http2.Setting{ID: http2.SettingHeaderTableSize, Val: 0})
	p.headers(1, true, asking("/")...)
	for {
		f, err := p.fr.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if h, ok := f.(*http2.HeadersFrame); ok {
			if b := h.HeaderBlockFragment(); b[0] != 0x20 {
				t.Errorf("the block begins with %x", b[0])
			}
			break
		}
	}
}

// TestHTTP2SlowClients: half a frame, half a header block and a slow body have their time.
func TestHTTP2SlowClients(t *testing.T) {
	o := newOrigin(t, nil)
	r := build(t, plan{servers: []*origin{o}, bind: both, front: `timeouts {
  request = "300ms"
  client = "300ms"
  idle = "30s"
 }`})
	t.Run("half a frame", func(t *testing.T) {
		p := r.raw()
		p.alive()
		p.write("\x00\x00\x08\x06")
		if got := p.verdict(0); got != "GOAWAY NO_ERROR" {
			t.Error(got)
		}
	})
	t.Run("half a header block", func(t *testing.T) {
		p := r.raw()
		p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: p.block(asking("/")...)})
		if got := p.verdict(0); got != "GOAWAY NO_ERROR" {
			t.Error(got)
		}
	})
	t.Run("half a preface", func(t *testing.T) {
		p := r.silent()
		p.write(http2.ClientPreface[:10])
		if got := p.verdict(0); got != "EOF" {
			t.Error(got)
		}
	})
	t.Run("half a content", func(t *testing.T) {
		p := r.raw()
		p.headers(1, false, ":method: POST", ":scheme: http", ":authority: a.test", ":path: /", "content-length: 5")
		p.fr.WriteData(1, false, []byte("two"))
		if head, _ := p.response(1); head[":status"] != "408" {
			t.Errorf("%v", head)
		}
		p.alive()
	})
}

// TestHTTP2NobodyReads: a client that reads nothing of a long answer loses its connection when its time is over.
func TestHTTP2NobodyReads(t *testing.T) {
	r := build(t, plan{servers: []*origin{newOrigin(t, sizes)}, bind: both, front: `timeouts { client = "500ms" }`})
	p := r.raw(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 30})
	p.fr.WriteWindowUpdate(0, 1<<30)
	p.headers(1, true, asking("/50000000")...)
	began := time.Now()
	if l := r.line(); l.Termination[:2] != "cD" {
		t.Errorf("the line %+v", l)
	}
	if d := time.Since(began); d < 400*time.Millisecond {
		t.Errorf("after %v", d)
	}
}
