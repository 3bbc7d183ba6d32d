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

func TestDiskTiersInWords(t *testing.T) {
	held := pages
	held.Disk = &Disk{Path: "/d", State: "waiting", Trouble: "/d is in use by process 7", Objects: 9, Bytes: 1 << 20, Size: 4 << 30, Hits: 3, Promoted: 2, Stored: 11, Dropped: 4, Evicted: 5, Corrupt: 6, Errors: 7, Slow: 8}
	var b strings.Builder
	s := &Status{Caches: []Cache{pages, held}}
	if err := s.WriteCaches(&b); err != nil {
		t.Fatal(err)
	}
	const want = "\n" +
		"cache  disk  answers  size     of          state    hits  promoted  stored  dropped  evicted  corrupt  errors  slow\n" +
		"pages  /d    9        1.0 MiB  4096.0 MiB  waiting  3     2         11      4        5        6        7       8\n" +
		"cache pages goes on in memory: /d is in use by process 7\n"
	if !strings.HasSuffix(b.String(), want) {
		t.Errorf("%s\nwant at its end\n%s", b.String(), want)
	}
	h := pageHandler(func() *Status { return s })
	for path, wants := range map[string][]string{
		"/":        {`<td data-is="directory">/d<td class="bad" data-is="state">waiting: /d is in use by process 7`, `1.0 MiB of 4096.0 MiB`},
		"/metrics": {`gatehouse_cache_disk_corrupt_total{cache="pages"} 6`, `gatehouse_cache_disk_ready{cache="pages"} 0`, `gatehouse_cache_disk_bytes{cache="pages"} 1.048576e+06`},
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

func TestListing(t *testing.T) {
	path := filepath.Join(socketDir(t), "s")
	want := Listed{Answers: []Answer{
		{Cache: "pages", Backend: "web", URL: "http://a/", Status: 200, Size: 5, Age: 61, TTL: 9, Tier: "both"},
		{Cache: "pages", Backend: "web", URL: "http://a/\x1b[2J", Status: 404, Age: 1, TTL: -3, Tier: "disk", Vary: []string{"Accept", "X-A"}},
	}, More: true}
	var got []Listing
	s, err := OpenSocket(path, false, Process{List: func(l Listing) (*Listed, error) {
		got = append(got, l)
		if l.Cache == "none" {
			return nil, ErrUnknown
		}
		return &want, nil
	}}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c := Dial(path)
	defer c.Close()
	list, err := c.List(t.Context(), Listing{Prefix: "http://a/", Limit: 2})
	if err != nil || !list.More || len(list.Answers) != 2 || got[0] != (Listing{Prefix: "http://a/", Limit: 2}) {
		t.Fatalf("%+v, %v, asked for %+v", list, err, got)
	}
	var b strings.Builder
	if err := list.WriteText(&b); err != nil {
		t.Error(err)
	}
	const text = "" +
		"status  size  age   ttl    tier  vary        url\n" +
		"200     5     1m1s  9s     both  -           http://a/\n" +
		"404     0     1s    stale  disk  Accept,X-A  http://a/ [2J\n"
	if b.String() != text {
		t.Errorf("%q\nwant\n%q", b.String(), text)
	}
	for _, bad := range []Listing{{}, {Limit: MaxListing + 1}, {Cache: "none", Limit: 1}} {
		if _, err := c.List(t.Context(), bad); err == nil {
			t.Errorf("%+v is answered", bad)
		}
	}
	if len(got) != 2 {
		t.Errorf("the process was asked for %+v", got)
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
