package convert

import (
	"path/filepath"
	"strings"
)

// A service is a section of a stunnel.conf with the options that count for it. The first one, without a name, holds what stands
// before all sections.
type service struct {
	name string
	head *directive // nil in the first one
	opts []*directive
}

// parseStunnel makes services of a source and of those it includes. Options are "name = value"; a comment is a line of its own.
func (p *pile) parseStunnel(s *source, list []*service, depth int) ([]*service, error) {
	if len(list) == 0 {
		list = append(list, &service{})
	}
	var pending []*comment
	gap := false
	for i, raw := range s.lines {
		line := strings.TrimSpace(raw)
		switch {
		case line == "":
			gap = true
			continue
		case line[0] == ';' || line[0] == '#':
			c := newComment(line[1:])
			c.gap, gap = gap, false
			p.site.all = append(p.site.all, c)
			pending = append(pending, c)
			continue
		}
		gap = false
		d := &directive{Entry: p.report.add(s.name, i+1, line), comments: pending, src: s}
		pending = nil
		if line[0] == '[' {
			name, ok := strings.CutSuffix(line[1:], "]")
			if !ok {
				return nil, s.err(i+1, "the name of a section is not closed")
			}
			d.words = []string{"[]", strings.TrimSpace(name)}
			list = append(list, &service{name: strings.TrimSpace(name), head: d})
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if !ok || strings.TrimSpace(name) == "" {
			return nil, s.err(i+1, "%q is no option: it has no equals sign", d.Directive)
		}
		d.words = []string{strings.TrimSpace(name), strings.TrimSpace(value)}
		if strings.EqualFold(d.words[0], "include") {
			var err error
			if list, err = p.includeStunnel(d, list, depth); err != nil {
				return nil, err
			}
			continue
		}
		last := list[len(list)-1]
		last.opts = append(last.opts, d)
	}
	return list, nil
}

// includeStunnel reads the files of a directory.
func (p *pile) includeStunnel(d *directive, list []*service, depth int) ([]*service, error) {
	if depth >= maxDepth {
		return nil, d.src.err(d.Line, "included files include files %d deep", maxDepth)
	}
	sources, err := p.include(filepath.Join(d.words[1], "*"), filepath.Dir(d.src.name))
	if err != nil {
		return nil, err
	}
	if len(sources) == 0 {
		d.note("nothing was found there: give its files with --stunnel, where they are")
	}
	for _, s := range sources {
		if list, err = p.parseStunnel(s, list, depth+1); err != nil {
			return nil, err
		}
		d.keep("read")
	}
	return list, nil
}
