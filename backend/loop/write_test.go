package loop

import (
	"bytes"
	"errors"
	"io"
	"syscall"
	"testing"
	"time"
)

func TestBufferedWritesNeverPark(t *testing.T) {
	everywhere(t, func(r rig) {
		want := pattern(4 << 20)
		var peer io.Reader
		on(r.l, func() { // not a task: parking would panic
			a, p := r.half()
			peer = p
			a.SetBuffered(true)
			for rest := want; len(rest) > 0; rest = rest[min(len(rest), 999_999):] {
				if n, err := a.Write(rest[:min(len(rest), 999_999)]); n == 0 || err != nil {
					r.Errorf("wrote %d, %v", n, err)
				}
			}
			if a.Queued() == 0 || int64(a.Queued())+a.BytesWritten() != int64(len(want)) {
				r.Errorf("%d queued, %d out, want %d in all", a.Queued(), a.BytesWritten(), len(want))
			}
			a.CloseWrite() // behind the queue
		})
		// No task drains it: the loop does.
		if got, err := io.ReadAll(peer); !bytes.Equal(got, want) || err != nil {
			r.Errorf("the peer got %d of %d bytes, %v", len(got), len(want), err)
		}
	})
}

// The end of writing follows the queue, whoever empties it.
func TestCloseWriteBehindAQueueThatATaskDrains(t *testing.T) {
	everywhere(t, func(r rig) {
		want := pattern(4 << 20)
		r.do(func() {
			a, b := r.pair()
			a.SetBuffered(true)
			a.Write(want[:3<<20])
			a.Write(want[3<<20:])
			a.CloseWrite()
			if a.Queued() == 0 {
				r.Error("nothing queued")
			}
			r.l.Go(Func(func() {
				if err := a.Drain(); err != nil {
					r.Error(err)
				}
			}))
			b.SetReadTimeout(10 * time.Second)
			if got, err := io.ReadAll(b); !bytes.Equal(got, want) || err != nil {
				r.Errorf("the peer got %d bytes, %v", len(got), err)
			}
		})
	})
}

func TestDrainParksUntilAllIsOut(t *testing.T) {
	everywhere(t, func(r rig) {
		r.do(func() {
			a, b := r.pair()
			a.SetBuffered(true)
			const n = 4 << 20
			a.Write(make([]byte, n/2))
			a.Write(make([]byte, n/2))
			got := 0
			r.l.Go(Func(func() {
				for p := make([]byte, 64<<10); ; {
					m, err := b.Read(p)
					if got += m; err != nil {
						return
					}
				}
			}))
			if err := a.Drain(); err != nil || a.Queued() != 0 {
				r.Errorf("%d queued, %v", a.Queued(), err)
			}
			if !r.mem && got < n/2 {
				r.Errorf("drained when the peer had read %d of %d bytes", got, n)
			}
			a.Close()
		})
	})
}

// What a connection queued while it was buffered goes out before what is written when it is not.
func TestWriteAfterBufferedWritesKeepsTheOrder(t *testing.T) {
	everywhere(t, func(r rig) {
		want := pattern(4<<20 + 5)
		r.do(func() {
			a, b := r.pair()
			a.SetBuffered(true)
			a.Write(want[:2<<20])
			a.Write(want[2<<20 : 4<<20])
			a.SetBuffered(false)
			r.l.Go(Func(func() {
				if n, err := a.Write(want[4<<20:]); n != 5 || err != nil || a.Queued() != 0 {
					r.Errorf("wrote %d, %v; %d queued", n, err, a.Queued())
				}
				a.CloseWrite()
			}))
			if got, err := io.ReadAll(b); !bytes.Equal(got, want) || err != nil {
				r.Errorf("the peer got %d bytes, %v", len(got), err)
			}
		})
	})
}

func TestHoldGathersUntilRelease(t *testing.T) {
	everywhere(t, func(r rig) {
		r.do(func() {
			a, b := r.pair()
			kept := len(r.l.bufs)
			a.Hold()
			for _, s := range []string{"one ", "two ", "three"} {
				if n, err := a.Write([]byte(s)); n != len(s) || err != nil {
					r.Errorf("wrote %d, %v", n, err)
				}
			}
			if a.BytesWritten() != 0 || a.Queued() != 0 {
				r.Errorf("%d written, %d queued before Release", a.BytesWritten(), a.Queued())
			}
			if err := a.Release(); err != nil {
				r.Error(err)
			}
			p := make([]byte, 99)
			if n, _ := b.Read(p); string(p[:n]) != "one two three" {
				r.Errorf("got %q", p[:n])
			}
			a.Hold()
			if err := a.Release(); err != nil {
				r.Errorf("nothing held: %v", err)
			}
			if err := a.Release(); err != nil {
				r.Errorf("not even Hold: %v", err)
			}
			if n := len(r.l.bufs); n != kept && n != kept+1 {
				r.Errorf("%d buffers kept, before %d", n, kept)
			}
		})
	})
}

