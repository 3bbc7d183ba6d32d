package config

import (
	"strings"
	"testing"

	"gatehouse/tlsconf"
)

// TestFourLineSite: a host and a server are a whole site, with certificates that come by themselves.
func TestFourLineSite(t *testing.T) {
	f, diags := loadText(t, `
listen "www" {
  hosts = ["example.com"]
  server "app" "127.0.0.1:3000" {}
}
`, Options{})
	if got := printed(t, diags); got != "" {
		t.Fatal(got)
	}
	binds := f.Frontends[0].Binds
	if len(binds) != 2 || binds[0].Address.String() != ":443" || binds[0].TLS != "auto" || binds[0].Redirect != "" ||
		binds[1].Address.String() != ":80" || binds[1].TLS != "" || binds[1].Redirect != "https" {
		t.Fatalf("%+v %+v", binds[0], binds[1])
	}
	if len(f.TLS) != 1 || f.TLS[0].Name != "auto" {
		t.Fatalf("%+v", f.TLS)
	}
	if a := f.TLS[0].ACME; a == nil || a.Directory != tlsconf.LetsEncrypt || a.Issue != tlsconf.AtStart || a.HTTPPort != 80 || a.TLSPort != 443 {
		t.Errorf("%+v", a)
	}
	if r := f.Range(&binds[1].Address); r.Filename != "test.hcl" || r.Start.Line != 2 {
		t.Errorf("complaints about an address go to %v", r)
	}
}

// TestAutomaticBlockThatIsWritten is used as it is.
func TestAutomaticBlockThatIsWritten(t *testing.T) {
	f, diags := loadText(t, `
tls "auto" {
  acme {
    email     = "ops@example.com"
    directory = "https://ca.example.com/directory"
    issue     = "on-first-handshake"
  }
}
listen "www" {
  hosts = ["example.com"]
  server "app" "127.0.0.1:3000" {}
}
listen "mail" {
  mode  = "tcp"
  hosts = ["mail.example.com"]
  bind ":993" { tls = tls.auto }
  server "app" "127.0.0.1:143" {}
}
`, Options{})
	if got := printed(t, diags); got != "" {
		t.Fatal(got)
	}
	if len(f.TLS) != 1 || f.TLS[0].ACME.Email != "ops@example.com" || f.TLS[0].ACME.Issue != tlsconf.OnFirstHandshake {
		t.Errorf("%+v", f.TLS[0].ACME)
	}
}

// TestAutomaticSites share their addresses; one that relays has no use for port 80.
func TestAutomaticSites(t *testing.T) {
	f, diags := loadText(t, `
listen "a" {
  hosts = ["a.example.com"]
  server "app" "127.0.0.1:3000" {}
}
listen "b" {
  hosts = ["b.example.com"]
  server "app" "127.0.0.1:3001" {}
}
`, Options{})
	if got := printed(t, diags); got != "" {
		t.Fatal(got)
	}
	if len(f.TLS) != 1 || len(f.Frontends[0].Binds) != 2 || len(f.Frontends[1].Binds) != 2 {
		t.Errorf("%d tls blocks", len(f.TLS))
	}
	f, diags = loadText(t, `
listen "a" {
  mode  = "tcp"
  hosts = ["a.example.com"]
  server "app" "127.0.0.1:3000" {}
}
`, Options{})
	if got := printed(t, diags); got != "" {
		t.Fatal(got)
	}
	if b := f.Frontends[0].Binds; len(b) != 1 || b[0].Address.Port() != 443 || b[0].TLS != "auto" {
		t.Errorf("%d binds", len(b))
	}
}

// TestReachOfCAs: where no CA can see that a host is ours, that is said.
func TestReachOfCAs(t *testing.T) {
	const rest = "\nbackend \"farm\" {\n  server \"a\" \"10.0.0.1:80\" {}\n}\n"
	for _, x := range []struct {
		name, acme, bind string
		warned           bool
	}{
		{"443", "", `bind ":443" { tls = tls.auto }`, false},
		{"another port", "", `bind ":8443" { tls = tls.auto }`, true},
		{"another port, forwarded to", "tls_port = 8443", `bind ":8443" { tls = tls.auto }`, false},
		{"80 besides", "", "bind \":8443\" { tls = tls.auto }\n bind \"192.0.2.1:80\" { redirect = \"https\" }", false},
		{"another plain port, forwarded to", "http_port = 8080", "bind \":8443\" { tls = tls.auto }\n bind \":8080\" { redirect = \"https\" }", false},
		{"a plain port that is not forwarded to", "", "bind \":8443\" { tls = tls.auto }\n bind \":8080\" { redirect = \"https\" }", true},
		{"an inherited one", "", `bind "fd@3" { tls = tls.auto }`, false},
		{"by DNS", "dns \"rfc2136\" {\n server = \"192.0.2.53\"\n key_name = \"k\"\n key_secret = \"c2VjcmV0\"\n}", `bind ":8443" { tls = tls.auto }`, false},
	} {
		_, diags := loadText(t, "tls \"auto\" {\n acme {\n "+x.acme+"\n }\n}\nfrontend \"www\" {\n hosts = [\"a.example.com\"]\n "+x.bind+"\n backend = backend.farm\n}"+rest, Options{})
		got := printed(t, diags)
		if diags.HasErrors() || strings.Contains(got, "no CA can see") != x.warned || x.warned != (got != "") {
			t.Errorf("%s: %s", x.name, got)
		}
	}
}
