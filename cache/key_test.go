package cache

import (
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/backend/h1"
	"gatehouse/backend/loop"
)

func TestQuery(t *testing.T) {
	for _, c := range []struct {
		query  Query
		target string
		want   string
	}{
		{Query{Drop: []string{"utm_*", "fbclid"}}, "/p?a=1&utm_source=x&fbclid=y&b=2", "/p?a=1&b=2"},
		{Query{Drop: []string{"utm_*"}}, "/p?utm_source=x", "/p"},
		{Query{Drop: []string{"utm_*"}}, "/p?utm=1&xutm_=2", "/p?utm=1&xutm_=2"},
		{Query{Drop: []string{"x"}}, "/p?x&x=&x=1&y", "/p?y"},
		{Query{Drop: []string{"x"}}, "/p?X=1", "/p?X=1"},
		{Query{Drop: []string{"x"}}, "/p?", "/p?"},
		{Query{Sort: true}, "/p?b=2&a=1&b=1&c", "/p?a=1&b=2&b=1&c"},
		{Query{Sort: true}, "/p?a-b=1&a=2", "/p?a=2&a-b=1"},
		{Query{Sort: true}, "/p", "/p"},
	} {
		if got := string(newQuery(&c.query).appendTarget(nil, []byte(c.target))); got != c.want {
			t.Errorf("%+v: %s becomes %s, want %s", c.query, c.target, got, c.want)
		}
	}
}

// FuzzQuery: normalising twice changes nothing, what is left was there before, and the path stays.
func FuzzQuery(f *testing.F) {
	for _, s := range []string{"/p?a=1&utm_x=2", "/?", "/?&&", "/?=&=", "/p?b&a&b=1", "/p"} {
		f.Add(s)
	}
	q := newQuery(&Query{Sort: true, Drop: []string{"utm_*", "x"}})
	f.Fuzz(func(t *testing.T, target string) {
		once := q.appendTarget(nil, []byte(target))
		if twice := q.appendTarget(nil, once); string(twice) != string(once) {
			t.Errorf("%q becomes %q and then %q", target, once, twice)
		}
		path, query, _ := strings.Cut(target, "?")
		if !strings.HasPrefix(string(once), path) {
			t.Errorf("%q becomes %q", target, once)
		}
		all := strings.Split(query, "&")
		_, left, _ := strings.Cut(string(once), "?")
		for p := range strings.SplitSeq(left, "&") {
			if p != "" && !slices.Contains(all, p) {
				t.Errorf("%q: %q was not there", target, p)
			}
		}
	})
}

// What makes no difference to the key does not reach the server, and the log has what the client asked for.
func TestServerIsSentTheKeyedQuery(t *testing.T) {
	bubble(t, 1, &Config{Query: &Query{Drop: []string{"utm_*"}}}, func(r *rig) {
		r.answers(fresh)
		r.get("/page?utm_source=evil&a=1")
		if r.seen[0] != "GET /page?a=1" {
			t.Errorf("the server was asked %q", r.seen[0])
		}
		if a := r.get("/page?a=1&utm_source=good"); !a.hit() {
			t.Error(a.verdict())
		}
		r.onLoop(func(l *loop.Loop) {
			x := &h1.Exchange{Loop: l}
			x.Reset()
			r.exchange(x, request{text: "GET /other?utm_source=x&b=1"})
			if string(x.Req.Target) != "/other?utm_source=x&b=1" {
				t.Errorf("afterwards the target is %q", x.Req.Target)
			}
		})
		r.do(request{text: "POST /page?utm_source=x&a=1"})
		if a := r.get("/page?a=1"); a.hit() {
			t.Error("POST with a parameter that makes no difference left it stored")
		}
	})
}

func TestMarks(t *testing.T) {
	var m marks
	const h = 0xabcdef0123456789
	at := int64(5 * time.Hour / time.Millisecond)
	m.set(h, at)
	for _, c := range []struct {
		name string
		hash uint64
		now  int64
		want bool
	}{
		{"at once", h, at, true},
		{"just before its end", h, at + 119*second, true},
		{"at its end", h, at + 120*second, false},
		{"much later", h, at + 1<<40, false},
		{"another key in its place", h ^ 1<<63, at, false},
		{"another place", h + 1, at, false},
	} {
		if got := m.has(c.hash, c.now); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	m.clear(h ^ 1<<63)
	if !m.has(h, at) {
		t.Error("cleared by another key")
	}
	m.clear(h)
	if m.has(h, at) {
		t.Error("not cleared")
	}
	over := int64(1<<timeBits-10) * second
	m.set(h, over)
	if !m.has(h, over+60*second) || m.has(h, over+121*second) {
		t.Error("when the seconds run over")
	}
	var empty marks
	if empty.has(0, 0) || empty.has(1, 0) {
		t.Error("an empty table has a mark")
	}
}
