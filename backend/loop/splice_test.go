package loop

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"
	"time"
)

func TestSplice(t *testing.T) {
	everywhere(t, func(r rig) {
		for _, size := range []int{0, 1, 70_000, 3 << 20} {
			r.do(func() {
				a, src := r.pair()
				dst, b := r.pair()
				want := pattern(size)
				var done Event
				r.l.Go(Func(func() { a.Write(want); a.CloseWrite() }))
				r.l.Go(Func(func() {
					n, err := Splice(dst, src)
					if n != int64(size) || err != nil {
						r.Errorf("moved %d of %d, %v", n, size, err)
					}
					if src.BytesRead() != n || dst.BytesWritten() != n {
						r.Errorf("counted %d in, %d out, moved %d", src.BytesRead(), dst.BytesWritten(), n)
					}
					if src.Closed() || dst.Closed() {
						r.Error("closed a side")
					}
					dst.CloseWrite()
					done.Set(r.l)
				}))
				if got, err := io.ReadAll(b); !bytes.Equal(got, want) || err != nil {
					r.Errorf("got %d bytes of %d, %v", len(got), size, err)
				}
				done.Wait(r.l, 0)
				for _, c := range []*Conn{a, b, src, dst} {
					c.Close()
				}
			})
		}
	})
}

func TestSpliceKeepsBehindWhatIsQueued(t *testing.T) {
	everywhere(t, func(r rig) {
		r.do(func() {
			want := pattern(6 << 20)
			a, src := r.pair()
			dst, b := r.pair()
			dst.SetBuffered(true)
			dst.Write(want[:2<<20])
			dst.Write(want[2<<20 : 4<<20])
			r.l.Go(Func(func() { a.Write(want[4<<20:]); a.CloseWrite() }))
			r.l.Go(Func(func() { Splice(dst, src); dst.CloseWrite() }))
			if got, err := io.ReadAll(b); !bytes.Equal(got, want) || err != nil {
				r.Errorf("got %d bytes, %v", len(got), err)
			}
		})
	})
}

func TestSpliceEndsWithItsSides(t *testing.T) {
	everywhere(t, func(r rig) {
		for name, end := range map[string]struct {
			do   func(a, src, dst, b *Conn)
			want error // nil: any
		}{
			"source closed":      {func(a, src, dst, b *Conn) { src.Close() }, ErrClosed},
			"destination closed": {func(a, src, dst, b *Conn) { dst.Close(); a.Write([]byte("x")) }, ErrClosed},
			"reader gone": {func(a, src, dst, b *Conn) {
				b.Close()
				for !a.Closed() {
					a.SetWriteTimeout(ms)
					a.Write([]byte("x"))
					r.l.Yield()
				}
			}, nil},
			"idle":        {func(a, src, dst, b *Conn) { src.SetReadTimeout(ms) }, os.ErrDeadlineExceeded},
			"interrupted": {func(a, src, dst, b *Conn) { src.Interrupt() }, ErrInterrupted},
		} {
			r.do(func() {
				a, src := r.pair()
				dst, b := r.pair()
				r.l.Go(Func(func() { r.l.Yield(); end.do(a, src, dst, b) }))
				if _, err := Splice(dst, src); err == nil || end.want != nil && !errors.Is(err, end.want) {
					r.Errorf("%s: got %v, want %v", name, err, end.want)
				}
				for _, c := range []*Conn{a, b, src, dst} {
					c.Close()
				}
			})
		}
	})
}

func TestSpliceRespectsTheWriteTimeout(t *testing.T) {
	everywhere(t, func(r rig) {
		r.do(func() {
			a, src := r.pair()
			dst, _ := r.pair()
			r.l.Go(Func(func() { a.Write(make([]byte, 8<<20)) }))
			dst.SetWriteTimeout(120 * ms)
			r.timely("a splice to nobody", elapsed(func() {
				if _, err := Splice(dst, src); !errors.Is(err, os.ErrDeadlineExceeded) {
					r.Errorf("got %v", err)
				}
			}), 120*time.Millisecond)
		})
	})
}
