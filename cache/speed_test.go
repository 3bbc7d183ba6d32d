package cache

import (
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

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

// What is stored stays within its bound, by what the heap really holds: objects of all sizes, of known and of unknown length, in variants,
// some asked for often and most of them hardly ever.
func TestMemoryStaysWithinItsBound(t *testing.T) {
	const budget = 32 << 20
	r := newRig(t, 2, &Config{Memory: budget, MaxObject: 1 << 20})
	defer r.close()
	r.origins(func(x *h1.Exchange) error {
		n := fnv.New64()
		n.Write(x.Req.Target)
		random := rand.New(rand.NewPCG(n.Sum64(), 0))
		size := int(100 * math.Exp(random.Float64()*math.Log(10_000))) // 100 bytes to 1 MB: as many of each order
		head := "HTTP/1.1 200 OK\nCache-Control: max-age=600\nContent-Type: text/html; charset=utf-8\nETag: \"" + string(x.Req.Target) + "\"\n"
		if random.IntN(4) == 0 {
			head += "Vary: Accept-Encoding, Accept-Language\n"
		}
		if random.IntN(2) == 0 {
			return reply(x, head+"\n"+strings.Repeat("x", size))
		}
		if err := parseHead(x, head+"Transfer-Encoding: chunked"); err != nil {
			return err
		}
		p := &pieces{l: x.Loop}
		for size > 0 {
			k := min(size, 1+random.IntN(20000))
			p.list = append(p.list, strings.Repeat("x", k))
			size -= k
		}
		x.Resp.Body = p
		return nil
	})
	live := func() int64 {
		r.cache.store.data.CleanUp()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := live()
	random := rand.New(rand.NewPCG(1, 2))
	zipf := rand.NewZipf(random, 1.05, 1, 1<<20)
	hits, requests := 0, 3000
	if raceEnabled {
		requests = 1000
	}
	for round := range 4 {
		r.onLoop(func(l *loop.Loop) {
			for range requests {
				fields := []string{"", "\nAccept-Encoding: gzip", "\nAccept-Language: en"}[random.IntN(3)]
				if r.serve(l, request{text: fmt.Sprintf("GET /%d%s", zipf.Uint64(), fields)}).hit() {
					hits++
				}
			}
		})
		now, s := live()-before, r.cache.Snapshot()
		if now > budget*5/4 || s.Bytes > budget {
			t.Errorf("round %d: %d KiB are live and %d KiB counted, want at most %d KiB", round, now>>10, s.Bytes>>10, budget>>10)
		}
		if round > 0 && now < budget/2 {
			t.Errorf("round %d: %d KiB are live: hardly used", round, now>>10)
		}
		if raw := float64(now) / float64(s.Bytes); raw < 0.8 || raw > 1.25 {
			t.Errorf("round %d: %.2f bytes are live for each that is counted", round, raw)
		}
	}
	if hits < requests/3 {
		t.Errorf("there were %d hits", hits)
	}
	if r.cache.Stats.Evicted.Load() == 0 {
		t.Error("nothing was pushed out")
	}
}

// What is on its way counts: others make room for it, and have it back if it does not come.
func TestRoomForWhatIsOnItsWay(t *testing.T) {
	for _, broken := range []error{nil, &h1.Error{Status: 502, Side: h1.ByServer, State: 'D'}} {
		bubble(t, 1, &Config{Memory: 16 << 20, MaxObject: 4 << 20}, func(r *rig) {
			r.numbered(100_000)
			for i := range 200 {
				r.get(fmt.Sprintf("/%d", i))
			}
			r.cache.store.data.CleanUp()
			full := r.cache.Snapshot()
			half := content(2_000_000)
			r.streams("HTTP/1.1 200 OK\nCache-Control: max-age=600\nContent-Length: 4000000", time.Second, broken, half, half)
			got := r.start(request{text: "GET /large"})
			time.Sleep(500 * time.Millisecond)
			r.cache.store.data.CleanUp()
			s := r.cache.Snapshot()
			if s.Filling != 4_000_000 || s.Bytes+uint64(s.Filling) > 16<<20+(16<<20)/boundSteps || full.Bytes < 15<<20 || s.Memory != 16<<20 {
				t.Errorf("%d bytes, of which 4,000,000 make %d", full.Bytes, s.Bytes)
			}
			<-got
			if b := r.cache.store.bound.Load(); b != 16<<20 || r.cache.store.data.GetMaximum() != uint64(b) {
				t.Errorf("afterwards there is room for %d", b)
			}
		})
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
