package admin

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// socketDir is a directory with a short path.
func socketDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "admin")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func open(t *testing.T, path string, p Process) *Socket {
	t.Helper()
	s, err := OpenSocket(path, false, p, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func TestSocketIsForItsOwner(t *testing.T) {
	path := filepath.Join(socketDir(t), "deep", "down", "admin.sock")
	s := open(t, path, Process{})
	fi, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := fi.Mode(); got != os.ModeSocket|0o600 {
		t.Errorf("mode %v", got)
	}
	if list, _ := os.ReadDir(filepath.Dir(path)); len(list) != 1 {
		t.Errorf("left beside it: %v", list)
	}
	s.Close()
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("left at the end: %v", err)
	}
}

func TestSocketTakesThePlaceOfADeadOne(t *testing.T) {
	path := filepath.Join(socketDir(t), "admin.sock")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()
	first := open(t, path, Process{Status: func() *Status { return &Status{PID: 1} }})

	if _, err := OpenSocket(path, false, Process{}, zap.NewNop()); err == nil || !strings.Contains(err.Error(), "another gatehouse listens on") {
		t.Errorf("in the place of a living one: %v", err)
	}
	c := Dial(path)
	defer c.Close()
	if s, err := c.Status(t.Context()); err != nil || s.PID != 1 {
		t.Errorf("%+v, %v", s, err)
	}

	// Somebody moved it away and put another one there: that is not ours to remove.
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	open(t, path, Process{})
	first.Close()
	if _, err := os.Stat(path); err != nil {
		t.Errorf("the other one's socket was removed: %v", err)
	}
}

// TestSocketIsLeftToAnother: what a process has left is another one's, before that has put its own socket there and after.
func TestSocketIsLeftToAnother(t *testing.T) {
	path := filepath.Join(socketDir(t), "admin.sock")
	first := open(t, path, Process{})
	first.Leave()
	if _, err := os.Stat(path); err != nil {
		t.Errorf("removed before the other one has come: %v", err)
	}
	second, err := OpenSocket(path, true, Process{Status: func() *Status { return &Status{PID: 2} }}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	first.Leave()
	c := Dial(path)
	defer c.Close()
	if s, err := c.Status(t.Context()); err != nil || s.PID != 2 {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestSocketReplacesNoFile(t *testing.T) {
	path := filepath.Join(socketDir(t), "precious")
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenSocket(path, false, Process{}, zap.NewNop()); err == nil || !strings.Contains(err.Error(), "is not a socket") {
		t.Errorf("%v", err)
	}
}

func TestClientAndSocketUnderstandEachOther(t *testing.T) {
	path := filepath.Join(socketDir(t), "admin.sock")
	var got Order
	open(t, path, Process{
		Reload: func() *Outcome { return &Outcome{Done: true, Generation: 2, Changes: []string{"a → b"}} },
		Obey: func(o Order) (*Obeyed, error) {
			got = o
			switch o.Server {
			case "none":
				return nil, errors.Join(ErrUnknown)
			case "bad":
				return nil, errors.New("weight 300 is not from 0 to 256")
			}
			return &Obeyed{Server: Server{Name: o.Server, Active: 3}}, nil
		},
	})
	c := Dial(path)
	defer c.Close()
	if o, err := c.Reload(t.Context()); err != nil || !o.Done || o.Generation != 2 || len(o.Changes) != 1 {
		t.Errorf("%+v, %v", o, err)
	}
	order := Order{Backend: "b", Server: "s", State: "drain", Weight: &Weight{N: 5}}
	if o, err := c.Obey(t.Context(), order); err != nil || o.Server.Name != "s" || o.Server.Active != 3 {
		t.Errorf("%+v, %v", o, err)
	}
	if got.Backend != order.Backend || got.State != order.State || got.Weight == nil || *got.Weight != *order.Weight {
		t.Errorf("arrived as %+v", got)
	}
	for _, tt := range []struct{ server, want string }{{"none", "unknown"}, {"bad", "weight 300 is not from 0 to 256"}} {
		if _, err := c.Obey(t.Context(), Order{Server: tt.server}); err == nil || err.Error() != tt.want {
			t.Errorf("%s: %v", tt.server, err)
		}
	}
}

func TestNobodyThere(t *testing.T) {
	dir := socketDir(t)
	stale := filepath.Join(dir, "stale")
	n, err := net.ListenUnix("unix", &net.UnixAddr{Name: stale, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	n.SetUnlinkOnClose(false)
	n.Close()
	for _, path := range []string{filepath.Join(dir, "none"), stale} {
		c := Dial(path)
		_, err := c.Status(t.Context())
		if !errors.Is(err, ErrNotRunning) || !strings.Contains(err.Error(), path) {
			t.Errorf("%v", err)
		}
		c.Close()
	}
}

// TestCloseWaitsForTheAnswer: a reload that takes the socket away is asked for through it.
func TestCloseWaitsForTheAnswer(t *testing.T) {
	path := filepath.Join(socketDir(t), "admin.sock")
	asked, answer := make(chan struct{}), make(chan struct{})
	s := open(t, path, Process{Reload: func() *Outcome { close(asked); <-answer; return &Outcome{Done: true} }})
	c := Dial(path)
	defer c.Close()
	done := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_, err := c.Reload(ctx)
		done <- err
	}()
	<-asked
	closed := make(chan struct{})
	go func() { s.Close(); close(closed) }()
	for {
		if _, err := os.Stat(path); err != nil {
			break
		}
	}
	close(answer)
	if err := <-done; err != nil {
		t.Error(err)
	}
	<-closed
}
