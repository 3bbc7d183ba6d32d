package loop

import (
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a loop under test, and what it takes to get connections on it.
type rig struct {
	*testing.T
	l   *Loop
	mem bool // in a bubble, over pipes
}

// everywhere tells a story on epoll and real sockets, and again on a NewMem loop in a bubble.
func everywhere(t *testing.T, story func(r rig)) {
	t.Run("epoll", func(t *testing.T) { story(onEpoll(t)) })
	t.Run("mem", func(t *testing.T) { inBubble(t, story) })
}

func onEpoll(t *testing.T) rig { return rig{T: t, l: newLoopT(t)} }

func inBubble(t *testing.T, story func(r rig)) {
	synctest.Test(t, func(t *testing.T) {
		l := NewMem(0)
		l.OnPanic = func(v any, stack []byte) { t.Errorf("panic: %v\n%s", v, stack) }
		t.Cleanup(l.Stop)
		story(rig{T: t, l: l, mem: true})
	})
}

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

// on runs f on l, not as a task, and returns when it has ended.
func on(l *Loop, f func()) {
	done := make(chan struct{})
	l.Post(func() { defer close(done); f() })
	<-done
}

func (r rig) do(f func()) { r.Helper(); do(r.l, f) }

// pair returns two connected Conns of the loop, which end with it. On the loop.
func (r rig) pair() (*Conn, *Conn) {
	if r.mem {
		a, b := newDuplex()
		return r.l.Adapt(a, netip.AddrPort{}, netip.AddrPort{}), r.l.Adapt(b, netip.AddrPort{}, netip.AddrPort{})
	}
	return socketPair(r.l)
}

// half returns a Conn of the loop and its peer outside, which ends with the test. On the loop.
func (r rig) half() (c *Conn, peer net.Conn) {
	if r.mem {
		var a net.Conn
		a, peer = newDuplex()
		c = r.l.Adapt(a, netip.AddrPort{}, netip.AddrPort{})
	} else {
		c, peer = socketHalf(r.l)
	}
	r.Cleanup(func() { peer.Close() })
	return c, peer
}

// duplex is a net.Pipe for each direction, so that one side can be ended alone.
type duplex struct{ net.Conn } // reads from it; writes to w
type duplexConn struct {
	duplex
	w net.Conn
}

func newDuplex() (a, b net.Conn) {
	r1, w1 := net.Pipe()
	r2, w2 := net.Pipe()
	return &duplexConn{duplex{r1}, w2}, &duplexConn{duplex{r2}, w1}
}

func (d *duplexConn) Write(p []byte) (int, error)        { return d.w.Write(p) }
func (d *duplexConn) CloseWrite() error                  { return d.w.Close() }
func (d *duplexConn) SetWriteDeadline(t time.Time) error { return d.w.SetWriteDeadline(t) }
func (d *duplexConn) Close() error                       { d.w.Close(); return d.Conn.Close() }
func (d *duplexConn) SetDeadline(t time.Time) error {
	d.w.SetDeadline(t)
	return d.Conn.SetDeadline(t)
}

// quiet takes the panics that a test provokes, and returns their count.
func (r rig) quiet() *atomic.Int32 {
	var n atomic.Int32
	on(r.l, func() { r.l.OnPanic = func(any, []byte) { n.Add(1) } })
	return &n
}

// elapsed runs f and returns how long it took.
func elapsed(f func()) time.Duration {
	start := time.Now()
	f()
	return time.Since(start)
}

// timely checks that what should take d took that: in a bubble never less, and up to a tick more; on the machine's clock, where
// the turn may be older than the call, hardly less, and not absurdly more.
func (r rig) timely(what string, got, d time.Duration) {
	r.Helper()
	early, late := time.Duration(0), tick*time.Millisecond
	if !r.mem {
		early, late = 10*time.Millisecond, 3*time.Second
	}
	if got < d-early || got > d+late {
		r.Errorf("%s took %v, want %v to %v", what, got, d-early, d+late)
	}
}

var loopback = Addr{AddrPort: netip.MustParseAddrPort("127.0.0.1:0")}

// serveEcho echoes until the end of c.
func serveEcho(c *Conn) {
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
}

// echo listens on l and echoes.
func echo(t testing.TB, l *Loop) Addr {
	t.Helper()
	n, err := l.Listen(loopback, func(s Socket) {
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
	return n.Addr()
}

// dial connects from outside the loops.
func dial(t testing.TB, a Addr) net.Conn {
	t.Helper()
	network, to := "tcp", a.AddrPort.String()
	if a.Path != "" {
		network, to = "unix", a.Path
	}
	c, err := net.Dial(network, to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// roundTrip sends s and expects it back.
func roundTrip(t testing.TB, c io.ReadWriter, s string) {
	t.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		t.Error(err)
		return
	}
	b := make([]byte, len(s))
	if _, err := io.ReadFull(c, b); err != nil || string(b) != s {
		t.Errorf("got %q, %v; want %q", b, err, s)
	}
}

func TestEchoOverLoopback(t *testing.T) {
	l := newLoopT(t)
	c := dial(t, echo(t, l))
	for range 1000 {
		roundTrip(t, c, "hello")
	}
}

func TestClocksAreThoseOfTheTurn(t *testing.T) {
	inBubble(t, func(r rig) {
		r.do(func() {
			start, wall := r.l.Now(), r.l.Unix()
			if wall != time.Now().UnixMilli() {
				r.Errorf("Unix() = %d, want %d", wall, time.Now().UnixMilli())
			}
			r.l.Sleep(time.Second)
			if ran := r.l.Now() - start; ran < 1000 || ran > 1000+tick {
				r.Errorf("the clock ran %d ms in a second", ran)
			}
			if ran := r.l.Unix() - wall; ran != r.l.Now()-start {
				r.Errorf("the wall clock ran %d ms, the other %d ms", ran, r.l.Now()-start)
			}
		})
	})
}

// flusher counts its calls, and does what it is told to.
type flusher struct {
	n int
	f func()
}

func (f *flusher) Flush() {
	f.n++
	if f.f != nil {
		f.f()
	}
}

func TestFlushersRunOnceAtTheEndOfTheTurn(t *testing.T) {
	everywhere(t, func(r rig) {
		var f flusher
		r.do(func() {
			r.l.AtTurnEnd(&f)
			if f.n != 0 {
				r.Error("flushed within the turn")
			}
			r.l.Yield()
			if f.n != 1 {
				r.Errorf("flushed %d times, want once", f.n)
			}
			r.l.Yield()
			if f.n != 1 {
				r.Errorf("flushed %d times in all, want once", f.n)
			}
		})
	})
}

func TestFlusherThatComesBackForEverIsNotLostNorHoldsTheLoop(t *testing.T) {
	everywhere(t, func(r rig) {
		const times = 100 // more than the rounds of a turn: some are left when the loop would sleep
		done := make(chan struct{})
		f := &flusher{}
		f.f = func() {
			if f.n < times {
				r.l.AtTurnEnd(f)
			} else {
				close(done)
			}
		}
		on(r.l, func() { r.l.AtTurnEnd(f) })
		<-done
	})
}

func TestPanickingFlusherSparesTheOthers(t *testing.T) {
	everywhere(t, func(r rig) {
		n := r.quiet()
		var after flusher
		r.do(func() {
			r.l.AtTurnEnd(&flusher{f: func() { panic("flush") }})
			r.l.AtTurnEnd(&after)
			r.l.Yield()
		})
		if after.n != 1 || n.Load() != 1 || r.l.Panics() != 1 {
			r.Errorf("flushed %d times with %d panics, %d counted", after.n, n.Load(), r.l.Panics())
		}
	})
}
