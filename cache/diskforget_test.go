package cache

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

// What was to be replaced is not found again either when its successor is forgotten before it was written: neither at once nor after a restart.
func TestForgottenBeforeItWasWritten(t *testing.T) {
	const url = "http://shop.example.com/page"
	for name, forget := range map[string]func(r *rig){
		"PurgeURL":    func(r *rig) { r.cache.forget(false, []byte("shop.example.com"), []byte("/page")) },
		"PurgePrefix": func(r *rig) { go r.cache.PurgePrefix(url) },
		"POST":        func(r *rig) { r.do(request{text: "POST /page"}) },
		"private": func(r *rig) {
			r.answers("HTTP/1.1 200 OK\nCache-Control: private\n\nmine")
			r.get("/page\nCache-Control: no-cache")
		},
	} {
		t.Run(name, func(t *testing.T) {
			disked(t, func(t *testing.T, dir string) {
				c := onDisk(dir)
				c.RefreshFrom = prefixes("192.0.2.0/24")
				f, fs := newFaults()
				r := newRigWith(t, 1, c, Options{files: fs})
				r.answers("HTTP/1.1 200 OK\nCache-Control: max-age=600\n\nold")
				r.get("/page")
				synctest.Wait()
				f.stuck.Store(true)
				r.get("/other") // keeps the keeper busy
				synctest.Wait()
				r.answers("HTTP/1.1 200 OK\nCache-Control: max-age=600\n\nnewer")
				r.get("/page\nCache-Control: no-cache") // waits to be written
				synctest.Wait()
				forget(r)
				synctest.Wait()
				f.stuck.Store(false)
				close(f.free)
				synctest.Wait()
				if left := files(t, dir); len(left) != 1 {
					t.Errorf("files left: %q, want that of /other alone", left)
				}
				r.close()
				r = newRig(t, 1, c)
				defer r.close()
				synctest.Wait()
				r.answers("HTTP/1.1 200 OK\n\nnew")
				if a := r.get("/page"); a.body != "new" {
					t.Errorf("after a restart: %q, %s", a.body, a.verdict())
				}
			})
		})
	}
}

