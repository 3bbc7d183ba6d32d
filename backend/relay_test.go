package backend

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/backend/h1"
	"gatehouse/backend/loop"
)

// patience is how long anything in these tests may take that should take no time.
const patience = 20 * time.Second

// exit is how a relay ended.
type exit struct {
	note h1.Note
	err  error
}

// relayer is a pool in mode tcp behind a listener, on real sockets.
type relayer struct {
	t     testing.TB
	l     *loop.Loop
	p     *Pool
	addr  string
	exits chan exit
}

// relaying starts a pool of the servers at these addresses. change, if not nil, changes its configuration before.
func relaying(t testing.TB, change func(c *Config), addrs ...string) *relayer {
	t.Helper()
	l, err := loop.New(0)
	if err != nil {
		t.Fatal(err)
	}
	l.OnPanic = func(v any, stack []byte) { t.Errorf("panic: %v\n%s", v, stack) }
	t.Cleanup(l.Stop)
	c := &Config{Name: "farm", Mode: h1.TCP, Retries: 3, Redispatch: true}
	for i, a := range addrs {
		s := &Server{Name: letter(i), Weight: 1}
		if s.Address, err = loop.ParseAddr(a); err != nil {
			t.Fatal(err)
		}
		c.Servers = append(c.Servers, s)
	}
	if change != nil {
		change(c)
	}
	r := &relayer{t: t, l: l, exits: make(chan exit, 1000)}
	if r.p, err = New(c, Options{Loops: []*loop.Loop{l}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.p.Close)
	n, err := l.Listen(loop.Addr{AddrPort: netip.MustParseAddrPort("127.0.0.1:0")}, func(s loop.Socket) {
		lc, err := l.Adopt(s)
		if err != nil {
			t.Error(err)
			return
		}
		l.Go(loop.Func(func() { r.serve(lc) }))
	})
	if err != nil {
		t.Fatal(err)
	}
	r.addr = n.Addr().String()
	return r
}

func (r *relayer) serve(lc *loop.Conn) {
	defer lc.Close()
	client := h1.NewConn(lc, nil, h1.ByClient)
	x := &h1.Exchange{Loop: r.l, Peer: lc.Remote()}
	x.Reset()
	x.Peer = lc.Remote()
	err := r.p.Relay(x, client, h1.Timeouts{})
	r.exits <- exit{x.Note, err}
}

// do runs f on the loop.
func (r *relayer) do(f func()) {
	done := make(chan struct{})
	r.l.Post(func() { f(); close(done) })
	<-done
}

// client connects.
func (r *relayer) client() *net.TCPConn {
	r.t.Helper()
	nc, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(patience))
	return nc.(*net.TCPConn)
}

// exit returns how the next relay ended.
func (r *relayer) exit() exit {
	r.t.Helper()
	select {
	case e := <-r.exits:
		return e
	case <-time.After(patience):
		r.t.Fatal("the relay does not end")
		return exit{}
	}
}

// flags returns the termination state of an exit, as a log has it.
func (e exit) flags() string {
	he, ok := errors.AsType[*h1.Error](e.err)
	if !ok {
		return "--"
	}
	return string([]byte{he.Cause, he.State})
}

// origin is a server on loopback that does the same with each connection.
func origin(t testing.TB, serve func(c *net.TCPConn)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer c.Close()
				c.SetDeadline(time.Now().Add(patience))
				serve(c.(*net.TCPConn))
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		running.Wait()
	})
	return ln.Addr().String()
}

// nobody is an address where connections are refused.
func nobody(t testing.TB) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// echo sends back what comes, and ends when the client does.
func echo(c *net.TCPConn) {
	io.Copy(struct{ io.Writer }{c}, c)
	c.CloseWrite()
}

// reset makes Close of c a reset.
func reset(c *net.TCPConn) {
	c.SetLinger(0)
	c.Close()
}

// say sends s, ends the client's side, and returns all that comes back.
func say(t testing.TB, c *net.TCPConn, s string) string {
	t.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		t.Fatal(err)
	}
	c.CloseWrite()
	b, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestRelayHalfClose: the end of one side is passed on, and the other one may still send.
