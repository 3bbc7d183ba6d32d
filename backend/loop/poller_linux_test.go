package loop

import (
	"syscall"
	"testing"
)

// Within one batch of events a task closes a connection and gets a new one with the same descriptor: the event of the old one is not
// the new one's.
func TestEventsOfAnEarlierConnWithTheSameDescriptor(t *testing.T) {
	r := onEpoll(t)
	done := make(chan struct{})
	on(r.l, func() {
		a, pa := r.half()
		b, pb := r.half()
		for _, c := range []*Conn{a, b} {
			c.TryRead(make([]byte, 1))
		}
		var fresh *Conn
		swap := func(other *Conn) Func {
			return func() {
				if fresh != nil {
					return
				}
				fd := other.fd
				other.Close()
				fresh, _ = r.half()
				if fresh.fd != fd {
					t.Errorf("the new connection has descriptor %d, not %d", fresh.fd, fd)
				}
				fresh.TryRead(make([]byte, 1))
				fresh.Watch(Func(func() { t.Error("started by a stale event") }))
				r.l.Sleep(ms)
				if fresh.readable || fresh.hup {
					t.Errorf("readable %v, hup %v", fresh.readable, fresh.hup)
				}
				fresh.Watch(nil)
				close(done)
			}
		}
		a.Await(swap(b))
		b.Await(swap(a))
		pa.Write([]byte("x"))
		pb.Write([]byte("x"))
	})
	<-done
}

// Two idle connections get something in one batch of events: the task of the first finds that the second has it, too.
func TestIdleConnsKnowTheirNewsBeforeTasksRun(t *testing.T) {
	r := onEpoll(t)
	done := make(chan struct{})
	on(r.l, func() {
		a, pa := r.half()
		b, pb := r.half()
		first := true
		look := func(other *Conn) Func {
			return func() {
				if !first {
					return
				}
				first = false
				if n, err := other.TryRead(make([]byte, 9)); n != 1 || err != nil {
					t.Errorf("the other one seems quiet: %d, %v", n, err)
				}
				close(done)
			}
		}
		for _, c := range []*Conn{a, b} {
			c.TryRead(make([]byte, 1))
		}
		a.Await(look(b))
		b.Await(look(a))
		pa.Write([]byte("x"))
		pb.Write([]byte("x"))
	})
	<-done
}

// A queue that cannot be written wakes the reader even if the poller says nothing of the reading side.
func TestFailureOfTheQueueWakesTheReader(t *testing.T) {
	r := onEpoll(t)
	on(r.l, func() {
		a, _ := r.half()
		a.SetBuffered(true)
		for a.Queued() == 0 {
			a.Write(make([]byte, 1<<20))
		}
		a.TryRead(make([]byte, 1))
		woken := false
		r.l.Go(Func(func() {
			if err := a.WaitRead(); err == nil {
				woken = true
			}
		}))
		syscall.Shutdown(a.fd, syscall.SHUT_WR) // writing fails from now on
		a.event(false, true, false, false)
		if !woken {
			t.Error("the reader was not told")
		}
	})
}
