package cache

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"gatehouse/backend/h1"
	"gatehouse/backend/loop"
)

// onLoop runs f as a task and waits for it.
func (r *rig) onLoop(f func(l *loop.Loop)) {
	done := make(chan struct{})
	l := r.loops[0]
	l.Post(func() {
		l.Go(loop.Func(func() {
			defer close(done)
			f(l)
		}))
	})
	<-done
}

// hitter is a client that asks for what is stored, again and again, with one and the same exchange.
type hitter struct {
	x    *h1.Exchange
	text []byte
	size int
}

func newHitter(l *loop.Loop, fields string) *hitter {
	h := &hitter{x: &h1.Exchange{Loop: l}}
	h.text = []byte("GET /page HTTP/1.1\r\nHost: shop.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nAccept: */*\r\n" +
		"Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-US,en;q=0.5\r\nCookie: SERVERID=A\r\n" + fields + "\r\n")
	return h
}

func (h *hitter) ask(c *Cache) string {
	x := h.x
	x.Reset()
	if _, err := x.Req.Parse(h.text, nil); err != nil {
		return err.Error()
	}
	if err := c.RoundTrip(x); err != nil {
		return err.Error()
	}
	h.size = 0
	if x.Resp.Body != nil {
		for last := false; !last; {
			p, err := x.Resp.Body.Next(true)
			if err != nil {
				return err.Error()
			}
			h.size += p.Len()
			last = p.Last
		}
		x.Resp.Body.Close()
	}
	return x.Note.Cache
}

// A hit allocates nothing: it is what the cache is there for.
func TestHitAllocatesNothing(t *testing.T) {
	r := newRig(t, 1, &Config{Query: &Query{Drop: []string{"utm_*"}}, Rules: []*Rule{{Paths: []string{"/x/*"}, TTL: 1}}, RefreshFrom: prefixes("10.0.0.0/8")})
	defer r.close()
	r.answers("HTTP/1.1 200 OK\nCache-Control: max-age=600\nVary: Accept-Encoding, X-Variant\nETag: \"v1\"\n\n" + strings.Repeat("x", 100000))
	for _, c := range []struct {
		fields string
		size   int
	}{
		{"", 100000},
		{"If-None-Match: \"v1\"\r\n", 0},
		{"Range: bytes=10-19\r\n", 10},
		{"Cache-Control: max-age=0\r\n", 100000},
	} {
		r.onLoop(func(l *loop.Loop) {
			h := newHitter(l, c.fields)
			h.ask(r.cache)
			n := testing.AllocsPerRun(1000, func() {
				if s := h.ask(r.cache); s != statusHit || h.size != c.size {
					t.Errorf("%q: %s, %d bytes", c.fields, s, h.size)
				}
			})
			if n != 0 {
				t.Errorf("%q: %v allocations", c.fields, n)
			}
		})
	}
}

func BenchmarkHit(b *testing.B) {
	for _, size := range []int{1 << 10, 16 << 10, 1 << 20} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			r := newRig(nil, 1, nil)
			defer r.close()
			r.answers("HTTP/1.1 200 OK\nCache-Control: max-age=600\nContent-Type: text/html\nETag: \"v1\"\nServer: origin\n\n" + strings.Repeat("x", size))
			r.onLoop(func(l *loop.Loop) {
				h := newHitter(l, "")
				h.ask(r.cache)
				b.ReportAllocs()
				for b.Loop() {
					if s := h.ask(r.cache); s != statusHit {
						b.Fatal(s)
					}
				}
			})
		})
	}
}

// What is stored stays within its bound, whatever is asked for.
func TestMemoryStaysWithinItsBound(t *testing.T) {
	const budget = 16 << 20
	r := newRig(t, 2, &Config{Memory: budget, MaxObject: 1 << 20})
	defer r.close()
	r.origins(func(x *h1.Exchange) error {
		random := rand.New(rand.NewPCG(uint64(len(x.Req.Target)), uint64(x.Req.Target[len(x.Req.Target)-1])))
		size := 200 + random.IntN(60000)
		return reply(x, "HTTP/1.1 200 OK\nCache-Control: max-age=600\n\n"+strings.Repeat("x", size))
	})
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	zipf := rand.NewZipf(rand.New(rand.NewPCG(1, 2)), 1.05, 1, 1<<20)
	hits := 0
	r.onLoop(func(l *loop.Loop) {
		for range 20000 {
			if r.serve(l, request{text: fmt.Sprintf("GET /%d", zipf.Uint64())}).hit() {
				hits++
			}
		}
	})
	r.cache.store.data.CleanUp()
	runtime.GC()
	runtime.ReadMemStats(&after)
	live := int64(after.HeapAlloc) - int64(before.HeapAlloc)
	s := r.cache.Snapshot()
	if live > budget*5/4 || s.Bytes > budget {
		t.Errorf("%d MiB are live and %d MiB counted, want at most %d MiB", live>>20, s.Bytes>>20, budget>>20)
	}
	if live < budget/2 || hits < 1000 {
		t.Errorf("%d MiB are live, and there were %d hits: hardly used", live>>20, hits)
	}
	if r.cache.Stats.Evicted.Load() == 0 {
		t.Error("nothing was pushed out")
	}
}

func TestResize(t *testing.T) {
	r := newRig(t, 1, &Config{Memory: 16 << 20, MaxObject: 1 << 20})
	defer r.close()
	r.answers("HTTP/1.1 200 OK\nCache-Control: max-age=600\n\n" + strings.Repeat("x", 100000))
	r.onLoop(func(l *loop.Loop) {
		for i := range 100 {
			r.serve(l, request{text: fmt.Sprintf("GET /%d", i)})
		}
	})
	next := New(&Config{Memory: 2 << 20, MaxObject: 1 << 20}, nil, Options{Loops: r.loops, Former: r.cache})
	if s := r.cache.Snapshot(); s.Memory != 16<<20 {
		t.Errorf("a configuration that does not serve yet: %+v", s)
	}
	next.TakeOver()
	r.cache.store.data.CleanUp()
	if s := r.cache.Snapshot(); s.Bytes > 2<<20 || s.Keys > 21 || s.Memory != 2<<20 {
		t.Errorf("%+v", s)
	}
}
