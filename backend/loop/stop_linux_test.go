package loop

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

// descriptors counts those of the process.
func descriptors(t testing.TB) int {
	t.Helper()
	d, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(d)
}

// TestStopLeavesNothing stops a loop with everything under way that it can have under way.
func TestStopLeavesNothing(t *testing.T) {
	warm, err := net.Listen("tcp", "127.0.0.1:0") // the runtime's own descriptors
	if err != nil {
		t.Fatal(err)
	}
	warm.Close()
	for _, kind := range []string{"epoll", "mem"} {
		t.Run(kind, func(t *testing.T) {
			busy := deaf(t)
			before := descriptors(t)
			goroutines := goleak.IgnoreCurrent()
			l := NewMem(0)
			if kind == "epoll" {
				l.Stop()
				if l, err = New(0); err != nil {
					t.Fatal(err)
				}
			}
			l.OnPanic = func(v any, stack []byte) { t.Errorf("panic: %v\n%s", v, stack) }
			path := Addr{Path: filepath.Join(t.TempDir(), "s")}
			listener, stream := mustServe(t, l, loopback), mustServe(t, l, path)
			var outside []net.Conn
			for range 3 {
				outside = append(outside, dial(t, listener.Addr()), dial(t, stream.Addr()))
			}
			for _, c := range outside {
				roundTrip(t, c, "hello") // their tasks are parked in Read
			}
			on(l, listener.Pause)
			outside = append(outside, dial(t, listener.Addr()))

			unwound := 0
			park := func(what string, f func()) {
				l.Post(func() {
					l.Go(Func(func() {
						defer func() { unwound++ }()
						f()
						if what != "" {
							t.Errorf("%s came back", what)
						}
					}))
				})
			}
			var never Event
			park("Sleep", func() { l.Sleep(time.Hour) })
			park("Wait", func() { never.Wait(l, 0) })
			park("Wait with a timeout", func() { never.Wait(l, time.Hour) })
			park("a loop of yields", func() {
				for {
					l.Yield()
				}
			})
			release := make(chan struct{})
			park("Block", func() { l.Block(func() { <-release }) })
			park("", func() { // connects until one hangs
				for {
					c, err := l.Dial(Dial{To: busy})
					if err != nil {
						return
					}
					defer c.Close()
				}
			})
			park("", func() { // dials when its loop is ending
				c, err := l.Dial(Dial{To: listener.Addr()})
				if err != nil {
					t.Error(err)
					return
				}
				c.Read(make([]byte, 1))
				l.Dial(Dial{To: busy}) // the result, if there is one, is leaked by the task, not by the loop
			})
			park("", func() { // a writer that its peer does not read
				if kind == "mem" {
					return // what is under way there may linger: see TestStopLeavesNothingInTheBubble
				}
				c, err := l.Dial(Dial{To: path})
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := c.Write(make([]byte, 64<<20)); !errors.Is(err, ErrClosed) {
					t.Errorf("the writer got %v", err)
				}
			})
			park("", func() { // idle, without a task
				c, err := l.Dial(Dial{To: path})
				if err != nil {
					t.Error(err)
					return
				}
				c.SetReadTimeout(time.Hour)
				c.TryRead(make([]byte, 1))
				c.Await(Func(func() { t.Error("started at the end") }))
			})
			a, b := net.Pipe()
			defer b.Close()
			park("", func() {
				c := l.Adapt(a, netip.AddrPort{}, netip.AddrPort{})
				if _, err := c.Read(make([]byte, 1)); err != ErrClosed {
					t.Errorf("the adapted one got %v", err)
				}
			})
			do(l, func() { l.Sleep(100 * ms) })

			var stops sync.WaitGroup
			for range 3 {
				stops.Go(l.Stop)
			}
			stops.Wait()
			close(release)
			if unwound != 10 {
				t.Errorf("%d of 10 tasks have ended", unwound)
			}
			if l.Panics() != 0 {
				t.Errorf("%d panics", l.Panics())
			}
			for _, c := range outside {
				c.SetReadDeadline(time.Now().Add(10 * time.Second))
				if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
					t.Error("a connection is still open")
				}
				c.Close()
			}
			if _, err := os.Lstat(path.Path); !os.IsNotExist(err) {
				t.Errorf("the unix socket's file is left: %v", err)
			}
			b.Close()
			goleak.VerifyNone(t, goroutines)
			if after := descriptors(t); after != before {
				t.Errorf("%d descriptors, %d before", after, before)
			}
		})
	}
}

// More tasks than the pool keeps are unwound, each of them.
func TestStopUnwindsManyTasks(t *testing.T) {
	everywhere(t, func(r rig) {
		const n = 3 * keepIdle
		ended := 0
		on(r.l, func() {
			for range n {
				r.l.Go(Func(func() {
					defer func() { ended++ }()
					r.l.Sleep(time.Hour)
				}))
			}
		})
		r.l.Stop()
		if ended != n {
			r.Errorf("%d of %d tasks have ended", ended, n)
		}
	})
}

func TestStopWithTasksThatWakeEachOtherForEver(t *testing.T) {
	everywhere(t, func(r rig) {
		on(r.l, func() { chatter(r.l); r.l.Go(&breeder{r.l}) })
		r.l.Stop()
	})
}

// Deferred calls of a task run when its loop ends, and may use what they would use otherwise.
func TestDeferredCallsAtTheEnd(t *testing.T) {
	everywhere(t, func(r rig) {
		ran := false
		on(r.l, func() {
			a, _ := r.pair()
			var e Event
			r.l.Go(Func(func() {
				defer func() {
					e.Set(r.l)
					r.l.Go(Func(func() { r.Error("started at the end") }))
					a.SetReadTimeout(time.Second)
					a.Close()
					r.l.AtTurnEnd(&flusher{})
					r.l.Post(func() { r.Error("posted at the end") })
					ran = true
				}()
				r.l.Sleep(time.Hour)
			}))
		})
		r.l.Stop()
		if !ran {
			r.Error("not run")
		}
	})
}

