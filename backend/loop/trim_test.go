package loop

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestIdleCoroutinesAndBuffersAreGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewMem(0)
		defer l.Stop()
		const burst = 300
		var hold Event
		do(l, func() {
			for range burst {
				l.Go(Func(func() {
					b, s := l.Buf(), l.Small()
					hold.Wait(l, 0)
					l.PutBuf(b)
					l.PutSmall(s)
				}))
			}
		})
		do(l, func() { hold.Set(l) })
		count := func() (all, bufs, smalls int) {
			do(l, func() {
				all, _ = l.Coroutines()
				bufs, smalls = len(l.bufs), len(l.smalls)
			})
			return
		}
		if all, bufs, smalls := count(); all < burst || bufs != keepBufs || smalls != burst {
			t.Fatalf("after the burst: %d coroutines, %d buffers, %d small ones", all, bufs, smalls)
		}
		do(l, func() { l.Sleep(15 * time.Second) })
		if all, bufs, smalls := count(); all > 4 || bufs > 1 || smalls > 1 {
			t.Errorf("15 s later: %d coroutines, %d buffers, %d small ones", all, bufs, smalls)
		}
	})
}

func TestWhatIsInUseIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewMem(0)
		defer l.Stop()
		var most int
		do(l, func() {
			for range 40 { // ten tasks at once, again and again
				var done Event
				n := 10
				for range n {
					l.Go(Func(func() {
						l.Sleep(200 * time.Millisecond)
						if n--; n == 0 {
							done.Set(l)
						}
					}))
				}
				done.Wait(l, 0)
				most, _ = l.Coroutines()
			}
		})
		if most < 11 || most > 12 {
			t.Errorf("%d coroutines for 11 tasks", most)
		}
	})
}
