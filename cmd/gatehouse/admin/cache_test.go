package admin

import (
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/zap"
)

var pages = Cache{Name: "pages", Keys: 12, Bytes: 3 << 20, Memory: 256 << 20, Hits: 70, Stale: 5, Misses: 30, Collapsed: 10, Passed: 4, Stored: 20, Evicted: 2, Purged: 3, Invalidated: 1}

func TestCachesInWords(t *testing.T) {
	var b strings.Builder
	s := &Status{Caches: []Cache{pages}}
	if err := s.WriteCaches(&b); err != nil {
		t.Fatal(err)
	}
	const want = "" +
		"cache  urls  memory   of         answered  hits  stale  misses  collapsed  passed  stored  evicted  forgotten\n" +
		"pages  12    3.0 MiB  256.0 MiB  80 %      70    5      30      10         4       20      2        4\n"
	if b.String() != want {
		t.Errorf("%s\nwant\n%s", b.String(), want)
	}
	b.Reset()
	if err := s.WriteText(&b); err != nil || !strings.Contains(b.String(), want) {
		t.Errorf("%v, %s", err, b.String())
	}
	b.Reset()
	if err := (&Status{}).WriteCaches(&b); err != nil || b.String() != "no frontend has a cache\n" {
		t.Errorf("%v, %q", err, b.String())
	}
}

func TestCachesOnThePageAndInMetrics(t *testing.T) {
	h := pageHandler(func() *Status { return &Status{Caches: []Cache{pages}} })
	for path, wants := range map[string][]string{
		"/": {`<td data-is="cache">pages`, `3.0 MiB of 256.0 MiB`, `80 %`},
		"/metrics": {
			`gatehouse_cache_requests_total{cache="pages",result="hit"} 65`, `gatehouse_cache_requests_total{cache="pages",result="stale"} 5`,
			`gatehouse_cache_requests_total{cache="pages",result="miss"} 20`, `gatehouse_cache_requests_total{cache="pages",result="collapsed"} 10`,
			`gatehouse_cache_requests_total{cache="pages",result="pass"} 4`, `gatehouse_cache_bytes{cache="pages"} 3.145728e+06`,
		},
	} {
		w, q := httptest.NewRecorder(), httptest.NewRequest("GET", path, nil)
		q.Host = "127.0.0.1"
		h.ServeHTTP(w, q)
		for _, want := range wants {
			if !strings.Contains(w.Body.String(), want) {
				t.Errorf("%s: %d, no %s in\n%s", path, w.Code, want, w.Body)
			}
		}
	}
}

func TestPurgeOverTheSocket(t *testing.T) {
	var got []Purge
	path := filepath.Join(socketDir(t), "s")
	s, err := OpenSocket(path, false, Process{Purge: func(p Purge) (*Purged, error) {
		got = append(got, p)
		if p.Cache == "none" {
			return nil, ErrUnknown
		}
		return &Purged{URLs: 7}, nil
	}}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c := Dial(path)
	defer c.Close()
	order := Purge{Prefix: "http://a/", Cache: "pages"}
	if done, err := c.Purge(t.Context(), order); err != nil || done.URLs != 7 || len(got) != 1 || got[0] != order {
		t.Errorf("%+v, %v, asked for %+v", done, err, got)
	}
	for _, bad := range []Purge{{}, {All: true, Tag: "x"}, {Cache: "none", All: true}} {
		if done, err := c.Purge(t.Context(), bad); err == nil {
			t.Errorf("%+v: %+v", bad, done)
		}
	}
	if len(got) != 2 {
		t.Errorf("the process was asked for %+v", got)
	}
}
