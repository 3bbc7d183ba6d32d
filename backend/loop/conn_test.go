package loop

import (
	"bytes"
	"errors"
	"io"
	"net"
	"slices"
	"syscall"
	"testing"
	"time"
)

// pattern returns n bytes that tell where they belong.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i ^ i>>8 ^ i>>16)
	}
	return b
}

func TestReadAndWritePark(t *testing.T) {
	everywhere(t, func(r rig) {
		r.do(func() {
			a, b := r.pair()
			want := pattern(3 << 20)
			r.l.Go(Func(func() { serveEcho(b) }))
			r.l.Go(Func(func() {
				if n, err := a.Write(want); n != len(want) || err != nil {
					r.Errorf("wrote %d, %v", n, err)
				}
			}))
			got := make([]byte, len(want))
			if _, err := io.ReadFull(a, got); err != nil || !bytes.Equal(got, want) {
				r.Errorf("the echo differs: %v", err)
			}
			if a.BytesRead() != int64(len(want)) || a.BytesWritten() != int64(len(want)) {
				r.Errorf("counted %d in, %d out; want %d", a.BytesRead(), a.BytesWritten(), len(want))
			}
			a.Close()
		})
	})
}

func TestReadOfNothing(t *testing.T) {
	everywhere(t, func(r rig) {
		r.do(func() {
			a, _ := r.pair()
			if n, err := a.Read(nil); n != 0 || err != nil {
				r.Errorf("read %d, %v", n, err)
			}
			if n, err := a.Write(nil); n != 0 || err != nil {
				r.Errorf("wrote %d, %v", n, err)
			}
		})
	})
}

func TestTryReadDoesNotPark(t *testing.T) {
	everywhere(t, func(r rig) {
		r.do(func() {
			a, b := r.pair()
			p := make([]byte, 3)
			if _, err := a.TryRead(p); err != ErrWouldBlock {
				r.Errorf("nothing there: %v", err)
			}
			a.SetTry(true)
			if _, err := a.Read(p); err != ErrWouldBlock {
				r.Errorf("Read: %v", err)
			}
			b.Write([]byte("hello"))
			a.WaitRead()
			for _, want := range []string{"hel", "lo"} {
				if n, err := a.Read(p); string(p[:n]) != want || err != nil {
					r.Errorf("got %q, %v; want %q", p[:n], err, want)
				}
			}
			if _, err := a.Read(p); err != ErrWouldBlock {
				r.Errorf("all read: %v", err)
			}
			a.SetTry(false)
			r.l.Go(Func(func() { b.Write([]byte("x")) }))
			if n, err := a.Read(p); n != 1 || err != nil {
				r.Errorf("parking again: %d, %v", n, err)
			}
		})
	})
}

func TestReadBufHoldsNoBufferWhileItWaits(t *testing.T) {
	everywhere(t, func(r rig) {
		r.do(func() {
			a, b := r.pair()
			r.l.PutBuf(r.l.Buf())
			kept := len(r.l.bufs)
			var done Event
			r.l.Go(Func(func() {
				defer done.Set(r.l)
				p, n, err := a.ReadBuf(16, 4096)
				if err != nil || string(p[16:16+n]) != "hello" || len(p) != BufSize {
					r.Errorf("got %d bytes of %d, %v", n, len(p), err)
					return
				}
				r.l.PutBuf(p)
			}))
			r.l.Yield()
			if len(r.l.bufs) != kept {
				r.Errorf("%d buffers in the loop's keeping while a task waits, want %d", len(r.l.bufs), kept)
			}
			b.Write([]byte("hello"))
			done.Wait(r.l, 0)
			b.Close()
			if _, _, err := a.ReadBuf(0, BufSize); err != io.EOF {
				r.Errorf("at the end: %v", err)
			}
			if len(r.l.bufs) != kept {
				r.Errorf("%d buffers in the loop's keeping at the end, want %d", len(r.l.bufs), kept)
			}
		})
	})
}