func TestRelayHalfClose(t *testing.T) {
	r := relaying(t, nil, origin(t, func(c *net.TCPConn) {
		b, _ := io.ReadAll(c) // the client's end must come first
		io.WriteString(c, strings.ToUpper(string(b)))
	}))
	if got, want := say(t, r.client(), "hello"), "HELLO"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	e := r.exit()
	if e.err != nil || e.note.BytesIn != 5 || e.note.BytesOut != 5 || e.note.Server != "A" || e.note.Backend != "farm" {
		t.Errorf("noted %+v, %v", e.note, e.err)
	}
	if e.note.Connect < 0 || e.note.Queue < 0 || e.note.SrvConn != 1 || e.note.BeConn != 1 {
		t.Errorf("noted %+v", e.note)
	}
}

// TestRelayServerSpeaksFirst: nobody waits for the client to say something.
func TestRelayServerSpeaksFirst(t *testing.T) {
	r := relaying(t, nil, origin(t, func(c *net.TCPConn) {
		io.WriteString(c, "220 ready\r\n")
		io.Copy(io.Discard, c)
	}))
	c := r.client()
	b := make([]byte, 11)
	if _, err := io.ReadFull(c, b); err != nil || string(b) != "220 ready\r\n" {
		t.Fatalf("got %q, %v", b, err)
	}
	c.CloseWrite()
	if rest, err := io.ReadAll(c); len(rest) > 0 || err != nil {
		t.Errorf("then %q, %v", rest, err)
	}
	if e := r.exit(); e.err != nil {
		t.Error(e.err)
	}
}

// TestRelayStreams: whatever is sent comes out, in both directions at once, in pieces of all sizes, whichever side ends first and however
// slowly the other one reads.
func TestRelayStreams(t *testing.T) {
	const most = 3 << 20
	down := make(chan [2][sha256.Size]byte, 1000) // of the server: sent, received
	r := relaying(t, nil, origin(t, func(c *net.TCPConn) {
		sent, got := exchange(t, c, rand.N(most))
		down <- [2][sha256.Size]byte{sent, got}
	}))
	var sums sync.Map // what clients sent, and what they received
	var clients sync.WaitGroup
	for range 24 {
		c := r.client()
		clients.Go(func() {
			sent, got := exchange(t, c, rand.N(most))
			sums.Store(sent, got)
		})
	}
	clients.Wait()
	for range 24 {
		s := <-down
		sent, ok := sums.Load(s[1])
		if !ok {
			t.Error("a server received what no client sent")
		} else if sent != s[0] {
			t.Error("a client received what its server did not send")
		}
		if e := r.exit(); e.err != nil {
			t.Error(e.err)
		}
	}
}

// exchange sends n random bytes in random pieces and reads to the end meanwhile. It returns the digests of both.
func exchange(t testing.TB, c *net.TCPConn, n int) (sent, got [sha256.Size]byte) {
	var reading sync.WaitGroup
	reading.Go(func() {
		h := sha256.New()
		b := make([]byte, 1+rand.N(64<<10))
		for {
			k, err := c.Read(b)
			h.Write(b[:k])
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Errorf("read: %v", err)
				break
			}
		}
		h.Sum(got[:0])
	})
	src := rand.NewChaCha8([32]byte{byte(rand.Uint32()), byte(n), byte(n >> 8), byte(rand.Uint32())})
	h := sha256.New()
	b := make([]byte, 200<<10)
	for n > 0 {
		k := min(n, 1+rand.N(len(b)-1))
		src.Read(b[:k])
		h.Write(b[:k])
		if _, err := c.Write(b[:k]); err != nil {
			t.Errorf("write: %v", err)
			break
		}
		n -= k
	}
	h.Sum(sent[:0])
	c.CloseWrite()
	reading.Wait()
	return sent, got
}

// TestRelayMany: two hundred connections at once, none of which leaves anything behind.
func TestRelayMany(t *testing.T) {
	r := relaying(t, nil, origin(t, echo))
	before := descriptors(t)
	var clients sync.WaitGroup
	for i := range 200 {
		c := r.client()
		clients.Go(func() {
			want := bytes.Repeat([]byte{byte(i)}, 1000*i)
			if got := say(t, c, string(want)); got != string(want) {
				t.Errorf("client %d got %d bytes, want %d", i, len(got), len(want))
			}
			c.Close()
		})
	}
	clients.Wait()
	for range 200 {
		if e := r.exit(); e.err != nil {
			t.Error(e.err)
		}
	}
	if n := r.p.Stats.Active.Load(); n != 0 {
		t.Errorf("%d relays are counted as under way", n)
	}
	if n := r.p.servers[0].active.Load(); n != 0 {
		t.Errorf("%d relays are counted on the server", n)
	}
	const pipes = 2 * 16                     // descriptors that a loop may keep
	for end := time.Now().Add(patience); ; { // the origin's goroutines close theirs in their own time
		after := descriptors(t)
		if after <= before+pipes {
			break
		}
		if time.Now().After(end) {
			t.Errorf("%d descriptors are open, %d were before", after, before)
			break
		}
	}
}

