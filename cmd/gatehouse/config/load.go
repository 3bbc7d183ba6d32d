package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// Options are what a configuration may be given from outside.
type Options struct {
	// Vars are the values of variables, by name, as the command line gives them (--var). They win over the environment and
	// over defaults.
	Vars map[string]string

	// Env looks up environment variables. Nil: the process's own.
	Env func(string) (string, bool)
}

// maxFile bounds a configuration file: some thousand sites. What is larger is not a configuration.
const maxFile = 16 << 20

// A source is a configuration file that was read.
type source struct {
	name string // as the operator named it
	text []byte
}

// Load reads the configuration in paths: files, and directories whose *.hcl files all count, in alphabetical order. The bodies of
// all files are united. It reports everything that is wrong with all of them at once; when the Diagnostics have errors, the
// File is incomplete and good for nothing but further checks. Neither result is ever nil.
//
// What the configuration names, such as certificate files, is not looked at: that is VerifyFiles.
func Load(paths []string, o Options) (*File, *Diagnostics) {
	diags := newDiagnostics()
	var sources []source
	for _, name := range expand(paths, diags) {
		text, err := read(name, maxFile)
		if err != nil {
			diags.put(&hcl.Diagnostic{Severity: hcl.DiagError, Summary: err.Error(), Detail: "The file cannot be read."})
			continue
		}
		sources = append(sources, source{name, text})
	}
	return load(sources, o, diags), diags
}

// expand replaces directories by the configuration files in them and drops what was named twice.
func expand(paths []string, diags *Diagnostics) []string {
	var files []string
	for _, path := range paths {
		info, err := os.Stat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			diags.put(&hcl.Diagnostic{Severity: hcl.DiagError, Summary: fmt.Sprintf("%s: no such file", path),
				Detail: "Name the configuration file, or a directory of them, with -c."})
			continue
		case err == nil && info.IsDir():
			entries, err := os.ReadDir(path)
			if err != nil {
				diags.put(&hcl.Diagnostic{Severity: hcl.DiagError, Summary: err.Error(), Detail: "The directory cannot be read."})
				continue
			}
			found := false
			for _, e := range entries {
				if IsConfig(e.Name()) && !e.IsDir() {
					files, found = append(files, filepath.Join(path, e.Name())), true
				}
			}
			if !found {
				diags.put(&hcl.Diagnostic{Severity: hcl.DiagError, Summary: fmt.Sprintf("%s: no configuration in this directory", path),
					Detail: "Files whose names end in .hcl count."})
			}
		default: // what else is wrong with it, reading will tell
			files = append(files, path)
		}
	}
	var unique []string
	for _, f := range files {
		if f = filepath.Clean(f); !slices.Contains(unique, f) {
			unique = append(unique, f)
		}
	}
	return unique
}

// IsConfig reports whether a file of that name in a configuration directory counts. Editors leave hidden copies there.
func IsConfig(name string) bool {
	return strings.HasSuffix(name, ".hcl") && !strings.HasPrefix(name, ".")
}

// read returns a file's content, which may have limit bytes at most.
func read(name string, limit int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return nil, fmt.Errorf("%s is a directory", name)
	}
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(text)) > limit {
		err = fmt.Errorf("%s is larger than %s", name, FormatSize(limit))
	}
	return text, err
}

// load makes a File of what was read.
func load(sources []source, o Options, diags *Diagnostics) *File {
	if o.Env == nil {
		o.Env = os.LookupEnv
	}
	d := &decoder{
		file:  &File{diags: diags, seen: newMemory()},
		diags: diags,
		known: map[string]map[string]hcl.Range{},
		lost:  map[string]bool{},
	}
	d.root = formOf(typeOfFile)
	var bodies []*hclsyntax.Body
	for i, s := range sources {
		diags.order[s.name] = i
		if diag := tooDeep(s.name, s.text); diag != nil {
			diags.files[s.name] = &hcl.File{Bytes: s.text}
			diags.put(diag)
			diags.broken[s.name] = true
			continue
		}
		f, problems := hclsyntax.ParseConfig(s.text, s.name, hcl.InitialPos)
		diags.files[s.name] = f
		for _, p := range problems {
			diags.put(syntax(p))
		}
		if problems.HasErrors() {
			diags.broken[s.name] = true
		}
		bodies = append(bodies, f.Body.(*hclsyntax.Body))
	}
	d.evaluator = newEvaluator(sources, o, diags)
	d.variables(bodies)
	for _, b := range bodies {
		d.shape(b, d.root, "")
	}
	d.decode(bodies)
	d.file.split()
	d.automatic()
	d.check()
	d.cross()
	return d.file
}

// syntax adds to HCL's own words what they mean here.
func syntax(diag *hcl.Diagnostic) *hcl.Diagnostic {
	switch {
	case strings.Contains(diag.Summary, "single-argument block"):
		diag.Summary, diag.Detail = "a block on one line may hold one attribute only", "Give each attribute, and the closing brace, a line of its own."
	case strings.HasPrefix(diag.Detail, "Template sequences are not allowed"):
		diag.Summary, diag.Detail = "template in a label", "Labels are plain strings. A computed address is an attribute: address = \"${…}\"."
	}
	return diag
}

// tooDeep refuses a file whose nesting would exhaust the stack of a recursive parser, which no program survives. Nobody nests by
// hand a tenth of what is allowed.
func tooDeep(name string, text []byte) *hcl.Diagnostic {
	const deepest, longest = 100, 2000
	tokens, _ := hclsyntax.LexConfig(text, name, hcl.InitialPos)
	var open []hclsyntax.TokenType
	chain := 0 // operators since anything that ends an expression
	for _, t := range tokens {
		switch t.Type {
		case hclsyntax.TokenOBrace, hclsyntax.TokenOBrack, hclsyntax.TokenOParen, hclsyntax.TokenTemplateInterp, hclsyntax.TokenTemplateControl:
			open = append(open, t.Type)
			chain++
		case hclsyntax.TokenCBrace, hclsyntax.TokenCBrack, hclsyntax.TokenCParen, hclsyntax.TokenTemplateSeqEnd:
			open = open[:max(len(open)-1, 0)]
			if t.Type == hclsyntax.TokenCBrace {
				chain = 0
			}
		case hclsyntax.TokenComma, hclsyntax.TokenEqual:
			chain = 0
		case hclsyntax.TokenNewline:
			if len(open) == 0 || open[len(open)-1] == hclsyntax.TokenOBrace {
				chain = 0
			}
		case hclsyntax.TokenIdent, hclsyntax.TokenNumberLit, hclsyntax.TokenQuotedLit, hclsyntax.TokenStringLit,
			hclsyntax.TokenOQuote, hclsyntax.TokenCQuote, hclsyntax.TokenComment:
		default:
			chain++
		}
		if len(open) > deepest || chain > longest {
			return &hcl.Diagnostic{Severity: hcl.DiagError, Summary: "too deeply nested", Subject: new(t.Range),
				Detail: fmt.Sprintf("Brackets may be nested %d deep, and an expression may have %d operators. Split it with locals.", deepest, longest)}
		}
	}
	return nil
}
