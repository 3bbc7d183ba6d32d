package frontend

import (
	"strings"
	"testing"

	"gatehouse/backend/h1"
)

var everyCoding = []Coding{Zstd, Brotli, Gzip}

func TestChooseCoding(t *testing.T) {
	for _, c := range []struct {
		accept  string // lines parted by "|"; "-" for none
		offered []Coding
		want    Coding
	}{
		{"-", everyCoding, Plain}, // a program that expects nothing
		{"", everyCoding, Plain},
		{"gzip", everyCoding, Gzip},
		{"gzip, deflate, br, zstd", everyCoding, Zstd},
		{"gzip, deflate, br, zstd", []Coding{Gzip, Zstd}, Gzip}, // the operator's order
		{"gzip, deflate, br", everyCoding, Brotli},
		{"GZIP", everyCoding, Gzip},
		{"x-gzip", everyCoding, Gzip},
		{"deflate", everyCoding, Plain},
		{"gzip;q=1.0, br;q=0.5", everyCoding, Gzip}, // the client's wish
		{"gzip;q=0.5, br;q=0.501", everyCoding, Brotli},
		{"gzip ; q=0.5 ,\tbr ;\tQ=0.9", everyCoding, Brotli},
		{"gzip;q=0", everyCoding, Plain},
		{"gzip;q=0.000, br", everyCoding, Brotli},
		{"*", everyCoding, Zstd},
		{"*;q=0.1", everyCoding, Zstd},
		{"zstd;q=0, *", everyCoding, Brotli},
		{"gzip;q=0.5, *;q=0.8", everyCoding, Zstd},
		{"gzip, *;q=0", everyCoding, Gzip},
		{"*;q=0", everyCoding, Plain},
		{"identity", everyCoding, Plain},
		{"identity, gzip;q=0.5", everyCoding, Plain}, // likes it better as it is
		{"identity;q=0.5, gzip;q=0.5", everyCoding, Gzip},
		{"identity;q=0, gzip;q=0.001", everyCoding, Gzip},
		{"identity;q=0", everyCoding, Plain}, // there is nothing it takes
		{"gzip|br", everyCoding, Brotli},
		{"gzip;q=0|gzip", everyCoding, Plain}, // refused once is refused
		{"gzip, gzip;q=0", everyCoding, Plain},
		{"gzip;q=2", everyCoding, Plain}, // no weight at all
		{"gzip;q=1.001", everyCoding, Plain},
		{"gzip;q=0.1234", everyCoding, Plain},
		{"gzip;q=", everyCoding, Plain},
		{"gzip;q=.5", everyCoding, Plain},
		{"gzip;level=9", everyCoding, Plain},
		{"gzip;q=1.000", everyCoding, Gzip},
		{"gzip;q=1.", everyCoding, Gzip},
		{"gzip;q=0.", everyCoding, Plain},
		{",, ,gzip,,", everyCoding, Gzip},
		{"gzipp, xgzip", everyCoding, Plain},
	} {
		var h h1.Header
		if c.accept != "-" {
			for line := range strings.SplitSeq(c.accept, "|") {
				h.AddString("Accept-Encoding", line)
			}
		}
		if got := choose(&h, c.offered); got != c.want {
			t.Errorf("%q of %v: %v, want %v", c.accept, c.offered, got, c.want)
		}
	}
}

func TestCodingText(t *testing.T) {
	for _, c := range everyCoding {
		var o Coding
		if err := o.UnmarshalText([]byte(c.String())); err != nil || o != c {
			t.Errorf("%v: %v, %v", c, o, err)
		}
	}
	for _, s := range []string{"", "identity", "deflate", "GZIP", "brotli"} {
		var o Coding
		if err := o.UnmarshalText([]byte(s)); err == nil {
			t.Errorf("%q is taken for %v", s, o)
		}
	}
}

// FuzzAcceptEncoding: whatever a client sends, it gets a coding it has named, or a star, and never one it has refused.
func FuzzAcceptEncoding(f *testing.F) {
	for _, s := range []string{"", "gzip", "gzip;q=0", "*;q=0.5, br;q=0", "identity;q=0, zstd;q=1.000", "x-gzip , ,;q=1", "gzip;q=0|gzip", "br;q=0.333;q=1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if strings.ContainsAny(s, "\r\n\x00") {
			return // not in a header
		}
		var h h1.Header
		for line := range strings.SplitSeq(s, "|") {
			h.AddString("Accept-Encoding", line)
		}
		got := choose(&h, everyCoding)
		if got == Plain {
			return
		}
		named := false
		for e := range strings.FieldsFuncSeq(strings.ToLower(s), func(r rune) bool { return r == ',' || r == '|' }) {
			name, weight, _ := strings.Cut(e, ";")
			name, weight = strings.Trim(name, " \t"), strings.Trim(weight, " \t")
			if name != got.String() && name != "*" && !(got == Gzip && name == "x-gzip") {
				continue
			}
			if name != "*" && (weight == "q=0" || weight == "q=0.0" || weight == "q=0.00" || weight == "q=0.000") {
				t.Errorf("%q gets %v, which it refuses", s, got)
			}
			named = true
		}
		if !named {
			t.Errorf("%q gets %v, which it does not name", s, got)
		}
		if n := testing.AllocsPerRun(1, func() { choose(&h, everyCoding) }); n > 0 {
			t.Errorf("%q: %v allocations", s, n)
		}
	})
}