// However long a directory cannot be used, no more is kept in mind than what waits for it.
func TestUnusableDirectoryTakesNoMemory(t *testing.T) {
	disked(t, func(t *testing.T, dir string) {
		if err := os.WriteFile(dir, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		c := onDisk(dir)
		c.RefreshFrom = prefixes("192.0.2.0/24")
		r := newRig(t, 1, c)
		defer r.close()
		r.numbered(1 << 20)
		for i := range 50 {
			r.get(fmt.Sprintf("/%d\nCache-Control: no-cache", i%5))
		}
		for i := range 2 * maxOwed {
			r.cache.PurgeTag(fmt.Sprintf("t%d", i))
		}
		synctest.Wait()
		d := r.cache.store.disk.Load()
		d.mu.Lock()
		defer d.mu.Unlock()
		if len(d.owed) > maxOwed || !d.owed[0].all {
			t.Errorf("%d purges are remembered, and the first of them is not all", len(d.owed))
		}
		if d.queued > d.most || len(d.doomed) > 5 || len(d.forgotten) > 5 {
			t.Errorf("%d bytes wait, %d files are to be removed, %d keys are forgotten", d.queued, len(d.doomed), len(d.forgotten))
		}
	})
}

// A keeper that hangs is not told the same again and again.
func TestStuckDiskTakesNoMemory(t *testing.T) {
	disked(t, func(t *testing.T, dir string) {
		c := onDisk(dir)
		c.RefreshFrom = prefixes("192.0.2.0/24")
		f, fs := newFaults()
		r := newRigWith(t, 1, c, Options{files: fs})
		defer r.close()
		r.numbered(1 << 20)
		synctest.Wait()
		f.stuck.Store(true)
		for i := range 60 {
			r.get(fmt.Sprintf("/%d\nCache-Control: no-cache", i%6))
		}
		synctest.Wait()
		d := r.cache.store.disk.Load()
		d.mu.Lock()
		n := len(d.doomed)
		d.mu.Unlock()
		f.stuck.Store(false)
		close(f.free)
		if n > 6 {
			t.Errorf("%d files of 6 are to be removed", n)
		}
	})
}

// Files that are not the cache's own stay as they are, wherever they lie.
func TestFilesOfOthersStay(t *testing.T) {
	disked(t, func(t *testing.T, dir string) {
		own := []string{tempDir + "/7"}
		others := []string{"index.html", "tmp/notes", "tmp/12", "c0/readme", "c0/c0ffee0123456789-01234567-89abcdef.bak", tempDir + "/notes", tempDir + "/7.txt", tempDir + "/0x7"}
		for _, name := range append(own, others...) {
			path := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		r := newRig(t, 1, onDisk(dir))
		synctest.Wait()
		r.cache.PurgeAll()
		r.close()
		for _, name := range others {
			if _, err := os.Lstat(filepath.Join(dir, name)); err != nil {
				t.Error(err)
			}
		}
		for _, name := range own {
			if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
				t.Errorf("%s, which nobody will ever finish, is still there", name)
			}
		}
	})
}

// A file that says it is larger than memory, and has all its checksums right, is damaged: nothing is made of that size.
func TestFileThatLiesAboutItsSize(t *testing.T) {
	disked(t, func(t *testing.T, dir string) {
		r := newRig(t, 1, onDisk(dir))
		defer r.close()
		r.answers("HTTP/1.1 200 OK\nCache-Control: max-age=600\n\n" + content(300))
		r.get("/page")
		r.flush()
		path := files(t, dir)[0]
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		binary.LittleEndian.PutUint64(b[atSize:], 1<<50)
		if err := os.WriteFile(path, resum(b), 0o600); err != nil {
			t.Fatal(err)
		}
		if a := r.get("/page"); a.hit() || len(a.body) != 300 || r.cache.Stats.DiskCorrupt.Load() != 1 {
			t.Errorf("%s, %d damaged files", a.head, r.cache.Stats.DiskCorrupt.Load())
		}
	})
}

// Once unsafe_store_set_cookie is taken back, no cookie is given out that was remembered while it held: not from memory, nor from the disk.
func TestCookiesAreNotRememberedAnyLonger(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, r *rig, c *Config) *rig{
		"reload": func(_ *testing.T, r *rig, c *Config) *rig {
			r.cache = New(c, r.cache.next, Options{Loops: r.loops, Backend: "web", Former: r.cache})
			r.cache.TakeOver()
			return r
		},
		"reload, from the disk": func(_ *testing.T, r *rig, c *Config) *rig {
			r.cache = New(c, r.cache.next, Options{Loops: r.loops, Backend: "web", Former: r.cache})
			r.cache.TakeOver()
			r.flush()
			return r
		},
		"restart": func(t *testing.T, r *rig, c *Config) *rig {
			r.close()
			r = newRig(t, 1, c)
			synctest.Wait()
			return r
		},
	} {
		t.Run(name, func(t *testing.T) {
			disked(t, func(t *testing.T, dir string) {
				c := onDisk(dir)
				c.UnsafeStoreSetCookie = true
				r := newRig(t, 1, c)
				const page = "HTTP/1.1 200 OK\nCache-Control: max-age=600, stale-while-revalidate=600\nSet-Cookie: session=ofone\n\npage"
				r.answers(page)
				r.get("/page")
				if a := r.get("/page"); !a.hit() || a.get("Set-Cookie") == "" {
					t.Fatalf("the premise: %s", a.head)
				}
				synctest.Wait()
				r = change(t, r, onDisk(dir))
				defer func() { r.close() }()
				r.answers("HTTP/1.1 200 OK\nCache-Control: max-age=600\n\nanother page")
				for range 2 {
					if a := r.get("/page"); a.get("Set-Cookie") != "" || a.body != "another page" {
						t.Errorf("%s", a.head)
					}
				}
				time.Sleep(time.Millisecond)
				synctest.Wait()
				if a := r.do(request{text: "HEAD /page"}); a.get("Set-Cookie") != "" {
					t.Errorf("%s", a.head)
				}
			})
		})
	}
}
