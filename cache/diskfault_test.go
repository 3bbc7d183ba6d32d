package cache

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/backend/h1"
	"gatehouse/backend/loop"
)

// faults is a file system that fails when it is told to.
type faults struct {
	room  atomic.Int64 // bytes that can be written yet
	stuck atomic.Bool  // writing waits until it is false
	slow  atomic.Int64 // nanoseconds a read takes; not 0: nothing is in the page cache
	drag  atomic.Int64 // nanoseconds a write takes
	eio   atomic.Bool  // reading fails
	free  chan struct{}
}

type faultyFile struct {
	file
	f *faults
}

func (w faultyFile) Write(b []byte) (int, error) {
	if w.f.stuck.Load() {
		<-w.f.free
	}
	if d := w.f.drag.Load(); d > 0 {
		time.Sleep(time.Duration(d))
	}
	if left := w.f.room.Add(-int64(len(b))); left < 0 {
		n, _ := w.file.Write(b[:max(0, int64(len(b))+left)])
		w.f.room.Store(0)
		return n, syscall.ENOSPC
	}
	return w.file.Write(b)
}

func (w faultyFile) WriteAt(b []byte, at int64) (int, error) {
	if w.f.stuck.Load() {
		<-w.f.free
	}
	if w.f.room.Add(-int64(len(b))) < 0 {
		w.f.room.Store(0)
		return 0, syscall.ENOSPC
	}
	return w.file.WriteAt(b, at)
}

func newFaults() (*faults, *fileSystem) {
	f := &faults{free: make(chan struct{})}
	f.room.Store(1 << 40)
	fs := realFiles
	fs.create = func(path string) (file, error) {
		w, err := realFiles.create(path)
		return faultyFile{w, f}, err
	}
	fs.open = func(path []byte, now bool) (int, error) {
		if f.slow.Load() > 0 && now {
			return -1, errWouldWait
		}
		return realFiles.open(path, now)
	}
	fs.read = func(v *ioVec, fd int, b []byte, at int64, now bool) (int, error) {
		switch d := f.slow.Load(); {
		case f.eio.Load():
			return 0, syscall.EIO
		case d > 0 && now:
			return 0, errWouldWait
		case d > 0:
			time.Sleep(time.Duration(d))
		}
		return realFiles.read(v, fd, b, at, now)
	}
	return f, &fs
}

// numbered lets the origin answer each path with content of its own.
func (r *rig) numbered(size int) {
	r.origins(func(x *h1.Exchange) error {
		return reply(x, "HTTP/1.1 200 OK\nCache-Control: max-age=600\n\n"+string(x.Req.Target)+content(size))
	})
}

// A disk that is full costs nobody an answer, and is used again when there is room.
func TestFullDisk(t *testing.T) {
	disked(t, func(t *testing.T, dir string) {
		f, fs := newFaults()
		r := newRigWith(t, 1, onDisk(dir), Options{files: fs})
		defer r.close()
		r.numbered(100_000)
		f.room.Store(250_000)
		for i := range 6 {
			if a := r.get(fmt.Sprintf("/%d", i)); len(a.body) != 100_002 {
				t.Errorf("%d bytes", len(a.body))
			}
			synctest.Wait()
		}
		s, d := &r.cache.Stats.DiskDropped, r.cache.Snapshot().Disk
		if s.Load() != 4 || !strings.Contains(d.Trouble, "no space left") {
			t.Errorf("%d dropped, %+v", s.Load(), d)
		}
		if left, _ := os.ReadDir(filepath.Join(dir, tempDir)); len(left) != 0 {
			t.Errorf("%d unfinished files", len(left))
		}
		f.room.Store(1 << 30)
		sleep(2 * retryWrite)
		r.get("/again")
		r.flush()
		if a := r.get("/again"); a.verdict() != "hit; ttl=600; detail=DISK" || r.cache.Snapshot().Disk.Trouble != "" {
			t.Errorf("%s, %+v", a.head, r.cache.Snapshot().Disk)
		}
	})
}

