package backend

import (
	"errors"
	"io"
	"os"
	"time"

	"gatehouse/backend/h1"
	"gatehouse/backend/loop"
)

// Relay hands a client's connection to a server (mode = "tcp") and relays bytes both ways until both sides have ended. A server is
// chosen and replaced as for requests; x has none, so what counts of it is the Peer and Local. written are the timeouts as the
// configuration has them, and what was relayed stands in x.Note. An error is an *h1.Error.
//
// It runs as a task of x.Loop. It parks. The client's connection stays its caller's, who closes it afterwards.
func (p *Pool) Relay(x *h1.Exchange, client *h1.Conn, written h1.Timeouts) error {
	p.Stats.Requests.Add(1)
	p.Stats.Active.Add(1)
	n := &x.Note
	n.Backend = p.c.Name
	if !x.Local.IsValid() {
		x.Local = client.C.Local()
	}
	x.Client = nil // one that has ended its side may still want the answer: only a broken connection counts, see below
	a := p.takeAnswer(x)
	a.claim = claim{server: -1}
	a.fresh = true // nobody's idle connection
	panicked := true
	defer func() {
		if panicked {
			a.abandon()
		}
	}()
	v := &vanishing{a: a, c: client.C}
	client.C.Watch(v)
	err := a.reach(x.Loop.Now())
	client.C.Watch(nil)
	if err == nil && a.cancelled {
		err = gone('C')
	}
	if err == nil {
		r := newRelay(client, &a.c.Conn, written, p.Timeouts())
		r.run()
		err = r.outcome(a.srv)
		n.BytesIn, n.BytesOut = r.up.n, r.down.n
		if err != nil {
			a.c.C.Close() // what is cut must not look complete
		}
	} else {
		p.Stats.Failed.Add(1)
	}
	panicked = false
	a.finish()
	return err
}

// vanishing is the task that looks at a client's connection while a server is sought for it.
type vanishing struct {
	a *answer
	c *loop.Conn
}

// Run is called when something comes from the client.
func (v *vanishing) Run() {
	if v.c.Broken() || v.c.Closed() {
		v.a.cut()
	} else {
		v.c.Watch(v)
	}
}

// relay is two connections and what goes between them. Both belong to one loop.
type relay struct {
	up, down flow
	idle     time.Duration // how long nothing may move at all; 0 or less: no limit
	blame    byte          // whose timeout that is
	busy     int64         // when something last moved, Loop.Now
	out      int64         // bytes both kernels had taken when somebody looked
	by       h1.Side       // who failed first
	cause    byte
	err      error
}

// flow is one direction: a task that reads from one side and writes to the other.
type flow struct {
	r        *relay
	other    *flow
	from, to *h1.Conn
	silence  time.Duration // how long from may be silent when the other direction has ended already
	refusal  time.Duration // how long to may take nothing
	n        int64         // bytes relayed
	ended    bool
	done     loop.Event
}

// newRelay returns a relay that has not begun. written are the client's timeouts, and behind them those of the backend, own.
func newRelay(client, server *h1.Conn, written, own h1.Timeouts) *relay {
	t, s := written.Or(own).WithDefaults(), own.Or(written).WithDefaults()
	r := &relay{idle: t.Tunnel, blame: 'c', busy: client.C.Loop().Now()}
	if w := written.Or(own); w.Tunnel == 0 {
		// HAProxy's meaning, where only the sides' timeouts are written: a message moves both sides, so it is the shorter that counts.
		switch c, s := w.Client, s.Server; {
		case w.Client == 0 && w.Server == 0:
		case w.Client == 0 || c < 0 && w.Server != 0:
			r.idle, r.blame = s, 's'
		case w.Server == 0 || s < 0 || c <= s:
			r.idle = c
		default:
			r.idle, r.blame = s, 's'
		}
	}
	r.up = flow{r: r, other: &r.down, from: client, to: server, silence: t.Client, refusal: s.Server}
	r.down = flow{r: r, other: &r.up, from: server, to: client, silence: s.Server, refusal: t.Client}
	client.C.SetBuffered(true)
	server.C.SetBuffered(true)
	return r
}

// run relays until both directions have ended. It parks.
func (r *relay) run() {
	l := r.up.from.C.Loop()
	l.Go(&r.down)
	r.up.Run()
	r.down.done.Wait(l, 0)
}

// fail notes who failed and how; only the first counts, the rest follows from it.
func (r *relay) fail(by h1.Side, cause byte, err error) {
	if r.cause == 0 {
		r.by, r.cause, r.err = by, cause, err
	}
}

// cut ends both directions at once.
func (r *relay) cut() {
	r.up.from.C.Close()
	r.up.to.C.Close()
}

// outcome returns the error that ended the relay, nil where both sides just ended.
func (r *relay) outcome(srv *server) error {
	if r.cause == 0 {
		return nil
	}
	err := r.err
	if r.by == h1.ByServer {
		err = &serverError{srv, "relay to", err}
	}
	return &h1.Error{Side: r.by, Err: err, Cause: r.cause, State: 'D'}
}

// Run relays one direction to its end (loop.Task).
func (f *flow) Run() {
	defer func() {
		f.ended = true
		f.done.Set(f.from.C.Loop())
	}()
	f.relay()
	if !f.other.ended {
		// From now on it is one side alone that may not be silent.
		f.other.from.C.SetReadTimeout(f.other.silence)
	}
}

// readMost bounds one read: six full TLS records. Slow receivers get less at once, since what they have not taken waits in memory.
const (
	readMost = 96 << 10
	readSlow = 16 << 10
	slow     = 20 // milliseconds
)

