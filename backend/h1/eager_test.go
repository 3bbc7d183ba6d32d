package h1

import (
	"bytes"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatehouse/backend/loop"
)

// socketConn returns a Conn of an epoll loop, where the platform has one, and the peer's end of its socket.
func socketConn(t *testing.T) (*loop.Loop, *Conn, net.Conn) {
	l, err := loop.New(0)
	if err != nil {
		t.Fatal(err)
	}
	l.OnPanic = func(v any, stack []byte) { t.Errorf("panic: %v\n%s", v, stack) }
	t.Cleanup(l.Stop)
	accepted := make(chan loop.Socket, 1)
	ln, err := l.Listen(loop.Addr{AddrPort: netip.MustParseAddrPort("127.0.0.1:0")}, func(s loop.Socket) { accepted <- s })
	if err != nil {
		t.Fatal(err)
	}
	peer, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { peer.Close() })
	peer.SetDeadline(time.Now().Add(20 * time.Second))
	s := <-accepted
	var c *Conn
	do(l, func() {
		lc, err := l.Adopt(s)
		if err != nil {
			t.Fatal(err)
		}
		c = NewConn(lc, nil, ByClient)
	})
	return l, c, peer
}

// Heads and contents come whole, however their parts fall on what the loop reads ahead and on buffers of several sizes.
func TestMessagesThatOutgrowWhatWasReadAhead(t *testing.T) {
	for _, head := range []int{100, 2900, 3100, 6000, 20000} {
		for _, content := range []int{0, 1, 3000, 100_000} {
			for _, cut := range []int{1, 2000, 3072, 3500, 5000, 19000, 30000} {
				message := "POST / HTTP/1.1\r\nHost: a.example\r\nX-Fill: 0\r\n"
				for len(message) < head {
					message += "X-Fill: " + strings.Repeat("x", min(1000, head-len(message))) + "\r\n"
				}
				message += "Content-Length: " + strconv.Itoa(content) + "\r\n\r\n"
				headLen := len(message)
				message += strings.Repeat("c", content)
				if cut >= len(message) {
					continue
				}
				l, c, peer := socketConn(t)
				var r Request
				var got bytes.Buffer
				done := make(chan error, 1)
				l.Post(func() {
					l.Go(loop.Func(func() {
						err := c.ReadRequest(&r, nil)
						for err == nil && r.Body != nil {
							var p Piece
							if p, err = r.Body.Next(true); err == nil {
								got.Write(p.Data())
							}
						}
						if err == io.EOF {
							err = nil
						}
						done <- err
					}))
				})
				io.WriteString(peer, message[:cut])
				for read := int64(0); read < int64(cut); { // until the task has taken it and waits again
					do(l, func() { read = c.C.BytesRead() })
				}
				io.WriteString(peer, message[cut:])
				if err := <-done; err != nil || r.Bytes != headLen || got.String() != message[headLen:] {
					t.Errorf("head %d, content %d, cut at %d: %v, a head of %d bytes, %d bytes of content", head, content, cut, err, r.Bytes, got.Len())
				}
				do(l, c.Close)
			}
		}
	}
}

// A late answer and the next one, which is too large to be late, keep their order.
func TestLateWritesKeepTheirOrder(t *testing.T) {
	l, c, peer := socketConn(t)
	large := bytes.Repeat([]byte("L"), 100_000)
	do(l, func() {
		for _, b := range [][]byte{[]byte("one"), []byte("two"), large, []byte("three")} {
			if err := c.WriteLate(b); err != nil {
				t.Error(err)
			}
		}
		c.Close()
	})
	want := "onetwo" + string(large) + "three"
	if got, err := io.ReadAll(peer); string(got) != want || err != nil {
		t.Errorf("got %d bytes, %v; want %d", len(got), err, len(want))
	}
}

// A task that writes small messages and never parks still lets others run, and its mode of writing is not theirs.
func TestLateWritersGiveWay(t *testing.T) {
	l, c, peer := socketConn(t)
	do(l, func() {
		l.Go(loop.Func(func() {
			c.C.Write([]byte("!"))
			if c.C.Queued() > 0 {
				t.Error("what another task writes was left to the end of the turn")
			}
		}))
		for range 100 {
			if err := c.WriteLate([]byte(".")); err != nil {
				t.Error(err)
			}
		}
		c.Close()
	})
	got, err := io.ReadAll(peer)
	if n := bytes.IndexByte(got, '!'); len(got) != 101 || n <= 0 || n >= 100 || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}
