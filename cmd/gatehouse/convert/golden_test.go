package convert

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "write what the conversions print into the goldens")

// kindOf tells the language of a file of a golden by its name.
func kindOf(name string) (Kind, bool) {
	for kind, word := range kinds {
		if strings.HasPrefix(filepath.Base(name), word) {
			return Kind(kind), true
		}
	}
	return 0, false
}

// TestGoldens converts the files of each archive in testdata together. Those whose name begins with a program's are inputs, in
// their order; others are there to be included. want.hcl and want.report are what comes of it. They change when the language learns
// a word: what was noted or refused for want of it is kept then.
func TestGoldens(t *testing.T) {
	names, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatalf("no goldens (%v)", err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			files := map[string]string{}
			var inputs []Input
			want := map[string]string{}
			kept := a.Files[:0]
			for _, f := range a.Files {
				if strings.HasPrefix(f.Name, "want.") {
					want[f.Name] = string(f.Data)
					continue
				}
				kept = append(kept, f)
				files[f.Name] = string(f.Data)
				if kind, ok := kindOf(f.Name); ok {
					inputs = append(inputs, Input{kind, f.Name})
				}
			}
			o := memory(files)
			o.Idiomatic = bytes.Contains(a.Comment, []byte("--idiomatic"))
			r, err := sound(inputs, o)
			if err != nil {
				t.Fatal(err)
			}
			var report bytes.Buffer
			if err := r.Report.WriteTable(&report); err != nil {
				t.Fatal(err)
			}
			got := map[string]string{"want.hcl": string(r.Text), "want.report": report.String()}
			if *update {
				a.Files = append(kept, txtar.File{Name: "want.hcl", Data: r.Text}, txtar.File{Name: "want.report", Data: report.Bytes()})
				if err := os.WriteFile(name, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			for _, f := range []string{"want.hcl", "want.report"} {
				if d := diff.Diff(f, []byte(want[f]), "got", []byte(got[f])); len(d) > 0 {
					t.Errorf("%s", d)
				}
			}
		})
	}
}
