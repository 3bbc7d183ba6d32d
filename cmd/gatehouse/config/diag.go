package config

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
)

// Diagnostics are all the errors and warnings of a configuration, from all its files. House may add to them through the File
// they came with.
type Diagnostics struct {
	list  hcl.Diagnostics
	seen  map[string]bool      // what was said already: a dynamic block says everything once per iteration
	files map[string]*hcl.File // the sources, for snippets
	order map[string]int       // of the files, as they were named
	// A file with a syntax error is read as far as it goes, so that its blocks are known to others; what else is
	// found in it may be a consequence and is not said.
	broken map[string]bool
}

func newDiagnostics() *Diagnostics {
	return &Diagnostics{seen: map[string]bool{}, files: map[string]*hcl.File{}, order: map[string]int{}, broken: map[string]bool{}}
}

// HasErrors reports whether anything is wrong; warnings alone are not.
func (d *Diagnostics) HasErrors() bool { return d.list.HasErrors() }

// Count returns how many errors and how many warnings there are.
func (d *Diagnostics) Count() (errors, warnings int) {
	for _, diag := range d.list {
		if diag.Severity == hcl.DiagError {
			errors++
		} else {
			warnings++
		}
	}
	return errors, warnings
}

// add notes diagnostics of the decoder, the checks and the house.
func (d *Diagnostics) add(diags ...*hcl.Diagnostic) {
	for _, diag := range diags {
		if diag.Subject == nil || !d.broken[diag.Subject.Filename] {
			d.put(diag)
		}
	}
}

// put notes a diagnostic that counts even in a broken file.
func (d *Diagnostics) put(diag *hcl.Diagnostic) {
	key := fmt.Sprint(diag.Severity, diag.Subject, diag.Summary, diag.Detail)
	if diag.Subject != nil {
		key = fmt.Sprint(diag.Severity, *diag.Subject, diag.Summary, diag.Detail)
	}
	if !d.seen[key] {
		d.seen[key] = true
		d.list = append(d.list, diag)
	}
}

// fail notes an error at a place.
func (d *Diagnostics) fail(place hcl.Range, problem, remedy string) {
	d.add(&hcl.Diagnostic{Severity: hcl.DiagError, Summary: problem, Detail: remedy, Subject: &place})
}

// Print writes the errors, then the warnings, sorted by file and line, each with the lines it is about and a
// remedy; then how many there were. Nothing is written when there are none. On a terminal the text is coloured and
// as wide as the terminal.
func (d *Diagnostics) Print(w io.Writer) error {
	if len(d.list) == 0 {
		return nil
	}
	list := slices.Clone(d.list)
	slices.SortStableFunc(list, func(a, b *hcl.Diagnostic) int {
		return cmp.Or(cmp.Compare(a.Severity, b.Severity), d.compare(a.Subject, b.Subject))
	})
	width, colour := terminal(w)
	out := hcl.NewDiagnosticTextWriter(w, d.files, width, colour)
	for _, diag := range list {
		if err := out.WriteDiagnostic(plain(diag)); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintln(w, d.Summary())
	return err
}

// Summary says how many errors and warnings there are: "2 errors, 1 warning".
func (d *Diagnostics) Summary() string {
	errors, warnings := d.Count()
	var parts []string
	if errors > 0 {
		parts = append(parts, Plural(errors, "error"))
	}
	if warnings > 0 {
		parts = append(parts, Plural(warnings, "warning"))
	}
	return strings.Join(parts, ", ")
}

// compare orders places by file, as the files were named, and line. What has no place comes first.
func (d *Diagnostics) compare(a, b *hcl.Range) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return -1
	case b == nil:
		return 1
	}
	return cmp.Or(
		cmp.Compare(d.order[a.Filename], d.order[b.Filename]),
		cmp.Compare(a.Filename, b.Filename),
		cmp.Compare(a.Start.Line, b.Start.Line),
		cmp.Compare(a.Start.Column, b.Start.Column),
	)
}

// plain returns the diagnostic in our own style: HCL begins its summaries with a capital letter, we with a small one. The
// values of variables, which HCL would add, may be secrets from the environment: they stay out.
func plain(diag *hcl.Diagnostic) *hcl.Diagnostic {
	c := *diag
	c.Expression, c.EvalContext = nil, nil
	first, size := utf8.DecodeRuneInString(c.Summary)
	if second, _ := utf8.DecodeRuneInString(c.Summary[size:]); unicode.IsUpper(first) && !unicode.IsUpper(second) {
		c.Summary = string(unicode.ToLower(first)) + c.Summary[size:]
	}
	return &c
}

// Plural writes "1 server" or "4 servers".
func Plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}
