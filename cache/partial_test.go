package cache

import (
	"strings"
	"testing"
	"time"

	"gatehouse/backend/h1"
)

// A part is stored only if it is all there is: then it answers those who want the whole, and those who want other parts.
func TestPartThatIsTheWholeIsStored(t *testing.T) {
	const head = "HTTP/1.1 206 Partial Content\nCache-Control: max-age=60\nETag: \"v1\"\nContent-Type: video/mp4\n"
	for _, c := range []struct {
		name, ask, answer string
		want              bool
	}{
		{"from the first byte on", "Range: bytes=0-", head + "Content-Range: bytes 0-4/5\n\nhello", true},
		{"the last bytes, more than there are", "Range: bytes=-99", head + "Content-Range:  bytes 0-4/5 \n\nhello", true},
		{"not the last one", "Range: bytes=0-3", head + "Content-Range: bytes 0-3/5\n\nhell", false},
		{"not the first one", "Range: bytes=1-", head + "Content-Range: bytes 1-4/5\n\nello", false},
		{"of unknown size", "Range: bytes=0-", head + "Content-Range: bytes 0-4/*\n\nhello", false},
		{"said twice", "Range: bytes=0-", head + "Content-Range: bytes 0-4/5\nContent-Range: bytes 0-9/10\n\nhello", false},
		{"with another length", "Range: bytes=0-", head + "Content-Range: bytes 0-9/10\n\nhello", false},
		{"of something else than bytes", "Range: bytes=0-", head + "Content-Range: lines 0-4/5\n\nhello", false},
		{"of no length", "Range: bytes=0-", head + "Content-Range: bytes 0-4/5\nTransfer-Encoding: chunked\n\nhello", false},
		{"of several parts", "Range: bytes=0-1, 2-4", head + "Content-Type: multipart/byteranges; boundary=x\n\nhello", false},
		{"private", "Range: bytes=0-", head + "Cache-Control: private\nContent-Range: bytes 0-4/5\n\nhello", false},
		{"with a cookie", "Range: bytes=0-", head + "Set-Cookie: a=b\nContent-Range: bytes 0-4/5\n\nhello", false},
		{"for somebody with credentials", "Range: bytes=0-\nAuthorization: x", head + "Content-Range: bytes 0-4/5\n\nhello", false},
	} {
		bubble(t, 1, nil, func(r *rig) {
			r.answers(c.answer)
			a := r.get("/\n" + c.ask)
			_, content, _ := strings.Cut(c.answer, "\n\n")
			if a.status != 206 || a.body != content || !strings.Contains(a.head, "Content-Range") && c.name != "of several parts" {
				t.Errorf("%s: %d %q\n%s", c.name, a.status, a.body, a.head)
			}
			if got := strings.HasSuffix(a.verdict(), "stored"); got != c.want {
				t.Errorf("%s: %s", c.name, a.verdict())
			}
			r.answers("HTTP/1.1 200 OK\nCache-Control: no-store\n\nother")
			want := "other"
			if c.want {
				want = "hello"
			}
			if a = r.get("/"); a.status != 200 || a.body != want || a.hit() != c.want || a.get("Content-Range") != "" {
				t.Errorf("%s: then %d %q, %s\n%s", c.name, a.status, a.body, a.verdict(), a.head)
			}
			if c.want {
				if a = r.get("/\nRange: bytes=1-2"); a.status != 206 || a.body != "el" || a.get("Content-Range") != "bytes 1-2/5" || !a.hit() {
					t.Errorf("%s: of that %d %q, %s", c.name, a.status, a.body, a.verdict())
				}
			}
		})
	}
}

// Others who want the whole read along while such a part comes; when it breaks off, all are told and nothing is stored.
func TestPartThatIsTheWholeIsShared(t *testing.T) {
	const head = "HTTP/1.1 206 Partial Content\nCache-Control: max-age=60\nContent-Range: bytes 0-9/10\nContent-Length: 10"
	for _, list := range [][]string{{"01234", "56789"}, {"01234"}} {
		bubble(t, 2, nil, func(r *rig) {
			var err error
			if len(list) == 1 {
				err = &h1.Error{Status: 502, Side: h1.ByServer, State: 'D'}
			}
			r.streams(head, time.Second, err, list...)
			first := r.start(request{text: "GET /\nRange: bytes=0-"})
			time.Sleep(500 * time.Millisecond)
			second := r.start(request{text: "GET /", loop: 1})
			a, b := <-first, <-second
			if want := strings.Join(list, ""); a.body != want || b.body != want || a.status != 206 || b.status != 200 || (a.err == nil) != (err == nil) || (b.err == nil) != (err == nil) {
				t.Errorf("%d %q %v, %d %q %v", a.status, a.body, a.err, b.status, b.body, b.err)
			}
			r.answers(fresh)
			if c := r.get("/"); c.hit() != (err == nil) {
				t.Errorf("%d pieces: then %s", len(list), c.verdict())
			}
			if n := r.cache.Snapshot().Filling; n != 0 {
				t.Errorf("%d bytes are still being filled", n)
			}
		})
	}
}
