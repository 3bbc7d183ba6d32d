package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDiff(t *testing.T) {
	const old = `
log "access" { format = "httplog" }
tls "site" { internal = true }
listen "web" {
  bind ":80" {}
  bind ":443" { tls = tls.site }
  log     = log.access
  balance = "roundrobin"
  cookie "S" {}
  check "http" { request = "HEAD / HTTP/1.0" }
  timeouts { connect = "2s" }
  server "a" "10.0.0.1:80" { weight = 2 }
  server "b" "10.0.0.2:80" {}
}
`
	change := func(pairs ...string) string { return strings.NewReplacer(pairs...).Replace(old) }
	for _, tt := range []struct {
		name, text string
		want       []string
	}{
		{"nothing", old, nil},
		{"spelling alone", change(`listen "web" {`, "# a comment\nlisten \"web\" {\n  balance = \"roundrobin\"", `balance = "roundrobin"`, "", `"2s"`, `"2000ms"`, `{ weight = 2 }`, "{\n weight = 2\n backup = false\n}"), nil},
		{"one attribute", change("roundrobin", "leastconn"), []string{"backend web: balance roundrobin → leastconn"}},
		{"servers", change(`server "b" "10.0.0.2:80"`, `server "c" "10.0.0.3:80"`, "weight = 2", "weight = 3"),
			[]string{"backend web server a: weight 2 → 3", "backend web: server c added", "backend web: server b removed"}},
		{"an address moves", change("10.0.0.2:80", "10.0.0.9:80"), []string{"backend web server b: address 10.0.0.2:80 → 10.0.0.9:80"}},
		{"binds", change(`bind ":80" {}`, `bind ":8080" { redirect = "https" }`), []string{"frontend web: bind :8080 added", "frontend web: bind :80 removed"}},
		{"timeouts", change(`{ connect = "2s" }`, "{\n connect = \"2s\"\n server = \"0s\"\n idle = \"1m30s\"\n}"),
			[]string{"frontend web timeouts: server default → no limit", "frontend web timeouts: idle default → 1m30s",
				"backend web timeouts: server default → no limit", "backend web timeouts: idle default → 1m30s"}},
		{"blocks", change("cookie \"S\" {}", "", "check \"http\" {", "check \"tcp\" {}\n  check \"http\" {"),
			[]string{"backend web: cookie S removed", "backend web: check tcp added"}},
		{"another cookie", change(`cookie "S" {}`, `cookie "T" { domain = ["a.test", "b.test"] }`), []string{"backend web: cookie T added", "backend web: cookie S removed"}},
		{"lists", change(`cookie "S" {}`, `cookie "S" { domain = ["a.test", "b.test"] }`), []string{"backend web cookie S: domain [] → [a.test b.test]"}},
		{"sizes", change("log     = log.access", "log = log.access\n limits { head = \"64KiB\" }"), []string{"frontend web: limits added"}},
		{"process", old + "global {\n max_connections = 5\n pid_file = \"/run/x.pid\"\n}\nadmin { socket = \"/run/x.sock\" }\n",
			[]string{"global: max_connections 100000 → 5", "global: pid_file none → /run/x.pid", "admin added"}},
		{"a frontend of its own", old + "frontend \"two\" {\n bind \":81\" {}\n backend = backend.web\n}\n", []string{"frontend two added"}},
		{"logs and certificates", change(`format = "httplog"`, `format = "json"`, "internal = true", "internal = true\n profile = \"modern\"\n", "{ internal = true }", "{\n internal = true\n profile = \"modern\"\n}"),
			[]string{"log access: format httplog → json", "tls site: profile intermediate → modern"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, diags := loadText(t, old, Options{Env: noEnv})
			if diags.HasErrors() {
				t.Fatal(printed(t, diags))
			}
			b, diags := loadText(t, tt.text, Options{Env: noEnv})
			if diags.HasErrors() {
				t.Fatal(printed(t, diags))
			}
			if d := cmp.Diff(tt.want, Diff(a, b)); d != "" {
				t.Errorf("-want +got\n%s", d)
			}
		})
	}
}

// TestDiffOfEverything: no attribute is too odd to be shown.
func TestDiffOfEverything(t *testing.T) {
	all, diags := Load([]string{"testdata/good/all.hcl"}, Options{Env: noEnv})
	if diags.HasErrors() {
		t.Fatal(printed(t, diags))
	}
	if d := Diff(all, all); len(d) != 0 {
		t.Errorf("a configuration differs from itself: %q", d)
	}
	small, _ := loadText(t, "listen \"x\" {\n bind \":80\" {}\n server \"a\" \"10.0.0.1:80\" {}\n}\n", Options{Env: noEnv})
	for _, lines := range [][]string{Diff(small, all), Diff(all, small)} {
		if len(lines) < 5 {
			t.Errorf("%q", lines)
		}
		for _, l := range lines {
			if strings.Contains(l, "0x") || strings.Contains(l, "%!") || strings.Contains(l, "→ \n") || strings.HasSuffix(l, " ") {
				t.Errorf("not in words: %q", l)
			}
		}
	}
}
