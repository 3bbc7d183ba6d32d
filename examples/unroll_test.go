package examples

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A flow may unroll to maxSteps lines; loops may turn maxTurns times in all.
const (
	maxSteps = 50_000
	maxTurns = 50_000
)

// parseFlow reads a flow. Errors carry file:line.
func parseFlow(file, text string) (*flow, error) {
	p := &reader{file: file, lines: strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")}
	if _, err := p.block(0, nil, 0); err != nil {
		return nil, err
	}
	return &p.flow, nil
}

// reader unrolls the lines of a flow into steps.
type reader struct {
	file  string
	lines []string
	flow  flow
	title string
	named bool // the line before was a "#" line
	turns int
}

// binding is a loop's name and its value of this turn.
type binding struct{ name, value string }

func (p *reader) errorf(i int, format string, args ...any) error {
	return fmt.Errorf("%s:%d: %s", p.file, i+1, fmt.Sprintf(format, args...))
}

// block reads lines from index i on, to the end of the text or, inside a loop, to its "end". It returns the index after them.
func (p *reader) block(i int, vars []binding, loop int) (int, error) {
	for i < len(p.lines) {
		line := p.lines[i]
		switch words := strings.Fields(line); {
		case len(words) == 0:
			p.named = false
			i++
		case line[0] == '#':
			p.name(strings.TrimSpace(strings.TrimLeft(line, "#")))
			i++
		case line[0] == ' ' || line[0] == '\t':
			return 0, p.errorf(i, "indented line without a line it belongs to")
		case words[0] == "end" && len(words) == 1:
			if loop == 0 {
				return 0, p.errorf(i, "end without each or repeat")
			}
			p.named = false
			return i + 1, nil
		case words[0] == "each" || words[0] == "repeat":
			next, err := p.loop(i, words, vars)
			if err != nil {
				return 0, err
			}
			i = next
		default:
			next := p.indented(i + 1)
			if err := p.step(i, p.lines[i+1:next], vars); err != nil {
				return 0, err
			}
			p.named = false
			i = next
		}
	}
	if loop > 0 {
		return 0, p.errorf(loop-1, "no end to this loop")
	}
	return i, nil
}

// name takes a "#" line: the lines of one comment are one name.
func (p *reader) name(s string) {
	if p.named && s != "" {
		s = strings.TrimSpace(p.title + " " + s)
	}
	p.title, p.named = s, true
}

// indented returns the index after the indented lines that start at i.
func (p *reader) indented(i int) int {
	for i < len(p.lines) && strings.TrimSpace(p.lines[i]) != "" && (p.lines[i][0] == ' ' || p.lines[i][0] == '\t') {
		i++
	}
	return i
}

// loop unrolls each and repeat.
func (p *reader) loop(i int, words []string, vars []binding) (int, error) {
	name, values, body := "N", []string(nil), p.indented(i+1)
	switch {
	case words[0] == "each":
		if len(words) < 2 || !variable.MatchString("$"+words[1]) {
			return 0, p.errorf(i, "each wants a name in capital letters and its values")
		}
		name, values = words[1], words[2:]
		for _, line := range p.lines[i+1 : body] {
			values = append(values, strings.TrimSpace(line))
		}
	case len(words) != 2 || body != i+1:
		return 0, p.errorf(i, "repeat wants one number")
	default:
		first, last, ranged := strings.Cut(words[1], "..")
		if !ranged {
			first, last = "1", first
		}
		from, err1 := strconv.Atoi(first)
		to, err2 := strconv.Atoi(last)
		if err1 != nil || err2 != nil || from < 1 || to < from || to > maxTurns {
			return 0, p.errorf(i, "repeat: %q is not a number from 1 to %d, nor a range of such", words[1], maxTurns)
		}
		for k := from; k <= to; k++ {
			values = append(values, strconv.Itoa(k))
		}
	}
	if len(values) == 0 {
		return 0, p.errorf(i, "each %s has no values", name)
	}
	if slices.ContainsFunc(vars, func(b binding) bool { return b.name == name }) {
		return 0, p.errorf(i, "$%s is already the name of a loop around this one", name)
	}
	next := 0
	for _, v := range values {
		if p.turns++; p.turns > maxTurns {
			return 0, p.errorf(i, "loops turn more than %d times", maxTurns)
		}
		var err error
		if next, err = p.block(body, append(slices.Clip(vars), binding{name, v}), i+1); err != nil {
			return 0, err
		}
	}
	return next, nil
}

// variable finds the places where a loop's value goes.
var variable = regexp.MustCompile(`\$[A-Z][A-Z0-9_]*`)

// expand puts the loops' values into a line.
func (p *reader) expand(i int, s string, vars []binding) (string, error) {
	var err error
	s = variable.ReplaceAllStringFunc(s, func(v string) string {
		for _, b := range vars {
			if b.name == v[1:] {
				return b.value
			}
		}
		err = p.errorf(i, "%s is not the name of a loop around this line", v)
		return v
	})
	return s, err
}
