package h1

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestNextControl puts every character at every place of eight-byte words full of the characters whose carries and
// borrows could hide it.
func TestNextControl(t *testing.T) {
	for _, fill := range []byte{' ', '0', 'z', '~', '\t', 0x80, 0xa0, 0xfe, 0xff} {
		for c := range 256 {
			for at := range 21 {
				for _, before := range []byte{fill, 0xff, '~', '!', '\t'} {
					b := bytes.Repeat([]byte{fill}, 21)
					if at > 0 {
						b[at-1] = before
					}
					b[at] = byte(c)
					want := len(b)
					if c < ' ' && c != '\t' || c == 0x7f {
						want = at
					}
					for from := 0; from <= at; from += 5 {
						if got := nextControl(b, from); got != want {
							t.Fatalf("nextControl(%q, %d) = %d, want %d", b, from, got, want)
						}
					}
				}
			}
		}
	}
}

func TestNameOf(t *testing.T) {
	for i, s := range names {
		for _, spelling := range []string{s, strings.ToLower(s), strings.ToUpper(s)} {
			if got := nameOf([]byte(spelling)); got != Name(i) {
				t.Errorf("nameOf(%q) = %d, want %d", spelling, got, i)
			}
		}
		// No other token of the same length is taken for it.
		for at := range len(s) {
			for c := range 256 {
				if tokens[c] == 0 || lower[c] == lower[s[at]] {
					continue
				}
				b := []byte(s)
				b[at] = byte(c)
				if got := nameOf(b); got == Name(i) {
					t.Errorf("nameOf(%q) = %v", b, got)
				}
			}
		}
		if got := nameOf([]byte(s + "x")); s != "" && got != 0 {
			t.Errorf("nameOf(%q) = %v", s+"x", got)
		}
	}
	for _, s := range []string{"", "x", "xy", "xyz", "Sec-WebSocket-Accept", strings.Repeat("a", 300)} {
		if got := nameOf([]byte(s)); got != 0 {
			t.Errorf("nameOf(%q) = %v, want none", s, got)
		}
	}
}

func TestLongestNameFits(t *testing.T) {
	for _, s := range names {
		if len(s) >= maxName {
			t.Errorf("%s has %d bytes, maxName is %d", s, len(s), maxName)
		}
	}
	if len(names) > 64 {
		t.Errorf("%d names, a Header has a bit for 64", len(names))
	}
}

func BenchmarkNextControl(b *testing.B) {
	v := []byte("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n")
	b.SetBytes(int64(len(v)))
	for b.Loop() {
		if nextControl(v, 0) != len(v)-2 {
			b.Fatal("wrong")
		}
	}
}

func BenchmarkNameOf(b *testing.B) {
	known := [][]byte{[]byte("Host"), []byte("User-Agent"), []byte("accept-language"), []byte("If-Modified-Since")}
	i := rand.IntN(4)
	for b.Loop() {
		nameOf(known[i&3])
		i++
	}
}
