package h1

// Directive is one element of a Cache-Control list (RFC 9111 5.2): a token, perhaps with "=" and a token or a quoted string.
// It holds ranges of the list.
type Directive struct {
	Text []byte // as it stands there; nil: there was none
	Name []byte
	Arg  []byte // with its quotes and backslashes, if Quoted
	// HasArg tells apart a missing argument from an empty one in quotes.
	HasArg, Quoted bool
	// Bad: Text is all the rest of the list, as nobody knows where the directive ends.
	Bad bool
}

// NextDirective splits the first directive off a list. Empty elements are skipped (RFC 9110 5.6.1.2).
func NextDirective(list []byte) (d Directive, rest []byte) {
	v := list
	for len(v) > 0 && (isBlank(v[0]) || v[0] == ',') {
		v = v[1:]
	}
	if len(v) == 0 {
		return Directive{}, nil
	}
	bad := Directive{Text: v, Bad: true}
	n := tokenLen(v)
	if n == 0 {
		return bad, nil
	}
	d.Name = v[:n:n]
	if n < len(v) && v[n] == '=' {
		d.HasArg = true
		arg := tokenLen(v[n+1:])
		if arg == 0 {
			d.Quoted, arg = true, quotedLen(v[n+1:])
		}
		if arg == 0 {
			return bad, nil
		}
		d.Arg = v[n+1 : n+1+arg : n+1+arg]
		n += 1 + arg
	}
	d.Text = v[:n:n]
	for n < len(v) && isBlank(v[n]) {
		n++
	}
	if n < len(v) && v[n] != ',' {
		return bad, nil
	}
	return d, v[n:]
}

// tokenLen returns the length of the token b begins with (RFC 9110 5.6.2).
func tokenLen(b []byte) (n int) {
	for n < len(b) && tokens[b[n]] != 0 {
		n++
	}
	return n
}

// quotedLen returns the length of the quoted string b begins with (RFC 9110 5.6.4), 0 when there is none.
func quotedLen(b []byte) int {
	if len(b) == 0 || b[0] != '"' {
		return 0
	}
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return 0
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }
