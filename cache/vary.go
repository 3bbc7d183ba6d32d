package cache

import (
	"bytes"
	"slices"
	"strings"

	"gatehouse/backend/h1"
)

// selection is what a request had to be like to get an answer: how it came here, and the values of the fields that the answer
// names in Vary (RFC 9111 4.1). It is immutable.
type selection struct {
	forwarded string
	fields    []selector
	language  string // of the answer, in lower case, where it has one and Accept-Language selects; "" otherwise
}

// selector is one field of Vary and its value in the request, normalised.
type selector struct {
	name  string
	id    h1.Name // 0: not a known name
	value string
}

// selectionOf makes the selection of an answer: resp is its header, req that of the request as it came in. star says that Vary
// holds "*": no other request gets this answer. ok is false for a Vary that cannot be read, which is as good. hidden is the name of a cookie that
// the server did not see, here and in what follows; "": there is none.
func selectionOf(req, resp *h1.Header, hidden string) (s selection, star, ok bool) {
	var room [512]byte
	s.forwarded = string(appendForwarded(room[:0], req))
	for i := resp.Index(h1.Vary, 0); i >= 0; i = resp.Index(h1.Vary, i+1) {
		for v := resp.Value(i); len(v) > 0; {
			var name []byte
			name, v = h1.NextToken(v)
			switch {
			case len(name) == 0 || s.names(name):
			case string(name) == "*":
				return s, true, true
			case !h1.IsToken(name):
				return s, false, false
			default:
				f := selector{name: string(name), id: knownSelector(name)}
				f.value = string(f.appendValue(room[:0], req, hidden))
				s.fields = append(s.fields, f)
				if strings.EqualFold(f.name, "Accept-Language") {
					s.language = strings.ToLower(string(resp.GetName("Content-Language")))
				}
			}
		}
	}
	return s, false, true
}

func (s *selection) names(name []byte) bool {
	for i := range s.fields {
		if h1.EqualFold(name, s.fields[i].name) {
			return true
		}
	}
	return false
}

// needsClient reports whether the answer was selected by what only the client can send: no request in the background gets the same. What was
// selected by there being none of that, anybody gets.
func (s *selection) needsClient() bool {
	for i := range s.fields {
		if f := &s.fields[i]; (f.id == h1.Cookie || f.id == h1.Authorization) && f.value != none {
			return true
		}
	}
	return false
}

// matches reports whether a request with that header gets this answer.
func (s *selection) matches(req *h1.Header, hidden string) bool {
	var room [256]byte
	if string(appendForwarded(room[:0], req)) != s.forwarded {
		return false
	}
	for i := range s.fields {
		f := &s.fields[i]
		if string(f.appendValue(room[:0], req, hidden)) != f.value && !s.speaks(f, req) {
			return false
		}
	}
	return true
}

// equals reports whether a request has the very values by which this answer was selected.
func (s *selection) equals(req *h1.Header, hidden string) bool {
	o := *s
	o.language = ""
	return o.matches(req, hidden)
}

// of returns the selection that another request makes by the same fields.
func (s *selection) of(req *h1.Header, hidden string) selection {
	var room [512]byte
	o := selection{forwarded: string(appendForwarded(room[:0], req)), fields: slices.Clone(s.fields)}
	for i := range o.fields {
		o.fields[i].value = string(o.fields[i].appendValue(room[:0], req, hidden))
	}
	return o
}

// same reports whether two answers were selected alike: the later one replaces the earlier one.
func (s *selection) same(o *selection) bool {
	if s.forwarded != o.forwarded || len(s.fields) != len(o.fields) {
		return false
	}
	for i := range s.fields {
		a, b := &s.fields[i], &o.fields[i]
		if a.value != b.value || !strings.EqualFold(a.name, b.name) {
			return false
		}
	}
	return true
}

func (s *selection) size() int {
	n := len(s.forwarded)
	for i := range s.fields {
		n += len(s.fields[i].name) + len(s.fields[i].value) + 48
	}
	return n
}

