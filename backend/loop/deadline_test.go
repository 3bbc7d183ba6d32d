package loop

import (
	"errors"
	"math"
	"os"
	"testing"
	"time"
)

const ms = time.Millisecond

func TestReadTimeout(t *testing.T) {
	everywhere(t, func(r rig) {
		r.do(func() {
			c, _ := r.pair()
			b := make([]byte, 1)
			for _, d := range []time.Duration{30 * ms, 50 * ms, 120 * ms, 1500 * time.Microsecond} {
				c.SetReadTimeout(d)
				r.timely("read", elapsed(func() {
					if _, err := c.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) {
						r.Errorf("got %v", err)
					}
				}), d)
				if _, err := c.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) { // it stays so
					r.Errorf("again: got %v", err)
				}
				if _, err := c.TryRead(b); !errors.Is(err, os.ErrDeadlineExceeded) {
					r.Errorf("TryRead: got %v", err)
				}
				if _, _, err := c.ReadBuf(0, 10); !errors.Is(err, os.ErrDeadlineExceeded) {
					r.Errorf("ReadBuf: got %v", err)
				}
			}
		})
	})
}

func TestReadTimeoutBoundsOnlyTheWaiting(t *testing.T) {
	everywhere(t, func(r rig) {
		r.do(func() {
			c, peer := r.pair()
			c.SetReadTimeout(30 * ms)
			c.WaitRead()
			peer.Write([]byte("late"))
			r.l.Sleep(60 * ms)
			b := make([]byte, 9)
			if n, err := c.Read(b); string(b[:n]) != "late" || err != nil {
				r.Errorf("got %q, %v", b[:n], err)
			}
		})
	})
}

// On the machine's clock a stall of the whole process would be one of the connection.
func TestReadTimeoutIsExtended(t *testing.T) {
	inBubble(t, func(r rig) {
		r.do(func() {
			c, _ := r.pair()
			var over Event
			r.l.Go(Func(func() {
				c.SetReadTimeout(150 * ms)
				r.timely("an extended read", elapsed(func() { c.Read(make([]byte, 1)) }), 450*ms)
				over.Set(r.l)
			}))
			start := time.Now()
			for time.Since(start) < 300*ms {
				r.l.Sleep(ms)
				c.SetReadTimeout(150 * ms)
			}
			if over.IsSet() {
				r.Error("expired though it was extended")
			}
			over.Wait(r.l, 0)
		})
	})
}

func TestTimeoutsAreCleared(t *testing.T) {
	everywhere(t, func(r rig) {
		r.do(func() {
			c, peer := r.pair()
			c.SetReadTimeout(30 * ms)
			c.SetReadTimeout(0)
			r.l.Go(Func(func() { r.l.Sleep(150 * ms); peer.Write([]byte("x")) }))
			if _, err := c.Read(make([]byte, 1)); err != nil {
				r.Errorf("cleared before it came: %v", err)
			}
			c.SetReadTimeout(ms)
			c.WaitRead()
			c.SetReadTimeout(-1)
			if _, err := c.TryRead(make([]byte, 1)); err != ErrWouldBlock {
				r.Errorf("cleared after it came: %v", err)
			}
		})
	})
}

func TestForeverIsATimeoutToo(t *testing.T) {
	everywhere(t, func(r rig) {
		r.do(func() {
			c, peer := r.pair()
			c.SetReadTimeout(math.MaxInt64)
			c.SetWriteTimeout(math.MaxInt64)
			r.l.Go(Func(func() { r.l.Sleep(150 * ms); peer.Write([]byte("x")) }))
			if _, err := c.Read(make([]byte, 1)); err != nil {
				r.Error(err)
			}
		})
	})
}

// fill writes until the socket and the peer take no more.
func fill(c *Conn) {
	c.SetWriteTimeout(ms)
	for {
		if _, err := c.Write(make([]byte, 64<<10)); err != nil {
			break
		}
	}
	c.SetWriteTimeout(0)
}

