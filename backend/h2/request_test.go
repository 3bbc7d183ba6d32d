package h2

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"gatehouse/backend/h1"

	"golang.org/x/net/http2/hpack"
)

var limits = h1.ParseLimits{Target: 16 << 10, Field: 16 << 10, Head: 32 << 10, Fields: 100}

// block makes a header block of lines "name: value", separated by "|".
func block(text string) []byte {
	var buf bytes.Buffer
	e := hpack.NewEncoder(&buf)
	for _, l := range strings.Split(text, "|") {
		if l == "" {
			continue
		}
		i := strings.Index(l[1:], ": ") + 1
		e.WriteField(hpack.HeaderField{Name: l[:i], Value: l[i+2:]})
	}
	return buf.Bytes()
}

const get = ":method: GET|:scheme: https|:path: /|:authority: a.test|"

// TestRequestsBecomeHTTP1 compares what is passed on, byte for byte.
func TestRequestsBecomeHTTP1(t *testing.T) {
	for _, c := range []struct {
		name, in string
		ended    bool
		want     string
	}{
		{"get", get + "accept: */*|x-y: z", true, "GET / HTTP/1.1\r\nHost: a.test\r\naccept: */*\r\nx-y: z\r\n"},
		{"crumbs of cookies", get + "cookie: a=1|x: y|cookie: b=2|cookie: c=3", true, "GET / HTTP/1.1\r\nHost: a.test\r\nx: y\r\ncookie: a=1; b=2; c=3\r\n"},
		{"the Host field alone", ":method: GET|:scheme: https|:path: /a?b|x: y|host: b.test:8443", true, "GET /a?b HTTP/1.1\r\nx: y\r\nhost: b.test:8443\r\n"},
		{"the Host field beside :authority", get + "host: A.test", true, "GET / HTTP/1.1\r\nHost: a.test\r\n"},
		{"content of known length", strings.Replace(get, "GET", "POST", 1) + "content-length: 5", false, "POST / HTTP/1.1\r\nHost: a.test\r\ncontent-length: 5\r\n"},
		{"content of unknown length", strings.Replace(get, "GET", "POST", 1), false, "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n"},
		{"POST without content", strings.Replace(get, "GET", "POST", 1), true, "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n"},
		{"TE: trailers", get + "te: trailers", true, "GET / HTTP/1.1\r\nHost: a.test\r\n"},
		{"OPTIONS *", ":method: OPTIONS|:scheme: http|:path: *|:authority: a.test", true, "OPTIONS * HTTP/1.1\r\nHost: a.test\r\n"},
		{"underscores", get + "content_length: 1|x_y: z|x-y: z", true, "GET / HTTP/1.1\r\nHost: a.test\r\nx-y: z\r\n"},
		{"WebSocket", ":method: CONNECT|:scheme: https|:path: /chat|:authority: a.test|:protocol: websocket|sec-websocket-version: 13", false,
			"GET /chat HTTP/1.1\r\nHost: a.test\r\nsec-websocket-version: 13\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"},
		{"a trailer announced", strings.Replace(get, "GET", "POST", 1) + "trailer: x-sum", false, "POST / HTTP/1.1\r\nHost: a.test\r\ntrailer: x-sum\r\nTransfer-Encoding: chunked\r\n"},
		{"a proxy's credentials", get + "proxy-authorization: x|http2-settings: y", true, "GET / HTTP/1.1\r\nHost: a.test\r\n"},
	} {
		var a Assembler
		var d Decoder
		var r h1.Request
		if _, err := a.Request(&d, block(c.in), &r, c.ended, &limits); err != nil {
			t.Errorf("%s: %v", c.name, err)
		} else if got := string(h1.AppendRequest(nil, &r)); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// TestMalformedRequests are hostile-input's: nothing of them reaches a server. Status 0: the stream is reset.
func TestMalformedRequests(t *testing.T) {
	long := strings.Repeat("x", 17<<10)
	for _, c := range []struct {
		name, in string
		status   int
	}{
		{"CR in a value", get + "x: a\rb", 0},
		{"LF in a value", get + "x: a\nb: c", 0},
		{"NUL in a value", get + "x: a\x00b", 0},
		{"a space before a value", get + "x:  a", 0},
		{"a space behind a value", get + "x: a ", 0},
		{"a tab behind a value", get + "x: a\t", 0},
		{"an upper-case name", get + "X-Y: z", 0},
		{"a colon in a name", get + "x:y: z", 0},
		{"a space in a name", get + "x y: z", 0},
		{"CRLF in a name", get + "x\r\ny: z", 0},
		{"8-bit in a name", get + "x\xe9: z", 0},
		{"an empty name", get + ": z", 0},
		{"transfer-encoding", get + "transfer-encoding: chunked", 0},
		{"connection", get + "connection: close", 0},
		{"keep-alive", get + "keep-alive: timeout=5", 0},
		{"proxy-connection", get + "proxy-connection: keep-alive", 0},
		{"upgrade", get + "upgrade: h2c", 0},
		{"te", get + "te: gzip", 0},
		{"two content lengths", get + "content-length: 0|content-length: 0", 0},
		{"a content length without content", get + "content-length: 5", 0},
		{"a content length that is none", get + "content-length: +1", 0},
		{"a space in :path", ":method: GET|:scheme: https|:path: /a b|:authority: a.test", 0},
		{"CRLF in :path", ":method: GET|:scheme: https|:path: / HTTP/1.1\r\nX: y|:authority: a.test", 0},
		{"# in :path", ":method: GET|:scheme: https|:path: /a#b|:authority: a.test", 0},
		{":path without /", ":method: GET|:scheme: https|:path: a|:authority: a.test", 0},
		{"an absolute :path", ":method: GET|:scheme: https|:path: http://b.test/|:authority: a.test", 0},
		{"an empty :path", ":method: GET|:scheme: https|:path: |:authority: a.test", 0},
		{"GET *", ":method: GET|:scheme: https|:path: *|:authority: a.test", 0},
		{"a space in :method", ":method: GET /x|:scheme: https|:path: /|:authority: a.test", 0},
		{"an empty :method", ":method: |:scheme: https|:path: /|:authority: a.test", 0},
		{"a URL as :scheme", ":method: GET|:scheme: http://evil/|:path: /|:authority: a.test", 0},
		{"no :method", ":scheme: https|:path: /|:authority: a.test", 0},
		{"no :scheme", ":method: GET|:path: /|:authority: a.test", 0},
		{"no :path", ":method: GET|:scheme: https|:authority: a.test", 0},
		{"no host", ":method: GET|:scheme: https|:path: /", 0},
		{"two :path", get + ":path: /", 0},
		{"a pseudo-header field behind others", ":method: GET|:scheme: https|:path: /|x: y|:authority: a.test", 0},
		{"an unknown pseudo-header field", get + ":x: y", 0},
		{":status", get + ":status: 200", 0},
		{"two names", get + "host: b.test", 0},
		{"two Host fields", ":method: GET|:scheme: https|:path: /|host: a.test|host: a.test", 0},
		{"a comma in the authority", ":method: GET|:scheme: https|:path: /|:authority: a.test,b.test", 0},
		{"user information", ":method: GET|:scheme: https|:path: /|:authority: u@a.test", 0},
		{"NUL in the authority", ":method: GET|:scheme: https|:path: /|:authority: a.test\x00", 0},
		{"an empty authority", ":method: GET|:scheme: https|:path: /|:authority: ", 0},
		{":protocol without CONNECT", get + ":protocol: websocket", 0},
		{"CONNECT with a path", ":method: CONNECT|:scheme: https|:path: /|:authority: a.test", 0},
		{"CONNECT", ":method: CONNECT|:authority: a.test:443", 405},
		{"an unknown :protocol", ":method: CONNECT|:scheme: https|:path: /|:authority: a.test|:protocol: connect-udp", 501},
		{"a long method", ":method: " + strings.Repeat("M", 33) + "|:scheme: https|:path: /|:authority: a.test", 501},
		{"a long path", ":method: GET|:scheme: https|:path: /" + long + "|:authority: a.test", 414},
		{"a long field", get + "x: " + long, 431},
		{"a long cookie", get + "cookie: " + long, 431},
		{"a long head", get + strings.Repeat("x: "+strings.Repeat("y", 9000)+"|", 4), 431},
		{"many fields", get + strings.Repeat("x: y|", 101), 431},
		{"an unknown expectation", get + "expect: more", 417},
	} {
		var a Assembler
		var d Decoder
		var r h1.Request
		_, err := a.Request(&d, block(c.in), &r, true, &limits)
		var he *h1.Error
		if !errors.As(err, &he) || he.Status != c.status || he.Side != h1.ByClient {
			t.Errorf("%s: %v, want the status %d", c.name, err, c.status)
		}
		if len(r.Method) > 0 || r.Header.Len() > 0 {
			t.Errorf("%s: %s and %d lines are left", c.name, r.Method, r.Header.Len())
		}
		// The table must be what it would be without the fault.
		if _, err := a.Request(&d, block(get), &r, true, &limits); err != nil {
			t.Errorf("%s, and then: %v", c.name, err)
		}
	}
}

func TestTrailers(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"x-sum: 1|etag: \"2\"", "x-sum: 1\r\netag: \"2\"\r\n"},
		{"content-length: 1|cookie: a|x: y|host: b|transfer-encoding: chunked", "x: y\r\n"},
		{"authorization: x", ""},
		{"content_length: 1|x_forwarded_for: b|x_y: z|x: y", "x: y\r\n"}, // as in chunked content
		{":path: /", "malformed"},
		{"X: y", "malformed"},
		{strings.Repeat("x: y|", 65), "malformed"},
	} {
		var a Assembler
		var d Decoder
		got := ""
		h, err := a.Trailer(&d, block(c.in))
		if err != nil {
			got = "malformed"
		} else if h != nil {
			got = string(h.AppendTo(nil))
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.in, got, c.want)
		}
	}
}

