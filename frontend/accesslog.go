package frontend

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"gatehouse/backend/h1"
)

// Log writes one line for every exchange. Lines are formatted on the event loops, gathered in memory, and written by one
// goroutine: whatever becomes of the output, traffic does not wait for it. Lines that find no room any more are dropped and
// counted, and the count is said, in the log itself too, as soon as the output takes lines again.
//
// Its methods may be called from any goroutine, by several at once.
type Log struct {
	name   string
	form   LogFormat
	empty  bool
	clock  logClock
	report func(msg string)
	reopen func() (sink, error) // nil where there is nothing to open again

	stages  [64]stage     // by loop
	dropped atomic.Uint64 // lines
	idle    atomic.Bool   // the writer sleeps until it is rung

	mu     sync.Mutex // guards what follows, for as long as copying a stage takes
	fill   []byte     // whole lines not yet taken by the writer
	urged  bool       // the writer was told that fill is half full
	out    sink       // what the writer writes to
	next   sink       // what it shall write to from now on, nil: out
	closed bool

	bell chan struct{} // tells the writer to look at the above
	done chan struct{} // closed when the writer has ended
	lost error         // what it could not write then
}

const (
	// logBound is how many bytes of lines are kept while the output does not take any: at 200 bytes a line and 20,000 of
	// them per second, what comes in one second.
	logBound = 4 << 20
	// logRoom is what a buffer holds before it has to grow.
	logRoom = 256 << 10
)

// stage is where a loop formats its lines and leaves them until there are many, or the writer comes by. Loops that shared one
// buffer would spend a tenth of a request on two processors passing its cache lines to and fro.
type stage struct {
	mu     sync.Mutex // guards what follows. Contended only while the writer empties the stage
	lines  []byte
	closed bool
	_      [23]byte // to a cache line
}

const (
	// stageFull is when a loop itself hands its lines on.
	stageFull = 16 << 10
	// stageRoom is what a stage keeps its memory up to.
	stageRoom = 64 << 10
)

// OpenLog opens a log's output and starts writing to it. A file is created if need be, readable for its owner and group,
// and appended to. A syslog server need not be there yet. Troubles met later are reported, each once; report must not wait
// for long, nil drops them. The log's owner closes it.
func OpenLog(c *LogConfig, report func(msg string)) (*Log, error) {
	o, err := parseOutput(c.Output)
	if err != nil {
		return nil, fmt.Errorf("log %s: %w", c.Name, err)
	}
	s, err := o.open()
	if err != nil {
		return nil, fmt.Errorf("log %s: %w", c.Name, err)
	}
	l := newLog(c, s, report)
	l.reopen = o.open
	go l.write()
	return l, nil
}

func newLog(c *LogConfig, s sink, report func(string)) *Log {
	if report == nil {
		report = func(string) {}
	}
	l := &Log{name: c.Name, form: c.Format, empty: c.Empty, report: report, out: s,
		fill: make([]byte, 0, logRoom), bell: make(chan struct{}, 1), done: make(chan struct{})}
	l.clock.init(c.Format)
	return l
}

// Exchange writes the line of an exchange that ended, from its request and its Note. Of a request that could not be read
// (Note.Bad) only the Note counts, and whether it came over TLS; of a relayed connection (Note.Mode) the Note and the addresses. It does not wait, and it keeps nothing of x.
func (l *Log) Exchange(x *h1.Exchange) {
	id := 0
	if x.Loop != nil {
		id = x.Loop.ID
	}
	s := &l.stages[id%len(l.stages)]
	s.mu.Lock()
	if s.closed {
		l.dropped.Add(1)
		s.mu.Unlock()
		return
	}
	if s.lines == nil {
		s.lines = make([]byte, 0, stageFull+stageFull/4)
	}
	switch {
	case l.form == HTTPLog && x.Note.Mode == h1.TCP:
		s.lines = l.appendTCPLog(s.lines, x)
	case l.form == HTTPLog:
		s.lines = l.appendHTTPLog(s.lines, x)
	case l.form == Combined:
		s.lines = l.appendCombined(s.lines, x)
	default:
		s.lines = l.appendJSONLine(s.lines, x)
	}
	if len(s.lines) >= stageFull {
		l.put(s)
	}
	s.mu.Unlock()
	// The writer looks at the stages once more after it has said that it sleeps: one of us sees the other.
	if l.idle.Load() && l.idle.CompareAndSwap(true, false) {
		l.ring()
	}
}

// Empty reports whether the log wants lines of connections that ended before they sent a byte. Port scans and probes leave
// many, so by default it does not (HAProxy's dontlognull). Such a line is that of a bad request.
func (l *Log) Empty() bool { return l.empty }

// put hands the lines of a stage to the writer, or drops them when it cannot take any more. The stage is locked. A busy log costs no wake-up: the writer,
// once awake, comes back by itself until it finds nothing.
func (l *Log) put(s *stage) {
	l.mu.Lock()
	ring := l.gather(s)
	l.mu.Unlock()
	if ring {
		l.ring()
	}
}

// gather moves the lines of a stage to fill, or drops them. It reports whether the writer should hurry. Both are locked.
func (l *Log) gather(s *stage) (hurry bool) {
	n := len(l.fill) + len(s.lines)
	switch {
	case n > logBound:
		l.dropped.Add(uint64(bytes.Count(s.lines, []byte("\n"))))
	case n > cap(l.fill):
		l.fill = append(make([]byte, 0, min(max(2*cap(l.fill), n), logBound)), l.fill...)
		fallthrough
	default:
		l.fill = append(l.fill, s.lines...)
		hurry = n > logBound/2 && !l.urged
		l.urged = l.urged || hurry
	}
	if s.lines = s.lines[:0]; cap(s.lines) > stageRoom {
		s.lines = nil
	}
	return hurry
}

// gatherAll moves the lines of all stages. A log that is closed takes none afterwards. mu is not held.
func (l *Log) gatherAll() {
	for i := range l.stages {
		s := &l.stages[i]
		s.mu.Lock()
		l.mu.Lock()
		if len(s.lines) > 0 {
			l.gather(s)
		}
		s.closed = s.closed || l.closed
		l.mu.Unlock()
		s.mu.Unlock()
	}
}

// ring makes the writer look.
func (l *Log) ring() {
	select {
	case l.bell <- struct{}{}:
	default: // it has not yet looked since the last time
	}
}

// Dropped returns how many lines were lost since the log was opened.
func (l *Log) Dropped() uint64 { return l.dropped.Load() }

// Reopen opens the output again, under its old name: after a rotation, lines go to the new file. When that fails, they go
// on to the old one.
func (l *Log) Reopen() error {
	if l.reopen == nil {
		return nil
	}
	s, err := l.reopen()
	if err != nil {
		return fmt.Errorf("log %s: %w", l.name, err)
	}
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return s.Close()
	}
	s, l.next = l.next, s
	l.mu.Unlock()
	if s != nil {
		s.Close() // opened by an earlier Reopen and not yet written to
	}
	l.ring()
	return nil
}

// Close writes what is left, for as long as ctx lets it and the output takes it, and closes the output. Its error says
// that lines are lost. Lines that come later are dropped.
func (l *Log) Close(ctx context.Context) error {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.ring()
	select {
	case <-l.done:
		return l.lost
	case <-ctx.Done():
	}
	l.mu.Lock()
	out, next := l.out, l.next
	l.mu.Unlock()
	ends := out.interrupt()
	if next != nil {
		ends = next.interrupt() || ends
	}
	if ends {
		<-l.done
	}
	return fmt.Errorf("log %s: lines are left unwritten: %w", l.name, ctx.Err())
}
