package convert

import (
	"path/filepath"
	"slices"
	"strings"
)

// An nginxNode is a directive of nginx, or a block with what it holds.
type nginxNode struct {
	*directive
	block bool
	kids  []*nginxNode
}

// parseNginx makes nodes of a source and of those it includes.
func (p *pile) parseNginx(s *source, depth int) ([]*nginxNode, error) {
	l := &nginxLexer{p: p, s: s, text: strings.Join(s.lines, "\n"), line: 1}
	root := &nginxNode{}
	stack := []*nginxNode{root}
	for {
		words, end, at, err := l.directive()
		if err != nil {
			return nil, err
		}
		top := stack[len(stack)-1]
		switch end {
		case 0:
			if len(stack) > 1 {
				return nil, s.err(top.Line, "the brace of %q is not closed", top.words[0])
			}
			return root.kids, nil
		case '}':
			if len(stack) == 1 {
				return nil, s.err(at, "a closing brace too many")
			}
			stack = stack[:len(stack)-1]
			continue
		}
		n := &nginxNode{block: end == '{'}
		n.directive = &directive{Entry: p.report.add(s.name, at, strings.Join(words, " ")), words: words, comments: l.pending, src: s}
		l.pending = nil
		if words[0] == "include" && !n.block {
			kids, err := p.includeNginx(n, depth)
			if err != nil {
				return nil, err
			}
			top.kids = append(top.kids, kids...)
			continue
		}
		top.kids = append(top.kids, n)
		if !n.block {
			continue
		}
		if strings.HasSuffix(words[0], "_by_lua_block") || words[0] == "js_set_block" {
			if err := l.skip(); err != nil {
				return nil, err
			}
			continue
		}
		if len(stack) > maxDepth*5 {
			return nil, s.err(at, "more than %d blocks in one another", maxDepth*5)
		}
		stack = append(stack, n)
	}
}

func (p *pile) includeNginx(n *nginxNode, depth int) ([]*nginxNode, error) {
	if depth >= maxDepth {
		return nil, n.src.err(n.Line, "included files include files %d deep", maxDepth)
	}
	if slices.Contains([]string{"mime.types", "fastcgi_params", "uwsgi_params", "scgi_params", "fastcgi.conf"}, filepath.Base(n.arg(1))) {
		n.fold("not needed")
		return nil, nil
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
	var list []*nginxNode
	for _, s := range sources {
		kids, err := p.parseNginx(s, depth+1)
		if err != nil {
			return nil, err
		}
		list = append(list, kids...)
	}
	return list, nil
}

// An nginxLexer takes a text apart into words.
type nginxLexer struct {
	p       *pile
	s       *source
	text    string
	at      int
	line    int
	pending []*comment
	gap     int // newlines in a row
}

// directive reads words up to a semicolon or a brace, which it returns: '}' comes alone, 0 is the end. Line is where the first word
// stands.
func (l *nginxLexer) directive() (words []string, end byte, line int, err error) {
	for {
		word, mark, at, err := l.word()
		if err != nil {
			return nil, 0, 0, err
		}
		if line == 0 {
			line = at
		}
		switch mark {
		case 0:
			if len(words) > 0 {
				return nil, 0, 0, l.s.err(line, "%q is not ended by a semicolon", words[0])
			}
			return nil, 0, at, nil
		case '}':
			if len(words) > 0 {
				return nil, 0, 0, l.s.err(line, "%q is not ended by a semicolon", words[0])
			}
			return nil, '}', at, nil
		case ';', '{':
			if len(words) == 0 {
				return nil, 0, 0, l.s.err(at, "%q without a directive before it", string(mark))
			}
			return words, mark, line, nil
		}
		words = append(words, word)
		if len(words) > 1000 {
			return nil, 0, 0, l.s.err(line, "%q has more than 1000 words", words[0])
		}
	}
}

// word reads a word, for which mark is 'w', or one of the marks ; { } and 0 at the end.
func (l *nginxLexer) word() (word string, mark byte, line int, err error) {
	for l.at < len(l.text) {
		switch c := l.text[l.at]; {
		case c == '\n':
			l.line++
			l.gap++
			l.at++
		case c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f':
			l.at++
		case c == '#':
			end := strings.IndexByte(l.text[l.at:], '\n')
			if end < 0 {
				end = len(l.text) - l.at
			}
			k := newComment(l.text[l.at+1 : l.at+end])
			k.gap = l.gap > 1
			l.gap = 0
			l.p.site.all = append(l.p.site.all, k)
			l.pending = append(l.pending, k)
			l.at += end
		case c == ';' || c == '{' || c == '}':
			l.at++
			l.gap = 0
			return "", c, l.line, nil
		case c == '"' || c == '\'':
			l.gap = 0
			return l.quoted(c)
		default:
			l.gap = 0
			return l.plain()
		}
	}
	return "", 0, l.line, nil
}

func (l *nginxLexer) quoted(q byte) (string, byte, int, error) {
	line := l.line
	var b strings.Builder
	for i := l.at + 1; i < len(l.text); i++ {
		switch c := l.text[i]; {
		case c == q:
			l.at = i + 1
			return b.String(), 'w', line, nil
		case c == '\\' && i+1 < len(l.text):
			i++
			if l.text[i] != q && l.text[i] != '\\' {
				b.WriteByte('\\')
			}
			b.WriteByte(l.text[i])
			if l.text[i] == '\n' {
				l.line++
			}
		default:
			if c == '\n' {
				l.line++
			}
			b.WriteByte(c)
		}
	}
	return "", 0, 0, l.s.err(line, "a quote is not closed")
}

func (l *nginxLexer) plain() (string, byte, int, error) {
	start := l.at
	for l.at < len(l.text) {
		c := l.text[l.at]
		switch {
		case c == '\\' && l.at+1 < len(l.text) && l.text[l.at+1] != '\n':
			l.at += 2
			continue
		case c == '$' && l.at+1 < len(l.text) && l.text[l.at+1] == '{':
			if end := strings.IndexAny(l.text[l.at:], "}\n"); end > 0 && l.text[l.at+end] == '}' {
				l.at += end + 1
				continue
			}
		}
		if strings.IndexByte(" \t\r\n\v\f;{}", c) >= 0 {
			break
		}
		l.at++
	}
	return l.text[start:l.at], 'w', l.line, nil
}

// skip passes over a block of another language, whose braces are balanced.
func (l *nginxLexer) skip() error {
	line := l.line
	for depth := 1; l.at < len(l.text); l.at++ {
		switch l.text[l.at] {
		case '\n':
			l.line++
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				l.at++
				return nil
			}
		}
	}
	return l.s.err(line, "a block of a script is not closed")
}
