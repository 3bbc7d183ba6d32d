package convert

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"unicode"
)

// Verdict is what became of a directive.
type Verdict uint8

// The verdicts, the more serious ones later. An entry has the gravest it got.
const (
	unjudged Verdict = iota
	Folded           // it is a default here, or has no effect here
	Kept             // it means the same in the new configuration
	Noted            // it was converted and something changed: look at it
	Refused          // it was left out, because it cannot mean the same
)

var verdicts = []string{"", "folded", "kept", "noted", "refused"}

// String returns the word of the report.
func (v Verdict) String() string { return verdicts[v] }

// MarshalText is String.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// Entry is one directive and what became of it.
type Entry struct {
	File      string  `json:"file"`
	Line      int     `json:"line"`
	Directive string  `json:"directive"` // as it was written, with secrets taken out
	Verdict   Verdict `json:"verdict"`
	Reason    string  `json:"reason"`

	reasons []string // of the verdict
	lesser  []string // of lower ones
}

// judge gives a verdict. Of several, the gravest counts, with all its reasons.
func (e *Entry) judge(v Verdict, format string, args ...any) {
	reason := format
	if len(args) > 0 {
		reason = fmt.Sprintf(format, args...)
	}
	reason = cut(reason, longestReason)
	if v > e.Verdict {
		e.Verdict, e.reasons, e.lesser = v, nil, append(e.lesser, e.reasons...)
	}
	if v == e.Verdict && reason != "" && !slices.Contains(e.reasons, reason) && len(e.reasons) < maxReasons {
		e.reasons = append(e.reasons, reason)
	}
}

// maxReasons bounds what is said of one directive: a line of defaults may meet hundreds of sections.
const maxReasons = 6

func (e *Entry) fold(format string, args ...any)   { e.judge(Folded, format, args...) }
func (e *Entry) keep(format string, args ...any)   { e.judge(Kept, format, args...) }
func (e *Entry) note(format string, args ...any)   { e.judge(Noted, format, args...) }
func (e *Entry) refuse(format string, args ...any) { e.judge(Refused, format, args...) }

// lower makes a kept directive a folded one: what it became is what would count without it.
func (e *Entry) lower(reason string) {
	if e.Verdict == Kept {
		e.Verdict, e.reasons = Folded, []string{reason}
	}
}

// secret shortens the directive to its first n words in the report.
func (e *Entry) secret(words []string, n int) {
	if len(words) > n {
		e.Directive = strings.Join(words[:n], " ") + " …"
	}
}

// place is file:line.
func (e *Entry) place() string { return fmt.Sprintf("%s:%d", e.File, e.Line) }

// Report is what became of every directive, in the order of the inputs.
type Report struct {
	Entries []*Entry
}

// How much of a directive the report shows, and of a reason, which may quote it: in characters.
const (
	longestDirective = 80
	longestReason    = 300
)

// cut shortens a text to n characters.
func cut(text string, n int) string {
	if len(text) <= n {
		return text
	}
	if runes := []rune(text); len(runes) > n {
		return string(runes[:n-1]) + "…"
	}
	return text
}

// add makes an entry of a directive.
func (r *Report) add(file string, line int, text string) *Entry {
	text = cut(strings.Join(strings.FieldsFunc(text, func(c rune) bool { return unicode.IsSpace(c) || unicode.IsControl(c) }), " "), longestDirective)
	e := &Entry{File: file, Line: line, Directive: text}
	r.Entries = append(r.Entries, e)
	return e
}

// finish writes the reasons. A directive that nobody judged was not understood: it is refused, never passed over.
func (r *Report) finish() {
	for _, e := range r.Entries {
		if e.Verdict == unjudged {
			e.refuse("unknown directive")
		}
		e.Reason = strings.Join(e.reasons, "; ")
		if e.Reason == "" {
			e.Reason = "same meaning"
		}
	}
}

// Count returns how many directives got each verdict.
func (r *Report) Count() map[Verdict]int {
	n := map[Verdict]int{}
	for _, e := range r.Entries {
		n[e.Verdict]++
	}
	return n
}

// Refusals returns the directives that were refused.
func (r *Report) Refusals() []*Entry { return r.of(Refused) }

func (r *Report) of(v Verdict) (list []*Entry) {
	for _, e := range r.Entries {
		if e.Verdict == v {
			list = append(list, e)
		}
	}
	return list
}

// Summary counts: "15 directives: 12 kept, 2 folded, 1 noted, 0 refused".
func (r *Report) Summary() string {
	n := r.Count()
	return fmt.Sprintf("%d directives: %d kept, %d folded, %d noted, %d refused", len(r.Entries), n[Kept], n[Folded], n[Noted], n[Refused])
}

// WriteTable writes a line for each directive, or, with verdicts, for each that got one of them.
func (r *Report) WriteTable(w io.Writer, only ...Verdict) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, e := range r.Entries {
		if len(only) == 0 || slices.Contains(only, e.Verdict) {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", e.Verdict, e.place(), e.Directive, e.Reason)
		}
	}
	return t.Flush()
}

// MarshalJSON is {"summary": {"kept": 12, …}, "directives": […]}.
func (r *Report) MarshalJSON() ([]byte, error) {
	n := r.Count()
	entries := r.Entries
	if entries == nil {
		entries = []*Entry{}
	}
	return json.Marshal(struct {
		Summary    map[string]int `json:"summary"`
		Directives []*Entry       `json:"directives"`
	}{
		map[string]int{"kept": n[Kept], "folded": n[Folded], "noted": n[Noted], "refused": n[Refused], "total": len(r.Entries)},
		entries,
	})
}
