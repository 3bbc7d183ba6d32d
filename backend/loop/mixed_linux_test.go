package loop

import (
	"io"
	"math/rand/v2"
	"testing"
)

// FuzzMixedWritesAndReads: however late and prompt writes, gathering, reading ahead and both ways to what was read are mixed, every byte comes
// once and in its order, behind the last one is the end, and the counts agree.
func FuzzMixedWritesAndReads(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		r := onEpoll(t)
		r.do(func() {
			a, b := r.pair()
			const size = 300_000
			want := pattern(size)
			var written Event
			r.l.Go(Func(func() {
				defer written.Set(r.l)
				if err := writeMixed(a, want, rand.New(rand.NewPCG(seed, 1))); err != nil {
					t.Errorf("write: %v", err)
				}
			}))
			got := readMixed(b, want, rand.New(rand.NewPCG(seed, 2)))
			written.Wait(r.l, 0)
			if got != size || b.BytesRead() != size || a.BytesWritten() != size {
				t.Errorf("%d bytes came as they should, %d read, %d written, of %d", got, b.BytesRead(), a.BytesWritten(), size)
			}
			b.Close()
			if n := len(b.ahead.buf); n != 0 {
				t.Errorf("%d bytes that were read ahead are still held", n)
			}
		})
	})
}

// writeMixed writes all of p and ends the connection.
func writeMixed(c *Conn, p []byte, random *rand.Rand) error {
	for len(p) > 0 {
		most := []int{3, 600, lateMost, 3 * lateMost, 100_000}[random.IntN(5)]
		n := min(len(p), 1+random.IntN(most))
		var err error
		switch random.IntN(6) {
		case 0:
			_, err = c.Write(p[:n])
		case 1:
			c.Hold()
			c.Write(p[:n/2])
			c.Write(p[n/2 : n])
			err = c.Release()
		default:
			_, err = late(c, p[:n])
		}
		if err != nil {
			return err
		}
		p = p[n:]
		switch random.IntN(8) {
		case 0:
			c.l.Yield()
		case 1:
			err = c.Drain()
		case 2:
			c.l.WriteLate()
		case 3:
			c.l.Worked()
		}
		if err != nil {
			return err
		}
	}
	if random.IntN(2) == 0 {
		return c.CloseWrite()
	}
	if err := c.Drain(); err != nil { // Close waits for nobody
		return err
	}
	return c.Close()
}

// readMixed reads to the end and returns how many bytes came that are those of want.
func readMixed(c *Conn, want []byte, random *rand.Rand) (n int) {
	agrees := func(p []byte) bool {
		if len(p) > len(want)-n || string(p) != string(want[n:n+len(p)]) {
			return false
		}
		n += len(p)
		return true
	}
	p := make([]byte, 50_000)
	for {
		c.SetEager(random.IntN(4) > 0)
		switch random.IntN(6) {
		case 0:
			c.l.Yield()
		case 1, 2, 3:
			if c.WaitRead() != nil {
				return n
			}
		}
		if random.IntN(2) == 0 {
			buf, from, to := c.TakeAhead()
			if buf != nil {
				ok := agrees(buf[from:to])
				c.l.PutBuf(buf)
				if !ok {
					return -1
				}
				continue
			}
		}
		m, err := c.TryRead(p[:1+random.IntN(len(p))])
		switch {
		case !agrees(p[:m]):
			return -1
		case err == io.EOF:
			return n
		case err != nil && err != ErrWouldBlock:
			return -2
		}
	}
}
