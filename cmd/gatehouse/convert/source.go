package convert

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxSource bounds an input: some ten thousand sites.
const maxSource = 8 << 20

var errNotRegular = errors.New("not a regular file")

// readFile reads a file of the machine, unless it is too large or may never end.
func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() && info.Mode()&(os.ModeNamedPipe|os.ModeCharDevice) == 0 || info.Mode()&os.ModeDevice != 0 {
		return nil, fmt.Errorf("%s: %w", name, errNotRegular)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxSource+1))
	if err == nil && len(text) > maxSource {
		err = fmt.Errorf("%s: larger than %d MiB, which no configuration is", name, maxSource>>20)
	}
	return text, err
}

// A source is the text of a file, in lines without their ends.
type source struct {
	name  string
	lines []string
}

// newSource takes a text apart. It drops a byte order mark and takes text that is not UTF-8 for Latin-1, as the comments of old
// files often are. What is no text is a *SyntaxError, and so is a private key: it has no place in a configuration, and must
// never get into a report.
func newSource(name string, text []byte) (*source, error) {
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	if bytes.HasPrefix(text, []byte("\xff\xfe")) || bytes.HasPrefix(text, []byte("\xfe\xff")) {
		return nil, &SyntaxError{name, 1, "the text is UTF-16: save it as UTF-8"}
	}
	for i, c := range text {
		if c == 0 || c < ' ' && !strings.ContainsRune("\t\n\r\f\v\x1a\x1b\b", rune(c)) {
			return nil, &SyntaxError{name, 1 + bytes.Count(text[:i], []byte("\n")), fmt.Sprintf("byte %#02x: this is not a text file", c)}
		}
	}
	if i := bytes.Index(text, []byte("PRIVATE KEY-----")); i >= 0 {
		return nil, &SyntaxError{name, 1 + bytes.Count(text[:i], []byte("\n")), "a private key: this is not a configuration"}
	}
	if !utf8.Valid(text) {
		wide := make([]rune, len(text))
		for i, c := range text {
			wide[i] = rune(c)
		}
		text = []byte(string(wide))
	}
	s := &source{name: name}
	for line := range strings.Lines(string(text)) {
		s.lines = append(s.lines, strings.TrimRight(line, "\r\n"))
	}
	return s, nil
}

// err is a *SyntaxError in a line, counted from 1.
func (s *source) err(line int, format string, args ...any) error {
	return &SyntaxError{s.name, line, fmt.Sprintf(format, args...)}
}

// A comment of an input. All of them are in the output, each once.
type comment struct {
	text    string // without its mark; it may begin with a blank
	gap     bool   // an empty line stood before it
	written bool
}

// newComment makes a comment of what stands behind the mark.
func newComment(text string) *comment {
	text = strings.Map(func(r rune) rune {
		if r == '\t' {
			return r
		}
		if unicode.IsControl(r) || r == utf8.RuneError || r == '\u2028' || r == '\u2029' || r == '\u0085' {
			return -1
		}
		return r
	}, text)
	return &comment{text: strings.TrimRight(text, " \t")}
}

// A directive is a line of an old configuration, or as many as belong together.
type directive struct {
	*Entry
	words    []string   // the first is the directive's name
	comments []*comment // those before it, and the one behind it
	hold     bool       // whoever needs the comments takes them later
	src      *source
}

// arg returns a word, "" where there is none.
func (d *directive) arg(n int) string {
	if n < len(d.words) {
		return d.words[n]
	}
	return ""
}

// args returns the words from n on.
func (d *directive) args(n int) []string { return d.words[min(n, len(d.words)):] }

// rest joins the words from n on.
func (d *directive) rest(n int) string { return strings.Join(d.args(n), " ") }