// FuzzRequest: whatever a header block makes of a request, HTTP/1 reads it as the same one request, and not a byte more.
func FuzzRequest(f *testing.F) {
	for _, s := range []string{get + "cookie: a|cookie: b", get + "x: y", ":method: POST|:scheme: http|:path: /|host: a.test|te: trailers|content-length: 05"} {
		f.Add(block(s), false)
		f.Add(block(s), true)
	}
	f.Fuzz(func(t *testing.T, b []byte, ended bool) {
		var a Assembler
		var d Decoder
		var r, again h1.Request
		if _, err := a.Request(&d, b, &r, ended, &limits); err != nil {
			return
		}
		text := h1.AppendRequest(nil, &r)
		if r.Continue {
			text = append(text, "Expect: 100-continue\r\n"...)
		}
		text = append(text, "\r\n"...)
		l := limits
		l.Head, l.Fields = 1<<20, 200
		n, err := again.Parse(text, &l)
		if err != nil || n != len(text) {
			t.Fatalf("%q: %d, %v", text, n, err)
		}
		if !bytes.Equal(r.Method, again.Method) || !bytes.Equal(r.Target, again.Target) || !bytes.Equal(r.Host, again.Host) || r.Length != again.Length {
			t.Fatalf("%q: %s %s %s %d, read again: %s %s %s %d", text, r.Method, r.Target, r.Host, r.Length, again.Method, again.Target, again.Host, again.Length)
		}
	})
}

