package frontend

import (
	"errors"
	"io"
	"os"

	"gatehouse/backend/h1"
	"gatehouse/backend/h2"
	"gatehouse/backend/loop"
)

// http2 is a client's connection from the moment on when HTTP/2 is spoken on it (RFC 9113). Frames are read by the connection's own task,
// which runs while there is something to read; each stream is a task of its own, and answers as HTTP/1 does. What all of
// them write in one turn of the loop gathers in out, and leaves at the end of the turn: in one TLS record and one system call, if it is not
// much. Everything here belongs to the loop, so nothing is locked.
type http2 struct {
	c *conn
	l *loop.Loop

	// What comes in.
	dec     h2.Decoder
	in      []byte // the beginning of a frame whose rest is still to come; nil for none
	block   []byte // the beginning of a header block whose rest is still to come, while head.Len > 0
	head    h2.Frame
	greeted bool // the preface came
	settled bool // the client's first SETTINGS came
	reading bool // the reader's task is under way
	half    bool // the client is in the middle of something; see rest
	fresh   bool // and may have begun it after its time was set
	inbound inflow
	abuse   abuse

	// Streams.
	table [tableSize]*stream // those that are not closed, by number
	most  int                // streams at once, as the client was told
	tasks int                // streams whose task has not ended, closed ones included
	last  uint32             // the client's last stream
	past  resets             // streams that were reset lately
	soon  [early]forecast    // priorities of streams that are still to come

	// What goes out.
	out      []byte // frames of this turn; nil for none
	dirty    bool   // Flush comes at the end of the turn, or of the next
	waited   int    // turns that out has waited for more
	shrink   bool   // the client wants no dynamic table, and was not told yet that there is none
	shrunk   bool   // it was
	drain    drainer
	window   int64 // of the connection
	first    int64 // of each stream, by the client's SETTINGS
	wait     waiting
	room     loop.Event // for those that wait to write the head of an answer
	moved    int64      // Loop.Now, when content last had room
	dead     error      // why nothing can be written any more
	away     departure
	leave    int64 // Loop.Now, when it departs
	lull     int64 // Loop.Now, since when there is no stream
	farewell bool  // the connection shall end: see over
}

// tableSize is how many lists the streams of a connection are spread over. The numbers of those under way are mostly neighbours.
const tableSize = 64

// speaksHTTP2 reports whether HTTP/2 was agreed upon in the TLS handshake (RFC 9113 3.2), or is spoken without one, where that is
// allowed, and the client begins with the preface (3.3). It may park for the rest of a preface.
func (c *conn) speaksHTTP2() bool {
	v := c.room.ln.view.Load()
	switch {
	case c.served || v.tcp():
		return false
	case c.T != nil:
		return c.T.ConnectionState().NegotiatedProtocol == ProtocolHTTP2
	case !v.H2C:
		return false
	}
	for {
		b := c.Unread()
		n := min(len(b), len(h2.Preface))
		if string(b[:n]) != h2.Preface[:n] {
			return false
		}
		if n == len(h2.Preface) {
			return true
		}
		if c.Fill(true) != nil {
			return false
		}
	}
}

// startHTTP2 makes the connection one of HTTP/2.
func (c *conn) startHTTP2() *http2 {
	h := &http2{c: c, l: c.room.l, most: c.room.ln.first().streams, window: h2.FirstWindow, first: h2.FirstWindow}
	h.drain.h = h
	h.inbound.init()
	h.moved, h.lull = h.l.Now(), h.l.Now()
	c.served = true
	c.C.SetBuffered(true)
	if !c.local.IsValid() {
		c.local = c.C.Local()
	}
	if b := c.Unread(); len(b) > 0 {
		h.in = append(h.l.Small(), b...)
		c.Discard(len(b))
	}
	h.sendSettings()
	if c.room.ln.closing.Load() {
		h.retire()
	}
	return h
}

// front is the frontend whose limits and timeouts count for the connection.
func (h *http2) front() *Frontend { return h.c.room.ln.first() }

// sendSettings begins our side of the connection.
func (h *http2) sendSettings() {
	h.mark()
	at := len(h.out)
	b := h2.AppendFrame(h.out, h2.Frame{Type: h2.SettingsFrame})
	b = h2.AppendSetting(b, h2.MaxConcurrentStreams, uint32(h.most))
	b = h2.AppendSetting(b, h2.InitialWindowSize, firstInflow)
	b = h2.AppendSetting(b, h2.MaxHeaderListSize, uint32(h.front().limits.Head))
	b = h2.AppendSetting(b, h2.EnableConnectProtocol, 1)
	b = h2.AppendSetting(b, h2.NoPriorities, 1)
	h2.SetLen(b[at:], len(b)-at-h2.FrameHead)
	h.out = h2.AppendWindow(b, 0, connInflow-h2.FirstWindow)
}

