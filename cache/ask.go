package cache

import (
	"bytes"
	"errors"
	"io"
	"time"

	"gatehouse/backend/h1"
	"gatehouse/backend/loop"
)

// ask is one request on its way through the cache, and the Body of its response where the cache has one to give. It is pooled per
// loop.
type ask struct {
	c    *Cache
	loop *loop.Loop
	w    *waiter
	stop func() // Exchange.Cancel, made once

	x       *h1.Exchange
	rule    *rule
	now     int64  // milliseconds of the store's clock
	target  []byte // as it goes into the key and to the server
	key     []byte
	hash    uint64
	req     h1.Header // of the request as it came in, once that is not enough
	offset  int64     // from the loop's clock to the store's
	purges  uint64    // what the store knew of orders to forget when the server was asked
	forgets uint64
	// background: no client asked, and none gets the answer.
	background bool
	bare       bool // the server that was asked got no cookies, whatever the client sent

	// The content: of an entry, or of a fill.
	segments  []segment
	segment   int
	pos       int64
	until     int64 // of a fill: where the part ends that is wanted, 0 for all of it
	content   [][]byte
	fill      *fill
	feeder    *feeder // of the fill, where it is this exchange that feeds it
	cancelled bool
	watch     watch
	held      *reading // of an entry whose content is on the disk
	fetched   bool     // the content came from there
	one       [1]segment
}

// waiter is what a fill knows of an ask that waits for it. It outlives the ask's turns: a fill on another loop may wake it when it waits for
// something else already, so who waits looks again.
type waiter struct {
	loop *loop.Loop
	more loop.Event // of loop alone
	wake func()     // sets more, for other loops to post
}

// segment is a part of what is sent: text, or content from from up to, and without, to.
type segment struct {
	text     []byte
	from, to int64
}

func newAsk(c *Cache, l *loop.Loop) *ask {
	w := &waiter{loop: l}
	w.wake = func() { w.more.Set(l) }
	a := &ask{c: c, loop: l, w: w}
	a.stop, a.watch.a = a.cancel, a
	return a
}

// reset makes a ready for the next request and keeps its memory.
func (a *ask) reset() {
	a.req.Reset()
	*a = ask{c: a.c, loop: a.loop, w: a.w, stop: a.stop, watch: watch{a: a}, target: a.target[:0], key: a.key[:0], req: a.req}
}

// cancel is Exchange.Cancel while the exchange waits for another one's answer.
func (a *ask) cancel() {
	a.cancelled = true
	a.w.more.Set(a.loop)
}

// supply makes a the body of the response: the content of an entry, or the segments of it that a has.
func (a *ask) supply(e *entry) {
	a.content = e.content
	if a.segments == nil {
		a.one[0] = segment{to: e.size}
		a.segments = a.one[:]
	}
	a.pos = a.segments[0].from
	a.x.Resp.Body = a
}

var errShort = errors.New("the stored content is shorter than it was said to be")

// Next is h1.Body's.
func (a *ask) Next(wait bool) (h1.Piece, error) {
	if a.fill != nil {
		return a.nextOfFill(wait)
	}
	for a.segment < len(a.segments) {
		s := &a.segments[a.segment]
		if s.text != nil {
			return a.piece(s.text), nil
		}
		if a.pos >= s.to {
			a.advance()
			continue
		}
		c, err := a.chunk(a.pos/chunkSize, wait)
		if c == nil {
			return h1.Piece{}, err
		}
		if int64(len(c)) <= a.pos%chunkSize {
			return h1.Piece{}, errShort
		}
		c = c[a.pos%chunkSize:]
		if n := s.to - a.pos; n < int64(len(c)) {
			c = c[:n:n]
		}
		if a.pos += int64(len(c)); a.pos < s.to {
			return h1.PieceOf(c), nil
		}
		return a.piece(c), nil
	}
	return h1.Piece{}, io.EOF
}

// piece makes the last piece of a segment.
func (a *ask) piece(b []byte) h1.Piece {
	p := h1.PieceOf(b)
	a.advance()
	p.Last = a.segment == len(a.segments)
	return p
}

func (a *ask) advance() {
	if a.segment++; a.segment < len(a.segments) {
		a.pos = a.segments[a.segment].from
	}
}

func (a *ask) nextOfFill(wait bool) (h1.Piece, error) {
	for {
		a.w.more.Clear()
		data, last, err := a.fill.read(a)
		switch {
		case err != nil:
			return h1.Piece{}, err
		case len(data) > 0:
			p := h1.PieceOf(data)
			p.Last = last
			return p, nil
		case !wait:
			return h1.Piece{}, nil
		case a.cancelled:
			return h1.Piece{}, gone()
		}
		if a.feeder == nil { // else it is this exchange that gets the content for the others
			a.watch.begin(true)
		}
		a.w.more.Wait(a.loop, 0)
		a.watch.end()
	}
}

// Trailer is h1.Body's.
func (a *ask) Trailer() *h1.Header {
	if a.fill == nil {
		return nil
	}
	a.fill.mu.Lock()
	defer a.fill.mu.Unlock()
	return a.fill.trailer
}

// afterlife bounds how long a fill goes on for nobody but the store.
const afterlife = time.Minute

// Close is h1.Body's. The exchange that feeds a fill lasts as long as the fill: a client that leaves does not spoil it for the
// others. It may park.
func (a *ask) Close() {
	if f := a.fill; f != nil {
		f.part(a)
		if d := a.feeder; d == nil {
			a.x.Cancel = nil
		} else {
			patience := afterlife
			if f.useless() {
				patience = time.Millisecond
			}
			for !d.over.Wait(a.loop, patience) && f.readBy() > 0 {
			}
			a.abandon(d)
		}
	}
	a.c.give(a)
}

// abandon ends a fill, if it has not ended.
func (a *ask) abandon(d *feeder) {
	if d.over.IsSet() {
		return
	}
	d.stop = true
	d.room.Set(a.loop)
	if a.x.Cancel != nil {
		a.x.Cancel()
	}
	d.over.Wait(a.loop, 0)
}

// tick reads the clock anew, after a wait.
func (a *ask) tick() { a.now = a.loop.Now() + a.offset }

// setKey makes the key of the request.
func (a *ask) setKey() {
	x, c := a.x, a.c
	target := x.Req.Target
	if c.query != nil {
		a.target = c.query.appendTarget(a.target[:0], target)
		target = a.target
	}
	a.key = appendKey(a.key[:0], c.o.Backend, x.Req.Secure, x.Req.Host, target)
	a.hash = c.store.hash(a.key)
}

// sameTarget reports whether the server is sent the request's own target.
func (a *ask) sameTarget() bool { return a.c.query == nil || bytes.Equal(a.target, a.x.Req.Target) }
