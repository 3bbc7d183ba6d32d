package cache

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/backend/h1"
	"gatehouse/backend/loop"
)

// TestPurgesAmongFillsAndReloads: whatever is going on, who asks after a purge has ended gets nothing from before it; and memory is neither lost nor
// exceeded, whatever configuration took over meanwhile.
func TestPurgesAmongFillsAndReloads(t *testing.T) {
	const urls, purges, reloads = 20, 40, 20
	var contents [urls]string
	for n := range contents {
		contents[n] = content(n * n * n * 60)
	}
	disked(t, func(t *testing.T, dir string) {
		r := newRig(t, 2, onDisk(dir))
		var version atomic.Int64
		version.Store(1)
		var purged atomic.Int64 // the version when the last purge began that has ended
		r.origins(func(x *h1.Exchange) error {
			v := version.Load()
			n := 0
			fmt.Sscanf(string(x.Req.Target), "/%d", &n)
			x.Loop.Sleep(time.Duration(n%4) * 20 * time.Millisecond)
			body := fmt.Sprintf("%d:%s", v, contents[n])
			if err := parseHead(x, fmt.Sprintf("HTTP/1.1 200 OK\nCache-Control: max-age=600\nSurrogate-Key: all u%d\nContent-Length: %d", n, len(body))); err != nil {
				return err
			}
			x.Resp.Body = &pieces{l: x.Loop, list: []string{body[:len(body)/2], body[len(body)/2:]}, pause: time.Duration(n%3) * 20 * time.Millisecond}
			return nil
		})
		var mu sync.Mutex // guards now
		now := r.cache
		current := func() *Cache {
			mu.Lock()
			defer mu.Unlock()
			return now
		}
		stop := make(chan struct{})
		var clients, others sync.WaitGroup
		var hits, asked atomic.Int64
		for i := range 8 {
			random := rand.New(rand.NewPCG(uint64(i), 3))
			clients.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					n := random.IntN(urls)
					least := purged.Load() // before the request begins
					one := &rig{t: t, loops: r.loops, cache: current()}
					done := make(chan *answer, 1)
					l := r.loops[i%2]
					l.Post(func() {
						l.Go(loop.Func(func() { done <- one.serve(l, request{text: fmt.Sprintf("GET /%d", n), loop: i % 2}) }))
					})
					a := <-done
					var v int64
					fmt.Sscanf(a.body, "%d:", &v)
					asked.Add(1)
					if a.hit() {
						hits.Add(1)
					}
					if want := fmt.Sprintf("%d:%s", v, contents[n]); a.err != nil || a.body != want || v < least {
						t.Errorf("/%d: version %d, at least %d wanted, %d of %d bytes, %v, %s", n, v, least, len(a.body), len(want), a.err, a.verdict())
					}
					time.Sleep(time.Duration(random.IntN(40)) * time.Millisecond)
				}
			})
		}
		others.Go(func() { // whoever forgets
			random := rand.New(rand.NewPCG(9, 9))
			for range purges {
				v := version.Add(1)
				switch c := current(); random.IntN(4) {
				case 0:
					c.PurgeAll()
				case 1:
					c.PurgePrefix("http://shop.example.com/")
				case 2:
					c.PurgeTag("all")
				default:
					for n := range urls {
						c.PurgeURL(fmt.Sprintf("http://shop.example.com/%d", n))
					}
				}
				purged.Store(v)
				time.Sleep(time.Duration(random.IntN(1000)) * time.Millisecond)
			}
		})
		others.Go(func() { // whoever reloads
			random := rand.New(rand.NewPCG(5, 5))
			for range reloads {
				c := &Config{Memory: int64(2+random.IntN(16)) << 20, MaxObject: 4 << 20}
				if k := random.IntN(4); k > 0 {
					c.Disk = &Disk{Path: fmt.Sprint(dir, k%2), Size: int64(1+random.IntN(32)) << 20}
				}
				next := New(c, h1.RoundTripFunc(r.ask), Options{Loops: r.loops, Backend: "web", Former: current()})
				next.TakeOver()
				mu.Lock()
				now = next
				mu.Unlock()
				time.Sleep(time.Duration(random.IntN(2000)) * time.Millisecond)
			}
		})
		others.Wait()
		close(stop)
		clients.Wait()
		sleep(2 * time.Minute)
		c := current()
		c.store.data.CleanUp()
		if s := c.Snapshot(); s.Filling != 0 || s.Bytes > s.Memory || int64(s.Memory) != c.c.Memory || c.store.bound.Load() != c.c.Memory {
			t.Errorf("%+v", s)
		}
		if hits.Load() < asked.Load()/10 {
			t.Errorf("%d hits of %d", hits.Load(), asked.Load())
		}
		r.cache = c
		r.close()
	})
}

