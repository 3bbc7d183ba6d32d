package frontend

import (
	"net/url"
	"path"
	"testing"
)

func TestReadings(t *testing.T) {
	const all = readDecoded | readMerged | readBackslash | readParams
	for _, c := range []struct{ raw, normal, liberal string }{
		{"/", "/", "/"},
		{"/a/b", "/a/b", "/a/b"},
		{"/a/./b", "/a/b", "/a/b"},
		{"/a/../b", "/b", "/b"},
		{"/a/..", "/", "/"},
		{"/a/.", "/a/", "/a/"},
		{"/..", "/", "/"},
		{"/../../a", "/a", "/a"},
		{"/a/b/../../../c", "/c", "/c"},
		{"/a/...", "/a/...", "/a/..."},
		{"/.well-known/x", "/.well-known/x", "/.well-known/x"},
		{"/%61%2d%7E", "/a-~", "/a-~"},
		{"/%2e%2E/a", "/a", "/a"},
		{"/a/%2e./b", "/b", "/b"},
		{"/a%2fb", "/a%2Fb", "/a/b"},
		{"/a%20b", "/a%20b", "/a b"},
		{"/a b", "/a%20b", "/a b"},
		{"/ä", "/%C3%A4", "/ä"},
		{"/%c3%A4", "/%C3%A4", "/ä"},
		{"/%2561", "/%2561", "/%61"},
		{"/%", "/%25", "/%"},
		{"/%4", "/%254", "/%4"},
		{"/%zz", "/%25zz", "/%zz"},
		{"/%%622", "/%25b2", "/%b2"}, // not an encoding made of its own pieces
		{"//a", "//a", "/a"},
		{"/a//../b", "/a/b", "/b"},
		{`/a\..\b`, `/a\..\b`, "/b"},
		{"/a/..;v=1/b", "/a/..;v=1/b", "/b"},
		{"/a/%2e%2e%3bv/b", "/a/..%3Bv/b", "/b"},
		{"*", "*", "*"},
		{"", "", ""},
	} {
		if got := string(appendPath(nil, []byte(c.raw), 0)); got != c.normal {
			t.Errorf("normal form of %q is %q, want %q", c.raw, got, c.normal)
		}
		if got := string(appendPath(nil, []byte(c.raw), all)); got != c.liberal {
			t.Errorf("%q with all liberties is %q, want %q", c.raw, got, c.liberal)
		}
	}
}

func TestPathEndsAtTheQuery(t *testing.T) {
	for target, want := range map[string]string{
		"/a?b": "/a", "/a?b?c#d": "/a", "/a#b?c": "/a", "?": "", "/a": "/a", "/a/?/../..": "/a/",
	} {
		f := lookAtPath([]byte(target))
		if string(f.path) != want || f.twisted || f.open != 0 {
			t.Errorf("lookAtPath(%q) = %q %+v, want plain %q", target, f.path, f, want)
		}
	}
}

func TestEncodedNUL(t *testing.T) {
	for target, want := range map[string]bool{
		"/%00": true, "/a%00b?c": true, "/a": false, "/?%00": false, "/a#%00": false, "/%2500": false, "/%0": false,
	} {
		if got := hasNUL([]byte(target)); got != want {
			t.Errorf("hasNUL(%q) = %v", target, got)
		}
	}
}

// FuzzPath holds the one look at the bytes against the readings themselves: what it calls plain must be, and the
// liberties it leaves out must make no difference.
func FuzzPath(f *testing.F) {
	for _, s := range []string{"/", "/a/../b", "/%2e%2e/", "//", `/\..`, "/..;x/", "/%2e%2e;/", "/.%3b/", "/a%2f%2e%2e%5c", "/%00", "/%", "/é", "/.?", "*", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, target string) {
		look := lookAtPath([]byte(target))
		raw := look.path
		normal := string(appendPath(nil, raw, 0))
		if !look.twisted && normal != string(raw) {
			t.Errorf("%q is called plain, its normal form is %q", raw, normal)
		}
		if again := string(appendPath(nil, []byte(normal), 0)); again != normal {
			t.Errorf("normal form of %q is %q, and of that %q", raw, normal, again)
		}
		for rd := range readings {
			got, want := string(appendPath(nil, raw, rd)), string(appendPath(nil, raw, rd&look.open))
			if got != want {
				t.Errorf("%q read with liberties %04b is %q, with the open ones of them, %04b, %q", raw, rd, got, rd&look.open, want)
			}
		}
		// A server that decodes and then cleans, as net/http's ServeMux does.
		if plain, err := url.PathUnescape(string(raw)); err == nil && len(raw) > 0 && raw[0] == '/' {
			want := path.Clean(plain)
			got := path.Clean(string(appendPath(nil, raw, readDecoded|readMerged)))
			if got != want {
				t.Errorf("%q is %q, path.Clean says %q", raw, got, want)
			}
		}
	})
}
