package h2

import (
	"bytes"
	"testing"

	"golang.org/x/net/http2/hpack"
)

func TestHuffmanHasEveryByte(t *testing.T) {
	for c := range 256 {
		for n := range 9 {
			s := bytes.Repeat([]byte{byte(c)}, n)
			got, ok := appendHuffman(nil, hpack.AppendHuffmanString(nil, string(s)))
			if !ok || !bytes.Equal(got, s) {
				t.Fatalf("%q: %q, %v", s, got, ok)
			}
		}
	}
}

func TestHuffmanRefuses(t *testing.T) {
	for _, c := range []struct {
		name string
		b    []byte
	}{
		{"a byte of padding", []byte{0x1f, 0xff}}, // "a" and eleven ones
		{"padding of zeros", []byte{0x18}},        // "a" and 000
		{"the end of a string", []byte{0xff, 0xff, 0xff, 0xff}},
		{"half a code", []byte{0xff, 0xff, 0xf8}},
	} {
		if got, ok := appendHuffman(nil, c.b); ok {
			t.Errorf("%s: %q", c.name, got)
		}
	}
}

func FuzzHuffman(f *testing.F) {
	f.Add([]byte("www.example.com"))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	f.Add([]byte{0x1f, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		want, err := hpack.HuffmanDecodeToString(b)
		got, ok := appendHuffman(nil, b)
		if ok != (err == nil) || ok && string(got) != want {
			t.Fatalf("%x: %q, %v; x/net %q, %v", b, got, ok, want, err)
		}
		enc := hpack.AppendHuffmanString(nil, string(b))
		if got, ok := appendHuffman(nil, enc); !ok || !bytes.Equal(got, b) {
			t.Fatalf("%x is %q, %v", enc, got, ok)
		}
	})
}

func BenchmarkHuffman(b *testing.B) {
	in, dst := hpack.AppendHuffmanString(nil, "/articles/2026/picture-17.jpeg"), make([]byte, 0, 64)
	for b.Loop() {
		dst, _ = appendHuffman(dst[:0], in)
	}
}
