package examples

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// rooms never know one another: what they say to each other is HTTP, and only the house knows them all.
var rooms = []string{"frontend", "cache", "backend", "tlsconf"}

// mayImport says why the package in folder pkg may not import what, or "" if it may. Tests are held to it too, but they may
// use what only tests need.
func mayImport(pkg, what string, test bool) string {
	own := strings.HasPrefix(what, "gatehouse/")
	what = strings.TrimPrefix(what, "gatehouse/")
	std := !own && !strings.Contains(strings.Split(what, "/")[0], ".")
	room := func(s string) bool { return slices.Contains(rooms, s) }
	switch {
	case own && strings.HasPrefix(what, "cmd/") && !strings.HasPrefix(pkg, "cmd/") && pkg != "examples":
		return "what is under cmd concerns the process alone"
	case own && room(pkg) && room(what):
		return "rooms never import one another"
	case own && what == "backend/h1" && pkg == "backend/loop":
		return "the engine knows nothing of HTTP"
	case own && what == "backend/h2" && (pkg == "backend/h1" || pkg == "backend/loop"):
		return "the engine and HTTP/1 know nothing of HTTP/2"
	case own && strings.HasPrefix(pkg, "backend/") && what != "backend/h1" && what != "backend/loop" && what != "backend/h2":
		return "the engine and the wire know nothing of what is built on them"
	case own && what == "cmd/gatehouse/house" && pkg != "cmd/gatehouse" && pkg != "examples" && !(test && pkg == what):
		return "the house is opened by the verbs of the command alone"
	case std, test && !own:
		return ""
	case (pkg == "backend/h1" || pkg == "backend/h2" || pkg == "backend/loop") && !own:
		return "the engine and the wire need the standard library alone"
	case strings.Contains(what, "/hcl/") && pkg != "cmd/gatehouse/config" && pkg != "cmd/gatehouse/convert":
		return "HCL is known to config and convert alone"
	case strings.Contains(what, "/cobra") && pkg != "cmd/gatehouse":
		return "the command line is known to the command alone"
	}
	return ""
}

func TestImportRules(t *testing.T) {
	found := map[string]bool{}
	err := filepath.WalkDir("..", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && name != ".." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		pkg := strings.TrimPrefix(path.Dir(filepath.ToSlash(name)), "../")
		found[pkg] = true
		for _, i := range f.Imports {
			what, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			if why := mayImport(pkg, what, strings.HasSuffix(name, "_test.go")); why != "" {
				t.Errorf("%s imports %s: %s", strings.TrimPrefix(name, "../"), what, why)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, pkg := range []string{"backend", "backend/h1", "backend/h2", "backend/loop", "frontend", "tlsconf", "cmd/gatehouse/config", "examples"} {
		if !found[pkg] {
			t.Errorf("there is no package in %s: has it moved?", pkg)
		}
	}
}

func TestImportRulesSayNo(t *testing.T) {
	for _, c := range []struct {
		pkg, what string
		test, ok  bool
	}{
		{"backend", "gatehouse/backend/h1", false, true},
		{"backend", "net/netip", false, true},
		{"backend", "gatehouse/frontend", false, false},
		{"frontend", "gatehouse/backend", false, false},
		{"frontend", "gatehouse/backend", true, false},
		{"frontend", "gatehouse/backend/h1", false, true},
		{"tlsconf", "gatehouse/cache", false, false},
		{"tlsconf", "go.uber.org/zap", false, true},
		{"cache", "gatehouse/cmd/gatehouse/config", false, false},
		{"backend/h1", "gatehouse/backend/loop", false, true},
		{"backend/h1", "gatehouse/backend", false, false},
		{"backend/h1", "golang.org/x/net/http2", false, false},
		{"backend/h1", "gatehouse/backend/h2", false, false},
		{"backend/h2", "gatehouse/backend/h1", false, true},
		{"backend/h2", "golang.org/x/net/http2", false, false},
		{"backend/h2", "golang.org/x/net/http2", true, true},
		{"backend", "gatehouse/backend/h2", false, true},
		{"frontend", "gatehouse/backend/h2", false, true},
		{"backend/h1", "go.uber.org/goleak", true, true},
		{"backend/loop", "gatehouse/backend/h1", false, false},
		{"backend/loop", "golang.org/x/sys/unix", false, false},
		{"backend", "github.com/hashicorp/hcl/v2", false, false},
		{"cmd/gatehouse/config", "github.com/hashicorp/hcl/v2", false, true},
		{"cmd/gatehouse/config", "gatehouse/backend", false, true},
		{"cmd/gatehouse/config", "gatehouse/cmd/gatehouse/house", false, false},
		{"cmd/gatehouse/house", "gatehouse/frontend", false, true},
		{"cmd/gatehouse", "github.com/spf13/cobra", false, true},
		{"cmd/gatehouse/house", "github.com/spf13/cobra", false, false},
	} {
		if why := mayImport(c.pkg, c.what, c.test); (why == "") != c.ok {
			t.Errorf("%s imports %s: %q", c.pkg, c.what, why)
		}
	}
}

// The visible top level is fixed: the tree is the configuration.
func TestTopLevelIsFixed(t *testing.T) {
	fixed := []string{"cmd", "frontend", "backend", "cache", "tlsconf", "examples", "go.mod", "go.sum", "README.md", "LICENSE"}
	entries, err := os.ReadDir("..")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		name := e.Name()
		built := name == "gatehouse" || strings.HasSuffix(name, ".test") || strings.HasSuffix(name, ".prof")
		if !strings.HasPrefix(name, ".") && !built && !slices.Contains(fixed, name) {
			t.Errorf("%s does not belong to the top level", name)
		}
	}
	for _, name := range []string{"go.mod", "README.md", "LICENSE"} {
		if _, err := os.Stat(filepath.Join("..", name)); err != nil {
			t.Error(err)
		}
	}
}
