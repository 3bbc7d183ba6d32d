package main

import (
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

const cachedSite = `
global { state_dir = "state" }
admin { socket = "admin.sock" }
cache "pages" { memory = "64MiB" }
frontend "www" {
  bind "ADDRESS" {}
  backend = backend.app
  cache   = cache.pages
}
backend "app" {
  server "A" "SERVER" {}
}
`

// rss returns how much memory of the system a process has, and has had at most, in KiB.
func (p *process) rss() (now, most int) {
	p.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		fmt.Sscanf(line, "VmRSS: %d kB", &now)
		fmt.Sscanf(line, "VmHWM: %d kB", &most)
	}
	return now, most
}

// TestProcessStaysWithinTheBudgetOfItsCache: a cache that is full, and fetches several times its size, makes the process grow by its memory and a
// quarter.
func TestProcessStaysWithinTheBudgetOfItsCache(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector takes memory of its own")
	}
	const budget = 64 << 10 // KiB
	block := strings.Repeat("0123456789abcdef", 1<<16)
	dir, address := place(t, cachedSite, func(w http.ResponseWriter, r *http.Request) {
		var seed uint64
		fmt.Sscanf(r.URL.Path, "/%d", &seed)
		random := rand.New(rand.NewPCG(seed, 1))
		size := int(200 * math.Exp(random.Float64()*math.Log(5000))) // 200 bytes to 1 MB: as many of each order
		w.Header().Set("Cache-Control", "max-age=600")
		if seed%4 == 0 {
			w.Header().Set("Vary", "Accept-Encoding")
		}
		if seed%2 == 0 {
			w.Header().Set("Content-Length", fmt.Sprint(size))
		}
		io.WriteString(w, block[:size])
	})
	p := launch(t, dir, nil)
	p.says("serving")
	c := visitor(t, "tcp", address, true)
	c.Transport.(*http.Transport).MaxIdleConnsPerHost = 8
	load := func(requests int64) (hits int64) {
		var left, hit atomic.Int64
		left.Store(requests)
		var all sync.WaitGroup
		for n := range uint64(8) {
			all.Go(func() {
				zipf := rand.NewZipf(rand.New(rand.NewPCG(n, uint64(requests))), 1.05, 10, 20_000)
				for left.Add(-1) >= 0 {
					q, _ := http.NewRequest("GET", fmt.Sprintf("http://site.test/%d", zipf.Uint64()), nil)
					q.Header.Set("Accept-Encoding", []string{"gzip", "identity", "br"}[left.Load()%3])
					resp, err := c.Do(q)
					if err != nil {
						t.Error(err)
						return
					}
					if _, err := io.Copy(io.Discard, resp.Body); err != nil {
						t.Error(err)
					}
					resp.Body.Close()
					if strings.Contains(resp.Header.Get("Cache-Status"), "; hit") {
						hit.Add(1)
					}
				}
			})
		}
		all.Wait()
		return hit.Load()
	}
	load(8)
	empty, _ := p.rss()
	hits := load(4000)
	now, most := p.rss()
	t.Logf("empty %d KiB, full %d KiB, at most %d KiB, %d hits", empty, now, most, hits)
	if now-empty > budget*5/4 || most-empty > budget*3/2 {
		t.Errorf("it grew by %d KiB, and by %d KiB for a moment; the cache may take %d KiB", now-empty, most-empty, budget)
	}
	if now-empty < budget/2 || hits < 500 {
		t.Errorf("hardly anything was remembered: %d KiB more, %d hits", now-empty, hits)
	}
}
