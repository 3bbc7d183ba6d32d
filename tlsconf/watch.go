package tlsconf

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"
	"go.uber.org/zap"
)

const (
	settle      = 300 * time.Millisecond // of silence, before changed files are read: certificate and key are rarely replaced at once
	settleLimit = 3 * time.Second        // of unrest, after which they are read all the same
	pollEvery   = time.Minute            // for what the kernel does not report: network file systems, replaced directories
	reviewEvery = 12 * time.Hour         // how often certificates near their end are complained about
)

// errWatchLost ends a watch whose directory was moved away.
var errWatchLost = errors.New("a watched directory was moved or removed")

// watch takes up changed certificate files until ctx ends. From its start on it owns c.files and the index.
func (c *Certificates) watch(ctx context.Context) {
	reviewed := time.Now()
	watchFiles(ctx, c.c.Watch, c.log, watched{
		dirs:    c.files.dirs,
		changed: c.reread,
		poll: func(now time.Time) {
			if x := c.index.Load(); !x.turn.IsZero() && now.After(x.turn) {
				c.reindex(x.all, now)
			}
			if now.Sub(reviewed) >= reviewEvery {
				reviewed = now
				c.review(now)
			}
		},
	})
}

// watched is what a watch looks at and tells.
type watched struct {
	dirs    func() []string     // to watch, as things are now
	changed func(force bool)    // reads what has changed; with force, also what looks unchanged from outside
	poll    func(now time.Time) // once a minute
}

// watchFiles calls w after each change, and once a minute, until ctx ends.
func watchFiles(ctx context.Context, notify func(ctx context.Context, dirs []string, changed func()) error, log *zap.Logger, w watched) {
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	told := false
	for {
		dirs := w.dirs()
		events := make(chan struct{}, 1)
		ended := make(chan error, 1)
		watching, stop := context.WithCancel(ctx)
		go func() { // kernelEvents, or what the configuration puts in its place
			ended <- notify(watching, dirs, func() {
				select {
				case events <- struct{}{}:
				default:
				}
			})
		}()
		alive := true
		for again := false; !again; {
			select {
			case <-ctx.Done():
				stop()
				if alive {
					<-ended
				}
				return
			case err := <-ended:
				alive = false
				if err != nil && ctx.Err() == nil && !told {
					told = true
					log.Warn("certificate files are looked at once a minute only", zap.Error(err))
				}
			case <-events:
				awaitSilence(ctx, events)
				w.changed(true)
			case <-poll.C:
				w.changed(false)
				w.poll(time.Now())
				again = !alive
			}
			again = again || !slices.Equal(dirs, w.dirs())
		}
		stop()
		if alive {
			<-ended
		}
	}
}

// awaitSilence returns when no event came for a while, or too many.
func awaitSilence(ctx context.Context, events <-chan struct{}) {
	limit := time.NewTimer(settleLimit)
	defer limit.Stop()
	silence := time.NewTimer(settle)
	defer silence.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-limit.C:
			return
		case <-silence.C:
			return
		case <-events:
			silence.Reset(settle)
		}
	}
}

// reread reads changed files and serves what is good in them. A bad file leaves what was served before it.
func (c *Certificates) reread(force bool) {
	now := time.Now()
	changed, bad := c.files.read(force, now)
	c.refused.Store(c.files.refused())
	for _, f := range bad {
		if f.warning {
			c.log.Warn(f.problem, zap.String("file", f.file), zap.String("remedy", f.remedy))
			continue
		}
		c.log.Error("certificate file is not usable; what was served before it stays",
			zap.String("file", f.file), zap.String("problem", f.problem), zap.String("remedy", f.remedy))
	}
	if !changed {
		return
	}
	x := newIndex(c.files.served(), now)
	if len(x.all) == 0 {
		c.log.Error("no certificate file is usable; what was served before stays")
		return
	}
	c.reindex(x.all, now)
	c.log.Info("certificates loaded", zap.Strings("names", x.names()))
}

// reindex has the certificates of the files served: by themselves, or beside those that CAs issue.
func (c *Certificates) reindex(files []served, now time.Time) {
	if c.acme != nil {
		c.acme.setBridge(c.files.served())
		return
	}
	c.put(newIndex(files, now), now)
}

// review complains about certificates near or past their end.
func (c *Certificates) review(now time.Time) {
	for _, s := range c.index.Load().all {
		if l := lifeOf(s.cert.Leaf, now); l != valid {
			c.log.Warn(fmt.Sprintf("certificate for %s: %s", subject(s.cert.Leaf), l), zap.String("file", s.file), zap.Time("not_after", s.cert.Leaf.NotAfter))
		}
	}
}

// kernelEvents calls changed for each change the kernel reports in the directories, until ctx ends. It returns early, with an error, when it
// cannot watch them all.
func kernelEvents(ctx context.Context, dirs []string, changed func()) error {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watch certificate files: %w", err)
	}
	defer func() {
		w.Close()
		for range w.Events { // until its goroutine has ended
		}
	}()
	for _, d := range dirs {
		if err := w.Add(d); err != nil {
			return fmt.Errorf("watch %s: %w", d, err)
		}
	}
	// What changed between the reading of the files and now.
	changed()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-w.Errors: // events were lost
			changed()
		case e, ok := <-w.Events:
			if !ok {
				return errWatchLost
			}
			changed()
			if e.Has(fsnotify.Remove|fsnotify.Rename) && slices.Contains(dirs, e.Name) {
				return errWatchLost
			}
		}
	}
}
