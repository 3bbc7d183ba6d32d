package h2

import (
	"bytes"
	"fmt"
	"sync"
	"testing"

	"gatehouse/backend/h1"
)

// TestReadyHeadersAreWhatTheirLinesSay: whatever is done to a copy, its block is that of its lines.
func TestReadyHeadersAreWhatTheirLinesSay(t *testing.T) {
	var stored h1.Header
	stored.AddString("Content-Type", "text/html")
	stored.AddString("ETag", `"1"`)
	stored.AddString("X-Own", "1")
	stored.AddString("Set-Cookie", "a=1")
	stored.Freeze()
	for name, change := range map[string]func(h *h1.Header){
		"nothing":                    func(*h1.Header) {},
		"a line more":                func(h *h1.Header) { h.AddString("Age", "5") },
		"a line less":                func(h *h1.Header) { h.Del(h1.ETag) },
		"a line less, by its name":   func(h *h1.Header) { h.DelName("x-own") },
		"a line less, by its place":  func(h *h1.Header) { h.DelAt(0) },
		"another value":              func(h *h1.Header) { h.SetValue(1, []byte(`"2"`)) },
		"an added line changed":      func(h *h1.Header) { h.AddString("Age", "5"); h.SetValue(4, []byte("6")) },
		"an added line taken out":    func(h *h1.Header) { h.AddString("Age", "5"); h.Del(h1.Age) },
		"a line that is not there":   func(h *h1.Header) { h.Del(h1.Vary); h.DelName("x-other") },
		"other lines":                func(h *h1.Header) { h.Reset(); h.AddString("Vary", "*") },
		"a copy of something else":   func(h *h1.Header) { var o h1.Header; o.AddString("Vary", "*"); h.CopyFrom(&o) },
		"a copy of what was changed": func(h *h1.Header) { var o h1.Header; o.CopyFrom(h); o.DelAt(0); h.CopyFrom(&o) },
	} {
		for range 2 { // making it, and using it
			var h, plain h1.Header
			h.CopyFrom(&stored)
			change(&h)
			for i := range h.Len() {
				if _, name, value := h.At(i); name != nil {
					plain.AddString(string(name), string(value))
				}
			}
			if got, want := AppendHeader([]byte("x"), &h), AppendHeader([]byte("x"), &plain); !bytes.Equal(got, want) {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
	}
	if stored.Ready() == nil || len(stored.Ready().Form()) == 0 {
		t.Error("nothing is ready")
	}
}

// Copies on many loops share what is ready.
func TestReadyHeadersAreShared(t *testing.T) {
	var stored h1.Header
	for i := range 20 {
		stored.AddString(fmt.Sprintf("X-%d", i), "value")
	}
	want := AppendHeader(nil, &stored)
	stored.Freeze()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			var h h1.Header
			for range 100 {
				h.CopyFrom(&stored)
				if got := AppendHeader(nil, &h); !bytes.Equal(got, want) {
					t.Errorf("%q, want %q", got, want)
				}
			}
		})
	}
	wg.Wait()
}

func BenchmarkAppendHeader(b *testing.B) {
	var h h1.Header
	for _, f := range [][2]string{{"Server", "x"}, {"Date", "Mon, 01 Jan 2024 00:00:00 GMT"}, {"ETag", `"1"`}, {"Content-Type", "text/html"},
		{"Cache-Control", "max-age=100000000, public"}, {"Content-Length", "1024"}, {"X-Frame-Options", "DENY"}, {"Vary", "Accept-Encoding"}} {
		h.AddString(f[0], f[1])
	}
	dst := make([]byte, 0, 1024)
	for _, name := range []string{"lines", "ready"} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				dst = AppendHeader(dst[:0], &h)
			}
		})
		h.Freeze()
	}
}
