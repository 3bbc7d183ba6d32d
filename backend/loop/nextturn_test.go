package loop

import (
	"testing"
	"time"
)

func TestTheNextTurnBeginsAtOnceForWhoIsToBeFlushedThen(t *testing.T) {
	everywhere(t, func(r rig) {
		done := make(chan bool)
		var f *flusher
		f = &flusher{f: func() {
			if f.n == 1 {
				r.l.AtNextTurnEnd(f)
			} else {
				done <- r.l.Quiet()
			}
		}}
		on(r.l, func() { r.l.AtTurnEnd(f) })
		if !<-done { // which nothing else but the loop's sleep could hold up
			r.Error("nothing has come, and the loop is not quiet")
		}
		if f.n != 2 {
			r.Errorf("flushed %d times, want twice", f.n)
		}
	})
}

func TestWhoIsFlushedInTheNextTurnSeesWhatCameInIt(t *testing.T) {
	everywhere(t, func(r rig) {
		done := make(chan bool)
		came := false
		var f *flusher
		f = &flusher{f: func() {
			if f.n == 1 {
				r.l.AtNextTurnEnd(f)
				r.l.Post(func() { came = true })
				return
			}
			done <- came && !r.l.Quiet()
		}}
		on(r.l, func() { r.l.AtTurnEnd(f) })
		if !<-done {
			r.Error("flushed before what came, or the loop says that nothing has")
		}
	})
}

func TestALoopIsQuietWhenOnlyItsTimeHasPassed(t *testing.T) {
	everywhere(t, func(r rig) {
		r.do(func() {
			r.l.Sleep(time.Millisecond)
			if !r.l.Quiet() {
				r.Error("a timer is news")
			}
		})
	})
}
