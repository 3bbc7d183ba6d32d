//go:build linux

package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gatehouse/cmd/gatehouse/admin"
)

// loggedSite writes its access log to OUTPUT.
const loggedSite = `
global {
  state_dir      = "state"
  shutdown_grace = "1h"
}
admin { socket = "admin.sock" }
log "access" { output = "OUTPUT" }
frontend "www" {
  bind "ADDRESS" {}
  backend = backend.app
  log     = log.access
}
backend "app" {
  server "A" "SERVER" {}
  timeouts { server = "TIMEOUT" }
}
`

func logged(output string) string {
	return strings.NewReplacer("OUTPUT", output, "TIMEOUT", "1m").Replace(loggedSite)
}

// TestLogReopen: after USR2 a log file that was moved away gets no further line, the new one gets them all, and none is lost. The same while
// gatehouse ends.
func TestLogReopen(t *testing.T) {
	hold := make(chan struct{})
	dir, address := place(t, logged("access.log"), func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			<-hold
		}
		fine(w, r)
	})
	lines := func(name string) int {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return -1
		}
		return strings.Count(string(b), "\n")
	}
	p := launch(t, dir, nil)
	p.says("serving")
	c := visitor(t, "tcp", address, true)
	var wanted []int
	rotate := func(k int) {
		n := 10 + k
		for range n {
			if s, err := visit(c); s != "fine" {
				t.Fatalf("%q, %v", s, err)
			}
		}
		p.await("the lines", func() bool { return lines("access.log") == n })
		if err := os.Rename(filepath.Join(dir, "access.log"), filepath.Join(dir, fmt.Sprintf("access.log.%d", k))); err != nil {
			t.Fatal(err)
		}
		p.signal(syscall.SIGUSR2)
		p.await("a new file", func() bool { return lines("access.log") == 0 })
		wanted = append(wanted, n)
	}
	for k := range 3 {
		rotate(k)
	}
	for k, n := range wanted {
		if got := lines(fmt.Sprintf("access.log.%d", k)); got != n {
			t.Errorf("file %d has %d lines, want %d", k, got, n)
		}
	}
	slow := make(chan error, 1)
	go func() {
		resp, err := visitor(t, "tcp", address, false).Get("http://site.test/slow")
		if err == nil {
			resp.Body.Close()
		}
		slow <- err
	}()
	p.await("the slow one", func() bool { return underWay(t, dir) == 1 })
	p.signal(syscall.SIGTERM)
	p.says("stopping")
	if err := os.Remove(filepath.Join(dir, "access.log")); err != nil {
		t.Fatal(err)
	}
	p.signal(syscall.SIGUSR2)
	p.await("a new file at the end", func() bool { return lines("access.log") == 0 })
	close(hold)
	if err := <-slow; err != nil {
		t.Error(err)
	}
	p.ends(0)
	if n := lines("access.log"); n != 1 {
		t.Errorf("%d lines at the end", n)
	}
}

// underWay returns how many exchanges are under way in the backend app.
func underWay(t *testing.T, dir string) int {
	t.Helper()
	c := admin.Dial(filepath.Join(dir, "admin.sock"))
	defer c.Close()
	s, err := c.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s.Backends[0].Active
}

