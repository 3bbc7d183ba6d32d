package backend

import (
	"encoding/binary"
	"errors"
	"os"

	"gatehouse/backend/h1"
	"gatehouse/backend/h2"
	"gatehouse/backend/loop"
)

const (
	// linkTurn is how much content gathers in a turn. What is beyond waits for the next one.
	linkTurn = 96 << 10
	// linkStuffed is how much may wait for a server that reads nothing.
	linkStuffed = 1 << 20
)

var errStuffed = errors.New("the server reads nothing")

// mark has the frames that are about to be appended to out sent at the end of the turn.
func (k *link) mark() {
	if k.dirty {
		return
	}
	k.dirty = true
	if k.out == nil {
		k.out = k.l.Buf()[:0]
	}
	k.l.AtTurnEnd(k)
}

// Flush is called at the end of a turn (loop.Flusher).
func (k *link) Flush() {
	k.dirty = false
	k.flush()
	if k.dead == nil && k.roomy() {
		k.room.Set(k.l)
		k.pump()
	}
	if !k.dirty && (k.dead != nil || len(k.out) == 0) {
		k.dropOut()
	}
}

// dropOut gives the memory of out back.
func (k *link) dropOut() {
	if cap(k.out) == loop.BufSize {
		k.l.PutBuf(k.out)
	}
	k.out = nil
}

// flush hands what was gathered to the kernel, as far as that has room. It does not park.
func (k *link) flush() {
	b := k.out
	if len(b) == 0 || k.c == nil {
		return
	}
	k.out = b[:0]
	if k.dead != nil || k.c.Closed() {
		return
	}
	var err error
	switch {
	case k.t == nil:
		_, err = k.c.Write(b)
	case len(b) > 16<<10: // several records: one system call
		k.c.Hold()
		_, err = k.t.Write(b)
		err = errors.Join(err, k.c.ReleaseNow())
	default:
		_, err = k.t.Write(b)
	}
	switch n := k.c.Queued(); {
	case err != nil:
		k.kill(err)
	case n > linkStuffed:
		k.kill(errStuffed)
	case n > 0:
		k.drain.start()
	}
}

// roomy reports whether more may be gathered now.
func (k *link) roomy() bool { return len(k.out) < linkTurn && k.c.Queued() == 0 }

// linkDrain is the task that waits for the kernel to take what is queued.
type linkDrain struct {
	k       *link
	running bool
}

func (d *linkDrain) start() {
	if !d.running {
		d.running = true
		d.k.l.Go(d)
	}
}

// Run waits.
func (d *linkDrain) Run() {
	k := d.k
	defer func() { d.running = false }()
	k.c.SetWriteTimeout(k.p.t.Server)
	err := k.c.Drain()
	switch {
	case k.dead != nil:
	case err != nil:
		k.kill(err)
	default:
		k.mark()
	}
}

// lost makes the error of a call whose link has ended.
func (k *link) lost(s *call, err error) error {
	e := &h1.Error{Status: 502, Side: h1.ByServer, Err: err, Cause: 'S'}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		e.Status, e.Cause = 504, 's'
	}
	e.Reused = !s.answered // it may never have read the request
	return e
}

// frameData appends DATA frames with at most that many bytes of b, as far as windows and room allow, and returns the rest of b. With end,
// END_STREAM goes with the end of b.
func (k *link) frameData(s *call, b []byte, end bool, most int) []byte {
	k.mark()
	for {
		n := int(min(int64(len(b)), h2.MaxFrame, s.window, k.window, int64(most)))
		if n <= 0 && len(b) > 0 || len(k.out) >= linkTurn {
			return b
		}
		f := h2.Frame{Len: n, Type: h2.Data, Stream: s.id}
		if end && n == len(b) {
			f.Flags = h2.EndStream
		}
		k.out = append(h2.AppendFrame(k.out, f), b[:n]...)
		s.window -= int64(n)
		k.window -= int64(n)
		most -= n
		if b = b[n:]; len(b) == 0 {
			if end {
				s.ends()
			}
			return b
		}
	}
}

