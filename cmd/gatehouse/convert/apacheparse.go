package convert

import (
	"path/filepath"
	"strings"
)

// An apacheNode is a directive of Apache, or a section with what it holds.
type apacheNode struct {
	*directive
	name    string // in lower case
	section bool
	kids    []*apacheNode
}

// parseApache makes nodes of a source and of those it includes.
func (p *pile) parseApache(s *source, depth int) ([]*apacheNode, error) {
	root := &apacheNode{}
	stack := []*apacheNode{root}
	var pending []*comment
	gap := false
	for i := 0; i < len(s.lines); i++ {
		at := i + 1
		line := s.lines[i]
		for strings.HasSuffix(line, `\`) && i+1 < len(s.lines) {
			i++
			line = line[:len(line)-1] + " " + s.lines[i]
		}
		line = strings.TrimSpace(line)
		switch {
		case line == "":
			gap = true
			continue
		case line[0] == '#':
			c := newComment(line[1:])
			c.gap, gap = gap, false
			p.site.all = append(p.site.all, c)
			pending = append(pending, c)
			continue
		case strings.HasPrefix(line, "</"):
			for strings.HasPrefix(line, "</") {
				name, rest, ok := strings.Cut(line[2:], ">")
				top := stack[len(stack)-1]
				switch {
				case !ok:
					return nil, s.err(at, "the end of a section is not closed by >")
				case len(stack) == 1:
					return nil, s.err(at, "</%s> without <%s>", name, name)
				case !strings.EqualFold(strings.TrimSpace(name), top.name):
					return nil, s.err(at, "</%s> where </%s> of line %d is missing", name, top.name, top.Line)
				}
				stack = stack[:len(stack)-1]
				line = strings.TrimSpace(rest)
			}
			if line != "" {
				return nil, s.err(at, "%q follows the end of a section", line)
			}
			continue
		}
		gap = false
		n := &apacheNode{section: line[0] == '<'}
		text := line
		if n.section {
			inner, ok := strings.CutSuffix(line, ">")
			if !ok {
				return nil, s.err(at, "a section's head is not closed by >")
			}
			text = inner[1:]
		}
		words, ok := splitApache(text)
		if !ok {
			return nil, s.err(at, "a quote is not closed")
		}
		if len(words) == 0 || words[0] == "" {
			return nil, s.err(at, "a line without a directive")
		}
		n.name = strings.ToLower(words[0])
		n.directive = &directive{Entry: p.report.add(s.name, at, line), words: words, comments: pending, src: s}
		pending = nil
		top := stack[len(stack)-1]
		if n.name == "include" || n.name == "includeoptional" {
			kids, err := p.includeApache(n, depth)
			if err != nil {
				return nil, err
			}
			top.kids = append(top.kids, kids...)
			continue
		}
		top.kids = append(top.kids, n)
		if n.section {
			if len(stack) > maxDepth*5 {
				return nil, s.err(at, "more than %d sections in one another", maxDepth*5)
			}
			stack = append(stack, n)
		}
	}
	if len(stack) > 1 {
		top := stack[len(stack)-1]
		return nil, s.err(top.Line, "<%s> is not closed", top.words[0])
	}
	return root.kids, nil
}

func (p *pile) includeApache(n *apacheNode, depth int) ([]*apacheNode, error) {
	if depth >= maxDepth {
		return nil, n.src.err(n.Line, "included files include files %d deep", maxDepth)
	}
	sources, err := p.include(n.arg(1), filepath.Dir(n.src.name))
	if err != nil {
		return nil, err
	}
	if len(sources) == 0 {
		n.note("nothing was found there: what it would add is not converted")
		return nil, nil
	}
	n.keep("read")
	var list []*apacheNode
	for _, s := range sources {
		kids, err := p.parseApache(s, depth+1)
		if err != nil {
			return nil, err
		}
		list = append(list, kids...)
	}
	return list, nil
}

// splitApache splits a line into words; quotes of both kinds hold blanks, a backslash before a quote is taken out.
func splitApache(line string) (words []string, ok bool) {
	for {
		line = strings.TrimLeft(line, " \t\v\f")
		if line == "" {
			return words, true
		}
		if q := line[0]; q == '"' || q == '\'' {
			var word strings.Builder
			i := 1
			for ; i < len(line) && line[i] != q; i++ {
				if line[i] == '\\' && i+1 < len(line) && (line[i+1] == q || line[i+1] == '\\') {
					if line[i+1] == '\\' {
						word.WriteByte('\\')
					}
					i++
				}
				word.WriteByte(line[i])
			}
			if i == len(line) {
				return nil, false
			}
			words = append(words, word.String())
			line = line[i+1:]
			continue
		}
		end := strings.IndexAny(line, " \t\v\f")
		if end < 0 {
			end = len(line)
		}
		words = append(words, line[:end])
		line = line[end:]
	}
}
