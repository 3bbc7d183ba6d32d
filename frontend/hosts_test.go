package frontend

import (
	"strings"
	"testing"
)

func TestHostSet(t *testing.T) {
	set := newHostSet([]string{"shop.example.com", "WWW.Example.Org.", "*.example.net", "[2001:DB8::1]", "192.0.2.1"})
	for _, c := range []struct {
		host string
		want hostMatch
	}{
		{"shop.example.com", hostExact},
		{"SHOP.example.COM", hostExact},
		{"shop.example.com:8443", hostExact},
		{"shop.example.com.", hostExact},
		{"shop.example.com.:443", hostExact},
		{"shop.example.com:", hostExact},
		{"www.example.org", hostExact},
		{"a.example.net", hostBelow},
		{"A.EXAMPLE.NET.:80", hostBelow},
		{"[2001:db8::1]", hostExact},
		{"[2001:db8::1]:8080", hostExact},
		{"192.0.2.1:80", hostExact},
		{"", hostNone},
		{".", hostNone},
		{":80", hostNone},
		{"example.com", hostNone},
		{"xshop.example.com", hostNone},
		{"shop.example.com.evil.example", hostNone},
		{"shop.example.com..", hostNone},
		{"example.net", hostNone},
		{".example.net", hostNone},
		{"a.b.example.net", hostNone},
		{"[2001:db8::2]", hostNone},
		{"2001:db8::1", hostNone},
		{"[2001:db8::1", hostNone},
		{"192.0.2.10", hostNone},
		{strings.Repeat("a", 300) + ".example.net", hostNone},
	} {
		if got := set.match([]byte(c.host)); got != c.want {
			t.Errorf("match(%q) = %d, want %d", c.host, got, c.want)
		}
	}
}

func TestHostSetPrefersTheExactName(t *testing.T) {
	set := newHostSet([]string{"*", "*.example.com", "www.example.com"})
	for host, want := range map[string]hostMatch{
		"www.example.com": hostExact, "a.example.com": hostBelow, "example.com": hostAny, "": hostAny,
	} {
		if got := set.match([]byte(host)); got != want {
			t.Errorf("match(%q) = %d, want %d", host, got, want)
		}
	}
}

func TestHostSetWithoutNamesTakesEveryHost(t *testing.T) {
	for _, host := range []string{"", "example.com", strings.Repeat("x", 1000)} {
		if got := newHostSet(nil).match([]byte(host)); got != hostAny {
			t.Errorf("match(%q) = %d, want %d", host, got, hostAny)
		}
	}
}

func TestHostMatchAllocatesNothing(t *testing.T) {
	set := newHostSet([]string{"shop.example.com", "*.example.net"})
	host := []byte("WWW.example.net:443")
	if n := testing.AllocsPerRun(100, func() { set.match(host) }); n != 0 {
		t.Errorf("%v allocations for a host, want 0: it is matched for every request", n)
	}
}

func FuzzHostSet(f *testing.F) {
	for _, s := range []string{"a.b", "A.B.:1", "x.a.b", "[::1]:80", "[", "]", ":", "::", "a:b:c", ".a.b", "*.a.b", "a.b:99999", "é.a.b"} {
		f.Add(s)
	}
	set := newHostSet([]string{"a.b", "c", "d.e.f", "[::1]", "*.a.b", "*.c"})
	f.Fuzz(func(t *testing.T, host string) {
		name := host
		if strings.HasPrefix(name, "[") {
			if before, _, ok := strings.Cut(name, "]"); ok {
				name = before + "]"
			}
		} else if strings.Count(name, ":") == 1 {
			name, _, _ = strings.Cut(name, ":")
		}
		folded := []byte(name) // names are bytes, valid UTF-8 or not
		for i, c := range folded {
			if c >= 'A' && c <= 'Z' {
				folded[i] += 'a' - 'A'
			}
		}
		name = string(folded)
		if len(name) > 1 {
			name = strings.TrimSuffix(name, ".")
		}
		want := hostNone
		if _, below, ok := strings.Cut(name, "."); ok && name[0] != '.' && (below == "a.b" || below == "c") && len(name) <= longestHost {
			want = hostBelow
		}
		switch name {
		case "a.b", "c", "d.e.f", "[::1]":
			want = hostExact
		}
		if got := set.match([]byte(host)); got != want {
			t.Errorf("match(%q) = %d, want %d", host, got, want)
		}
	})
}