// beginHead begins a HEADERS frame and returns its place.
func (k *link) beginHead(s *call) (at int) {
	k.mark()
	at = len(k.out)
	k.out = h2.AppendFrame(k.out, h2.Frame{Type: h2.Headers, Flags: h2.EndHeaders, Stream: s.id})
	if k.shrink {
		k.shrink, k.shrunk = false, true
		k.out = h2.AppendTableSize(k.out)
	}
	return at
}

// finishHead ends the HEADERS frame that begins at place at. One that is too long becomes several.
func (k *link) finishHead(s *call, at int, end bool) {
	n := len(k.out) - at - h2.FrameHead
	if n > h2.MaxFrame {
		block := append(k.l.Small(), k.out[at+h2.FrameHead:]...)
		k.out = h2.AppendHeaders(k.out[:at], s.id, block, end)
		k.l.PutSmall(block)
	} else {
		h2.SetLen(k.out[at:], n)
		if end {
			k.out[at+4] |= byte(h2.EndStream)
		}
	}
	if end {
		s.ends()
	}
}

// widen takes WINDOW_UPDATE.
func (k *link) widen(f h2.Frame, p []byte) error {
	n := int64(binary.BigEndian.Uint32(p) & 0x7fffffff)
	if f.Stream == 0 {
		switch {
		case n == 0:
			return errNoIncrement
		case k.window+n > h2.MaxWindow:
			return errBigWindow
		}
		if k.window += n; k.queue.n > 0 {
			k.mark()
		}
		return nil
	}
	if k.idle(f.Stream) {
		return errWrongStream
	}
	s := k.find(f.Stream)
	if s == nil {
		return nil
	}
	var fault *h2.Error
	switch {
	case n == 0:
		fault = errNoIncrement
	case s.window+n > h2.MaxWindow:
		fault = errBigWindow
	default:
		if s.window += n; s.queued {
			k.mark()
		}
		return nil
	}
	k.breakOff(s, fault.Code, broken(fault))
	return nil
}

// firstWindow takes the server's INITIAL_WINDOW_SIZE, which changes the windows of all streams (RFC 9113 6.9.2).
func (k *link) firstWindow(v int64) error {
	by := v - k.first
	k.first = v
	for _, s := range k.table {
		for ; s != nil; s = s.next {
			if s.window += by; s.window > h2.MaxWindow {
				return errBigWindow
			}
		}
	}
	k.mark()
	return nil
}

// callQueue are the calls that have content to send and no room for it. They take turns, a frame each.
type callQueue struct {
	n           int
	first, last *call
}

func (q *callQueue) put(s *call) {
	s.older, s.newer = q.last, nil
	if q.last != nil {
		q.last.newer = s
	} else {
		q.first = s
	}
	q.last = s
	q.n++
}

func (q *callQueue) remove(s *call) {
	if s.older != nil {
		s.older.newer = s.newer
	} else {
		q.first = s.newer
	}
	if s.newer != nil {
		s.newer.older = s.older
	} else {
		q.last = s.older
	}
	s.older, s.newer = nil, nil
	q.n--
}

// pump sends what waits, as far as there is room. Whoever has sent all it had is woken to bring more.
func (k *link) pump() {
	for stuck := 0; k.queue.n > stuck && k.window > 0 && k.roomy(); {
		s := k.queue.first
		k.queue.remove(s)
		if s.window <= 0 && len(s.pending) > 0 {
			k.queue.put(s)
			stuck++
			continue
		}
		stuck = 0
		s.pending = k.frameData(s, s.pending, s.lastPiece, h2.MaxFrame)
		if len(s.pending) > 0 || s.lastPiece && !s.sent {
			k.queue.put(s)
			continue
		}
		s.queued = false
		s.wake.Set(k.l)
	}
}