func TestHoldTakesMoreThanABuffer(t *testing.T) {
	everywhere(t, func(r rig) {
		want := pattern(3*BufSize + 1)
		r.do(func() {
			a, b := r.pair()
			r.l.Go(Func(func() {
				a.Hold()
				for rest := want; len(rest) > 0; rest = rest[min(len(rest), 10_000):] {
					a.Write(rest[:min(len(rest), 10_000)])
				}
				if err := a.Release(); err != nil {
					r.Error(err)
				}
				a.CloseWrite()
			}))
			if got, err := io.ReadAll(b); !bytes.Equal(got, want) || err != nil {
				r.Errorf("got %d bytes, %v", len(got), err)
			}
		})
	})
}

// The reader's task of a tls.Conn answers a KeyUpdate while the writer's is parked in Release: the answer was sealed later, so it
// goes out later.
func TestWriteDuringReleaseStaysBehind(t *testing.T) {
	everywhere(t, func(r rig) {
		want := pattern(4<<20 + 3)
		r.do(func() {
			a, b := r.pair()
			a.SetBuffered(true)
			a.Write(want[:1<<20])
			a.Write(want[1<<20 : 2<<20])
			var done Event
			r.l.Go(Func(func() {
				a.Hold()
				a.Write(want[2<<20 : 4<<20])
				if err := a.Release(); err != nil {
					r.Error(err)
				}
				done.Set(r.l)
			}))
			r.l.Yield()
			if done.IsSet() {
				r.Error("Release did not park")
			}
			for _, c := range want[4<<20:] { // before anything is read, in the middle, and again
				if n, err := a.Write([]byte{c}); n != 1 || err != nil {
					r.Errorf("wrote %d, %v", n, err)
				}
				b.SetReadTimeout(0)
				got := make([]byte, 1<<20)
				if _, err := io.ReadFull(b, got); err != nil || !bytes.Equal(got, want[:1<<20]) {
					r.Errorf("out of order (%v)", err)
					return
				}
				want = want[1<<20:]
			}
			rest := make([]byte, 1<<20+3)
			if _, err := io.ReadFull(b, rest); err != nil || !bytes.Equal(rest, want) {
				r.Errorf("out of order at the end (%v)", err)
			}
			done.Wait(r.l, 0)
		})
	})
}

func TestQueueThatIsNeverEmptyStaysSmall(t *testing.T) {
	r := onEpoll(t)
	r.do(func() {
		a, b := r.pair()
		a.SetBuffered(true)
		for a.Queued() == 0 {
			a.Write(make([]byte, 32<<10))
		}
		p := make([]byte, 32<<10)
		for range 2000 { // 64 MiB pass through
			a.Write(p)
			if _, err := io.ReadFull(b, p); err != nil {
				t.Error(err)
				return
			}
			r.l.Yield()
			if a.Queued() == 0 {
				t.Error("the queue has run dry: nothing is shown")
				return
			}
		}
		if cap(a.queue) > 2<<20 {
			t.Errorf("the queue has grown to %d KiB for %d KiB", cap(a.queue)>>10, a.Queued()>>10)
		}
	})
}

func TestDrainTellsWhatWentWrongWithTheQueue(t *testing.T) {
	everywhere(t, func(r rig) {
		r.do(func() {
			a, b := r.pair()
			a.SetBuffered(true)
			a.Write(make([]byte, 4<<20))
			a.Write(make([]byte, 4<<20))
			b.Close()
			a.SetReadTimeout(10 * time.Second)
			if _, err := a.Read(make([]byte, 1)); err == nil { // the loop finds out, and the reader is told
				r.Error("read from nobody")
			}
			if err := a.Drain(); !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, io.ErrClosedPipe) {
				r.Errorf("got %v", err)
			}
			if !a.Broken() {
				r.Error("not broken")
			}
		})
	})
}