// A real file system without room, which takes the rights to mount one.
func TestFullFileSystem(t *testing.T) {
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=2m", "none", dir).CombinedOutput(); err != nil {
		t.Skipf("a small file system cannot be mounted: %v %s", err, out)
	}
	t.Cleanup(func() { syscall.Unmount(dir, 0) })
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1, onDisk(filepath.Join(dir, "cache")))
		defer r.close()
		r.numbered(100_000)
		for i := range 60 {
			if a := r.get(fmt.Sprintf("/%d", i)); len(a.body) < 100_000 {
				t.Errorf("%d bytes", len(a.body))
			}
			sleep(2 * retryWrite)
		}
		if r.cache.Stats.DiskErrors.Load() == 0 {
			t.Error("it was never full")
		}
		// It goes on with what the file system has, though it was promised more.
		r.get("/last")
		sleep(2 * retryWrite)
		r.get("/last2")
		r.flush()
		one, other := r.get("/last"), r.get("/last2")
		if !strings.Contains(one.verdict()+other.verdict(), "DISK") || r.cache.Snapshot().Disk.Objects < 5 {
			t.Errorf("%s, %s, %+v", one.verdict(), other.verdict(), r.cache.Snapshot().Disk)
		}
	})
}

// A directory that cannot be used costs nobody an answer, and is used once it can be.
func TestUnusableDirectory(t *testing.T) {
	disked(t, func(t *testing.T, dir string) {
		if err := os.WriteFile(dir, nil, 0o600); err != nil { // even root cannot make a directory of that
			t.Fatal(err)
		}
		r := newRig(t, 1, onDisk(dir))
		defer r.close()
		r.numbered(10)
		r.get("/page")
		synctest.Wait()
		if a := r.get("/page"); a.verdict() != "hit; ttl=600" {
			t.Errorf("%s", a.head)
		}
		r.cache.PurgeAll() // does not wait
		if d := r.cache.Snapshot().Disk; d.State != "waiting" || !strings.Contains(d.Trouble, "not a directory") {
			t.Errorf("%+v", d)
		}
		os.Remove(dir)
		sleep(2 * retryOpen)
		r.get("/other")
		r.flush()
		if a := r.get("/other"); a.verdict() != "hit; ttl=600; detail=DISK" {
			t.Errorf("%s, %+v", a.head, r.cache.Snapshot().Disk)
		}
	})
}

// Writing that takes for ever delays nobody; what does not fit into the queue is not written.
func TestStuckDisk(t *testing.T) {
	disked(t, func(t *testing.T, dir string) {
		f, fs := newFaults()
		r := newRigWith(t, 1, onDisk(dir), Options{files: fs})
		defer r.close()
		r.numbered(500_000)
		synctest.Wait()
		f.stuck.Store(true)
		for i := range 20 {
			if a := r.get(fmt.Sprintf("/%d", i)); len(a.body) < 500_000 || a.took > 0 {
				t.Errorf("%d bytes in %v", len(a.body), a.took)
			}
		}
		// 2 MiB, an eighth of memory, wait or are being written.
		if d := r.cache.Snapshot().Disk; d.Queued > 2<<20 || d.Queued < 1<<20 || r.cache.Stats.DiskDropped.Load() < 15 {
			t.Errorf("%+v, %d dropped", d, r.cache.Stats.DiskDropped.Load())
		}
		f.stuck.Store(false)
		close(f.free)
		r.flush()
		if d := r.cache.Snapshot().Disk; d.Queued != 0 || d.Objects < 3 || d.Objects > 5 {
			t.Errorf("%+v", d)
		}
	})
}

