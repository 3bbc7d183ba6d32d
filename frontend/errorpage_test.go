package frontend

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// own are the statuses the proxy sends of its own accord.
var own = []int{400, 403, 404, 405, 408, 413, 414, 417, 421, 429, 431, 500, 501, 502, 503, 504, 505}

// readPage reads a page as a client would.
func readPage(t *testing.T, status int) (*http.Response, string) {
	t.Helper()
	head, body := ErrorPage(status)
	msg := bytes.Join([][]byte{head, []byte("Connection: close\r\n\r\n"), body}, nil)
	r, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(msg)), nil)
	if err != nil {
		t.Fatalf("page %d: %v", status, err)
	}
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatalf("page %d: %v", status, err)
	}
	return r, string(b)
}

func TestErrorPagesAreWholeAnswers(t *testing.T) {
	for _, status := range own {
		r, body := readPage(t, status)
		if r.StatusCode != status || r.Status != fmt.Sprintf("%d %s", status, reason(status)) {
			t.Errorf("page %d: status line says %q", status, r.Status)
		}
		if r.ContentLength != int64(len(body)) {
			t.Errorf("page %d: Content-Length %d, body of %d bytes", status, r.ContentLength, len(body))
		}
		if got := r.Header.Get("Content-Type"); got != "text/html; charset=utf-8" {
			t.Errorf("page %d: Content-Type %q", status, got)
		}
		if got := r.Header.Get("Cache-Control"); got != "no-store" {
			t.Errorf("page %d: Cache-Control %q", status, got)
		}
		if !strings.Contains(body, "<title>"+r.Status+"</title>") || !strings.Contains(body, "<p>") {
			t.Errorf("page %d does not name and explain itself:\n%s", status, body)
		}
		if !strings.HasPrefix(body, "<!doctype html>\n") || !strings.HasSuffix(body, "</html>\n") {
			t.Errorf("page %d is no whole page:\n%s", status, body)
		}
		for _, outside := range []string{"http:", "https:", "src=", "href=", "url(", "@import", "%!"} {
			if strings.Contains(body, outside) {
				t.Errorf("page %d needs something from outside: %q", status, outside)
			}
		}
		if len(body) > 1000 {
			t.Errorf("page %d has %d bytes", status, len(body))
		}
	}
}

func TestErrorPageOfAnyStatus(t *testing.T) {
	for status := range 700 {
		if status >= 100 && status < 200 {
			continue // no client reads these as final answers
		}
		r, body := readPage(t, status)
		want := status
		if status < 100 || status > 599 {
			want = 500
		}
		if r.StatusCode != want {
			t.Fatalf("page %d: status %d, want %d", status, r.StatusCode, want)
		}
		if none := want == 204 || want == 205 || want == 304; none != (body == "") {
			t.Errorf("page %d: %d bytes of content", status, len(body))
		}
	}
	if head, body := ErrorPage(101); string(head) != "HTTP/1.1 101 Switching Protocols\r\n" || body != nil {
		t.Errorf("page 101: %q %q", head, body)
	}
}

func TestErrorPageIsBuiltOnce(t *testing.T) {
	if first, again := pageOf(503), pageOf(503); first != again {
		t.Error("page 503 was built twice")
	}
	if n := testing.AllocsPerRun(100, func() { ErrorPage(503) }); n != 0 {
		t.Errorf("%v allocations for a page already built", n)
	}
}

func TestReasonsAgreeWithNetHTTP(t *testing.T) {
	// net/http keeps the phrases of older RFCs for these.
	newer := map[int]string{
		413: "Content Too Large", 414: "URI Too Long", 416: "Range Not Satisfiable", 422: "Unprocessable Content",
	}
	for status := -1; status < 1000; status++ {
		want := http.StatusText(status)
		if s, ok := newer[status]; ok {
			want = s
		}
		if got := reason(status); got != want {
			t.Errorf("reason(%d) = %q, want %q", status, got, want)
		}
	}
}