func (f *flow) relay() {
	l, r := f.from.C.Loop(), f.r
	if b := f.from.Unread(); len(b) > 0 {
		ok := f.write(b, nil)
		f.from.Discard(len(b))
		if !ok {
			return
		}
	}
	most := readMost
	for {
		b := l.Buf()
		n, err := f.read(b[:most])
		if n > 0 {
			r.busy = l.Now()
			if !f.write(b[:n], b) || n == readMost && !f.burst() {
				return
			}
			if most = readMost; l.Now()-r.busy > slow {
				most = readSlow
			}
			r.busy = l.Now()
			continue
		}
		l.PutBuf(b)
		if err == loop.ErrWouldBlock {
			err = f.wait()
		}
		switch {
		case err == nil:
		case err == io.EOF:
			f.to.CloseWrite()
			f.to.C.SetWriteTimeout(f.refusal) // TLS has ended it
			return
		case errors.Is(err, io.ErrUnexpectedEOF): // TLS without a close_notify: so the other side gets none either
			f.to.C.CloseWrite()
			return
		default:
			f.broken(err)
			return
		}
	}
}

// burst lets the kernel move what follows a piece of the greatest size. Measured on loopback, a processor so moves 10 to 45 % more
// of a download than by copying alone; small messages would cost it 5 to 20 % more, so they are always copied. It reports whether there
// is a point in going on. It parks.
func (f *flow) burst() bool {
	if f.from.T != nil || f.to.T != nil {
		return true
	}
	n, err := loop.SpliceBurst(f.to.C, f.from.C, f.refusal)
	f.n += n
	if err != nil {
		f.refused(err)
	}
	return err == nil
}

// read takes what is there, at most len(b) bytes. It does not park.
func (f *flow) read(b []byte) (int, error) {
	c := f.from
	if c.T == nil {
		return c.C.TryRead(b)
	}
	n := 0
	var err error
	c.C.SetTry(true)
	for k := 1; k > 0 && err == nil && n < len(b); n += k { // a record at a time
		k, err = c.T.Read(b[n:])
	}
	c.C.SetTry(false)
	if n > 0 {
		return n, nil // the next read has the same error
	}
	return 0, err
}

// wait parks until there is something to read, or for too long.
func (f *flow) wait() error {
	r, c := f.r, f.from.C
	l := c.Loop()
	for {
		limit := r.idle
		if f.other.ended {
			limit = f.silence
		}
		left := limit - time.Duration(l.Now()-r.busy)*time.Millisecond
		if limit > 0 {
			c.SetReadTimeout(max(left, time.Millisecond))
		} else {
			c.SetReadTimeout(0)
		}
		err := c.WaitRead()
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		// Who is slow to take a large piece is not silent.
		if out := r.up.to.C.BytesWritten() + r.down.to.C.BytesWritten(); out != r.out {
			r.out, r.busy = out, l.Now()
		}
		if limit = r.idle; f.other.ended {
			limit = f.silence
		}
		if limit > 0 && l.Now()-r.busy >= limit.Milliseconds() {
			return err
		}
	}
}

// broken ends the relay after a read that failed.
func (f *flow) broken(err error) {
	r := f.r
	switch {
	case errors.Is(err, loop.ErrClosed): // by ourselves
		r.fail(h1.ByProxy, 'K', err)
	case !errors.Is(err, os.ErrDeadlineExceeded):
		r.fail(f.from.Peer, upper(f.from.Peer), err)
	case f.other.ended:
		r.fail(f.from.Peer, lower(f.from.Peer), err)
	case r.blame == 'c':
		r.fail(h1.ByClient, 'c', err)
	default:
		r.fail(h1.ByServer, 's', err)
	}
	r.cut()
}

// record is the most that one TLS record carries (RFC 8446 5.1).
const record = 16 << 10

// write hands b to the other side and parks until the kernel has it. lent, if not nil, is the buffer b lies in: it goes back to
// the loop before anything parks. It reports whether there is a point in going on.
func (f *flow) write(b, lent []byte) bool {
	to, size := f.to, len(b)
	to.C.SetWriteTimeout(f.refusal)
	var err error
	held := to.T != nil && size > record // several records: one system call
	if held {
		to.C.Hold()
	}
	if to.T != nil {
		_, err = to.T.Write(b)
	} else {
		_, err = to.C.Write(b)
	}
	if lent != nil {
		to.C.Loop().PutBuf(lent)
	}
	if held {
		if e := to.C.Release(); err == nil {
			err = e
		}
	}
	if err == nil {
		err = to.C.Drain()
	}
	for sent := int64(-1); errors.Is(err, os.ErrDeadlineExceeded) && to.C.BytesWritten() > sent; {
		sent = to.C.BytesWritten() // who takes a little is slow, not gone
		to.C.SetWriteTimeout(f.refusal)
		err = to.C.Drain()
	}
	if err != nil {
		f.refused(err)
		return false
	}
	f.n += int64(size)
	return true
}

// refused notes that the other side takes nothing any more.
func (f *flow) refused(err error) {
	r, by := f.r, f.to.Peer
	switch {
	case errors.Is(err, loop.ErrClosed): // by ourselves
		r.fail(h1.ByProxy, 'K', err)
	case errors.Is(err, os.ErrDeadlineExceeded):
		r.fail(by, lower(by), err)
		r.cut()
	default:
		// What it has sent before may still be on its way through the other direction, which will find the end.
		r.fail(by, upper(by), err)
	}
}

// upper and lower are HAProxy's letters for who aborted, and for whose time is over.
func upper(s h1.Side) byte {
	if s == h1.ByClient {
		return 'C'
	}
	return 'S'
}

func lower(s h1.Side) byte { return upper(s) | 0x20 }
