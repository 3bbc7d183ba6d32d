//go:build linux

package main

import (
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"gatehouse/cmd/gatehouse/admin"
)

const takeoverSite = `
global {
  state_dir      = "state"
  pid_file       = "gate.pid"
  shutdown_grace = "20s"
}
admin {
  socket = "admin.sock"
  listen = "PAGE"
}
frontend "www" {
  bind "ADDRESS" {}
  bind "unix:DIR/www" {}
  backend = backend.app
}
backend "app" {
  check "tcp" { interval = "50ms" }
  server "A" "SERVER" {}
}
`

// TestTakeover puts process after process in charge under load: no connection is refused, no request fails, and a download that began with the first
// one is whole (AT-4.14, and row 100).
func TestTakeover(t *testing.T) {
	page := freeAddress(t)
	goOn := make(chan struct{})
	half := strings.Repeat("x", 500_000)
	dir, address := place(t, strings.ReplaceAll(takeoverSite, "PAGE", page), func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/large" {
			io.WriteString(w, half)
			w.(http.Flusher).Flush()
			<-goOn
			io.WriteString(w, half)
			return
		}
		fine(w, r)
	})
	first := launch(t, dir, nil)
	first.says("serving")

	download := make(chan string, 1)
	began := make(chan struct{})
	go func() {
		resp, err := visitor(t, "tcp", address, true).Get("http://site.test/large")
		if err != nil {
			close(began)
			download <- err.Error()
			return
		}
		defer resp.Body.Close()
		io.ReadFull(resp.Body, make([]byte, len(half)))
		close(began)
		b, err := io.ReadAll(resp.Body)
		if err != nil || string(b) != half {
			download <- "the second half has " + strconv.Itoa(len(b)) + " bytes"
			return
		}
		download <- ""
	}()
	<-began

	var over atomic.Bool
	var visits atomic.Int64
	var wg sync.WaitGroup
	defer wg.Wait()
	defer over.Store(true)
	for _, v := range []struct {
		network, address string
		keep             bool
	}{{"tcp", address, false}, {"tcp", address, true}, {"unix", filepath.Join(dir, "www"), false}, {"unix", filepath.Join(dir, "www"), true}} {
		wg.Go(func() {
			c := visitor(t, v.network, v.address, v.keep)
			for !over.Load() {
				if s, err := visit(c); err != nil || s != "fine" {
					t.Errorf("%s, kept %v: %q, %v", v.network, v.keep, s, err)
					return
				}
				visits.Add(1)
			}
		})
	}
	old := first
	for range 4 {
		seen := visits.Load()
		next := launch(t, dir, nil, "--takeover")
		next.says("taken over")
		if pid := readPID(filepath.Join(dir, "gate.pid")); pid != next.cmd.Process.Pid {
			t.Errorf("the pid file names %d", pid)
		}
		client := admin.Dial(filepath.Join(dir, "admin.sock"))
		if s, err := client.Status(t.Context()); err != nil || s.PID != next.cmd.Process.Pid || s.Server("app", "A").Health != "up" {
			t.Errorf("status: %+v, %v", s, err)
		}
		client.Close()
		if resp, err := visitor(t, "tcp", page, false).Get("http://" + page + "/metrics"); err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("the page: %+v, %v", resp, err)
		} else {
			resp.Body.Close()
		}
		if old != first {
			old.ends(0)
		}
		next.await("requests", func() bool { return visits.Load() > seen+100 })
		old = next
	}
	if !first.runs() {
		t.Error("the first one has not waited for the download")
	}
	close(goOn)
	if s := <-download; s != "" {
		t.Errorf("the download: %s", s)
	}
	first.ends(0)
	over.Store(true)
	wg.Wait()
	old.signal(syscall.SIGTERM)
	old.ends(0)
	for _, name := range []string{"www", "admin.sock", "gate.pid"} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			t.Errorf("%s is left behind", name)
		}
	}
	t.Logf("%d requests", visits.Load())
}

