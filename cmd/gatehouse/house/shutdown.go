package house

import (
	"context"
	"time"

	"gatehouse/frontend"
)

// logFlush is how long the last lines of a log may take to be written.
const logFlush = 2 * time.Second

// Grace returns how long the house goes on accepting connections after Shutdown was called: the longest grace of its frontends.
func (h *House) Grace() (longest time.Duration) {
	for _, d := range h.gen.Load().doors {
		longest = max(longest, d.grace)
	}
	return longest
}

// Shutdown tells monitors that the end is near, closes each address when its grace is over, and waits for the exchanges under way,
// until ctx ends: then they are cut. It returns ctx's error if any were.
func (h *House) Shutdown(ctx context.Context) error {
	h.announceEnd()
	h.turn.Lock()
	defer h.turn.Unlock()
	g := h.gen.Load()
	var open []*frontend.Listener
	for _, d := range g.doors {
		if d.n == nil {
			continue
		}
		open = append(open, d.n)
		if !h.left.Load() {
			d.n.Fail()
		}
		if d.grace <= 0 || ctx.Err() != nil || h.left.Load() {
			h.close(d.n)
			continue
		}
		t := time.AfterFunc(d.grace, d.n.Shutdown)
		defer t.Stop()
	}
	h.mu.Lock()
	for n := range h.retiring {
		open = append(open, n)
	}
	h.mu.Unlock()
	done := make(chan struct{})
	go func() {
		for _, n := range open {
			n.Wait()
		}
		close(done)
	}()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		err = ctx.Err()
		for _, n := range open {
			n.Abort()
		}
		<-done
	}
	h.end()
	return err
}

// Hurry says that a Shutdown shall not take a moment longer than it must, once its ctx has ended: what caches have not written to their disks yet is
// forgotten. From any goroutine.
func (h *House) Hurry() {
	for _, c := range h.gen.Load().caches {
		c.first.Hurry()
	}
}

// announceEnd lets no further reload begin.
func (h *House) announceEnd() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.stopping() {
		close(h.stop)
	}
}

// stopping reports whether the house has been told to end.
func (h *House) stopping() bool {
	select {
	case <-h.stop:
		return true
	default:
		return false
	}
}

// end closes everything. turn is held, and given away for a moment.
func (h *House) end() {
	h.announceEnd()
	g := h.gen.Load()
	for _, d := range g.doors {
		if d.n != nil {
			d.n.Abort()
			d.n.Wait()
		}
	}
	h.cancel()
	h.turn.Unlock() // a reload that waits for its turn must find that there is none
	h.after.Wait()
	h.turn.Lock()
	h.abandon(g, nil)
}

// closeLog closes a log.
func closeLog(l *frontend.Log) {
	ctx, cancel := context.WithTimeout(context.Background(), logFlush)
	defer cancel()
	l.Close(ctx)
}
