package h2

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"

	"gatehouse/backend/h1"
)

// packed makes a header block of lines "name: value".
func packed(lines ...string) []byte {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	for _, l := range lines {
		i := strings.Index(l[1:], ": ") + 1
		e.WriteField(hpack.HeaderField{Name: l[:i], Value: l[i+2:]})
	}
	return b.Bytes()
}

func TestResponseLengths(t *testing.T) {
	for _, tt := range []struct {
		name   string
		method string
		ended  bool
		lines  []string
		want   string // framing, length, header
	}{
		{"length", "GET", false, []string{":status: 200", "content-length: 5"}, `by length 5 "content-length: 5\r\n"`},
		{"no length", "GET", false, []string{":status: 200", "trailer: x"}, `chunked -1 "trailer: x\r\n"`},
		{"ended", "GET", true, []string{":status: 200", "trailer: x"}, `no content 0 "Content-Length: 0\r\n"`},
		{"ended, and said so", "GET", true, []string{":status: 200", "content-length: 0"}, `no content 0 "content-length: 0\r\n"`},
		{"HEAD", "HEAD", true, []string{":status: 200", "content-length: 5"}, `no content 5 "content-length: 5\r\n"`},
		{"HEAD without length", "HEAD", true, []string{":status: 200"}, `no content -1 ""`},
		{"304", "GET", true, []string{":status: 304", "content-length: 5"}, `no content 5 "content-length: 5\r\n"`},
		{"204", "GET", true, []string{":status: 204", "content-length: 5"}, `no content 0 ""`},
		{"octal at a glance", "GET", false, []string{":status: 200", "content-length: 010"}, `by length 10 "content-length: 10\r\n"`},
		{"interim", "GET", false, []string{":status: 103", "link: </a>"}, `no content 0 "link: </a>\r\n"`},
		{"for the next hop", "GET", true, []string{":status: 200", "te: trailers", "proxy-authenticate: Basic", "content-length: 0"}, `no content 0 "content-length: 0\r\n"`},
	} {
		var d Decoder
		var r h1.Response
		if err := Response(&d, packed(tt.lines...), &r, []byte(tt.method), tt.ended); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if got := fmt.Sprintf("%v %d %q", r.Framing, r.Length, r.Header.AppendTo(nil)); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// TestAppendRequest: what a server of HTTP/2 gets of a request.
func TestAppendRequest(t *testing.T) {
	q := h1.Request{Method: []byte("PATCH"), Target: []byte("/a?b"), Trailers: true, Continue: true}
	for _, l := range []string{"Host: a.test", "X-Up: 1", "Connection: close", "Transfer-Encoding: chunked", "Cookie: a=1; b=2"} {
		name, value, _ := strings.Cut(l, ": ")
		q.Header.AddString(name, value)
	}
	fields := func(secure bool) string {
		list, err := hpack.NewDecoder(4096, nil).DecodeFull(AppendRequest(nil, &q, secure))
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		for _, f := range list {
			fmt.Fprintf(&b, "%s=%s|", f.Name, f.Value)
		}
		return b.String()
	}
	if got, want := fields(true), ":method=PATCH|:scheme=https|:authority=a.test|:path=/a?b|x-up=1|cookie=a=1; b=2|te=trailers|expect=100-continue|"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	q = h1.Request{Method: []byte("GET"), Target: []byte("/")}
	if got, want := fields(false), ":method=GET|:scheme=http|:path=/|"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// FuzzResponse: whatever a server sends, what is made of it can be written as HTTP/1 and read again as the same.
func FuzzResponse(f *testing.F) {
	for _, lines := range [][]string{
		{":status: 200", "content-length: 5", "x: y"}, {":status: 103", "link: </a>"}, {":status: 200", "connection: close"},
		{":status: 200", "grpc-status: 0"}, {"x: y", ":status: 200"}, {":status: 304", "etag: \"x\""}, {":status: 101", "upgrade: x"},
	} {
		f.Add(packed(lines...), false, false)
		f.Add(packed(lines...), true, true)
	}
	f.Fuzz(func(t *testing.T, block []byte, ended, head bool) {
		method := []byte("GET")
		if head {
			method = []byte("HEAD")
		}
		var d Decoder
		var r, again h1.Response
		if err := Response(&d, block, &r, method, ended); err != nil {
			he, ours := errors.AsType[*h1.Error](err)
			if _, fatal := errors.AsType[*Error](err); !fatal && (!ours || he.Status != 502 || he.Side != h1.ByServer) || r.Header.Len() > 0 {
				t.Errorf("%v, %d fields", err, r.Header.Len())
			}
			return
		}
		b := h1.AppendStatusLine(nil, &r)
		b = r.Header.AppendTo(b)
		if r.Framing == h1.Chunked {
			b = append(b, "Transfer-Encoding: chunked\r\n"...)
		}
		b = append(b, "\r\n"...)
		if n, err := again.Parse(b, method, nil); err != nil || n != len(b) {
			t.Fatalf("%q: %d, %v", b, n, err)
		}
		if r.Framing == h1.ByLength && r.Length == 0 { // the end of the stream is still to come
			r.Framing = h1.NoContent
		}
		if again.Status != r.Status || again.Framing != r.Framing || again.Length != r.Length {
			t.Errorf("%q: %d %v %d, and again %d %v %d", b, r.Status, r.Framing, r.Length, again.Status, again.Framing, again.Length)
		}
		var trailer h1.Header
		var d2 Decoder
		if ResponseTrailer(&d2, block, &trailer) == nil {
			for i := range trailer.Len() {
				if id, name, _ := trailer.At(i); !h1.MayTrail(id, name) {
					t.Errorf("the trailer %q", name)
				}
			}
		}
	})
}
