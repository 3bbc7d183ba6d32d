package convert

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"gatehouse/cmd/gatehouse/config"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclwrite"
)

// proofread writes the site out and has it read as "gatehouse validate" would, files aside. What is refused there is taken out,
// and the directives it came from are refused with the words of the language itself; so the result is always valid. It is nil when
// nothing is left that listens.
func (p *pile) proofread() ([]byte, error) {
	off := map[key]bool{}
	var before []byte
	for {
		text, spans := p.print(off)
		if before != nil && bytes.Equal(text, before) {
			return nil, errors.New("the converted configuration is not valid, and nothing in it can be left out")
		}
		before = text
		_, diags := config.LoadText("gatehouse.hcl", text, config.Options{Env: func(string) (string, bool) { return "", false }})
		progress := false
		for _, d := range diags.List() {
			switch {
			case d.Severity != hcl.DiagError:
			case d.Subject == nil && len(p.site.listening(off)) == 0:
				return nil, nil
			case d.Subject == nil:
				return nil, fmt.Errorf("the converted configuration is not valid: %s", d.Summary)
			default:
				progress = p.strike(off, spans, d, text) || progress
			}
		}
		switch {
		case !diags.HasErrors():
			return text, nil
		case !progress:
			return nil, fmt.Errorf("the converted configuration is not valid: %s", diags.Summary())
		}
	}
}

// print writes the site without what is off.
func (p *pile) print(off map[key]bool) ([]byte, []span) {
	for _, c := range p.site.all {
		c.written = false
	}
	top := &outline{typ: typeOfFile, off: off}
	p.site.write(top)
	pg := &page{line: 1}
	pg.comments(p.site.head, 0)
	if pg.line > 1 {
		pg.put(0, "")
	}
	pg.render(top.items, 0)
	rest := &page{line: 1}
	rest.comments(top.pending, 0)
	rest.comments(p.site.all, 0)
	if rest.line > 1 {
		if pg.line > 1 {
			pg.put(0, "")
		}
		pg.text.WriteString(rest.text.String())
	}
	return hclwrite.Format([]byte(pg.text.String())), pg.spans
}

// strike takes out the smallest item a diagnostic is about and refuses what it came from. It reports whether there was one.
func (p *pile) strike(off map[key]bool, spans []span, d *hcl.Diagnostic, text []byte) bool {
	line := d.Subject.Start.Line
	var best *span
	for i := range spans {
		s := &spans[i]
		if s.first > line || s.last < line || off[s.key] {
			continue
		}
		// A block on one line shares it with its attribute: what stands before the brace is the block's.
		if s.first == s.last && s.key.attr != "" && inHead(text, d.Subject) {
			continue
		}
		if best == nil || s.last-s.first < best.last-best.first || s.last-s.first == best.last-best.first && s.key.attr != "" {
			best = s
		}
	}
	if best == nil {
		return false
	}
	off[best.key] = true
	for _, s := range spans {
		if s.first < best.first || s.last > best.last || s.key != best.key && best.key.attr != "" {
			continue
		}
		for _, origin := range s.key.n.origin(s.key.attr) {
			origin.refuse("the new configuration cannot have it: %s", d.Summary)
		}
	}
	p.shut(off)
	return true
}

// shut takes out the addresses where clients had to show a certificate when what is asked of them cannot be said as it was.
func (p *pile) shut(off map[key]bool) {
	for _, t := range p.site.tlss {
		auth := t.part("client_auth")
		if t.clientMode != "require" || !(off[key{auth, ""}] || off[key{auth, "ca"}] || off[key{auth, "crl"}] || off[key{auth, "mode"}]) {
			continue
		}
		for _, f := range p.site.fronts {
			for _, b := range f.binds {
				if b.tls != t || off[key{&b.node, ""}] {
					continue
				}
				off[key{&b.node, ""}] = true
				for _, d := range b.from[""] {
					d.refuse("others than before would get in: %s is not opened", b.addr)
				}
			}
		}
	}
}

// inHead reports whether a range lies before the opening brace of a block on one line.
func inHead(text []byte, r *hcl.Range) bool {
	start := r.Start.Byte
	if start > len(text) {
		return false
	}
	rest := string(text[start:])
	if i := strings.IndexByte(rest, '\n'); i >= 0 {
		rest = rest[:i]
	}
	before := string(text[:start])
	before = before[strings.LastIndexByte(before, '\n')+1:]
	return strings.HasSuffix(strings.TrimRight(rest, " "), "}") && strings.Contains(rest, "{") && !strings.Contains(before, " { ")
}
