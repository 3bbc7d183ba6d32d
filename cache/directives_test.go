package cache

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"gatehouse/backend/h1"
)

func headerOf(name string, lines ...string) *h1.Header {
	h := &h1.Header{}
	for _, l := range lines {
		h.AddString(name, l)
	}
	return h
}

// spell writes what directives say, in the order of their names.
func (d directives) spell() string {
	var b strings.Builder
	for _, f := range []struct {
		name string
		on   bool
	}{
		{"must-revalidate", d.mustRevalidate}, {"must-understand", d.mustUnderstand}, {"no-cache", d.noCache}, {"no-store", d.noStore},
		{"only-if-cached", d.onlyIfCached}, {"private", d.private}, {"proxy-revalidate", d.proxyRevalidate}, {"public", d.public}, {"MALFORMED", d.malformed},
	} {
		if f.on {
			b.WriteString(f.name + " ")
		}
	}
	for _, f := range []struct {
		name string
		n    int64
	}{{"max-age", d.maxAge}, {"s-maxage", d.sMaxAge}, {"min-fresh", d.minFresh}, {"swr", d.staleWhileRevalidate}, {"sie", d.staleError}} {
		if f.n != absent {
			fmt.Fprintf(&b, "%s=%d ", f.name, f.n)
		}
	}
	if d.hidden != nil {
		fmt.Fprintf(&b, "hidden=%s", bytes.Join(d.hidden, []byte("+")))
	}
	return strings.TrimSpace(b.String())
}

// RFC 9111 5.2.
func TestDirectives(t *testing.T) {
	for _, c := range []struct {
		lines []string
		want  string
	}{
		{nil, ""},
		{[]string{""}, ""},
		{[]string{"max-age=60"}, "max-age=60"},
		{[]string{"Max-AGE=60, PUBLIC"}, "public max-age=60"},
		{[]string{"public", "max-age=60", "s-maxage=5"}, "public max-age=60 s-maxage=5"},
		{[]string{",, ,max-age=60 ,,\tpublic,"}, "public max-age=60"},
		{[]string{`max-age="60"`}, "max-age=60"},
		{[]string{"max-age=0060"}, "max-age=60"},
		{[]string{"max-age"}, "max-age=0"},
		{[]string{"max-age=-1"}, "max-age=0"},
		{[]string{"max-age=6.5"}, "max-age=0"},
		{[]string{"max-age=60s"}, "max-age=0"},
		{[]string{"max-age='60'"}, "max-age=0"},
		{[]string{"max-age=99999999999999999999"}, "max-age=2147483648"},
		{[]string{"max-age=60, max-age=30"}, "max-age=30"},
		{[]string{"max-age=30", "max-age=60"}, "max-age=30"},
		{[]string{`ext="max-age=60, private", max-age=5`}, "max-age=5"},
		{[]string{`ext="a\"b, no-store", max-age=5`}, "max-age=5"},
		{[]string{"stale-while-revalidate=5, stale-if-error=6"}, "swr=5 sie=6"},
		{[]string{"no-store"}, "no-store"},
		{[]string{"NO-Store=1"}, "no-store"},
		{[]string{`no-store="x"`}, "no-store"},
		{[]string{"public, private"}, "private public"},
		{[]string{"private, public"}, "private public"},
		{[]string{`private="Set-Cookie, X-User"`}, "hidden=Set-Cookie+X-User"},
		{[]string{`no-cache="Set-Cookie"`, "private"}, "private hidden=Set-Cookie"},
		{[]string{"private=Set-Cookie"}, "private"},
		{[]string{"no-cache=Set-Cookie"}, "no-cache"},
		{[]string{`private=""`}, "MALFORMED"},
		{[]string{`private="a b"`}, "MALFORMED"},
		{[]string{"must-revalidate,proxy-revalidate,must-understand"}, "must-revalidate must-understand proxy-revalidate"},
		{[]string{`max-age=60, x="unterminated, private`}, "MALFORMED max-age=60"},
		{[]string{`max-age=60, x="unterminated, no-store`}, "no-store MALFORMED max-age=60"},
		{[]string{"max-age =60"}, "MALFORMED"},
		{[]string{"max-age= 60"}, "MALFORMED"},
		{[]string{"max-age=60 private"}, "MALFORMED"},
		{[]string{"max-age=60; private"}, "MALFORMED"},
		{[]string{"=60"}, "MALFORMED"},
		{[]string{"p\xe4rivate"}, "MALFORMED"},
		{[]string{"only-if-cached, min-fresh=10"}, "only-if-cached min-fresh=10"},
	} {
		got := readDirectives(headerOf("Cache-Control", c.lines...)).spell()
		if !sameWords(got, c.want) {
			t.Errorf("%q: %s, want %s", c.lines, got, c.want)
		}
	}
}

