package examples

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gatehouse/cmd/gatehouse/config"
)

// fenced returns the code blocks of a language in a Markdown text.
func fenced(text, language string) (blocks []string) {
	for _, m := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(text, -1) {
		blocks = append(blocks, m[1])
	}
	return blocks
}

func readmes(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("*/README.md")
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for _, f := range append(files, "../README.md") {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		texts[f] = string(b)
	}
	return texts
}

// A snippet that does not load does not ship.
func TestReadmeSnippetsLoad(t *testing.T) {
	n := 0
	for file, text := range readmes(t) {
		for _, block := range fenced(text, "hcl") {
			n++
			name := filepath.Join(t.TempDir(), "gatehouse.hcl")
			if err := os.WriteFile(name, []byte(block), 0o644); err != nil {
				t.Fatal(err)
			}
			f, diags := config.Load([]string{name}, config.Options{})
			if errs, warnings := diags.Count(); errs+warnings > 0 {
				var b strings.Builder
				if err := diags.Print(&b); err != nil {
					t.Error(err)
				}
				t.Errorf("%s:\n%s", file, b.String())
			} else if len(f.Frontends) == 0 {
				t.Errorf("%s: a snippet without a frontend", file)
			}
		}
	}
	if n == 0 {
		t.Error("README.md shows no configuration")
	}
}

// The commands of README.md are commands that .ci/run runs.
func TestReadmeCommandsAreRun(t *testing.T) {
	script, err := os.ReadFile("../.ci/run")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, block := range fenced(readmes(t)["../README.md"], "sh") {
		for line := range strings.Lines(block) {
			n++
			if run := regexp.MustCompile(`(?m)^(coproc .*exec |\s*)` + regexp.QuoteMeta(strings.TrimSpace(line)) + `($| -)`); !run.Match(script) {
				t.Errorf(".ci/run does not run %q", strings.TrimSpace(line))
			}
		}
	}
	if n < 2 {
		t.Errorf("README.md has %d commands", n)
	}
}

// The words that README.md tells to look up can be looked up.
func TestReadmeWordsAreExplained(t *testing.T) {
	_, text, found := strings.Cut(readmes(t)["../README.md"], "| word | what for |\n|---|---|\n")
	if !found {
		t.Fatal("README.md has no table of words")
	}
	words, _, _ := strings.Cut(text, "\n\n")
	row := regexp.MustCompile("^\\| `([a-z_0-9.]+)` \\|")
	for line := range strings.Lines(words) {
		if word := row.FindStringSubmatch(line); word == nil {
			t.Errorf("no word: %s", line)
		} else if _, ok := config.Help(word[1]); !ok {
			t.Errorf("gatehouse help %s explains nothing", word[1])
		}
	}
}

// The table of README.md is the list of folders, under the names they give themselves.
func TestReadmeListsTheFolders(t *testing.T) {
	texts := readmes(t)
	var want strings.Builder
	for _, folder := range folders(t) {
		title, _, _ := strings.Cut(texts[filepath.Join(folder, "README.md")], "\n")
		want.WriteString("| [" + folder + "](examples/" + folder + ") | " + strings.TrimPrefix(title, "# ") + " |\n")
	}
	if !strings.Contains(texts["../README.md"], "| folder | section |\n|---|---|\n"+want.String()+"\n") {
		t.Errorf("README.md should have this table:\n%s", want.String())
	}
}

// Relative links in a README lead somewhere.
func TestReadmeLinksLead(t *testing.T) {
	for file, text := range readmes(t) {
		for _, m := range regexp.MustCompile(`\]\(([^)#]+)\)`).FindAllStringSubmatch(text, -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(file), m[1])); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
}
