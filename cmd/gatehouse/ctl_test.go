package main

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// await runs a program again and again until it succeeds, or, after "!", until it fails: await [!] PROGRAM WORD... . What it prints in the end can be
// looked at as after exec.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) == 0 {
		ts.Fatalf("usage: await [!] PROGRAM WORD...")
	}
	fail := args[0] == "!"
	if fail {
		args = args[1:]
	}
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	late := time.After(20 * time.Second)
	for {
		err := ts.Exec(args[0], args[1:]...)
		if (err != nil) == fail {
			return
		}
		select {
		case <-again.C:
		case <-late:
			ts.Fatalf("%v never came to that: %v", args, err)
		}
	}
}

// sendSignal sends a signal to the process that a pid file names: signal NAME FILE.
func sendSignal(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: signal NAME FILE")
	}
	signals := map[string]syscall.Signal{"HUP": syscall.SIGHUP, "TERM": syscall.SIGTERM, "USR1": syscall.SIGUSR1, "USR2": syscall.SIGUSR2}
	s, ok := signals[args[0]]
	if !ok {
		ts.Fatalf("unknown signal %s", args[0])
	}
	pid := readPID(ts.MkAbs(args[1]))
	if pid == 0 {
		ts.Fatalf("%s names no process", args[1])
	}
	ts.Check(syscall.Kill(pid, s))
}

func TestPIDFile(t *testing.T) {
	dir := t.TempDir()
	one, two := filepath.Join(dir, "one.pid"), filepath.Join(dir, "two.pid")
	if err := movePID("", one); err != nil || readPID(one) != os.Getpid() {
		t.Fatalf("%v, %d", err, readPID(one))
	}
	if err := movePID(one, two); err != nil || readPID(one) != 0 || readPID(two) != os.Getpid() {
		t.Errorf("%v: %d, %d", err, readPID(one), readPID(two))
	}
	if err := movePID(two, two); err != nil || readPID(two) != os.Getpid() {
		t.Errorf("to where it is: %v", err)
	}
	if err := os.WriteFile(one, []byte("1\n"), 0o600); err != nil { // which lives for as long as anybody
		t.Fatal(err)
	}
	if err := movePID(two, one); err == nil || !strings.Contains(err.Error(), "names process 1, which is running") || readPID(two) != os.Getpid() {
		t.Errorf("over somebody else's: %v", err)
	}
	removePID(one)
	if readPID(one) != 1 {
		t.Error("somebody else's file was removed")
	}
	removePID(two)
	removePID("")
	if _, err := os.Stat(two); err == nil {
		t.Error("our file was not removed")
	}
}

func TestNotify(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	if err := notify(serviceReady); err != nil {
		t.Errorf("nobody wants to know: %v", err)
	}
	path := filepath.Join(t.TempDir(), "n")
	for _, name := range []string{path, "@gatehouse-test-" + filepath.Base(t.TempDir()) + path} {
		c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(20 * time.Second))
		t.Setenv("NOTIFY_SOCKET", name)
		for _, state := range []string{serviceReady, serviceReloading(), serviceStopping} {
			if err := notify(state); err != nil {
				t.Fatal(err)
			}
			b := make([]byte, 100)
			n, err := c.Read(b)
			if err != nil || string(b[:n]) != state {
				t.Errorf("%q, %v, want %q", b[:n], err, state)
			}
		}
	}
	t.Setenv("NOTIFY_SOCKET", path+".none")
	if notify(serviceReady) == nil {
		t.Error("nobody is there, and that is no error")
	}
	one, two := serviceReloading(), serviceReloading()
	if !strings.HasPrefix(one, "RELOADING=1\nMONOTONIC_USEC=") || len(one) > len(two) || len(one) == len(two) && one > two {
		t.Errorf("%q, then %q", one, two)
	}
}

// TestServerVerbsRefuse what nobody can mean, before anybody is asked.
func TestServerVerbsRefuse(t *testing.T) {
	for _, tt := range []struct {
		line string
		want string
	}{
		{"server", "drain, maint, ready or weight"},
		{"server stop a/b", `server cannot "stop"`},
		{"server drain", "usage: gatehouse server drain BACKEND/SERVER"},
		{"server drain a b", "usage: gatehouse server drain"},
		{"server drain webA", `"webA" is no server: write BACKEND/SERVER`},
		{"server drain /b", "is no server"},
		{"server weight a/b", "usage: gatehouse server weight"},
		{"server weight a/b 257", "want a number from 0 to 256"},
		{"server weight a/b -1", "unknown shorthand flag"},
		{"server weight a/b x", "want a number from 0 to 256, or default"},
		{"server drain a/b --wait 5", "--wait: "},
	} {
		var out, talk bytes.Buffer
		if code := run(strings.Fields(tt.line), strings.NewReader(""), &out, &talk); code != exitUsage || !strings.Contains(talk.String(), tt.want) || out.Len() > 0 {
			t.Errorf("%s: exit %d, %s, want %s", tt.line, code, talk.String(), tt.want)
		}
	}
}