func TestAwaitStartsTheTask(t *testing.T) {
	reasons := []struct {
		name   string
		before func(a, b *Conn)
		after  func(a, b *Conn)
	}{
		{name: "on input", after: func(_, b *Conn) { b.Write([]byte("x")) }},
		{name: "on the end", after: func(_, b *Conn) { b.Close() }},
		{name: "on the deadline", before: func(a, _ *Conn) { a.SetReadTimeout(ms) }},
		{name: "on a deadline set later", after: func(a, _ *Conn) { a.SetReadTimeout(ms) }},
		{name: "at once, on input", before: func(a, b *Conn) { b.Write([]byte("x")); a.WaitRead() }},
		{name: "at once, on the end", before: func(a, b *Conn) { b.Close(); a.WaitRead() }},
		{name: "at once, past the deadline", before: func(a, _ *Conn) { a.SetReadTimeout(ms); a.WaitRead() }},
		{name: "at once, when closed", before: func(a, _ *Conn) { a.Close() }},
	}
	for _, why := range reasons {
		t.Run(why.name, func(t *testing.T) {
			everywhere(t, func(r rig) {
				r.do(func() {
					a, b := r.pair()
					a.TryRead(make([]byte, 1)) // the first one finds out that there is nothing
					if why.before != nil {
						why.before(a, b)
					}
					var started Event
					a.Await(Func(func() { started.Set(r.l) }))
					if why.after != nil {
						r.l.Yield()
						if started.IsSet() {
							r.Error("started for nothing")
						}
						why.after(a, b)
					}
					if !started.Wait(r.l, 10*time.Second) {
						r.Error("not started")
					}
				})
			})
		})
	}
}

func TestAwaitHoldsNoCoroutine(t *testing.T) {
	everywhere(t, func(r rig) {
		r.do(func() {
			for range 50 {
				a, _ := r.pair()
				r.l.Go(Func(func() {
					a.TryRead(make([]byte, 1))
					a.Await(Func(func() {}))
				}))
			}
			r.l.Yield()
			r.l.Yield()
			if all, idle := r.l.Coroutines(); all != idle+1 {
				r.Errorf("%d of %d coroutines are idle, want all but this one", idle, all)
			}
		})
	})
}

func TestAwaitIsTakenBack(t *testing.T) {
	everywhere(t, func(r rig) {
		r.do(func() {
			fault := Func(func() { r.Error("started") })
			a, b := r.pair()
			a.TryRead(make([]byte, 1))
			a.Await(fault)
			a.Await(nil)
			b.Write([]byte("x"))
			a.WaitRead()
			c, d := r.pair()
			c.TryRead(make([]byte, 1))
			c.Await(fault)
			c.Close()
			d.Write([]byte("x"))
			r.l.Sleep(ms)
		})
	})
}

func TestWatchStartsOnlyOnWhatIsNew(t *testing.T) {
	everywhere(t, func(r rig) {
		r.do(func() {
			a, b := r.pair()
			a.TryRead(make([]byte, 1))
			b.Write([]byte("old"))
			a.WaitRead()
			var started Event
			a.Watch(Func(func() { started.Set(r.l) }))
			if started.Wait(r.l, ms) {
				r.Error("started for what was there")
			}
			a.Read(make([]byte, 3))
			b.Write([]byte("new"))
			if !started.Wait(r.l, 10*time.Second) {
				r.Error("not started")
			}
		})
	})
}

