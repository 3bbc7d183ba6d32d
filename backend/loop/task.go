package loop

import (
	"errors"
	"iter"
	"runtime"
	"runtime/debug"
	"time"
)

// Task is work that runs as a coroutine of a loop. A pointer receiver makes Go allocation-free.
type Task interface{ Run() }

// Func makes a Task of a function.
type Func func()

// Run calls f.
func (f Func) Run() { f() }

// tasks is the part of a loop that runs coroutines.
type tasks struct {
	l       *Loop
	owner   string // race builds: the goroutine of the loop
	cur     *co    // the running coroutine, nil while the loop itself runs
	free    []*co
	lowFree int // the least of len(free) since the last trim
	live    []*co
	ready   []*co  // woken: resumed in this turn
	tired   []*co  // gave way: resumed in the next turn
	starts  []Task // asked for by tasks

	running  []*co // the backing arrays of the lists that are being worked off
	starting []Task
	started  int // how many of starting have begun
	stopping bool
}

// co is a pooled coroutine and what it may be waiting for: one thing at a time.
type co struct {
	l     *Loop
	next  func() (struct{}, bool)
	stop  func()
	yield func(struct{}) bool
	task  Task
	at    int    // its place in live
	id    string // race builds: its goroutine
	work  int    // calls that did not park since it was resumed

	timer   Timer // of Event.Wait
	late    bool  // the timer came first
	waiting *co   // the next waiter of the same event
}

// keepIdle is how many idle coroutines a loop keeps, each with its stack. A task is started from the pool in 0.1 µs
// and with a new coroutine in 1 µs.
const keepIdle = 512

// errStopped unwinds a task whose loop ended.
var errStopped = errors.New("loop: stopped")

// Stopped reports whether v, which a task has got from recover, is no fault but the end of its loop. Every further wait panics with
// it again: a task that recovers panics of its own returns then, and answers and counts nothing.
func Stopped(v any) bool {
	err, _ := v.(error)
	return err == errStopped
}

// Go starts a task: at once when the loop itself calls, later in this turn when a task does.
func (l *Loop) Go(t Task) {
	l.check()
	if l.cur != nil {
		l.starts = append(l.starts, t)
		return
	}
	c := l.coroutine()
	c.task = t
	l.resume(c)
}

func (t *tasks) coroutine() *co {
	if n := len(t.free); n > 0 {
		c := t.free[n-1]
		t.free = t.free[:n-1]
		t.lowFree = min(t.lowFree, n-1)
		return c
	}
	c := &co{l: t.l, at: len(t.live)}
	c.timer.owner = c
	c.next, c.stop = iter.Pull(iter.Seq[struct{}](c.main))
	t.live = append(t.live, c)
	return c
}

func (c *co) main(yield func(struct{}) bool) {
	c.yield, c.id = yield, goid()
	for {
		c.run()
		t := &c.l.tasks
		if t.stopping {
			return
		}
		// A coroutine whose task has ended runs the next one that is due, instead of going back to the loop for that: of two
		// switches, 90 ns together, the answer to a stream of HTTP/2 that need not wait for anything costs none.
		if c.task = t.nextStart(); c.task != nil {
			c.work = 0
			continue
		}
		if len(t.free) >= keepIdle {
			t.forget(c)
			return
		}
		t.free = append(t.free, c)
		if !yield(struct{}{}) {
			return
		}
	}
}

func (t *tasks) forget(c *co) {
	last := len(t.live) - 1
	t.live[c.at] = t.live[last]
	t.live[c.at].at = c.at
	t.live[last] = nil
	t.live = t.live[:last]
}

func (c *co) run() {
	defer c.l.recovered()
	t := c.task
	c.task = nil
	t.Run()
}

// recovered ends a panic: of the task or callback alone.
func (l *Loop) recovered() {
	switch v := recover(); v {
	case nil, errStopped:
	default:
		l.panics.Add(1)
		if l.OnPanic != nil {
			l.OnPanic(v, debug.Stack())
		}
	}
}

// guard runs a callback of the loop.
func (l *Loop) guard(f func()) {
	defer l.recovered()
	f()
}

