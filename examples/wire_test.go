package examples

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// wire is a message as it came over a connection.
type wire struct {
	start   string // its first line
	fields  []field
	content []byte
}

// readWire reads the message at the start of b and returns how many bytes it took, 0 while it is not whole. asked is
// the method of the request that b answers, "" if b holds requests; over says that nothing follows b.
func readWire(b []byte, asked string, over bool) (*wire, int, error) {
	head, n, ok := cutHead(b)
	if !ok {
		return nil, 0, nil
	}
	lines := strings.Split(head, "\r\n")
	w := &wire{start: lines[0]}
	length, chunked := -1, false
	for _, line := range lines[1:] {
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return nil, 0, fmt.Errorf("%q is no field", line)
		}
		value = strings.Trim(value, " \t")
		w.fields = append(w.fields, field{name: name, value: value})
		switch {
		case strings.EqualFold(name, "Content-Length"):
			l, err := strconv.ParseUint(value, 10, 31)
			if err != nil || length >= 0 {
				return nil, 0, fmt.Errorf("Content-Length %q", value)
			}
			length = int(l)
		case strings.EqualFold(name, "Transfer-Encoding"):
			chunked = strings.EqualFold(value, "chunked")
		}
	}
	code := 0
	if asked != "" {
		if f := strings.Fields(w.start); len(f) > 1 {
			code, _ = strconv.Atoi(f[1])
		}
	}
	switch rest := b[n:]; {
	case asked == "HEAD", code/100 == 1, code == 204, code == 304:
	case chunked:
		content, k, err := readChunks(rest)
		if err != nil || k == 0 {
			return nil, 0, err
		}
		w.content = content
		n += k
	case length >= 0:
		if len(rest) < length {
			return nil, 0, nil
		}
		w.content = rest[:length]
		n += length
	case asked != "": // to the end of the connection
		if !over {
			return nil, 0, nil
		}
		w.content = rest
		n = len(b)
	}
	w.content = bytes.Clone(w.content)
	return w, n, nil
}

// cutHead returns the head at the start of b without its empty line, and its whole length.
func cutHead(b []byte) (string, int, bool) {
	head, _, ok := bytes.Cut(b, []byte("\r\n\r\n"))
	return string(head), len(head) + 4, ok
}

// readChunks reads a chunked content with its trailer (RFC 9112 7.1); 0 bytes taken mean that it is not whole.
func readChunks(b []byte) (content []byte, n int, err error) {
	for {
		line, _, ok := bytes.Cut(b[n:], []byte("\r\n"))
		if !ok {
			return nil, 0, nil
		}
		digits, _, _ := strings.Cut(string(line), ";")
		size, err := strconv.ParseUint(strings.TrimSpace(digits), 16, 31)
		if err != nil {
			return nil, 0, fmt.Errorf("chunk of size %q", line)
		}
		n += len(line) + 2
		if size == 0 {
			break
		}
		if len(b) < n+int(size)+2 {
			return nil, 0, nil
		}
		content = append(content, b[n:n+int(size)]...)
		if n += int(size) + 2; !bytes.HasPrefix(b[n-2:], []byte("\r\n")) {
			return nil, 0, fmt.Errorf("chunk longer than its size %d", size)
		}
	}
	if bytes.HasPrefix(b[n:], []byte("\r\n")) {
		return content, n + 2, nil
	}
	_, trailer, ok := cutHead(b[n:])
	if !ok {
		return nil, 0, nil
	}
	return content, n + trailer, nil
}

// String shows a message in a failure.
func (w *wire) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\t%s", w.start)
	for _, f := range w.fields {
		fmt.Fprintf(&b, "\n\t%s: %s", f.name, f.value)
	}
	if len(w.content) > 0 {
		fmt.Fprintf(&b, "\n\t| %q", w.content)
	}
	return b.String()
}

// values returns the values of a field, in the order they came.
func (w *wire) values(name string) (v []string) {
	for _, f := range w.fields {
		if strings.EqualFold(f.name, name) {
			v = append(v, f.value)
		}
	}
	return v
}

