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
	next            []Flusher // for the end of the next turn
	quiet           bool      // nothing had come when this turn began
	lates           []*Conn   // with something to write at the end of the turn

	listeners map[*Listener]struct{}

	mu      sync.Mutex // guards posted, rung and ended
	posted  []func()
	rung    bool           // the loop was told and has not yet looked
	ended   bool           // nothing posted runs any more
	ringing sync.WaitGroup // who is about to ring: the bell is not taken away from them
	spare   []func()

	quit    atomic.Bool
	done    chan struct{}
	panics  atomic.Uint64
	trimmed int64 // now, when idle memory was last given back
	gone    int64 // now, when other goroutines last had their turn
}

func newLoop(id int) *Loop {
	l := &Loop{ID: id, start: time.Now(), done: make(chan struct{}), listeners: map[*Listener]struct{}{}}
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

// AtNextTurnEnd calls f once when the next turn ends, which begins without a sleep: for those who would rather have more to say first, if
// there is more to come. From Flush alone.
func (l *Loop) AtNextTurnEnd(f Flusher) { l.next = append(l.next, f) }

// Quiet reports whether nothing had come when this turn began: who waits for more waits for long.
func (l *Loop) Quiet() bool { return l.quiet }

// Post runs f on the loop, not as a task: f must not park. From any goroutine. When the loop has ended, f never runs.
func (l *Loop) Post(f func()) { l.post(f) }

// post is Post and reports whether f will run.
func (l *Loop) post(f func()) bool {
	l.mu.Lock()
	if l.ended {
		l.mu.Unlock()
		return false
	}
	l.posted = append(l.posted, f)
	ring := !l.rung
	if ring {
		l.rung = true
		l.ringing.Add(1)
	}
	l.mu.Unlock()
	if ring {
		l.poller.ring()
		l.ringing.Done()
	}
	return true
}

// Stop closes every listener and connection, ends every task, and returns when the loop has ended. Tasks that wait for a connection
// get ErrClosed; those that wait for anything else are unwound by a panic that nobody sees but their own recover (see Stopped). From
// any goroutine but that of the loop.
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
	defer l.exited()
	l.owner = goid()
	l.tick()
	for !l.quit.Load() {
		l.turn()
	}
	l.end()
}

// exited ends the loop in good order when a task has called runtime.Goexit, which takes the loop's goroutine with it. Only tests do so, by
// t.Fatal.
func (l *Loop) exited() {
	if l.ended {
		return
	}
	if v := recover(); v != nil {
		panic(v)
	}
	l.panics.Add(1)
	if l.OnPanic != nil {
		l.OnPanic("loop: a task called runtime.Goexit; the loop ends", nil)
	}
	l.cur = nil
	l.end()
}

// turn waits for something to do and does it.
func (l *Loop) turn() {
	l.poller.wait(l, l.pending() || len(l.flush) > 0 || len(l.next) > 0)
	if len(l.next) > 0 {
		l.flush = append(l.flush, l.next...)
		clear(l.next)
		l.next = l.next[:0]
	}
	l.wheel.advance(l)
	for range rounds {
		l.runReady()
		if len(l.lates) > 0 { // before what takes longer: servers have something to do meanwhile
			l.WriteLate()
		}
		if !l.runnable() && len(l.flush) == 0 {
			break
		}
		l.flush, l.flushing = l.flushing[:0], l.flush
		for i, f := range l.flushing {
			l.flushing[i] = nil
			l.guard(f.Flush)
		}
	}
	if len(l.lates) > 0 {
		l.WriteLate()
	}
	l.later()
	if l.now-l.trimmed >= trimEvery {
		l.trim()
	}
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
	if l.spare = nil; cap(q) <= keepPosts {
		l.spare = q
	}
}

// keepPosts bounds the list of posted functions that is kept for the next ones.
const keepPosts = 4096

// lastRounds bounds what tasks may still do when their loop ends.
const lastRounds = 1000

// end closes the connections, gives tasks that wait for them the chance to finish, and stops the others where they are.
func (l *Loop) end() {
	l.mu.Lock()
	l.ended = true
	l.mu.Unlock()
	l.runPosted() // who posted before that was promised a run: it may hand over what must be closed
	for n := range l.listeners {
		n.Close()
	}
	l.poller.closeAll()
	for range lastRounds {
		if !l.pending() {
			break
		}
		l.runReady()
		l.later()
	}
	l.stopTasks()
	l.poller.closeAll() // what tasks have dialled meanwhile
	l.flush, l.next = nil, nil
	l.ringing.Wait()
	l.poller.close()
}