func TestAssemblingAllocatesNothing(t *testing.T) {
	first, later := blocks()
	var a Assembler
	var d Decoder
	var r h1.Request
	for _, b := range [][]byte{first, later} {
		run := func() {
			r.Header.Reset()
			if _, err := a.Request(&d, b, &r, true, &limits); err != nil {
				t.Fatal(err)
			}
		}
		for range 20 {
			run()
		}
		if n := testing.AllocsPerRun(100, run); n > 0 {
			t.Errorf("%v allocations", n)
		}
	}
}

// BenchmarkRequest reads the head of a request whose fields are all in the table: by our decoder, and by golang.org/x/net's.
func BenchmarkRequest(b *testing.B) {
	first, later := blocks()
	b.Run("ours", func(b *testing.B) {
		var a Assembler
		var d Decoder
		var r h1.Request
		b.ReportAllocs()
		a.Request(&d, first, &r, true, &limits)
		for b.Loop() {
			d.memo = nil
			r.Header.Reset()
			a.Request(&d, later, &r, true, &limits)
			d.last = 0
		}
	})
	b.Run("like the one before", func(b *testing.B) {
		var a Assembler
		var d Decoder
		var r h1.Request
		b.ReportAllocs()
		a.Request(&d, first, &r, true, &limits)
		for b.Loop() {
			r.Header.Reset()
			a.Request(&d, later, &r, true, &limits)
		}
	})
	b.Run("new fields", func(b *testing.B) {
		var a Assembler
		var d Decoder
		var r h1.Request
		b.ReportAllocs()
		for b.Loop() {
			r.Header.Reset()
			a.Request(&d, first, &r, true, &limits)
		}
	})
	for name, block := range map[string][]byte{"x/net": later, "x/net new fields": first} {
		b.Run(name, func(b *testing.B) {
			var r h1.Request
			d := hpack.NewDecoder(TableSize, func(f hpack.HeaderField) {
				if f.Name[0] == ':' {
					r.Header.Keep([]byte(f.Value))
				} else {
					r.Header.AddString(f.Name, f.Value)
				}
			})
			b.ReportAllocs()
			d.Write(first)
			for b.Loop() {
				r.Header.Reset()
				d.Write(block)
				d.Close()
			}
		})
	}
}
