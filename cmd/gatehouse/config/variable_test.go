package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestVariables(t *testing.T) {
	const text = `
variable "weight" { default = 1 }
variable "backup" { default = false }
variable "hosts"  { default = [] }
variable "name"   {}
frontend "www" {
  bind ":80" {}
  hosts   = var.hosts
  backend = backend.farm
}
backend "farm" {
  server "a" "10.0.0.1:80" {
    weight = var.weight
    backup = var.backup
    cookie = var.name
  }
}
`
	env := map[string]string{"GATEHOUSE_VAR_weight": "7", "GATEHOUSE_VAR_name": "from the environment", "GATEHOUSE_VAR_backup": "true"}
	f, diags := loadText(t, text, Options{
		Vars: map[string]string{"weight": "9", "hosts": `["a.example.com", "b.example.com"]`, "name": "A"},
		Env:  func(s string) (string, bool) { v, ok := env[s]; return v, ok },
	})
	if diags.HasErrors() {
		t.Fatal(printed(t, diags))
	}
	if s := f.Backends[0].Servers[0]; s.Weight != 9 || !s.Backup || s.Cookie != "A" {
		t.Errorf("server = %+v", s)
	}
	if want := []string{"a.example.com", "b.example.com"}; !slices.Equal(f.Frontends[0].Hosts, want) {
		t.Errorf("hosts = %q, want %q", f.Frontends[0].Hosts, want)
	}

	for _, c := range []struct {
		vars map[string]string
		want string
	}{
		{nil, `variable "name" has no value`},
		{map[string]string{"name": "x", "wait": "1"}, `--var wait: no such variable`},
		{map[string]string{"name": "x", "wight": "1"}, `Did you mean "weight"?`},
		{map[string]string{"name": "x", "weight": "heavy"}, `--var weight: "heavy" is not a number`},
		{map[string]string{"name": "x", "hosts": "a, b"}, `is not a list`},
		{map[string]string{"name": "x", "hosts": "3"}, `"3" is not a list`},
	} {
		_, diags := loadText(t, text, Options{Vars: c.vars})
		if got := printed(t, diags); !strings.Contains(got, c.want) {
			t.Errorf("--var %v: got\n%s\nwant %q", c.vars, got, c.want)
		}
	}
}

func TestFunctions(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("conf/a.hcl", `
frontend "www" {
  bind ":80" {}
  hosts   = split("\n", trimspace(file("hosts.txt")))
  backend = backend.farm
}
backend "farm" {
  server "a" {
    address = "${env("APP", "10.0.0.1")}:80"
    cookie  = upper(env("COOKIE"))
  }
}
`)
	write("conf/hosts.txt", "a.example.com\nb.example.com\n")
	write("large", strings.Repeat("x", maxRead+1))
	env := func(s string) (string, bool) { return "abc", s == "COOKIE" }
	f, diags := Load([]string{filepath.Join(dir, "conf")}, Options{Env: env})
	if diags.HasErrors() {
		t.Fatal(printed(t, diags))
	}
	if want := []string{"a.example.com", "b.example.com"}; !slices.Equal(f.Frontends[0].Hosts, want) {
		t.Errorf("hosts = %q, want %q", f.Frontends[0].Hosts, want)
	}
	if s := f.Backends[0].Servers[0]; s.Address.String() != "10.0.0.1:80" || s.Cookie != "ABC" {
		t.Errorf("server = %+v", s)
	}

	for _, c := range []struct{ expr, want string }{
		{`file("` + filepath.Join(dir, "large") + `")`, "is larger than 1MiB"},
		{`file("` + dir + `")`, "is a directory"},
		{`file("nowhere")`, "no such file"},
		{`env("NOT_SET")`, "the environment variable NOT_SET is not set"},
		{`env("A", "b", "c")`, "env takes a name and a default"},
		{`nothing()`, "nothing"},
	} {
		_, diags := loadText(t, "locals {\n  x = "+c.expr+"\n}\n", Options{})
		if got := printed(t, diags); !strings.Contains(got, c.want) {
			t.Errorf("%s: got\n%s\nwant %q", c.expr, got, c.want)
		}
	}
}
