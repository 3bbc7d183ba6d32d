package config

import (
	"strings"
	"testing"

	"gatehouse/backend/loop"
)

// TestOverlap: two sockets cannot both have an address, and neither can a wildcard and an address it holds.
func TestOverlap(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{":80", ":80", true},
		{":80", ":81", false},
		{":80", "192.168.1.1:80", true},
		{":80", "[::1]:80", true},
		{":80", "0.0.0.0:80", true},
		{"0.0.0.0:80", "192.168.1.1:80", true},
		{"0.0.0.0:80", "[::1]:80", false},
		{"0.0.0.0:80", "[::]:80", false},
		{"[::]:80", "[::1]:80", true},
		{"[::]:80", "192.168.1.1:80", false},
		{"192.168.1.1:80", "192.168.1.2:80", false},
		{"192.168.1.1:80", "192.168.1.1:80", true},
		{"192.168.1.1:80", "192.168.1.1:81", false},
		{"unix:/run/a", "unix:/run/a", true},
		{"unix:/run/a", "unix:/run/b", false},
		{"fd@3", "fd@3", true},
		{"fd@3", ":80", false},
		{"localhost:80", "localhost:80", true},
		{"localhost:80", "127.0.0.1:80", false}, // what a name means is known when it is bound
	} {
		a, err := loop.ParseAddr(c.a)
		if err != nil {
			t.Fatal(err)
		}
		b, err := loop.ParseAddr(c.b)
		if err != nil {
			t.Fatal(err)
		}
		if overlap(a, b) != c.want || overlap(b, a) != c.want {
			t.Errorf("overlap(%s, %s) = %v, %v; want %v", a, b, overlap(a, b), overlap(b, a), c.want)
		}
	}
}

// TestFrontendsShareAnAddressByHosts: hosts may tell two frontends on one address apart, a frontend without hosts serving the
// rest.
func TestFrontendsShareAnAddressByHosts(t *testing.T) {
	for _, c := range []struct {
		first, second string // what the frontends say beside their backend
		want          string
	}{
		{`hosts = ["a.example.com"]`, `hosts = ["b.example.com"]`, ""},
		{`hosts = ["a.example.com"]`, ``, ""},
		{`hosts = ["a.example.com"]`, `hosts = ["*.example.com"]`, ""},
		{``, ``, `:80 is bound by frontend "one" too`},
		{`hosts = ["a.example.com"]`, `hosts = ["b.example.com", "A.example.com"]`, `host "A.example.com" on :80 belongs to frontend "one" too`},
		{`hosts = ["*.example.com"]`, `hosts = ["*.example.com"]`, `belongs to frontend "one" too`},
	} {
		_, diags := loadText(t, `
frontend "one" {
  bind ":80" {}
  backend = backend.farm
  `+c.first+`
}
frontend "two" {
  bind ":80" {}
  backend = backend.farm
  `+c.second+`
}
backend "farm" {
  server "a" "10.0.0.1:80" {}
}
`, Options{})
		if got := printed(t, diags); !strings.Contains(got, c.want) || c.want == "" && got != "" {
			t.Errorf("%s and %s:\n%s\nwant %q", c.first, c.second, got, c.want)
		}
	}
}

// TestSharedAddressesAreOpenedAlike: an address is opened once, so what is said about the opening must be the same in both frontends.
func TestSharedAddressesAreOpenedAlike(t *testing.T) {
	for _, c := range []struct{ first, second, want string }{
		{"freebind = true", "freebind = true", ""},
		{"freebind = true", "", "192.168.1.1:80 is bound with freebind and without"},
		{"", "freebind = true", "192.168.1.1:80 is bound with freebind and without"},
	} {
		_, diags := loadText(t, `
frontend "one" {
  bind "192.168.1.1:80" { `+c.first+` }
  hosts   = ["a.example.com"]
  backend = backend.farm
}
frontend "two" {
  bind "192.168.1.1:80" { `+c.second+` }
  backend = backend.farm
}
backend "farm" {
  server "a" "10.0.0.1:80" {}
}
`, Options{})
		if got := printed(t, diags); !strings.Contains(got, c.want) || c.want == "" && got != "" {
			t.Errorf("%q and %q:\n%s\nwant %q", c.first, c.second, got, c.want)
		}
	}
}