// send spells m, with what is added to it unless m speaks of it: a length of its content, and host. asked is the method
// that m answers, "" for a request.
func (m *message) send(host, asked string) []byte {
	var b bytes.Buffer
	version := m.version
	if version == "" {
		version = "HTTP/1.1"
	}
	said := func(name string) bool {
		return slices.ContainsFunc(m.fields, func(f field) bool { return strings.EqualFold(f.name, name) })
	}
	add := func(name, value string) {
		if !said(name) {
			fmt.Fprintf(&b, "%s: %s\r\n", name, value)
		}
	}
	chunked := said("Transfer-Encoding")
	if m.status != 0 {
		reason := m.reason
		if reason == "" {
			reason = http.StatusText(m.status)
		}
		fmt.Fprintf(&b, "%s %d %s\r\n", version, m.status, reason)
		if !chunked && m.status >= 200 && m.status != 204 && m.status != 304 {
			add("Content-Length", strconv.Itoa(len(m.content)))
		}
	} else {
		fmt.Fprintf(&b, "%s %s %s\r\n", m.method, m.target, version)
		if version != "HTTP/1.0" {
			add("Host", host)
		}
		if m.content != nil && !chunked {
			add("Content-Length", strconv.Itoa(len(m.content)))
		}
	}
	for _, f := range m.fields {
		if f.mark == "" {
			fmt.Fprintf(&b, "%s: %s\r\n", f.name, f.value)
		}
	}
	b.WriteString("\r\n")
	switch {
	case asked == "HEAD":
	case chunked && len(m.content) > 0:
		fmt.Fprintf(&b, "%x\r\n%s\r\n0\r\n\r\n", len(m.content), m.content)
	case chunked:
		b.WriteString("0\r\n\r\n")
	default:
		b.Write(m.content)
	}
	return b.Bytes()
}

// starts reports whether w's first line is the one m wants.
func (m *message) starts(w *wire) bool {
	words := strings.SplitN(w.start, " ", 3)
	if len(words) < 2 {
		return false
	}
	if m.status != 0 {
		return words[1] == strconv.Itoa(m.status) && (m.reason == "" || len(words) == 3 && words[2] == m.reason)
	}
	return len(words) == 3 && words[0] == m.method && words[1] == m.target && (m.version == "" || words[2] == m.version)
}

// differs says in what w is not what m wants; "" if in nothing.
func (m *message) differs(w *wire) string {
	if !m.starts(w) {
		return fmt.Sprintf("got %q", w.start)
	}
	only := map[string][]string{}
	for _, f := range m.fields {
		got := w.values(f.name)
		matches := func(v string) bool { return f.re.MatchString(v) }
		switch f.mark {
		case "":
			if !slices.Contains(got, f.value) {
				return fmt.Sprintf("no %s: %s", f.name, f.value)
			}
		case "=":
			name := strings.ToLower(f.name)
			only[name] = append(only[name], f.value)
		case "~":
			if !slices.ContainsFunc(got, matches) {
				return fmt.Sprintf("no %s matches %s", f.name, f.value)
			}
		case "=~":
			if len(got) != 1 || !matches(got[0]) {
				return fmt.Sprintf("%s is %q, wanted one that matches %s", f.name, got, f.value)
			}
		case "!":
			if len(got) > 0 {
				return fmt.Sprintf("there is a %s: %s", f.name, got[0])
			}
		case "!~":
			if i := slices.IndexFunc(got, matches); i >= 0 {
				return fmt.Sprintf("%s: %s matches %s", f.name, got[i], f.value)
			}
		}
	}
	for name, want := range only {
		if got := w.values(name); !slices.Equal(got, want) {
			return fmt.Sprintf("%s is %q, wanted %q alone", name, got, want)
		}
	}
	if m.content != nil && !bytes.Equal(m.content, w.content) {
		return fmt.Sprintf("content is %q, wanted %q", w.content, m.content)
	}
	return ""
}
