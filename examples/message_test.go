package examples

import (
	"strings"
	"testing"
)

func TestReadWire(t *testing.T) {
	for _, c := range []struct {
		name, in, asked string
		over            bool
		n               int // 0: not whole
		content, err    string
	}{
		{name: "request", in: "GET / HTTP/1.0\r\n\r\nGET", n: 18},
		{name: "request with content", in: "POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi!", n: 40, content: "hi"},
		{name: "no empty line yet", in: "GET / HTTP/1.0\r\nA: b\r\n"},
		{name: "content missing", in: "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhi", asked: "GET"},
		{name: "answer to HEAD", in: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", asked: "HEAD", n: 38},
		{name: "304", in: "HTTP/1.1 304 x\r\nContent-Length: 5\r\n\r\n", asked: "GET", n: 37},
		{name: "chunks", in: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1;x\r\nd\r\n0\r\n\r\n", asked: "GET", n: 68, content: "abcd"},
		{name: "chunks and trailer", in: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n\r\n", asked: "GET", n: 58},
		{name: "chunks not whole", in: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab", asked: "GET"},
		{name: "bad chunk", in: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", asked: "GET", err: "chunk of size"},
		{name: "to the end, open", in: "HTTP/1.0 200 OK\r\n\r\nall", asked: "GET"},
		{name: "to the end, over", in: "HTTP/1.0 200 OK\r\n\r\nall", asked: "GET", over: true, n: 22, content: "all"},
		{name: "no colon", in: "GET / HTTP/1.0\r\nabc\r\n\r\n", err: "is no field"},
		{name: "two lengths", in: "GET / HTTP/1.0\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", err: "Content-Length"},
	} {
		w, n, err := readWire([]byte(c.in), c.asked, c.over)
		if c.err != "" || err != nil {
			if err == nil || c.err == "" || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: error %v, want %q", c.name, err, c.err)
			}
			continue
		}
		if n != c.n {
			t.Errorf("%s: took %d bytes, want %d", c.name, n, c.n)
		} else if n > 0 && string(w.content) != c.content {
			t.Errorf("%s: content %q, want %q", c.name, w.content, c.content)
		}
	}
}

// below parses a line of a flow and what stands below it.
func below(t *testing.T, text string) *message {
	t.Helper()
	f, err := parseFlow("flow", text)
	if err != nil {
		t.Fatal(err)
	}
	return f.steps[0].msg
}

func TestSend(t *testing.T) {
	for _, c := range []struct{ text, asked, want string }{
		{"c1 > GET /URI1", "", "GET /URI1 HTTP/1.1\r\nHost: h\r\n\r\n"},
		{"c1 > GET /URI1 HTTP/1.0", "", "GET /URI1 HTTP/1.0\r\n\r\n"},
		{"c1 > GET /\n  host: x\n  A:b", "", "GET / HTTP/1.1\r\nhost: x\r\nA: b\r\n\r\n"},
		{"c1 > GET /\n  ! Host", "", "GET / HTTP/1.1\r\n\r\n"},
		{"c1 > POST /\n  | a=1", "", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\na=1"},
		{"c1 > POST /\n  Transfer-Encoding: chunked\n  | a=1", "", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na=1\r\n0\r\n\r\n"},
		{"webA > 200", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
		{"webA > 200 Fine\n  | hi", "HEAD", "HTTP/1.1 200 Fine\r\nContent-Length: 2\r\n\r\n"},
		{"webA > 304\n  ETag: \"x\"", "GET", "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n"},
	} {
		if got := string(below(t, c.text).send("h", c.asked)); got != c.want {
			t.Errorf("%q sends\n%q, want\n%q", c.text, got, c.want)
		}
	}
}

func TestDiffers(t *testing.T) {
	const answer = "HTTP/1.1 200 OK\r\nSet-Cookie: a=1; path=/\r\nSet-Cookie: b=2\r\nCache-Control: private\r\nContent-Length: 2\r\n\r\nhi"
	w, _, err := readWire([]byte(answer), "GET", true)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ want, differs string }{
		{"200", ""},
		{"200 OK", ""},
		{"200 Ok", `got "HTTP/1.1 200 OK"`},
		{"404", `got "HTTP/1.1 200 OK"`},
		{"200\n  set-cookie: b=2", ""},
		{"200\n  Set-Cookie: b=3", "no Set-Cookie: b=3"},
		{"200\n  ~ Set-Cookie: ^a=", ""},
		{"200\n  ~ Set-Cookie: ^c=", "no Set-Cookie matches ^c="},
		{"200\n  = Cache-Control: private", ""},
		{"200\n  = Set-Cookie: b=2", `set-cookie is ["a=1; path=/" "b=2"], wanted ["b=2"] alone`},
		{"200\n  = Set-Cookie: a=1; path=/\n  = Set-Cookie: b=2", ""},
		{"200\n  = Set-Cookie: b=2\n  = Set-Cookie: a=1; path=/", `set-cookie is`},
		{"200\n  =~ Cache-Control: priv", ""},
		{"200\n  =~ Set-Cookie: a=", `Set-Cookie is ["a=1; path=/" "b=2"], wanted one`},
		{"200\n  =~ Expires: .", "Expires is []"},
		{"200\n  ! Expires", ""},
		{"200\n  ! cache-control", "there is a cache-control: private"},
		{"200\n  !~ Cache-Control: public", ""},
		{"200\n  !~ Set-Cookie: b", "Set-Cookie: b=2 matches b"},
		{"200\n  | hi", ""},
		{"200\n  | ho", `content is "hi"`},
	} {
		got := below(t, "c1 < "+c.want).differs(w)
		if got != c.differs && (c.differs == "" || !strings.HasPrefix(got, c.differs)) {
			t.Errorf("%q: differs %q, want %q", c.want, got, c.differs)
		}
	}
	r, _, err := readWire([]byte("GET /URI1 HTTP/1.0\r\n\r\n"), "", true)
	if err != nil {
		t.Fatal(err)
	}
	for line, differs := range map[string]bool{"GET /URI1": false, "GET /URI1 HTTP/1.0": false, "GET /URI1 HTTP/1.1": true, "GET /URI": true, "HEAD /URI1": true} {
		if got := below(t, "webA < "+line).differs(r) != ""; got != differs {
			t.Errorf("%q differs from the request: %v", line, got)
		}
	}
}

// FuzzReadWire looks for bytes that make the reader panic, and for messages that take more than there is.
func FuzzReadWire(f *testing.F) {
	f.Add([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), "", false)
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"), "GET", false)
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"), "HEAD", true)
	f.Add([]byte("HTTP/1.0 200 OK\r\n\r\nabc"), "GET", true)
	f.Fuzz(func(t *testing.T, b []byte, asked string, over bool) {
		w, n, err := readWire(b, asked, over)
		if n > len(b) || (w == nil) != (n == 0) || err != nil && n != 0 {
			t.Errorf("readWire = %v, %d, %v of %d bytes", w, n, err, len(b))
		}
	})
}
