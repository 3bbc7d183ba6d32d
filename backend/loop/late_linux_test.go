package loop

import (
	"bytes"
	"io"
	"os"
	"syscall"
	"testing"
	"time"
)

// late writes p late.
func late(c *Conn, p []byte) (int, error) {
	c.SetLate(true)
	defer c.SetLate(false)
	return c.Write(p)
}

func TestLateWritesLeaveTogetherAtTheEndOfTheTurn(t *testing.T) {
	r := onEpoll(t)
	r.do(func() {
		a, b := r.pair()
		for _, s := range []string{"one ", "two"} {
			if n, err := late(a, []byte(s)); n != len(s) || err != nil {
				t.Errorf("wrote %d, %v", n, err)
			}
		}
		p := make([]byte, 100)
		if b.Recheck(); a.BytesWritten() != 0 {
			t.Error("something was written at once")
		}
		if _, err := b.TryRead(p); err != ErrWouldBlock {
			t.Errorf("before the end of the turn: %v", err)
		}
		if n, err := b.Read(p); string(p[:n]) != "one two" || err != nil {
			t.Errorf("got %q, %v", p[:n], err)
		}
		if a.Queued() != 0 || a.BytesWritten() != 7 {
			t.Errorf("%d queued, %d written", a.Queued(), a.BytesWritten())
		}
	})
}

// Whatever comes after a late write stays behind it, and needs not wait for the end of the turn.
func TestNothingOvertakesALateWrite(t *testing.T) {
	for _, then := range []struct {
		name string
		do   func(a *Conn)
		want string
	}{
		{"Write", func(a *Conn) { a.Write([]byte(" more")) }, "late more"},
		{"a large late write", func(a *Conn) { late(a, bytes.Repeat([]byte("x"), lateMost)) }, "late" + string(bytes.Repeat([]byte("x"), lateMost))},
		{"Drain", func(a *Conn) { a.Drain() }, "late"},
		{"Release", func(a *Conn) { a.Hold(); a.Write([]byte(" more")); a.Release() }, "late more"},
		{"ReleaseNow", func(a *Conn) { a.SetBuffered(true); a.Hold(); a.Write([]byte(" more")); a.ReleaseNow() }, "late more"},
		{"WriteLate", func(a *Conn) { a.l.WriteLate() }, "late"},
		{"Close", func(a *Conn) { a.Close() }, "late"},
	} {
		r := onEpoll(t)
		r.do(func() {
			a, b := r.pair()
			late(a, []byte("late"))
			then.do(a)
			b.Recheck()
			p := make([]byte, 2*lateMost)
			n, err := b.TryRead(p)
			if string(p[:n]) != then.want || err != nil {
				t.Errorf("%s: the peer has %d bytes, %v; want %d", then.name, n, err, len(then.want))
			}
		})
	}
}

func TestTheEndOfWritingFollowsALateWrite(t *testing.T) {
	r := onEpoll(t)
	r.do(func() {
		a, b := r.pair()
		late(a, []byte("late"))
		if err := a.CloseWrite(); err != nil {
			t.Error(err)
		}
		if got, err := io.ReadAll(b); string(got) != "late" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
	})
}

// After CloseWrite nothing more is taken, even while something is still left to the end of the turn.
func TestNoLateWriteBehindTheEndOfWriting(t *testing.T) {
	r := onEpoll(t)
	r.do(func() {
		a, b := r.pair()
		late(a, []byte("late"))
		a.CloseWrite()
		if n, err := late(a, []byte("r")); n != 0 || err != io.ErrClosedPipe {
			t.Errorf("wrote %d, %v", n, err)
		}
		if got, err := io.ReadAll(b); string(got) != "late" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
	})
}

// What was left to the end of the turn can be taken back until then.
func TestAbandonAndResetKeepLateWritesBack(t *testing.T) {
	for name, end := range map[string]func(a *Conn){"Abandon": (*Conn).Abandon, "Reset": (*Conn).Reset} {
		r := onEpoll(t)
		r.do(func() {
			a, b := r.pair()
			a.Write([]byte("said"))
			late(a, []byte(" and not said"))
			pages := len(r.l.pages)
			end(a)
			if !a.Closed() || a.Queued() != 0 || a.BytesWritten() != 4 || len(r.l.pages) != pages+1 {
				t.Errorf("%s: closed %v, %d queued, %d written, %d pages given back", name, a.Closed(), a.Queued(), a.BytesWritten(), len(r.l.pages)-pages)
			}
			if got, _ := io.ReadAll(b); string(got) != "said" {
				t.Errorf("%s: the peer has %q", name, got)
			}
		})
	}
}

