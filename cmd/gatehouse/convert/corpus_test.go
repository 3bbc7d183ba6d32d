package convert

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// corpusVar names a directory of real configurations, which are nobody's to publish: each lies in a folder haproxy, stunnel, apache or
// nginx, or has the suffix .cfg, HAProxy's.
const corpusVar = "GATEHOUSE_CONVERT_CORPUS"

// TestCorpus converts each file of the corpus by itself: it yields a valid configuration or refusals with names, every directive of it is
// in the report, and every comment in the output.
func TestCorpus(t *testing.T) {
	dir := os.Getenv(corpusVar)
	if dir == "" {
		t.Skipf("%s is not set: no real configurations to convert", corpusVar)
	}
	total := map[Verdict]int{}
	files, whole, nothing := 0, 0, 0
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		kind, ok := kindOf(filepath.Base(filepath.Dir(name)))
		if !ok {
			switch {
			case strings.HasSuffix(name, ".cfg"):
				kind = HAProxy
			case strings.Contains(d.Name(), "stunnel"):
				kind = Stunnel
			default:
				return nil
			}
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		files++
		t.Run(strings.TrimPrefix(name, dir), func(t *testing.T) {
			r, err := sound([]Input{{kind, name}}, Options{})
			var syntax *SyntaxError
			if errors.As(err, &syntax) {
				t.Logf("not read: %v", err)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			account(t, kind, name, string(text), r)
			for v, n := range r.Report.Count() {
				total[v] += n
			}
			switch refused := len(r.Report.Refusals()); {
			case r.Text == nil && refused == 0 && kind != HAProxy:
				t.Error("nothing came of it and nothing was refused")
			case r.Text == nil:
				nothing++
			case refused == 0:
				whole++
			}
			t.Log(r.Report.Summary())
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files == 0 {
		t.Errorf("no configuration in %s", dir)
	}
	t.Logf("%d files: %d without a refusal, %d of which nothing is left; directives: %d kept, %d folded, %d noted, %d refused", files, whole, nothing,
		total[Kept], total[Folded], total[Noted], total[Refused])
}

// account compares the report with a count of directives that knows nothing of the parsers, and looks for the comments.
func account(t *testing.T, kind Kind, name, text string, r *Result) {
	t.Helper()
	text = strings.TrimPrefix(text, "\ufeff")
	want, comments := 0, []string(nil)
	switch kind {
	case Nginx:
		want = nginxDirectives(text)
	case Apache:
		text = strings.ReplaceAll(text, "\\\n", " ")
	}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case line == "":
		case line[0] == '#' || line[0] == ';' && kind == Stunnel:
			comments = append(comments, strings.TrimSpace(line[1:]))
		case kind == Nginx, kind == Apache && strings.HasPrefix(line, "</"):
		default:
			want++
		}
	}
	got := 0
	for _, e := range r.Report.Entries {
		if e.File == name {
			got++
		}
	}
	if got != want {
		t.Errorf("%d directives are in the report, %d in the file", got, want)
	}
	if r.Text == nil {
		return
	}
	out := string(r.Text)
	for _, c := range comments {
		at := strings.Index(out, "#")
		for at >= 0 && !strings.HasPrefix(strings.TrimLeft(out[at+1:], " \t"), c) {
			next := strings.Index(out[at+1:], "#")
			if next < 0 {
				at = -1
				break
			}
			at += 1 + next
		}
		if at < 0 {
			t.Errorf("this comment is lost: %q", c)
		}
	}
}

// nginxDirectives counts semicolons and opening braces outside of quotes, comments and variables.
func nginxDirectives(text string) (n int) {
	quote := byte(0)
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '\\':
			i++
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case (c == '"' || c == '\'') && (i == 0 || strings.IndexByte(" \t\n;{}(", text[i-1]) >= 0):
			quote = c
		case c == '#' && (i == 0 || strings.IndexByte(" \t\n;{}", text[i-1]) >= 0):
			for i < len(text) && text[i] != '\n' {
				i++
			}
		case c == ';' || c == '{' && (i == 0 || text[i-1] != '$'):
			n++
		}
	}
	return n
}

// TestGoldensAreAccounted holds our own files to what the corpus is held to.
func TestGoldensAreAccounted(t *testing.T) {
	each(t, func(t *testing.T, kind Kind, text string) {
		o := memory(map[string]string{"in": text})
		r, err := sound([]Input{{kind, "in"}}, o)
		if err != nil {
			t.Fatal(err)
		}
		account(t, kind, "in", text, r)
	})
}
