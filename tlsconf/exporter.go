package tlsconf

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"time"

	"go.uber.org/zap"
)

// exporter writes the certificates of a block for other programs.
type exporter struct {
	c     *Certificates
	stale chan struct{} // something may be different
	lead  chan struct{} // closed when the block is in charge: one that never comes to it writes nothing
	jobs  []*exportJob
}

// exportJob is one export at work. One goroutine alone uses it.
type exportJob struct {
	*Export
	owed     bool // the program is still to be told
	failures int  // in a row
	due      time.Time
}

const (
	exportRetry    = time.Minute
	exportRetryMax = time.Hour
)

func newExporter(c *Certificates) *exporter {
	if len(c.c.Exports) == 0 {
		return nil
	}
	x := &exporter{c: c, stale: make(chan struct{}, 1), lead: make(chan struct{})}
	for _, e := range c.c.Exports {
		x.jobs = append(x.jobs, &exportJob{Export: e})
	}
	return x
}

// changed has the files looked at soon.
func (x *exporter) changed() {
	if x == nil {
		return
	}
	select {
	case x.stale <- struct{}{}:
	default:
	}
}

// begin lets the exports be written, from now on. It is called once.
func (x *exporter) begin() { close(x.lead) }

// run writes until ctx ends.
func (x *exporter) run(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-x.lead:
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for all := true; ; {
		now := time.Now()
		var next time.Time
		for _, j := range x.jobs {
			if all && j.failures == 0 || !j.due.IsZero() && !j.due.After(now) {
				x.do(ctx, j)
			}
			if !j.due.IsZero() && (next.IsZero() || j.due.Before(next)) {
				next = j.due
			}
		}
		if next.IsZero() {
			timer.Stop()
		} else {
			timer.Reset(time.Until(next))
		}
		all = false
		select {
		case <-ctx.Done():
			return
		case <-x.stale:
			all = true
			for _, j := range x.jobs {
				if j.failures > 0 {
					j.due = time.Now() // what was wrong may be right with another certificate
				}
			}
		case <-timer.C:
		}
	}
}

// do does one export, and notes when it is to be tried again.
func (x *exporter) do(ctx context.Context, j *exportJob) {
	log := x.c.log.With(zap.String("export", j.Path))
	written, err := x.write(j)
	if len(written) > 0 {
		log.Info("certificates exported", zap.Strings("files", written))
		j.owed = len(j.Reload) > 0
	}
	if err == nil && j.owed {
		if err = j.tell(ctx); err == nil {
			j.owed = false
			log.Info("told of exported certificates", zap.Strings("program", j.Reload))
		}
	}
	if err == nil || ctx.Err() != nil {
		j.failures, j.due = 0, time.Time{}
		return
	}
	j.failures++
	wait := min(exportRetry<<min(j.failures-1, 10), exportRetryMax)
	j.due = time.Now().Add(wait)
	log.Error("certificates not exported", zap.Error(err), zap.String("next_try", "in "+roughly(wait)))
}

// write brings the files up to date.
func (x *exporter) write(j *exportJob) (written []string, err error) {
	group, err := j.gid()
	if err != nil {
		return nil, err
	}
	index := x.c.index.Load()
	var errs []error
	done := map[string]bool{}
	for _, s := range index.all {
		names := namesOf(s.cert.Leaf)
		if len(names) == 0 || !j.wants(names) || x.c.interim(index, s.cert) {
			continue
		}
		name := names[0]
		if at := index.sites[name]; at == nil || at.ec != s.cert && at.rsa != s.cert {
			continue // another one is served for it
		} else if _, ok := s.cert.Leaf.PublicKey.(*rsa.PublicKey); ok && at.ec != nil {
			name += "-rsa"
		}
		if done[name] {
			continue
		}
		done[name] = true
		chain, key, err := splitPEM(s.cert)
		if err == nil && len(written) == 0 {
			err = makeDir(j.Path)
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		files, err := WriteExport(j.Path, j.Format, name, chain, key, group)
		written, errs = append(written, files...), append(errs, err)
	}
	return written, errors.Join(errs...)
}

// makeDir makes a directory for keys.
func makeDir(path string) error {
	if err := os.Mkdir(path, 0o751); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// tell runs the program.
func (j *exportJob) tell(ctx context.Context) error {
	program, err := findProgram(j.Reload[0])
	if err != nil {
		return fmt.Errorf("%s: %w", j.Reload[0], err)
	}
	limit := j.Timeout
	if limit == 0 {
		limit = time.Minute
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	c := exec.CommandContext(ctx, program, j.Reload[1:]...)
	c.Env = []string{"PATH=" + programs}
	c.Dir = "/"
	c.WaitDelay = time.Second // for those it has started, who may hold its output open
	out := &last{most: hookOutput}
	c.Stdout, c.Stderr = out, out
	err = c.Run()
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("%s: not done within %s%s", program, limit, out.quoted())
	case err != nil:
		return fmt.Errorf("%s: %w%s", program, err, out.quoted())
	}
	return nil
}
