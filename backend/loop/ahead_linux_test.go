package loop

import (
	"bytes"
	"errors"
	"io"
	"syscall"
	"testing"
	"time"
)

// eagerly returns a connected pair, the first of which reads ahead.
func eagerly(r rig) (a, b *Conn) {
	a, b = r.pair()
	a.SetEager(true)
	return a, b
}

// awaiter notes how it found its connection when it was started.
type awaiter struct {
	c       *Conn
	isAhead bool
	done    Event
}

func (w *awaiter) Run() {
	w.isAhead = w.c.isAhead
	w.done.Set(w.c.l)
}

func TestWhatHasComeIsReadBeforeItsTaskRuns(t *testing.T) {
	r := onEpoll(t)
	r.do(func() {
		a, b := eagerly(r)
		a.TryRead(make([]byte, 1)) // there is nothing yet
		w := &awaiter{c: a}
		a.Await(w)
		b.Write([]byte("hello"))
		w.done.Wait(r.l, 0)
		if !w.isAhead || a.BytesRead() != 0 {
			t.Errorf("read ahead: %v, and %d bytes counted that nobody has taken", w.isAhead, a.BytesRead())
		}
		p := make([]byte, 3)
		for _, want := range []string{"hel", "lo"} {
			if n, err := a.TryRead(p); string(p[:n]) != want || err != nil {
				t.Errorf("got %q, %v; want %q", p[:n], err, want)
			}
		}
		if _, err := a.TryRead(p); err != ErrWouldBlock || !a.Dry() || a.BytesRead() != 5 {
			t.Errorf("all is read: %v, dry: %v, %d bytes", err, a.Dry(), a.BytesRead())
		}
	})
}

// Whoever only watches gets the news and nothing else: the input may be for somebody who takes another way to it.
func TestWhoWatchesLeavesTheInputWhereItIs(t *testing.T) {
	r := onEpoll(t)
	r.do(func() {
		a, b := eagerly(r)
		a.TryRead(make([]byte, 1))
		w := &awaiter{c: a}
		a.Watch(w)
		b.Write([]byte("hello"))
		w.done.Wait(r.l, 0)
		if w.isAhead {
			t.Error("input that nobody was going to read was read ahead")
		}
	})
}

func TestReadingAheadKeepsAllInOrder(t *testing.T) {
	for _, size := range []int{1, 100, pageSize - Headroom - 1, pageSize - Headroom, pageSize - Headroom + 1, aheadMost - 1, aheadMost, aheadMost + 1, 1 << 20} {
		r := onEpoll(t)
		r.do(func() {
			a, b := eagerly(r)
			want := pattern(size)
			r.l.Go(Func(func() { b.Write(want); b.CloseWrite() }))
			var got []byte
			p := make([]byte, 1000)
			for turn := 0; ; turn++ {
				if err := a.WaitRead(); err != nil {
					t.Errorf("%d bytes: %v", size, err)
					return
				}
				if turn%2 == 0 { // both ways to it
					buf, from, to := a.TakeAhead()
					if buf != nil {
						got = append(got, buf[from:to]...)
						r.l.PutBuf(buf)
					}
					continue
				}
				n, err := a.TryRead(p)
				if err == io.EOF {
					break
				}
				got = append(got, p[:n]...)
			}
			if !bytes.Equal(got, want) || a.BytesRead() != int64(size) {
				t.Errorf("got %d bytes of %d, counted %d", len(got), size, a.BytesRead())
			}
		})
	}
}

// A large read is one piece, as it would be without reading ahead, and the next one is left to the task: it has the larger buffer.
func TestLargeInputIsReadAheadInOnePieceAndOnlyOnce(t *testing.T) {
	r := onEpoll(t)
	r.do(func() {
		a, b := eagerly(r)
		a.TryRead(make([]byte, 1))
		for i, want := range []bool{true, false, true} {
			size := 16 << 10
			if i == 2 {
				a.TryRead(make([]byte, 1)) // a small read, and all is as before
				size = 100
			}
			w := &awaiter{c: a}
			a.Watch(nil)
			a.readable = false
			a.Await(w)
			b.Write(pattern(size))
			w.done.Wait(r.l, 0)
			if w.isAhead != want {
				t.Errorf("input %d was read ahead: %v, want %v", i, w.isAhead, want)
			}
			p := make([]byte, 32<<10)
			n, err := a.TryRead(p)
			if n != size || err != nil || !bytes.Equal(p[:n], pattern(size)) {
				t.Errorf("read %d of %d, %v", n, size, err)
			}
			if i == 1 {
				b.Write([]byte("x"))
				a.WaitRead()
				if n, err := a.TryRead(p); n != 1 || err != nil {
					t.Errorf("read %d, %v", n, err)
				}
			}
		}
	})
}

