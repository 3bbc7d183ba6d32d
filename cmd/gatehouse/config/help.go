package config

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// manual is everything a configuration may hold, generated from the structs' doc comments: a line that begins with a path is
// the head of an entry, the indented lines below it are its text. A test keeps it fresh.
//
//go:embed reference.txt
var manual string

// language is what belongs to the language and to no struct, in the form of the reference.
const language = `variable: block "NAME", any number
    variable declares a value that is given from outside: with --var NAME=VALUE or in the environment as GATEHOUSE_VAR_NAME.
    It is used as var.NAME.

variable.default: any value
    default is the value when none is given. What is given must be of the same type. Without a default, it must be
    given.

variable.description: string
    description says what the variable is for.

locals: block, any number
    locals names values that are used in several places: each attribute NAME = VALUE is local.NAME elsewhere. Local values may use
    variables and one another.

dynamic: block "TYPE", any number
    dynamic makes blocks of a type, one for each element of a list or map. The content block is what they hold; in it, TYPE.key
    and TYPE.value are the element.

dynamic.for_each: list or map
    for_each is what the blocks are made for.

dynamic.labels: list of strings
    labels are the labels of the blocks, such as [server.key]. An address that may stand as a label must be an attribute here.

dynamic.iterator: name
    iterator is the name of the element in content, instead of the type.

dynamic.content: block
    content is what each of the blocks holds.
`

// An entry is one thing the reference explains.
type entry struct {
	path string // backend.server.weight
	form string // whole number, default 1
	text string // wrapped, without indent
}

// block reports whether the entry is about a block.
func (e *entry) block() bool { return strings.HasPrefix(e.form, "block") }

// name is the last word of the path.
func (e *entry) name() string { return e.path[strings.LastIndexByte(e.path, '.')+1:] }

// entries is the reference, taken apart.
var entries = sync.OnceValue(func() []*entry {
	var list []*entry
	for line := range strings.Lines(manual + "\n" + language) {
		line = strings.TrimRight(line, "\n")
		switch {
		case line == "" || line[0] == '#':
		case line[0] != ' ':
			path, form, _ := strings.Cut(line, ": ")
			list = append(list, &entry{path: path, form: form})
		default:
			e := list[len(list)-1]
			e.text += strings.TrimSpace(line) + "\n"
		}
	}
	return list
})

// Words lists what Help explains: the names of all blocks and attributes, once each.
func Words() []string {
	var list []string
	for _, e := range entries() {
		list = append(list, e.name())
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// Blocks lists the blocks of the top level with one line each.
func Blocks() string {
	var b strings.Builder
	for _, e := range entries() {
		if !strings.Contains(e.path, ".") {
			fmt.Fprintf(&b, "%-10s %s\n", e.path, firstSentence(e.text))
		}
	}
	return b.String()
}

// Help explains a block, an attribute at all the places it has, or the one a path such as backend.server.weight leads to. It
// reports whether there is such a thing.
func Help(word string) (text string, ok bool) {
	found := lookup(word)
	if len(found) == 0 {
		return "", false
	}
	var b strings.Builder
	for len(found) > 0 {
		e := found[0]
		same := func(o *entry) bool { return !e.block() && o.form == e.form && o.text == e.text || o == e }
		for _, o := range found {
			if same(o) {
				head(&b, o)
			}
		}
		b.WriteByte('\n')
		writeIndented(&b, e.text, "    ")
		if e.block() {
			contents(&b, e)
		}
		if found = slices.DeleteFunc(found, same); len(found) > 0 {
			b.WriteByte('\n')
		}
	}
	return b.String(), true
}

// lookup finds the entries word may mean: a whole path means itself, a name everything of that name, the block of
// the top level first, then other blocks.
func lookup(word string) []*entry {
	var found []*entry
	for _, e := range entries() {
		if e.path == word || strings.HasSuffix(e.path, "."+word) {
			found = append(found, e)
		}
	}
	if rest, ok := strings.CutPrefix(word, "listen."); ok && len(found) == 0 {
		for _, e := range entries() { // a listen block holds what the other two hold
			if e.path == "frontend."+rest || e.path == "backend."+rest {
				found = append(found, e)
			}
		}
	}
	slices.SortStableFunc(found, func(a, b *entry) int { return rank(a, word) - rank(b, word) })
	if len(found) > 0 && found[0].path == word && strings.Contains(word, ".") {
		return found[:1]
	}
	return found
}

// rank orders what a word may mean.
func rank(e *entry, word string) int {
	switch {
	case e.path == word:
		return 0
	case e.block():
		return 1
	}
	return 2
}

// head writes the line an entry begins with.
func head(b *strings.Builder, e *entry) {
	if !e.block() {
		fmt.Fprintf(b, "%s = %s\n", e.path, e.form)
		return
	}
	form := strings.TrimPrefix(e.form, "block")
	labels, rest, _ := strings.Cut(form, ", ")
	fmt.Fprintf(b, "%s%s { … }", e.path, labels)
	if rest != "" {
		fmt.Fprintf(b, "   %s", rest)
	}
	b.WriteByte('\n')
}

// contents lists what stands in a block.
func contents(b *strings.Builder, block *entry) {
	var inside []*entry
	width := 0
	for _, e := range entries() {
		if rest, ok := strings.CutPrefix(e.path, block.path+"."); ok && !strings.Contains(rest, ".") {
			inside = append(inside, e)
			width = max(width, len(rest))
		}
	}
	if len(inside) > 0 {
		b.WriteByte('\n')
	}
	for _, e := range inside {
		fmt.Fprintf(b, "    %-*s  %s\n    %-*s  %s\n", width, e.name(), e.form, width, "", firstSentence(e.text))
	}
}

func writeIndented(b *strings.Builder, text, indent string) {
	for line := range strings.Lines(text) {
		b.WriteString(indent)
		b.WriteString(line)
	}
}

// firstSentence returns the beginning of a text, up to the end of its first sentence, on one line.
func firstSentence(text string) string {
	line := strings.Join(strings.Fields(text), " ")
	if i := strings.Index(line, ". "); i >= 0 {
		line = line[:i+1]
	}
	return line
}

// Unknown says that there is nothing to explain about word, and what was probably meant.
func Unknown(word string) string {
	last := word[strings.LastIndexByte(word, '.')+1:]
	remedy := didYouMean(last, Words())
	if len(lookup(last)) > 0 { // right name, wrong place
		var places []string
		for _, e := range lookup(last) {
			places = append(places, e.path)
		}
		remedy = fmt.Sprintf(" Did you mean %s?", oneOf(places))
	}
	if advice, ok := haproxy[word]; ok && remedy == "" {
		remedy = " " + advice
	}
	return fmt.Sprintf("no block or attribute %q.%s", word, remedy)
}