// TestTakeoverFails: whoever cannot take over leaves the running one as it was, and says why.
func TestTakeoverFails(t *testing.T) {
	dir, address := place(t, strings.ReplaceAll(takeoverSite, "PAGE", freeAddress(t)), fine)
	nobody := launch(t, dir, nil, "--takeover")
	nobody.ends(5)
	if !strings.Contains(nobody.talk(), "no gatehouse is running there") {
		t.Errorf("without anybody: %s", nobody.talk())
	}
	p := launch(t, dir, nil)
	p.says("serving")

	taken, err := net.Listen("tcp", freeAddress(t))
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	text, err := os.ReadFile(filepath.Join(dir, "gatehouse.hcl"))
	if err != nil {
		t.Fatal(err)
	}
	more := filepath.Join(dir, "more.hcl")
	if err := os.WriteFile(more, []byte(strings.Replace(string(text), "bind \"unix", "bind \""+taken.Addr().String()+"\" {}\n  bind \"unix", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		q := launch(t, dir, nil, "-c", more, "--takeover")
		q.ends(1)
		if !strings.Contains(q.talk(), "address already in use") {
			t.Errorf("with a taken address: %s", q.talk())
		}
	}
	p.says("nobody has taken over; serving on")

	// One that dies in the middle.
	half, err := admin.TakeOver(t.Context(), filepath.Join(dir, "admin.sock"))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(half.Descriptors); n != 3 || half.PID != p.cmd.Process.Pid {
		t.Errorf("%d descriptors of process %d", n, half.PID)
	}
	half.Close()

	client := admin.Dial(filepath.Join(dir, "admin.sock"))
	defer client.Close()
	if o, err := client.Reload(t.Context()); err != nil || !o.Done {
		t.Errorf("a reload after all that: %+v, %v", o, err)
	}
	for _, v := range [][2]string{{"tcp", address}, {"unix", filepath.Join(dir, "www")}} {
		if s, err := visit(visitor(t, v[0], v[1], false)); s != "fine" {
			t.Errorf("%s: %q, %v", v[0], s, err)
		}
	}
	// An end during a takeover does not wait for it.
	half, err = admin.TakeOver(t.Context(), filepath.Join(dir, "admin.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer half.Close()
	began := time.Now()
	p.signal(syscall.SIGTERM)
	p.ends(0)
	if d := time.Since(began); d > 10*time.Second {
		t.Errorf("the end took %v", d)
	}
}

// TestActivation: sockets that systemd has opened serve the binds with their addresses, and stay open over a restart.
func TestActivation(t *testing.T) {
	dir, address := place(t, `
global { state_dir = "state" }
frontend "www" {
  bind "ADDRESS" {}
  bind "unix:DIR/www" {}
  backend = backend.app
}
backend "app" {
  server "A" "SERVER" {}
}
`, fine)
	tcp, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	un, err := net.Listen("unix", filepath.Join(dir, "www"))
	if err != nil {
		t.Fatal(err)
	}
	defer un.Close()
	files := make([]*os.File, 3)
	files[0], err = tcp.(*net.TCPListener).File()
	if err == nil {
		files[2], err = un.(*net.UnixListener).File()
	}
	if err == nil {
		files[1], err = os.Open(dir) // which is none to listen on
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		defer f.Close()
	}
	// Both listen before anybody runs: whoever comes waits, and is served.
	early := make(chan string, 2)
	for _, v := range [][2]string{{"tcp", address}, {"unix", filepath.Join(dir, "www")}} {
		go func() {
			s, err := visit(visitor(t, v[0], v[1], false))
			if err != nil {
				s = err.Error()
			}
			early <- s
		}()
	}
	for range 2 {
		p := launch(t, dir, func(c *exec.Cmd) {
			// LISTEN_PID is the number of the process itself: a shell knows it before it becomes gatehouse.
			c.Args = append([]string{"sh", "-c", `LISTEN_PID=$$ LISTEN_FDS=3 exec "$0" "$@"`}, append([]string{c.Path}, c.Args[1:]...)...)
			sh, err := exec.LookPath("sh")
			if err != nil {
				t.Skip("no sh")
			}
			c.Path, c.ExtraFiles = sh, files
		})
		p.says("serving")
		if early != nil {
			for range 2 {
				if s := <-early; s != "fine" {
					t.Errorf("an early one: %s", s)
				}
			}
			early = nil
		}
		for _, v := range [][2]string{{"tcp", address}, {"unix", filepath.Join(dir, "www")}} {
			if s, err := visit(visitor(t, v[0], v[1], false)); s != "fine" {
				t.Errorf("%s: %q, %v", v[0], s, err)
			}
		}
		p.signal(syscall.SIGTERM)
		p.ends(0)
		if _, err := os.Lstat(filepath.Join(dir, "www")); err != nil {
			t.Error("the file of a socket that is systemd's is gone")
		}
	}
}
