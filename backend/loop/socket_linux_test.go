package loop

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func addrPort(t testing.TB, n net.Listener) Addr {
	t.Helper()
	a, err := ParseAddr(n.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// deaf returns the address of a socket that listens and never accepts, with room for one connection.
func deaf(t *testing.T) Addr {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	sa, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return Addr{AddrPort: addrOf(sa)}
}

// nobody returns an address on which nobody listens any more.
func nobody(t *testing.T) Addr {
	t.Helper()
	n, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	return addrPort(t, n)
}

// dialers runs a story with both implementations of Dial and Listen: by epoll, and by the standard library.
func dialers(t *testing.T, story func(t *testing.T, l *Loop)) {
	t.Run("epoll", func(t *testing.T) { story(t, newLoopT(t)) })
	t.Run("net", func(t *testing.T) {
		l := NewMem(0)
		l.OnPanic = func(v any, stack []byte) { t.Errorf("panic: %v\n%s", v, stack) }
		t.Cleanup(l.Stop)
		story(t, l)
	})
}

func TestDial(t *testing.T) {
	dialers(t, func(t *testing.T, l *Loop) {
		a := echo(t, l)
		do(l, func() {
			c, err := l.Dial(Dial{To: a, From: netip.MustParseAddr("127.0.0.7"), Timeout: 10 * time.Second})
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			if got := c.Local().Addr().String(); got != "127.0.0.7" {
				t.Errorf("local address %s", got)
			}
			if c.Remote() != a.AddrPort {
				t.Errorf("remote address %s", c.Remote())
			}
			roundTrip(t, c, "hello")
		})
	})
}

func TestDialErrors(t *testing.T) {
	dialers(t, func(t *testing.T, l *Loop) {
		open := addrPort(t, func() net.Listener {
			n, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { n.Close() })
			return n
		}())
		before := descriptors(t)
		for _, c := range []struct {
			name string
			dial Dial
			want error // nil: any
			text string
		}{
			{"refused", Dial{To: nobody(t)}, syscall.ECONNREFUSED, "connect"},
			{"refused, with a timeout", Dial{To: nobody(t), Timeout: time.Minute}, syscall.ECONNREFUSED, ""},
			{"no such path", Dial{To: Addr{Path: filepath.Join(t.TempDir(), "none")}}, syscall.ENOENT, ""},
			{"not our address", Dial{To: open, From: netip.MustParseAddr("192.0.2.1")}, syscall.EADDRNOTAVAIL, "bind"},
			{"another family", Dial{To: open, From: netip.MustParseAddr("::1")}, nil, ""},
			{"a name", Dial{To: Addr{Host: "localhost"}.WithPort(80)}, errName, "host name"},
			{"no address", Dial{}, nil, "no address"},
			{"a wildcard", Dial{To: Addr{}.WithPort(80)}, nil, "no address"},
			{"a descriptor", Dial{To: Addr{FD: "3"}}, nil, "no address"},
		} {
			do(l, func() {
				conn, err := l.Dial(c.dial)
				switch {
				case err == nil:
					conn.Close()
					t.Errorf("%s: connected", c.name)
				case c.want != nil && !errors.Is(err, c.want):
					t.Errorf("%s: got %v, want %v", c.name, err, c.want)
				case !strings.Contains(err.Error(), c.text):
					t.Errorf("%s: got %q, want %q in it", c.name, err, c.text)
				}
			})
		}
		if after := descriptors(t); after > before {
			t.Errorf("%d descriptors, %d before", after, before)
		}
	})
}

func TestDialTimeout(t *testing.T) {
	dialers(t, func(t *testing.T, l *Loop) {
		a := deaf(t)
		const d = 120 * ms
		timedOut := false
		do(l, func() {
			for range 8 { // the first ones fill the kernel's queue
				start := time.Now()
				c, err := l.Dial(Dial{To: a, Timeout: d})
				if err == nil {
					defer c.Close()
					continue
				}
				timedOut = true
				if !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("got %v", err)
				}
				if took := time.Since(start); took < d {
					t.Errorf("gave up after %v", took)
				}
				break
			}
		})
		if !timedOut {
			t.Error("a listener that accepts nobody let everybody in")
		}
	})
}

