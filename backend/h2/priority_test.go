package h2

import (
	"testing"

	"github.com/dunglas/httpsfv"
)

func TestPriorities(t *testing.T) {
	for _, c := range []struct {
		in    string
		level int
		inc   bool
	}{
		{"", 3, false},
		{"u=0", 0, false},
		{"u=7, i", 7, true},
		{"i", 3, true},
		{"i,u=1", 1, true},
		{"u=5,  i=?1", 5, true},
		{"i, i=?0", 3, false},
		{"u=8", 3, false},
		{"u=-1", 3, false},
		{"u=1;x=2, i;y", 1, true},
		{`x="u=0, i", u=2`, 3, false},
		{"u", 3, false},
		{"U=1", 3, false},
		{"u=1, u=x", 3, false},
		{"u=02", 2, false},
		{"i, i=x", 3, false},
	} {
		u := ParsePriority([]byte(c.in))
		if u.Level() != c.level || u&Incremental != 0 != c.inc {
			t.Errorf("%q: %d, %v", c.in, u.Level(), u&Incremental != 0)
		}
	}
}

// FuzzPriority holds the parser against one for all structured fields, as far as that finds no fault.
func FuzzPriority(f *testing.F) {
	for _, s := range []string{"u=1, i", "i=?0", "u=3;a=b", "u=9", "a=(1 2), u=2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := ParsePriority([]byte(s))
		if got.Level() > 7 {
			t.Fatalf("%q: %d", s, got)
		}
		for _, c := range s {
			if c == '"' || c == '(' || c == '\t' || c == '@' || c == '%' || c == '-' { // kinds of values that the fields of RFC 9218 do not have
				return
			}
		}
		d, err := httpsfv.UnmarshalDictionary([]string{s})
		if err != nil {
			return
		}
		level, inc := int64(3), false
		if m, ok := d.Get("u"); ok {
			if v, ok := m.(httpsfv.Item); ok {
				if n, ok := v.Value.(int64); ok && n >= 0 && n <= 7 {
					level = n
				}
			}
		}
		if m, ok := d.Get("i"); ok {
			if v, ok := m.(httpsfv.Item); ok {
				inc, _ = v.Value.(bool)
			}
		}
		if int64(got.Level()) != level || got&Incremental != 0 != inc {
			t.Fatalf("%q: %d %v, want %d %v", s, got.Level(), got&Incremental != 0, level, inc)
		}
	})
}
