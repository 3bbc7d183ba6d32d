package cache

import (
	"errors"
	"io"
	"time"

	"gatehouse/backend/h1"
	"gatehouse/backend/loop"
)

// feeder is the task that reads the content from the server.
type feeder struct {
	f    *fill
	body h1.Body
	loop *loop.Loop
	most int64
	stop bool       // nobody wants the answer any more
	room loop.Event // for the feeder, when it is too far ahead
	over loop.Event // it has ended, and the body is closed
}

// errCut ends a fill that somebody stopped.
var errCut = errors.New("the answer was not fetched to its end")

func cut() error { return &h1.Error{Status: 502, Side: h1.ByProxy, Err: errCut, State: 'D'} }

// Run feeds the fill to its end.
func (d *feeder) Run() {
	ended := false
	defer func() { // also by a panic, or the end of the loop
		if !ended {
			defer d.over.Set(d.loop)
			d.f.fail(d.loop, cut())
			d.body.Close()
		}
	}()
	err := d.feed(true)
	ended = true
	d.close(err)
}

// feed adds what comes to the fill. Without wait it returns nil where it would park; io.EOF: all is here.
func (d *feeder) feed(wait bool) error {
	for {
		p, err := d.body.Next(wait)
		switch {
		case err != nil:
			return err
		case p.Len() == 0 && !wait:
			return nil
		}
		d.f.add(d.loop, p.Data(), d.most)
		if p.Last {
			return io.EOF
		}
		for d.f.ahead() && !d.stop {
			if !wait {
				return nil
			}
			d.room.Clear()
			if d.f.ahead() {
				patience, since := d.f.patience(), d.loop.Now()
				d.room.Wait(d.loop, patience)
				d.f.hasWaited(patience, time.Duration(d.loop.Now()-since)*time.Millisecond)
			}
		}
		if d.stop {
			return cut()
		}
	}
}

// close ends the fill and the body. err is what feed returned.
func (d *feeder) close(err error) {
	switch {
	case err != io.EOF:
		d.f.fail(d.loop, err)
	case d.f.short():
		d.f.fail(d.loop, cut())
	default:
		d.f.finish(d.loop, clone(d.body.Trailer()))
	}
	d.body.Close()
	d.over.Set(d.loop)
}

// clone returns a copy of a header, nil for nil.
func clone(h *h1.Header) *h1.Header {
	if h == nil {
		return nil
	}
	o := &h1.Header{}
	o.CopyFrom(h)
	return o
}
