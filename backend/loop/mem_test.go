package loop

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// What is told of both kinds of loop stands with the nouns; here is what only adapted connections do.

func TestAdaptedConnOnAnEpollLoop(t *testing.T) {
	r := onEpoll(t)
	a, b := net.Pipe()
	defer b.Close()
	on(r.l, func() {
		c := r.l.Adapt(a, netip.AddrPort{}, netip.AddrPort{})
		r.l.Go(Func(func() { serveEcho(c) }))
	})
	for range 100 {
		roundTrip(t, b, "hello")
	}
	r.l.Stop()
	if _, err := b.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("after Stop the peer got %v, want EOF", err)
	}
}

// The writer gets ahead by one piece, not more: a slow peer is felt.
func TestAdaptedConnHasBackpressure(t *testing.T) {
	inBubble(t, func(r rig) {
		r.do(func() {
			c, peer := r.half()
			n := 0
			var done Event
			r.l.Go(Func(func() {
				for range 5 {
					c.Write(make([]byte, 10))
					n++
				}
				done.Set(r.l)
			}))
			for i := range 5 {
				r.l.Sleep(time.Second)
				if want := min(i+1, 5); n != want {
					r.Errorf("%d written when %d were read", n, i)
				}
				r.l.Block(func() { io.ReadFull(peer, make([]byte, 10)) })
			}
			done.Wait(r.l, 0)
		})
	})
}

// Close lets a piece under way out, for five seconds at most.
func TestCloseOfAnAdaptedConnLingers(t *testing.T) {
	for _, wait := range []time.Duration{4 * time.Second, 6 * time.Second} {
		inBubble(t, func(r rig) {
			var peer net.Conn
			r.do(func() {
				c, p := r.half()
				peer = p
				c.Write([]byte("bye"))
				c.Close()
			})
			time.Sleep(wait)
			got, err := io.ReadAll(peer)
			if want := map[bool]string{true: "bye", false: ""}[wait < lingering]; string(got) != want || err != nil {
				r.Errorf("after %v the peer got %q, %v; want %q", wait, got, err, want)
			}
		})
	}
}

func TestCloseWriteWhereThePeerCannotSeeIt(t *testing.T) {
	inBubble(t, func(r rig) {
		a, b := net.Pipe()
		defer b.Close()
		r.do(func() {
			c := r.l.Adapt(a, netip.AddrPort{}, netip.AddrPort{})
			if err := c.CloseWrite(); err != nil {
				r.Error(err)
			}
			if _, err := c.Write([]byte("x")); err != io.ErrClosedPipe {
				r.Errorf("got %v", err)
			}
			go b.Write([]byte("still heard"))
			p := make([]byte, 20)
			if n, err := c.Read(p); string(p[:n]) != "still heard" || err != nil {
				r.Errorf("got %q, %v", p[:n], err)
			}
		})
	})
}

// faulty is a connection whose writes and reads fail.
type faulty struct{ net.Conn }

var errFaulty = errors.New("faulty")

func (faulty) Write([]byte) (int, error) { return 0, errFaulty }

func TestErrorsOfAnAdaptedConn(t *testing.T) {
	inBubble(t, func(r rig) {
		a, b := net.Pipe()
		defer b.Close()
		r.do(func() {
			c := r.l.Adapt(faulty{a}, netip.AddrPort{}, netip.AddrPort{})
			c.Write([]byte("one"))
			if _, err := c.Write([]byte("two")); err != errFaulty {
				r.Errorf("write: %v", err)
			}
			if !c.Broken() {
				r.Error("not broken")
			}
			a.SetReadDeadline(time.Unix(1, 0))
			if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
				r.Errorf("read: %v", err)
			}
			if !c.Hup() {
				r.Error("no hup")
			}
		})
	})
}

// A bubble's clock moves when everybody waits: the loop must not keep it from moving, nor move it by polling.
func TestIdleLoopLetsABubblesClockPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewMem(0)
		defer l.Stop()
		start := time.Now()
		done := make(chan time.Duration, 1)
		l.Post(func() {
			l.Go(Func(func() { l.Sleep(time.Hour); done <- time.Since(start) }))
		})
		if got := <-done; got < time.Hour || got > time.Hour+tick*time.Millisecond {
			t.Errorf("an hour took %v", got)
		}
	})
}
