package cache

import (
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"
)

// RFC 9110 14 and 15.3.7.
func TestRangesFromMemory(t *testing.T) {
	const content = "0123456789"
	for _, c := range []struct {
		fields string
		status int
		body   string
		where  string // Content-Range
	}{
		{"Range: bytes=0-4", 206, "01234", "bytes 0-4/10"},
		{"Range: bytes=5-", 206, "56789", "bytes 5-9/10"},
		{"Range: bytes=-3", 206, "789", "bytes 7-9/10"},
		{"Range: bytes=-30", 206, content, "bytes 0-9/10"},
		{"Range: bytes=5-99", 206, "56789", "bytes 5-9/10"},
		{"Range: BYTES=9-9", 206, "9", "bytes 9-9/10"},
		{"Range: bytes=, 1-1 ,", 206, "1", "bytes 1-1/10"},
		{"Range: bytes=20-, 1-1", 206, "1", "bytes 1-1/10"},
		{"Range: bytes=10-", 416, "", "bytes */10"},
		{"Range: bytes=-0", 416, "", "bytes */10"},
		{"Range: bytes=99999999999999999999999-", 416, "", "bytes */10"},
		{"Range: bytes=5-4", 200, content, ""},
		{"Range: bytes=a-b", 200, content, ""},
		{"Range: bytes=", 200, content, ""},
		{"Range: bytes", 200, content, ""},
		{"Range: lines=1-2", 200, content, ""},
		{"Range: bytes=0-4, 4-5", 200, content, ""},
		{"Range: bytes=0-0\nRange: bytes=1-1", 200, content, ""},
		{"Range: bytes=0-4\nIf-Range: \"v1\"", 206, "01234", "bytes 0-4/10"},
		{"Range: bytes=0-4\nIf-Range: \"v2\"", 200, content, ""},
		{"Range: bytes=0-4\nIf-Range: W/\"v1\"", 200, content, ""},
		{"Range: bytes=0-4\nIf-Range: Thu, 30 Dec 1999 00:00:00 GMT", 206, "01234", "bytes 0-4/10"},
		{"Range: bytes=0-4\nIf-Range: Thu, 30 Dec 1999 00:00:01 GMT", 200, content, ""},
		{"Range: bytes=0-4\nIf-None-Match: \"v1\"", 304, "", ""},
	} {
		bubble(t, 1, nil, func(r *rig) {
			r.answers("HTTP/1.1 200 OK\nCache-Control: max-age=60\nETag: \"v1\"\nLast-Modified: Thu, 30 Dec 1999 00:00:00 GMT\n\n" + content)
			r.get("/page")
			a := r.get("/page\n" + c.fields)
			if a.status != c.status || a.body != c.body || a.get("Content-Range") != c.where || !a.hit() {
				t.Errorf("%q: %d %q %s, %s", c.fields, a.status, a.body, a.get("Content-Range"), a.verdict())
			}
			if n := a.get("Content-Length"); a.status != 304 && n != strconv.Itoa(len(c.body)) {
				t.Errorf("%q: Content-Length %s", c.fields, n)
			}
			if a = r.do(request{text: "HEAD /page\n" + c.fields}); a.status != 200 && a.status != 304 {
				t.Errorf("HEAD, %q: %d", c.fields, a.status)
			}
		})
	}
}

