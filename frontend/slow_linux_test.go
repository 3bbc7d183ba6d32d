package frontend

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"gatehouse/backend/h1"
	"gatehouse/backend/loop"
)

// slowClient is a client that has asked for so much, without reading any of it, that the end of the last answer found no room in the kernel.
type slowClient struct {
	*net.TCPConn
	l     *loop.Loop
	n     *Listener
	asked int
}

const slowAnswer = 1500

func newSlowClient(t *testing.T, timeouts *h1.Timeouts) *slowClient {
	l, err := loop.New(0)
	if err != nil {
		t.Fatal(err)
	}
	l.OnPanic = func(v any, stack []byte) { t.Errorf("panic: %v\n%s", v, stack) }
	f := New(&Config{Name: "www", Timeouts: timeouts}, says(strings.Repeat("x", slowAnswer)), Options{})
	n, err := Listen(ListenConfig{Entries: []Entry{{Frontend: f}}, Loops: []*loop.Loop{l},
		Address: loop.Addr{AddrPort: netip.MustParseAddrPort("127.0.0.1:0")}})
	if err != nil {
		t.Fatal(err)
	}
	c := &slowClient{l: l, n: n}
	t.Cleanup(func() { c.Close(); n.Shutdown(); n.Wait(); l.Stop() })
	for range 5 { // unless the test is held up for longer than an idle connection lives
		if c.fill(t, f) {
			return c
		}
	}
	t.Fatal("the connection ended while it was used")
	return nil
}

// fill makes a connection and asks until the loop has something left to write on it. It reports whether the connection lived that long.
func (c *slowClient) fill(t *testing.T, f *Frontend) bool {
	if c.TCPConn != nil {
		c.Close()
		for open := true; open; {
			open = c.look(func(*conn) {})
		}
	}
	nc, err := net.Dial("tcp", c.n.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c.TCPConn, c.asked = nc.(*net.TCPConn), 0
	c.SetReadBuffer(4096)
	c.SetDeadline(time.Now().Add(20 * time.Second))
	before := f.Stats.Requests.Load()
	for queued := 0; queued == 0; {
		if c.asked++; c.asked > 20_000 {
			t.Fatal("the kernel takes everything")
		}
		fmt.Fprintf(c, "GET /%d HTTP/1.1\r\nHost: a\r\n\r\n", c.asked)
		for idle := false; !idle; {
			open := c.look(func(lc *conn) {
				idle, queued = lc.idle && f.Stats.Requests.Load()-before == uint64(c.asked), lc.C.Queued()
			})
			if !open && c.asked > 1 {
				return false
			}
		}
	}
	return true
}

// look calls f with the connection, on its loop, and reports whether there is one.
func (c *slowClient) look(f func(*conn)) bool {
	open := make(chan bool)
	c.l.Post(func() {
		lc := c.n.rooms[0].first
		if lc != nil {
			f(lc)
		}
		open <- lc != nil
	})
	return <-open
}

// rest checks that every answer comes, whole.
func (c *slowClient) rest(t *testing.T) {
	t.Helper()
	b, err := io.ReadAll(c)
	if n := strings.Count(string(b), "\r\n\r\n"+strings.Repeat("x", slowAnswer)); n != c.asked || err != nil {
		t.Errorf("%d of %d answers came whole, %v", n, c.asked, err)
	}
}

// A client that takes its time for the last answer of a connection gets all of it: it is not idle, and it may have ended its own side.
func TestTheLastAnswerWaitsForASlowClient(t *testing.T) {
	t.Run("idle", func(t *testing.T) {
		c := newSlowClient(t, &h1.Timeouts{Client: 10 * time.Second, Idle: time.Second})
		waiting := make(chan struct{})
		c.l.Post(func() { c.l.Go(loop.Func(func() { c.l.Sleep(1500 * time.Millisecond); close(waiting) })) })
		<-waiting
		c.rest(t)
	})
	t.Run("it has ended its side", func(t *testing.T) {
		c := newSlowClient(t, &h1.Timeouts{Client: 10 * time.Second, Idle: 10 * time.Second})
		c.CloseWrite()
		for seen := false; !seen; { // until the connection knows, or has ended
			open := c.look(func(lc *conn) { seen = lc.C.Hup() && !lc.idle })
			seen = seen || !open
		}
		c.rest(t)
	})
	t.Run("the proxy is stopping", func(t *testing.T) {
		c := newSlowClient(t, &h1.Timeouts{Client: 2 * time.Second, Idle: 10 * time.Second})
		c.n.Shutdown()
		waiting := make(chan struct{})
		c.l.Post(func() { c.l.Go(loop.Func(func() { c.l.Sleep(quiet + 200*time.Millisecond); close(waiting) })) })
		<-waiting
		c.rest(t)
	})
}

// One that takes nothing has the client's time, and then the connection ends.
func TestTheLastAnswerWaitsNotForEver(t *testing.T) {
	c := newSlowClient(t, &h1.Timeouts{Client: 100 * time.Millisecond, Idle: time.Second})
	began := time.Now()
	for c.look(func(*conn) {}) {
	}
	if d := time.Since(began); d > 5*time.Second {
		t.Errorf("it took %v", d)
	}
}