func TestInterrupt(t *testing.T) {
	everywhere(t, func(r rig) {
		r.do(func() {
			a, b := r.pair()
			a.Interrupt() // nobody reads: no effect
			interrupt := func() { r.l.Go(Func(func() { a.Interrupt(); a.Interrupt() })) }
			p := make([]byte, 9)
			interrupt()
			if _, err := a.Read(p); err != ErrInterrupted {
				r.Errorf("Read: %v", err)
			}
			interrupt()
			if err := a.WaitRead(); err != ErrInterrupted {
				r.Errorf("WaitRead: %v", err)
			}
			interrupt()
			if _, _, err := a.ReadBuf(0, 9); err != ErrInterrupted {
				r.Errorf("ReadBuf: %v", err)
			}
			r.l.Go(Func(func() { b.Write([]byte("after")) }))
			if n, err := a.Read(p); string(p[:n]) != "after" || err != nil {
				r.Errorf("got %q, %v", p[:n], err)
			}
		})
	})
}

// Input, the deadline, or Close that come between Interrupt and the woken task are seen by the next read.
func TestInterruptRaces(t *testing.T) {
	everywhere(t, func(r rig) {
		for name, race := range map[string]func(a *Conn){
			"input":    func(a *Conn) { a.event(true, false, false, false) },
			"deadline": func(a *Conn) { a.readEnd = r.l.now; a.expire(r.l) },
			"close":    func(a *Conn) { a.Close() },
		} {
			var a, b *Conn
			var first, second error
			done := make(chan struct{})
			on(r.l, func() {
				a, b = r.pair()
				a.TryRead(make([]byte, 1))
				r.l.Go(Func(func() {
					defer close(done)
					_, first = a.Read(make([]byte, 1))
					a.SetTry(true)
					_, second = a.Read(make([]byte, 1))
				}))
				a.Interrupt()
				race(a)
			})
			<-done
			if first != ErrInterrupted || second == nil || second == ErrInterrupted {
				r.Errorf("%s: the reads returned %v, then %v", name, first, second)
			}
			on(r.l, func() { a.Close(); b.Close() })
		}
	})
}

func TestHalfClose(t *testing.T) {
	everywhere(t, func(r rig) {
		r.do(func() {
			a, b := r.pair()
			a.Write([]byte("request"))
			if err := a.CloseWrite(); err != nil {
				r.Error(err)
			}
			if err := a.CloseWrite(); err != nil {
				r.Errorf("again: %v", err)
			}
			if _, err := a.Write([]byte("x")); err != io.ErrClosedPipe {
				r.Errorf("write after CloseWrite: %v", err)
			}
			if got, err := io.ReadAll(b); string(got) != "request" || err != nil {
				r.Errorf("b got %q, %v", got, err)
			}
			if !b.Hup() || b.Broken() {
				r.Errorf("b: hup %v, broken %v", b.Hup(), b.Broken())
			}
			if a.Hup() {
				r.Error("a: hup")
			}
			want := pattern(1 << 20)
			r.l.Go(Func(func() { b.Write(want); b.CloseWrite() }))
			if got, err := io.ReadAll(a); !bytes.Equal(got, want) || err != nil {
				r.Errorf("a got %d bytes, %v", len(got), err)
			}
		})
	})
}

func TestEverythingAfterCloseIsErrClosed(t *testing.T) {
	everywhere(t, func(r rig) {
		r.do(func() {
			a, b := r.pair()
			b.Write([]byte("unread"))
			a.WaitRead()
			a.SetBuffered(true)
			for range 2 {
				if err := a.Close(); err != nil {
					r.Error(err)
				}
			}
			if !a.Closed() {
				r.Error("not closed")
			}
			p := make([]byte, 1)
			for name, f := range map[string]func() error{
				"Read":       func() error { _, err := a.Read(p); return err },
				"TryRead":    func() error { _, err := a.TryRead(p); return err },
				"WaitRead":   a.WaitRead,
				"ReadBuf":    func() error { _, _, err := a.ReadBuf(0, 1); return err },
				"Write":      func() error { _, err := a.Write(p); return err },
				"Drain":      a.Drain,
				"CloseWrite": a.CloseWrite,
				"Release":    func() error { a.Hold(); a.Write(p); return a.Release() },
				"Splice":     func() error { _, err := Splice(a, b); return err },
			} {
				if err := f(); err != ErrClosed {
					r.Errorf("%s: %v", name, err)
				}
			}
		})
	})
}

