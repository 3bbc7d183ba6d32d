package tlsconf

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/libdns/libdns"
)

// hookOutput bounds what is kept of what a program has written.
const hookOutput = 4 << 10

// hook changes records by a program of the operator's.
type hook struct{ d *DNS }

// AppendRecords is libdns.RecordAppender's.
func (h *hook) AppendRecords(ctx context.Context, zone string, records []libdns.Record) ([]libdns.Record, error) {
	return records, h.run(ctx, "present", zone, records)
}

// DeleteRecords is libdns.RecordDeleter's.
func (h *hook) DeleteRecords(ctx context.Context, zone string, records []libdns.Record) ([]libdns.Record, error) {
	return records, h.run(ctx, "cleanup", zone, records)
}

// run runs the program once for each record.
func (h *hook) run(ctx context.Context, what, zone string, records []libdns.Record) error {
	for _, r := range records {
		rr := r.RR()
		name := libdns.AbsoluteName(rr.Name, zone)
		if err := h.call(ctx, what, name, rr.Data); err != nil {
			return err
		}
	}
	return nil
}

// call runs the program. It gets the arguments as they are, no shell is in between, and of the environment nothing but where programs are.
func (h *hook) call(ctx context.Context, what, name, value string) error {
	limit := cmp.Or(h.d.Timeout, time.Minute)
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	args := append(slices.Clone(h.d.Command[1:]), what, name, value)
	c := exec.CommandContext(ctx, h.d.Command[0], args...)
	c.Env = []string{"PATH=" + programs}
	c.Dir = "/"
	c.WaitDelay = time.Second // for those it has started, who may hold its output open
	out := &last{most: hookOutput}
	c.Stdout, c.Stderr = out, out
	err := c.Run()
	if ctx.Err() != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("%s %s %s: not done within %s%s", h.d.Command[0], what, name, limit, out.quoted())
	}
	if err != nil {
		return fmt.Errorf("%s %s %s: %w%s", h.d.Command[0], what, name, err, out.quoted())
	}
	return nil
}

// last keeps the end of what is written to it.
type last struct {
	most int
	text []byte
}

// Write is io.Writer's.
func (l *last) Write(b []byte) (int, error) {
	l.text = append(l.text, b...)
	if over := len(l.text) - l.most; over > 0 {
		l.text = append(l.text[:0], l.text[over:]...)
	}
	return len(b), nil
}

// quoted is what was written, for the end of an error.
func (l *last) quoted() string {
	t := bytes.TrimSpace(l.text)
	if len(t) == 0 {
		return ""
	}
	return ": " + strings.ReplaceAll(string(t), "\n", "; ")
}
