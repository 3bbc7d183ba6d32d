package house_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

// inflated decodes the content of an answer by its Content-Encoding.
func inflated(a *answer) (string, error) {
	var r io.Reader = strings.NewReader(a.body)
	var err error
	switch coding := a.Get("Content-Encoding"); coding {
	case "":
	case "gzip":
		r, err = gzip.NewReader(r)
	case "br":
		r = brotli.NewReader(r)
	case "zstd":
		var d *zstd.Decoder
		if d, err = zstd.NewReader(r, zstd.WithDecoderConcurrency(1)); err == nil {
			defer d.Close()
			r = d
		}
	default:
		err = fmt.Errorf("coding %q", coding)
	}
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(r)
	return string(b), err
}

// novel is a text that gets smaller, of 100,000 bytes.
var novel = strings.Repeat("It was the best of times, it was the worst of times.\n", 2000)[:100_000]

// TestCompression over the whole way, with the cache in front of servers: it keeps what the server sent, and its conditions and ranges go by
// that, whatever clients take.
func TestCompression(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, func(w *wire) {
		for {
			q, err := w.request()
			if err != nil {
				return
			}
			if _, ok := field(q.head, "If-None-Match"); ok {
				w.send("HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\n\r\n")
				continue
			}
			control := "Cache-Control: max-age=600\r\n"
			if strings.HasPrefix(q.target, "/live") {
				control = "Cache-Control: no-store\r\n"
			}
			body := novel
			if q.method == "HEAD" {
				body = ""
			}
			w.send(fmt.Sprintf("HTTP/1.1 200 OK\r\n%sContent-Type: text/html\r\nETag: \"1\"\r\nContent-Length: %d\r\n\r\n%s", control, len(novel), body))
		}
	})
	s := newLodge(t, cached("compress {}\nroute {\n paths = [\"/plain\"]\n backend = backend.app\n compress = false\n}\n", o))
	c := s.client("www")
	ask := func(method, path, more string) *answer {
		t.Helper()
		return c.ask(method + " " + path + " HTTP/1.1\r\nHost: a.test\r\nCookie: SERVERID=A\r\n" + more + "\r\n")
	}
	// What nobody may keep is compressed as long as the server cannot know who asked: it does not get to see the persistence cookie.
	for _, path := range []string{"/page", "/live", "/live/own"} {
		for i, coding := range []string{"zstd", "br", "gzip", "gzip", "", "zstd"} {
			accept := "Accept-Encoding: " + coding + "\r\n"
			if coding == "" {
				accept = ""
			}
			if path == "/live/own" {
				accept += "Cookie: session=1\r\n"
			}
			a := ask("GET", path, accept)
			text, err := inflated(a)
			if text != novel || err != nil {
				t.Fatalf("%s %s: %d bytes, %v", path, coding, len(text), err)
			}
			tag, want := a.Get("ETag"), coding
			if path == "/live/own" {
				want = "" // the answer to a client whom the server knows
			}
			if got := a.Get("Content-Encoding"); got != want || (tag == `W/"1"`) != (want != "") || a.Get("Vary") != "Accept-Encoding" {
				t.Errorf("%s %s: %s", path, coding, a.head)
			}
			if path == "/page" && i > 0 && (!strings.Contains(a.Get("Cache-Status"), "hit") || a.Get("Content-Length") != fmt.Sprint(len(a.body))) {
				t.Errorf("%s: no hit, or of unknown length: %s", coding, a.head)
			}
		}
	}
	if a := ask("HEAD", "/page", "Accept-Encoding: gzip\r\n"); a.Get("Content-Encoding") != "gzip" || a.Get("ETag") != `W/"1"` || a.Get("Content-Length") != "" {
		t.Errorf("HEAD: %s", a.head)
	}
	if a := ask("GET", "/page", "Accept-Encoding: gzip\r\nIf-None-Match: W/\"1\"\r\n"); a.status != 304 || a.Get("ETag") != `W/"1"` {
		t.Errorf("a condition: %s", a.head)
	}
	if a := ask("GET", "/page", "Accept-Encoding: gzip\r\nRange: bytes=7-15\r\n"); a.status != 206 || a.body != novel[7:16] || a.Get("Content-Encoding") != "" || a.Get("ETag") != `"1"` {
		t.Errorf("a part: %s %q", a.head, a.body)
	}
	if a := ask("GET", "/plain", "Accept-Encoding: gzip\r\n"); a.body != novel || a.Get("Vary") != "" {
		t.Errorf("where it is switched off: %s", a.head)
	}
	// A reload that leaves the block as it is keeps the copies; one that takes it out, and brings it back, works too.
	for i, front := range []string{"max_connections = 10\ncompress {}\n", "", "compress { algorithms = [\"gzip\"] }\n"} {
		s.reload(cached(front, o))
		a := ask("GET", "/page", "Accept-Encoding: zstd, gzip\r\n")
		text, err := inflated(a)
		if got := a.Get("Content-Encoding"); text != novel || err != nil || got != []string{"zstd", "", "gzip"}[i] {
			t.Errorf("after reload %d: %s, %v", i, a.head, err)
		}
	}
}

// TestCurlCompressed: what a common client makes of it.
func TestCurlCompressed(t *testing.T) {
	t.Parallel()
	curl := program(t, "curl")
	o := newOrigin(t, say("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"+
		fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(novel), novel)))
	r := build(t, plan{servers: []*origin{o}, front: "compress {}"})
	codings := []string{"gzip", "br", "zstd", "gzip;q=0.5, br;q=0.1"}
	for _, coding := range codings {
		out, err := exec.Command(curl, "-sS", "--http1.1", "--compressed", "-H", "Accept-Encoding: "+coding, "-w", "%{size_download}", "http://"+r.addr+"/").CombinedOutput()
		text, size, ok := bytes.Cut(out, []byte(novel))
		if bytes.Contains(out, []byte("Unrecognized content encoding")) {
			t.Logf("this curl does not know %s", coding)
			continue
		}
		if err != nil || !ok || len(text) > 0 || len(size) == 0 || len(size) > 4 {
			t.Errorf("%s: %v, %d bytes, size %q", coding, err, len(out), size)
		}
	}
	if c := r.h.Status().Frontends[0].Compress; c.Codings() != "zstd 1, br 1, gzip 2" || c.In != uint64(len(codings)*len(novel)) || c.Out == 0 || c.Out > 5000 {
		t.Errorf("counted are %+v", c)
	}
}
