package backend

import (
	"crypto/tls"
	"errors"
	"io"
	"os"
	"time"

	"gatehouse/backend/h2"
	"gatehouse/backend/loop"
)

// link is a connection to a server on which HTTP/2 is spoken (RFC 9113): many exchanges share it, each as a call. It belongs to one loop, and
// so does everything here; nothing is locked. Its own task reads, while there is something to read. What the calls write in one turn of
// the loop gathers in out and leaves at the end of the turn.
type link struct {
	p       *Pool
	home    *home
	l       *loop.Loop
	c       *loop.Conn // nil while it is being made
	t       *tls.Conn  // nil in the clear
	purpose purpose

	ready   bool          // the server's SETTINGS came: it speaks HTTP/2
	waiters []*loop.Event // of exchanges that wait for that
	making  *loop.Conn    // the connection on its way
	maker   maker

	// What comes in.
	dec     h2.Decoder
	in      []byte // the beginning of a frame whose rest is still to come; nil for none
	block   []byte // the beginning of a header block whose rest is still to come, while head.Len > 0
	head    h2.Frame
	reading bool // the reader's task is under way
	left    int  // what the server may still send
	got     int  // what it sent since it was last told so
	heard   int64
	vital   vital

	// Calls.
	table [callTable]*call // those that are not closed, by number
	n     int              // of them
	most  int              // at once, as the server allows
	last  uint32           // number of the last one
	away  bool             // no further one

	// What goes out.
	out    []byte
	dirty  bool // Flush comes at the end of the turn
	shrink bool // the server wants no dynamic table, and was not told yet that there is none
	shrunk bool
	drain  linkDrain
	window int64 // of the connection
	first  int64 // of each stream, by the server's SETTINGS
	queue  callQueue
	room   loop.Event // for those that wait to write a head
	dead   error      // why it is of no use any more
}

const (
	// callTable is how many lists the calls of a link are spread over.
	callTable = 64
	// mostCalls is how many calls one link carries, whatever the server allows: one lost segment holds up all of them.
	mostCalls = 1000
	// lastCall is the last number a call gets: "Stream identifiers cannot be reused" (RFC 9113 5.1.1), so a link ends before they do.
	lastCall = 1<<31 - 1 - 2*mostCalls
)

// Windows for what servers send. A stream begins with firstInflow and gets more, up to mostInflow, when its client is faster than the server: then
// the window is what holds the server up. What a slow client leaves waits in memory, so that its stream alone stands still. The
// connection's window is opened again as content comes in, whoever takes it.
const (
	firstInflow = 128 << 10
	mostInflow  = 1 << 20
	connInflow  = 4 << 20
)

var (
	errPlainServer = errors.New("the server speaks HTTP/1 and no HTTP/2")
	errNotChosen   = errors.New(`the server does not choose HTTP/2 ("h2") in the TLS handshake`)
	errPlainChosen = errors.New("the server has chosen HTTP/1")
	errNoCalls     = errors.New("the server allows no streams")
	errFarewell    = errors.New("the server has ended the connection (GOAWAY)")
	errIdleLink    = errors.New("the connection was idle")
	errUnanswered  = errors.New("no answer to a PING")
)

// usable returns a link that has room for one more call, nil for none.
func (h *home) usable(w purpose) *link {
	for _, k := range h.links {
		if k.ready && !k.away && k.n < k.most && k.purpose == w && k.last < lastCall && !k.c.Hup() && !k.vital.doubtful(k) {
			return k
		}
	}
	return nil
}

// stale reports whether the server may have ended the link, or be about to, without us knowing. A request that must not be sent twice had
// better not be the first to find out (RFC 9110 9.2.2).
func (k *link) stale() bool {
	return k.n == 0 && !k.reading && k.l.Now()-k.heard > freshness.Milliseconds()
}

// look reads what has come, from the task of an exchange.
func (k *link) look() {
	k.heard = k.l.Now()
	k.c.Recheck()
	k.c.Await(nil)
	k.Run()
}

// coming returns a link on its way that nobody else will fill, nil for none. Most servers allow a hundred streams.
func (h *home) coming(w purpose) *link {
	for _, k := range h.links {
		if !k.ready && k.dead == nil && k.purpose == w && len(k.waiters) < 100 {
			return k
		}
	}
	return nil
}

// newLink begins to make a link.
func (p *Pool) newLink(l *loop.Loop, srv *server, w purpose) *link {
	k := &link{p: p, home: srv.homes[l.ID], l: l, purpose: w, left: connInflow, window: h2.FirstWindow, first: h2.FirstWindow, most: 100}
	k.drain.k, k.maker.k = k, k
	k.home.links = append(k.home.links, k)
	l.Go(&k.maker)
	return k
}

// maker is the task that makes a link. It goes on when those who wait for it have left: the next ones come soon.
type maker struct{ k *link }