func TestCloseWakesReaderAndWriter(t *testing.T) {
	everywhere(t, func(r rig) {
		var errs []error
		r.do(func() {
			for _, wait := range []func(c *Conn) error{
				func(c *Conn) error { _, err := c.Read(make([]byte, 1)); return err },
				func(c *Conn) error { _, _, err := c.ReadBuf(0, 1); return err },
				func(c *Conn) error { _, err := c.Write(make([]byte, 8<<20)); return err },
				func(c *Conn) error {
					c.SetBuffered(true)
					c.Write(make([]byte, 8<<20))
					c.Write([]byte("x"))
					return c.Drain()
				},
				func(c *Conn) error { c.Hold(); c.Write(make([]byte, 8<<20)); return c.Release() },
			} {
				a, _ := r.pair()
				fill(a)
				r.l.Go(Func(func() { errs = append(errs, wait(a)) }))
				r.l.Yield()
				a.Close()
				r.l.Yield()
			}
		})
		if len(errs) != 5 || slices.ContainsFunc(errs, func(err error) bool { return err != ErrClosed }) {
			r.Errorf("got %v", errs)
		}
	})
}

func TestPeersEndWakesReaderAndWriter(t *testing.T) {
	everywhere(t, func(r rig) {
		r.do(func() {
			a, b := r.pair()
			var done Event
			fill(a)
			r.l.Go(Func(func() {
				if _, err := a.Write([]byte("x")); err == nil {
					r.Error("wrote to nobody")
				}
				done.Set(r.l)
			}))
			r.l.Go(Func(func() { r.l.Yield(); b.Close() }))
			if _, err := a.Read(make([]byte, 1)); err == nil {
				r.Error("read from nobody")
			}
			if !done.Wait(r.l, 10*time.Second) {
				r.Error("the writer was not told")
			}
			if !a.Hup() || !a.Broken() {
				r.Errorf("hup %v, broken %v; want both", a.Hup(), a.Broken())
			}
		})
	})
}

// tcp returns a Conn of the loop over loopback TCP and its peer outside. In a task.
func tcp(r rig) (*Conn, *net.TCPConn) {
	n, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer n.Close()
	c, err := r.l.Dial(Dial{To: Addr{AddrPort: n.Addr().(*net.TCPAddr).AddrPort()}})
	if err != nil {
		panic(err)
	}
	var peer net.Conn
	r.l.Block(func() { peer, err = n.Accept() })
	if err != nil {
		panic(err)
	}
	r.Cleanup(func() { peer.Close() })
	return c, peer.(*net.TCPConn)
}

func TestReset(t *testing.T) {
	r := onEpoll(t)
	r.do(func() {
		a, peer := tcp(r)
		fill(a)
		var done Event
		r.l.Go(Func(func() {
			if _, err := a.Write([]byte("x")); !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
				t.Errorf("the writer got %v", err)
			}
			done.Set(r.l)
		}))
		r.l.Go(Func(func() { peer.SetLinger(0); peer.Close() }))
		if _, err := a.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) && err != io.EOF { // the writer may have had the reset
			t.Errorf("the reader got %v", err)
		}
		done.Wait(r.l, 0)
		if !a.Broken() {
			t.Error("not broken")
		}
	})
}

