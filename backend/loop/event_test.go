package loop

import (
	"slices"
	"testing"
	"time"
)

func TestEventWakesItsWaitersInOrder(t *testing.T) {
	everywhere(t, func(r rig) {
		const n = 1000
		var e Event
		var got []int
		r.do(func() {
			for i := range n {
				r.l.Go(Func(func() {
					if e.Wait(r.l, time.Duration(i%2)*time.Hour) {
						got = append(got, i)
					}
				}))
			}
			r.l.Yield()
			e.Set(r.l)
			e.Set(r.l)
			r.l.Yield()
		})
		if len(got) != n || !slices.IsSorted(got) {
			r.Errorf("%d of %d woke, in order: %v", len(got), n, slices.IsSorted(got))
		}
	})
}

func TestEventThatIsSetIsNotWaitedFor(t *testing.T) {
	everywhere(t, func(r rig) {
		r.do(func() {
			var e Event
			e.Set(r.l)
			if !e.IsSet() || !e.Wait(r.l, 0) || !e.Wait(r.l, time.Hour) {
				r.Error("not set")
			}
			e.Clear()
			if e.IsSet() || e.Wait(r.l, time.Millisecond) {
				r.Error("set after Clear")
			}
		})
	})
}

func TestEventTimeout(t *testing.T) {
	everywhere(t, func(r rig) {
		r.do(func() {
			var e Event
			r.timely("Wait", elapsed(func() {
				if e.Wait(r.l, 70*time.Millisecond) {
					r.Error("set")
				}
			}), 70*time.Millisecond)
		})
	})
}

// The waiters in the middle give up; those around them still get the signal.
func TestEventForgetsThoseWhoseTimeIsOver(t *testing.T) {
	everywhere(t, func(r rig) {
		var e Event
		set, late := 0, 0
		r.do(func() {
			for _, d := range []time.Duration{1, 0, 1, 1, 0, 0, 1} {
				r.l.Go(Func(func() {
					if e.Wait(r.l, d*time.Millisecond) {
						set++
					} else {
						late++
					}
				}))
			}
			r.l.Sleep(120 * time.Millisecond)
			if set != 0 || late != 4 {
				r.Errorf("before Set %d set, %d late; want 0, 4", set, late)
			}
			r.l.Go(Func(func() { // the newest is appended behind the right one
				if e.Wait(r.l, 0) {
					set++
				}
			}))
			r.l.Yield()
			e.Set(r.l)
			r.l.Yield()
		})
		if set != 4 || late != 4 {
			r.Errorf("%d set, %d late; want 4, 4", set, late)
		}
	})
}

// Set and the timeout fall into one turn, in both orders: the waiter is woken once, and sees the event set.
func TestEventSetInTheTurnOfItsTimeout(t *testing.T) {
	for _, setterFirst := range []bool{true, false} {
		inBubble(t, func(r rig) {
			var e Event
			var got []bool
			waiter := Func(func() { got = append(got, e.Wait(r.l, 70*time.Millisecond)) })
			setter := Func(func() { r.l.Sleep(70 * time.Millisecond); e.Set(r.l) })
			on(r.l, func() {
				if setterFirst {
					r.l.Go(setter)
					r.l.Go(waiter)
				} else {
					r.l.Go(waiter)
					r.l.Go(setter)
				}
			})
			r.do(func() { r.l.Sleep(200 * time.Millisecond) })
			// A waiter that runs before the setter has seen no signal.
			if len(got) != 1 || got[0] != setterFirst {
				r.Errorf("setter first %v: got %v", setterFirst, got)
			}
		})
	}
}

func TestEventSetAndClearedAtOnceStillWakesAsSet(t *testing.T) {
	everywhere(t, func(r rig) {
		var e Event
		var got []bool
		r.do(func() {
			for range 3 {
				r.l.Go(Func(func() { got = append(got, e.Wait(r.l, time.Hour)) }))
			}
			r.l.Yield()
			e.Set(r.l)
			e.Clear()
			r.l.Yield()
		})
		if !slices.Equal(got, []bool{true, true, true}) {
			r.Errorf("got %v", got)
		}
	})
}
