package frontend

import (
	"strings"
	"testing"

	"gatehouse/backend/h1"
)

// TestTame: RFC 9110 14.2 lets a server ignore what asks for too much.
func TestTame(t *testing.T) {
	for _, x := range []struct {
		v    string
		want bool
	}{
		{"bytes=0-499", true},
		{"bytes=0-499, 500-999 ,1000-", true},
		{"bytes=500-999,0-499", true}, // in no order, but each byte once
		{"bytes=-500", true},
		{"bytes=0-0,-1", true}, // the first byte and the last (RFC 9110 14.1.2)
		{"bytes=,,0-1,,", true},
		{"bytes=0-1" + strings.Repeat(",", 100), true},
		{"lines=1-2,5-6", true},
		{"bytes", true},
		{"", true},
		{"bytes=a-b,c-d", true}, // nonsense, which servers ignore
		{"bytes=0-1,5-99999999999999999999", true},
		{"bytes=0-499,400-600", false},
		{"bytes=0-,5-6", false},
		{"bytes=-1,-2", false},
		{"bytes=1-2,1-2", false},
		{"bytes=0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-14,16-16,18-18,20-20,22-22,24-24,26-26,28-28,30-30", true},
		{"bytes=0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-14,16-16,18-18,20-20,22-22,24-24,26-26,28-28,30-30,32-32", false},
		{"bytes=5-0" + strings.Repeat(",5-0", 1300), false}, // the attack of 2011
	} {
		if got := tame([]byte(x.v)); got != x.want {
			t.Errorf("%.60q: %v", x.v, got)
		}
	}
}

func TestTwoRangeFieldsAreNone(t *testing.T) {
	var h h1.Header
	h.AddString("Range", "bytes=0-1")
	tameRanges(&h)
	if !h.Has(h1.Range) {
		t.Error("one range was taken out")
	}
	h.AddString("Range", "bytes=5-6")
	tameRanges(&h)
	if h.Has(h1.Range) {
		t.Error("two fields stayed")
	}
}

func FuzzTame(f *testing.F) {
	for _, s := range []string{"bytes=0-1,2-3", "bytes=-1", "bytes=5-,1-2", "x=", "bytes=1-2,1-2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, v string) {
		_, list, _ := strings.Cut(v, "=")
		if tame([]byte(v)) && strings.Count(strings.Trim(list, ", \t"), ",") == 0 {
			return
		}
		// Whatever passes with more than sixteen numbers that are ranges is not tame.
		n := 0
		for s := range strings.SplitSeq(list, ",") {
			if s = strings.TrimSpace(s); len(s) == 3 && s[0] >= '0' && s[0] <= '9' && s[1] == '-' && s[2] >= '0' && s[2] <= '9' {
				n++
			} else {
				return
			}
		}
		if n > maxRanges && tame([]byte(v)) {
			t.Errorf("%d ranges pass: %q", n, v)
		}
	})
}
