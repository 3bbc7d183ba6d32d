package admin

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/zap"
)

// FuzzParseTakeover: whatever is taken for the words of a process that hands over, all of it is there and nothing more, and what has come so far
// of it is no end and no error.
func FuzzParseTakeover(f *testing.F) {
	f.Add([]byte(takeoverHead + "descriptor :80\ndescriptor unix:/run/x\nprocess 12\n"))
	f.Add([]byte(takeoverHead + "descriptor udp :443\nsecret 00ff tickets site\nprocess 12\n"))
	f.Add([]byte(takeoverHead + "news of a later version\nprocess 12\n"))
	f.Add([]byte(takeoverHead + "secret xyz tickets\nprocess 12\n"))
	f.Add([]byte(takeoverHead + "process 12\nprocess 13\n"))
	f.Add([]byte(takeoverHead + "process -1\n"))
	f.Add([]byte(takeoverHead[:20]))
	f.Add([]byte("HTTP/1.1 409 Conflict\r\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		h, whole, err := parseTakeover(text)
		if err != nil {
			return
		}
		if whole && (text[len(text)-1] != '\n' || h.pid <= 0) {
			t.Errorf("%q ends with %+v", text, h)
		}
		lines := bytes.Count(text, []byte("\n"+lineDescriptor)) // the head ends with one too
		if len(h.addresses) > lines || len(h.secrets) > bytes.Count(text, []byte("\n"+lineSecret)) {
			t.Errorf("%q is read as %+v", text, h)
		}
		for i := range text {
			if _, early, err := parseTakeover(text[:i]); early || err != nil {
				t.Fatalf("of %q, %q is whole: %v, %v", text, text[:i], early, err)
			}
		}
	})
}

// TestHandover goes over a socket: descriptors, secrets, and the moment of yielding; a process that does not ask for secrets gets none.
func TestHandover(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	path := filepath.Join(t.TempDir(), "s")
	events := make(chan string, 10)
	secrets := map[string][]byte{"tickets site": {0, 1, 0xff}, "tickets of two words": {}}
	stop := make(chan struct{})
	s, err := OpenSocket(path, false, Process{HandOver: func(give func(*Handover) error) error {
		f, err := ln.(*net.TCPListener).File()
		if err != nil {
			return err
		}
		defer f.Close()
		err = give(&Handover{Descriptors: []Descriptor{{Address: "udp x", File: f}, {Address: ":80", File: f}}, Secrets: secrets, Stop: stop,
			Yield: func() { events <- "yield" }})
		events <- fmt.Sprint("over ", err)
		return err
	}}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	next := func() string { return <-events }

	got, err := TakeOver(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if keys := slices.Sorted(maps.Keys(got.Descriptors)); !slices.Equal(keys, []string{":80", "udp x"}) || got.PID != os.Getpid() || !maps.EqualFunc(got.Secrets, secrets, bytes.Equal) {
		t.Errorf("%+v", got)
	}
	for a, fd := range got.Descriptors {
		if on, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_ACCEPTCONN); on != 1 || err != nil {
			t.Errorf("%s: descriptor %d does not listen: %v", a, fd, err)
		}
	}
	if err := got.Done(); err != nil {
		t.Error(err)
	}
	if a, b := next(), next(); a != "yield" || b != "over <nil>" {
		t.Errorf("%s, %s", a, b)
	}

	// One that gives up.
	if got, err = TakeOver(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	got.Close()
	if a := next(); !strings.Contains(a, "has given up") {
		t.Error(a)
	}

	// A version that knows nothing of secrets.
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "POST /takeover HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
	old := &Takeover{Descriptors: map[string]int{}, c: c.(*net.UnixConn)}
	if err := old.receive(); err != nil || len(old.Secrets) != 0 || len(old.Descriptors) != 2 {
		t.Errorf("%+v, %v", old, err)
	}
	old.Close()
	next()

	// Nothing that is none: descriptors that do not come, and an end too early.
	for _, text := range []string{takeoverHead + "descriptor :80\nprocess 1\n", takeoverHead + "process 1\nmore\n", takeoverHead, "HTTP/1.1 409 Conflict\r\nContent-Length: 2\r\n\r\n{}"} {
		a, b := pair(t)
		go func() {
			a.Write([]byte(text))
			a.Close()
		}()
		x := &Takeover{Descriptors: map[string]int{}, c: b}
		if err := x.receive(); err == nil {
			t.Errorf("%q: %+v", text, x)
		}
		x.Close()
	}
}

// pair makes two ends of a unix socket.
func pair(t *testing.T) (a, b *net.UnixConn) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]*net.UnixConn
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "pair")
		c, err := net.FileConn(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		ends[i] = c.(*net.UnixConn)
	}
	return ends[0], ends[1]
}

// TestTakeoverRefused: a refusal comes with the words of the running process.
func TestTakeoverRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	s, err := OpenSocket(path, false, Process{HandOver: func(func(*Handover) error) error { return errors.New("not today") }}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := TakeOver(t.Context(), path); err == nil || !strings.Contains(err.Error(), "not today") {
		t.Errorf("%v", err)
	}
}
