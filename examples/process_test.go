//go:build linux

package examples

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// scratch is the directory of program.
var scratch string

func TestMain(m *testing.M) {
	var err error
	if scratch, err = os.MkdirTemp("", "gatehouse-examples-"); err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(scratch)
	os.Exit(code)
}

// program builds gatehouse once for all tests that need it and returns its path.
var program = sync.OnceValues(func() (string, error) {
	name := filepath.Join(scratch, "gatehouse")
	if out, err := exec.Command("go", "build", "-o", name, "../cmd/gatehouse").CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return name, nil
})

// process is a gatehouse with a configuration of a folder whose addresses were replaced by those of this machine.
type process struct {
	t       *testing.T
	cmd     *exec.Cmd
	at      string // where it listens
	serving chan struct{}

	mu   sync.Mutex
	said bytes.Buffer
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

// start runs gatehouse, listening on an address of its own in the place of bind; replace are pairs of other old and new texts.
func start(t *testing.T, file, bind string, replace ...string) *process {
	t.Helper()
	name, err := program()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, at: freeAddress(t), serving: make(chan struct{})}
	replace = append(replace, strconv.Quote(bind), strconv.Quote(p.at))
	for i := 0; i < len(replace); i += 2 {
		if !strings.Contains(string(text), replace[i]) {
			t.Fatalf("%s does not say %s", file, replace[i])
		}
	}
	own := filepath.Join(t.TempDir(), "gatehouse.hcl")
	if err := os.WriteFile(own, []byte(strings.NewReplacer(replace...).Replace(string(text))), 0o644); err != nil {
		t.Fatal(err)
	}
	p.cmd = exec.Command(name, "run", "-c", own)
	errs, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		p.listen(errs)
	}()
	t.Cleanup(func() {
		if p.cmd.ProcessState == nil {
			p.cmd.Process.Kill()
			p.cmd.Wait()
		}
		<-read
		if t.Failed() {
			t.Logf("gatehouse said:\n%s", p.said.String())
		}
	})
	select {
	case <-p.serving:
	case <-read:
		t.Fatal("gatehouse ended before it served")
	case <-t.Context().Done():
	}
	return p
}

// listen reads what the process says.
func (p *process) listen(r io.Reader) {
	told := false
	for lines := bufio.NewScanner(r); lines.Scan(); {
		p.mu.Lock()
		fmt.Fprintln(&p.said, lines.Text())
		p.mu.Unlock()
		if !told && strings.Contains(lines.Text(), "serving") {
			told = true
			close(p.serving)
		}
	}
}

// dial connects to the process.
func (p *process) dial() (net.Conn, error) {
	c, err := net.DialTimeout("tcp", p.at, 10*time.Second)
	if err == nil {
		c.SetDeadline(time.Now().Add(10 * time.Second))
	}
	return c, err
}

// end waits for the process to end, and wants exit code 0.
func (p *process) end() {
	p.t.Helper()
	late := time.AfterFunc(20*time.Second, func() { p.cmd.Process.Kill() })
	defer late.Stop()
	if err := p.cmd.Wait(); err != nil {
		p.t.Errorf("gatehouse ended with %v", err)
	}
}

// A web server's relay for checks is stopped by a signal to the process in its pid file: the port is closed at once, the check under way
// gets its answer, and the process ends well.
func TestCheckRelayIsStoppedByASignal(t *testing.T) {
	for _, c := range []struct {
		name   string
		signal syscall.Signal
	}{{"TERM", syscall.SIGTERM}, {"USR1", syscall.SIGUSR1}} {
		t.Run(c.name, func(t *testing.T) {
			app, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer app.Close()
			pidFile := filepath.Join(t.TempDir(), "checks.pid")
			p := start(t, "4.2.1-check-relay/gatehouse.hcl", ":81", "127.0.0.1:80", app.Addr().String(), "/var/run/gatehouse-checks.pid", pidFile)
			check, err := p.dial()
			if err != nil {
				t.Fatal(err)
			}
			defer check.Close()
			io.WriteString(check, "HEAD / HTTP/1.0\r\n\r\n")
			server, err := app.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer server.Close()
			var others sync.WaitGroup
			defer others.Wait()
			defer app.Close()
			others.Go(func() { // who comes while the port is being closed is not kept waiting
				for {
					c, err := app.Accept()
					if err != nil {
						return
					}
					c.Close()
				}
			})
			if line, err := bufio.NewReader(server).ReadString('\n'); line != "HEAD / HTTP/1.0\r\n" || err != nil {
				t.Fatalf("the application read %q, %v", line, err)
			}

			text, err := os.ReadFile(pidFile)
			if err != nil {
				t.Fatal(err)
			}
			pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
			if err != nil || pid != p.cmd.Process.Pid {
				t.Fatalf("pid file says %q, %v; the process is %d", text, err, p.cmd.Process.Pid)
			}
			if err := p.cmd.Process.Signal(c.signal); err != nil {
				t.Fatal(err)
			}
			for late := time.Now().Add(10 * time.Second); ; {
				other, err := p.dial()
				if errors.Is(err, syscall.ECONNREFUSED) {
					break
				}
				if err == nil {
					other.Close()
				}
				if time.Now().After(late) {
					t.Fatalf("the port is open still, %v", err)
				}
			}

			io.WriteString(server, "HTTP/1.0 200 OK\r\n\r\n")
			server.Close()
			if got, err := io.ReadAll(check); string(got) != "HTTP/1.0 200 OK\r\n\r\n" || err != nil {
				t.Errorf("the check under way got %q, %v", got, err)
			}
			check.Close()
			p.end()
			if _, err := os.Stat(pidFile); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the pid file is there still (%v)", err)
			}
		})
	}
}

// AT-6.1 on a real interface: the server sees the addresses in turn, and the health checks come from all of them too.
func TestSourceAddressesOfThisMachine(t *testing.T) {
	app, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	type visit struct{ from, said string }
	visits := make(chan visit, 1000)
	var open sync.WaitGroup
	open.Go(func() {
		for {
			c, err := app.Accept()
			if err != nil {
				return
			}
			open.Go(func() {
				defer c.Close()
				host, _, _ := net.SplitHostPort(c.RemoteAddr().String())
				b := make([]byte, 5)
				n, _ := io.ReadFull(c, b)
				visits <- visit{host, string(b[:n])}
			})
		}
	})
	defer open.Wait()
	defer app.Close()
	p := start(t, "6-source-addresses/gatehouse.hcl", ":80", "10.1.1.1:80", app.Addr().String(), "10.1.2.", "127.0.2.")

	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	checked := map[string]bool{}
	next := func() visit {
		for {
			select {
			case v := <-visits:
				if v.said != "" {
					return v
				}
				checked[v.from] = true
				if len(checked) == 8 {
					return v
				}
			case <-ctx.Done():
				t.Fatalf("nobody came; checks came from %v", checked)
			}
		}
	}
	for len(checked) < 8 { // then all eight are in service
		next()
	}
	var got []string
	for range 16 {
		c, err := p.dial()
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, "hello")
		v := next()
		for v.said == "" {
			v = next()
		}
		got = append(got, strings.TrimPrefix(v.from, "127.0.2."))
		c.Close()
	}
	if s := strings.Join(got, " "); s != "1 2 3 4 5 6 7 8 1 2 3 4 5 6 7 8" {
		t.Errorf("the connections came from %s", s)
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.end()
}