// TestSecondTerm: the first TERM lets open exchanges finish, the second one does not.
func TestSecondTerm(t *testing.T) {
	hold := make(chan struct{})
	dir, address := place(t, logged("access.log"), func(http.ResponseWriter, *http.Request) { <-hold })
	t.Cleanup(func() { close(hold) })
	p := launch(t, dir, nil)
	p.says("serving")
	slow := make(chan error, 1)
	go func() {
		resp, err := visitor(t, "tcp", address, true).Get("http://site.test/")
		if err == nil {
			resp.Body.Close()
		}
		slow <- err
	}()
	p.await("the request", func() bool { return underWay(t, dir) == 1 })
	p.signal(syscall.SIGTERM)
	p.says("stopping")
	p.await("a closed door", func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	select {
	case err := <-slow:
		t.Fatalf("the exchange ended at the first TERM: %v", err)
	case <-p.over:
		t.Fatal("gatehouse ended at the first TERM")
	case <-time.After(300 * time.Millisecond):
	}
	p.signal(syscall.SIGTERM)
	p.ends(0)
	if err := <-slow; err == nil {
		t.Error("the exchange looks whole")
	}
	if !strings.Contains(p.talk(), "stopped before the last exchange had ended") {
		t.Errorf("it says %s", p.talk())
	}
}

// TestReaderOfTheLogIsGone: whoever reads stdout and stderr may go away without taking gatehouse along (hostile-input.md, row 101).
func TestReaderOfTheLogIsGone(t *testing.T) {
	dir, address := place(t, logged("stdout"), fine)
	outR, outW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	errR, errW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p := launch(t, dir, func(c *exec.Cmd) { c.Stdout, c.Stderr = outW, errW })
	outW.Close()
	errW.Close()
	if line, err := bufio.NewReader(errR).ReadString('\n'); !strings.Contains(line, "serving") {
		t.Fatalf("%q, %v", line, err)
	}
	c := visitor(t, "tcp", address, true)
	if s, err := visit(c); s != "fine" {
		t.Fatalf("%q, %v", s, err)
	}
	if line, err := bufio.NewReader(outR).ReadString('\n'); !strings.Contains(line, "GET / HTTP/1.1") {
		t.Fatalf("%q, %v", line, err)
	}
	outR.Close()
	errR.Close()
	for range 200 {
		if s, err := visit(c); s != "fine" {
			t.Fatalf("without a reader: %q, %v", s, err)
		}
	}
	p.signal(syscall.SIGHUP) // which it has something to say about
	client := admin.Dial(filepath.Join(dir, "admin.sock"))
	defer client.Close()
	p.await("the reload", func() bool {
		s, err := client.Status(t.Context())
		return err == nil && s.Generation == 2
	})
	p.signal(syscall.SIGTERM)
	p.ends(0)
}

// TestReaderOfTheLogIsStopped: a reader that does not read costs lines, which are counted, and no request a moment (row 101).
func TestReaderOfTheLogIsStopped(t *testing.T) {
	dir, address := place(t, logged("stdout"), fine)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	p := launch(t, dir, func(c *exec.Cmd) { c.Stdout = w })
	w.Close()
	p.says("serving")
	// Lines of 8 kB, so that pipe and memory are full soon.
	c := visitor(t, "tcp", address, true)
	long := "http://site.test/" + strings.Repeat("x", 8000)
	var worst time.Duration
	client := admin.Dial(filepath.Join(dir, "admin.sock"))
	defer client.Close()
	dropped := func() uint64 {
		s, err := client.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return s.Logs[0].Dropped
	}
	for i := 0; i < 20_000; i++ {
		began := time.Now()
		resp, err := c.Get(long)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("request %d: %+v, %v", i, resp, err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		worst = max(worst, time.Since(began))
		if i%500 == 499 && dropped() > 100 {
			break
		}
	}
	if dropped() == 0 {
		t.Error("the pipe is never full")
	}
	if worst > 5*time.Second {
		t.Errorf("a request took %v", worst)
	}
	began := time.Now()
	p.signal(syscall.SIGTERM)
	p.ends(0)
	if d := time.Since(began); d > 15*time.Second {
		t.Errorf("the end took %v", d)
	}
}

// TestStoppedProcess: a process that was stopped for longer than its timeouts goes on where it was: who came meanwhile is served, and an answer that has
// come is not late (row 104).
func TestStoppedProcess(t *testing.T) {
	came, answer := make(chan struct{}), make(chan struct{}, 1)
	text := strings.NewReplacer("OUTPUT", "access.log", "TIMEOUT", "1s").Replace(loggedSite)
	dir, address := place(t, text, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			came <- struct{}{}
			<-answer
		}
		fine(w, r)
	})
	p := launch(t, dir, nil)
	p.says("serving")
	results := make(chan string, 3)
	ask := func(path string) {
		resp, err := visitor(t, "tcp", address, false).Get("http://site.test" + path)
		if err != nil {
			results <- err.Error()
			return
		}
		resp.Body.Close()
		results <- resp.Status
	}
	for { // until it is stopped well before the server's time is over, which a busy machine may not manage
		began := time.Now()
		go ask("/slow")
		<-came
		p.signal(syscall.SIGSTOP)
		stopped := time.Since(began)
		answer <- struct{}{}
		if stopped < 700*time.Millisecond {
			break
		}
		p.signal(syscall.SIGCONT)
		t.Logf("stopped after %v: %s", stopped, <-results)
	}
	go ask("/")
	go ask("/")
	<-time.After(1500 * time.Millisecond)
	p.signal(syscall.SIGCONT)
	for range 3 {
		if s := <-results; s != "200 OK" {
			t.Error(s)
		}
	}
	p.signal(syscall.SIGTERM)
	p.ends(0)
}
