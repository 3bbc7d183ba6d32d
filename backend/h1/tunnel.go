package h1

import (
	"errors"
	"io"
	"os"
	"time"

	"gatehouse/backend/loop"
)

// Tunnel relays bytes between a and b until both have ended, one of them fails, or neither sends anything for that long (0 or less: no limit). It
// parks. An end of one side is passed on to the other, which may still send. It returns how many bytes went from a
// to b and from b to a, and whose fault an error was. It does not close them.
func Tunnel(a, b *Conn, patience time.Duration) (up, down int64, by Side, err error) {
	t := tunnel{patience: patience, busy: a.C.Loop().Now()}
	there := pipe{t: &t, from: a, to: b}
	back := pipe{t: &t, from: b, to: a}
	a.C.Loop().Go(&back)
	there.Run()
	back.done.Wait(a.C.Loop(), 0)
	return there.n, back.n, t.by, t.err
}

// tunnel is what both directions share.
type tunnel struct {
	patience time.Duration
	busy     int64 // when something last moved, in either direction
	by       Side
	err      error
}

// pipe is one direction.
type pipe struct {
	t        *tunnel
	from, to *Conn
	n        int64
	done     loop.Event
}

// Run relays until the end.
func (p *pipe) Run() {
	err := p.relay()
	if err != nil {
		if p.t.err == nil {
			p.t.err = err
		}
		// Whoever sits in the other direction finds out.
		p.from.C.Close()
		p.to.C.Close()
	}
	p.done.Set(p.from.C.Loop())
}

func (p *pipe) relay() error {
	t, l := p.t, p.from.C.Loop()
	p.from.Patience = 0
	for {
		for p.from.Buffered() == 0 {
			left := t.patience - time.Duration(l.Now()-t.busy)*time.Millisecond
			if t.patience > 0 {
				p.from.C.SetReadTimeout(max(left, time.Millisecond))
			} else {
				p.from.C.SetReadTimeout(0)
			}
			err := p.from.Fill(true)
			switch {
			case err == io.EOF:
				return p.to.CloseWrite()
			case errors.Is(err, os.ErrDeadlineExceeded) && l.Now()-t.busy < t.patience.Milliseconds():
				continue // the other direction is busy
			case err != nil:
				if t.err == nil {
					t.by = p.from.Peer
				}
				return err
			}
		}
		t.busy = l.Now()
		p.to.C.SetWriteTimeout(t.patience)
		b := p.from.Unread()
		if err := p.to.Write(b); err != nil {
			if t.err == nil {
				t.by = p.to.Peer
			}
			return err
		}
		t.busy = l.Now()
		p.n += int64(len(b))
		p.from.Discard(len(b))
	}
}
