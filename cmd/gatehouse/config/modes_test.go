package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/backend"
	"gatehouse/backend/h1"
)

// TestTCP: what a relay needs is read into both halves of a listen block, without complaints.
func TestTCP(t *testing.T) {
	f, diags := Load([]string{"testdata/tcp/tcp.hcl"}, Options{Env: noEnv})
	if got := printed(t, diags); got != "" {
		t.Fatalf("complaints about a good configuration:\n%s", got)
	}
	l := f.Listens[0]
	if l.Frontend.Mode != h1.TCP || l.Backend.Mode != h1.TCP {
		t.Errorf("modes %v and %v, want tcp in both halves", l.Frontend.Mode, l.Backend.Mode)
	}
	if got := l.Frontend.Binds[2].AcceptProxy; len(got) != 1 || got[0].String() != "10.0.0.0/8" {
		t.Errorf("accept_proxy is %v", got)
	}
	if got := l.Backend.Servers[1]; got.SendProxy != backend.ProxyV2 || got.Address.Port() != 0 {
		t.Errorf("server tse2 is %+v", got)
	}
	if got := f.Backends[0].Servers[0].TLS; got == nil || got.ServerName != "app" || got.Verify {
		t.Errorf("tls of app is %+v", got)
	}
	for name, want := range map[string]uint16{"tse-farm": 0, "one-port": 8443, "app": 80} {
		if got := f.PortOf(name); got != want {
			t.Errorf("port of %s: got %d, want %d", name, got, want)
		}
	}
}

// TestServerTLSFiles: what is wrong with the files of a server's tls block is said where they are named.
func TestServerTLSFiles(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty.pem")
	if err := os.WriteFile(empty, []byte("nothing\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ tls, want string }{
		{`ca = "` + dir + `/none.pem"`, "none.pem: no such file"},
		{`ca = "` + empty + `"`, "empty.pem: no certificate in it"},
		{`certificate = "` + dir + `/none.pem"`, "none.pem: no such file"},
		{`certificate = "` + empty + `"`, "empty.pem: tls: failed to find any PEM data"},
	} {
		f, diags := loadText(t, `
listen "www" {
  bind ":80" {}
  server "a" "10.0.0.1:443" {
    tls {
      `+c.tls+`
    }
  }
}
`, Options{})
		if diags.HasErrors() {
			t.Fatal(printed(t, diags))
		}
		f.VerifyFiles()
		got := printed(t, diags)
		if !strings.Contains(got, c.want) || !strings.Contains(got, "line 6") {
			t.Errorf("%s:\n%s\nwant %q at line 6", c.tls, got, c.want)
		}
	}
}
