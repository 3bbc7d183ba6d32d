package h2

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"gatehouse/backend/h1"

	"golang.org/x/net/http2/hpack"
)

// said is all that a block makes of a request.
type said struct {
	text                  string
	method, target, host  string
	proto, upgrade        string
	length                int64
	framing               h1.Framing
	minor                 int
	trailers, onward, ask bool
	prio                  Urgency
	err                   string
}

// sayer reads blocks.
type sayer struct {
	a       Assembler
	d       Decoder
	without bool // a memo
}

func (s *sayer) read(block []byte, ended bool, lim *h1.ParseLimits) said {
	var r h1.Request
	if s.without {
		s.d.memo = nil
	}
	prio, err := s.a.Request(&s.d, block, &r, ended, lim)
	x := said{text: string(h1.AppendRequest(nil, &r)), method: string(r.Method), target: string(r.Target), host: string(r.Host), proto: r.Proto, upgrade: r.Upgrade,
		length: r.Length, framing: r.Framing, minor: r.Minor, trailers: r.Trailers, onward: r.Continue, ask: r.Body != nil, prio: prio}
	if err != nil {
		x.err = fmt.Sprintf("%T %v", err, err)
	}
	return x
}

// TestRequestsLikeThoseBefore: what was read of a block may be used again only where the block means the same.
func TestRequestsLikeThoseBefore(t *testing.T) {
	lit := func(first byte, value string) []byte { return append([]byte{first, byte(len(value))}, value...) }
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	// GET and https of the static table; the authority and a field come with the first block, which puts them into the table.
	fill := join([]byte{0x82, 0x87}, lit(0x41, "a.test"), lit(0x04, "/fill"), lit(0x7a, "me"), []byte{0x40}, lit(1, "x")[1:], lit(1, "y")[1:])
	const authority, agent = 0xc0, 0xbf // places 64 and 63: behind x, which came last
	ask := func(path []byte, more ...byte) []byte {
		return join([]byte{0x82, 0x87, authority}, path, []byte{agent}, more)
	}
	tight := limits
	tight.Target = 20
	small := limits
	small.Head = 150
	for _, c := range []struct {
		name  string
		block []byte
		lim   *h1.ParseLimits
		used  bool
		ended bool
	}{
		{"the same path", ask(lit(4, "/one")), &limits, true, true},
		{"another path", ask(lit(4, "/another?x=y")), &limits, true, true},
		{"a path never to be indexed", ask(lit(0x14, "/another?x=y")), &limits, true, true},
		{"a path by the name of /index.html", ask(lit(5, "/z")), &limits, true, true},
		{"a path of the table", ask([]byte{0x84}), &limits, true, true},
		{"content follows", ask(lit(4, "/one")), &limits, false, false},
		{"a path for the table", ask(lit(0x44, "/one")), &limits, false, true},
		{"another size of the table", ask([]byte{0x3f, 0xe1, 0x1e}), &limits, false, true},
		{"a name in full", ask(join([]byte{0}, lit(5, ":path")[1:], lit(0, "/one")[1:])), &limits, true, true},
		{"a field more", ask(lit(4, "/one"), 0x90), &limits, false, true},
		{"another method", join([]byte{0x83, 0x87, authority}, lit(4, "/one"), []byte{agent}), &limits, false, true},
		{"no path", ask(nil), &limits, false, true},
		{"no path, and half of what comes before it", []byte{0x82, 0x87, agent}, &limits, false, true},
		{"two paths", ask(join(lit(4, "/one"), lit(4, "/two"))), &limits, false, true},
		{"another field in the place of the path", ask(lit(6, "https")), &limits, false, true},
		{"a path and a field", ask(join(lit(4, "/one"), []byte{0x90})), &limits, false, true},
		{"a path that is none", ask(lit(4, "one")), &limits, false, true},
		{"no character of a path", ask(lit(4, "/o ne")), &limits, false, true},
		{"an empty path", ask(lit(4, "")), &limits, false, true},
		{"a path cut short", join([]byte{0x82, 0x87, authority, 4, 20, '/'}, []byte{agent}), &limits, false, true},
		{"a path too long", ask(lit(4, "/"+strings.Repeat("x", 20))), &tight, false, true},
		{"limits of others", ask(lit(4, "/one")), &tight, false, true},
		{"a head too long", ask(lit(4, "/"+strings.Repeat("x", 100))), &small, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var quick sayer
			slow := sayer{without: true}
			lim := c.lim
			if c.name == "limits of others" {
				lim = &limits
			}
			read := func(b []byte, ended bool, lim *h1.ParseLimits) (got said) {
				t.Helper()
				got = quick.read(b, ended, lim)
				if want := slow.read(b, ended, lim); !reflect.DeepEqual(got, want) {
					t.Errorf("%x:\n got %+v\nwant %+v", b, got, want)
				}
				return got
			}
			read(fill, true, lim)
			for range 3 {
				if x := read(ask(lit(4, "/one")), true, lim); x.err != "" {
					t.Fatal(x.err)
				}
			}
			var r h1.Request
			if _, used := quick.d.memo.request(&quick.d, c.block, &r, c.lim); used != (c.used || !c.ended) {
				t.Errorf("used: %v, want %v", used, c.used)
			}
			read(c.block, c.ended, c.lim)
			read(ask(lit(4, "/one")), true, lim)
			read(fill, true, lim) // and now the same places have other fields
			read(ask(lit(4, "/one")), true, lim)
		})
	}
}

