package h1

import (
	"fmt"
	"strings"
)

// RulePlace is where rules stand. What they may touch depends on it.
type RulePlace uint8

// The places of rules.
const (
	InFrontend RulePlace = iota // of a frontend or a route
	InBackend
)

// CheckRequest reports rules that requests cannot have.
func (c *HeaderRules) CheckRequest(at RulePlace, bad func(field any, problem, remedy string)) {
	c.check(func(name string, id Name, sets bool) (problem, remedy string) {
		switch id {
		case Expect, HTTP2Settings:
			return "is between two neighbours", "gatehouse speaks it with clients and servers by itself. Leave it out."
		case Host:
			if at == InFrontend {
				return "chooses the frontend, the route and what the cache knows", `Leave it out. Where servers need another one, write it in request_headers of their backend.`
			}
			if !sets {
				return "cannot be missing, or be there twice", `Write it in set.`
			}
		case XForwardedFor:
			if at == InFrontend {
				return "is told by forwardfor, which comes afterwards", "See the backend's forwardfor. What request_headers of a backend say counts after it."
			}
		}
		return "", ""
	}, false, bad)
}

// CheckResponse reports rules that answers cannot have.
func (c *HeaderRules) CheckResponse(bad func(field any, problem, remedy string)) {
	c.check(func(name string, id Name, sets bool) (problem, remedy string) {
		switch id {
		case ContentEncoding, ContentRange:
			return "says how the content is to be read", "gatehouse does not change the content, so this must not change either. Leave it out."
		case Date:
			return "says when the answer was made", "It is always there, and only the server knows it better than gatehouse. Leave it out."
		}
		return "", ""
	}, true, bad)
}

// check reports faults of any rules, and those that fault finds for one name; sets says whether the name is one to set.
func (c *HeaderRules) check(fault func(name string, id Name, sets bool) (problem, remedy string), response bool, bad func(field any, problem, remedy string)) {
	if c == nil {
		return
	}
	if len(c.Set)+len(c.Add)+len(c.Remove) == 0 {
		bad(c, "rules without a rule", `Write set = { "NAME" = "VALUE" }, add likewise, or remove = ["NAME"].`)
	}
	judge := func(field any, name string, sets bool) {
		problem, remedy := nameFault(name)
		if problem == "" {
			if problem, remedy = fault(name, nameOf([]byte(name)), sets); problem != "" {
				problem = fmt.Sprintf("%q %s", name, problem)
			}
		}
		if problem != "" {
			bad(field, problem, remedy)
		}
	}
	for i := range c.Remove {
		name, _ := strings.CutSuffix(c.Remove[i], "*")
		if name == "" && c.Remove[i] != "" {
			bad(&c.Remove[i], "a star alone removes every field", "Name the fields, or how their names begin, as in \"X-Internal-*\".")
			continue
		}
		if name != c.Remove[i] {
			if id := below(name, response); id != 0 {
				bad(&c.Remove[i], fmt.Sprintf("%q would remove %s too", c.Remove[i], id), "Write more of how the names begin.")
				continue
			}
			if !isToken([]byte(name)) {
				judge(&c.Remove[i], name, false)
			}
			continue
		}
		judge(&c.Remove[i], name, false)
	}
	for _, list := range [][]FieldRule{c.Set, c.Add} {
		sets := len(c.Set) > 0 && len(list) > 0 && &list[0] == &c.Set[0]
		for i := range list {
			f := &list[i]
			judge(&f.Name, f.Name, sets)
			if problem := valueFault(f.Value); problem != "" {
				bad(&f.Value, fmt.Sprintf("the value of %s %s", f.Name, problem), "It is one line of visible characters, blanks and tabs, without blanks at its ends.")
			} else if word := unknownWord(f.Value, response); word != "" {
				bad(&f.Value, fmt.Sprintf("the value of %s: nothing is called %s", f.Name, word), meant(word, wordsFor(response)))
			}
		}
	}
}

// nameFault says why no rule may be about a field, or "".
func nameFault(name string) (problem, remedy string) {
	if !isToken([]byte(name)) {
		return fmt.Sprintf("%q is not the name of a header field", name), "Use letters, digits and -."
	}
	if framing(nameOf([]byte(name))) {
		return fmt.Sprintf("%q is about one connection", name), "gatehouse says it anew on each of its connections. Leave it out."
	}
	return "", ""
}

// framing reports whether a field says how one message is sent on one connection: hop-by-hop fields and the length (RFC 9110 7.6.1).
func framing(id Name) bool {
	switch id {
	case Connection, ContentLength, TransferEncoding, TE, Trailer, Upgrade, KeepAlive, ProxyConnection:
		return true
	}
	return false
}

// below returns a name nobody may take out that begins with prefix, or 0.
func below(prefix string, response bool) Name {
	for i, name := range names {
		if len(name) < len(prefix) || name == "" || !strings.EqualFold(name[:len(prefix)], prefix) {
			continue
		}
		switch id := Name(i); {
		case framing(id):
			return id
		case response && (id == ContentEncoding || id == ContentRange || id == Date):
			return id
		case !response && (id == Host || id == XForwardedFor || id == Expect || id == HTTP2Settings):
			return id
		}
	}
	return 0
}

// valueFault says why a value cannot be that of a field (RFC 9110 5.5), or "".
func valueFault(v string) string {
	switch {
	case v == "":
		return "is empty: to take the field out, write its name in remove"
	case strings.Trim(v, " \t") != v:
		return "has a blank at an end"
	case strings.ContainsFunc(v, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }):
		return "holds a control character"
	}
	return ""
}

// meant guesses which of words was meant.
func meant(word string, words []string) string {
	best, least := "", len(word)/4+1
	for _, w := range words {
		if n := edits(word, w); n < least {
			best, least = w, n
		}
	}
	if best == "" {
		for _, w := range words { // "{ip}" for "{client_ip}"
			if strings.Contains(w, strings.Trim(word, "{}")) || strings.Contains(word, strings.Trim(w, "{}")) {
				best = w
				break
			}
		}
	}
	if best != "" {
		return fmt.Sprintf("Did you mean %s?", best)
	}
	return fmt.Sprintf("There are %s. Braces around anything but lower-case letters are text.", strings.Join(words, ", "))
}

// edits counts the insertions, deletions and replacements that make b of a (Levenshtein).
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		last := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := last
			if a[i] != b[j] {
				cost++
			}
			last = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