func TestDialTimeoutDoesNotOutliveTheDial(t *testing.T) {
	l := newLoopT(t)
	a := echo(t, l)
	do(l, func() {
		c, err := l.Dial(Dial{To: a, Timeout: ms})
		if err != nil {
			t.Skip(err) // the machine was not quick enough
		}
		defer c.Close()
		l.Sleep(120 * ms)
		c.SetReadTimeout(10 * time.Second)
		fill := make([]byte, 1<<20)
		l.Go(Func(func() { io.ReadFull(c, make([]byte, len(fill))) }))
		if _, err := c.Write(fill); err != nil {
			t.Error(err)
		}
	})
}

// The peer has accepted, written and closed before the dialling task runs again.
func TestDialToOneWhoWritesAndLeaves(t *testing.T) {
	dialers(t, func(t *testing.T, l *Loop) {
		n, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer n.Close()
		go func() {
			for {
				c, err := n.Accept()
				if err != nil {
					return
				}
				io.WriteString(c, "bye")
				c.Close()
			}
		}()
		a := addrPort(t, n)
		do(l, func() {
			for i := range 200 {
				c, err := l.Dial(Dial{To: a})
				if err != nil {
					t.Error(err)
					return
				}
				c.SetReadTimeout(10 * time.Second)
				if i%2 == 0 {
					l.Yield()
				}
				if got, err := io.ReadAll(c); string(got) != "bye" || err != nil {
					t.Errorf("got %q, %v", got, err)
				}
				c.Close()
			}
		})
	})
}

func TestDialIPv6(t *testing.T) {
	if n, err := net.Listen("tcp6", "[::1]:0"); err != nil {
		t.Skip("no IPv6 here: ", err)
	} else {
		n.Close()
	}
	dialers(t, func(t *testing.T, l *Loop) {
		n, err := l.Listen(Addr{AddrPort: netip.MustParseAddrPort("[::1]:0")}, func(s Socket) {
			if got := s.Remote.Addr().String(); got != "::1" {
				t.Errorf("the peer is %s", got)
			}
			c, err := l.Adopt(s)
			if err != nil {
				t.Error(err)
				return
			}
			l.Go(Func(func() { serveEcho(c) }))
		})
		if err != nil {
			t.Fatal(err)
		}
		do(l, func() {
			c, err := l.Dial(Dial{To: n.Addr(), From: netip.MustParseAddr("::1")})
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			roundTrip(t, c, "hello")
		})
	})
}

func TestSocketOfANetConn(t *testing.T) {
	everywhere(t, func(r rig) {
		local, remote := netip.MustParseAddrPort("192.168.1.1:80"), netip.MustParseAddrPort("192.168.2.1:4711")
		a, b := net.Pipe()
		defer b.Close()
		s := SocketOf(a, local, remote)
		on(r.l, func() {
			c, err := r.l.Adopt(s)
			if err != nil {
				r.Error(err)
				return
			}
			if c.Local() != local || c.Remote() != remote || c.LocalAddr().String() != local.String() {
				r.Errorf("addresses %v, %v", c.Local(), c.Remote())
			}
			r.l.Go(Func(func() { serveEcho(c) }))
		})
		roundTrip(r, b, "hello")
	})
}

func TestSocketsNobodyAdoptsAreClosed(t *testing.T) {
	dialers(t, func(t *testing.T, l *Loop) {
		n, err := l.Listen(loopback, func(s Socket) { s.Close() })
		if err != nil {
			t.Fatal(err)
		}
		if _, err := dial(t, n.Addr()).Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("got %v, want EOF", err)
		}
	})
}

// TestRecheck: what has come since the loop last looked is seen only by those who ask the kernel.
func TestRecheck(t *testing.T) {
	l := newLoopT(t)
	done := make(chan struct{})
	l.Post(func() {
		l.Go(Func(func() {
			defer close(done)
			c, peer := socketHalf(l)
			defer c.Close()
			var b [1]byte
			if _, err := c.TryRead(b[:]); err != ErrWouldBlock {
				t.Errorf("got %v of a quiet connection", err)
			}
			peer.Close() // at once, for a unix socket
			if _, err := c.TryRead(b[:]); err != ErrWouldBlock {
				t.Errorf("got %v before the loop has looked", err)
			}
			c.Recheck()
			if _, err := c.TryRead(b[:]); err != io.EOF {
				t.Errorf("got %v after Recheck", err)
			}
		}))
	})
	<-done
}
