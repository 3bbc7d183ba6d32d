package loop

import (
	"sync"
	"sync/atomic"
	"time"
)

// Flusher is called once at the end of a turn, on the loop itself.
type Flusher interface{ Flush() }

// Loop is one event loop. Its methods belong to its own tasks and to callbacks on it, but for those that say otherwise.
type Loop struct {
	// ID is the number given to New: rooms keep what they own per loop in a slice indexed by it.
	ID int

	// OnPanic is told of panics in tasks and callbacks. It must be set before traffic.
	OnPanic func(v any, stack []byte)

	now   int64 // milliseconds since start, read once per turn
	unix  int64 // Unix milliseconds, likewise
	start time.Time

	tasks
	buffers
	wheel wheel
	poller

	flush, flushing []Flusher

	mu     sync.Mutex // guards posted and rung
	posted []func()
	rung   bool // the loop was told and has not yet looked
	spare  []func()

	quit   atomic.Bool
	done   chan struct{}
	panics atomic.Uint64
	gone   int64 // now, when other goroutines last had their turn
}

func newLoop(id int) *Loop {
	l := &Loop{ID: id, start: time.Now(), done: make(chan struct{})}
	l.tasks.l = l
	l.unix = l.start.UnixMilli()
	l.wheel.init()
	return l
}

// NewMem starts a loop without epoll. It sleeps on a channel and a timer, so it runs inside a testing/synctest
// bubble, and its connections are served by goroutines; on platforms without epoll New gives such a loop too.
func NewMem(id int) *Loop {
	l := newLoop(id)
	l.poller.initMem()
	go l.run()
	return l
}

// Now returns the loop's coarse clock: milliseconds since it started, monotonic, read once per turn.
func (l *Loop) Now() int64 { return l.now }

// Unix returns the loop's coarse wall clock in Unix milliseconds.
func (l *Loop) Unix() int64 { return l.unix }

// Panics returns how many tasks have panicked. From any goroutine.
func (l *Loop) Panics() uint64 { return l.panics.Load() }

// AtTurnEnd calls f once when this turn ends. The caller keeps itself from being added twice.
func (l *Loop) AtTurnEnd(f Flusher) { l.flush = append(l.flush, f) }

// Post runs f on the loop, not as a task: f must not park. From any goroutine. After Stop, f never runs.
func (l *Loop) Post(f func()) {
	l.mu.Lock()
	l.posted = append(l.posted, f)
	ring := !l.rung
	l.rung = true
	l.mu.Unlock()
	if ring {
		l.poller.ring()
	}
}

// Stop closes every connection, ends every task, and returns when the loop has ended. From any goroutine but the
// loop's own tasks.
func (l *Loop) Stop() {
	l.quit.Store(true)
	l.Post(func() {})
	<-l.done
}

// yieldEvery is how long a busy loop keeps its processor from other goroutines, in milliseconds. Giving it up after every turn costs
// about 4 % of a proxied request on one core.
const yieldEvery = 1

// rounds bounds how often tasks that wake one another run before the loop looks at its sockets again.
const rounds = 8

func (l *Loop) run() {
	defer close(l.done)
	l.owner = goid()
	l.tick()
	for !l.quit.Load() {
		l.turn()
	}
	l.end()
}

// turn waits for something to do and does it.
func (l *Loop) turn() {
	l.poller.wait(l, l.pending())
	l.wheel.advance(l)
	for range rounds {
		l.runReady()
		if len(l.flush) == 0 {
			if !l.pending() {
				break
			}
			continue
		}
		l.flush, l.flushing = l.flushing[:0], l.flush
		for i, f := range l.flushing {
			l.flushing[i] = nil
			l.guard(f.Flush)
		}
	}
	l.later()
	if l.now-l.gone >= yieldEvery {
		l.gone = l.now
		yieldThread()
	}
}

// tick reads the clock.
func (l *Loop) tick() {
	t := time.Now()
	l.now, l.unix = t.Sub(l.start).Milliseconds(), t.UnixMilli()
}

func (l *Loop) runPosted() {
	l.mu.Lock()
	q := l.posted
	l.posted, l.rung = l.spare[:0], false
	l.mu.Unlock()
	for i, f := range q {
		q[i] = nil
		l.guard(f)
	}
	l.spare = q
}

// end closes the connections, gives tasks that wait for them the chance to finish, and stops the others where they are.
func (l *Loop) end() {
	l.poller.closeAll()
	for range 1000 {
		if !l.pending() && len(l.flush) == 0 {
			break
		}
		l.runReady()
		l.flush = l.flush[:0]
	}
	l.stopTasks()
	l.poller.close()
}
