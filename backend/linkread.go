package backend

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"gatehouse/backend/h1"
	"gatehouse/backend/h2"
	"gatehouse/backend/loop"
)

// What ends a link.
var (
	errFirstFrame   = &h2.Error{Code: h2.ProtocolError, Why: "the first frame is not SETTINGS"}
	errLongFrame    = &h2.Error{Code: h2.FrameSizeError, Why: "a frame longer than allowed"}
	errContinuation = &h2.Error{Code: h2.ProtocolError, Why: "a header block is not continued, or there is none"}
	errWrongStream  = &h2.Error{Code: h2.ProtocolError, Why: "a frame on a stream that it must not be on"}
	errNoIncrement  = &h2.Error{Code: h2.ProtocolError, Why: "WINDOW_UPDATE by 0"}
	errBigWindow    = &h2.Error{Code: h2.FlowControlError, Why: "a window beyond 2^31-1"}
	errOverrun      = &h2.Error{Code: h2.FlowControlError, Why: "more content than the window allows"}
	errLongHead     = &h2.Error{Code: h2.EnhanceYourCalm, Why: "a header block that goes on and on"}
)

// plainAnswer is what servers begin with that take the preface for a request of HTTP/1.
var plainAnswer = []byte("HTTP/1.")

// readsPerTurn is how often the reader reads before others have their turn.
const readsPerTurn = 4

// read reads frames until it would have to park, the end, or an error. It returns no nil.
func (k *link) read() error {
	b := k.l.Buf()
	defer func() { k.l.PutBuf(b) }()
	n := copy(b, k.in)
	if k.in != nil {
		k.l.PutSmall(k.in)
		k.in = nil
	}
	for i := 1; ; i++ {
		m, err := k.tryRead(b[n:min(len(b), n+96<<10)])
		if m == 0 && err == nil { // an empty TLS record
			continue
		}
		if err != nil {
			if n > 0 && (err == loop.ErrWouldBlock || errors.Is(err, os.ErrDeadlineExceeded)) {
				k.in = append(k.l.Small(), b[:n]...)
			}
			return err
		}
		n += m
		k.heard, k.vital.asked = k.l.Now(), false
		used, err := k.frames(b[:n])
		if err != nil {
			return err
		}
		n = copy(b, b[used:n])
		if i%readsPerTurn == 0 {
			k.l.Yield()
		}
		if k.dead != nil {
			return k.dead
		}
	}
}

// tryRead reads what has come, without parking.
func (k *link) tryRead(b []byte) (int, error) {
	if k.t == nil {
		return k.c.TryRead(b)
	}
	k.c.SetTry(true)
	n, err := k.t.Read(b)
	k.c.SetTry(false)
	return n, err
}

// frames takes the whole frames that b begins with, and returns how many bytes they have.
func (k *link) frames(b []byte) (used int, err error) {
	if !k.ready && bytes.HasPrefix(b, plainAnswer) {
		return 0, errPlainServer
	}
	for len(b)-used >= h2.FrameHead {
		f := h2.ParseFrame(b[used:])
		if !k.ready && (f.Type != h2.SettingsFrame || f.Flags.Has(h2.Ack)) {
			return used, errFirstFrame
		}
		if f.Len > h2.MaxFrame {
			return used, errLongFrame
		}
		end := used + h2.FrameHead + f.Len
		if end > len(b) {
			break
		}
		if err := k.frame(f, b[used+h2.FrameHead:end]); err != nil {
			return used, err
		}
		if used = end; k.dead != nil {
			break
		}
	}
	return used, nil
}

// frame takes a frame. It does not park. An error ends the link.
func (k *link) frame(f h2.Frame, p []byte) error {
	if k.head.Len > 0 && (f.Type != h2.Continuation || f.Stream != k.head.Stream) {
		return errContinuation
	}
	if err := f.Check(); err != nil {
		return err
	}
	switch f.Type {
	case h2.Data:
		return k.content(f, p)
	case h2.Headers:
		return k.headers(f, p)
	case h2.Continuation:
		return k.continued(f, p)
	case h2.ResetStream:
		return k.resetBy(f, p)
	case h2.WindowUpdate:
		return k.widen(f, p)
	case h2.SettingsFrame:
		return k.settings(f, p)
	case h2.Ping:
		return k.ping(f, p)
	case h2.GoAway:
		return k.goAway(f, p)
	}
	return nil // "Implementations MUST ignore and discard frames of unknown types." (RFC 9113 4.1)
}

// settings takes the server's settings.
func (k *link) settings(f h2.Frame, p []byte) error {
	if f.Flags.Has(h2.Ack) {
		return nil
	}
	for len(p) > 0 {
		var s h2.Setting
		var v uint32
		var err error
		if s, v, p, err = h2.NextSetting(p); err != nil {
			return err
		}
		switch s {
		case h2.MaxConcurrentStreams:
			k.most = int(min(v, mostCalls))
		case h2.InitialWindowSize:
			if err := k.firstWindow(int64(v)); err != nil {
				return err
			}
		case h2.HeaderTableSize:
			// We never put anything into a table. Who wants one smaller than it is at first must be told so once (RFC 7541 4.2).
			k.shrink = k.shrink || v < h2.TableSize && !k.shrunk
		}
	}
	k.mark()
	k.out = h2.AppendFrame(k.out, h2.Frame{Type: h2.SettingsFrame, Flags: h2.Ack})
	if !k.ready {
		k.begun()
	}
	return nil
}