// The kernel tells of a reset once. If that was when it was read ahead, the next read tells it.
func TestAnErrorMetWhileReadingAheadIsNotLost(t *testing.T) {
	r := onEpoll(t)
	r.do(func() {
		a, peer := tcp(r)
		a.SetEager(true)
		a.TryRead(make([]byte, 1))
		peer.Write([]byte("hello"))
		a.WaitRead()
		peer.SetLinger(0)
		peer.Close()
		for !a.broken {
			r.l.Yield()
		}
		a.dropAhead()
		a.lookAhead() // as between the poller's news and the reading
		p := make([]byte, 10)
		_, err := a.TryRead(p)
		if a.isAhead || err == nil || !errors.Is(err, syscall.ECONNRESET) && err != io.EOF {
			t.Errorf("read: %v, still ahead: %v", err, a.isAhead)
		}
		if _, err := a.TryRead(p); err == nil || err == ErrWouldBlock {
			t.Errorf("and then: %v", err)
		}
	})
}

// News that come between reading ahead and taking that are not forgotten.
func TestInputBehindWhatWasReadAhead(t *testing.T) {
	r := onEpoll(t)
	r.do(func() {
		a, b := eagerly(r)
		a.TryRead(make([]byte, 1))
		w := &awaiter{c: a}
		a.Await(w)
		b.Write([]byte("one"))
		w.done.Wait(r.l, 0)
		b.Write([]byte("two"))
		r.l.Yield()
		r.l.Yield()
		p := make([]byte, 10)
		got := ""
		for {
			n, err := a.TryRead(p)
			if err != nil {
				break
			}
			got += string(p[:n])
		}
		if got != "onetwo" {
			t.Errorf("got %q", got)
		}
	})
}

func TestCloseGivesBackWhatWasReadAhead(t *testing.T) {
	r := onEpoll(t)
	r.do(func() {
		a, b := eagerly(r)
		a.TryRead(make([]byte, 1))
		w := &awaiter{c: a}
		a.Await(w)
		b.Write([]byte("hello"))
		w.done.Wait(r.l, 0)
		kept := len(r.l.pages)
		a.Close()
		if len(r.l.pages) != kept+1 {
			t.Errorf("%d pages in the loop's keeping, want %d", len(r.l.pages), kept+1)
		}
		if _, err := a.TryRead(make([]byte, 1)); err != ErrClosed {
			t.Errorf("read after Close: %v", err)
		}
	})
}

func TestSpliceBeginsWithWhatWasReadAhead(t *testing.T) {
	r := onEpoll(t)
	r.do(func() {
		a, b := eagerly(r)
		c, d := r.pair()
		a.TryRead(make([]byte, 1))
		w := &awaiter{c: a}
		a.Await(w)
		b.Write([]byte("hello"))
		w.done.Wait(r.l, 0)
		if n, err := SpliceBurst(c, a, 0); n != 0 || err != nil {
			t.Errorf("a burst around it: %d, %v", n, err)
		}
		b.Write([]byte(" world"))
		b.CloseWrite()
		if n, err := Splice(c, a); n != 11 || err != nil {
			t.Errorf("moved %d, %v", n, err)
		}
		p := make([]byte, 20)
		n, _ := io.ReadAtLeast(d, p, 11)
		if string(p[:n]) != "hello world" {
			t.Errorf("got %q", p[:n])
		}
	})
}

// An error that was met while reading ahead ends a Splice as it does a Read.
func TestSpliceEndsWithTheErrorThatWasReadAhead(t *testing.T) {
	r := onEpoll(t)
	r.do(func() {
		a, b := eagerly(r)
		c, d := r.pair()
		a.TryRead(make([]byte, 1))
		w := &awaiter{c: a}
		a.Await(w)
		b.Write([]byte("hello"))
		w.done.Wait(r.l, 0)
		a.failedRead(syscall.ECONNRESET)
		if n, err := Splice(c, a); n != 5 || !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("moved %d, %v", n, err)
		}
		p := make([]byte, 20)
		if n, err := d.Read(p); string(p[:n]) != "hello" || err != nil {
			t.Errorf("got %q, %v", p[:n], err)
		}
	})
}

// Input that goes on behind the reading ahead of a whole buffer, and its end, are found.
func TestTheEndBehindWhatWasReadAhead(t *testing.T) {
	for _, size := range []int{1, pageSize - Headroom, aheadMost} {
		r := onEpoll(t)
		r.do(func() {
			a, b := eagerly(r)
			a.TryRead(make([]byte, 1))
			want := pattern(size)
			r.l.Go(Func(func() { b.Write(want); b.Close() })) // both are there when the loop looks
			a.WaitRead()
			a.SetReadTimeout(10 * time.Second)
			if got, err := io.ReadAll(a); !bytes.Equal(got, want) || err != nil {
				t.Errorf("%d bytes: got %d, %v", size, len(got), err)
			}
		})
	}
}