// Reading that takes too long is not waited for, and not even begun for a while after; what takes a little is.
func TestSlowDisk(t *testing.T) {
	disked(t, func(t *testing.T, dir string) {
		f, fs := newFaults()
		r := newRigWith(t, 2, onDisk(dir), Options{files: fs})
		defer r.close()
		r.numbered(300_000)
		for i := range 4 {
			r.get(fmt.Sprintf("/%d", i))
		}
		r.flush()
		f.slow.Store(int64(20 * time.Millisecond))
		if a := r.get("/0"); a.verdict() != "hit; ttl=599; detail=DISK" || len(a.body) != 300_002 || a.took < 80*time.Millisecond || a.took > time.Second {
			t.Errorf("%s, %v", a.head, a.took)
		}
		f.slow.Store(int64(time.Hour))
		if a := r.get("/1"); a.hit() || len(a.body) != 300_002 || a.took > 2*lookupPatience {
			t.Errorf("%s, %v", a.head, a.took)
		}
		if a := r.get("/2"); a.hit() || a.took > 0 {
			t.Errorf("%s, %v", a.head, a.took)
		}
		if n := r.cache.Stats.DiskSlow.Load(); n != 1 {
			t.Errorf("%d requests did not wait", n)
		}
		f.slow.Store(0)
		sleep(2 * slowTime)
		if a := r.get("/3"); a.verdict() != "hit; ttl=598; detail=DISK" && a.verdict() != "hit; ttl=597; detail=DISK" {
			t.Errorf("%s", a.head)
		}
		sleep(3 * time.Hour) // the reads end whose requests have ended long ago
		if n := r.cache.store.disk.Load().reads.room; n != maxReads {
			t.Errorf("%d of %d readers are idle", n, maxReads)
		}
	})
}

// A disk that cannot be read any more is as good as none.
func TestUnreadableDisk(t *testing.T) {
	disked(t, func(t *testing.T, dir string) {
		f, fs := newFaults()
		r := newRigWith(t, 1, onDisk(dir), Options{files: fs})
		defer r.close()
		r.numbered(300_000)
		r.get("/0")
		r.get("/1")
		r.flush()
		f.eio.Store(true)
		if a := r.get("/0"); a.hit() || len(a.body) != 300_002 || r.cache.Stats.DiskErrors.Load() != 1 {
			t.Errorf("%s, %d errors", a.head, r.cache.Stats.DiskErrors.Load())
		}
		f.eio.Store(false)
		a := r.start(request{text: "GET /1", pause: time.Second})
		sleep(1500 * time.Millisecond)
		f.eio.Store(true)
		if a := <-a; a.err == nil || len(a.body) >= 300_000 {
			t.Errorf("in the middle: %v, %d bytes", a.err, len(a.body))
		}
	})
}

