package loop

import (
	"testing"
	"time"
)

// nop is a task that ends at once.
type nop struct{}

func (*nop) Run() {}

// inTask runs a benchmark as a task of a loop.
func inTask(b *testing.B, f func(l *Loop)) {
	l := newLoopT(b)
	b.ReportAllocs()
	do(l, func() { f(l) })
}

func BenchmarkYield(b *testing.B) {
	inTask(b, func(l *Loop) {
		for b.Loop() {
			l.Yield()
		}
	})
}

// BenchmarkWake is a resume and a yield, without a turn of the loop between.
func BenchmarkWake(b *testing.B) {
	inTask(b, func(l *Loop) {
		stop := false
		l.Go(Func(func() {
			for !stop {
				l.wake(l.cur)
				l.cur.park()
			}
		}))
		for b.Loop() {
			l.wake(l.cur)
			l.cur.park()
		}
		stop = true
	})
}

func BenchmarkGo(b *testing.B) {
	inTask(b, func(l *Loop) {
		t := &nop{}
		for b.Loop() {
			l.Go(t)
			l.Yield()
		}
	})
}

func BenchmarkSetReadTimeout(b *testing.B) {
	inTask(b, func(l *Loop) {
		c := &Conn{l: l}
		c.timer.owner = c
		for b.Loop() {
			c.SetReadTimeout(time.Minute)
		}
		l.wheel.drop(&c.timer)
	})
}

func BenchmarkTimerArmAndDrop(b *testing.B) {
	inTask(b, func(l *Loop) {
		c := &Conn{l: l}
		c.timer.owner = c
		for b.Loop() {
			c.SetReadTimeout(time.Minute)
			l.wheel.drop(&c.timer)
		}
	})
}

// BenchmarkPost is from another goroutine, without waiting.
func BenchmarkPost(b *testing.B) {
	l := newLoopT(b)
	b.ReportAllocs()
	n := 0
	f := func() { n++ }
	for b.Loop() {
		l.Post(f)
	}
	on(l, func() {})
}

// BenchmarkPostAndBack is a function posted to another loop, and one posted back.
func BenchmarkPostAndBack(b *testing.B) {
	other := newLoopT(b)
	inTask(b, func(l *Loop) {
		var e Event
		back := func() { e.Set(l) }
		there := func() { l.Post(back) }
		for b.Loop() {
			e.Clear()
			other.Post(there)
			e.Wait(l, 0)
		}
	})
}

// BenchmarkEcho is a round trip of 100 bytes over loopback, both ends on one loop.
func BenchmarkEcho(b *testing.B) {
	l := newLoopT(b)
	a := echo(b, l)
	b.ReportAllocs()
	do(l, func() {
		c, err := l.Dial(Dial{To: a})
		if err != nil {
			b.Error(err)
			return
		}
		defer c.Close()
		p := make([]byte, 100)
		for b.Loop() {
			c.SetReadTimeout(time.Minute)
			c.Write(p)
			if _, err := c.Read(p); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

func BenchmarkEchoInMemory(b *testing.B) {
	l := NewMem(0)
	b.Cleanup(l.Stop)
	x, y := newDuplex()
	b.ReportAllocs()
	do(l, func() {
		s := l.Adapt(x, loopback.AddrPort, loopback.AddrPort)
		l.Go(Func(func() { serveEcho(s) }))
		c := l.Adapt(y, loopback.AddrPort, loopback.AddrPort)
		defer c.Close()
		p := make([]byte, 100)
		for b.Loop() {
			c.Write(p)
			if _, err := c.Read(p); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
