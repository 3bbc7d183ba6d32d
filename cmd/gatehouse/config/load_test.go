package config

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/backend"
	"gatehouse/frontend"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
)

func noEnv(string) (string, bool) { return "", false }

// loadText loads one file named test.hcl.
func loadText(t *testing.T, text string, o Options) (*File, *Diagnostics) {
	t.Helper()
	if o.Env == nil {
		o.Env = noEnv
	}
	diags := newDiagnostics()
	return load([]source{{"test.hcl", []byte(text)}}, o, diags), diags
}

func printed(t *testing.T, d *Diagnostics) string {
	t.Helper()
	var b bytes.Buffer
	if err := d.Print(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestBad compares what is said about each configuration in testdata/bad, a file or a directory, with its golden text.
func TestBad(t *testing.T) {
	paths, err := filepath.Glob("testdata/bad/*")
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, path := range paths {
		if strings.HasSuffix(path, ".want") {
			continue
		}
		ran++
		t.Run(filepath.Base(path), func(t *testing.T) {
			_, diags := Load([]string{path}, Options{Env: noEnv})
			if !diags.HasErrors() {
				t.Error("a bad configuration loads")
			}
			got := printed(t, diags)
			golden := strings.TrimSuffix(path, ".hcl") + ".want"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
	if ran == 0 {
		t.Error("no bad configurations in testdata/bad")
	}
}

func TestEverythingLoads(t *testing.T) {
	f, diags := Load([]string{"testdata/good/all.hcl"}, Options{Env: noEnv})
	if got := printed(t, diags); got != "" {
		t.Fatalf("complaints about a good configuration:\n%s", got)
	}
	if got, want := f.Counts(), "3 frontends, 3 backends, 6 servers"; got != want {
		t.Errorf("Counts = %q, want %q", got, want)
	}
	if got, want := f.Global, (Global{MaxConnections: 5000, ShutdownGrace: 90 * time.Second, StateDir: "testdata/good/state"}); got != want {
		t.Errorf("global = %+v, want %+v", got, want)
	}
	if got := f.Logs[0]; got.Format != frontend.Combined || got.Output != "testdata/good/logs/access.log" {
		t.Errorf("log = %+v", got)
	}
	if got := f.Logs[1]; got.Format != frontend.HTTPLog || got.Output != "syslog:udp:127.0.0.1:514" {
		t.Errorf("log = %+v", got)
	}
	if got := f.TLS[0]; got.Certificate != "testdata/good/site.pem" || got.Key != "/etc/ssl/site.key" || got.MinVersion.String() != "1.3" {
		t.Errorf("tls = %+v", got)
	}

	https := f.Frontends[0]
	if b := https.Binds[0]; b.Address.String() != ":443" || b.TLS != "site" {
		t.Errorf("bind = %+v", b)
	}
	if want := []string{"shop.example.com", "*.example.com"}; !slices.Equal(https.Hosts, want) {
		t.Errorf("hosts = %q, want %q", https.Hosts, want)
	}
	if https.Backend != "webfarm" || https.Log != "access" || https.Routes[0].Backend != "api-v2" {
		t.Errorf("references = %q %q %q", https.Backend, https.Log, https.Routes[0].Backend)
	}
	if want := (frontend.Limits{Target: 8 << 10, Field: 16 << 10, Head: 32 << 10, Fields: 100, MaxStreams: 100, Body: 1e9}); *https.Limits != want {
		t.Errorf("limits = %+v, want %+v", *https.Limits, want)
	}
	if want := []netip.Prefix{netip.MustParsePrefix("192.168.1.252/31"), netip.MustParsePrefix("::1/128")}; !slices.Equal(https.Monitor.Sources, want) {
		t.Errorf("sources = %v, want %v", https.Monitor.Sources, want)
	}
	if got := *https.Timeouts; got.Client != -1 || got.Server != 0 {
		t.Errorf("timeouts = %+v: an explicit 0s is no limit, -1; what is not written is 0", got)
	}

	farm := f.Backends[0]
	if farm.Balance.String() != "roundrobin" || !farm.Redispatch || farm.Retries != 3 {
		t.Errorf("defaults of a backend: %+v", farm)
	}
	if c := farm.Cookie; !c.Indirect || !c.NoCache || !c.HTTPOnly || c.Secure == nil || !*c.Secure {
		t.Errorf("defaults of an inserted cookie: %+v", c)
	}
	if c := f.Backends[1].Cookie; c.Indirect || c.NoCache || c.Mode != backend.Passive {
		t.Errorf("defaults of a passive cookie: %+v", c)
	}
	if want := netip.MustParsePrefix("10.0.0.0/8"); farm.Forwardfor.Trusted[0] != want || farm.Forwardfor.Header != "X-Forwarded-For" {
		t.Errorf("forwardfor = %+v", farm.Forwardfor)
	}
	if s := farm.Servers[3]; s.Name != "webD" || s.Address.String() != "webD.example.com:8080" && s.Address.String() != "webd.example.com:8080" || s.Weight != 2 {
		t.Errorf("a dynamic server = %+v", s)
	}

	mail := f.Frontends[2]
	if mail.Name != "mail" || mail.Backend != "mail" || f.Backends[2].Name != "mail" || f.Backends[2].Balance.Algorithm != "source" {
		t.Errorf("listen = %+v, %+v", mail, f.Backends[2])
	}
	if mail.Timeouts.Connect != time.Second || f.Backends[2].Timeouts.Connect != time.Second {
		t.Error("the timeouts of a listen block are not those of both its halves")
	}
}

// TestServerCheckOverridesSingleAttributes: what a server's check does not write is the backend's of the same kind.
func TestServerCheckOverridesSingleAttributes(t *testing.T) {
	f, _ := Load([]string{"testdata/good/all.hcl"}, Options{Env: noEnv})
	checks := f.Backends[0].Servers[1].Checks
	if c := checks[0]; c.Port != 81 || c.Request != "HEAD /index.html HTTP/1.0" || c.Interval != 5*time.Second || c.Fall != 5 || c.Rise != 2 {
		t.Errorf("check http of webB = %+v", c)
	}
	if c := checks[1]; c.Kind != backend.CheckTCP || c.Interval != 2*time.Second || c.Fall != 3 {
		t.Errorf("check tcp of webB = %+v: no check of that kind to take from", c)
	}
	if f.Backends[0].Checks[0].Port != 0 {
		t.Error("the server's check changed the backend's")
	}
}

// TestLaterProblemsHaveAPlace: what the house finds after loading is reported like what the decoder finds.
func TestLaterProblemsHaveAPlace(t *testing.T) {
	f, diags := loadText(t, `
frontend "www" {
  bind ":80" {}
  backend = backend.farm
}
backend "farm" {
  server "a" "10.0.0.1:80" {}
}
`, Options{})
	if got := f.Range(&f.Frontends[0].Binds[0].Address); got.Filename != "test.hcl" || got.Start.Line != 3 {
		t.Errorf("Range of the address = %v", got)
	}
	if got := f.Range(&f.Backends[0].Servers[0].Weight); got.Start.Line != 7 || f.Written(&f.Backends[0].Servers[0].Weight) {
		t.Errorf("Range of a weight that is not written = %v", got)
	}
	if got := f.Range(new(int)); got != (hcl.Range{}) {
		t.Errorf("Range of a stranger = %v", got)
	}
	f.Warn(f.Backends[0].Servers[0], "server a does not answer", "Start it.")
	f.Bad(&f.Frontends[0].Binds[0].Address, "listen on :80: permission denied", "Run as root.")
	f.Bad(new(int), "something else", "Whatever.")
	want := `Error: something else

Whatever.

Error: listen on :80: permission denied

  on test.hcl line 3, in frontend "www":
   3:   bind ":80" {}

Run as root.

Warning: server a does not answer

  on test.hcl line 7, in backend "farm":
   7:   server "a" "10.0.0.1:80" {}

Start it.

2 errors, 1 warning
`
	if diff := cmp.Diff(want, printed(t, diags)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestPaths(t *testing.T) {
	for _, c := range []struct{ path, want string }{
		{"testdata/nowhere.hcl", "testdata/nowhere.hcl: no such file"},
		{t.TempDir(), "no configuration in this directory"},
	} {
		f, diags := Load([]string{c.path}, Options{})
		if got := printed(t, diags); f == nil || !diags.HasErrors() || !strings.Contains(got, c.want) {
			t.Errorf("Load(%s): %q, want %q", c.path, got, c.want)
		}
	}
	f, diags := Load([]string{"testdata/good/all.hcl", "testdata/good", "./testdata/good/all.hcl"}, Options{Env: noEnv})
	if diags.HasErrors() || len(f.Backends) != 3 {
		t.Errorf("a file named three times is read more than once:\n%s", printed(t, diags))
	}
}

// TestWarnings: what is strange and yet works is said, and the configuration is valid.
func TestWarnings(t *testing.T) {
	const frontend = `
frontend "www" {
  bind ":80" {}
  backend = backend.farm
}
backend "farm" {
  server "a" "10.0.0.1:80" {}
}
`
	for _, c := range []struct{ text, want string }{
		{"backend \"idle\" {\n  server \"a\" \"10.0.0.1:80\" {}\n}", `backend "idle" is not used`},
		{`tls "idle" { internal = true }`, `tls "idle" is not used`},
		{`log "idle" {}`, `log "idle" is not used`},
		{"listen \"b\" {\n  bind \":81\" { redirect = \"https\" }\n  server \"a\" \"10.0.0.1:80\" {}\n}", "no bind has tls"},
		{"listen \"b\" {\n  bind \":443\" {}\n  server \"a\" \"10.0.0.1:80\" {}\n}", "port 443 without tls"},
	} {
		_, diags := loadText(t, frontend+c.text, Options{})
		if got := printed(t, diags); diags.HasErrors() || !strings.Contains(got, c.want) || !strings.HasSuffix(got, "\n1 warning\n") {
			t.Errorf("%s:\n%s\nwant one warning, %q", c.text, got, c.want)
		}
	}
}

// TestDeepNestingIsRefused: a recursive parser would end the process, and no recover helps against that.
func TestDeepNestingIsRefused(t *testing.T) {
	for _, text := range []string{
		"a = " + strings.Repeat("(", 1<<16),
		"a = " + strings.Repeat("!", 1<<16),
		"a = 1" + strings.Repeat("+1", 1<<16),
		"a = [" + strings.Repeat("\n-", 1<<16),
		strings.Repeat("a {\n", 1<<16),
		`a = "` + strings.Repeat(`${"`, 1<<16),
		"a = b" + strings.Repeat(".b", 1<<16),
		"a = " + strings.Repeat("b ? b : ", 1<<16),
	} {
		_, diags := loadText(t, text, Options{})
		if got := printed(t, diags); !strings.Contains(got[:min(len(got), 1000)], "too deeply nested") {
			t.Errorf("%.20s…: %.200s", text, got)
		}
	}
}
