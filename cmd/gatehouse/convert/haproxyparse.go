package convert

import (
	"slices"
	"strings"
)

// haproxySections are the words that begin a section of a haproxy.cfg. All but the first five hold what gatehouse has no
// use for.
var haproxySections = []string{"global", "defaults", "frontend", "backend", "listen",
	"peers", "resolvers", "mailers", "cache", "userlist", "http-errors", "program", "ring", "log-forward", "log-profile",
	"fcgi-app", "crt-store", "traces", "acme", "dynamic-update", "ruleset"}

// A section of a haproxy.cfg.
type section struct {
	kind string
	head *directive // listen NAME ADDRESS…
	body []*directive
}

// parseHAProxy makes sections of a source. Every directive gets an entry of the report.
// Set is told of those of the global section, which may change the environment of the lines after them.
func (p *pile) parseHAProxy(s *source, env func(string) (string, bool), set func(words []string)) ([]*section, error) {
	var list []*section
	var pending []*comment
	branches := &branches{env: env}
	gap := false
	for i, line := range s.lines {
		words, remark, missing, err := splitHAProxy(line, env)
		if err != "" {
			return nil, s.err(i+1, "%s", err)
		}
		if remark != nil {
			remark.gap = gap && len(words) == 0
			p.site.all = append(p.site.all, remark)
			pending = append(pending, remark)
		}
		gap = len(words) == 0 && remark == nil
		if len(words) == 0 {
			continue
		}
		d := &directive{words: words, comments: pending, src: s}
		pending = nil
		text := line
		if remark != nil {
			text = beforeComment(line)
		}
		d.Entry = p.report.add(s.name, i+1, text)
		switch {
		case strings.HasPrefix(words[0], "."):
			if problem := branches.step(d); problem != "" {
				return nil, s.err(i+1, "%s", problem)
			}
			pending = d.comments // they are about what is inside
			continue
		case branches.off():
			d.fold("not active: %s", branches.why())
			continue
		}
		if missing != "" {
			d.refuse("environment variable %s is not set: convert where it is", missing)
		}
		switch {
		case slices.Contains(haproxySections, words[0]) && !ambiguous(words, list):
			list = append(list, &section{kind: words[0], head: d})
		case len(list) == 0:
			return nil, s.err(i+1, "%q stands before any section", words[0])
		case missing == "":
			sec := list[len(list)-1]
			sec.body = append(sec.body, d)
			if sec.kind == "global" {
				set(words)
			}
		}
	}
	if branches.depth() > 0 {
		return nil, s.err(len(s.lines), ".if without .endif")
	}
	return list, nil
}

// ambiguous reports whether a word that may begin a section is a directive of the section before: "cache" and "acme" are both,
// according to what follows.
func ambiguous(words []string, list []*section) bool {
	if len(list) == 0 {
		return false
	}
	in := list[len(list)-1].kind
	return in == "crt-store" && words[0] == "acme" || in == "log-profile" && words[0] == "log-forward"
}

// splitHAProxy splits a line into words as HAProxy does since 1.6: a backslash takes the next character as it is, single
// quotes everything, double quotes everything but backslashes and variables. Older files, which had no quotes, seldom differ.
// Missing is a variable that is not set. Problem is "" when all is well.
func splitHAProxy(line string, env func(string) (string, bool)) (words []string, remark *comment, missing, problem string) {
	var word strings.Builder
	in := false // a word has begun, which may be empty
	quote := byte(0)
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case quote == '\'':
			if c == '\'' {
				quote = 0
			} else {
				word.WriteByte(c)
			}
		case c == '\\':
			if i++; i == len(line) {
				word.WriteByte('\\')
				in = true
				break
			}
			in = true
			i += escaped(&word, line[i:]) - 1
		case c == '"':
			in = true
			if quote == '"' {
				quote = 0
			} else {
				quote = '"'
			}
		case c == '\'' && quote == 0:
			in, quote = true, '\''
		case c == '$' && (quote == '"' || strings.HasPrefix(line[i:], "${")):
			value, n, name := variable(line[i:], env)
			if name != "" && missing == "" {
				missing = name
			}
			if n == 0 {
				word.WriteByte(c)
				in = true
				break
			}
			word.WriteString(value)
			in = true
			i += n - 1
		case quote == '"':
			word.WriteByte(c)
		case c == '#':
			remark = newComment(line[i+1:])
			i = len(line)
		case c == ' ' || c == '\t' || c == '\v' || c == '\f' || c == '\r':
			if in {
				words = append(words, word.String())
				word.Reset()
				in = false
			}
		default:
			word.WriteByte(c)
			in = true
		}
	}
	if quote != 0 {
		return nil, remark, "", "a quote " + string(quote) + " is not closed"
	}
	if in {
		words = append(words, word.String())
	}
	if len(words) > 0 && words[0] == "" {
		return nil, remark, "", "the line begins with an empty word"
	}
	return words, remark, missing, ""
}