// run reads until there is nothing more to read for now, or ever.
func (h *http2) run() {
	h.reading = true
	err := h.read()
	switch {
	case h.dead != nil: // whoever found that out has seen to the streams
	case !h.farewell && (err == loop.ErrWouldBlock || errors.Is(err, os.ErrDeadlineExceeded) && h.excused()):
		h.rest()
		return
	default:
		h.fail(err)
	}
	h.reading = false
	h.settle()
}

// readsPerTurn is how often the reader reads before others have their turn.
const readsPerTurn = 4

// read reads frames until it would have to park, the end, or an error. It returns no nil.
func (h *http2) read() error {
	b := h.l.Buf()
	defer func() { h.l.PutBuf(b) }()
	n := copy(b, h.in)
	if h.in != nil {
		h.l.PutSmall(h.in)
		h.in = nil
	}
	fresh := n > 0 // what was read before HTTP/2 began may be whole frames
	for i := 1; ; i++ {
		if !fresh {
			m, err := h.tryRead(b[n:min(len(b), n+96<<10)])
			if m == 0 && err == nil { // an empty TLS record
				continue
			}
			if err != nil {
				if n > 0 && err == loop.ErrWouldBlock {
					h.in = append(h.l.Small(), b[:n]...)
				}
				return err
			}
			n += m
		}
		fresh = false
		used, err := h.frames(b[:n])
		if err != nil {
			return err
		}
		n = copy(b, b[used:n])
		if i%readsPerTurn == 0 {
			h.l.Yield()
		}
		if h.dead != nil || h.farewell {
			return io.EOF
		}
	}
}

// tryRead reads what has come, without parking.
func (h *http2) tryRead(b []byte) (int, error) {
	c := h.c
	if c.T == nil {
		return c.C.TryRead(b)
	}
	c.C.SetTry(true)
	n, err := c.T.Read(b)
	c.C.SetTry(false)
	return n, err
}

// fail ends the connection. err is what ended the reading: an error of the client's, its end, or that its time is over. It parks.
func (h *http2) fail(err error) {
	if e, ok := errors.AsType[*h2.Error](err); ok {
		h.front().Stats.Bad.Add(1)
		h.goAway(h.last, e.Code)
	} else if errors.Is(err, os.ErrDeadlineExceeded) && !h.farewell {
		h.goAway(h.last, h2.NoError)
	} else if !h.farewell {
		err = errLeft
	}
	h.flush()
	h.kill(err)
	if h.drain.running { // there can be one writer only
		h.c.C.SetWriteTimeout(lingerTime)
		h.drain.over.Wait(h.l, 0)
	}
	if !h.c.aborted {
		h.c.hangUp()
	}
}

var errLeft = errors.New("the client has closed the connection")

// kill ends the streams, and all writing.
func (h *http2) kill(err error) {
	if h.dead == nil {
		h.dead = err
	}
	for _, s := range h.table {
		for s != nil {
			next := s.next
			h.close(s)
			s.cancel(err)
			s = next
		}
	}
	h.room.Set(h.l)
}

// broken ends a connection on which nothing can be written any more.
func (h *http2) broken(err error) {
	h.kill(err)
	h.c.aborted = true
	h.c.C.Close()
	h.settle()
}

// settle ends the connection for good, when nothing is under way on it any more.
func (h *http2) settle() {
	switch {
	case h.reading || h.tasks > 0 || h.drain.running:
	case h.dead != nil:
		if h.in != nil {
			h.l.PutSmall(h.in)
			h.in = nil
		}
		h.drop()
		h.c.end()
	case h.farewell:
		h.wake()
	}
}

// wake starts the reader's task to end the connection.
func (h *http2) wake() {
	if !h.reading {
		h.reading = true
		h.c.C.Await(nil)
		h.l.Go(h.c)
	}
}

// find returns the stream of that number, nil when there is none, or it is closed.
func (h *http2) find(id uint32) *stream {
	s := h.table[id>>1%tableSize]
	for s != nil && s.id != id {
		s = s.next
	}
	return s
}

// open puts a stream into the table.
func (h *http2) open(s *stream) {
	p := &h.table[s.id>>1%tableSize]
	s.next, *p = *p, s
}

// close takes a stream out of the table. Its task may be still under way.
func (h *http2) close(s *stream) {
	if s.closed {
		return
	}
	s.closed = true
	p := &h.table[s.id>>1%tableSize]
	for *p != s {
		p = &(*p).next
	}
	*p = s.next
	s.next = nil
}

// abort ends the connection whatever is under way. It does not park.
func (h *http2) abort() {
	h.broken(&h1.Error{Side: h1.ByProxy, Err: errAborted, Cause: 'K'})
}

var errAborted = errors.New("the connection was cut")

// wreck ends the connection when its reader's task has panicked, or its loop has ended.
func (h *http2) wreck() {
	h.reading = false
	h.broken(errAborted)
}
