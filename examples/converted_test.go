package examples

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gatehouse/cmd/gatehouse/convert"
)

// converted are the old configurations of each folder, and what their conversions stand in for there.
func converted(t *testing.T, folder string) map[string][]convert.Input {
	t.Helper()
	list := map[string][]convert.Input{}
	add := func(hcl string, kind convert.Kind, name string) {
		if path := filepath.Join(folder, name); exists(path) {
			list[hcl] = append(list[hcl], convert.Input{Kind: kind, Path: path})
		}
	}
	add("gatehouse.hcl", convert.Stunnel, "stunnel.conf")
	add("gatehouse.hcl", convert.Apache, "apache.conf")
	add("gatehouse.hcl", convert.HAProxy, "haproxy.cfg")
	add("gatehouse.hcl", convert.HAProxy, "haproxy-checks.cfg")
	add("gatehouse.hcl", convert.HAProxy, "OP1.cfg")
	add("SD1.hcl", convert.HAProxy, "SD1.cfg")
	add("S1.hcl", convert.HAProxy, "S1.cfg")
	if len(list) == 0 {
		t.Errorf("%s has no old configuration", folder)
	}
	return list
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

var (
	logBlock    = regexp.MustCompile(`(?m)^log "access" \{[^}]*\}\n`)
	listenBlock = regexp.MustCompile(`(?m)^(listen|frontend) "[^"]*" \{\n`)
)

// logged gives a conversion the log of the folder's own configuration, where the old one had none: flows look at its lines.
func logged(t *testing.T, own, text string) string {
	t.Helper()
	have, err := os.ReadFile(own)
	if err != nil {
		t.Fatal(err)
	}
	block := logBlock.FindString(string(have))
	if block == "" || logBlock.MatchString(text) {
		return text
	}
	return block + listenBlock.ReplaceAllString(text, "$0  log = log.access\n")
}

// renamed are names that a conversion cannot know, with those it has instead.
var renamed = map[string][]string{
	"4.2.1-check-relay": {"local", "dispatch"},
}

// beyond are the folders whose flow tells of more than the old configuration could do. The value is a part of the first thing
// that is missing in a conversion, and so the reason.
var beyond = map[string]string{
	// The old machines were watched by looking for the process. There is a page to ask here.
	"2-cookie-prefix": "keepalived > GET /alive: connect: connection refused",
	// A stunnel may go on feeding port 80 there while it is being replaced. In the conversion it is gone.
	"3.1-stunnel": "AT-3.4: a stunnel on this machine has added the address",
	// The old way, by second ports, is still there: its backup servers make up for the one that was drained.
	"4.2.2-drain-command": "AT-4.7: in maintenance nobody comes",
	// The old checks of each tier are answered by the servers of the next, here by the next tier itself.
	"5-multi-site": `got "HEAD / HTTP/1.1"`,
	// Nothing was said of how long an answer may take, and a minute counts: the old file waited for ever.
	"7-high-load": `AT-7.4: nobody waits longer than the queue timeout: w5 < 503 after 60s: got "HTTP/1.1 504`,
}

// TestConvertedFlows plays each folder's flow once more, with what "gatehouse convert" makes of the old configuration in the place of
// the folder's own. Where the flow tells of what the old programs could not do, it has to stop there, and nowhere else.
func TestConvertedFlows(t *testing.T) {
	for _, folder := range folders(t) {
		t.Run(folder, func(t *testing.T) {
			dir := t.TempDir()
			files, err := os.ReadDir(folder)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range files {
				text, err := os.ReadFile(filepath.Join(folder, f.Name()))
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, f.Name()), text, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			var texts []string
			for name, inputs := range converted(t, folder) {
				r, err := convert.Convert(inputs, convert.Options{Idiomatic: true})
				if err != nil {
					t.Fatal(err)
				}
				text := logged(t, filepath.Join(folder, name), string(r.Text))
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				texts = append(texts, "# "+name+"\n"+text)
			}
			slices.Sort(texts)
			text, err := os.ReadFile(filepath.Join(folder, "flow"))
			if err != nil {
				t.Fatal(err)
			}
			if names := renamed[folder]; names != nil {
				text = []byte(strings.NewReplacer(names...).Replace(string(text)))
			}
			err = playFolder(t, dir, string(text))
			want, more := beyond[folder]
			switch {
			case err == nil && more:
				t.Errorf("the flow plays with the converted configuration: take %s from the list of those where it does not", folder)
			case err != nil && (!more || !strings.Contains(err.Error(), want)):
				t.Errorf("%v\nconverted:\n%s", err, strings.Join(texts, "\n"))
			}
		})
	}
	for folder := range beyond {
		if !exists(folder) {
			t.Errorf("there is no folder %s", folder)
		}
	}
}
