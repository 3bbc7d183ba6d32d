package h2

import (
	"fmt"
	"strings"
	"testing"

	"gatehouse/backend/h1"

	"golang.org/x/net/http2/hpack"
)

func TestEncoderWritesWhatOthersRead(t *testing.T) {
	var h h1.Header
	want := ""
	for i, name := range []string{"Content-Type", "X-Mixed-CASE", "set-cookie", "Cache-Control", "Vary", "Date", "x", "ACCEPT", "Strict-Transport-Security", "Cache-Status"} {
		for _, n := range []int{0, 1, 126, 127, 128, 254, 255, 5000} {
			v := strings.Repeat(string(rune('a'+i)), n)
			h.AddString(name, v)
			want += strings.ToLower(name) + ": " + v + "\n"
		}
	}
	for status := 100; status < 600; status++ {
		block := AppendHeader(AppendStatus(AppendTableSize(nil), status), &h)
		got := ""
		d := hpack.NewDecoder(0, func(f hpack.HeaderField) {
			got += f.Name + ": " + f.Value + "\n"
			if secret := f.Name == "set-cookie"; f.Sensitive != secret {
				t.Errorf("%s: sensitive is %v", f.Name, f.Sensitive)
			}
		})
		if _, err := d.Write(block); err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf(":status: %d\n", status) + want; got != want {
			t.Fatalf("%d: %q, want %q", status, got, want)
		}
	}
}

func TestEncodingAllocatesNothing(t *testing.T) {
	var h h1.Header
	h.AddString("Content-Type", "text/html")
	h.AddString("X-Own", "1")
	b := make([]byte, 0, 1000)
	if n := testing.AllocsPerRun(100, func() { b = AppendHeader(AppendStatus(b[:0], 200), &h) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