func TestSeveralRanges(t *testing.T) {
	content := strings.Repeat("0123456789abcdef", 10000) // more than two chunks
	bubble(t, 1, nil, func(r *rig) {
		r.answers("HTTP/1.1 200 OK\nCache-Control: max-age=60\nContent-Type: text/plain\n\n" + content)
		r.get("/page")
		a := r.get("/page\nRange: bytes=65530-131080, 0-3, -5")
		kind, params, err := mime.ParseMediaType(a.get("Content-Type"))
		if a.status != 206 || kind != "multipart/byteranges" || err != nil || a.get("Content-Length") != strconv.Itoa(len(a.body)) {
			t.Fatalf("%d %s, %v", a.status, a.head, err)
		}
		parts := multipart.NewReader(strings.NewReader(a.body), params["boundary"])
		for _, want := range []span{{65530, 131081}, {0, 4}, {159995, 160000}} {
			p, err := parts.NextPart()
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(p)
			if err != nil || string(b) != content[want.from:want.to] || p.Header.Get("Content-Type") != "text/plain" ||
				p.Header.Get("Content-Range") != fmt.Sprintf("bytes %d-%d/160000", want.from, want.to-1) {
				t.Errorf("%v: %d bytes, %v, %v", want, len(b), p.Header, err)
			}
		}
		if _, err := parts.NextPart(); err != io.EOF {
			t.Error(err)
		}
		many := "0-0"
		for i := range 16 {
			many += fmt.Sprintf(",%d-%d", 2*i+2, 2*i+2)
		}
		if a := r.get("/page\nRange: bytes=" + many); a.status != 200 || a.body != content {
			t.Errorf("17 ranges: %d", a.status)
		}
	})
}

func TestLargeContentComesBackAsItWas(t *testing.T) {
	for _, size := range []int{1, chunkSize - 1, chunkSize, chunkSize + 1, 3*chunkSize + 7} {
		for _, framing := range []string{"Content-Length: " + strconv.Itoa(size), "Transfer-Encoding: chunked"} {
			bubble(t, 1, nil, func(r *rig) {
				content := strings.Repeat("0123456789abcde", size/15+1)[:size]
				var list []string
				for rest := content; rest != ""; {
					n := min(len(rest), 1000)
					list, rest = append(list, rest[:n]), rest[n:]
				}
				r.streams("HTTP/1.1 200 OK\nCache-Control: max-age=60\n"+framing, 0, nil, list...)
				if a := r.get("/page"); a.body != content {
					t.Errorf("%d, %s: the first got %d bytes", size, framing, len(a.body))
				}
				a := r.get("/page")
				if !a.hit() || a.body != content {
					t.Errorf("%d, %s: %s, %d bytes", size, framing, a.verdict(), len(a.body))
				}
				if got, most := r.cache.Snapshot().Bytes, uint64(size+size/8+2000); got > most {
					t.Errorf("%d, %s: takes %d bytes, want at most %d", size, framing, got, most)
				}
			})
		}
	}
}

// FuzzRanges: what is taken for ranges lies inside the content, does not overlap, and is what net/http takes it for.
func FuzzRanges(f *testing.F) {
	for _, s := range []string{"bytes=0-4", "bytes=-3", "bytes=5-", "bytes=0-0,2-2", "bytes=9-1", "bytes= 1-2 , 4-", "bytes=-", "x=1-2", "bytes=-0,-1"} {
		f.Add(s, uint16(10))
	}
	content := strings.Repeat("x", 1<<16)
	f.Fuzz(func(t *testing.T, s string, size uint16) {
		list, ok := parseRanges(nil, []byte(s), int64(size))
		total := int64(0)
		for i, a := range list {
			if a.from < 0 || a.from >= a.to || a.to > int64(size) {
				t.Fatalf("%q of %d: %v", s, size, a)
			}
			for _, b := range list[:i] {
				if a.from < b.to && b.from < a.to {
					t.Fatalf("%q of %d: %v and %v", s, size, a, b)
				}
			}
			total += a.to - a.from
		}
		if !ok || len(list) != 1 || strings.ContainsAny(s, ",\r\n") {
			return // of several, net/http counts the empty ones too
		}
		w, q := httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)
		q.Header.Set("Range", s)
		http.ServeContent(w, q, "", time.Time{}, strings.NewReader(content[:size]))
		if w.Code == 206 && w.Header().Get("Content-Range") != string(appendContentRange(nil, list[0], int64(size))) {
			t.Errorf("%q of %d: %v, net/http %s", s, size, list, w.Header().Get("Content-Range"))
		}
	})
}
