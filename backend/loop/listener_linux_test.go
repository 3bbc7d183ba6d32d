package loop

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// serve listens on l with an echo.
func serve(l *Loop, a Addr) (*Listener, error) {
	return l.Listen(a, func(s Socket) {
		if c, err := l.Adopt(s); err == nil {
			l.Go(Func(func() { serveEcho(c) }))
		}
	})
}

func mustServe(t testing.TB, l *Loop, a Addr) *Listener {
	t.Helper()
	n, err := serve(l, a)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func closeOn(l *Loop, n *Listener) { on(l, func() { n.Close() }) }

func TestListenOnAnyPort(t *testing.T) {
	dialers(t, func(t *testing.T, l *Loop) {
		n := mustServe(t, l, loopback)
		if n.Addr().Port() == 0 || n.Addr().Addr() != loopback.Addr() {
			t.Errorf("listens on %v", n.Addr())
		}
		roundTrip(t, dial(t, n.Addr()), "hello")
		closeOn(l, n)
		closeOn(l, n)
		if c, err := net.Dial("tcp", n.Addr().String()); err == nil {
			c.Close()
			t.Error("still listens")
		}
	})
}

func TestListenOnAllAddresses(t *testing.T) {
	dialers(t, func(t *testing.T, l *Loop) {
		peers := make(chan netip.AddrPort, 2)
		n, err := l.Listen(Addr{}, func(s Socket) { peers <- s.Remote; s.Close() })
		if err != nil {
			t.Fatal(err)
		}
		port := strconv.Itoa(int(n.Addr().Port()))
		if n.Addr().String() != ":"+port {
			t.Errorf("listens on %v", n.Addr())
		}
		for _, host := range []string{"127.0.0.1", "::1"} {
			c, err := net.Dial("tcp", net.JoinHostPort(host, port))
			if err != nil {
				if host == "::1" {
					t.Skip("no IPv6 here: ", err)
				}
				t.Fatal(err)
			}
			c.Close()
			if got := <-peers; got.Addr().String() != host {
				t.Errorf("the peer from %s is %s", host, got)
			}
		}
	})
}

func TestListenOnIPv6LeavesIPv4Alone(t *testing.T) {
	l := newLoopT(t)
	six, err := serve(l, Addr{AddrPort: netip.MustParseAddrPort("[::]:0")})
	if err != nil {
		t.Skip("no IPv6 here: ", err)
	}
	four := mustServe(t, l, Addr{AddrPort: netip.MustParseAddrPort("0.0.0.0:0")}.WithPort(six.Addr().Port()))
	roundTrip(t, dial(t, Addr{AddrPort: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), four.Addr().Port())}), "hello")
}

func TestListenErrors(t *testing.T) {
	dialers(t, func(t *testing.T, l *Loop) {
		taken := mustServe(t, l, loopback).Addr()
		file := filepath.Join(t.TempDir(), "file")
		os.WriteFile(file, []byte("precious"), 0o600)
		before := descriptors(t)
		for _, c := range []struct {
			a    Addr
			want error
			text string
		}{
			{taken, syscall.EADDRINUSE, "bind"},
			{Addr{AddrPort: netip.MustParseAddrPort("192.0.2.1:0")}, syscall.EADDRNOTAVAIL, "bind"},
			{Addr{Path: file}, nil, "is not a socket"},
			{Addr{Path: filepath.Join(file, "below")}, syscall.ENOTDIR, "bind"},
			{Addr{Host: "localhost"}.WithPort(80), errName, "host name"},
		} {
			n, err := serve(l, c.a)
			switch {
			case err == nil:
				closeOn(l, n)
				t.Errorf("%v: listens", c.a)
			case c.want != nil && !errors.Is(err, c.want):
				t.Errorf("%v: got %v, want %v", c.a, err, c.want)
			case !strings.Contains(err.Error(), c.text):
				t.Errorf("%v: got %q, want %q in it", c.a, err, c.text)
			}
		}
		if b, _ := os.ReadFile(file); string(b) != "precious" {
			t.Error("the file is gone")
		}
		if after := descriptors(t); after > before {
			t.Errorf("%d descriptors, %d before", after, before)
		}
	})
}