// descriptors counts what the process has open.
func descriptors(t testing.TB) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("no /proc here")
	}
	return len(list)
}

// TestRelayEnds: who ended a relay, and how, in HAProxy's letters.
func TestRelayEnds(t *testing.T) {
	var over chan struct{} // closed when the relay is
	hold := func(c *net.TCPConn) { io.Copy(io.Discard, c) }
	end := func(c *net.TCPConn) { c.CloseWrite(); io.ReadAll(c) }
	keep := func(c *net.TCPConn) { <-over }
	touch := func(c *net.TCPConn) { c.Read(make([]byte, 1)); reset(c) }
	const short = 100 * time.Millisecond
	timeouts := func(t h1.Timeouts) func(*Config) { return func(c *Config) { c.Timeouts = &t } }
	for _, tt := range []struct {
		name           string
		change         func(c *Config)
		server, client func(c *net.TCPConn)
		want           string
	}{
		{"both end", nil, echo, end, "--"},
		{"the server ends first", nil, end, func(c *net.TCPConn) { io.ReadAll(c); c.CloseWrite() }, "--"},
		{"the client resets", nil, func(c *net.TCPConn) { io.WriteString(c, "x"); hold(c) }, touch, "CD"},
		{"the client resets in the middle", nil, flood, touch, "CD"},
		{"the server resets", nil, touch, func(c *net.TCPConn) { io.WriteString(c, "x"); hold(c) }, "SD"},
		{"the server resets in the middle", nil, touch, flood, "SD"},
		{"nobody says anything", timeouts(h1.Timeouts{Tunnel: short}), hold, hold, "cD"},
		{"only the client's timeout is written", timeouts(h1.Timeouts{Client: short}), hold, hold, "cD"},
		{"the server's timeout is shorter", timeouts(h1.Timeouts{Client: time.Hour, Server: short}), hold, hold, "sD"},
		{"the server is silent after the client's end", timeouts(h1.Timeouts{Server: short, Tunnel: time.Hour}), keep, end, "sD"},
		{"the client is silent after the server's end", timeouts(h1.Timeouts{Client: short, Tunnel: time.Hour}), end, keep, "cD"},
		{"the client takes nothing", timeouts(h1.Timeouts{Client: short, Tunnel: time.Hour}), flood, keep, "cD"},
		{"the server takes nothing", timeouts(h1.Timeouts{Server: short, Tunnel: time.Hour}), keep, flood, "sD"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			over = make(chan struct{})
			r := relaying(t, tt.change, origin(t, tt.server))
			c := r.client()
			var client sync.WaitGroup
			client.Go(func() { tt.client(c) })
			e := r.exit()
			if got := e.flags(); got != tt.want {
				t.Errorf("got %s (%v), want %s", got, e.err, tt.want)
			}
			close(over)
			c.Close()
			client.Wait()
		})
	}
}

// flood sends without end.
func flood(c *net.TCPConn) {
	b := make([]byte, 64<<10)
	for {
		if _, err := c.Write(b); err != nil {
			return
		}
	}
}

// TestRelayFailover: a server that refuses connections is replaced at once.
func TestRelayFailover(t *testing.T) {
	r := relaying(t, func(c *Config) { c.Balance = Balance{Algorithm: byFirst} }, nobody(t), origin(t, echo))
	began := time.Now()
	if got := say(t, r.client(), "hello"); got != "hello" {
		t.Errorf("got %q", got)
	}
	if d := time.Since(began); d > hesitation/2 {
		t.Errorf("it took %v", d)
	}
	e := r.exit()
	if e.err != nil || e.note.Server != "B" || e.note.Retries != 1 || !e.note.Redispatched {
		t.Errorf("noted %+v, %v", e.note, e.err)
	}
	if got := r.p.servers[0].stats.Refused.Load(); got != 1 {
		t.Errorf("%d refusals are counted", got)
	}
}

