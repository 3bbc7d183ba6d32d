package config

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func FuzzLoad(f *testing.F) {
	for _, pattern := range []string{"testdata/bad/*.hcl", "testdata/bad/*/*.hcl", "testdata/good/*.hcl"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			f.Fatalf("%s: no seeds: %v", pattern, err)
		}
		for _, name := range files {
			text, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(string(text))
		}
	}
	f.Add("a = (((((((((1")
	f.Add("backend \"a\" {\n  dynamic \"server\" {\n    for_each = [1, null, {}]\n    labels = [server.value]\n    content {}\n  }\n}")
	f.Add("locals {\n a = local.a[local.b]\n b = [for x in local.a : x...]\n}")
	f.Add("backend \"\\u0000\" \"\\\"\" {}")
	f.Fuzz(func(t *testing.T, text string) {
		diags := newDiagnostics()
		file := load([]source{{"fuzz/test.hcl", []byte(text)}}, Options{Env: noEnv}, diags)
		if file == nil {
			t.Fatal("no File")
		}
		var b bytes.Buffer
		if err := diags.Print(&b); err != nil {
			t.Fatal(err)
		}
		if diags.HasErrors() == (strings.TrimSpace(b.String()) == "") && diags.HasErrors() {
			t.Error("errors, and nothing is said about them")
		}
		if !diags.HasErrors() && len(file.Frontends) == 0 && strings.TrimSpace(text) != "" {
			t.Error("valid, and nobody can come in")
		}
	})
}
