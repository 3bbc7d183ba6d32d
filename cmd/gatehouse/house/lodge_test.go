package house_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"gatehouse/backend/loop"
	"gatehouse/cmd/gatehouse/admin"
	"gatehouse/cmd/gatehouse/config"
	"gatehouse/cmd/gatehouse/house"
)

// lodge is a house that can be reloaded, from a configuration on disk. Its addresses are unix sockets in dir, which need no free ports.
type lodge struct {
	testing.TB
	dir   string
	h     *house.House
	loops []*loop.Loop
	lines *logBook
	told  *observer.ObservedLogs
	load  func() // called before each load, if not nil
	down  sync.Once
}

// newLodge starts a house. In text, DIR stands for the directory of the lodge.
func newLodge(t testing.TB, text string) *lodge {
	t.Helper()
	// Not t.TempDir: the path of a socket is short.
	dir, err := os.MkdirTemp("", "lodge")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &lodge{TB: t, dir: dir}
	s.write(text)
	s.start()
	return s
}

// start starts the house, again after an end.
func (s *lodge) start() {
	s.Helper()
	file, diags := s.read()
	if diags.HasErrors() {
		var out strings.Builder
		diags.Print(&out)
		s.Fatal(out.String())
	}
	core, told := observer.New(zapcore.InfoLevel)
	s.loops, s.lines, s.told, s.down = nil, newLogBook(), told, sync.Once{}
	for i := range 2 {
		l, err := loop.New(i)
		if err != nil {
			s.Fatal(err)
		}
		l.OnPanic = func(v any, stack []byte) { s.Errorf("panic: %v\n%s", v, stack) }
		s.loops = append(s.loops, l)
	}
	h, err := house.New(file, house.Options{Loops: s.loops, Log: zap.New(core), AccessLog: s.lines, Version: "test", Configuration: []string{s.path("gatehouse.hcl")},
		Load: func() (*config.File, *config.Diagnostics) {
			if s.load != nil {
				s.load()
			}
			return s.read()
		}})
	s.h = h
	if err == nil {
		err = h.Start()
	}
	s.Cleanup(func() { s.end(0) })
	if err != nil {
		s.Fatal(err)
	}
}

func (s *lodge) read() (*config.File, *config.Diagnostics) {
	file, diags := config.Load([]string{s.path("gatehouse.hcl")}, config.Options{})
	file.VerifyFiles()
	return file, diags
}

// end ends the house.
func (s *lodge) end(grace time.Duration) (err error) {
	s.down.Do(func() {
		if s.h != nil {
			ctx, cancel := context.WithTimeout(context.Background(), grace)
			defer cancel()
			err = s.h.Shutdown(ctx)
		}
		for _, l := range s.loops {
			l.Stop()
		}
	})
	return err
}

func (s *lodge) path(name string) string { return filepath.Join(s.dir, name) }

// write replaces the configuration.
func (s *lodge) write(text string) {
	s.Helper()
	text = "global {\n state_dir = \"DIR/state\"\n shutdown_grace = \"20s\"\n}\nlog \"access\" { format = \"json\" }\n" + text
	s.put("gatehouse.hcl", strings.ReplaceAll(text, "DIR", s.dir))
}

// put writes a file there.
func (s *lodge) put(name, text string) {
	s.Helper()
	if err := os.WriteFile(s.path(name), []byte(text), 0o600); err != nil {
		s.Fatal(err)
	}
}

// reload takes a new configuration, which must be all right.
func (s *lodge) reload(text string) *admin.Outcome {
	s.Helper()
	s.write(text)
	o := s.h.Reload()
	if !o.Done {
		s.Fatalf("the reload is refused: %s%s", o.Unwilling, o.Diagnostics)
	}
	return o
}

// client connects to the socket of that name.
func (s *lodge) client(name string) *wire {
	s.Helper()
	nc, err := net.Dial("unix", s.path(name))
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { nc.Close() })
	return newWire(s.TB, nc)
}

// server is the state of a server.
func (s *lodge) server(backend, name string) *admin.Server {
	s.Helper()
	v := s.h.Status().Server(backend, name)
	if v == nil {
		s.Fatalf("no server %s/%s", backend, name)
	}
	return v
}

// await waits until something is so.
func (s *lodge) await(what string, so func() bool) {
	s.Helper()
	again := time.NewTicker(2 * time.Millisecond)
	defer again.Stop()
	late := time.After(patience)
	for !so() {
		select {
		case <-again.C:
		case <-late:
			s.Fatalf("%s: that never came", what)
		}
	}
}

// settled waits until the servers have been checked.
func (s *lodge) settled(backend string) {
	s.Helper()
	select {
	case <-s.h.Pool(backend).Ready():
	case <-time.After(patience):
		s.Fatal("the servers are never checked")
	}
}

// web is a configuration with one frontend, on the socket "www", and one backend with those attributes and servers.
func web(back string, servers ...*origin) string {
	var b strings.Builder
	b.WriteString("frontend \"www\" {\n bind \"unix:DIR/www\" {}\n backend = backend.app\n log = log.access\n}\n")
	b.WriteString(app(back, servers...))
	return b.String()
}

// app is a backend with those attributes and servers, which are called A, B and so on.
func app(back string, servers ...*origin) string {
	var b strings.Builder
	fmt.Fprintf(&b, "backend \"app\" {\n%s\n", back)
	for i, o := range servers {
		fmt.Fprintf(&b, " server %q %q {}\n", string(rune('A'+i)), o.addr)
	}
	b.WriteString("}\n")
	return b.String()
}
