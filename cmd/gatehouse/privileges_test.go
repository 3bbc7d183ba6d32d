//go:build linux

package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"gatehouse/cmd/gatehouse/config"
)

// nobody is a user every machine has, with few rights.
const nobody = "nobody"

// asRoot skips what only root can do.
func asRoot(t *testing.T) *config.Account {
	t.Helper()
	if os.Geteuid() != 0 {
		missing(t, "only root can become another user")
	}
	a, err := (&config.Global{User: nobody}).Account()
	if err != nil {
		missing(t, err.Error())
	}
	return a
}

// missing skips a test for want of something, or fails where nothing may be missing.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("GATEHOUSE_TEST_ALL") != "" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// openDir is a directory that everybody may enter.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "gate") // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestNoLongerRoot: a gatehouse started by root serves as another user, in all its threads and for good, and everything that it does later
// works as that user: log files, renewed certificates, reloads, and an end that lets the next one start.
func TestNoLongerRoot(t *testing.T) {
	a := asRoot(t)
	dir := openDir(t)
	at := func(name string) string { return filepath.Join(dir, name) }
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(at(name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(at("logs"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(at("logs"), a.UID, a.GID); err != nil {
		t.Fatal(err)
	}
	pair := func(name string) {
		t.Helper()
		writeCertificate(t, at("site.pem"), name, a)
	}
	pair("first.test")
	text := `
global {
  user      = "` + nobody + `"
  state_dir = "` + at("state") + `"
  pid_file  = "` + at("gate.pid") + `"
}
admin { socket = "` + at("run/admin.sock") + `" }
log "access" { output = "` + at("logs/access.log") + `" }
tls "site" { certificate = "` + at("site.pem") + `" }
tls "own" { internal = true }
frontend "www" {
  bind "unix:` + at("www") + `" { tls = tls.site }
  bind "unix:` + at("own") + `" { tls = tls.own }
  route {
    paths   = ["/*"]
    respond = 204
  }
  log = log.access
}
`
	write("gatehouse.hcl", text)
	p := launch(t, dir, nil, "-c", "gatehouse.hcl")
	p.says("serving")
	pid := p.cmd.Process.Pid

	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(threads) < 3 {
		t.Fatalf("%d threads, %v", len(threads), err)
	}
	uid, gid := strconv.Itoa(a.UID), strconv.Itoa(a.GID)
	for _, name := range threads {
		s, err := readStatus(name)
		if err != nil {
			continue // it has ended
		}
		for word, want := range map[string]string{
			"Uid": strings.Join([]string{uid, uid, uid, uid}, "\t"), "Gid": strings.Join([]string{gid, gid, gid, gid}, "\t"), "NoNewPrivs": "1",
			"CapEff": "0000000000000000", "CapPrm": "0000000000000000", "CapAmb": "0000000000000000",
		} {
			if s[word] != want {
				t.Errorf("%s: %s is %q, want %q", name, word, s[word], want)
			}
		}
	}
	for _, name := range []string{"state", "state/internal-ca", "state/internal-ca/root.key", "gate.pid", "run", "run/admin.sock", "www", "own", "logs/access.log"} {
		info, err := os.Lstat(at(name))
		if err != nil {
			t.Error(err)
		} else if ownerOf(info) != a.UID {
			t.Errorf("%s belongs to %d", name, ownerOf(info))
		}
	}

	served := func() string {
		t.Helper()
		nc, err := net.Dial("unix", at("www"))
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		nc.SetDeadline(time.Now().Add(patience))
		c := tls.Client(nc, &tls.Config{InsecureSkipVerify: true})
		if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(c)
		if err != nil || !strings.HasPrefix(string(b), "HTTP/1.1 204 ") {
			t.Fatalf("%q, %v", b, err)
		}
		return c.ConnectionState().PeerCertificates[0].Subject.CommonName
	}
	lines := func(name string) int {
		b, _ := os.ReadFile(at(name))
		return strings.Count(string(b), "\n")
	}
	if got := served(); got != "first.test" {
		t.Errorf("served with the certificate of %s", got)
	}
	p.await("a line in the log", func() bool { return lines("logs/access.log") == 1 })

	// A renewed certificate.
	pair("second.test")
	p.await("the renewed certificate", func() bool { return served() == "second.test" })

	// Log files that were moved away.
	if err := os.Rename(at("logs/access.log"), at("logs/old.log")); err != nil {
		t.Fatal(err)
	}
	p.signal(syscall.SIGUSR2)
	p.await("a new log file", func() bool { served(); return lines("logs/access.log") > 0 })

	// A reload, with another address and another log.
	write("gatehouse.hcl", strings.ReplaceAll(text, "access.log", "second.log"))
	p.signal(syscall.SIGHUP)
	p.await("lines in the log of the next configuration", func() bool { served(); return lines("logs/second.log") > 0 })
	// One that needs root is refused, and says what to do.
	if privileged(t) > 7 {
		write("gatehouse.hcl", strings.Replace(text, "frontend \"www\" {", "frontend \"www\" {\n bind \"127.0.0.1:7\" {}", 1))
		p.signal(syscall.SIGHUP)
		p.says("AmbientCapabilities=CAP_NET_BIND_SERVICE")
		if !p.runs() || served() != "second.test" {
			t.Error("the refused reload ends it")
		}
	}
	write("gatehouse.hcl", text)

	p.signal(syscall.SIGTERM)
	p.ends(0)
	if readPID(at("gate.pid")) != 0 {
		t.Error("the pid file names a process that has ended")
	}

	// What it left behind is in nobody's way.
	p = launch(t, dir, nil, "-c", "gatehouse.hcl")
	p.says("serving")
	if served() != "second.test" {
		t.Error("the next one does not serve")
	}
	p.signal(syscall.SIGTERM)
	p.ends(0)
}

// privileged returns the first port that everybody may open.
func privileged(t *testing.T) int {
	t.Helper()
	b, err := os.ReadFile("/proc/sys/net/ipv4/ip_unprivileged_port_start")
	if err != nil {
		return 1024
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestCannotBecome: what keeps a process from becoming somebody else keeps it from serving, and is said.
func TestCannotBecome(t *testing.T) {
	a := asRoot(t)
	dir := openDir(t)
	const rest = `
frontend "www" {
  bind "unix:www" {}
  route {
    paths   = ["/*"]
    respond = 204
  }
}
`
	run := func(global string) *process {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "gatehouse.hcl"), []byte("global {\n"+global+"\n}\n"+rest), 0o644); err != nil {
			t.Fatal(err)
		}
		return launch(t, dir, nil, "-c", "gatehouse.hcl")
	}
	p := run(`user = "nobody-of-this-name"`)
	p.ends(exitInvalid)
	p.says(`there is no user "nobody-of-this-name" on this machine`)
	p.says("useradd --system")

	// A directory that is not to be given away.
	p = run(`user = "nobody"
 state_dir = "/etc"`)
	p.ends(exitFailed)
	p.says(`/etc: user "nobody" cannot write there`)
	if info, err := os.Stat("/etc"); err != nil || ownerOf(info) != 0 {
		t.Fatal("/etc was given away")
	}

	// Somebody who is not root.
	state := filepath.Join(dir, "s")
	if err := os.WriteFile(filepath.Join(dir, "gatehouse.hcl"), []byte("global {\n user = \"daemon\"\n state_dir = \""+state+"\"\n}\n"+rest), 0o644); err != nil {
		t.Fatal(err)
	}
	p = launchAs(t, dir, a)
	p.ends(exitFailed)
	p.says("only root can become another user")
}

// launchAs runs gatehouse as another user from the start.
func launchAs(t *testing.T, dir string, a *config.Account) *process {
	t.Helper()
	return launch(t, dir, reachable(t, a), "-c", "gatehouse.hcl")
}

// TestAlreadyTheUser: started as the user by a service manager, the same configuration serves.
func TestAlreadyTheUser(t *testing.T) {
	a := asRoot(t)
	dir := openDir(t)
	if err := os.Chown(dir, a.UID, a.GID); err != nil {
		t.Fatal(err)
	}
	text := "global {\n user = \"nobody\"\n state_dir = \"" + dir + "/state\"\n}\nfrontend \"www\" {\n bind \"unix:" + dir + "/www\" {}\n route {\n paths = [\"/*\"]\n respond = 204\n }\n}\n"
	if err := os.WriteFile(filepath.Join(dir, "gatehouse.hcl"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "state"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(filepath.Join(dir, "state"), a.UID, a.GID); err != nil {
		t.Fatal(err)
	}
	p := launchAs(t, dir, a)
	p.says("serving")
	p.signal(syscall.SIGTERM)
	p.ends(0)
}

// reachable has a command run as a user, from a copy of the program that the user can reach.
func reachable(t *testing.T, a *config.Account) func(*exec.Cmd) {
	t.Helper()
	return func(c *exec.Cmd) {
		program := filepath.Join(openDir(t), "gatehouse")
		b, err := os.ReadFile(c.Path)
		if err == nil {
			err = os.WriteFile(program, b, 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
		c.Path = program
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(a.UID), Gid: uint32(a.GID)}}
	}
}

// writeCertificate writes a fresh certificate with its key into a file of the user's, as a program that renews them does.
func writeCertificate(t *testing.T, file, name string, a *config.Account) {
	t.Helper()
	pem, err := freshPair(name)
	if err != nil {
		t.Fatal(err)
	}
	tmp := file + ".tmp"
	if err := os.WriteFile(tmp, pem, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(tmp, 0, a.GID); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(tmp, file); err != nil {
		t.Fatal(err)
	}
}

// TestHandOver: what is root's in a directory of one's own is given away, and nothing else is.
func TestHandOver(t *testing.T) {
	a := asRoot(t)
	dir, outside := openDir(t), openDir(t)
	precious := filepath.Join(outside, "precious")
	for _, f := range []string{filepath.Join(dir, "file"), filepath.Join(dir, "theirs"), precious, filepath.Join(outside, "linked")} {
		if err := os.WriteFile(f, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, err := range []error{
		os.Mkdir(filepath.Join(dir, "sub"), 0o700),
		os.WriteFile(filepath.Join(dir, "sub", "file"), nil, 0o600),
		os.Chown(filepath.Join(dir, "theirs"), 1, 1),
		os.Symlink(precious, filepath.Join(dir, "link")),
		os.Symlink(outside, filepath.Join(dir, "dirlink")),
		os.Link(filepath.Join(outside, "linked"), filepath.Join(dir, "second")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := handOverTree(dir, a); err != nil {
		t.Fatal(err)
	}
	fresh := filepath.Join(dir, "fresh", "dir")
	if err := handOverTree(fresh, a); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{
		dir: a.UID, filepath.Join(dir, "file"): a.UID, filepath.Join(dir, "sub"): a.UID, filepath.Join(dir, "sub/file"): a.UID, fresh: a.UID,
		filepath.Join(dir, "theirs"): 1, precious: 0, outside: 0, filepath.Join(dir, "second"): 0, filepath.Join(dir, "link"): 0,
	} {
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		if ownerOf(info) != want {
			t.Errorf("%s belongs to %d, want %d", path, ownerOf(info), want)
		}
	}
	if err := handOverFile(filepath.Join(dir, "link"), a); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(precious); err != nil || ownerOf(info) != 0 {
		t.Error("a link was followed")
	}
}

// TestHandOverOfWhatWasLookedAt: a file that takes the name of another one, after that one was opened, stays whose it is.
func TestHandOverOfWhatWasLookedAt(t *testing.T) {
	a := asRoot(t)
	dir := openDir(t)
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"file", "precious"} {
		if err := os.WriteFile(at(name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.OpenFile(at("file"), handleOnly, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := os.Rename(at("file"), at("moved")); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(at("precious"), at("file")); err != nil {
		t.Fatal(err)
	}
	if err := give(f, a); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{"moved": a.UID, "precious": 0} {
		if info, err := os.Lstat(at(name)); err != nil || ownerOf(info) != want {
			t.Errorf("%s: %v, it belongs to %d, want %d", name, err, ownerOf(info), want)
		}
	}
}

// TestPIDFileFollowsNoLink: in a directory of the user's, a link may wait for root under the name that the file has at first.
func TestPIDFileFollowsNoLink(t *testing.T) {
	dir := openDir(t)
	precious, name := filepath.Join(dir, "precious"), filepath.Join(dir, "gate.pid")
	if err := os.WriteFile(precious, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(precious, name+".new"); err != nil {
		t.Fatal(err)
	}
	if err := writePID(name, 0); err != nil {
		t.Error(err)
	}
	if text, err := os.ReadFile(precious); err != nil || string(text) != "precious" {
		t.Errorf("%q, %v", text, err)
	}
	if info, err := os.Lstat(name); err != nil || !info.Mode().IsRegular() || readPID(name) != os.Getpid() {
		t.Errorf("pid file: %v, %d", err, readPID(name))
	}
	removePID(name)
}

// TestOwnDirectory: what programs share is never given away.
func TestOwnDirectory(t *testing.T) {
	own := openDir(t)
	for dir, want := range map[string]bool{
		own: true, "/": false, "/etc": false, "/etc/ssl": false, "/var": false, "/var/lib": false, "/var/tmp": false, "/tmp": false, "/usr/local/lib": false,
		"/proc/self": false, own + "/none": false,
	} {
		if got := ownDirectory(dir); got != want {
			t.Errorf("%s: %v", dir, got)
		}
	}
	shared := filepath.Join(own, "shared")
	if err := os.Mkdir(shared, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(shared, 0o777); err != nil {
		t.Fatal(err)
	}
	if ownDirectory(shared) {
		t.Error("a directory that everybody writes to")
	}
	if err := os.Symlink("/etc", filepath.Join(own, "link")); err != nil {
		t.Fatal(err)
	}
	if ownDirectory(filepath.Join(own, "link")) {
		t.Error("a link to /etc")
	}
}
