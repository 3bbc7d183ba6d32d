//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long anything in these tests may take that should take no time.
const patience = 20 * time.Second

// process is a gatehouse of its own, run from a directory.
type process struct {
	*testing.T
	cmd  *exec.Cmd
	dir  string
	over chan struct{} // closed when it has ended
	code int           // then

	mu   sync.Mutex // guards said
	said bytes.Buffer
}

// Write takes what the process says on stderr.
func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.said.Write(b)
}

func (p *process) talk() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.said.String()
}

// launch runs "gatehouse run" in dir. prepare, if not nil, may change the command.
func launch(t *testing.T, dir string, prepare func(*exec.Cmd), args ...string) *process {
	t.Helper()
	p := &process{T: t, dir: dir, over: make(chan struct{})}
	p.cmd = exec.Command("gatehouse", append([]string{"run"}, args...)...)
	p.cmd.Dir, p.cmd.Stderr = dir, p
	p.cmd.WaitDelay = time.Second
	if prepare != nil {
		prepare(p.cmd)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.over)
		p.cmd.Wait()
		p.code = p.cmd.ProcessState.ExitCode()
	}()
	t.Cleanup(func() {
		p.cmd.Process.Kill()
		<-p.over
		if t.Failed() {
			t.Logf("process %d said:\n%s", p.cmd.Process.Pid, p.talk())
		}
	})
	return p
}

// says waits until the process has said that.
func (p *process) says(what string) {
	p.Helper()
	p.await("that it says "+what, func() bool { return strings.Contains(p.talk(), what) })
}

// signal sends the process a signal.
func (p *process) signal(s syscall.Signal) {
	p.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.Fatal(err)
	}
}

// ends waits for its end, with that exit code.
func (p *process) ends(code int) {
	p.Helper()
	select {
	case <-p.over:
		if p.code != code {
			p.Fatalf("process %d exits with %d, want %d", p.cmd.Process.Pid, p.code, code)
		}
	case <-time.After(patience):
		p.Fatal("the process does not end")
	}
}

// runs reports whether it has not ended.
func (p *process) runs() bool {
	select {
	case <-p.over:
		return false
	default:
		return true
	}
}

// await waits until something is so.
func (p *process) await(what string, so func() bool) {
	p.Helper()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	late := time.After(patience)
	for !so() {
		select {
		case <-again.C:
		case <-late:
			p.Fatalf("waited in vain for this: %s", what)
		}
	}
}

// freeAddress returns an address to listen on that nobody has: a port of a loopback address that only this call knows.
func freeAddress(t *testing.T) string {
	t.Helper()
	var b [3]byte
	rand.Read(b[:])
	l, err := net.Listen("tcp", net.JoinHostPort(net.IPv4(127, b[0]|1, b[1], b[2]|1).String(), "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// place writes a configuration into a new directory, whose path is short enough for sockets in it. In text, ADDRESS is where the
// site listens, SERVER where its server does, and DIR the directory.
func place(t *testing.T, text string, serve http.HandlerFunc) (dir, address string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "gate")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	server := httptest.NewServer(serve)
	t.Cleanup(server.Close)
	address = freeAddress(t)
	text = strings.NewReplacer("ADDRESS", address, "SERVER", server.Listener.Addr().String(), "DIR", dir).Replace(text)
	if err := os.WriteFile(filepath.Join(dir, "gatehouse.hcl"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir, address
}

// fine answers every request.
func fine(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "fine") }

// visitor is a client that keeps its connections, or not.
func visitor(t *testing.T, network, address string, keep bool) *http.Client {
	tr := &http.Transport{DisableKeepAlives: !keep, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, address)
	}}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: patience}
}

// visit asks for a page and returns its content, or the status in the place of one that is not well.
func visit(c *http.Client) (string, error) {
	resp, err := c.Get("http://site.test/")
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusOK {
		return resp.Status, err
	}
	return string(b), err
}
