package h2

import "bytes"

// Urgency is how soon a client wants an answer, and whether it can use parts of it (RFC 9218 4): from 0, the most urgent, to 7.
type Urgency uint8

const (
	// Incremental is set where parts of the answer are of use before the rest is there: answers of one urgency share the connection then.
	// Others are sent one after the other.
	Incremental Urgency = 0x80
	// NoPriority is that of a request that says nothing. It is as urgent as RFC 9218 has it; but a client that knows nothing of
	// priorities does not expect one answer to wait for another to end, so it counts as incremental.
	NoPriority = 3 | Incremental
)

// Level returns the urgency alone.
func (u Urgency) Level() int { return int(u &^ Incremental) }

// ParsePriority reads the value of a Priority field or of a PRIORITY_UPDATE frame: a dictionary (RFC 9651 3.2) of which "u", an integer, and
// "i", a boolean, count. What cannot be read stands for the defaults: "u=3", not incremental.
func ParsePriority(v []byte) Urgency {
	level, inc := Urgency(3), Urgency(0)
	for len(v) > 0 {
		v = skip(v, " \t,")
		n := 0
		for n < len(v) && v[n] != ',' && v[n] != '"' {
			n++
		}
		if n < len(v) && v[n] == '"' { // a string: nothing we know, and commas in it are none
			return level | inc
		}
		m := v[:n]
		v = v[n:]
		for i, c := range m { // parameters do not count
			if c == ';' || c == ' ' || c == '\t' {
				m = m[:i]
				break
			}
		}
		switch key, value, _ := bytes.Cut(m, []byte("=")); string(key) {
		case "u":
			level = levelOf(value)
		case "i":
			if inc = 0; len(key) == len(m) || string(value) == "?1" {
				inc = Incremental
			}
		}
	}
	return level | inc
}

// levelOf reads the value of "u". What is none of the eight levels stands for the default.
func levelOf(v []byte) Urgency {
	n := 0
	for _, c := range v {
		if n = 10*n + int(c) - '0'; c < '0' || c > '9' || n > 7 {
			return 3
		}
	}
	if len(v) == 0 {
		return 3
	}
	return Urgency(n)
}

// skip returns v without the characters of set that it begins with.
func skip(v []byte, set string) []byte {
	for len(v) > 0 {
		found := false
		for i := range len(set) {
			found = found || v[0] == set[i]
		}
		if !found {
			break
		}
		v = v[1:]
	}
	return v
}
