package h1

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

func TestNextDirective(t *testing.T) {
	for _, c := range []struct{ list, want string }{
		{"", ""},
		{" \t, ,", ""},
		{"no-store", "no-store"},
		{"a, b ,c", "a|b|c"},
		{",,a,\t,b,", "a|b"},
		{"max-age=60, x=\"y, z\" , p=\"\\\"\"", "max-age=60|x=Q\"y, z\"|p=Q\"\\\"\""},
		{"x=\"\"", "x=Q\"\""},
		{"max-age = 60", "BAD max-age = 60"},
		{"a, max-age= 60, no-store", "a|BAD max-age= 60, no-store"},
		{"a b, c", "BAD a b, c"},
		{"a=\"open, c", "BAD a=\"open, c"},
		{"a=\"\\\"", "BAD a=\"\\\""},
		{"a=, c", "BAD a=, c"},
		{"=1", "BAD =1"},
		{"a;b", "BAD a;b"},
	} {
		if got := strings.Join(spell([]byte(c.list)), "|"); got != c.want {
			t.Errorf("%q: %q, want %q", c.list, got, c.want)
		}
	}
}

// spell reads a list and writes its directives anew.
func spell(list []byte) (out []string) {
	for {
		var d Directive
		switch d, list = NextDirective(list); {
		case d.Text == nil:
			return out
		case d.Bad:
			return append(out, fmt.Sprintf("BAD %s", d.Text))
		case d.Quoted:
			out = append(out, fmt.Sprintf("%s=Q%s", d.Name, d.Arg))
		case d.HasArg:
			out = append(out, fmt.Sprintf("%s=%s", d.Name, d.Arg))
		default:
			out = append(out, string(d.Name))
		}
	}
}

// FuzzNextDirective: directives stand in the list in their order, and what lies between them is blank or a comma; joined anew they are read as the
// same.
func FuzzNextDirective(f *testing.F) {
	for _, s := range []string{"no-cache=\"a, b\", max-age=1", "a,,b", "a=\"\\", "private x", "s-maxage=\"5\" ,x"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, list []byte) {
		rest, all := list, []byte{}
		for {
			before := len(rest)
			var d Directive
			if d, rest = NextDirective(rest); d.Text == nil {
				break
			}
			if len(rest) >= before {
				t.Fatalf("%q: no progress", list)
			}
			at := bytes.Index(list, d.Text)
			if at < 0 || !d.Bad && !IsToken(d.Name) || d.Quoted && (len(d.Arg) < 2 || d.Arg[0] != '"' || d.Arg[len(d.Arg)-1] != '"') {
				t.Fatalf("%q: %+v", list, d)
			}
			all = append(append(all, ','), d.Text...)
		}
		if got, want := spell(all), spell(list); strings.Join(got, "|") != strings.Join(want, "|") {
			t.Errorf("%q: %q, joined anew %q", list, want, got)
		}
	})
}