func TestPostAfterStopIsDropped(t *testing.T) {
	everywhere(t, func(r rig) {
		var posters sync.WaitGroup
		stop := make(chan struct{})
		for range 4 {
			posters.Go(func() { // some come before, some meanwhile, some after
				for {
					select {
					case <-stop:
						return
					default:
						r.l.Post(func() {})
					}
				}
			})
		}
		r.l.Stop()
		r.l.Post(func() { r.Error("run") })
		close(stop)
		posters.Wait()
		if n := len(r.l.posted); n != 0 {
			r.Errorf("%d are kept", n)
		}
	})
}

// The bell of a loop that has ended may be somebody else's descriptor by now.
func TestPostAfterStopWritesToNobodysDescriptor(t *testing.T) {
	l, err := New(0)
	if err != nil {
		t.Fatal(err)
	}
	bell := l.bellFD
	on(l, func() {}) // it runs and has answered its bell
	l.Stop()
	var strangers [][2]int
	for taken := false; !taken; {
		fds := sockets()
		strangers = append(strangers, fds)
		taken = fds[0] == bell || fds[1] == bell
		if fds[0] > bell && fds[1] > bell {
			t.Fatal("the bell's descriptor is not given again")
		}
	}
	l.Post(func() {})
	for _, fds := range strangers {
		for _, fd := range fds {
			if n, err := syscall.Read(fd, make([]byte, 8)); n > 0 || err != syscall.EAGAIN {
				t.Errorf("%d bytes were written to a stranger's descriptor (%v)", n, err)
			}
		}
		syscall.Close(fds[0])
		syscall.Close(fds[1])
	}
}

func TestListenAfterStopIsAnError(t *testing.T) {
	dialers(t, func(t *testing.T, l *Loop) {
		l.Stop()
		before := descriptors(t)
		path := Addr{Path: filepath.Join(t.TempDir(), "s")}
		for _, a := range []Addr{loopback, path} {
			if _, err := serve(l, a); err != ErrClosed {
				t.Errorf("%v: got %v", a, err)
			}
		}
		if after := descriptors(t); after != before {
			t.Errorf("%d descriptors, %d before", after, before)
		}
		if _, err := os.Lstat(path.Path); !os.IsNotExist(err) {
			t.Errorf("the unix socket's file is left: %v", err)
		}
	})
}

// A goroutine of Block that is done after the end gives up what nobody can have any more; one that is done before it is heard.
func TestBlockAndTheEnd(t *testing.T) {
	everywhere(t, func(r rig) {
		release, orphaned := make(chan struct{}), make(chan struct{})
		on(r.l, func() {
			r.l.Go(Func(func() { r.l.block(func() { <-release }, func() { close(orphaned) }) }))
		})
		heard := false
		timely := make(chan struct{})
		on(r.l, func() {
			r.l.Go(Func(func() {
				r.l.block(func() { close(timely) }, func() { r.Error("orphaned though the loop had not ended") })
				heard = true
			}))
			<-timely // the wake-up may be posted before the end or, rarely, after it: wait until it is
			for posted := 0; posted == 0; {
				r.l.mu.Lock()
				posted = len(r.l.posted)
				r.l.mu.Unlock()
				yieldThread()
			}
			r.l.quit.Store(true)
		})
		r.l.Stop()
		if !heard {
			r.Error("the one in time was not heard")
		}
		close(release)
		<-orphaned
	})
}

// What was posted before the end runs, so that it can close what it was to take over.
func TestPostBeforeTheEndRuns(t *testing.T) {
	everywhere(t, func(r rig) {
		a, b := net.Pipe()
		s := SocketOf(a, netip.AddrPort{}, netip.AddrPort{})
		on(r.l, func() {
			r.l.quit.Store(true) // as if Stop came now, in the middle of a turn
			r.l.Post(func() {
				if _, err := r.l.Adopt(s); err != nil {
					r.Error(err)
				}
			})
		})
		r.l.Stop()
		if _, err := b.Read(make([]byte, 1)); err != io.EOF {
			r.Errorf("the peer got %v, want EOF", err)
		}
	})
}

// synctest itself fails when a goroutine of the bubble is left, or when all that are left wait for ever.
func TestStopLeavesNothingInTheBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewMem(0)
		var peers []net.Conn
		on(l, func() {
			for i := range 30 {
				a, b := newDuplex()
				peers = append(peers, b)
				c := l.Adapt(a, netip.AddrPort{}, netip.AddrPort{})
				switch i % 6 {
				case 0: // a parked reader
					l.Go(Func(func() { c.Read(make([]byte, 1)) }))
				case 1: // a parked writer, one piece under way
					l.Go(Func(func() { c.Write(make([]byte, 10)); c.Write(make([]byte, 10)) }))
				case 2: // idle
					c.Await(Func(func() {}))
				case 3: // an unfinished end of writing
					c.SetBuffered(true)
					c.Write(make([]byte, 10))
					c.Write(make([]byte, 10))
					c.CloseWrite()
				case 4: // closed with a piece under way
					c.Write(make([]byte, 10))
					c.Close()
				case 5: // its peer is gone
					b.Close()
				}
			}
			l.Go(Func(func() { l.Sleep(time.Hour) }))
		})
		synctest.Wait()
		l.Stop()
		for _, b := range peers {
			b.Close()
		}
	})
}