func TestListenOnAPath(t *testing.T) {
	dialers(t, func(t *testing.T, l *Loop) {
		a := Addr{Path: filepath.Join(t.TempDir(), "s")}
		n := mustServe(t, l, a)
		if n.Addr() != a {
			t.Errorf("listens on %v", n.Addr())
		}
		roundTrip(t, dial(t, a), "hello")
		do(l, func() {
			c, err := l.Dial(Dial{To: a})
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			roundTrip(t, c, "from the loop")
		})
		if _, err := serve(l, a); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("a second one: %v", err)
		}
		roundTrip(t, dial(t, a), "still there")
		closeOn(l, n)
		if _, err := os.Lstat(a.Path); !os.IsNotExist(err) {
			t.Errorf("the file is left: %v", err)
		}
	})
}

func TestListenReplacesAStaleSocket(t *testing.T) {
	dialers(t, func(t *testing.T, l *Loop) {
		a := Addr{Path: filepath.Join(t.TempDir(), "s")}
		old, err := net.ListenUnix("unix", &net.UnixAddr{Name: a.Path})
		if err != nil {
			t.Fatal(err)
		}
		old.SetUnlinkOnClose(false)
		old.Close()
		mustServe(t, l, a)
		roundTrip(t, dial(t, a), "hello")
	})
}

func TestListenSparesASocketForDatagrams(t *testing.T) {
	dialers(t, func(t *testing.T, l *Loop) {
		a := Addr{Path: filepath.Join(t.TempDir(), "s")}
		other, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: a.Path})
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		if _, err := serve(l, a); err == nil {
			t.Error("listens")
		}
		if _, err := os.Lstat(a.Path); err != nil {
			t.Errorf("the file is gone: %v", err)
		}
	})
}

func TestListenOnAnInheritedDescriptor(t *testing.T) {
	l := newLoopT(t)
	nl, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer nl.Close()
	f, err := nl.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fd := strconv.Itoa(int(f.Fd()))
	t.Setenv("GATEHOUSE_TEST_FD", fd)
	// Its owner keeps it, so it can be listened on again and again: a reload does.
	for _, name := range []string{fd, "GATEHOUSE_TEST_FD", fd, fd} {
		n := mustServe(t, l, Addr{FD: name})
		roundTrip(t, dial(t, addrPort(t, nl)), "hello")
		closeOn(l, n)
	}
	for name, text := range map[string]string{
		"GATEHOUSE_TEST_NONE": "neither a number nor an environment variable",
		"0":                   "not a listening socket",
		"99999":               "not a listening socket",
	} {
		if _, err := serve(l, Addr{FD: name}); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("fd@%s: %v, want %q in it", name, err, text)
		}
	}
}

func TestPauseLeavesNewcomersWaiting(t *testing.T) {
	dialers(t, func(t *testing.T, l *Loop) {
		accepted := 0
		var n *Listener
		n, err := l.Listen(loopback, func(s Socket) { accepted++; s.Close() })
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			on(l, func() { n.Pause(); n.Pause() })
			var conns []net.Conn
			for range 5 {
				conns = append(conns, dial(t, n.Addr()))
			}
			do(l, func() {
				l.Sleep(ms)
				if accepted != 0 {
					t.Errorf("%d accepted while paused", accepted)
				}
				n.Resume()
				n.Pause()
				n.Resume()
				n.Resume()
			})
			for _, c := range conns {
				if _, err := c.Read(make([]byte, 1)); err != io.EOF {
					t.Errorf("got %v, want EOF", err)
				}
			}
			on(l, func() {
				if accepted != 5 {
					t.Errorf("%d accepted, want 5", accepted)
				}
				accepted = 0
			})
		}
	})
}

func TestPauseFromTheCallback(t *testing.T) {
	dialers(t, func(t *testing.T, l *Loop) {
		var n *Listener
		accepted := make(chan struct{}, 9)
		count := 0
		listening := make(chan struct{})
		n, err := l.Listen(loopback, func(s Socket) {
			<-listening
			count++
			s.Close()
			n.Pause()
			accepted <- struct{}{}
		})
		close(listening)
		if err != nil {
			t.Fatal(err)
		}
		for range 4 {
			dial(t, n.Addr())
		}
		for want := 1; want <= 4; want++ {
			<-accepted
			do(l, func() {
				l.Sleep(ms)
				if count != want {
					t.Errorf("%d accepted, want %d", count, want)
				}
				n.Resume()
			})
		}
	})
}

