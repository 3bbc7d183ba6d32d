package h1

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/backend/loop"
)

// tunnelled is a tunnel between two sockets, and the far ends of them.
type tunnelled struct {
	client, server *net.TCPConn
	done           chan struct{} // closed when Tunnel has returned
	up, down       int64
	by             Side
	err            error
}

func newTunnel(t *testing.T, patience time.Duration) *tunnelled {
	l, err := loop.New(0)
	if err != nil {
		t.Fatal(err)
	}
	l.OnPanic = func(v any, stack []byte) { t.Errorf("panic: %v\n%s", v, stack) }
	t.Cleanup(l.Stop)
	socket := func() (loop.Socket, *net.TCPConn) {
		a, err := loop.ParseAddr("127.0.0.1:1")
		if err != nil {
			t.Fatal(err)
		}
		accepted := make(chan loop.Socket, 1)
		ln, err := l.Listen(a.WithPort(0), func(s loop.Socket) { accepted <- s })
		if err != nil {
			t.Fatal(err)
		}
		nc, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { nc.Close() })
		nc.SetDeadline(time.Now().Add(20 * time.Second))
		return <-accepted, nc.(*net.TCPConn)
	}
	u := &tunnelled{done: make(chan struct{})}
	a, client := socket()
	b, server := socket()
	u.client, u.server = client, server
	l.Post(func() {
		l.Go(loop.Func(func() {
			defer close(u.done)
			ca, err := l.Adopt(a)
			if err != nil {
				t.Error(err)
				return
			}
			cb, err := l.Adopt(b)
			if err != nil {
				t.Error(err)
				return
			}
			x, y := NewConn(ca, nil, ByClient), NewConn(cb, nil, ByServer)
			u.up, u.down, u.by, u.err = Tunnel(x, y, patience)
			x.Close()
			y.Close()
		}))
	})
	return u
}

// TestTunnelBothWays relays random bytes in both directions at once, to the last one, and each end apart from the other.
func TestTunnelBothWays(t *testing.T) {
	for _, first := range []string{"client", "server"} {
		u := newTunnel(t, 0)
		var wg sync.WaitGroup
		flow := func(from, to *net.TCPConn, size int, seed uint64) {
			want := make([]byte, size)
			rnd := rand.New(rand.NewPCG(seed, seed))
			for i := range want {
				want[i] = byte(rnd.Uint32())
			}
			wg.Go(func() {
				for rest := want; len(rest) > 0; {
					n := min(len(rest), 1+rnd.IntN(200_000))
					if _, err := from.Write(rest[:n]); err != nil {
						t.Error(err)
						return
					}
					rest = rest[n:]
				}
				from.CloseWrite()
			})
			wg.Go(func() {
				got, err := io.ReadAll(to)
				if string(got) != string(want) || err != nil {
					t.Errorf("%d bytes arrived of %d, %v", len(got), len(want), err)
				}
			})
		}
		up, down := 3<<20, 10
		if first == "server" {
			up, down = 10, 3<<20
		}
		flow(u.client, u.server, up, 1)
		flow(u.server, u.client, down, 2)
		wg.Wait()
		<-u.done
		if u.up != int64(up) || u.down != int64(down) || u.err != nil {
			t.Errorf("%d up, %d down, %v", u.up, u.down, u.err)
		}
	}
}

// TestTunnelHalfClose: after one side has ended, the other may go on for as long as it likes.
func TestTunnelHalfClose(t *testing.T) {
	u := newTunnel(t, 10*time.Second)
	u.client.Write([]byte("question"))
	u.client.CloseWrite()
	if got, err := io.ReadAll(u.server); string(got) != "question" || err != nil {
		t.Fatalf("%q, %v", got, err)
	}
	for range 3 {
		u.server.Write([]byte("answer"))
		b := make([]byte, 6)
		if _, err := io.ReadFull(u.client, b); err != nil {
			t.Fatal(err)
		}
	}
	u.server.Close()
	if got, err := io.ReadAll(u.client); len(got) > 0 || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	<-u.done
	if u.err != nil || u.up != 8 || u.down != 18 {
		t.Errorf("%d up, %d down, %v", u.up, u.down, u.err)
	}
}

// TestTunnelIdle: the time begins anew with every byte in either direction.
func TestTunnelIdle(t *testing.T) {
	const patience = 250 * time.Millisecond
	for _, busy := range []string{"client", "server", "nobody"} {
		t.Run(busy, func(t *testing.T) {
			t.Parallel()
			u := newTunnel(t, patience)
			began := time.Now()
			tick := time.NewTicker(50 * time.Millisecond)
			defer tick.Stop()
			from := map[string]*net.TCPConn{"client": u.client, "server": u.server}[busy]
			for range 12 {
				if from == nil {
					break
				}
				<-tick.C
				if _, err := from.Write([]byte("x")); err != nil {
					t.Fatal(err)
				}
			}
			<-u.done
			least := patience
			if from != nil {
				least += 550 * time.Millisecond
			}
			if d := time.Since(began); d < least-60*time.Millisecond || d > least+5*time.Second {
				t.Errorf("ended after %v", d)
			}
			if !errors.Is(u.err, os.ErrDeadlineExceeded) || u.up+u.down != map[bool]int64{true: 12, false: 0}[from != nil] {
				t.Errorf("%v, %d up, %d down", u.err, u.up, u.down)
			}
		})
	}
}

// TestTunnelBreaks: a reset ends both sides, and it is known who sent it.
func TestTunnelBreaks(t *testing.T) {
	for _, who := range []Side{ByClient, ByServer} {
		u := newTunnel(t, 0)
		bad, well := u.client, u.server
		if who == ByServer {
			bad, well = well, bad
		}
		bad.Write([]byte("x"))
		b := make([]byte, 1)
		if _, err := io.ReadFull(well, b); err != nil {
			t.Fatal(err)
		}
		bad.SetLinger(0)
		bad.Close()
		io.ReadAll(well)
		<-u.done
		if u.err == nil || u.by != who {
			t.Errorf("%v: %v by %v", who, u.err, u.by)
		}
	}
}

// TestTunnelStuckReader: one who takes nothing for so long ends the tunnel.
func TestTunnelStuckReader(t *testing.T) {
	u := newTunnel(t, 300*time.Millisecond)
	go io.Copy(u.server, strings.NewReader(strings.Repeat("x", 64<<20)))
	<-u.done
	if !errors.Is(u.err, os.ErrDeadlineExceeded) || u.by != ByClient {
		t.Errorf("%v by %v", u.err, u.by)
	}
}
