package admin

import (
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// compressing is a status of two frontends, one of which compresses.
func compressing() *Status {
	return &Status{Frontends: []Frontend{{Name: "plain"}, {Name: "www", Compress: &Compress{
		Answers: []Count{{"zstd", 7}, {"br", 0}, {"gzip", 2}}, Copies: 3, In: 8 << 20, Out: 2 << 20,
		Skipped: []Count{{"small", 0}, {"type", 11}, {"private", 4}},
	}}}}
}

func TestCompressInWords(t *testing.T) {
	var b strings.Builder
	s := compressing()
	if err := s.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"compressed by  answers  codings         copies  content  sent     saved  left as they are",
		"www            9        zstd 7, gzip 2  3       8.0 MiB  2.0 MiB  75 %   type 11, private 4",
	}
	if lines := strings.Split(b.String(), "\n"); !slices.Contains(lines, want[0]) || !slices.Contains(lines, want[1]) {
		t.Errorf("%s\nwants\n%s", b.String(), strings.Join(want, "\n"))
	}
	b.Reset()
	s.Frontends = s.Frontends[:1]
	if err := s.WriteText(&b); err != nil || strings.Contains(b.String(), "compressed") {
		t.Errorf("where nothing is compressed: %v\n%s", err, b.String())
	}
	for _, c := range []struct {
		in, out uint64
		want    int
	}{{0, 0, 0}, {100, 1, 99}, {100, 120, 0}, {1 << 50, 1 << 49, 50}} {
		if got := (&Compress{In: c.in, Out: c.out}).Saved(); got != c.want {
			t.Errorf("%d of %d: saved %d %%, want %d", c.out, c.in, got, c.want)
		}
	}
}

func TestCompressOnThePage(t *testing.T) {
	h := pageHandler(compressing)
	for path, wants := range map[string][]string{
		"/": {`<td data-is="codings">zstd 7, gzip 2<`, `data-is="saved">75 %<`, `left as they are">type 11, private 4<`},
		"/metrics": {`gatehouse_compress_answers_total{coding="zstd",frontend="www"} 7`, `gatehouse_compress_answers_total{coding="br",frontend="www"} 0`,
			`gatehouse_compress_copies_total{frontend="www"} 3`, `gatehouse_compress_in_bytes_total{frontend="www"} 8.388608e+06`,
			`gatehouse_compress_out_bytes_total{frontend="www"} 2.097152e+06`, `gatehouse_compress_skipped_total{frontend="www",reason="private"} 4`},
		"/status": {`"compress"`, `"what": "zstd"`},
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "http://127.0.0.1"+path, nil))
		for _, want := range wants {
			if w.Code != 200 || !strings.Contains(w.Body.String(), want) {
				t.Errorf("%s: %d, without %s:\n%s", path, w.Code, want, w.Body)
			}
		}
	}
}
