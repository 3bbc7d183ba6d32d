package frontend

import "testing"

func TestRedirect(t *testing.T) {
	for _, c := range []struct{ location, host, target, want string }{
		{"https://{host}{uri}", "example.com", "/a?b=c", "https://example.com/a?b=c"},
		{"https://{host}{uri}", "example.com:8080", "/", "https://example.com/"},
		{"https://{host}:8443{uri}", "[::1]:80", "/x", "https://[::1]:8443/x"},
		{"https://new.example.com{uri}", "", "//a", "https://new.example.com//a"},
		{"https://new.example.com/gone", "x", "/y", "https://new.example.com/gone"},
		{"https://{host}{uri}", "example.com", "*", "https://example.com/"},
		{"/login?next={uri}&at={host}", "h", "/a", "/login?next=/a&at=h"},
		{"{uri}{uri}", "h", "/a", "/a/a"},
		{"/{name}{", "h", "/a", "/{name}{"},
		{"", "h", "/a", ""},

		// Not to another host,
		{"{uri}", "h", "//evil.example/x", "/evil.example/x"},
		{"{uri}", "h", `/\/evil.example`, "/evil.example"},
		{"/{uri}", "h", "/evil.example", "/evil.example"},
		// and not out of the line.
		{"https://{host}{uri}", "a\r\nb", "/x\r\nSet-Cookie: y=\"<é>", "https://a%0D%0Ab/x%0D%0ASet-Cookie:%20y=%22%3C%C3%A9%3E"},
	} {
		got, ok := newRedirect(c.location).appendTo([]byte("> "), []byte(c.host), []byte(c.target))
		if !ok || string(got) != "> "+c.want {
			t.Errorf("%s for %s %s: %q %v, want %q", c.location, c.host, c.target, got, ok, c.want)
		}
	}
}

func TestRedirectWithoutTheHostItNeeds(t *testing.T) {
	for _, host := range []string{"", ":80"} {
		if got, ok := newRedirect("https://{host}{uri}").appendTo([]byte("> "), []byte(host), []byte("/")); ok || string(got) != "> " {
			t.Errorf("host %q: %q %v", host, got, ok)
		}
	}
	if got, ok := newRedirect("https://example.com{uri}").appendTo(nil, nil, []byte("/a")); !ok || string(got) != "https://example.com/a" {
		t.Errorf("%q %v", got, ok)
	}
}

func TestRedirectAllocatesNothing(t *testing.T) {
	r, buf, host, target := newRedirect("https://{host}{uri}"), make([]byte, 0, 100), []byte("example.com:80"), []byte("/a?b")
	if n := testing.AllocsPerRun(100, func() { r.appendTo(buf, host, target) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func FuzzRedirect(f *testing.F) {
	f.Add("{uri}", "h", "//x")
	f.Add("https://{host}{uri}", "h:1", "/\r\n")
	f.Add("{{host}}", "[", "*")
	f.Fuzz(func(t *testing.T, location, host, target string) {
		// The configuration is trusted, the client is not.
		for _, c := range []byte(location) {
			if c <= ' ' || c >= 0x7f {
				return
			}
		}
		got, ok := newRedirect(location).appendTo(nil, []byte(host), []byte(target))
		if !ok && len(got) != 0 {
			t.Errorf("%q left behind", got)
		}
		for _, c := range got {
			if c <= ' ' || c >= 0x7f {
				t.Errorf("%q: byte %#x in a location", got, c)
			}
		}
	})
}
