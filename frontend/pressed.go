package frontend

import (
	"io"

	"gatehouse/backend/h1"
	"gatehouse/backend/loop"
)

// pressed is compressed content, a Body: a copy of it that is kept, or other content on its way through an encoder. It is pooled per
// loop.
type pressed struct {
	k    *compressor
	l    *loop.Loop
	copy []byte // not nil: all of it, in memory that never changes
	at   int

	body  h1.Body
	of    *encoders
	enc   *encoder // nil once all has gone through it
	in    []byte   // of body's last piece, what the encoder has not got
	last  bool     // nothing comes after in
	bare  bool     // not even trailers
	stats *CompressStats
	eager bool   // what the encoder holds goes out when the server pauses
	dirty bool   // the encoder holds something
	away  bool   // it is at work in a goroutine
	buf   []byte // lent by the loop, the beginning of enc.out
	given bool   // what is in there was handed out
	err   error

	step step   // what the encoder does next
	do   func() // takes that step; made once
}

// step is something an encoder can do.
type step uint8

const (
	stepWrite step = iota // takes a slice of in
	stepFlush
	stepClose
)

// sliceSize is how much an encoder gets at once; its blocks are larger, so most slices are only copied. handful is how much of its output goes
// out together.
const (
	sliceSize = 16 << 10
	handful   = 32 << 10
)

// take lends a body.
func (k *compressor) take(l *loop.Loop) *pressed {
	r := k.room(l)
	if n := len(r.free); n > 0 {
		b := r.free[n-1]
		r.free = r.free[:n-1]
		return b
	}
	b := &pressed{k: k, l: l}
	b.do = b.run
	return b
}

// Next is h1.Body's.
func (b *pressed) Next(wait bool) (h1.Piece, error) {
	if b.copy != nil {
		return b.nextOfCopy()
	}
	b.release()
	for b.enc != nil && b.err == nil {
		if err := b.fetch(wait); err != nil {
			b.err = err
			break
		}
		switch {
		case len(b.in) > 0:
			if !b.work(wait, stepWrite) {
				return h1.Piece{}, nil
			}
			if b.err == nil && len(b.enc.out) >= h1.Room+handful {
				return b.piece(false), nil
			}
		case b.last:
			if !b.work(wait, stepClose) {
				return h1.Piece{}, nil
			}
			if b.err == nil {
				p := b.piece(b.bare || b.body.Trailer() == nil)
				b.letGo()
				return p, nil
			}
		case b.dirty && b.eager:
			if !b.work(wait, stepFlush) {
				return h1.Piece{}, nil
			}
			if b.err == nil {
				return b.piece(false), nil
			}
		default: // the server pauses
			return h1.Piece{}, nil
		}
	}
	if b.err != nil {
		return h1.Piece{}, b.err
	}
	return h1.Piece{}, io.EOF
}

// nextOfCopy gives a piece of kept content. Under TLS, what is written is sealed at once: a client that reads slowly shall not make
// that all of it.
func (b *pressed) nextOfCopy() (h1.Piece, error) {
	const most = 64 << 10
	c := b.copy[b.at:]
	if len(c) == 0 {
		return h1.Piece{}, io.EOF
	}
	c = c[:min(len(c), most):min(len(c), most)]
	b.at += len(c)
	p := h1.PieceOf(c)
	p.Last = b.at == len(b.copy)
	return p, nil
}

// fetch gets the next piece to be compressed. Without one it parks if it may, but for what is to be flushed first.
func (b *pressed) fetch(wait bool) error {
	if len(b.in) > 0 || b.last {
		return nil
	}
	p, err := b.body.Next(false)
	if err == nil && p.Len() == 0 && wait && !(b.dirty && b.eager) {
		p, err = b.body.Next(true)
	}
	if err == io.EOF {
		b.last = true
		return nil
	}
	b.in = p.Data()
	b.stats.gave(len(b.in))
	b.last, b.bare = p.Last, p.Last
	return err
}

// run takes the step.
func (b *pressed) run() {
	switch b.step {
	case stepWrite:
		n := min(len(b.in), sliceSize)
		_, b.err = b.enc.coder.Write(b.in[:n])
		b.in, b.dirty = b.in[n:], true
	case stepFlush:
		b.err = b.enc.coder.Flush()
		b.dirty = false
	case stepClose:
		b.err = b.enc.coder.Close()
	}
}

// work lets the encoder take a step, when it is its turn. It reports false where it would have to park and may not.
func (b *pressed) work(wait bool, s step) bool {
	if !wait && b.of.heavy {
		return false
	}
	if b.buf == nil {
		b.buf = b.l.Buf()
		b.enc.out = b.buf[:h1.Room]
	}
	b.step = s
	p := &b.k.room(b.l).press
	if b.of.heavy {
		p.claim(b.l)
		defer p.pass(b.l)
		b.away = true // until it is back: the loop may end meanwhile
		b.l.Block(b.do)
		b.away = false
		return true
	}
	if !p.enter(b.l, wait) {
		return false
	}
	b.run()
	return true
}

// piece hands on what the encoder has put out.
func (b *pressed) piece(last bool) h1.Piece {
	out := b.enc.out
	p := h1.Piece{Buf: out, I: h1.Room, J: len(out), Last: last}
	if cap(out) == cap(b.buf) {
		p.Buf = b.buf // with the room behind it
	}
	b.given = true
	b.stats.got(len(out) - h1.Room)
	return p
}

// release takes back the memory of the last piece. What the encoder has put out since then stays.
func (b *pressed) release() {
	if !b.given {
		return
	}
	b.given = false
	if b.enc != nil {
		b.enc.out = nil
	}
	b.l.PutBuf(b.buf)
	b.buf = nil
}

// letGo gives back the encoder. What it has put out is still valid.
func (b *pressed) letGo() {
	if b.enc == nil {
		return
	}
	if !b.away { // else its goroutine has it, and nobody waits for that any more
		b.of.give(b.enc)
	}
	b.enc = nil
	b.k.under.Add(-b.of.cost)
}

// Trailer is h1.Body's.
func (b *pressed) Trailer() *h1.Header {
	if b.body == nil {
		return nil
	}
	return b.body.Trailer()
}

// Close is h1.Body's.
func (b *pressed) Close() {
	if b.away {
		b.letGo()
		b.body.Close()
		return
	}
	b.letGo()
	if b.buf != nil {
		b.l.PutBuf(b.buf)
	}
	if b.body != nil {
		b.body.Close()
	}
	r := b.k.room(b.l)
	*b = pressed{k: b.k, l: b.l, do: b.do}
	if len(r.free) < 256 {
		r.free = append(r.free, b)
	}
}