func TestCloseOfAPausedListenerClosesThoseWhoWait(t *testing.T) {
	dialers(t, func(t *testing.T, l *Loop) {
		n := mustServe(t, l, loopback)
		on(l, n.Pause)
		c := dial(t, n.Addr())
		do(l, func() { l.Sleep(ms) })
		on(l, func() { n.Close(); n.Resume() })
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("got input")
		}
	})
}

func TestPanicInTheCallbackSparesTheListener(t *testing.T) {
	dialers(t, func(t *testing.T, l *Loop) {
		on(l, func() { l.OnPanic = func(any, []byte) {} })
		n, err := l.Listen(loopback, func(s Socket) { s.Close(); panic("accept") })
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if _, err := dial(t, n.Addr()).Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("got %v, want EOF", err)
			}
		}
		on(l, func() {
			if l.Panics() != 3 {
				t.Errorf("%d panics counted, want 3", l.Panics())
			}
		})
	})
}

func TestCallbackMayCloseTheListener(t *testing.T) {
	dialers(t, func(t *testing.T, l *Loop) {
		var n *Listener
		ready := make(chan struct{})
		n, err := l.Listen(loopback, func(s Socket) { <-ready; s.Close(); n.Close() })
		close(ready)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := dial(t, n.Addr()).Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("got %v, want EOF", err)
		}
		on(l, func() {})
		if c, err := net.Dial("tcp", n.Addr().String()); err == nil {
			c.Close()
			t.Error("still listens")
		}
	})
}

// A crowd is let in without keeping the loop from its other connections.
func TestACrowdDoesNotStarveConnections(t *testing.T) {
	l := newLoopT(t)
	n := mustServe(t, l, loopback)
	first := dial(t, n.Addr())
	roundTrip(t, first, "hello")
	on(l, n.Pause)
	for range 3 * acceptBurst {
		dial(t, n.Addr())
	}
	on(l, n.Resume)
	roundTrip(t, first, "hello")
	roundTrip(t, dial(t, n.Addr()), "hello")
}

// TestAcceptBacksOff runs itself again, as a process that may run out of descriptors.
func TestAcceptBacksOff(t *testing.T) {
	if os.Getenv("GATEHOUSE_TEST_CHILD") == "" {
		exe, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		c := exec.Command(exe, "-test.run=^TestAcceptBacksOff$", "-test.v", "-test.timeout=60s")
		c.Env = append(os.Environ(), "GATEHOUSE_TEST_CHILD=1")
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	dialers(t, func(t *testing.T, l *Loop) {
		accepted := make(chan struct{}, 3)
		n, err := l.Listen(loopback, func(s Socket) { s.Close(); accepted <- struct{}{} })
		if err != nil {
			t.Fatal(err)
		}
		failed := make(chan error, 100)
		on(l, func() { n.OnError = func(err error) { failed <- err } })

		to := syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: int(n.Addr().Port())}
		var clients [3]int
		for i := range clients {
			if clients[i], err = syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0); err != nil {
				t.Fatal(err)
			}
			defer syscall.Close(clients[i])
		}
		free, err := syscall.Dup(0)
		if err != nil {
			t.Fatal(err)
		}
		syscall.Close(free)
		var before syscall.Rlimit
		if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: uint64(free), Max: before.Max}); err != nil {
			t.Fatal(err)
		}
		for _, fd := range clients {
			if err := syscall.Connect(fd, &to); err != nil {
				t.Fatal(err)
			}
		}
		start := time.Now()
		for range 4 {
			if err := <-failed; !errors.Is(err, syscall.EMFILE) {
				t.Errorf("told of %v", err)
			}
		}
		if took := time.Since(start); took < 2*backOff {
			t.Errorf("tried four times within %v", took)
		}
		do(l, func() { l.Yield() }) // the loop is alive
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
			t.Fatal(err)
		}
		for range clients {
			<-accepted
		}
	})
}

func TestListenerMayCloseWhileItBacksOff(t *testing.T) {
	l := newLoopT(t)
	n := mustServe(t, l, loopback)
	on(l, func() {
		n.Pause()
		l.Go(Func(func() { // as Run, when it is out of descriptors
			n.active = true
			l.Sleep(backOff)
			n.Run()
		}))
		n.Resume()
		n.Close()
	})
	// What follows has the descriptors of the closed listener: Run must not touch them.
	again := mustServe(t, l, loopback)
	do(l, func() { l.Sleep(2 * backOff) })
	roundTrip(t, dial(t, again.Addr()), "hello")
}