// TestRelayWithoutServer: when no server can be had, the client's connection ends without a word.
func TestRelayWithoutServer(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(c *Config)
		flags  string
		err    string
	}{
		{"refused", func(c *Config) { c.Retries = 0 }, "SC", "connect A 127.0.0.1"},
		{"in maintenance", func(c *Config) { c.Servers[0].State = Maint }, "SC", "no server is usable"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := relaying(t, tt.change, nobody(t))
			c := r.client()
			if b, _ := io.ReadAll(c); len(b) > 0 {
				t.Errorf("the client read %q", b)
			}
			e := r.exit()
			if e.flags() != tt.flags || !strings.Contains(e.err.Error(), tt.err) {
				t.Errorf("got %s %v, want %s and %q", e.flags(), e.err, tt.flags, tt.err)
			}
			if n := r.p.Stats.Failed.Load(); n != 1 {
				t.Errorf("%d failures are counted", n)
			}
		})
	}
}

// TestRelayBlackHole: a server that does not answer is given the connect timeout, and then another one is asked.
func TestRelayBlackHole(t *testing.T) {
	hole := "192.0.2.1:9"
	r := relaying(t, func(c *Config) {
		c.Balance = Balance{Algorithm: byFirst}
		c.Timeouts = &h1.Timeouts{Connect: 60 * time.Millisecond}
	}, hole, origin(t, echo))
	dial := func(l *loop.Loop, d loop.Dial) (*loop.Conn, error) {
		if d.To.String() == hole {
			l.Sleep(d.Timeout)
			return nil, os.ErrDeadlineExceeded
		}
		return l.Dial(d)
	}
	r.do(func() { r.p.o.Dial = dial })
	if got := say(t, r.client(), "hello"); got != "hello" {
		t.Errorf("got %q", got)
	}
	if e := r.exit(); e.err != nil || e.note.Server != "B" || e.note.Retries != 1 {
		t.Errorf("noted %+v, %v", e.note, e.err)
	}
	r.do(func() {
		r.p.c.Retries = 0
		r.p.o.Dial = func(l *loop.Loop, d loop.Dial) (*loop.Conn, error) { return nil, os.ErrDeadlineExceeded }
	})
	io.ReadAll(r.client())
	if e := r.exit(); e.flags() != "sC" {
		t.Errorf("got %s %v, want sC", e.flags(), e.err)
	}
}

// TestRelayClientVanishes: a client that is gone before a server is found costs no server anything more.
func TestRelayClientVanishes(t *testing.T) {
	asked, gone := make(chan struct{}), make(chan struct{})
	r := relaying(t, nil, origin(t, echo))
	dial := func(l *loop.Loop, d loop.Dial) (*loop.Conn, error) {
		close(asked)
		l.Block(func() { <-gone })
		l.Sleep(50 * time.Millisecond) // for the reset to arrive
		return l.Dial(d)
	}
	r.do(func() { r.p.o.Dial = dial })
	c := r.client()
	<-asked
	reset(c)
	close(gone)
	if e := r.exit(); e.flags() != "CC" {
		t.Errorf("got %s %v, want CC", e.flags(), e.err)
	}
}

// pingPong sends n small messages through a relay, each after the answer to the one before.
func pingPong(t testing.TB, c *net.TCPConn, n int) {
	b := make([]byte, 64)
	for range n {
		if _, err := c.Write(b); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, b); err != nil {
			t.Fatal(err)
		}
	}
}

// answerAll is echo without io.Copy, which would leave the work to the kernel.
func answerAll(c *net.TCPConn) {
	b := make([]byte, 64<<10)
	for {
		n, err := c.Read(b)
		if err != nil {
			return
		}
		c.Write(b[:n])
	}
}

// BenchmarkRelay measures what goes through a relay, clients and servers of the same process included.
func BenchmarkRelay(b *testing.B) {
	b.Run("small", func(b *testing.B) {
		r := relaying(b, nil, origin(b, answerAll))
		c := r.client()
		c.SetDeadline(time.Time{})
		pingPong(b, c, 100)
		b.ReportAllocs()
		b.ResetTimer()
		pingPong(b, c, b.N)
	})
	b.Run("bulk", func(b *testing.B) {
		r := relaying(b, nil, origin(b, flood))
		c := r.client()
		c.SetDeadline(time.Time{})
		p := make([]byte, 128<<10)
		b.SetBytes(int64(len(p)))
		b.ResetTimer()
		for range b.N {
			if _, err := io.ReadFull(c, p); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("connections", func(b *testing.B) {
		r := relaying(b, nil, origin(b, answerAll))
		for range b.N {
			c, err := net.Dial("tcp", r.addr)
			if err != nil {
				b.Fatal(err)
			}
			pingPong(b, c.(*net.TCPConn), 1)
			c.Close()
			<-r.exits
		}
	})
}