// escaped writes what a backslash before s stands for and returns how much of s that is.
func escaped(w *strings.Builder, s string) int {
	switch s[0] {
	case 'n':
		w.WriteByte('\n')
	case 'r':
		w.WriteByte('\r')
	case 't':
		w.WriteByte('\t')
	case 'x':
		if len(s) >= 3 {
			hi, lo := hexValue(s[1]), hexValue(s[2])
			if hi >= 0 && lo >= 0 {
				w.WriteRune(rune(hi<<4 | lo))
				return 3
			}
		}
		w.WriteByte('x')
	default:
		if strings.IndexByte(" \\#\"'$", s[0]) < 0 { // HAProxy leaves the others to whoever reads the word: regular expressions
			w.WriteByte('\\')
		}
		w.WriteByte(s[0])
	}
	return 1
}

func hexValue(c byte) int { return strings.IndexByte("0123456789abcdef", c|0x20) }

// variable expands $NAME, ${NAME}, ${NAME-default} and ${NAME[*]} at the start of s. N is its length, 0 where it is none; missing is
// the name when it is not set and has no default.
func variable(s string, env func(string) (string, bool)) (value string, n int, missing string) {
	isName := func(c byte, first bool) bool {
		return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || !first && c >= '0' && c <= '9'
	}
	at := 1
	brace := len(s) > 1 && s[1] == '{'
	if brace {
		at++
	}
	end := at
	for end < len(s) && isName(s[end], end == at) {
		end++
	}
	name := s[at:end]
	if name == "" {
		return "", 0, ""
	}
	fallback, hasFallback := "", false
	if brace {
		rest := strings.IndexByte(s[end:], '}')
		if rest < 0 {
			return "", 0, ""
		}
		tail := strings.TrimPrefix(s[end:end+rest], "[*]")
		if tail != "" && tail[0] != '-' {
			return "", 0, ""
		}
		if tail != "" {
			fallback, hasFallback = tail[1:], true
		}
		end += rest + 1
	}
	v, ok := env(name)
	switch {
	case ok:
		return v, end, ""
	case hasFallback:
		return fallback, end, ""
	}
	return "", end, name
}

// beforeComment returns a line without the comment at its end.
func beforeComment(line string) string {
	quote := byte(0)
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '\\' && quote != '\'':
			i++
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '#':
			return line[:i]
		}
	}
	return line
}

// branches follow .if, .elif, .else and .endif.
type branches struct {
	env   func(string) (string, bool)
	stack []branch
}

type branch struct {
	on, taken, last bool // this branch counts; one of the .if counted; .else was there
	outer           bool // what is around it counts
	text            string
}

func (b *branches) depth() int { return len(b.stack) }

// off reports whether lines do not count here.
func (b *branches) off() bool { return len(b.stack) > 0 && !b.stack[len(b.stack)-1].on }

func (b *branches) why() string { return b.stack[len(b.stack)-1].text }

// step follows a line that begins with a dot. It returns what is wrong with it.
func (b *branches) step(d *directive) (problem string) {
	word := d.words[0]
	if word != ".if" && len(b.stack) == 0 && (word == ".elif" || word == ".else" || word == ".endif") {
		return word + " without .if"
	}
	switch word {
	case ".if":
		if len(b.stack) >= maxDepth*5 {
			return "too many .if in one another"
		}
		on, known := b.eval(d.rest(1))
		outer := !b.off()
		b.stack = append(b.stack, branch{on: on && outer, taken: on, outer: outer, text: d.Directive})
		judgeBranch(d, on, known)
	case ".elif":
		top := &b.stack[len(b.stack)-1]
		on, known := b.eval(d.rest(1))
		if top.last {
			return ".elif after .else"
		}
		top.on = on && !top.taken && top.outer
		top.taken = top.taken || on
		top.text = d.Directive
		judgeBranch(d, on, known)
	case ".else":
		top := &b.stack[len(b.stack)-1]
		if top.last {
			return ".else twice"
		}
		top.on, top.last = !top.taken && top.outer, true
		top.text = d.Directive
		d.fold("followed")
	case ".endif":
		b.stack = b.stack[:len(b.stack)-1]
		d.fold("followed")
	case ".diag", ".notice", ".warning":
		d.fold("a message of the old program")
	case ".alert":
		if !b.off() {
			d.note("the old program does not start here")
		} else {
			d.fold("a message of the old program")
		}
	default:
		d.refuse("unknown directive")
	}
	return ""
}

func judgeBranch(d *directive, on, known bool) {
	switch {
	case !known:
		d.refuse("this condition is not understood: taken for false")
	case on:
		d.note("true now: what follows is converted for good")
	default:
		d.note("false now: what follows is left out for good")
	}
}

// eval evaluates a condition as far as it can be known without the old program.
func (b *branches) eval(cond string) (on, known bool) {
	cond = strings.TrimSpace(cond)
	if rest, ok := strings.CutPrefix(cond, "!"); ok {
		on, known = b.eval(rest)
		return !on && known, known
	}
	switch cond {
	case "1", "true":
		return true, true
	case "0", "false", "":
		return false, true
	}
	name, arg, ok := strings.Cut(strings.TrimSuffix(cond, ")"), "(")
	if !ok || strings.ContainsAny(arg, "()") || strings.ContainsAny(name, "&| ") {
		return false, false
	}
	switch name {
	case "defined":
		_, on = b.env(arg)
		return on, true
	case "feature":
		return arg == "OPENSSL", true // what gatehouse is built with, in the old program's words
	}
	return false, false
}
