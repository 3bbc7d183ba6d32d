package frontend

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestParseOutput(t *testing.T) {
	for in, want := range map[string]output{
		"":                             {std: os.Stdout},
		"stdout":                       {std: os.Stdout},
		"stderr":                       {std: os.Stderr},
		"/var/log/gatehouse.log":       {file: "/var/log/gatehouse.log"},
		"access.log":                   {file: "access.log"},
		"syslog:udp:127.0.0.1:514":     {network: "udp", addr: "127.0.0.1:514"},
		"syslog:udp:[::1]:1514":        {network: "udp", addr: "[::1]:1514"},
		"syslog:udp:[::1]":             {network: "udp", addr: "[::1]:514"},
		"syslog:udp:logs.example.com":  {network: "udp", addr: "logs.example.com:514"},
		"syslog:/dev/log":              {network: "unixgram", addr: "/dev/log"},
		"syslog:/run/systemd/journal/": {network: "unixgram", addr: "/run/systemd/journal/"},
	} {
		got, err := parseOutput(in)
		if err != nil || got != want {
			t.Errorf("%q: %+v %v, want %+v", in, got, err, want)
		}
	}
	for _, in := range []string{"syslog:", "syslog:dev/log", "syslog:tcp:h:514", "syslog:udp:", "syslog:udp::514", "syslog:udp:h:"} {
		if got, err := parseOutput(in); err == nil || !strings.Contains(err.Error(), in) {
			t.Errorf("%q: %+v %v, want an error that names it", in, got, err)
		}
	}
}

// openTestLog opens a log that is closed when the test ends.
func openTestLog(t *testing.T, out string, report func(string)) *Log {
	t.Helper()
	l, err := OpenLog(&LogConfig{Name: "access", Output: out}, report)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // only tests that do not close it themselves come here with it open
		l.Close(ctx)
	})
	return l
}

func linesOf(t *testing.T, file string) []string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.SplitAfter(string(b), "\n")
}

func TestLogFileIsAppendedToAndNotForEverybody(t *testing.T) {
	file := filepath.Join(t.TempDir(), "access.log")
	for i := range 3 { // three runs
		l := openTestLog(t, file, nil)
		l.Exchange(numbered(i))
		if err := l.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := numbers(t, linesOf(t, file)); !slices.Equal(got, upTo(3)) {
		t.Errorf("%v", got)
	}
	if st, err := os.Stat(file); err != nil || st.Mode()&0o027 != 0 {
		t.Errorf("mode %v %v, want at most 0640", st.Mode(), err)
	}
}

func TestLogFileThatCannotBeOpened(t *testing.T) {
	file := filepath.Join(t.TempDir(), "none", "access.log")
	_, err := OpenLog(&LogConfig{Name: "access", Output: file}, nil)
	if !errors.Is(err, fs.ErrNotExist) || !strings.HasPrefix(err.Error(), "log access: open "+file+": ") {
		t.Error(err)
	}
	if _, err := OpenLog(&LogConfig{Name: "access", Output: "syslog:"}, nil); err == nil || !strings.HasPrefix(err.Error(), `log access: output "syslog:"`) {
		t.Error(err)
	}
}

// A link is followed, but root follows none that another user has made.
func TestLogFileThatIsALink(t *testing.T) {
	dir := t.TempDir()
	link, to := filepath.Join(dir, "access.log"), filepath.Join(dir, "elsewhere")
	if err := os.Symlink(to, link); err != nil {
		t.Fatal(err)
	}
	s, err := output{file: link}.open()
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(s, "a line")
	s.Close()
	if text, err := os.ReadFile(to); err != nil || string(text) != "a line\n" {
		t.Errorf("%q, %v", text, err)
	}
	if os.Geteuid() != 0 {
		return // others have the rights of the one who made the link
	}
	if err := os.Lchown(link, 1, 1); err != nil {
		t.Fatal(err)
	}
	if s, err := (output{file: link}).open(); err == nil || !strings.Contains(err.Error(), "is a link made by user 1") {
		t.Errorf("%v, %v", s, err)
	}
	os.Remove(to)
	if _, err := (output{file: link}).open(); err == nil {
		t.Error("a dangling link was followed")
	}
	if _, err := os.Lstat(to); err == nil {
		t.Error("a file was made where the link leads")
	}
}

func TestRotation(t *testing.T) {
	dir := t.TempDir()
	file, old := filepath.Join(dir, "access.log"), filepath.Join(dir, "access.log.1")
	l := openTestLog(t, file, nil)
	next := 0
	for range 5 {
		for range 100 {
			l.Exchange(numbered(next))
			next++
		}
		rotated := filepath.Join(dir, fmt.Sprint("access.log.", next))
		if err := errors.Join(os.Rename(file, rotated), l.Reopen()); err != nil {
			t.Fatal(err)
		}
		l.Exchange(numbered(next))
		next++
	}
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	all, err := filepath.Glob(old[:len(old)-1] + "*")
	if err != nil || len(all) != 5 {
		t.Fatalf("%v %v", all, err)
	}
	var lines []string
	for _, f := range append(all, file) {
		lines = append(lines, linesOf(t, f)...)
	}
	got := numbers(t, lines)
	slices.Sort(got)
	if !slices.Equal(got, upTo(next)) {
		t.Errorf("%d lines in all files together, want %d, each once", len(got), next)
	}
	if n := len(linesOf(t, file)); n < 2 {
		t.Error("nothing was written to the last file: the writer still holds an old one")
	}
}

func TestFullDisk(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip(err)
	}
	told := make(chan string, 1)
	l := openTestLog(t, "/dev/full", func(msg string) { told <- msg })
	l.Exchange(numbered(0))
	if got, want := <-told, "log access: write /dev/full: no space left on device"; got != want {
		t.Errorf("reported %q, want %q", got, want)
	}
	l.Exchange(numbered(1))
	err := l.Close(t.Context())
	if !errors.Is(err, syscall.ENOSPC) || l.Dropped() == 0 {
		t.Errorf("close: %v, %d lines dropped", err, l.Dropped())
	}
}

