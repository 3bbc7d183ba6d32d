package frontend

import (
	"bytes"
	"fmt"
	"time"
)

const (
	// logPause is how long the writer lets lines gather after a batch. The first line after a silence is written at once.
	logPause = 10 * time.Millisecond
	// After an error the output is tried again after these times, doubling from the first to the second.
	logRetry, logRetryMax = 100 * time.Millisecond, 5 * time.Second
)

// logWriter is the state of a log's goroutine.
type logWriter struct {
	*Log
	timer   *time.Timer
	said    uint64 // dropped lines that were said
	trouble bool   // the output failed and has not worked since
	closing bool   // the log is closed: the next error is the end
	gone    uint64 // lines that were lost by that error
	why     error  // which it was
}

// write is the goroutine that owns the output. It ends when the log is closed and what was left is written.
func (l *Log) write() {
	defer close(l.done)
	w := &logWriter{Log: l, timer: time.NewTimer(0)}
	defer w.timer.Stop()
	defer func() { w.out.Close() }()
	spare := make([]byte, 0, logRoom)
	for {
		batch, dropped := w.take(spare)
		w.deliver(batch)
		if n := dropped - w.said; n > 0 && w.lost == nil {
			w.said = dropped
			w.deliver(w.appendDropped(nil, n))
			w.report(fmt.Sprintf("log %s: %d lines dropped: the output did not take them", w.name, n))
		}
		if w.closing {
			w.gatherAll() // and nothing comes any more
			w.mu.Lock()
			rest := w.fill
			w.mu.Unlock()
			if w.lost == nil {
				w.deliver(rest)
			} else {
				w.lose(rest, w.why)
			}
			return
		}
		if spare = batch; cap(spare) > logRoom && len(spare) < cap(spare)/8 {
			spare = make([]byte, 0, logRoom) // a jam that is over is no reason to keep its memory
		}
		w.wait(logPause)
	}
}

// take waits for lines and returns them, together with how many were dropped until now: these came after them. It returns
// an empty batch when the log was closed or the output was opened again. The lines that come next go to spare.
func (w *logWriter) take(spare []byte) (batch []byte, dropped uint64) {
	for asleep := false; ; {
		w.mu.Lock()
		roomy := len(w.fill) < logBound/2
		w.mu.Unlock()
		if roomy {
			w.gatherAll()
		}
		w.mu.Lock()
		if len(w.fill) > 0 || w.closed || w.next != nil {
			w.idle.Store(false)
			batch, w.fill = w.fill, spare[:0]
			w.urged = false
			dropped = w.dropped.Load()
			w.mu.Unlock()
			if !roomy { // now there is room
				w.gatherAll()
			}
			w.news()
			return batch, dropped
		}
		w.mu.Unlock()
		if asleep {
			<-w.bell
		}
		// Whoever logs looks at idle after leaving a line, so the stages are looked at once more after idle is set.
		asleep = !asleep
		w.idle.Store(asleep)
	}
}

// news learns what Close and Reopen want. It reports whether the output is another one now.
func (w *logWriter) news() (reopened bool) {
	w.mu.Lock()
	w.closing = w.closed
	old, next := w.out, w.next
	if next != nil {
		w.out, w.next = next, nil
	}
	w.mu.Unlock()
	if next != nil {
		old.Close()
	}
	return next != nil
}

// deliver writes lines, again and again until the output takes them or the log is closed.
func (w *logWriter) deliver(lines []byte) {
	pause, well := logRetry, false
	for at := 0; at < len(lines); {
		n, err := w.out.Write(lines[at:])
		at += n
		if well = err == nil; well {
			continue
		}
		if !w.trouble {
			w.trouble = true
			w.report(fmt.Sprintf("log %s: %v", w.name, err))
		}
		if w.closing {
			w.lose(lines[at:], err)
			return
		}
		w.wait(pause)
		pause = min(2*pause, logRetryMax)
		if w.news() {
			// The new output gets the whole of a line that was cut.
			at = bytes.LastIndexByte(lines[:at], '\n') + 1
		}
	}
	if w.trouble && well {
		w.trouble = false
		w.report(fmt.Sprintf("log %s: written again", w.name))
	}
}

// lose counts lines that are not written any more, since the log is closed and the output fails.
func (w *logWriter) lose(lines []byte, why error) {
	n := uint64(bytes.Count(lines, []byte("\n")))
	w.dropped.Add(n)
	w.gone += n
	w.why, w.lost = why, fmt.Errorf("log %s: %d lines lost: %w", w.name, w.gone, why)
}

// wait waits for that long, or until the bell rings.
func (w *logWriter) wait(d time.Duration) {
	w.timer.Reset(d)
	select {
	case <-w.timer.C:
	case <-w.bell:
	}
}
