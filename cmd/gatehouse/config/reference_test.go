package config

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"unicode"
)

var update = flag.Bool("update", false, "write reference.txt and the golden diagnostics anew")

// TestReferenceIsFresh keeps reference.txt equal to the doc comments of the structs.
func TestReferenceIsFresh(t *testing.T) {
	got := generateReference(t)
	if *update {
		if err := os.WriteFile("reference.txt", []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got != manual {
		t.Error("reference.txt is stale; renew it with: go test ./cmd/gatehouse/config -run Reference -update")
	}
}

// A scribe writes the reference.
type scribe struct {
	t    *testing.T
	docs map[string]map[string]map[string]string // package path, struct, field
	out  strings.Builder
}

func generateReference(t *testing.T) string {
	s := &scribe{t: t, docs: map[string]map[string]map[string]string{}}
	s.out.WriteString("# Generated from the doc comments of the structs by: go test ./cmd/gatehouse/config -run Reference -update\n")
	s.form(formOf(typeOfFile), "")
	return s.out.String()
}

func (s *scribe) form(f *form, path string) {
	for _, it := range f.attrs {
		s.entry(path+it.name, kind(it), f.typ, it)
	}
	for _, it := range f.blocks {
		head := "block"
		for _, l := range it.form.labels {
			head += fmt.Sprintf(" %q", strings.ToUpper(l.name))
		}
		for n := len(it.form.labels); it.form.labelled(n) != nil; n++ {
			head += fmt.Sprintf(" %q", strings.ToUpper(it.form.labelled(n).name))
		}
		if it.many || it.tag.Get("unite") != "" {
			head += ", any number"
		}
		s.entry(path+it.name, head, f.typ, it)
		if it.name != "listen" { // explained by frontend and backend
			s.form(it.form, path+it.name+".")
		}
	}
}

func (s *scribe) entry(path, form string, owner reflect.Type, it *item) {
	doc := s.doc(owner, it.doc)
	if doc == "" {
		s.t.Errorf("%s: %s.%s has no doc comment", path, owner, it.doc)
	}
	fmt.Fprintf(&s.out, "\n%s: %s\n", path, form)
	for _, line := range wrap(inWords(doc, owner, it), 100) {
		fmt.Fprintf(&s.out, "    %s\n", line)
	}
}

// kind says what an attribute holds.
func kind(it *item) string {
	t := it.typ
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	word := kindName(t, it)
	if it.tag.Get("entries") == "true" {
		return "map of strings"
	}
	if t.Kind() == reflect.Slice {
		word = "list of " + kindName(t.Elem(), it) + "s"
	}
	word = strings.ReplaceAll(word, "true or falses", "true or false")
	quoted := t.Kind() != reflect.Bool && (t.Kind() != reflect.Int && t.Kind() != reflect.Int64 || word == "duration" || word == "size")
	switch value, assumed := it.tag.Get("default"), it.tag.Get("assume"); {
	case value != "" && t.Kind() == reflect.Slice:
		return word + `, default ["` + strings.ReplaceAll(value, ",", `", "`) + `"]`
	case value != "" && quoted:
		return word + fmt.Sprintf(", default %q", value)
	case value != "":
		return word + ", default " + value
	case assumed != "" && unicode.IsDigit(rune(assumed[0])):
		return word + fmt.Sprintf(", default %q", assumed)
	case assumed != "":
		return word + ", default: " + assumed
	case it.required:
		return word + ", required"
	}
	return word
}

func kindName(t reflect.Type, it *item) string {
	switch {
	case t == durationType:
		return "duration"
	case it.tag.Get("unit") == "bytes":
		return "size"
	case it.tag.Get("ref") != "":
		return it.tag.Get("ref") + ".NAME"
	case t == prefixType:
		return "network"
	case t == addrType, t == endpointType:
		return "address"
	case it.tag.Get("path") == "true":
		return "path"
	case reflect.PointerTo(t).Implements(textType) || t.Kind() == reflect.String:
		return "string"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.Int:
		return "whole number"
	}
	return t.String()
}

// doc returns the comment of a field, looking into the structs squashed into owner too.
func (s *scribe) doc(owner reflect.Type, field string) string {
	for i := range owner.NumField() {
		if owner.Field(i).Tag.Get("hcl") == ",squash" {
			if doc := s.doc(owner.Field(i).Type, field); doc != "" {
				return doc
			}
		}
	}
	if s.docs[owner.PkgPath()] == nil {
		s.docs[owner.PkgPath()] = s.parse(owner.PkgPath())
	}
	return s.docs[owner.PkgPath()][owner.Name()][field]
}

// parse reads the doc comments of all structs of a package.
func (s *scribe) parse(pkg string) map[string]map[string]string {
	docs := map[string]map[string]string{}
	dir := filepath.Join("..", "..", "..", filepath.FromSlash(strings.TrimPrefix(pkg, "gatehouse/")))
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(files) == 0 {
		s.t.Fatalf("%s: no Go files: %v", dir, err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			s.t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			st, ok := spec.Type.(*ast.StructType)
			if !ok {
				return true
			}
			docs[spec.Name.Name] = map[string]string{}
			for _, f := range st.Fields.List {
				for _, name := range f.Names {
					docs[spec.Name.Name][name.Name] = strings.Join(strings.Fields(f.Doc.Text()), " ")
				}
			}
			return true
		})
	}
	return docs
}

// inWords replaces the Go names of fields by the words of the configuration: the one the comment begins with, and others
// that are no English words.
func inWords(doc string, owner reflect.Type, it *item) string {
	words := strings.Split(doc, " ")
	for i, w := range words {
		bare := strings.TrimRight(w, ".,;:")
		if i == 0 && (bare == it.doc || strings.EqualFold(bare, it.name)) {
			words[i] = it.name + w[len(bare):]
			continue
		}
		sentence := i == 0 || strings.HasSuffix(words[i-1], ".")
		if f, ok := owner.FieldByName(bare); ok && !sentence {
			name, _, _ := strings.Cut(f.Tag.Get("hcl"), ",")
			if name != "" {
				words[i] = name + w[len(bare):]
			}
		} else if ok && strings.ToLower(bare[1:]) != bare[1:] {
			name, _, _ := strings.Cut(f.Tag.Get("hcl"), ",")
			words[i] = name + w[len(bare):]
		}
	}
	return strings.Join(words, " ")
}

func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

func TestHelp(t *testing.T) {
	for _, c := range []struct{ word, has string }{
		{"backend", "backend \"NAME\" { … }   any number\n"},
		{"backend", "frontend.backend = backend.NAME\n"},
		{"weight", "backend.server.weight = whole number, default 1\n"},
		{"backend.server.weight", "backend.server.weight = whole number, default 1\n"},
		{"listen.balance", "backend.balance = string, default \"roundrobin\"\n"},
		{"connect", "frontend.timeouts.connect = duration, default \"5s\"\nbackend.timeouts.connect = duration, default \"5s\"\n"},
		{"variable", "variable \"NAME\" { … }   any number\n"},
		{"server", "backend.server \"NAME\" \"ADDRESS\" { … }   any number\n"},
		{"expect", "default [\"2xx\", \"3xx\"]\n"},
	} {
		if text, ok := Help(c.word); !ok || !strings.Contains(text, c.has) {
			t.Errorf("Help(%q) = %q, %v; want it to hold %q", c.word, text, ok, c.has)
		}
	}
	if text, _ := Help("backend.server.weight"); strings.Count(text, " = ") != 1 {
		t.Errorf("a path leads to several places:\n%s", text)
	}
	if text, ok := Help("wieght"); ok {
		t.Errorf("Help(wieght) = %q", text)
	}
	if got := Unknown("wieght"); !strings.Contains(got, `Did you mean "weight"?`) {
		t.Errorf("Unknown(wieght) = %q", got)
	}
	if got := Unknown("server.balance"); !strings.Contains(got, "Did you mean backend.balance?") {
		t.Errorf("Unknown(server.balance) = %q", got)
	}
}