func TestResetIsSeenByThePeer(t *testing.T) {
	r := onEpoll(t)
	r.do(func() {
		a, peer := tcp(r)
		var woken Event
		r.l.Go(Func(func() {
			if _, err := a.Read(make([]byte, 1)); err != ErrClosed {
				t.Errorf("the reader got %v", err)
			}
			woken.Set(r.l)
		}))
		r.l.Yield()
		a.Reset()
		a.Reset()
		woken.Wait(r.l, 0)
		r.l.Block(func() {
			if _, err := peer.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("the peer got %v", err)
			}
		})
		n, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Error(err)
			return
		}
		defer n.Close()
		r.l.Block(func() { // the same, adapted
			var nc net.Conn
			if nc, err = net.Dial("tcp", n.Addr().String()); err == nil {
				var other net.Conn
				if other, err = n.Accept(); err == nil {
					peer = other.(*net.TCPConn)
					r.Cleanup(func() { other.Close() })
				}
				r.l.Post(func() { r.l.Adapt(nc, loopback.AddrPort, loopback.AddrPort).Reset() })
			}
		})
		if err != nil {
			t.Error(err)
			return
		}
		r.l.Block(func() {
			if _, err := peer.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("the peer of an adapted one got %v", err)
			}
		})
	})
}

func TestResetStartsTheAwaitedTask(t *testing.T) {
	r := onEpoll(t)
	r.do(func() {
		a, peer := tcp(r)
		var started Event
		a.Await(Func(func() {
			if _, err := a.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) || !a.Broken() {
				t.Errorf("got %v, broken %v", err, a.Broken())
			}
			started.Set(r.l)
		}))
		peer.SetLinger(0)
		peer.Close()
		started.Wait(r.l, 0)
	})
}

// The end arrives with or before the last bytes: all of them are read, and then the end, without a further event.
func TestInputBeforeTheEndIsRead(t *testing.T) {
	everywhere(t, func(r rig) {
		r.do(func() {
			a, b := r.pair()
			want := pattern(10_000)
			r.l.Go(Func(func() { b.Write(want); b.Close() }))
			for !a.Hup() {
				r.l.Yield()
				if r.mem && a.readable {
					break // one piece is read ahead, the end is not
				}
			}
			var got []byte
			for p := make([]byte, 777); ; {
				n, err := a.Read(p)
				got = append(got, p[:n]...)
				if err != nil {
					if err != io.EOF {
						r.Error(err)
					}
					break
				}
			}
			if !bytes.Equal(got, want) {
				r.Errorf("got %d bytes, want %d", len(got), len(want))
			}
		})
	})
}

func TestAddresses(t *testing.T) {
	r := onEpoll(t)
	r.do(func() {
		c, peer := tcp(r)
		if got, want := c.Local().String(), peer.RemoteAddr().String(); got != want {
			t.Errorf("local %s, want %s", got, want)
		}
		if got, want := c.Remote().String(), peer.LocalAddr().String(); got != want {
			t.Errorf("remote %s, want %s", got, want)
		}
		if c.LocalAddr().String() != c.Local().String() || c.RemoteAddr().String() != c.Remote().String() {
			t.Errorf("net.Conn's: %v, %v", c.LocalAddr(), c.RemoteAddr())
		}
		if c.Loop() != r.l {
			t.Error("another loop")
		}
		u, _ := r.pair()
		if u.Local().IsValid() || u.Remote().IsValid() {
			t.Errorf("a unix socket has addresses %v, %v", u.Local(), u.Remote())
		}
		_ = u.LocalAddr().String() + u.RemoteAddr().String() // must not panic
	})
}

func TestTwoReadersOrWritersAreAFault(t *testing.T) {
	everywhere(t, func(r rig) {
		n := r.quiet()
		r.do(func() {
			a, b := r.pair()
			fill(b)
			for range 2 {
				r.l.Go(Func(func() { a.CloseWrite(); b.Read(make([]byte, 1)) }))
				r.l.Go(Func(func() { b.Write([]byte("x")) }))
			}
			c, d := r.pair()
			fill(d)
			for range 2 {
				r.l.Go(Func(func() { c.Read(make([]byte, 1)) }))
				r.l.Go(Func(func() { d.Write([]byte("x")) }))
			}
			r.l.Yield()
			c.Close()
			d.Close()
		})
		if n.Load() < 2 {
			r.Errorf("%d panics, want 2 at least", n.Load())
		}
	})
}
