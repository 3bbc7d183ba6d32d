package loop

import (
	"net/netip"
	"strings"
	"testing"
)

func TestParseAddr(t *testing.T) {
	ap := func(s string) Addr { return Addr{AddrPort: netip.MustParseAddrPort(s)} }
	ip := func(s string) Addr { return Addr{AddrPort: netip.AddrPortFrom(netip.MustParseAddr(s), 0)} }
	for in, want := range map[string]Addr{
		"192.168.1.1:80":       ap("192.168.1.1:80"),
		"192.168.1.1":          ip("192.168.1.1"),
		"192.168.1.1:0":        ip("192.168.1.1"),
		"[::1]:443":            ap("[::1]:443"),
		"[::1]":                ip("::1"),
		"::1":                  ip("::1"),
		"fe80::1%eth0":         ip("fe80::1%eth0"),
		"[fe80::1%eth0]:80":    ap("[fe80::1%eth0]:80"),
		":80":                  Addr{}.WithPort(80),
		"*:80":                 Addr{}.WithPort(80),
		"*":                    {},
		"localhost:8080":       Addr{Host: "localhost"}.WithPort(8080),
		"Web1.Example.COM:80":  Addr{Host: "web1.example.com"}.WithPort(80),
		"web_1":                {Host: "web_1"},
		"example.com.:1":       Addr{Host: "example.com."}.WithPort(1),
		"unix:/run/a b:c.sock": {Path: "/run/a b:c.sock"},
		"fd@3":                 {FD: "3"},
		"fd@LISTEN_WEB":        {FD: "LISTEN_WEB"},
	} {
		if got, err := ParseAddr(in); got != want || err != nil {
			t.Errorf("%q: got %+v, %v; want %+v", in, got, err, want)
		}
		var got Addr
		if err := got.UnmarshalText([]byte(in)); got != want || err != nil {
			t.Errorf("%q unmarshalled: got %+v, %v", in, got, err)
		}
	}
}

func TestParseAddrRefuses(t *testing.T) {
	for in, text := range map[string]string{
		"":                               "empty",
		"unix:":                          "no path",
		"fd@":                            "no descriptor",
		"web:":                           "no port",
		"[::1]:":                         "no port",
		"web:http":                       "not a number",
		"web:65536":                      "not a number from 0 to 65535",
		"web:-1":                         "not a number",
		"web:+1":                         "not a number",
		"[::1":                           "not closed",
		"[::1]80":                        "follows the bracket",
		"[::1]x:80":                      "follows the bracket",
		"[127.0.0.1]:80":                 "no IPv6",
		"[localhost]:80":                 "no IPv6",
		"127.0.0.1]":                     "neither",
		"::1]:80":                        "neither",
		"1.2.3":                          "neither",
		"256.1.1.1:80":                   "neither",
		"1.2.3.4:80:90":                  "neither",
		"-web:80":                        "neither",
		"web-:80":                        "neither",
		"a..b":                           "neither",
		"we b":                           "neither",
		strings.Repeat("a", 64):          "neither",
		strings.Repeat("abc.", 64) + "x": "neither",
	} {
		if got, err := ParseAddr(in); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%q: got %+v, %v; want an error with %q", in, got, err, text)
		}
		a := Addr{Host: "before"}
		if a.UnmarshalText([]byte(in)) == nil || a != (Addr{Host: "before"}) {
			t.Errorf("%q was unmarshalled to %+v", in, a)
		}
	}
}

func TestAddrString(t *testing.T) {
	for _, s := range []string{"192.168.1.1:80", "192.168.1.1", "[::1]:443", "::1", ":80", "localhost:8080", "localhost", "unix:/run/s", "fd@3", ""} {
		a, _ := ParseAddr(s)
		if got := a.String(); got != s {
			t.Errorf("got %q, want %q", got, s)
		}
		if a.Valid() != (s != "") {
			t.Errorf("%q: valid %v", s, a.Valid())
		}
	}
}

func TestWithPort(t *testing.T) {
	for in, want := range map[string]string{
		"192.168.1.1":    "192.168.1.1:9",
		"192.168.1.1:80": "192.168.1.1:9",
		"::1":            "[::1]:9",
		"web":            "web:9",
		":80":            ":9",
		"unix:/run/s":    "unix:/run/s",
		"fd@3":           "fd@3",
	} {
		a, err := ParseAddr(in)
		if got := a.WithPort(9).String(); got != want || err != nil {
			t.Errorf("%q: got %q, %v; want %q", in, got, err, want)
		}
	}
}

func FuzzParseAddr(f *testing.F) {
	for _, s := range []string{"192.168.1.1:80", "[::1]:80", ":80", "*:80", "localhost:80", "unix:/path", "fd@3", "::1", "fe80::1%eth0", "[fe80::1%a]:1", "a.:1", "[", "]", "::ffff:1.2.3.4"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseAddr(s)
		if err != nil {
			if a != (Addr{}) {
				t.Errorf("%q: an error, and %+v", s, a)
			}
			return
		}
		if !a.Valid() { // the wildcard, without a port
			return
		}
		again, err := ParseAddr(a.String())
		if err != nil || again != a {
			t.Errorf("%q is %+v, printed as %q, which is %+v, %v", s, a, a.String(), again, err)
		}
	})
}
