package h1

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"gatehouse/backend/loop"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// memLoop starts a loop without epoll.
func memLoop(t testing.TB) *loop.Loop {
	l := loop.NewMem(0)
	l.OnPanic = func(v any, stack []byte) { t.Errorf("panic: %v\n%s", v, stack) }
	t.Cleanup(l.Stop)
	return l
}

// do runs f as a task of l and returns when it has ended.
func do(l *loop.Loop, f func()) {
	done := make(chan struct{})
	l.Post(func() { l.Go(loop.Func(func() { defer close(done); f() })) })
	<-done
}

// pair returns a Conn of l and the peer's end of it. Each write of the peer is one read, and waits until the one before was taken.
func pair(t testing.TB, l *loop.Loop, peer Side) (*Conn, net.Conn) {
	near, far := net.Pipe()
	var c *Conn
	do(l, func() { c = NewConn(l.Adapt(near, netip.AddrPort{}, netip.AddrPort{}), nil, peer) })
	t.Cleanup(func() { far.Close() })
	return c, far
}

// trickle writes the pieces one after the other and, if that is wanted, closes.
func trickle(far net.Conn, end bool, pieces ...string) {
	go func() {
		for _, p := range pieces {
			if _, err := far.Write([]byte(p)); err != nil {
				return
			}
		}
		if end {
			far.Close()
		}
	}()
}

func TestReadRequestEndsCleanly(t *testing.T) {
	l := memLoop(t)
	for _, x := range []struct {
		name, in string
		want     error
		status   int
		cause    byte
	}{
		{"nothing", "", io.EOF, 0, 0},
		{"half a head", "GET / HT", io.EOF, 400, 'C'},
		{"garbage", "\x16\x03\x01", nil, 400, 0},
	} {
		t.Run(x.name, func(t *testing.T) {
			c, far := pair(t, l, ByClient)
			trickle(far, true, x.in)
			do(l, func() {
				var r Request
				err := c.ReadRequest(&r, nil)
				if x.want != nil && !errors.Is(err, x.want) {
					t.Errorf("%v, want %v", err, x.want)
				}
				he, ok := errors.AsType[*Error](err)
				if ok != (x.status != 0) || ok && (he.Status != x.status || he.Cause != x.cause || he.Side != ByClient) {
					t.Errorf("%#v", err)
				}
				c.Close()
			})
		})
	}
}

func TestReadResponseEndsBeforeAWord(t *testing.T) {
	l := memLoop(t)
	for _, x := range []struct {
		name, in string
		reused   bool
	}{{"nothing", "", true}, {"half a head", "HTTP/1.1 2", false}} {
		t.Run(x.name, func(t *testing.T) {
			c, far := pair(t, l, ByServer)
			trickle(far, true, x.in)
			do(l, func() {
				var r Response
				err := c.ReadResponse(&r, []byte("GET"))
				if he, ok := errors.AsType[*Error](err); !ok || he.Reused != x.reused || he.Status != 502 || he.Side != ByServer || he.Cause != 'S' {
					t.Errorf("%#v", err)
				}
				c.Close()
			})
		})
	}
}

// TestHeadDeadline: the deadline on the connection is for the whole head, however it dribbles in.
func TestHeadDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := memLoop(t)
		for _, peer := range []Side{ByClient, ByServer} {
			c, far := pair(t, l, peer)
			stop := make(chan struct{})
			gone := make(chan struct{})
			go func() {
				defer close(gone)
				s := "GET / HTTP/1.1\r\nX: "
				if peer == ByServer {
					s = "HTTP/1.1 200 OK\r\nX: "
				}
				for i := 0; ; i++ {
					b := byte('a')
					if i < len(s) {
						b = s[i]
					}
					if _, err := far.Write([]byte{b}); err != nil {
						return
					}
					select {
					case <-stop:
						return
					case <-time.After(time.Second):
					}
				}
			}()
			do(l, func() {
				began := l.Now()
				c.C.SetReadTimeout(10 * time.Second)
				var err error
				if peer == ByClient {
					err = c.ReadRequest(&Request{}, nil)
				} else {
					err = c.ReadResponse(&Response{}, []byte("GET"))
				}
				he, ok := errors.AsType[*Error](err)
				if !ok || !errors.Is(err, os.ErrDeadlineExceeded) || he.Status != map[Side]int{ByClient: 408, ByServer: 504}[peer] || he.Reused {
					t.Errorf("%#v", err)
				}
				if d := l.Now() - began; d < 10_000 || d > 11_000 {
					t.Errorf("after %d ms", d)
				}
				c.Close()
			})
			close(stop)
			<-gone
		}
	})
}

// TestFillMovesWhatIsUnread: a head that begins late in the buffer has the whole buffer all the same.
func TestFillMovesWhatIsUnread(t *testing.T) {
	l := memLoop(t)
	c, far := pair(t, l, ByClient)
	head := "GET /x HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", 60<<10) + "\r\n\r\n"
	lim := &ParseLimits{Field: 64 << 10, Head: 64 << 10}
	trickle(far, true, strings.Repeat(head, 10))
	do(l, func() {
		var r Request
		for i := range 10 {
			if err := c.ReadRequest(&r, lim); err != nil {
				t.Fatalf("request %d: %v", i, err)
			}
			if r.Bytes != len(head) {
				t.Errorf("request %d has %d bytes, want %d", i, r.Bytes, len(head))
			}
			r.Header.Reset()
		}
		if err := c.ReadRequest(&r, lim); err != io.EOF {
			t.Errorf("at the end: %v", err)
		}
		c.Close()
	})
}

// TestIdleConnectionHoldsNoBuffer counts what the loop has lent.
func TestIdleConnectionHoldsNoBuffer(t *testing.T) {
	l := memLoop(t)
	c, far := pair(t, l, ByClient)
	trickle(far, false, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")
	do(l, func() {
		var r Request
		if err := c.ReadRequest(&r, nil); err != nil {
			t.Fatal(err)
		}
		for {
			if _, err := r.Body.Next(true); err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		r.Body.Close()
		if c.buf != nil || c.content.buf != nil {
			t.Error("a buffer is held between requests")
		}
		if err := c.Fill(false); err != loop.ErrWouldBlock || c.buf != nil {
			t.Errorf("%v, and a buffer: %v", err, c.buf != nil)
		}
		c.Close()
	})
}

func TestErrorsSayWhatWasRead(t *testing.T) {
	for _, x := range []struct {
		err  error
		want string
	}{
		{&readError{"content", io.EOF}, "content: connection closed"},
		{&readError{"content", io.ErrUnexpectedEOF}, "content: connection closed before its end"},
		{&readError{"response head", os.ErrDeadlineExceeded}, "response head: nothing came in time"},
		{&readError{"content", errSlow}, "content: less than 500 bytes per second"},
		{&writeError{os.ErrDeadlineExceeded}, "write: the peer took nothing in time"},
		{&writeError{io.ErrClosedPipe}, "io: read/write on closed pipe"},
	} {
		if got := x.err.Error(); got != x.want {
			t.Errorf("%q, want %q", got, x.want)
		}
	}
}