// Run connects, and reads until the server's SETTINGS are here.
func (m *maker) Run() {
	k := m.k
	srv := k.home.srv
	began := k.l.Now()
	lc, t, err := k.p.reach(k.l, srv, k.purpose, srv.tls.Load(), &k.making)
	switch {
	case err != nil:
		k.fail(err)
		return
	case t != nil && t.ConnectionState().NegotiatedProtocol != protocolH2:
		if srv.c.Protocol == ProtocolAuto {
			k.settleForLess(lc, t)
			return
		}
		lc.Close()
		k.fail(errNotChosen)
		return
	}
	k.c, k.t = lc, t
	lc.SetBuffered(true)
	lc.SetReadTimeout(remaining(k.l, began, k.p.t.Connect))
	k.sendSettings()
	k.Run()
}

// settleForLess keeps a connection on which the server has chosen HTTP/1 for who speaks that.
func (k *link) settleForLess(lc *loop.Conn, t *tls.Conn) {
	k.home.plainUntil = k.l.Now() + plainTime.Milliseconds()
	k.home.srv.stats.Connections.Add(1)
	c := k.home.conn(lc, t, k.purpose)
	c.keep = -1
	k.fail(errPlainChosen)
	k.home.put(c)
}

// plainTime is for how long a server that has chosen HTTP/1 is not asked again.
const plainTime = time.Minute

// sendSettings begins our side of the connection.
func (k *link) sendSettings() {
	k.mark()
	b := append(k.out, h2.Preface...)
	at := len(b)
	b = h2.AppendFrame(b, h2.Frame{Type: h2.SettingsFrame})
	b = h2.AppendSetting(b, h2.EnablePush, 0)
	b = h2.AppendSetting(b, h2.InitialWindowSize, firstInflow)
	b = h2.AppendSetting(b, h2.MaxHeaderListSize, h2.MaxHead)
	h2.SetLen(b[at:], len(b)-at-h2.FrameHead)
	k.out = h2.AppendWindow(b, 0, connInflow-h2.FirstWindow)
}

// begun notes that the server speaks HTTP/2.
func (k *link) begun() {
	k.ready = true
	k.home.srv.stats.Connections.Add(1)
	k.wakeWaiters()
}

func (k *link) wakeWaiters() {
	for _, w := range k.waiters {
		w.Set(k.l)
	}
	k.waiters = nil
}

// Run reads until there is nothing more to read for now, or ever (loop.Task).
func (k *link) Run() {
	k.reading = true
	err := k.read()
	k.reading = false
	switch {
	case k.dead != nil:
	case err == loop.ErrWouldBlock:
		k.rest()
	case errors.Is(err, os.ErrDeadlineExceeded) && k.ready:
		if k.silent(); k.dead == nil {
			k.c.Await(k)
		}
	case errors.Is(err, io.EOF):
		k.fail(io.ErrUnexpectedEOF)
	default:
		k.fail(err)
	}
	k.dropIn()
}

// rest waits for more without a task.
func (k *link) rest() {
	if k.ready {
		k.calm()
	}
	k.c.Await(k)
}

// calm sets the time in which something is to come.
func (k *link) calm() {
	if k.n == 0 {
		k.c.SetReadTimeout(idleTime)
	} else {
		k.c.SetReadTimeout(pingAfter)
	}
}

// silent is called when nothing has come in time. The link goes on, or has ended then.
func (k *link) silent() {
	if k.n > 0 {
		k.vital.silent(k)
	} else {
		k.end(errIdleLink)
	}
}

// retire ends the link as soon as nothing is under way on it. One that is being made is for those who wait for it.
func (k *link) retire() {
	if !k.ready {
		return
	}
	if k.away = true; k.n == 0 {
		k.end(errFarewell)
	}
}

// end closes the link in good order.
func (k *link) end(why error) {
	if k.dead != nil {
		return
	}
	k.mark()
	k.out = h2.AppendGoAway(k.out, 0, h2.NoError)
	k.flush()
	k.kill(why)
}

// fail ends the link and all its calls. The server is told what it has done wrong.
func (k *link) fail(err error) {
	if k.dead != nil {
		return
	}
	if e, ok := errors.AsType[*h2.Error](err); ok && k.c != nil {
		k.mark()
		k.out = h2.AppendGoAway(k.out, 0, e.Code)
		k.flush()
	}
	k.kill(err)
}

// kill ends the link at once.
func (k *link) kill(err error) {
	if k.dead != nil {
		return
	}
	k.dead, k.away = err, true
	k.home.unlink(k)
	for i := range k.table {
		for s := k.table[i]; s != nil; s = k.table[i] {
			k.lose(s, k.lost(s, err))
		}
	}
	k.wakeWaiters()
	k.room.Set(k.l)
	if k.c != nil {
		if k.t != nil && !k.c.Closed() && !k.c.Broken() {
			k.t.CloseWrite()
		}
		k.c.Close()
	}
	if !k.dirty {
		k.dropOut()
	}
}

// unlink forgets a link.
func (h *home) unlink(k *link) {
	for i := range h.links {
		if h.links[i] == k {
			last := len(h.links) - 1
			copy(h.links[i:], h.links[i+1:])
			h.links[last] = nil
			h.links = h.links[:last]
			return
		}
	}
}

// dropIn gives memory for reading back.
func (k *link) dropIn() {
	if k.dead == nil {
		return
	}
	if k.in != nil {
		k.l.PutSmall(k.in)
		k.in = nil
	}
	if k.block != nil {
		k.l.PutSmall(k.block)
		k.block = nil
	}
}
