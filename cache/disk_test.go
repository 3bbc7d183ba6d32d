package cache

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/backend/h1"
	"gatehouse/backend/loop"
)

// onDisk is a configuration with a disk tier.
func onDisk(dir string) *Config {
	return &Config{Memory: 16 << 20, MaxObject: 4 << 20, Disk: &Disk{Path: dir, Size: 64 << 20}}
}

// disked runs f in a bubble with a directory. In it, synctest.Wait returns when the keeper has nothing to do any more.
func disked(t *testing.T, f func(t *testing.T, dir string)) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "cache")
	synctest.Test(t, func(t *testing.T) { f(t, dir) })
}

// flush makes memory forget everything.
func (r *rig) flush() {
	synctest.Wait()
	r.cache.store.data.InvalidateAll()
}

// files returns the paths of the files of answers.
func files(t *testing.T, dir string) (list []string) {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(dir, "??", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// content makes content of which no two places look alike.
func content(n int) string {
	b := make([]byte, 0, n+20)
	for i := int64(0); len(b) < n; i++ {
		b = append(strconv.AppendInt(b, i, 10), ',')
	}
	return string(b[:n])
}

const fromDisk = "hit; ttl=60; detail=DISK"

// What memory has let go of is still on the disk, and what is wanted again comes back.
func TestDiskTier(t *testing.T) {
	for _, size := range []int{0, 1, 4000, 16 << 10, chunkSize - 1, chunkSize, chunkSize + 1, 3*chunkSize + 5, 1 << 20} {
		disked(t, func(t *testing.T, dir string) {
			r := newRig(t, 1, onDisk(dir))
			defer r.close()
			body := content(size)
			r.answers("HTTP/1.1 200 OK\nCache-Control: max-age=60\nETag: \"v1\"\nX-Thing: a\n\n" + body)
			first := r.get("/page")
			if first.body != body || first.hit() {
				t.Fatalf("%d: %s", size, first.verdict())
			}
			r.flush()
			for i, want := range []string{fromDisk, fromDisk, "hit; ttl=60"} {
				if size == 0 {
					want = "hit; ttl=60"
				}
				a := r.get("/page")
				if a.body != body || a.verdict() != want || a.get("X-Thing") != "a" || a.get("ETag") != `"v1"` || a.get("Age") != "0" {
					t.Errorf("%d, time %d: %s, %d bytes", size, i, a.head, len(a.body))
				}
			}
			if n := r.asked(); n != 1 {
				t.Errorf("%d: the origin was asked %d times", size, n)
			}
			s := r.cache.Snapshot()
			if d := s.Disk; d == nil || d.Objects != 1 || d.State != "ready" || d.Trouble != "" || d.Bytes < int64(size) || s.Filling != 0 {
				t.Errorf("%d: %+v, %+v", size, s, s.Disk)
			}
		})
	}
}

// Answers survive the process that stored them, with their age.
func TestDiskSurvivesARestart(t *testing.T) {
	disked(t, func(t *testing.T, dir string) {
		body := content(100_000)
		r := newRig(t, 1, onDisk(dir))
		r.answers("HTTP/1.1 200 OK\nCache-Control: max-age=60\nVary: Accept-Language\n\n" + body)
		for _, language := range []string{"de", "en"} {
			r.get("/page\nAccept-Language: " + language)
		}
		synctest.Wait()
		r.close()
		time.Sleep(20 * time.Second)
		r = newRig(t, 1, onDisk(dir))
		defer r.close()
		r.answers("HTTP/1.1 200 OK\nCache-Control: max-age=60\nVary: Accept-Language\n\nnew")
		synctest.Wait()
		for _, language := range []string{"de", "en"} {
			a := r.get("/page\nAccept-Language: " + language)
			if a.body != body || a.verdict() != "hit; ttl=40; detail=DISK" || a.get("Age") != "20" {
				t.Errorf("%s: %s", language, a.head)
			}
		}
		if a := r.get("/page\nAccept-Language: fr"); a.body != "new" || !strings.HasPrefix(a.verdict(), fwdVary) {
			t.Errorf("%s", a.head)
		}
		time.Sleep(50 * time.Second)
		if a := r.get("/page\nAccept-Language: de"); a.body != "new" {
			t.Errorf("after its time: %s", a.head)
		}
	})
}

func TestDiskRanges(t *testing.T) {
	disked(t, func(t *testing.T, dir string) {
		r := newRig(t, 1, onDisk(dir))
		defer r.close()
		body := content(5*chunkSize + 17)
		r.answers("HTTP/1.1 200 OK\nCache-Control: max-age=60\nContent-Type: a/b\n\n" + body)
		r.get("/page")
		for _, s := range []span{{0, 1}, {10, 20}, {chunkSize - 1, chunkSize + 1}, {100, 4*chunkSize + 3}, {int64(len(body)) - 3, int64(len(body))}} {
			r.flush()
			a := r.get(fmt.Sprintf("/page\nRange: bytes=%d-%d", s.from, s.to-1))
			if a.status != 206 || a.body != body[s.from:s.to] || a.verdict() != fromDisk {
				t.Errorf("%+v: %s, %d bytes", s, a.head, len(a.body))
			}
		}
		r.flush()
		a := r.get("/page\nRange: bytes=0-9,200000-200009,70000-70009")
		for _, part := range []string{body[:10], body[200000:200010], body[70000:70010]} {
			if !strings.Contains(a.body, "\r\n\r\n"+part+"\r\n") {
				t.Errorf("no %q in %q", part, a.body)
			}
		}
		r.flush()
		if a := r.do(request{text: "HEAD /page"}); a.get("Content-Length") != fmt.Sprint(len(body)) || !a.hit() || a.body != "" {
			t.Errorf("HEAD: %s", a.head)
		}
		if n := r.asked(); n != 1 {
			t.Errorf("the origin was asked %d times", n)
		}
	})
}

// What is forgotten is forgotten on the disk too, and stays so after a restart.
func TestDiskForgets(t *testing.T) {
	const url = "http://shop.example.com"
	for name, forget := range map[string]func(r *rig) int{
		"URL": func(r *rig) int {
			if r.cache.PurgeURL(url + "/a/1") {
				return 1
			}
			return 0
		},
		"prefix":          func(r *rig) int { return r.cache.PurgePrefix(url + "/a/") },
		"prefix, no path": func(r *rig) int { return r.cache.PurgePrefix("http://shop.") - 1 },
		"tag":             func(r *rig) int { return r.cache.PurgeTag("t1") },
		"all":             func(r *rig) int { return r.cache.PurgeAll() - 1 },
		"PURGE": func(r *rig) int {
			a := r.do(request{text: "PURGE /a/1"})
			if a.status == 200 {
				return 1
			}
			return a.status
		},
	} {
		for where, before := range map[string]func(r *rig){
			"memory": func(r *rig) { synctest.Wait() },
			"disk":   func(r *rig) { r.flush() },
			"queue":  func(*rig) {},
		} {
			t.Run(name+" in "+where, func(t *testing.T) {
				disked(t, func(t *testing.T, dir string) {
					c := onDisk(dir)
					c.PurgeFrom = prefixes("192.0.2.0/24")
					r := newRig(t, 1, c)
					r.answers("HTTP/1.1 200 OK\nCache-Control: max-age=60\nSurrogate-Key: t1 t2\nVary: X-V\n\nold")
					r.get("/a/1\nX-V: 1")
					r.get("/a/1\nX-V: 2")
					r.answers("HTTP/1.1 200 OK\nCache-Control: max-age=60\nSurrogate-Key: t2 t3\n\nold")
					r.get("/b/1")
					before(r)
					if n := forget(r); n != 1 {
						t.Errorf("%d forgotten, want 1", n)
					}
					if left, most := len(files(t, dir)), 1; left > most {
						t.Errorf("%d files when the purge was answered: %q", left, files(t, dir))
					}
					other := "old"
					if strings.HasPrefix(name, "all") || strings.Contains(name, "no path") {
						other = "new"
					}
					for range 2 {
						r.answers("HTTP/1.1 200 OK\nCache-Control: max-age=60\nVary: X-V\n\nnew")
						for text, want := range map[string]string{"/a/1\nX-V: 1": "new", "/a/1\nX-V: 2": "new", "/b/1": other} {
							if a := r.get(text); a.body != want {
								t.Errorf("%s: %q, want %q: %s", text, a.body, want, a.verdict())
							}
						}
						synctest.Wait() // what waits while the directory is being read is not written when that ends early
						r.close()
						r = newRig(t, 1, c)
						synctest.Wait()
					}
					r.close()
				})
			})
		}
	}
}

// A 304 brings new fields, and a file that has them.
func TestDiskIsRevalidated(t *testing.T) {
	for name, answer := range map[string]string{
		"new fields":      "HTTP/1.1 304 Not Modified\nETag: \"v1\"\nCache-Control: max-age=90\nX-New: 1",
		"only for longer": "HTTP/1.1 304 Not Modified\nETag: \"v1\"",
	} {
		for _, size := range []int{5, 300_000} {
			disked(t, func(t *testing.T, dir string) {
				body := content(size)
				r := newRig(t, 1, onDisk(dir))
				r.answers("HTTP/1.1 200 OK\nCache-Control: max-age=60\nETag: \"v1\"\n\n" + body)
				r.get("/page")
				r.flush()
				time.Sleep(70 * time.Second)
				r.answers(answer)
				if a := r.get("/page"); a.body != body || !strings.Contains(a.verdict(), "fwd-status=304") {
					t.Fatalf("%s: %s, %d bytes", name, a.head, len(a.body))
				}
				r.close()
				time.Sleep(10 * time.Second)
				r = newRig(t, 1, onDisk(dir))
				synctest.Wait()
				r.answers("HTTP/1.1 500 Oh\n\n")
				life := 50
				if strings.Contains(answer, "90") {
					life = 80
				}
				a := r.get("/page")
				if a.body != body || a.verdict() != fmt.Sprintf("hit; ttl=%d; detail=DISK", life) || strings.Contains(answer, "X-New") != (a.get("X-New") == "1") {
					t.Errorf("%s, %d: %s, %d bytes", name, size, a.head, len(a.body))
				}
				r.close()
			})
		}
	}
}

// An answer that is only fresh for longer, again and again, is not written each time.
func TestDiskIsSparedRenewals(t *testing.T) {
	disked(t, func(t *testing.T, dir string) {
		r := newRig(t, 1, onDisk(dir))
		defer r.close()
		r.answers("HTTP/1.1 200 OK\nCache-Control: max-age=1\nETag: \"v1\"\n\nbody")
		r.get("/page")
		r.answers("HTTP/1.1 304 Not Modified\nETag: \"v1\"")
		for range 50 {
			sleep(2 * time.Second)
			if a := r.get("/page"); a.body != "body" {
				t.Errorf("%s", a.head)
			}
		}
		if n := r.cache.Stats.DiskStored.Load(); n < 10 || n > 25 {
			t.Errorf("written %d times in 100 s", n)
		}
	})
}

func TestInvalidationCoversTheDisk(t *testing.T) {
	disked(t, func(t *testing.T, dir string) {
		r := newRig(t, 1, onDisk(dir))
		defer r.close()
		r.answers("HTTP/1.1 200 OK\nCache-Control: max-age=60\n\nold")
		r.get("/page")
		r.flush()
		r.answers("HTTP/1.1 200 OK\nCache-Control: max-age=60\n\nnew")
		r.do(request{text: "POST /page\nContent-Length: 0"})
		if a := r.get("/page"); a.body != "new" {
			t.Errorf("%s", a.head)
		}
	})
}

// A second cache leaves the directory alone for as long as another one has it, and then takes it over.
func TestDiskOfSomebodyElse(t *testing.T) {
	disked(t, func(t *testing.T, dir string) {
		one := newRig(t, 1, onDisk(dir))
		one.answers("HTTP/1.1 200 OK\nCache-Control: max-age=600\n\nold")
		one.get("/page")
		synctest.Wait()
		other := newRig(t, 1, onDisk(dir))
		defer other.close()
		other.answers("HTTP/1.1 200 OK\nCache-Control: max-age=600\n\nnew")
		if a := other.get("/page"); a.body != "new" {
			t.Errorf("%s", a.head)
		}
		synctest.Wait()
		d := other.cache.Snapshot().Disk
		if want := fmt.Sprintf("%s is in use by process %d", dir, os.Getpid()); d.State != "waiting" || d.Trouble != want {
			t.Errorf("%+v, want %q", d, want)
		}
		one.close()
		sleep(2 * retryOpen)
		if d := other.cache.Snapshot().Disk; d.State != "ready" || d.Trouble != "" {
			t.Errorf("%+v", d)
		}
		other.flush()
		if a := other.get("/page"); a.body != "new" {
			t.Errorf("older than what was given out: %s", a.head)
		}
	})
}

// After a reload it is the same tier, or another one.
func TestDiskTakesOver(t *testing.T) {
	disked(t, func(t *testing.T, dir string) {
		r := newRig(t, 1, onDisk(dir))
		defer r.close()
		r.answers("HTTP/1.1 200 OK\nCache-Control: max-age=600\n\n" + content(100_000))
		for i := range 20 {
			r.get(fmt.Sprintf("/%d", i))
		}
		synctest.Wait()
		was := r.cache.store.disk.Load()
		smaller := onDisk(dir)
		smaller.Disk.Size = 1 << 20
		r.cache = New(smaller, r.cache.next, Options{Loops: r.loops, Backend: "web", Former: r.cache})
		if d := r.cache.Snapshot().Disk; d.Objects != 20 || d.Size != 64<<20 {
			t.Errorf("a configuration that does not serve yet: %+v", d)
		}
		r.cache.TakeOver()
		r.flush()
		if d := r.cache.Snapshot().Disk; d.Objects != 10 || d.Bytes > 1<<20 || len(files(t, dir)) != 10 || r.cache.store.disk.Load() != was {
			t.Errorf("%+v, %d files", d, len(files(t, dir)))
		}
		moved := onDisk(dir + "2")
		r.cache = New(moved, r.cache.next, Options{Loops: r.loops, Backend: "web", Former: r.cache})
		r.cache.TakeOver()
		r.get("/new")
		r.flush()
		if d := r.cache.Snapshot().Disk; d.Path != dir+"2" || d.Objects != 1 {
			t.Errorf("%+v", d)
		}
		none := onDisk(dir)
		none.Disk = nil
		r.cache = New(none, r.cache.next, Options{Loops: r.loops, Backend: "web", Former: r.cache})
		r.cache.TakeOver()
		if d := r.cache.Snapshot().Disk; d != nil {
			t.Errorf("%+v", d)
		}
	})
}

// A reader of a large answer has all of it, whatever becomes of its file meanwhile.
func TestFileThatGoesWhileItIsRead(t *testing.T) {
	disked(t, func(t *testing.T, dir string) {
		r := newRig(t, 1, onDisk(dir))
		defer r.close()
		body := content(1 << 20)
		r.answers("HTTP/1.1 200 OK\nCache-Control: max-age=600\n\n" + body)
		r.get("/page")
		r.flush()
		slow := r.start(request{text: "GET /page", pause: time.Second})
		sleep(3500 * time.Millisecond)
		r.cache.PurgeAll()
		if n := len(files(t, dir)); n != 0 {
			t.Errorf("%d files", n)
		}
		if a := <-slow; a.err != nil || a.body != body {
			t.Errorf("%v, %d bytes", a.err, len(a.body))
		}
	})
}

func benchDisk(b *testing.B, size int) (*rig, func(l *loop.Loop, h *hitter)) {
	r := newRig(nil, 1, onDisk(b.TempDir()))
	r.answers("HTTP/1.1 200 OK\nCache-Control: max-age=600\nContent-Type: text/html\nETag: \"v1\"\nServer: origin\n\n" + strings.Repeat("x", size))
	return r, func(l *loop.Loop, h *hitter) {
		h.ask(r.cache)
		for r.cache.Snapshot().Disk.Objects == 0 {
			l.Sleep(time.Millisecond)
		}
	}
}

// BenchmarkDiskHit is to be compared with BenchmarkHit: first is the hit that finds nothing in memory, each one after it finds the head there.
func BenchmarkDiskHit(b *testing.B) {
	for _, size := range []int{1 << 10, 16 << 10, 1 << 20} {
		for _, first := range []bool{true, false} {
			b.Run(fmt.Sprintf("%d/first=%v", size, first), func(b *testing.B) {
				r, fill := benchDisk(b, size)
				defer r.close()
				r.onLoop(func(l *loop.Loop) {
					h := newHitter(l, "")
					fill(l, h)
					r.cache.store.data.InvalidateAll()
					h.ask(r.cache)
					if !first {
						r.cache.c.MaxObject = 1 // nothing is brought into memory
					}
					b.ReportAllocs()
					for b.Loop() {
						if first {
							r.cache.store.data.InvalidateAll()
						}
						if s := h.ask(r.cache); s != statusDisk {
							b.Fatal(s)
						}
					}
				})
			})
		}
	}
}

// What is too large for memory goes to the disk while it comes, and is never in memory as a whole.
func TestTooLargeForMemory(t *testing.T) {
	for name, framing := range map[string]string{"known length": "", "unknown length": "\nTransfer-Encoding: chunked"} {
		t.Run(name, func(t *testing.T) {
			disked(t, func(t *testing.T, dir string) {
				c := onDisk(dir)
				c.Memory, c.MaxObject = 1<<20, 8<<20
				r := newRig(t, 2, c)
				defer r.close()
				synctest.Wait()
				body := content(3<<20 + 12345)
				r.origins(func(x *h1.Exchange) error {
					head := "HTTP/1.1 200 OK\nCache-Control: max-age=600\nETag: \"v1\"" + framing
					if framing == "" {
						head += fmt.Sprintf("\nContent-Length: %d", len(body))
					}
					p := &pieces{l: x.Loop, pause: time.Millisecond}
					for b := body; len(b) > 0; {
						n := min(len(b), 50_001)
						p.list, b = append(p.list, b[:n]), b[n:]
					}
					err := parseHead(x, head)
					x.Resp.Body = p
					return err
				})
				if a := r.get("/big"); a.body != body {
					t.Fatalf("%s, %d bytes", a.head, len(a.body))
				}
				synctest.Wait()
				if s := r.cache.Snapshot(); s.Disk.Objects != 1 || s.Filling != 0 || s.Bytes > 100_000 || s.Disk.Queued != 0 {
					t.Errorf("%+v, %+v", s, s.Disk)
				}
				for range 3 {
					if a := r.get("/big"); a.body != body || a.verdict() != "hit; ttl=596; detail=DISK" || a.get("Content-Length") != fmt.Sprint(len(body)) {
						t.Errorf("%s, %d bytes", a.head, len(a.body))
					}
				}
				if a := r.get("/big\nRange: bytes=2000000-2000009"); a.status != 206 || a.body != body[2000000:2000010] {
					t.Errorf("%s, %q", a.head, a.body)
				}
				// A client that leaves does not end it, and a purge does.
				r.asked()
				r.do(request{text: "GET /other", quit: 100})
				sleep(time.Second)
				if a := r.get("/other"); a.body != body || !a.hit() {
					t.Errorf("%s", a.head)
				}
				if n := r.asked(); n != 1 {
					t.Errorf("the origin was asked %d times", n)
				}
				slow := r.start(request{text: "GET /third", pause: time.Millisecond})
				sleep(20 * time.Millisecond)
				r.cache.PurgeAll()
				if a := <-slow; a.err != nil || a.body != body {
					t.Errorf("%v, %d bytes", a.err, len(a.body))
				}
				synctest.Wait()
				if s := r.cache.Snapshot(); s.Disk.Objects != 0 || len(files(t, dir)) != 0 || r.cache.store.disk.Load().aside != 0 {
					t.Errorf("%+v, %d files", s.Disk, len(files(t, dir)))
				}
				if left, _ := os.ReadDir(filepath.Join(dir, tempDir)); len(left) != 0 {
					t.Errorf("%d unfinished files", len(left))
				}
			})
		})
	}
}

// A new version of what is too large for memory takes the place of the one before, and what grows too large for the disk is not there at all.
func TestTooLargeForMemoryAgain(t *testing.T) {
	disked(t, func(t *testing.T, dir string) {
		c := onDisk(dir)
		c.Memory, c.MaxObject = 1<<20, 4<<20
		r := newRig(t, 1, c)
		defer r.close()
		synctest.Wait()
		r.answers("HTTP/1.1 200 OK\nCache-Control: max-age=5\n\nsmall")
		r.get("/a")
		sleep(10 * time.Second)
		for i := range 2 {
			body := content(600_000 + i)
			r.answers("HTTP/1.1 200 OK\nCache-Control: max-age=5\n\n" + body)
			r.get("/a")
			synctest.Wait()
			if a := r.get("/a"); a.body != body || a.verdict() != "hit; ttl=5; detail=DISK" || r.cache.Snapshot().Disk.Objects != 1 {
				t.Errorf("%d: %s, %d bytes, %+v", i, a.head, len(a.body), r.cache.Snapshot().Disk)
			}
			sleep(10 * time.Second)
		}
		r.answers("HTTP/1.1 200 OK\nCache-Control: max-age=5\nTransfer-Encoding: chunked\n\n" + content(5<<20))
		r.get("/b")
		synctest.Wait()
		if a := r.get("/b"); a.hit() || len(a.body) != 5<<20 {
			t.Errorf("%s", a.head)
		}
		synctest.Wait()
		if d := r.cache.Snapshot().Disk; d.Objects != 1 || r.cache.store.disk.Load().aside != 0 {
			t.Errorf("%+v", d)
		}
	})
}
