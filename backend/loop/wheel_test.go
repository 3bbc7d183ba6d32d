package loop

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// alarm is a timer's owner that notes when it went off.
type alarm struct {
	timer Timer
	due   int64
	rang  int64
	then  func(l *Loop)
}

func (a *alarm) expire(l *Loop) {
	a.rang = l.now
	if a.then != nil {
		a.then(l)
	}
}

// clockwork is a wheel whose clock the test moves.
func clockwork(start int64) *Loop {
	l := &Loop{}
	l.wheel.init()
	l.now = start
	l.wheel.advance(l)
	return l
}

func (l *Loop) arm(a *alarm, in int64) {
	a.timer.owner, a.due, a.rang = a, l.now+in, 0
	l.wheel.arm(&a.timer, a.due)
}

func (l *Loop) moveTo(now int64) {
	l.now = now
	l.wheel.advance(l)
}

func TestTimersFireInTheTickAfterTheirTime(t *testing.T) {
	for _, start := range []int64{0, 1, 49, 50, 12345, tick * slots, 7 * tick * slots} {
		for _, in := range []int64{1, 49, 50, 51, 99, 100, 1000, tick*slots - 1, tick * slots, tick*slots + 1, 3*tick*slots + 7, 10_000_000} {
			t.Run(fmt.Sprint(start, "+", in), func(t *testing.T) {
				l := clockwork(start)
				var a alarm
				l.arm(&a, in)
				for a.rang == 0 && l.now < a.due+2*tick {
					ms := l.wheel.sleep(l.now)
					if ms < 0 {
						t.Fatal("the wheel would sleep for ever")
					}
					l.moveTo(l.now + max(1, ms))
				}
				if a.rang < a.due || a.rang > a.due+tick {
					t.Errorf("rang at %d, due at %d", a.rang, a.due)
				}
			})
		}
	}
}

func TestExtendingATimerLeavesItInItsSlot(t *testing.T) {
	l := clockwork(0)
	var a alarm
	l.arm(&a, 100)
	at := a.timer.at
	for range 50 {
		l.arm(&a, 5000)
		if a.timer.at > at && l.now < at*tick {
			t.Fatalf("moved from slot %d to %d at %d ms", at, a.timer.at, l.now)
		}
		l.moveTo(l.now + 20)
		at = a.timer.at
	}
	if a.rang != 0 {
		t.Errorf("rang at %d", a.rang)
	}
}

func TestShorteningATimerCounts(t *testing.T) {
	l := clockwork(0)
	var a alarm
	l.arm(&a, 60_000)
	l.arm(&a, 100)
	l.moveTo(150)
	if a.rang != 150 {
		t.Errorf("rang at %d, want 150", a.rang)
	}
}

func TestDroppedTimersAreSilent(t *testing.T) {
	l := clockwork(0)
	var a, b, c alarm
	l.arm(&a, 100)
	l.arm(&b, 100)
	l.arm(&c, 100)
	a.then = func(l *Loop) { l.wheel.drop(&b.timer) } // its neighbour in the slot
	l.wheel.drop(&c.timer)
	l.wheel.drop(&c.timer)
	l.moveTo(1000)
	if a.rang == 0 || b.rang != 0 || c.rang != 0 {
		t.Errorf("rang at %d, %d, %d; want the first alone", a.rang, b.rang, c.rang)
	}
	if l.wheel.n != 0 || l.wheel.sleep(l.now) != -1 {
		t.Errorf("%d timers left, sleeps %d", l.wheel.n, l.wheel.sleep(l.now))
	}
}

func TestTimersArmedByTimers(t *testing.T) {
	l := clockwork(0)
	var a, b alarm
	n := 0
	a.then = func(l *Loop) { // arms itself and another one, now, while the wheel is at their slot
		if n++; n < 5 {
			l.arm(&a, 1)
			l.arm(&b, 1)
		}
	}
	l.arm(&a, 1)
	for range 20 {
		l.moveTo(l.now + tick)
	}
	if n != 5 || b.rang == 0 {
		t.Errorf("rang %d times, the other at %d", n, b.rang)
	}
}

// A process that was stopped, or a machine that was suspended, finds its timers all the same.
func TestTimersAfterALongStop(t *testing.T) {
	l := clockwork(0)
	alarms := make([]alarm, 300)
	for i := range alarms {
		l.arm(&alarms[i], int64(i)*977+1)
	}
	l.moveTo(10 * tick * slots)
	for i := range alarms {
		a := &alarms[i]
		if (a.rang != 0) != (a.due <= l.now) {
			t.Errorf("timer due at %d rang at %d, now %d", a.due, a.rang, l.now)
		}
	}
}

// A thousand timers are armed, extended, shortened and dropped at random, the clock runs in steps of up to three ticks, and no timer is early, lost,
// or later than the step.
func TestWheelAgainstItsDefinition(t *testing.T) {
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		l := clockwork(rnd.Int64N(100_000))
		alarms := make([]alarm, 1000)
		pending := map[*alarm]bool{}
		for range 3000 {
			for range rnd.IntN(8) {
				a := &alarms[rnd.IntN(len(alarms))]
				if rnd.IntN(4) == 0 {
					l.wheel.drop(&a.timer)
					delete(pending, a)
					continue
				}
				in := 1 + rnd.Int64N(300)
				if rnd.IntN(5) == 0 {
					in = 1 + rnd.Int64N(3*tick*slots)
				}
				l.arm(a, in)
				pending[a] = true
			}
			step := rnd.Int64N(3 * tick)
			if ms := l.wheel.sleep(l.now); ms >= 0 && rnd.IntN(2) == 0 {
				step = ms // as the loop sleeps
			}
			l.moveTo(l.now + step)
			for a := range pending {
				switch {
				case a.rang != 0 && a.rang < a.due:
					t.Fatalf("seed %d: early: due %d, rang %d", seed, a.due, a.rang)
				case a.rang == 0 && l.now/tick > a.due/tick:
					t.Fatalf("seed %d: lost: due %d, now %d", seed, a.due, l.now)
				case a.rang != 0:
					delete(pending, a)
				}
			}
		}
	}
}
