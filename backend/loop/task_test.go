package loop

import (
	"errors"
	"io"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestTasksOfTasksRunLaterInTheTurn(t *testing.T) {
	everywhere(t, func(r rig) {
		var got []string
		note := func(s string) { got = append(got, s) }
		r.do(func() {
			r.l.Go(Func(func() { note("first"); r.l.Yield(); note("first again") }))
			r.l.Go(Func(func() { note("second") }))
			note("self")
			for range 3 {
				r.l.Yield()
			}
		})
		want := []string{"self", "first", "second", "first again"}
		if !slices.Equal(got, want) {
			r.Errorf("got %q, want %q", got, want)
		}
	})
}

// Tasks that need not wait for anything share one coroutine; one that has to wait does not hold up those behind it.
func TestTasksThatDoNotWaitShareACoroutine(t *testing.T) {
	everywhere(t, func(r rig) {
		var got []int
		r.do(func() {
			l := r.l
			before, idle := l.Coroutines()
			var e Event
			for i := range 40 {
				l.Go(Func(func() {
					if i == 20 {
						e.Wait(l, 0)
					}
					got = append(got, i)
				}))
			}
			l.Yield()
			if after, _ := l.Coroutines(); after-before > 2-idle {
				r.Errorf("40 tasks, of which one waits, have made %d coroutines beside %d idle ones, want 2 in all", after-before, idle)
			}
			if len(got) != 39 || slices.Contains(got, 20) {
				r.Errorf("ran: %v, want all but the one that waits", got)
			}
			e.Set(l)
			l.Yield()
		})
		if len(got) != 40 || !slices.IsSorted(got[:39]) || got[39] != 20 {
			r.Errorf("ran: %v, want them in their order and the one that waited at last", got)
		}
	})
}

// What goes wrong in a task does not touch the next one in its coroutine.
func TestPanicSparesTheNextTask(t *testing.T) {
	everywhere(t, func(r rig) {
		var panics []any
		on(r.l, func() { r.l.OnPanic = func(v any, _ []byte) { panics = append(panics, v) } })
		ran := 0
		r.do(func() {
			for i := range 3 {
				r.l.Go(Func(func() {
					if i == 1 {
						panic("mine")
					}
					ran++
				}))
			}
			r.l.Yield()
		})
		if ran != 2 || !slices.Equal(panics, []any{"mine"}) {
			r.Errorf("%d tasks ran and %v was reported, want 2 and one panic", ran, panics)
		}
	})
}

func TestTaskStartedByTheLoopRunsAtOnce(t *testing.T) {
	everywhere(t, func(r rig) {
		on(r.l, func() {
			ran := false
			r.l.Go(Func(func() { ran = true }))
			if !ran {
				r.Error("not run")
			}
		})
	})
}

func TestPostKeepsTheOrderOfEachGoroutine(t *testing.T) {
	everywhere(t, func(r rig) {
		const posters, each = 8, 2000
		var last [posters]int
		var wg sync.WaitGroup
		for p := range posters {
			wg.Go(func() {
				for i := range each {
					r.l.Post(func() {
						if last[p] != i {
							r.Errorf("poster %d: %d came when %d was due", p, i, last[p])
						}
						last[p]++
					})
				}
			})
		}
		wg.Wait()
		on(r.l, func() {
			for p, n := range last {
				if n != each {
					r.Errorf("poster %d: %d ran, want %d", p, n, each)
				}
			}
		})
	})
}

func TestTwoLoopsExchangeByPost(t *testing.T) {
	a, b := newLoopT(t), newLoopT(t)
	done := make(chan int)
	n := 0 // travels with the posts, so it needs no lock
	var ping, pong func()
	ping = func() {
		if n++; n < 20000 {
			b.Post(pong)
		} else {
			done <- n
		}
	}
	pong = func() { n++; a.Post(ping) }
	a.Post(ping)
	<-done
}

func TestTaskWaitsForAnotherLoop(t *testing.T) {
	a, b := newLoopT(t), newLoopT(t)
	do(a, func() {
		for i := range 1000 {
			var e Event
			got := 0
			b.Post(func() {
				b.Go(Func(func() { // computed there, handed over by Post
					v := i * i
					a.Post(func() { got = v; e.Set(a) })
				}))
			})
			if !e.Wait(a, 0) || got != i*i {
				t.Errorf("got %d, want %d", got, i*i)
				return
			}
		}
	})
}

func TestBlockRunsElsewhereAndParksOnlyTheTask(t *testing.T) {
	everywhere(t, func(r rig) {
		r.do(func() {
			release := make(chan struct{})
			others := 0
			r.l.Go(Func(func() {
				for range 3 {
					others++
					r.l.Yield()
				}
				close(release)
			}))
			got := 0
			r.l.Block(func() { <-release; got = 7 })
			if got != 7 || others != 3 {
				r.Errorf("got %d, others ran %d times; want 7 and 3", got, others)
			}
		})
	})
}

func TestBlockCarriesAPanicOver(t *testing.T) {
	everywhere(t, func(r rig) {
		cause := errors.New("cause")
		r.do(func() {
			defer func() {
				if v := recover(); v != cause {
					r.Errorf("recovered %v, want the cause", v)
				}
			}()
			r.l.Block(func() { panic(cause) })
			r.Error("came back from a panic")
		})
	})
}

func TestSleepTakesItsTime(t *testing.T) {
	everywhere(t, func(r rig) {
		for _, d := range []time.Duration{1, time.Microsecond, 10 * time.Millisecond, 49 * time.Millisecond, 50 * time.Millisecond, 51 * time.Millisecond,
			1999 * time.Microsecond, 130 * time.Millisecond} {
			r.do(func() { r.timely("Sleep", elapsed(func() { r.l.Sleep(d) }), d) })
		}
		r.do(func() {
			if got := elapsed(func() { r.l.Sleep(0); r.l.Sleep(-time.Second) }); r.mem && got != 0 {
				r.Errorf("sleeping for nothing took %v", got)
			}
		})
	})
}

// In a bubble long times pass at once, and exactly.
func TestLongSleepsAreExact(t *testing.T) {
	inBubble(t, func(r rig) {
		for _, d := range []time.Duration{time.Second, 51 * time.Second, 52 * time.Second, 10 * time.Minute, 25 * time.Hour} {
			r.do(func() {
				now := time.Duration(r.l.Now()) * time.Millisecond
				want := ((now+d)/(tick*time.Millisecond) + 1) * tick * time.Millisecond
				if got := now + elapsed(func() { r.l.Sleep(d) }); got != want {
					r.Errorf("Sleep(%v) at %v ended at %v, want %v", d, now, got, want)
				}
			})
		}
	})
}

func TestPanicsSpareTheLoopAndAreCounted(t *testing.T) {
	everywhere(t, func(r rig) {
		var told []any
		on(r.l, func() { r.l.OnPanic = func(v any, stack []byte) { told = append(told, v) } })
		uncomparable := []int{1}
		r.do(func() { panic("task") })
		on(r.l, func() { r.l.Go(Func(func() { panic(uncomparable) })) })
		on(r.l, func() { panic("post") })
		r.do(func() {
			r.l.Go(Func(func() { r.l.Yield(); panic("later") }))
			r.l.Yield()
			r.l.Yield()
			r.l.Yield()
		})
		on(r.l, func() {
			if r.l.Panics() != 4 || len(told) != 4 {
				r.Errorf("%d panics counted, %d told; want 4", r.l.Panics(), len(told))
			}
		})
	})
}

// A wait outside a task must leave nothing behind that the loop would stumble over.
func TestWaitsOutsideATaskPanicAndLeaveNothing(t *testing.T) {
	everywhere(t, func(r rig) {
		n := r.quiet()
		var e Event
		var c *Conn
		on(r.l, func() { c, _ = r.pair() })
		waits := map[string]func(){
			"Yield":    func() { r.l.Yield() },
			"Block":    func() { r.l.Block(func() {}) },
			"Sleep":    func() { r.l.Sleep(time.Millisecond) },
			"Wait":     func() { e.Wait(r.l, 0) },
			"WaitRead": func() { c.Read(make([]byte, 1)) },
		}
		for name, wait := range waits {
			before := n.Load()
			on(r.l, wait)
			on(r.l, func() {}) // a turn later
			if n.Load() != before+1 {
				r.Errorf("%s: %d panics, want 1", name, n.Load()-before)
			}
		}
		on(r.l, func() { e.Set(r.l) })
		r.do(func() { r.l.Yield() })
	})
}

// chatter makes two tasks that wake each other for ever, or until the loop stops.
func chatter(l *Loop) {
	var turn [2]Event
	for i := range turn {
		l.Go(Func(func() {
			for {
				turn[i].Clear()
				turn[1-i].Set(l)
				turn[i].Wait(l, 0)
			}
		}))
	}
}

type breeder struct{ l *Loop }

func (b *breeder) Run() { b.l.Go(b) }

// Each of these keeps its loop busy for ever. Sockets, timers and posts must have their turn all the same.
func TestNothingStarvesTheOthers(t *testing.T) {
	busy := map[string]func(r rig){
		"tasks that wake each other": func(r rig) { chatter(r.l) },
		"a task that starts another": func(r rig) { r.l.Go(&breeder{r.l}) },
		"a task that yields": func(r rig) {
			r.l.Go(Func(func() {
				for {
					r.l.Yield()
				}
			}))
		},
		"a reader that never has to wait": func(r rig) {
			a, b := r.pair()
			r.l.Go(Func(func() {
				b.Write([]byte("x"))
				for a.WaitRead() == nil { // never read, so always readable
				}
			}))
		},
		"a writer that never has to wait": func(r rig) {
			a, _ := r.pair()
			r.l.Go(Func(func() {
				for a.Drain() == nil {
				}
			}))
		},
		"posts that post": func(r rig) {
			var again func()
			again = func() { r.l.Post(again) }
			r.l.Post(again)
		},
		"a flusher that comes back": func(r rig) {
			f := &flusher{}
			f.f = func() { r.l.AtTurnEnd(f) }
			r.l.AtTurnEnd(f)
		},
	}
	for name, start := range busy {
		t.Run(name, func(t *testing.T) {
			r := onEpoll(t)
			var peer io.ReadWriter
			on(r.l, func() {
				start(r)
				c, p := r.half()
				peer = p
				r.l.Go(Func(func() { serveEcho(c) }))
			})
			for range 20 {
				roundTrip(r, peer, "hello")
			}
			r.do(func() { r.l.Sleep(60 * time.Millisecond) })
		})
	}
}

func TestWritesThatNeverWaitGiveWay(t *testing.T) {
	everywhere(t, func(r rig) {
		r.do(func() {
			a, b := r.pair()
			if r.mem {
				r.l.Go(Func(func() { io.Copy(io.Discard, b) }))
			}
			others, writes := false, 0
			r.l.Go(Func(func() { others = true }))
			for ; writes < 2*fairShare && !others; writes++ { // all of it fits into the socket
				if _, err := a.Write([]byte("x")); err != nil {
					r.Error(err)
					return
				}
			}
			if !others {
				r.Errorf("another task was kept waiting for %d writes", writes)
			}
		})
	})
}

func TestCoroutinePoolIsBounded(t *testing.T) {
	everywhere(t, func(r rig) {
		const n = 3 * keepIdle
		r.do(func() {
			var e Event
			for range n {
				r.l.Go(Func(func() { e.Wait(r.l, 0) }))
			}
			r.l.Yield()
			if all, _ := r.l.Coroutines(); all < n {
				r.Errorf("%d coroutines run %d tasks", all, n)
			}
			e.Set(r.l)
			r.l.Yield()
			if all, idle := r.l.Coroutines(); all > keepIdle+1 || idle > keepIdle {
				r.Errorf("%d coroutines kept, %d of them idle; want up to %d", all, idle, keepIdle)
			}
		})
	})
}

func TestGoexitOfATaskEndsTheLoopInGoodOrder(t *testing.T) {
	everywhere(t, func(r rig) {
		n := r.quiet()
		var peer io.Reader
		on(r.l, func() { _, peer = r.half() })
		r.l.Post(func() { r.l.Go(Func(func() { runtime.Goexit() })) })
		if _, err := peer.Read(make([]byte, 1)); err != io.EOF { // its connections are closed
			r.Errorf("the peer reads %v, want EOF", err)
		}
		r.l.Stop()
		if n.Load() != 1 {
			r.Errorf("told of %d panics, want 1", n.Load())
		}
	})
}

func TestStoppedTellsTheEndFromAFault(t *testing.T) {
	if Stopped(nil) || Stopped("x") || Stopped([]int{1}) || Stopped(errors.New("loop: stopped")) {
		t.Error("a fault taken for the end")
	}
	everywhere(t, func(r rig) {
		var got atomic.Value
		on(r.l, func() {
			r.l.Go(Func(func() {
				defer func() {
					v := recover()
					got.Store(Stopped(v))
					defer func() { // waiting on is in vain
						if !Stopped(recover()) {
							r.Error("parked after the end")
						}
					}()
					r.l.Sleep(time.Hour)
				}()
				r.l.Sleep(time.Hour)
			}))
		})
		r.l.Stop()
		if got.Load() != true {
			r.Errorf("Stopped said %v", got.Load())
		}
		if r.l.Panics() != 0 {
			r.Errorf("%d panics counted, want none", r.l.Panics())
		}
	})
}