// stuck returns a connection that waits, without a task, for the kernel to have room for the end of a late write, and its peer with all that was
// written.
func stuck(r rig) (a, b *Conn, written int) {
	a, b = r.pair()
	a.TryRead(make([]byte, 1))
	for a.CanBeLate(1000) {
		n, _ := late(a, pattern(1000))
		written += n
		r.l.Yield()
	}
	if a.Queued() == 0 || a.writable {
		r.Fatal("the kernel takes everything")
	}
	return a, b, written
}

// A peer that is slow to take an answer is not idle: its time for that counts first.
func TestWhoStillGetsALateWriteIsNotIdle(t *testing.T) {
	for _, reads := range []bool{true, false} {
		r := onEpoll(t)
		r.do(func() {
			a, b, written := stuck(r)
			w := &awaiter{c: a}
			a.SetWriteTimeout(300 * time.Millisecond)
			a.SetReadTimeout(20 * time.Millisecond)
			a.Await(w)
			r.timely("to be idle", elapsed(func() {
				if w.done.Wait(r.l, 150*time.Millisecond) {
					t.Error("its time was over while it was still waited for")
				}
				if reads {
					if _, err := io.ReadFull(b, make([]byte, written)); err != nil {
						t.Error(err)
					}
				}
				w.done.Wait(r.l, 10*time.Second)
			}), 300*time.Millisecond)
			if _, err := a.TryRead(make([]byte, 1)); err != os.ErrDeadlineExceeded {
				t.Errorf("then: %v", err)
			}
			if reads != (a.Queued() == 0) {
				t.Errorf("reads: %v, and %d bytes are left", reads, a.Queued())
			}
		})
	}
}

// What the kernel has no room for follows when it has, as after any buffered write.
func TestALateWriteThatFindsNoRoom(t *testing.T) {
	r := onEpoll(t)
	r.do(func() {
		a, b := r.pair()
		a.SetBuffered(true)
		a.SetWriteTimeout(20 * time.Millisecond)
		sent := 0
		for a.CanBeLate(1000) {
			n, _ := late(a, pattern(1000))
			sent += n
			r.l.Yield()
		}
		if a.Queued() == 0 || a.writable {
			t.Fatal("the kernel takes everything")
		}
		if err := a.Drain(); err != os.ErrDeadlineExceeded {
			t.Errorf("drained into no room: %v", err)
		}
		got := 0
		for p := make([]byte, 64<<10); got < sent; {
			n, err := b.Read(p)
			if err != nil {
				t.Fatal(err)
			}
			got += n
		}
		if a.Queued() != 0 {
			t.Errorf("%d bytes still queued", a.Queued())
		}
	})
}

// Nobody waits for a late write, so its failure is the reader's.
func TestTheReaderLearnsOfALateWriteThatFails(t *testing.T) {
	for _, waits := range []string{"in a task", "without one"} {
		r := onEpoll(t)
		r.do(func() {
			a, _ := r.pair()
			a.TryRead(make([]byte, 1))
			w := &awaiter{c: a}
			if waits == "in a task" {
				r.l.Go(Func(func() { a.WaitRead(); w.done.Set(r.l) }))
				r.l.Yield()
			} else {
				a.Await(w)
			}
			syscall.Shutdown(a.fd, syscall.SHUT_WR) // EPIPE from now on
			late(a, []byte("lost"))
			if !w.done.Wait(r.l, 10*time.Second) {
				t.Errorf("%s: nobody was told", waits)
			}
			if !a.Hup() || !a.Broken() || a.BytesWritten() != 0 || a.CanBeLate(1) {
				t.Errorf("%s: hup %v, broken %v, %d written", waits, a.Hup(), a.Broken(), a.BytesWritten())
			}
			if _, err := late(a, []byte("x")); err == nil {
				t.Errorf("%s: and one may go on writing", waits)
			}
		})
	}
}

func TestLateWritesWithoutASocketAreNotLate(t *testing.T) {
	everywhere(t, func(r rig) {
		r.do(func() {
			a, b := r.pair()
			if a.s != nil && a.CanBeLate(1) {
				r.Error("no socket, and yet")
			}
			late(a, []byte("x"))
			if n, err := b.Read(make([]byte, 2)); n != 1 || err != nil {
				r.Errorf("read %d, %v", n, err)
			}
		})
	})
}