// Who asks after a purge does not read along with what was asked for before it, and an answer to a question from before is not stored, even where
// nobody was expected to wait for it.
func TestQuestionsFromBeforeAPurge(t *testing.T) {
	for _, c := range []struct {
		name  string
		purge func(c *Cache)
	}{
		{"all", func(c *Cache) { c.PurgeAll() }},
		{"prefix", func(c *Cache) { c.PurgePrefix("http://shop.example.com/") }},
		{"tag", func(c *Cache) { c.PurgeTag("x") }},
		{"URL", func(c *Cache) { c.PurgeURL("http://shop.example.com/page") }},
	} {
		for _, marked := range []bool{false, true} {
			bubble(t, 2, nil, func(r *rig) {
				if marked {
					r.answers("HTTP/1.1 200 OK\nCache-Control: private\n\nmine")
					r.get("/page")
				}
				const head = "HTTP/1.1 200 OK\nCache-Control: max-age=60\nCache-Tag: x"
				if marked { // the head comes after the purge, and nobody waits for it
					r.slowly(time.Second, head+"\n\nold")
				} else { // the head is here, and who joins reads along
					r.streams(head+"\nContent-Length: 3", time.Second, nil, "o", "ld")
				}
				first := r.start(request{text: "GET /page"})
				time.Sleep(500 * time.Millisecond)
				r.answers(head + "\n\nnew")
				c.purge(r.cache)
				if !marked {
					if a := <-r.start(request{text: "GET /page", loop: 1}); a.body != "new" {
						t.Errorf("%s: %q, %s", c.name, a.body, a.verdict())
					}
				}
				if a := <-first; a.body != "old" {
					t.Errorf("%s, marked %v: %q", c.name, marked, a.body)
				}
				if a := r.get("/page"); a.body != "new" {
					t.Errorf("%s, marked %v: then %q, %s", c.name, marked, a.body, a.verdict())
				}
			})
		}
	}
}

// A directory that a reload has given up comes back empty: what was purged meanwhile must not come back with it. One that a process has closed at its
// end is as it was.
func TestDirectoryThatWasGivenUp(t *testing.T) {
	disked(t, func(t *testing.T, dir string) {
		r := newRig(t, 1, onDisk(dir))
		r.numbered(1000)
		takeOver := func(c *Config) {
			r.cache = New(c, r.cache.next, Options{Loops: r.loops, Backend: "web", Former: r.cache})
			r.cache.TakeOver()
			sleep(time.Second)
		}
		r.get("/page")
		synctest.Wait()
		without := onDisk(dir)
		without.Disk = nil
		takeOver(without)
		r.cache.PurgeAll()
		takeOver(onDisk(dir))
		if a := r.get("/page"); a.hit() {
			t.Errorf("it came back: %s", a.verdict())
		}
		if _, err := os.Lstat(filepath.Join(dir, leftFile)); !os.IsNotExist(err) {
			t.Errorf("the mark is still there: %v", err)
		}
		r.close()
		again := newRig(t, 1, onDisk(dir))
		defer again.close()
		again.numbered(1000)
		synctest.Wait()
		if a := again.get("/page"); !a.hit() {
			t.Errorf("after a restart: %s", a.verdict())
		}
	})
}