func sameWords(a, b string) bool {
	x, y := strings.Fields(a), strings.Fields(b)
	if len(x) != len(y) {
		return false
	}
	for _, w := range x {
		if !strings.Contains(" "+b+" ", " "+w+" ") {
			return false
		}
	}
	return true
}

// RFC 9213 2.1 and 2.2.
func TestTargetedDirectives(t *testing.T) {
	for _, c := range []struct {
		lines []string
		want  string
		ok    bool
	}{
		{nil, "", false},
		{[]string{""}, "", false},
		{[]string{"max-age=60"}, "max-age=60", true},
		{[]string{"max-age=60, no-store=?0"}, "max-age=60", true},
		{[]string{"max-age=60;ext=1, private"}, "private max-age=60", true},
		{[]string{"max-age=60", "must-revalidate"}, "must-revalidate max-age=60", true},
		{[]string{"max-age=10, max-age=60"}, "max-age=60", true}, // RFC 9651 4.2.2: the last one counts
		{[]string{"MAX-AGE=60"}, "", false},
		{[]string{"max-age=60, &"}, "", false},
		{[]string{"max-age=-5"}, "max-age=0", true},
		{[]string{"max-age=6.5"}, "max-age=0", true},
		{[]string{`max-age="60"`}, "max-age=0", true},
		{[]string{"max-age"}, "max-age=0", true},
		{[]string{"max-age=(1 2)"}, "max-age=0", true},
		{[]string{"no-store=1"}, "no-store", true},
		{[]string{"private=(1 2)"}, "private", true},
		{[]string{`no-cache="Set-Cookie", max-age=5`}, "max-age=5 hidden=Set-Cookie", true},
	} {
		d, ok := targetedDirectives(headerOf("CDN-Cache-Control", c.lines...))
		if ok != c.ok || ok && !sameWords(d.spell(), c.want) {
			t.Errorf("%q: %s %v, want %s %v", c.lines, d.spell(), ok, c.want, c.ok)
		}
	}
}

// FuzzDirectives: what forbids to share an answer is found in whatever stands around it, or else nothing is believed.
func FuzzDirectives(f *testing.F) {
	for _, s := range []string{"", "max-age=60", `ext="a, b`, `x="\"", y`, "a=b;c", ",,,", `"`, "=", `a="\`, "max-age=1 2", "é"} {
		f.Add(s, uint8(0))
		f.Add(s, uint8(1))
	}
	f.Fuzz(func(t *testing.T, around string, where uint8) {
		if strings.ContainsAny(around, "\r\n\x00") {
			t.Skip()
		}
		for _, word := range []string{"private", "no-store"} {
			text := word + "," + around
			if where&1 == 1 {
				text = around + "," + word
			}
			d := readDirectives(headerOf("Cache-Control", text))
			// Inside a quoted string it is data: the rest before it must then be well formed.
			if forbidden(&d) == "" && where&1 == 0 {
				t.Errorf("%q may be shared", text)
			}
			two := readDirectives(headerOf("Cache-Control", around, word))
			if forbidden(&two) == "" {
				t.Errorf("%q and %q may be shared", around, word)
			}
			if d.maxAge < absent || d.maxAge > longest {
				t.Errorf("%q: max-age %d", text, d.maxAge)
			}
		}
	})
}

// FuzzTargeted: nothing breaks, and numbers stay in their bounds.
func FuzzTargeted(f *testing.F) {
	for _, s := range []string{"max-age=60", "private", "a=?0", "a=(1 2);b", `a="x"`, ":", "max-age=99999999999999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, ok := targetedDirectives(headerOf("CDN-Cache-Control", s))
		if ok && (d.maxAge < absent || d.maxAge > longest || d.sMaxAge < absent) {
			t.Errorf("%q: %s", s, d.spell())
		}
	})
}
