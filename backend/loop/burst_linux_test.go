package loop

import (
	"bytes"
	"io"
	"testing"
	"time"
)

// TestSpliceBurst: what is there is moved, in order and whole; what comes later, and the end, is left to be read.
func TestSpliceBurst(t *testing.T) {
	r := onEpoll(t)
	r.do(func() {
		a, src := r.pair()
		dst, b := r.pair()
		want := pattern(8 << 20)
		r.l.Go(Func(func() { a.Write(want); a.CloseWrite() }))
		var moved, copied int64
		r.l.Go(Func(func() {
			for {
				n, err := SpliceBurst(dst, src, time.Minute)
				if err != nil {
					r.Error(err)
				}
				moved += n
				p := make([]byte, 96<<10)
				k, err := src.Read(p)
				if err != nil {
					if err != io.EOF {
						r.Error(err)
					}
					break
				}
				dst.Write(p[:k])
				copied += int64(k)
			}
			dst.CloseWrite()
		}))
		got, err := io.ReadAll(b)
		if !bytes.Equal(got, want) || err != nil {
			r.Errorf("got %d bytes, %v", len(got), err)
		}
		if moved == 0 || moved+copied != int64(len(want)) {
			r.Errorf("moved %d and copied %d of %d", moved, copied, len(want))
		}
		if src.BytesRead() != int64(len(want)) || dst.BytesWritten() != int64(len(want)) {
			r.Errorf("counted %d in, %d out", src.BytesRead(), dst.BytesWritten())
		}
		if r.l.pipesOut != 0 || len(r.l.pipes.idle) != 1 {
			r.Errorf("%d pipes are out, %d idle", r.l.pipesOut, len(r.l.pipes.idle))
		}
	})
}

// TestSpliceBurstEndsWithTheReceiver: a receiver that takes nothing, or is gone, is an error, and the pipe with what it did not take is not
// used again.
func TestSpliceBurstEndsWithTheReceiver(t *testing.T) {
	r := onEpoll(t)
	for _, tt := range []struct {
		name string
		end  func(dst, b *Conn)
	}{
		{"takes nothing", func(dst, b *Conn) {}},
		{"is gone", func(dst, b *Conn) { b.Close() }},
		{"is closed here", func(dst, b *Conn) { dst.Close() }},
	} {
		r.do(func() {
			a, src := r.pair()
			dst, b := r.pair()
			r.l.Go(Func(func() { a.Write(pattern(64 << 20)) }))
			var done Event
			r.l.Go(Func(func() {
				for {
					if _, err := SpliceBurst(dst, src, 100*time.Millisecond); err != nil {
						break
					}
					if dst.Closed() {
						break
					}
					if err := src.WaitRead(); err != nil {
						r.Errorf("%s: %v", tt.name, err)
						break
					}
				}
				done.Set(r.l)
			}))
			r.l.Sleep(10 * time.Millisecond)
			tt.end(dst, b)
			if !done.Wait(r.l, 5*time.Second) {
				r.Errorf("%s: the burst goes on", tt.name)
			}
			if r.l.pipesOut != 0 {
				r.Errorf("%s: %d pipes are out", tt.name, r.l.pipesOut)
			}
			for _, c := range []*Conn{a, b, src, dst} {
				c.Close()
			}
		})
	}
}

// TestSpliceBurstWithoutPipe: when all pipes are out, nothing is moved and nothing is wrong.
func TestSpliceBurstWithoutPipe(t *testing.T) {
	r := onEpoll(t)
	r.do(func() {
		a, src := r.pair()
		dst, _ := r.pair()
		a.Write(pattern(100_000))
		var lent []pipe
		for {
			p, ok := r.l.takePipe()
			if !ok {
				break
			}
			lent = append(lent, p)
		}
		if len(lent) != mostPipes {
			r.Errorf("%d pipes were lent", len(lent))
		}
		if n, err := SpliceBurst(dst, src, 0); n != 0 || err != nil {
			r.Errorf("moved %d, %v", n, err)
		}
		for _, p := range lent {
			r.l.putPipe(p)
		}
		src.WaitRead()
		if n, err := SpliceBurst(dst, src, 0); n == 0 || err != nil {
			r.Errorf("with a pipe: moved %d, %v", n, err)
		}
	})
}