func (k *link) ping(f h2.Frame, p []byte) error {
	if !f.Flags.Has(h2.Ack) {
		k.mark()
		k.out = h2.AppendPing(k.out, true, p)
	}
	return nil
}

// goAway takes GOAWAY: "Endpoints MUST NOT open additional streams on the connection", and those above the last one that the server names
// "were not or will not be processed", so they go elsewhere (RFC 9113 6.8).
func (k *link) goAway(f h2.Frame, p []byte) error {
	last, code := binary.BigEndian.Uint32(p)&0x7fffffff, h2.Code(binary.BigEndian.Uint32(p[4:]))
	k.away = true
	for i := range k.table {
		for s, next := k.table[i], (*call)(nil); s != nil; s = next {
			if next = s.next; s.id > last {
				s.safe = true
				k.lose(s, refused(errFarewell))
			}
		}
	}
	if code != h2.NoError && k.n > 0 {
		return fmt.Errorf("the server has ended the connection: %v", code)
	}
	k.retire()
	return nil
}

// headers takes a HEADERS frame: an answer, or the trailer section of one.
func (k *link) headers(f h2.Frame, p []byte) error {
	if k.idle(f.Stream) {
		return errWrongStream
	}
	b, err := f.Block(p)
	if err != nil {
		return err
	}
	if !f.Flags.Has(h2.EndHeaders) {
		k.head = f
		k.head.Len = h2.FrameHead + f.Len // never 0: a block is under way
		k.block = append(k.l.Small(), b...)
		return nil
	}
	return k.whole(f, b)
}

// continued takes a CONTINUATION frame.
func (k *link) continued(f h2.Frame, p []byte) error {
	if k.head.Len == 0 {
		return errContinuation
	}
	k.head.Len += h2.FrameHead + f.Len
	k.block = append(k.block, p...)
	if k.head.Len > h2.MaxHead+h2.MaxHead/2 {
		return errLongHead
	}
	if !f.Flags.Has(h2.EndHeaders) {
		return nil
	}
	b, head := k.block, k.head
	k.block, k.head = nil, h2.Frame{}
	err := k.whole(head, b)
	k.l.PutSmall(b)
	return err
}

// whole takes a header block.
func (k *link) whole(f h2.Frame, block []byte) error {
	s := k.find(f.Stream)
	if s == nil { // given up
		for k.dec.Begin(block); k.dec.Next(); {
		}
		return k.dec.Err()
	}
	k.vital.spaced = false
	err := s.headers(block, f.Flags.Has(h2.EndStream))
	if e, ok := errors.AsType[*h2.Error](err); ok {
		return e
	}
	if err != nil {
		k.breakOff(s, h2.ProtocolError, err)
	}
	return nil
}

// content takes a DATA frame.
func (k *link) content(f h2.Frame, p []byte) error {
	if k.idle(f.Stream) {
		return errWrongStream
	}
	if k.left -= f.Len; k.left < 0 {
		return errOverrun
	}
	if k.got += f.Len; k.got >= connInflow/4 {
		k.mark()
		k.out = h2.AppendWindow(k.out, 0, k.got)
		k.left += k.got
		k.got = 0
	}
	p, err := f.Unpad(p)
	if err != nil {
		return err
	}
	s := k.find(f.Stream)
	switch {
	case s == nil:
		return nil
	case s.a == nil && len(p) > 0: // content where there can be none, and nobody is left to hear of it
		k.quit(s, h2.ProtocolError)
		return nil
	}
	k.vital.spaced = false
	if code, err := s.data(f, p); err != nil {
		k.breakOff(s, code, err)
	}
	return nil
}

// resetBy takes RST_STREAM.
func (k *link) resetBy(f h2.Frame, p []byte) error {
	if k.idle(f.Stream) {
		return errWrongStream
	}
	s := k.find(f.Stream)
	if s == nil {
		return nil
	}
	switch code := h2.Code(binary.BigEndian.Uint32(p)); {
	case code == h2.RefusedStream: // "The endpoint refused the stream prior to performing any application processing" (RFC 9113 7)
		s.safe = true
		k.lose(s, refused(&resetError{code}))
	default: // if the answer is whole, merely the rest of the request is not wanted (RFC 9113 8.1)
		k.lose(s, &h1.Error{Status: 502, Side: h1.ByServer, Err: &resetError{code}, Cause: 'S'})
	}
	return nil
}

// refused makes the error of a call that the server has not acted on.
func refused(err error) error {
	return &h1.Error{Status: 502, Side: h1.ByServer, Err: err, Cause: 'S', State: 'H', Reused: true}
}

// resetError says how a server has ended a stream.
type resetError struct{ code h2.Code }

func (e *resetError) Error() string {
	if e.code == h2.HTTP11Required {
		return "the stream was reset: the server wants this request by HTTP/1.1"
	}
	return "the stream was reset: " + e.code.String()
}

// idle reports whether a stream was never opened. Servers may open none.
func (k *link) idle(id uint32) bool { return id > k.last || id&1 == 0 }