// Both tiers keep to their bounds, whatever is asked for, and the disk holds what memory cannot.
func TestBudgetsOfBothTiers(t *testing.T) {
	const memory, size = 4 << 20, 24 << 20
	dir := t.TempDir()
	c := onDisk(dir)
	c.Memory, c.MaxObject, c.Disk.Size = memory, 1<<20, size
	r := newRig(t, 2, c)
	sizeOf := func(target string) int {
		random := rand.New(rand.NewPCG(keyHash(target), 1))
		if random.IntN(50) == 0 {
			return 200_000 + random.IntN(400_000)
		}
		return 200 + random.IntN(40_000)
	}
	var origin, body int64
	r.origins(func(x *h1.Exchange) error {
		n := sizeOf(string(x.Req.Target))
		atomic.AddInt64(&origin, 1)
		atomic.AddInt64(&body, int64(n))
		return reply(x, "HTTP/1.1 200 OK\nCache-Control: max-age=6000\n\n"+strings.Repeat("x", n))
	})
	live := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := live()
	requests := 8000
	few := testing.Short() || raceEnabled
	if few {
		requests = 3000
	}
	var most atomic.Int64
	var clients sync.WaitGroup
	for i, l := range r.loops {
		done := make(chan struct{})
		clients.Go(func() { <-done })
		zipf := rand.NewZipf(rand.New(rand.NewPCG(1, uint64(i))), 1.02, 8, 1<<20)
		l.Post(func() {
			l.Go(loop.Func(func() {
				defer close(done)
				for n := range requests / 2 {
					target := fmt.Sprintf("/%d", zipf.Uint64())
					if a := r.serve(l, request{text: "GET " + target}); len(a.body) != sizeOf(target) {
						t.Errorf("%s: %d bytes, want %d: %v", target, len(a.body), sizeOf(target), a.err)
					}
					if n%4 == 0 { // or nothing but the queue is seen
						l.Block(func() { r.cache.store.disk.Load().settle() })
						most.Store(max(most.Load(), r.cache.Snapshot().Disk.Bytes))
					}
				}
			}))
		})
	}
	clients.Wait()
	r.cache.store.data.CleanUp()
	held := live() - before
	s, st := r.cache.Snapshot(), r.cache.Stats
	if held > memory*5/4+int64(s.Disk.Objects)*110+(2<<20) || s.Bytes > memory {
		t.Errorf("%d KiB are live and %d KiB counted, want at most %d KiB", held>>10, s.Bytes>>10, memory>>10)
	}
	r.close()
	var used, apparent int64
	for _, f := range files(t, dir) {
		info, err := os.Stat(f)
		if err != nil {
			t.Fatal(err)
		}
		used += info.Sys().(*syscall.Stat_t).Blocks * 512
		apparent += info.Size()
	}
	if most.Load() > size || used > size || !few && used < size/2 {
		t.Errorf("%d KiB in files, %d KiB counted at most, want at most %d KiB and not much less", used>>10, most.Load()>>10, size>>10)
	}
	written := float64(st.DiskWritten.Load()) / float64(max(body, 1))
	if written > 1.05 {
		t.Errorf("for each byte stored %.2f were written", written)
	}
	if st.DiskHits.Load() == 0 || st.DiskPromoted.Load() == 0 || !few && st.DiskEvicted.Load() == 0 {
		t.Errorf("%d hits, %d promoted, %d evicted", st.DiskHits.Load(), st.DiskPromoted.Load(), st.DiskEvicted.Load())
	}
	t.Logf("%d requests: %d fetched, %d hits, %d from disk, %d promoted, %d dropped; %.3f bytes written per byte; %d files, %d KiB in blocks, %d KiB apparent; %d KiB of heap",
		requests, origin, st.Hits.Load(), st.DiskHits.Load(), st.DiskPromoted.Load(), st.DiskDropped.Load(), written, s.Disk.Objects, used>>10, apparent>>10, held>>10)
}

// BenchmarkDiskWrite is what the keeper does for an answer: it bounds how many can be stored.
func BenchmarkDiskWrite(b *testing.B) {
	for _, size := range []int{1 << 10, 16 << 10, 1 << 20} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			r := newRig(nil, 1, onDisk(b.TempDir()))
			defer r.close()
			d := r.cache.store.disk.Load()
			d.settle()
			e := (&entry{status: 200}).filled(nil, 0)
			body := []byte(content(size))
			for len(body) > 0 {
				n := min(len(body), chunkSize)
				e.content, e.size, body = append(e.content, body[:n]), e.size+int64(n), body[n:]
			}
			b.SetBytes(e.size)
			i := 0
			for b.Loop() {
				i++
				d.put(1, fmt.Sprintf("web\x00http://a/%d", i%1000), e)
				d.settle()
			}
			if n := d.s.Stats.DiskStored.Load(); n < uint64(i)/2 {
				b.Errorf("%d of %d were stored", n, i)
			}
		})
	}
}

