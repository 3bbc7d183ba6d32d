package h2

import (
	"bytes"
	"io"
	"testing"

	"golang.org/x/net/http2"
)

// TestFramesAreReadByOthers writes each kind of frame and has golang.org/x/net's framer read it.
func TestFramesAreReadByOthers(t *testing.T) {
	block := bytes.Repeat([]byte{0x82}, 2*MaxFrame+5)
	var b []byte
	b = AppendFrame(b, Frame{Len: 6, Type: SettingsFrame})
	b = AppendSetting(b, InitialWindowSize, 12345)
	b = AppendHeaders(b, 5, block, true)
	b = AppendReset(b, 7, Cancel)
	b = AppendWindow(b, 9, 1<<31-1)
	b = AppendGoAway(b, 1<<31-1, EnhanceYourCalm)
	b = AppendPing(b, true, []byte("12345678"))
	fr := http2.NewFramer(nil, bytes.NewReader(b))
	next := func() http2.Frame {
		f, err := fr.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	if v, ok := next().(*http2.SettingsFrame).Value(http2.SettingInitialWindowSize); !ok || v != 12345 {
		t.Errorf("setting %d, %v", v, ok)
	}
	h := next().(*http2.HeadersFrame)
	got := bytes.Clone(h.HeaderBlockFragment())
	if h.StreamID != 5 || !h.StreamEnded() || h.HeadersEnded() {
		t.Errorf("%v", h)
	}
	for range 2 {
		c := next().(*http2.ContinuationFrame)
		got = append(got, c.HeaderBlockFragment()...)
		if c.HeadersEnded() != (len(got) == len(block)) {
			t.Errorf("%v", c)
		}
	}
	if !bytes.Equal(got, block) {
		t.Errorf("%d bytes of header block, want %d", len(got), len(block))
	}
	if f := next().(*http2.RSTStreamFrame); f.StreamID != 7 || f.ErrCode != http2.ErrCodeCancel {
		t.Errorf("%v", f)
	}
	if f := next().(*http2.WindowUpdateFrame); f.StreamID != 9 || f.Increment != 1<<31-1 {
		t.Errorf("%v", f)
	}
	if f := next().(*http2.GoAwayFrame); f.LastStreamID != 1<<31-1 || f.ErrCode != http2.ErrCodeEnhanceYourCalm {
		t.Errorf("%v", f)
	}
	if f := next().(*http2.PingFrame); !f.IsAck() || f.Data != [8]byte([]byte("12345678")) {
		t.Errorf("%v", f)
	}
	if _, err := fr.ReadFrame(); err != io.EOF {
		t.Error(err)
	}
}

func TestCodesHaveTheirNames(t *testing.T) {
	for c := range Code(16) {
		if got, want := c.String(), http2.ErrCode(c).String(); int(c) < len(codes) && got != want {
			t.Errorf("%d: %s, want %s", c, got, want)
		}
	}
	if got := Code(0xff).String(); got != "0xff" {
		t.Error(got)
	}
}

// FuzzFrame holds the parsing of a frame against golang.org/x/net's framer: what we take from it, it takes, and the same.
func FuzzFrame(f *testing.F) {
	f.Add(AppendSetting(AppendFrame(nil, Frame{Len: 6, Type: SettingsFrame}), MaxFrameSize, 1<<14))
	f.Add(AppendFrame(nil, Frame{Type: SettingsFrame, Flags: Ack}))
	f.Add(append(AppendFrame(nil, Frame{Len: 8, Type: Headers, Flags: HasPriority | Padded | EndHeaders, Stream: 1}), 1, 0, 0, 0, 3, 4, 0x82, 0))
	f.Add(append(AppendFrame(nil, Frame{Len: 3, Type: Data, Flags: Padded, Stream: 1}), 1, 'x', 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < FrameHead {
			return
		}
		h := ParseFrame(b)
		if h.Len > len(b)-FrameHead {
			return
		}
		p := b[FrameHead : FrameHead+h.Len]
		fr := http2.NewFramer(nil, bytes.NewReader(b))
		fr.SetMaxReadFrameSize(1 << 24)
		fr.AllowIllegalReads = true
		other, werr := fr.ReadFrame()
		if other != nil {
			if o := other.Header(); int(o.Length) != h.Len || uint8(o.Type) != uint8(h.Type) || uint8(o.Flags) != uint8(h.Flags) || o.StreamID != h.Stream {
				t.Fatalf("%x: %+v, x/net: %v", b, h, o)
			}
		}
		switch h.Type {
		case Data, Headers:
			if h.Stream == 0 {
				return // whoever has the connection looks at that
			}
			var got []byte
			var err error
			if h.Type == Data {
				got, err = h.Unpad(p)
			} else {
				got, err = h.Block(p)
			}
			if err == errOwnParent {
				return // x/net does not care
			}
			if (err == nil) != (werr == nil) {
				t.Fatalf("%x: %v, x/net: %v", b, err, werr)
			}
			if err != nil {
				return
			}
			var want []byte
			switch o := other.(type) {
			case *http2.DataFrame:
				want = o.Data()
			case *http2.HeadersFrame:
				want = o.HeaderBlockFragment()
			}
			if !bytes.Equal(got, want) {
				t.Fatalf("%x: %x, x/net: %x", b, got, want)
			}
		case SettingsFrame:
			err := h.Check()
			if (err == nil) != (werr == nil) {
				if _, ok := werr.(http2.ConnectionError); !ok || err != nil {
					t.Fatalf("%x: %v, x/net: %v", b, err, werr)
				}
			}
			if err != nil || werr != nil {
				return
			}
			for i := 0; len(p) > 0; i++ {
				var s Setting
				var v uint32
				s, v, p, err = NextSetting(p)
				o := other.(*http2.SettingsFrame).Setting(i)
				if uint16(o.ID) != uint16(s) || o.Val != v || s != NoPriorities && (o.Valid() == nil) != (err == nil) {
					t.Fatalf("%x: %d=%d %v, x/net: %v %v", b, s, v, err, o, o.Valid())
				}
			}
		}
	})
}