func TestPipeWithoutAReaderIsAnErrorNotAWait(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Skip(err)
	}
	if _, err := OpenLog(&LogConfig{Output: fifo}, nil); !errors.Is(err, syscall.ENXIO) {
		t.Error(err)
	}
}

// A reader that is stopped, as by SIGSTOP, leaves the pipe full.
func TestStoppedPipeReader(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Skip(err)
	}
	r, err := os.OpenFile(fifo, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	l := openTestLog(t, fifo, nil)
	x := goodExchange()
	for l.Dropped() < 1000 { // never gets there if one of these waits
		l.Exchange(x)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("close: %v", err)
	}
	select {
	case <-l.done:
	default:
		t.Error("the writer is left behind")
	}
}

var syslogLine = regexp.MustCompile(`^<134>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d (\S+ )?gatehouse\[(\d+)\]: (192\.0\.2\.7:51612 .*HTTP/1\.1")$`)

// receive reads one datagram and returns its parts.
func receive(t *testing.T, c net.PacketConn) (host, line string) {
	t.Helper()
	b := make([]byte, 1<<16)
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	n, _, err := c.ReadFrom(b)
	if err != nil {
		t.Fatal(err)
	}
	m := syslogLine.FindStringSubmatch(string(b[:n]))
	if m == nil || m[2] != fmt.Sprint(os.Getpid()) {
		t.Fatalf("datagram %q", b[:n])
	}
	return m[1], m[3] + "\n"
}

func TestSyslogOverUDP(t *testing.T) {
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	l := openTestLog(t, "syslog:udp:"+c.LocalAddr().String(), nil)
	for i := range 50 {
		l.Exchange(numbered(i))
	}
	var lines []string
	for range 50 {
		host, line := receive(t, c)
		if host == "" || strings.Contains(host, ".") {
			t.Errorf("host %q, want its name without a domain", host)
		}
		lines = append(lines, line)
	}
	if got := numbers(t, lines); !slices.Equal(got, upTo(50)) {
		t.Errorf("%v", got)
	}
	if err := l.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestSyslogOverUDPToNobody(t *testing.T) {
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	var r reports
	l := openTestLog(t, "syslog:udp:"+c.LocalAddr().String(), r.add)
	for i := range 100 {
		l.Exchange(numbered(i))
	}
	if err := l.Close(t.Context()); err != nil || len(r.said()) != 0 {
		t.Errorf("close: %v, reported %q: over UDP nobody knows", err, r.said())
	}
}

func TestSyslogServerComesLateAndRestarts(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "log")
	told := make(chan string, 10)
	l := openTestLog(t, "syslog:"+socket, func(msg string) { told <- msg })
	hear := func(want string) {
		t.Helper()
		if got := <-told; !strings.Contains(got, want) {
			t.Errorf("reported %q, want %q", got, want)
		}
	}

	l.Exchange(numbered(0))
	hear("no such file or directory")
	for i := 1; i < 3; i++ {
		c, err := net.ListenPacket("unixgram", socket)
		if err != nil {
			t.Fatal(err)
		}
		host, line := receive(t, c)
		if got := numbers(t, []string{line}); host != "" || !slices.Equal(got, []int{i - 1}) {
			t.Errorf("line %v from host %q, want %d and none", got, host, i-1)
		}
		hear("written again")
		c.Close()
		l.Exchange(numbered(i))
		hear("connection refused")
		os.Remove(socket)
	}
	// Nobody is there any more: closing tells how much is lost.
	if err := l.Close(t.Context()); err == nil || !strings.Contains(err.Error(), "1 lines lost") {
		t.Errorf("close: %v", err)
	}
}

func TestSyslogServerThatDoesNotRead(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "log")
	c, err := net.ListenPacket("unixgram", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	l := openTestLog(t, "syslog:"+socket, nil)
	x := goodExchange()
	for l.Dropped() < 1000 {
		l.Exchange(x)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("close: %v", err)
	}
	select {
	case <-l.done:
	default:
		t.Error("the writer is left behind")
	}
}