// resume runs a coroutine until it parks or its task ends. The loop itself calls.
func (l *Loop) resume(c *co) {
	c.work = 0
	l.cur = c
	c.next()
	l.cur = nil
}

// self returns the coroutine of the calling task. Every wait begins with it, so that nothing is left registered for a caller that
// cannot park.
func (l *Loop) self() *co {
	c := l.cur
	if c == nil || !c.mine() {
		panic("loop: a wait outside the running task of this loop")
	}
	return c
}

// park gives the processor back to the loop until somebody wakes the task.
func (c *co) park() {
	if !c.yield(struct{}{}) {
		panic(errStopped)
	}
}

func (t *tasks) wake(c *co) { t.ready = append(t.ready, c) }

// runnable reports whether tasks can run in this turn.
func (t *tasks) runnable() bool { return len(t.ready) > 0 || len(t.starts) > 0 }

// pending reports whether tasks can run without anything new happening.
func (t *tasks) pending() bool { return t.runnable() || len(t.tired) > 0 }

// runReady resumes what was woken and starts what tasks asked for. What those wake and ask for is left to the next call: tasks
// that wake one another for ever must not keep the loop from its sockets.
func (l *Loop) runReady() {
	l.ready, l.running = l.running[:0], l.ready
	for i, c := range l.running {
		l.running[i] = nil
		l.resume(c)
	}
	l.starts, l.starting, l.started = l.starting[:0], l.starts, 0
	for t := l.nextStart(); t != nil; t = l.nextStart() {
		l.Go(t)
	}
}

// nextStart returns the next task that runReady has to start, nil when there is none.
func (t *tasks) nextStart() Task {
	i := t.started
	if i == len(t.starting) {
		return nil
	}
	s := t.starting[i]
	t.starting[i] = nil
	t.started++
	return s
}

// later makes those that gave way ready for the next turn.
func (t *tasks) later() {
	t.ready = append(t.ready, t.tired...)
	clear(t.tired)
	t.tired = t.tired[:0]
}

// fairShare is how many reads and writes a task does before it gives way to the others.
const fairShare = 64

// Worked counts a call that did not park where it might have, and gives way, which parks, when it was one of many: for those who write without
// parking.
func (l *Loop) Worked() { l.worked() }

// worked counts a call that did not have to wait, and gives way when it was one of many.
func (l *Loop) worked() {
	if c := l.cur; c != nil {
		if c.work++; c.work >= fairShare {
			l.Yield()
		}
	}
}

// Yield lets everything else that is ready run first. It parks.
func (l *Loop) Yield() {
	c := l.self()
	l.tired = append(l.tired, c)
	c.park()
}

// Block runs f in a goroutine of its own and parks until it is done: disk, DNS, signatures that take long. A panic of f is
// raised in the task.
func (l *Loop) Block(f func()) { l.block(f, nil) }

// block is Block. If the loop has ended when f is done, so that no task is left to have what f made, it calls orphan, if that is not
// nil. A wake-up that was posted in time is honoured even when the loop is ending.
func (l *Loop) block(f, orphan func()) {
	c := l.self()
	var failed any
	go func() {
		defer func() {
			failed = recover()
			if !l.post(func() { l.wake(c) }) && orphan != nil {
				orphan()
			}
		}()
		f()
	}()
	c.park()
	if failed != nil {
		panic(failed)
	}
}

// Sleep parks for d.
func (l *Loop) Sleep(d time.Duration) {
	if d > 0 {
		var e Event
		e.Wait(l, d)
	}
}

// Coroutines returns how many coroutines exist and how many of them are idle.
func (l *Loop) Coroutines() (all, idle int) { return len(l.live), len(l.free) }

// stopTasks unwinds the tasks where they wait and ends all coroutines.
func (t *tasks) stopTasks() {
	t.stopping = true
	for len(t.live) > 0 {
		c := t.live[len(t.live)-1]
		t.forget(c)
		t.cur = c
		c.stop()
	}
	t.cur, t.free = nil, nil
}

// yieldThread lets other goroutines run.
func yieldThread() { runtime.Gosched() }
