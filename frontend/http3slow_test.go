package frontend

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/backend/h1"
	"gatehouse/backend/loop"
)

// dripping is content of which a piece comes at each tick.
type dripping struct {
	every time.Duration
	size  int
	left  int
}

func (d *dripping) Read(b []byte) (int, error) {
	time.Sleep(d.every)
	if d.left == 0 {
		return 0, io.EOF
	}
	n := min(d.size, d.left, len(b))
	d.left -= n
	return copy(b, bytes.Repeat([]byte("x"), n)), nil
}

// TestHTTP3SlowContent is row 39: content must come at the least rate on average, whatever a piece of it takes, and who is just fast enough may take
// as long as it likes.
func TestHTTP3SlowContent(t *testing.T) {
	for _, c := range []struct {
		name     string
		from     dripping
		patience time.Duration
		want     error // nil: it is whole
		within   time.Duration
	}{
		{"a byte a second", dripping{time.Second, 1, 1000}, time.Minute, errSlow, h1.Grace + 2*time.Second},
		{"just too slow", dripping{time.Second, h1.MinRate * 9 / 10, 100_000}, time.Minute, errSlow, 12 * h1.Grace},
		{"just fast enough", dripping{time.Second, h1.MinRate, 100_000}, time.Minute, nil, 210 * time.Second},
		{"silence", dripping{30 * time.Second, 1 << 10, 10 << 10}, 20 * time.Second, errSilent, 21 * time.Second},
		{"the silence that fast content has earned", dripping{30 * time.Second, 16 << 10, 160 << 10}, time.Minute, nil, 11 * 30 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := loop.NewMem(0)
			defer l.Stop()
			f := New(&Config{Name: "www"}, says("ok"), Options{})
			x := &http3Stream{q: &quicConn{}, req: &http.Request{}, e: &exchange{entry: &Entry{Frontend: f}}}
			x.room, x.Patience = &room{l: l}, c.patience
			from := c.from
			b := newHTTP3Body(x, &firstRead{from: &from})
			began, done := time.Now(), make(chan error)
			size := 0
			l.Post(func() {
				l.Go(loop.Func(func() {
					got, err := readAll(b)
					size = len(got)
					go func() { done <- err }()
				}))
			})
			err := <-done
			if took := time.Since(began); took > c.within {
				t.Errorf("%s: after %v, %v", c.name, took, err)
			}
			he, _ := errors.AsType[*h1.Error](err)
			switch {
			case c.want == nil && (err != nil || size != c.from.left):
				t.Errorf("%s: %d bytes, %v", c.name, size, err)
			case c.want != nil && (!errors.Is(err, c.want) || he == nil || he.Status != 408 || he.Cause != 'c'):
				t.Errorf("%s: %+v, want %v", c.name, err, c.want)
			}
			close(b.quit)
			x.q.running.Wait()
		})
	}
}
