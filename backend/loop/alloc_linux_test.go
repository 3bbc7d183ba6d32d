package loop

import (
	"testing"
	"time"
)

// waker sets an event.
type waker struct {
	l *Loop
	e *Event
}

func (w *waker) Run() { w.e.Set(w.l) }

// What requests do all the time allocates nothing: at 100,000 requests per second and core every allocation of them is a good part of what the
// collector does.
func TestHotPathAllocatesNothing(t *testing.T) {
	if goid() != "" {
		t.Skip("the race detector allocates")
	}
	r := onEpoll(t)
	other := newLoopT(t)
	r.do(func() {
		l := r.l
		a, b := r.pair()
		c, d := r.pair()
		l.Go(Func(func() { serveEcho(b) }))
		p := make([]byte, 100)
		var never, set Event
		set.Set(l)
		task, wake := &nop{}, &waker{l, &set}
		f := &flusher{}
		post := func() {}
		d.TryRead(p)
		for _, hot := range []struct {
			name string
			f    func()
		}{
			{"an echo", func() { a.Write(p); a.Read(p) }},
			{"ReadBuf", func() {
				c.Write(p)
				m, _, _ := d.ReadBuf(0, BufSize)
				l.PutBuf(m)
			}},
			{"Hold and Release", func() {
				a.Hold()
				a.Write(p)
				a.Write(p)
				a.Release()
				a.Read(p)
				a.Read(p)
			}},
			{"input read ahead", func() {
				d.SetEager(true)
				c.Write(p)
				d.WaitRead()
				b, _, _ := d.TakeAhead()
				l.PutBuf(b)
				d.SetEager(false)
			}},
			{"a late write", func() {
				a.SetLate(true)
				a.Write(p)
				a.SetLate(false)
				a.Read(p)
			}},
			{"Drain", func() { a.Drain() }},
			{"Await", func() { d.Await(task); d.Await(nil) }},
			{"Await and start", func() {
				d.Await(task)
				c.Write(p)
				l.Yield()
				l.Yield()
				d.TryRead(p)
				d.TryRead(p)
			}},
			{"SetReadTimeout", func() { a.SetReadTimeout(time.Minute) }},
			{"SetWriteTimeout", func() { a.SetWriteTimeout(time.Minute) }},
			{"an Event that is set", func() { set.Wait(l, time.Minute) }},
			{"an Event waited for", func() { never.Wait(l, 1) }},
			{"an Event set by another task", func() { set.Clear(); l.Go(wake); set.Wait(l, time.Minute) }},
			{"Go", func() { l.Go(task); l.Yield() }},
			{"Yield", func() { l.Yield() }},
			{"Sleep", func() { l.Sleep(1) }},
			{"Post", func() { l.Post(post); l.Yield() }},
			{"Post to another loop", func() { other.Post(post) }},
			{"AtTurnEnd", func() { l.AtTurnEnd(f); l.Yield() }},
			{"AtNextTurnEnd", func() { l.AtNextTurnEnd(f); l.Yield(); l.Yield() }},
			{"Small", func() { l.PutSmall(append(l.Small(), 1)) }},
		} {
			runs := 200
			if hot.name == "Sleep" || hot.name == "an Event waited for" {
				runs = 3 // each takes a tick
			}
			for range 10 {
				if runs > 3 {
					hot.f() // lists and pools get their size
				}
			}
			if n := testing.AllocsPerRun(runs, hot.f); n >= 1 {
				t.Errorf("%s: %v allocations", hot.name, n)
			}
		}
	})
}
