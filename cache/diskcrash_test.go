package cache

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gatehouse/backend/h1"
	"gatehouse/backend/loop"
)

// fillDir makes this program a process that fills a disk tier until it is killed.
const fillDir = "GATEHOUSE_TEST_FILL"

func TestMain(m *testing.M) {
	if dir := os.Getenv(fillDir); dir != "" {
		fillForever(dir)
		return
	}
	goleak.VerifyTestMain(m)
}

// sized answers "/NUMBER" with content that can be told from that of any other number.
func sized(x *h1.Exchange) error {
	n, _ := strconv.Atoi(string(x.Req.Target[1:]))
	return reply(x, "HTTP/1.1 200 OK\nCache-Control: max-age=6000\n\n"+string(x.Req.Target)+":"+content(n*7919%150_000))
}

const crashURLs = 120

func fillForever(dir string) {
	r := newRig(nil, 2, onDisk(dir))
	r.origins(sized)
	for i, l := range r.loops {
		l.Post(func() {
			l.Go(loop.Func(func() {
				for n := i; ; n += len(r.loops) {
					r.serve(l, request{text: fmt.Sprintf("GET /%d", n%crashURLs)})
					if n%4 == i {
						fmt.Println(r.cache.Stats.DiskStored.Load())
						l.Sleep(time.Millisecond)
						r.serve(l, request{text: fmt.Sprintf("POST /%d\nContent-Length: 0", (n*31+7)%crashURLs)}) // so that it never ends
					}
				}
			}))
		})
	}
	select {}
}

// TestKilledProcess: whatever a process was doing when it was killed, the next one finds whole answers or none, and nothing else is left over.
func TestKilledProcess(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	rounds, found := 3, 0
	if testing.Short() {
		rounds = 2
	}
	for round := range rounds {
		c := exec.CommandContext(t.Context(), os.Args[0])
		c.Env = append(os.Environ(), fillDir+"="+dir)
		c.Stderr = os.Stderr
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		for s := bufio.NewScanner(out); s.Scan(); {
			if n, _ := strconv.Atoi(s.Text()); n > 40+13*round {
				break
			}
		}
		c.Process.Kill()
		c.Wait()

		r := newRig(t, 1, onDisk(dir))
		r.origins(sized)
		r.cache.store.disk.Load().settle() // it is loaded
		if left, err := os.ReadDir(filepath.Join(dir, tempDir)); err != nil || len(left) > 0 {
			t.Errorf("round %d: %d unfinished files, %v", round, len(left), err)
		}
		n := r.cache.Snapshot().Disk.Objects
		if names := files(t, dir); n == 0 || len(names) != n {
			t.Errorf("round %d: %d answers in %d files", round, n, len(names))
		}
		hits := 0
		for i := range crashURLs {
			a := r.get(fmt.Sprintf("/%d", i))
			if want := fmt.Sprintf("/%d:", i) + content(i*7919%150_000); a.body != want {
				t.Errorf("round %d: /%d: %d bytes, want %d: %s", round, i, len(a.body), len(want), a.verdict())
			}
			if strings.Contains(a.verdict(), "DISK") {
				hits++
			}
		}
		if hits < n/2 || hits > n { // what is fetched pushes nothing out: there is room for all
			t.Errorf("round %d: %d hits with %d answers on the disk", round, hits, n)
		}
		if n := r.cache.Stats.DiskCorrupt.Load(); n != 0 {
			t.Errorf("round %d: %d damaged files", round, n)
		}
		found += hits
		r.close()
		if round%2 == 0 {
			os.RemoveAll(dir)
		}
	}
	t.Logf("%d answers were found again in %d rounds", found, rounds)
}