// Readers of what is too large for memory wait for a disk that is stuck for a moment only, and then not at all.
func TestStuckDiskAndTooLargeForMemory(t *testing.T) {
	disked(t, func(t *testing.T, dir string) {
		f, fs := newFaults()
		c := onDisk(dir)
		c.Memory, c.MaxObject = 1<<20, 8<<20
		r := newRigWith(t, 1, c, Options{files: fs})
		defer r.close()
		synctest.Wait()
		body := content(6 << 20)
		r.origins(func(x *h1.Exchange) error {
			p := &pieces{l: x.Loop}
			for b := body; len(b) > 0; {
				n := min(len(b), 60_000)
				p.list, b = append(p.list, b[:n]), b[n:]
			}
			err := parseHead(x, fmt.Sprintf("HTTP/1.1 200 OK\nCache-Control: max-age=600\nContent-Length: %d", len(body)))
			x.Resp.Body = p
			return err
		})
		f.stuck.Store(true)
		if a := r.get("/a"); a.body != body || a.took < spoolPatience(0) || a.took > 2*spoolPatience(int64(len(body))) {
			t.Errorf("%d bytes in %v", len(a.body), a.took)
		}
		if a := r.get("/b"); a.body != body || a.took > 0 {
			t.Errorf("%d bytes in %v", len(a.body), a.took)
		}
		f.stuck.Store(false)
		close(f.free)
		sleep(2 * slowTime)
		if a := r.get("/c"); a.body != body {
			t.Errorf("%d bytes in %v", len(a.body), a.took)
		}
		synctest.Wait()
		if a := r.get("/c"); a.body != body || !strings.Contains(a.verdict(), "DISK") {
			t.Errorf("%s", a.head)
		}
		if d := r.cache.Snapshot().Disk; d.Objects != 1 || r.cache.Stats.DiskDropped.Load() != 2 || r.cache.store.disk.Load().aside != 0 {
			t.Errorf("%+v, %d dropped", d, r.cache.Stats.DiskDropped.Load())
		}
	})
}

// Who ends while a slow disk has much to write is not kept for longer than some seconds, or than a moment in a hurry. What was not written is not
// there any more in an older version either.
func TestEndWhileTheDiskIsSlow(t *testing.T) {
	for _, c := range []struct {
		name  string
		drag  time.Duration // of a write
		stuck bool
		hurry time.Duration // after the end has begun; negative: never
		most  time.Duration
		left  int // files there may be
	}{
		{name: "in time", drag: 100 * time.Millisecond, hurry: -1, most: 3 * time.Second, left: 20},
		{name: "not in time", drag: time.Second, hurry: -1, most: closeTime + 2*time.Second, left: 7},
		{name: "in a hurry", drag: 400 * time.Millisecond, hurry: 2 * time.Second, most: 2*time.Second + hurryTime, left: 6},
		{name: "in a hurry from the beginning", drag: 200 * time.Millisecond, most: hurryTime, left: 2},
		{name: "stuck", stuck: true, hurry: -1, most: 2*closeTime + time.Millisecond, left: 20},
		{name: "stuck, in a hurry", stuck: true, hurry: time.Second, most: time.Second + hurryTime + time.Millisecond, left: 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			disked(t, func(t *testing.T, dir string) {
				f, fs := newFaults()
				r := newRigWith(t, 1, onDisk(dir), Options{files: fs})
				version := 1
				r.origins(func(x *h1.Exchange) error {
					return reply(x, fmt.Sprintf("HTTP/1.1 200 OK\nCache-Control: max-age=600\n\n%d%s", version, content(10_000)))
				})
				get := func() {
					for i := range 20 {
						r.get(fmt.Sprintf("/%d", i))
					}
				}
				get()
				synctest.Wait()
				if n := len(files(t, dir)); n != 20 {
					t.Fatalf("%d files", n)
				}
				r.cache.PurgeURL("http://shop.example.com/0") // so that there is something to remove, too
				f.drag.Store(int64(c.drag))
				f.stuck.Store(c.stuck)
				version = 2
				for i := range 20 {
					r.do(request{text: fmt.Sprintf("POST /%d\nContent-Length: 0", i)})
				}
				get()
				if c.hurry >= 0 {
					time.AfterFunc(c.hurry, r.cache.Hurry)
				}
				began := time.Now()
				r.close()
				if took := time.Since(began); took > c.most {
					t.Errorf("it took %v", took)
				}
				if c.stuck {
					f.stuck.Store(false)
					close(f.free)
				}
				synctest.Wait()
				list := files(t, dir)
				if len(list) > c.left {
					t.Errorf("%d files", len(list))
				}
				for _, name := range list {
					b, err := os.ReadFile(name)
					if err != nil || !strings.Contains(string(b), "2"+content(10_000)) {
						t.Errorf("%s holds something older, %v", name, err)
					}
				}
			})
		})
	}
}
