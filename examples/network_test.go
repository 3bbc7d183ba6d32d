package examples

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/backend/loop"
)

var (
	clientAt = netip.MustParseAddrPort("10.1.2.3:40001")
	houseAt  = netip.MustParseAddrPort("192.168.1.1:80")
	serverAt = netip.MustParseAddrPort("192.168.1.11:80")
)

func TestConnPairCarriesBytesAndEnds(t *testing.T) {
	a, b := connPair(clientAt, houseAt)
	io.WriteString(a, "hello")
	a.CloseWrite()
	if got, err := io.ReadAll(b); string(got) != "hello" || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
	io.WriteString(b, "half closed is half open")
	b.Close()
	if got, err := io.ReadAll(a); string(got) != "half closed is half open" || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
	if _, err := a.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("write to who went away: %v", err)
	}
	if a.RemoteAddr().String() != houseAt.String() || b.RemoteAddr().String() != clientAt.String() {
		t.Errorf("addresses are %v and %v", a.RemoteAddr(), b.RemoteAddr())
	}
}

func TestConnPairReset(t *testing.T) {
	a, b := connPair(clientAt, houseAt)
	io.WriteString(a, "lost")
	a.Reset()
	if n, err := b.Read(make([]byte, 9)); n != 0 || !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read %d, %v after a reset", n, err)
	}
}

func TestConnPairDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := connPair(clientAt, houseAt)
		defer b.Close()
		start := time.Now()
		a.SetReadDeadline(start.Add(time.Hour))
		a.SetReadDeadline(start.Add(3 * time.Second))
		if _, err := a.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != 3*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		a.SetReadDeadline(time.Time{})
		go func() { time.Sleep(time.Minute); b.Write([]byte("x")) }()
		if n, err := a.Read(make([]byte, 1)); n != 1 || err != nil {
			t.Errorf("read %d, %v without a deadline", n, err)
		}
		a.SetReadDeadline(time.Unix(1, 0))
		if _, err := a.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%v with a deadline in the past", err)
		}
		a.Close()
		if _, err := a.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%v after Close", err)
		}
	})
}

// inLoop runs f as a task of a loop in memory and waits for its end.
func inLoop(l *loop.Loop, f func()) {
	done := make(chan struct{})
	l.Post(func() { l.Go(loop.Func(func() { defer close(done); f() })) })
	<-done
}

func TestNetworkLeadsClientsToTheHouse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(houseAt.Addr())
		l := loop.NewMem(0)
		defer l.Stop()
		if _, err := n.connect(clientAt.Addr(), houseAt); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatalf("connecting to nobody: %v", err)
		}
		var peer netip.AddrPort
		accept := func(s loop.Socket) {
			c, err := l.Adopt(s)
			if err != nil {
				t.Error(err)
				return
			}
			peer = c.Remote()
			l.Go(loop.Func(func() {
				defer c.Close()
				b := make([]byte, 9)
				k, _ := c.Read(b)
				c.Write(b[:k])
			}))
		}
		d, err := n.listen(l, loop.Addr{AddrPort: netip.AddrPortFrom(netip.Addr{}, 80)}, accept)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := n.listen(l, loop.Addr{AddrPort: netip.AddrPortFrom(netip.Addr{}, 80)}, accept); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("listening twice: %v", err)
		}
		c, err := n.connect(clientAt.Addr(), houseAt)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, "echo")
		if got, err := io.ReadAll(c); string(got) != "echo" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
		if peer.Addr() != clientAt.Addr() {
			t.Errorf("the house saw %v", peer)
		}
		c.Close()
		d.Close()
		if _, err := n.connect(clientAt.Addr(), houseAt); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("after Close: %v", err)
		}
	})
}

func TestNetworkLeadsTheHouseToServers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(houseAt.Addr())
		l := loop.NewMem(0)
		defer l.Stop()
		n.serve(serverAt, func(c *memConn) {
			io.WriteString(c, c.remote.Addr().String())
			c.Close()
		})
		dial := loop.Dial{To: loop.Addr{AddrPort: serverAt}, Timeout: 5 * time.Second}
		for _, from := range []string{"", "10.1.2.1"} {
			d, want := dial, houseAt.Addr().String()
			if from != "" {
				d.From, want = netip.MustParseAddr(from), from
			}
			inLoop(l, func() {
				c, err := n.dial(l, d)
				if err != nil {
					t.Error(err)
					return
				}
				defer c.Close()
				if got, err := io.ReadAll(c); string(got) != want || err != nil {
					t.Errorf("the server saw %q, %v; want %q", got, err, want)
				}
			})
		}
		n.set(serverAt, portDown)
		inLoop(l, func() {
			if _, err := n.dial(l, dial); !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("down: %v", err)
			}
		})
		n.set(serverAt, portHang)
		start := time.Now()
		inLoop(l, func() {
			if _, err := n.dial(l, dial); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("black hole: %v", err)
			}
		})
		if d := time.Since(start); d < 5*time.Second || d > 5*time.Second+100*time.Millisecond {
			t.Errorf("a black hole took %v", d)
		}
	})
}
