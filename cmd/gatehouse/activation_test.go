//go:build linux

package main

import (
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// TestActivationByName: a bind finds its socket by the name that the unit gives it, and what nobody asks for is said.
func TestActivationByName(t *testing.T) {
	dir, _ := place(t, `
global { state_dir = "state" }
frontend "www" {
  bind "fd@web" {}
  backend = backend.app
}
backend "app" {
  server "A" "SERVER" {}
}
`, fine)
	var files []*os.File
	var addresses []string
	for range 2 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		f, err := l.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		files, addresses = append(files, f), append(addresses, l.Addr().String())
	}
	p := launch(t, dir, func(c *exec.Cmd) {
		sh, err := exec.LookPath("sh")
		if err != nil {
			t.Skip("no sh")
		}
		c.Args = append([]string{"sh", "-c", `LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=other:web exec "$0" "$@"`}, append([]string{c.Path}, c.Args[1:]...)...)
		c.Path, c.ExtraFiles = sh, files
	})
	p.says("serving")
	if s, err := visit(visitor(t, "tcp", addresses[1], false)); s != "fine" {
		t.Errorf("%q, %v", s, err)
	}
	const unanswered = "nobody answers at a socket that systemd has opened"
	if talk := p.talk(); strings.Count(talk, unanswered) != 1 || !strings.Contains(talk, "fd@3, "+addresses[0]+", fd@other") {
		t.Errorf("says %s", talk)
	}
	p.signal(syscall.SIGHUP)
	p.says("reloaded")
	if s, err := visit(visitor(t, "tcp", addresses[1], false)); s != "fine" {
		t.Errorf("after a reload: %q, %v", s, err)
	}
	p.signal(syscall.SIGTERM)
	p.ends(0)
}

// TestActivationLeavesTheEnvironment: what was meant for this process is not for those it runs; what was not is left alone.
func TestActivationLeavesTheEnvironment(t *testing.T) {
	for _, tt := range []struct {
		pid  int
		want bool // it stays
	}{{os.Getpid(), false}, {1, true}} {
		t.Setenv("LISTEN_PID", strconv.Itoa(tt.pid))
		t.Setenv("LISTEN_FDS", "0")
		t.Setenv("LISTEN_FDNAMES", "")
		list, all, err := activated()
		if len(list) > 0 || len(all) > 0 || err != nil {
			t.Errorf("%v, %v, %v", list, all, err)
		}
		for _, word := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
			if _, there := os.LookupEnv(word); there != tt.want {
				t.Errorf("for process %d: %s is there: %v", tt.pid, word, there)
			}
		}
	}
	t.Setenv("LISTEN_PID", strconv.Itoa(os.Getpid()))
	t.Setenv("LISTEN_FDS", "many")
	if _, _, err := activated(); err == nil {
		t.Error("no number, and no error")
	}
}