// A table that changes takes the memo with it, even where it has the same fields at the same places afterwards.
func TestMemoLastsAsLongAsTheTable(t *testing.T) {
	var s sayer
	for range 3 {
		s.read(block(get+"accept: */*"), true, &limits)
	}
	if s.d.memo != nil {
		t.Fatal("a block that changes the table is remembered")
	}
	var buf bytes.Buffer
	e := hpack.NewEncoder(&buf)
	e.SetMaxDynamicTableSize(0)
	for _, f := range []hpack.HeaderField{{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "https"}, {Name: ":path", Value: "/"}, {Name: ":authority", Value: "a.test"}} {
		e.WriteField(f)
	}
	plain := buf.Bytes()[1:] // without the change of the table's size
	for range 2 {
		s.read(plain, true, &limits)
	}
	var r h1.Request
	if m := s.d.memo; m == nil {
		t.Fatal("not remembered")
	} else if _, ok := m.request(&s.d, plain, &r, &limits); !ok {
		t.Fatal("remembered and not used")
	}
	s.read(append([]byte{0x20}, plain...), true, &limits)
	r = h1.Request{}
	if _, ok := s.d.memo.request(&s.d, plain, &r, &limits); ok {
		t.Error("used after a change of the table")
	}
}

// FuzzMemo reads blocks with what is remembered of others and without: it must not make a difference. in is blocks with a length in front of each,
// of which each comes twice.
func FuzzMemo(f *testing.F) {
	seed := func(blocks ...[]byte) {
		var in []byte
		for _, b := range blocks {
			in = append(append(in, byte(len(b))), b...)
		}
		f.Add(in)
	}
	seed([]byte("\x82\x87\x41\x06a.test\x04\x02/a"), []byte("\x82\x87\xbe\x04\x02/a"), []byte("\x82\x87\xbe\x04\x02/b"), []byte("\x82\x87\xbe\x84"))
	seed([]byte("\x82\x87\x04\x02/a\x01\x06a.test"), []byte("\x82\x87\x05\x02/b\x01\x06a.test"), []byte("\x82\x87\x44\x02/b\x01\x06a.test"))
	seed([]byte("\x82\x84\x87\x41\x06a.test\x90"), []byte("\x82\x84\x87\xbe\x90"), []byte("\x82\x85\x87\xbe\x90"), []byte("\x82\x84\x20\x87\xbe\x90"))
	f.Fuzz(func(t *testing.T, in []byte) {
		var quick sayer
		slow := sayer{without: true}
		for len(in) > 0 {
			n := min(int(in[0]), len(in)-1)
			b := in[1 : 1+n]
			in = in[1+n:]
			for range 3 {
				got, want := quick.read(b, true, &limits), slow.read(b, true, &limits)
				if !reflect.DeepEqual(got, want) {
					t.Fatalf("%x:\n got %+v\nwant %+v", b, got, want)
				}
			}
			if quick.d.Err() != nil && slow.d.Err() != nil { // the connection is over
				return
			}
		}
	})
}
