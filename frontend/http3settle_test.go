package frontend

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestHandshakesEndBeforeTheSocketIsLeft: who is counted late is waited for all the same, and nobody for ever.
func TestHandshakesEndBeforeTheSocketIsLeft(t *testing.T) {
	const ms = time.Millisecond
	for _, x := range []struct {
		name    string
		counted time.Duration // 0: never
		begins  time.Duration
		ends    time.Duration // of the one handshake; 0: never
		cut     time.Duration // when all is aborted; 0: never
		want    time.Duration
		settled bool
	}{
		{"one under way", 1 * ms, 1 * ms, 95 * ms, 0, 101 * ms, true},
		{"one that is counted late", 155 * ms, 150 * ms, 252 * ms, 0, 255 * ms, true},
		{"one that is over before all is counted", 155 * ms, 10 * ms, 50 * ms, 0, 155 * ms, true},
		{"one that never ends", 1 * ms, 1 * ms, 0, 0, lingerTime, true},
		{"never counted", 0, 1 * ms, 5 * ms, 0, lingerTime, true},
		{"cut", 1 * ms, 1 * ms, 0, 305 * ms, 305 * ms, false},
		{"cut before all is counted", 0, 1 * ms, 5 * ms, 305 * ms, 305 * ms, false},
	} {
		t.Run(x.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				var under atomic.Int64
				counted := make(chan struct{})
				at := func(d time.Duration, f func()) {
					if d > 0 {
						time.AfterFunc(d, f)
					}
				}
				at(x.begins, func() { under.Store(1) })
				at(x.ends, func() { under.Store(0) })
				at(x.cut, cancel)
				// A hair later, so that what happens at the same time has happened.
				if x.counted > 0 {
					at(x.counted+time.Nanosecond, func() { close(counted) })
				}
				began := time.Now()
				if got := settled(ctx, counted, &under); got != x.settled {
					t.Errorf("settled: %v", got)
				}
				if d := time.Since(began).Truncate(ms); d != x.want {
					t.Errorf("after %v, want %v", d, x.want)
				}
				time.Sleep(time.Second) // all of it has happened before the bubble ends
			})
		})
	}
}

// TestMarkComesBack: what the socket has brought is counted as soon as quic-go has got to the mark that follows it, which nobody is sent an
// answer to; and again when the socket is yielded again.
func TestMarkComesBack(t *testing.T) {
	s := onScene(t, &Config{Name: "www"}, says("ok"))
	if got, err := answer(s.client().Get(s.url("/"))); got != "ok" || err != nil {
		t.Fatalf("%q, %v", got, err)
	}
	side := s.n.quic.Load()
	select {
	case <-side.sock.caughtUp():
	default:
		t.Error("a mark is awaited before the socket was yielded")
	}
	for range 2 {
		theirs, ours, err := relayPair()
		if err != nil {
			t.Fatal(err)
		}
		side.sock.yield(ours)
		select {
		case <-side.sock.caughtUp():
		case <-time.After(patience):
			t.Error("the mark does not come back")
		}
		theirs.Close() // the other process has ended
		if got, err := answer(s.client().Get(s.url("/"))); got != "ok" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	}
	if n := side.sock.retries.Load(); n != 0 {
		t.Errorf("%d are asked to prove their address", n)
	}
	if n := side.asked.Load(); n != 0 {
		t.Errorf("%d are said to be asked", n)
	}
}
