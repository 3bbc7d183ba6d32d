// Package convert reads the configurations gatehouse replaces, of HAProxy, stunnel, Apache and nginx, and writes one
// gatehouse configuration for the whole pile.
//
//	r, err := convert.Convert([]convert.Input{
//		{Kind: convert.Stunnel, Path: "stunnel.conf"},
//		{Kind: convert.HAProxy, Path: "haproxy.cfg"},
//	}, convert.Options{})
//	os.Stdout.Write(r.Text)
//	r.Report.WriteTable(os.Stdout)
//
// Every directive of every input is in the report, with what became of it: silence is the only failure. Each language has a
// parser, which makes directives of text and knows nothing of their meaning, and a reader, which makes a site of
// directives. A site is independent of the languages: chains of programs collapse in it, and it is written out at the end.
package convert

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Kind is the language of an input.
type Kind uint8

// The languages.
const (
	HAProxy Kind = iota
	Stunnel
	Apache
	Nginx
)

var kinds = []string{HAProxy: "haproxy", Stunnel: "stunnel", Apache: "apache", Nginx: "nginx"}

// String returns the name of the program.
func (k Kind) String() string { return kinds[k] }

// Input is a configuration file, or a directory of them. Several of one kind count as one configuration, in their order.
type Input struct {
	Kind Kind
	Path string
}

// Options change how a pile is converted.
type Options struct {
	// Idiomatic writes what somebody would who begins anew: frontends and backends that belong together become one listen
	// block, and what was only there for a program that is gone goes with it.
	Idiomatic bool

	// Env looks up the environment variables that old configurations name. Nil: the process's own.
	Env func(string) (string, bool)

	// ReadFile reads an input, or a file an input includes. Nil: those of the machine.
	ReadFile func(name string) ([]byte, error)

	// Glob lists the files a pattern of an include stands for. Nil: those of the machine.
	Glob func(pattern string) ([]string, error)
}

// Result is a converted pile.
type Result struct {
	// Text is the configuration. Nil: in what was read nothing listens, so that there is nothing to configure.
	Text []byte
	// Report is what became of every directive.
	Report *Report
}

// A SyntaxError is text that the program it is for would not read either.
type SyntaxError struct {
	File    string
	Line    int // 0: the file as a whole
	Problem string
}

func (e *SyntaxError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %s", e.File, e.Problem)
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Problem)
}

// Convert reads the inputs and writes one configuration. The error joins what cannot be read, *SyntaxError and those of the
// file system; a refused directive is none.
func Convert(inputs []Input, o Options) (*Result, error) {
	if o.Env == nil {
		o.Env = os.LookupEnv
	}
	if o.ReadFile == nil {
		o.ReadFile = readFile
	}
	if o.Glob == nil {
		o.Glob = filepath.Glob
	}
	p := &pile{options: o, report: &Report{}, site: &site{}}
	var texts [len(languages)][]*source
	var errs []error
	for _, in := range inputs {
		list, err := p.open(in)
		texts[in.Kind] = append(texts[in.Kind], list...)
		errs = append(errs, err)
	}
	for kind, list := range texts {
		if len(list) > 0 {
			errs = append(errs, mistaken(Kind(kind), list, languages[kind](p, list)))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	p.collapse()
	if o.Idiomatic {
		p.idiomatic()
	}
	p.settle()
	text, err := p.proofread()
	if err != nil {
		return nil, err
	}
	p.report.finish()
	return &Result{Text: text, Report: p.report}, nil
}

// languages are the readers: each fills the pile's site from the sources of its kind.
var languages = [...]func(*pile, []*source) error{
	HAProxy: readHAProxy,
	Stunnel: readStunnel,
	Apache:  readApache,
	Nginx:   readNginx,
}

// A pile is a conversion under way.
type pile struct {
	options  Options
	report   *Report
	site     *site
	included int // files that other files named
}

// open reads an input. A directory stands for the files in it whose names end as the program wants it, in alphabetical order.
func (p *pile) open(in Input) ([]*source, error) {
	names := []string{in.Path}
	if info, err := os.Stat(in.Path); err == nil && info.IsDir() {
		suffix := ".conf"
		if in.Kind == HAProxy {
			suffix = ".cfg"
		}
		entries, err := os.ReadDir(in.Path)
		if err != nil {
			return nil, err
		}
		names = nil
		for _, e := range entries {
			if strings.HasSuffix(e.Name(), suffix) && !strings.HasPrefix(e.Name(), ".") && !e.IsDir() {
				names = append(names, filepath.Join(in.Path, e.Name()))
			}
		}
		if len(names) == 0 {
			return nil, &SyntaxError{File: in.Path, Problem: "no file in this directory has a name that ends in " + suffix}
		}
	}
	var list []*source
	for _, name := range names {
		s, err := p.load(name)
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, nil
}

// load reads one file.
func (p *pile) load(name string) (*source, error) {
	text, err := p.options.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return newSource(name, text)
}

// What included files may be: somebody's mistake must not fill the memory.
const (
	maxIncluded = 500
	maxDepth    = 10
)

// include reads the files a pattern stands for; a relative one belongs to dir. None is found: no error.
func (p *pile) include(pattern, dir string) ([]*source, error) {
	if !filepath.IsAbs(pattern) {
		pattern = filepath.Join(dir, pattern)
	}
	names, err := p.options.Glob(pattern)
	if err != nil {
		return nil, nil // the pattern is none; whoever asked says that nothing was found
	}
	slices.Sort(names)
	var list []*source
	for _, name := range names {
		if p.included++; p.included > maxIncluded {
			return nil, fmt.Errorf("%s: more than %d included files", name, maxIncluded)
		}
		s, err := p.load(name)
		if errors.Is(err, fs.ErrPermission) || errors.Is(err, errNotRegular) {
			continue
		}
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, nil
}
