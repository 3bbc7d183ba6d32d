package loop

import (
	"io"
	"net"
	"net/netip"
	"testing"
)

func newLoopT(t testing.TB) *Loop {
	t.Helper()
	l, err := New(0)
	if err != nil {
		t.Fatal(err)
	}
	l.OnPanic = func(v any, stack []byte) { t.Errorf("panic: %v\n%s", v, stack) }
	t.Cleanup(l.Stop)
	return l
}

// do runs f as a task of l and returns when it has ended.
func do(l *Loop, f func()) {
	done := make(chan struct{})
	l.Post(func() { l.Go(Func(func() { defer close(done); f() })) })
	<-done
}

var loopback = Addr{AddrPort: netip.MustParseAddrPort("127.0.0.1:0")}

// echo listens on l and echoes.
func echo(t testing.TB, l *Loop) Addr {
	t.Helper()
	n, err := l.Listen(loopback, func(s Socket) {
		c, err := l.Adopt(s)
		if err != nil {
			t.Error(err)
			return
		}
		l.Go(Func(func() {
			defer c.Close()
			b := make([]byte, 4096)
			for {
				n, err := c.Read(b)
				if err != nil {
					return
				}
				if _, err := c.Write(b[:n]); err != nil {
					return
				}
			}
		}))
	})
	if err != nil {
		t.Fatal(err)
	}
	return n.Addr()
}

func TestEchoOverLoopback(t *testing.T) {
	l := newLoopT(t)
	a := echo(t, l)
	c, err := net.Dial("tcp", a.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 1000 {
		if _, err := io.WriteString(c, "hello"); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 5)
		if _, err := io.ReadFull(c, b); err != nil || string(b) != "hello" {
			t.Fatalf("got %q, %v", b, err)
		}
	}
}

func TestDialOnTheLoop(t *testing.T) {
	l := newLoopT(t)
	a := echo(t, l)
	do(l, func() {
		c, err := l.Dial(Dial{To: a, From: netip.MustParseAddr("127.0.0.7")})
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		if got := c.Local().Addr().String(); got != "127.0.0.7" {
			t.Errorf("local address %s", got)
		}
		b := make([]byte, 1<<20)
		done := false
		l.Go(Func(func() {
			for n := 0; n < len(b); {
				m, err := c.Read(b[n:])
				if err != nil {
					t.Error(err)
					return
				}
				n += m
			}
			done = true
		}))
		if _, err := c.Write(make([]byte, 1<<20)); err != nil {
			t.Error(err)
		}
		for !done {
			l.Yield()
		}
	})
}
