package cache

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// A directory that is removed or emptied under the cache is begun anew, and one that another process has made meanwhile is left to that.
func TestDirectoryThatGoes(t *testing.T) {
	for _, c := range []struct {
		name  string
		after func(dir string) error
	}{
		{"removed", func(string) error { return nil }},
		{"emptied", func(dir string) error { return os.Mkdir(dir, 0o700) }},
		{"moved away", func(dir string) error { return os.Symlink(dir+".old", dir) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			disked(t, func(t *testing.T, dir string) {
				r := newRig(t, 1, onDisk(dir))
				defer r.close()
				r.numbered(200_000)
				for i := range 5 {
					r.get(fmt.Sprintf("/%d", i))
				}
				r.flush()
				if c.name == "moved away" {
					if err := os.Rename(dir, dir+".old"); err != nil {
						t.Fatal(err)
					}
				} else if err := os.RemoveAll(dir); err != nil {
					t.Fatal(err)
				}
				if err := c.after(dir); err != nil {
					t.Fatal(err)
				}
				sleep(2 * lookTime)
				for i := range 10 {
					if a := r.get(fmt.Sprintf("/%d", i)); len(a.body) < 200_000 || a.hit() != (i < 5 && c.name == "moved away") {
						t.Errorf("%d bytes, %s", len(a.body), a.verdict())
					}
				}
				sleep(2 * retryOpen)
				if d := r.cache.Snapshot().Disk; d.State != "ready" || d.Trouble != "" || d.Objects != 10 || len(files(t, dir)) != 10 {
					t.Errorf("%+v, %d files", d, len(files(t, dir)))
				}
				r.flush()
				for i := range 10 {
					if a := r.get(fmt.Sprintf("/%d", i)); !a.hit() || len(a.body) < 200_000 {
						t.Errorf("%d bytes, %s", len(a.body), a.verdict())
					}
				}
			})
		})
	}
	disked(t, func(t *testing.T, dir string) {
		r := newRig(t, 1, &Config{Memory: 4 << 20, MaxObject: 2 << 20, Disk: &Disk{Path: dir, Size: 64 << 20}})
		defer r.close()
		r.streams("HTTP/1.1 200 OK\nCache-Control: max-age=600\nContent-Length: 2000000", time.Second, nil, content(1_000_000), content(1_000_000))
		large := r.start(request{text: "GET /large"}) // goes to the disk while it comes
		time.Sleep(1500 * time.Millisecond)
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		other := newRig(t, 1, onDisk(dir))
		other.numbered(1000)
		other.get("/theirs")
		synctest.Wait()
		if a := <-large; len(a.body) != 2_000_000 || a.err != nil {
			t.Errorf("%d bytes, %v", len(a.body), a.err)
		}
		sleep(2 * lookTime)
		r.numbered(1000)
		for i := range 5 {
			r.get(fmt.Sprintf("/%d", i))
		}
		sleep(2 * retryOpen)
		want := fmt.Sprintf("%s is in use by process %d", dir, os.Getpid())
		if d := r.cache.Snapshot().Disk; d.State != "waiting" || d.Trouble != want || len(files(t, dir)) != 1 {
			t.Errorf("%+v, %d files", d, len(files(t, dir)))
		}
		if d := other.cache.Snapshot().Disk; d.State != "ready" || d.Objects != 1 {
			t.Errorf("%+v", d)
		}
		other.close()
		sleep(2 * retryOpen)
		if d := r.cache.Snapshot().Disk; d.State != "ready" || d.Objects != 6 { // theirs, and those that have waited
			t.Errorf("%+v", d)
		}
		if list, _ := filepath.Glob(filepath.Join(dir, tempDir, "*")); len(list) > 0 {
			t.Errorf("left over: %v", list)
		}
	})
}

// A disk that has room now and then is spoken of once, and once more when all is well for a while.
func TestFullDiskIsToldOnce(t *testing.T) {
	disked(t, func(t *testing.T, dir string) {
		core, logs := observer.New(zap.InfoLevel)
		f, fs := newFaults()
		r := newRigWith(t, 1, onDisk(dir), Options{files: fs, Log: zap.New(core)})
		defer r.close()
		r.numbered(100_000)
		synctest.Wait()
		logs.TakeAll()
		for i := range 60 {
			f.room.Store(int64(i % 3 * 60_000)) // one in three fails, or two
			r.get(fmt.Sprintf("/%d", i))
			sleep(time.Second)
		}
		list := logs.TakeAll()
		if len(list) != 1 || list[0].Message != "cache: the disk tier cannot write, memory serves on" {
			t.Errorf("%d lines: %v", len(list), list)
		}
		if n := r.cache.Stats.DiskErrors.Load(); n < 10 {
			t.Errorf("%d errors", n)
		}
		f.room.Store(1 << 40)
		sleep(2 * quietTime)
		for i := range 3 {
			r.get(fmt.Sprintf("/more%d", i))
			sleep(time.Second)
		}
		list = logs.TakeAll()
		if len(list) != 1 || list[0].Message != "cache: the disk tier works again" {
			t.Errorf("%d lines: %v", len(list), list)
		}
	})
}