// knownSelector returns the id of the names that are found by it. Others are found by their bytes.
func knownSelector(name []byte) h1.Name {
	for _, id := range [...]h1.Name{h1.AcceptEncoding, h1.Cookie, h1.Authorization, h1.UserAgent, h1.Accept, h1.Referer} {
		if h1.EqualFold(name, id.String()) {
			return id
		}
	}
	return 0
}

// appendValue appends the field's value in a request: "+" and its lines as one list without the white space around the commas, or
// "-" when there is none. "Two requests' selecting header fields are defined to match if and only if those in the first
// request can be transformed to those in the second by … adding or removing whitespace, where allowed in the header field's
// syntax, combining multiple header field lines with the same field name, normalizing both header field values in a way that is
// known to have identical semantics" (RFC 9111 4.1).
func (f *selector) appendValue(dst []byte, req *h1.Header, hidden string) []byte {
	switch {
	case f.id == h1.AcceptEncoding:
		return append(dst, '+', '0'+codingsOf(req))
	case f.id == h1.Cookie && hidden != "" && simple(req):
		return appendCookies(dst, req, hidden)
	}
	fold := strings.EqualFold(f.name, "Accept-Language")
	first := true
	for i := f.index(req, 0); i >= 0; i = f.index(req, i+1) {
		if first {
			dst = append(dst, '+')
		} else {
			dst = append(dst, ',')
		}
		first = false
		if f.id == h1.Cookie || f.id == h1.UserAgent || f.id == h1.Authorization || f.id == h1.Referer {
			dst = append(dst, req.Value(i)...) // no lists
			continue
		}
		dst = appendList(dst, req.Value(i), fold)
	}
	if first {
		dst = append(dst, none...)
	}
	return dst
}

// none is the value of a field that is not there.
const none = "-"

// simple reports whether everybody takes the cookies of a request apart in the same way, at each ";". Where there are quotes, or commas, or
// the attributes of RFC 2965, it is not sure what of it a server sees.
func simple(req *h1.Header) bool {
	for i := req.Index(h1.Cookie, 0); i >= 0; i = req.Index(h1.Cookie, i+1) {
		if bytes.ContainsAny(req.Value(i), "\"\\,$") {
			return false
		}
	}
	return true
}

// appendCookies is appendValue for the cookies but for that one: by which server somebody is served says nothing of what is served.
func appendCookies(dst []byte, req *h1.Header, hidden string) []byte {
	start := len(dst)
	for i := req.Index(h1.Cookie, 0); i >= 0; i = req.Index(h1.Cookie, i+1) {
		for v, more := req.Value(i), true; more; {
			var pair []byte
			pair, v, more = bytes.Cut(v, []byte(";"))
			pair = trimBlank(pair)
			name, _, ok := bytes.Cut(pair, []byte("="))
			if len(pair) == 0 || ok && string(trimBlank(name)) == hidden {
				continue
			}
			if len(dst) == start {
				dst = append(dst, '+')
			} else {
				dst = append(dst, "; "...)
			}
			dst = append(dst, pair...)
		}
	}
	if len(dst) == start {
		dst = append(dst, none...)
	}
	return dst
}

func (f *selector) index(h *h1.Header, from int) int {
	if f.id != 0 {
		return h.Index(f.id, from)
	}
	return h.IndexName(f.name, from)
}

// appendList appends a list without the white space around its commas, in lower case where that means the same. Inside quotes
// nothing is changed.
func appendList(dst, v []byte, fold bool) []byte {
	start := len(dst)
	quoted := false
	for i := 0; i < len(v); i++ {
		c := v[i]
		switch {
		case quoted && c == '\\' && i+1 < len(v):
			dst = append(dst, c)
			i++
			c = v[i]
		case c == '"':
			quoted = !quoted
		case quoted:
		case isBlank(c):
			if len(dst) == start || dst[len(dst)-1] == ',' {
				continue
			}
			rest := trimLeft(v[i:])
			if len(rest) == 0 || rest[0] == ',' {
				continue
			}
		case fold && c >= 'A' && c <= 'Z':
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}
