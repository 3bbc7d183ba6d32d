package convert

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/cmd/gatehouse/config"

	"github.com/rogpeppe/go-internal/txtar"
)

// memory are options that see no file and no variable of this machine.
func memory(files map[string]string) Options {
	return Options{
		Env: func(name string) (string, bool) { return "", false },
		ReadFile: func(name string) ([]byte, error) {
			if text, ok := files[name]; ok {
				return []byte(text), nil
			}
			return nil, fs.ErrNotExist
		},
		Glob: func(pattern string) (list []string, err error) {
			for name := range files {
				if ok, err := filepath.Match(pattern, name); ok && err == nil {
					list = append(list, name)
				}
			}
			return list, nil
		},
	}
}

// sound converts and holds the result to what every result must be: valid, with each directive judged once and each comment
// carried over once.
func sound(inputs []Input, o Options) (*Result, error) {
	r, err := Convert(inputs, o)
	if err != nil {
		return nil, err
	}
	for _, e := range r.Report.Entries {
		if e.Verdict == unjudged || e.Reason == "" || e.File == "" || e.Line < 1 {
			return r, fmt.Errorf("no verdict on %s: %q", e.place(), e.Directive)
		}
	}
	if r.Text == nil {
		return r, nil
	}
	if _, diags := config.LoadText("out.hcl", r.Text, config.Options{Env: o.Env}); diags.HasErrors() {
		return r, fmt.Errorf("not valid: %v\n%s", diags.List(), r.Text)
	}
	return r, nil
}

// inGoldens calls f with each input of the goldens.
func inGoldens(t testing.TB, f func(name string, kind Kind, text string)) {
	names, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatalf("no goldens (%v)", err)
	}
	for _, name := range names {
		a, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range a.Files {
			if kind, ok := kindOf(file.Name); ok {
				f(filepath.Base(name)+"/"+file.Name, kind, string(file.Data))
			}
		}
	}
}

// each runs a test for each input of the goldens.
func each(t *testing.T, f func(t *testing.T, kind Kind, text string)) {
	inGoldens(t, func(name string, kind Kind, text string) {
		t.Run(name, func(t *testing.T) { f(t, kind, text) })
	})
}

// fuzz converts arbitrary text of a kind: it is an error that names a file, or a sound result.
func fuzz(f *testing.F, kind Kind) {
	inGoldens(f, func(_ string, k Kind, text string) {
		if k == kind {
			f.Add(text)
		}
	})
	f.Fuzz(func(t *testing.T, text string) {
		for _, idiomatic := range []bool{false, true} {
			o := memory(map[string]string{"in": text})
			o.Idiomatic = idiomatic
			_, err := sound([]Input{{kind, "in"}}, o)
			var syntax *SyntaxError
			if err != nil && !errors.As(err, &syntax) {
				t.Fatal(err)
			}
			if err != nil && (syntax.File != "in" || !strings.HasPrefix(err.Error(), "in:")) {
				t.Fatalf("an error without its place: %v", err)
			}
		}
	})
}

func FuzzHAProxy(f *testing.F) { fuzz(f, HAProxy) }
func FuzzStunnel(f *testing.F) { fuzz(f, Stunnel) }
func FuzzApache(f *testing.F)  { fuzz(f, Apache) }
func FuzzNginx(f *testing.F)   { fuzz(f, Nginx) }
