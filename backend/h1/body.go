package h1

import (
	"errors"
	"fmt"
	"io"
	"time"

	"gatehouse/backend/loop"
)

// Content is the content of one message as it comes in on a Conn. It is the connection's own, reused for each of its messages, and a Body.
type Content struct {
	c       *Conn
	framing Framing
	left    int64 // ByLength
	chunks  chunks
	used    int    // bytes of input that the last piece kept in use
	buf     []byte // the buffer, taken over from the connection at the end
	done    bool   // everything has come
	closed  bool
	credit  int64 // milliseconds a client may still keep us waiting
	err     error

	// Received counts the bytes of content.
	Received int64
}

// What a client must keep to while it sends content. The client timeout bounds each wait alone: without a rate, a byte now and
// then would hold an exchange, and a place on a server, for ever.
const (
	// MinRate is how many bytes per second a client's content must have on average, framing included. The time in which
	// nobody wanted to read does not count.
	MinRate = 500
	// Grace is how long content may be slower than that at its beginning.
	Grace = 10 * time.Second
	// MaxCredit bounds how long content that was faster before may be slower.
	MaxCredit = time.Minute
)

var errSlow = fmt.Errorf("less than %d bytes per second", MinRate)

func (b *Content) begin(f Framing, length int64) *Content {
	*b = Content{c: b.c, framing: f, left: length, credit: Grace.Milliseconds()}
	return b
}

// fill waits for more, and holds a client to MinRate.
func (b *Content) fill() error {
	if b.c.Peer != ByClient {
		return b.c.Fill(true)
	}
	l, began, had := b.c.C.Loop(), b.c.C.Loop().Now(), b.c.Buffered()
	if err := b.c.Fill(true); err != nil {
		return err
	}
	b.credit -= l.Now() - began
	b.credit = min(b.credit+int64(b.c.Buffered()-had)*1000/MinRate, MaxCredit.Milliseconds())
	if b.credit < 0 {
		return &Error{Status: 408, Side: ByClient, Err: &readError{"content", errSlow}, Cause: 'c'}
	}
	return nil
}

// Ready reports whether the next piece is here, or the end.
func (b *Content) Ready() bool { return b.done || b.c.Buffered() > b.used }

// Done reports whether the whole content has come, so that the connection may carry the next message.
func (b *Content) Done() bool { return b.done }

// Err returns what ended the content early, nil while nothing did.
func (b *Content) Err() error { return b.err }

// Next is Body's.
func (b *Content) Next(wait bool) (Piece, error) {
	if b.err != nil {
		return Piece{}, b.err
	}
	b.consume()
	for !b.done {
		if b.c.r < b.c.w {
			p, err := b.take()
			if err != nil {
				b.err = &Error{Status: b.status(), Side: b.c.Peer, Err: err, State: 'D'}
				return Piece{}, b.err
			}
			if p.Len() > 0 {
				b.Received += int64(p.Len())
				return p, nil
			}
			if b.done {
				break
			}
		}
		err := b.c.Fill(false)
		if err == loop.ErrWouldBlock && wait {
			err = b.fill()
		}
		switch {
		case err == nil:
		case err == loop.ErrWouldBlock:
			return Piece{}, nil
		case err == io.EOF && b.framing == UntilClose:
			b.done = true
		default:
			e := b.c.failed(err, "content")
			e.State = 'D'
			if e.Err != nil && errors.Is(err, io.EOF) {
				e.Err = &readError{"content", io.ErrUnexpectedEOF}
			}
			b.err = e
			return Piece{}, e
		}
	}
	b.c.release()
	return Piece{}, io.EOF
}

func (b *Content) status() int {
	if b.c.Peer == ByClient {
		return 400
	}
	return 502
}

// consume lets go of the piece that was handed out.
func (b *Content) consume() {
	if b.buf != nil {
		b.c.C.Loop().PutBuf(b.buf)
		b.buf = nil
	}
	if b.used > 0 {
		b.c.r += b.used
		b.used = 0
		b.c.release()
	}
}

// take makes a piece of the unread input, an empty one when only framing was there.
func (b *Content) take() (Piece, error) {
	c := b.c
	p := Piece{Buf: c.buf, I: c.r, J: c.w}
	switch b.framing {
	case ByLength:
		if int64(p.Len()) >= b.left {
			p.J = p.I + int(b.left)
			b.done, p.Last = true, true
		}
		b.left -= int64(p.Len())
		if p.J < c.w { // the next message follows: hands off
			p.Buf = p.Buf[:p.J]
		}
		b.used = p.Len()
	case Chunked:
		for {
			i, j, used, done, err := b.chunks.next(c.buf[c.r:c.w])
			if err != nil {
				return Piece{}, err
			}
			if done {
				c.r += used
				b.done = true
				return Piece{}, nil
			}
			if j > i {
				p.I, p.J = c.r+i, c.r+j
				b.used = used
				p.Last = b.ends(c.r + used)
				// A writer may put CRLF behind the piece where CRLF stands already, or nothing yet. It must
				// never hide bytes that were not looked at.
				switch {
				case p.Last || p.J == c.w:
				case used >= j+2:
					p.Buf = p.Buf[:p.J+2]
				default:
					p.Buf = p.Buf[:p.J]
				}
				break
			}
			if used == 0 {
				return Piece{}, nil
			}
			c.r += used
		}
	case UntilClose:
		b.used = p.Len()
	}
	if b.done && c.r+b.used == c.w {
		// Nothing of the next message is here: the connection may go on to others while this piece is still being written.
		b.buf, c.buf, c.r, c.w, b.used = c.buf, nil, 0, 0, 0
	}
	return p, nil
}

// ends reports whether the input at offset at, behind a chunk, is exactly the end of a message whose last chunk was read, without
// trailers. It takes the end then. Only the decoder knows that: what stands behind the piece may be a remnant of chunks that were
// moved together.
func (b *Content) ends(at int) bool {
	c := b.c
	if b.chunks.state != chunkTrailer || b.chunks.section > 0 || string(c.buf[at:c.w]) != crlf {
		return false
	}
	if _, _, _, done, _ := b.chunks.next(c.buf[at:c.w]); !done {
		return false
	}
	b.done, b.used = true, c.w-c.r
	return true
}

// Detach makes the last piece independent of the connection, which may carry the next message then. It returns the piece's buffer, nil
// for none, for the caller to give back to the loop.
func (b *Content) Detach() []byte {
	if b.used > 0 && b.buf == nil {
		c := b.c
		if c.r+b.used < c.w { // a peer that sends on unasked: the connection is of no use any more
			c.w = c.r + b.used
			c.C.Close()
		}
		b.buf, b.used, c.buf, c.r, c.w = c.buf, 0, nil, 0, 0
	}
	p := b.buf
	b.buf = nil
	return p
}

// Trailer is Body's.
func (b *Content) Trailer() *Header {
	if b.framing == Chunked {
		return b.chunks.trailer
	}
	return nil
}

// Close is Body's. What has not been read stays with the connection, which is of no use then.
func (b *Content) Close() {
	if !b.closed {
		b.closed = true
		b.consume()
	}
}

// Static is content from memory, in one piece.
type Static struct {
	B    []byte
	sent bool
}

// Next is Body's.
func (s *Static) Next(bool) (Piece, error) {
	if s.sent || len(s.B) == 0 {
		return Piece{}, io.EOF
	}
	s.sent = true
	p := PieceOf(s.B)
	p.Last = true
	return p, nil
}

// Trailer is Body's.
func (s *Static) Trailer() *Header { return nil }

// Close is Body's.
func (s *Static) Close() {}