func TestWriteTimeout(t *testing.T) {
	everywhere(t, func(r rig) {
		r.do(func() {
			c, _ := r.pair()
			fill(c)
			for _, d := range []time.Duration{30 * ms, 120 * ms} {
				c.SetWriteTimeout(d)
				r.timely("write", elapsed(func() {
					if n, err := c.Write([]byte("x")); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
						r.Errorf("got %d, %v", n, err)
					}
				}), d)
			}
			c.SetBuffered(true)
			c.SetWriteTimeout(30 * ms)
			if _, err := c.Write([]byte("x")); err != nil {
				r.Errorf("a buffered write: %v", err)
			}
			if err := c.Drain(); !errors.Is(err, os.ErrDeadlineExceeded) {
				r.Errorf("Drain: %v", err)
			}
		})
	})
}

func TestWriteTimeoutSaysHowMuchWasWritten(t *testing.T) {
	r := onEpoll(t)
	r.do(func() {
		c, peer := r.pair()
		c.SetWriteTimeout(30 * ms)
		n, err := c.Write(make([]byte, 8<<20))
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		got := 0
		for b := make([]byte, 1<<20); ; {
			m, err := peer.TryRead(b)
			if err != nil {
				break
			}
			got += m
			peer.readable = true // a short read is not the end of it here
		}
		if got != n || int64(n) != c.BytesWritten() {
			t.Errorf("wrote %d by its own count, %d by the connection's; the peer read %d", n, c.BytesWritten(), got)
		}
	})
}

// A write deadline that is set while the read deadline has come but the wheel has not yet turned to it must not put it off.
func TestReadTimeoutIsNotLostToAWriteTimeout(t *testing.T) {
	inBubble(t, func(r rig) {
		r.do(func() {
			c, _ := r.pair()
			at := r.l.Now()
			c.SetReadTimeout(100*ms - time.Duration(at%tick)*ms) // due on a tick: it comes one later
			go func() {
				time.Sleep(120 * ms)
				r.l.Post(func() { c.SetWriteTimeout(time.Hour) })
			}()
			if got := elapsed(func() { c.WaitRead() }); got > 150*ms {
				r.Errorf("a read of 100 ms took %v", got)
			}
		})
	})
}

// The later of two deadlines neither starts nor ends anything twice.
func TestBothTimeoutsComeOnceEach(t *testing.T) {
	everywhere(t, func(r rig) {
		r.do(func() {
			c, _ := r.pair()
			fill(c)
			starts := 0
			c.SetReadTimeout(60 * ms)
			c.SetWriteTimeout(160 * ms)
			c.Watch(Func(func() {
				starts++
				c.Watch(Func(func() { starts++ })) // nothing new happens for it
			}))
			r.timely("write", elapsed(func() {
				if _, err := c.Write([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) {
					r.Error(err)
				}
			}), 160*ms)
			r.l.Yield()
			if starts != 1 {
				r.Errorf("the read deadline started %d tasks, want 1", starts)
			}
		})
	})
}

func TestDeadlinesAreThoseOfNetConn(t *testing.T) {
	everywhere(t, func(r rig) {
		r.do(func() {
			c, _ := r.pair()
			fill(c)
			for _, set := range []func(time.Time) error{c.SetDeadline, c.SetReadDeadline} {
				set(time.Now().Add(70 * ms))
				r.timely("read", elapsed(func() {
					if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
						r.Error(err)
					}
				}), 69*ms) // the loop's clock counts whole milliseconds
				set(time.Time{})
			}
			for _, set := range []func(time.Time) error{c.SetDeadline, c.SetWriteDeadline} {
				set(time.Unix(1, 0)) // the past
				r.timely("write", elapsed(func() {
					if _, err := c.Write([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) {
						r.Error(err)
					}
				}), 0)
				set(time.Time{})
			}
		})
	})
}

func TestSettingATimeoutOfAClosedConnLeavesNoTimer(t *testing.T) {
	everywhere(t, func(r rig) {
		r.do(func() {
			c, peer := r.pair()
			peer.Close()
			c.Close()
			c.SetReadTimeout(time.Minute)
			c.SetWriteTimeout(time.Minute)
			if n := r.l.wheel.n; n != 0 {
				r.Errorf("%d timers", n)
			}
		})
	})
}
