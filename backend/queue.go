package backend

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	"gatehouse/backend/h1"
	"gatehouse/backend/loop"
)

// queue is where requests wait for a free place on a server, in pools that limit the connections of one. Each server has a line
// for requests that are bound to it by their cookie; all others wait in one line for whichever server is free first. Within a line the order
// is that of arrival, and a free place goes to the server's own line before the common one: its clients have nowhere else to go.
//
// All loops share it. Whoever frees a place, enters a line or changes the servers' standing hands out what is free.
type queue struct {
	*kin
	p      *Pool
	own    []line // by server
	common line
	closed bool // the pool is: the queue is forgotten when it is empty
}

// empty reports whether nobody waits. mu is held.
func (q *queue) empty() bool {
	return q.common.n == 0 && !slices.ContainsFunc(q.own, func(l line) bool { return l.n > 0 })
}

// kin is what the queues of a backend share over its reloads. Requests may still wait in the pool of the configuration before, for
// servers that the one of today has too, and the other way round: a free place is offered to all.
type kin struct {
	n atomic.Int64 // waiting, all lines

	mu     sync.Mutex // guards the lines, and who is handed what
	queues []*queue   // the oldest first
}

// join adds a queue. mu is held.
func (k *kin) join(q *queue) {
	if !slices.Contains(k.queues, q) {
		k.queues = append(k.queues, q)
	}
}

// part takes the queue of a pool that is closed out, once nobody waits in it.
func (k *kin) part(q *queue) {
	if q == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	q.closed = true
	k.handOut()
}

// handOut gives free places to those who wait, in all queues. mu is held.
func (k *kin) handOut() {
	for _, q := range k.queues {
		q.give()
	}
	k.queues = slices.DeleteFunc(k.queues, func(q *queue) bool { return q.closed && q.empty() })
}

// line is a list of waiting requests, the first come first.
type line struct {
	first, last *waiter
	n           int
}

// waiter is a request's place in a line.
type waiter struct {
	a          *answer
	in         *line // nil: in none
	next, prev *waiter
	srv        *server // what it was handed
	parked     bool    // its task waits for turn
	turn       loop.Event
}

func (l *line) push(w *waiter) {
	w.in, w.next, w.prev = l, nil, l.last
	if l.last != nil {
		l.last.next = w
	} else {
		l.first = w
	}
	l.last = w
	l.n++
}

func (l *line) remove(w *waiter) {
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		l.first = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	} else {
		l.last = w.prev
	}
	w.in, w.next, w.prev = nil, nil, nil
	l.n--
}

// newQueue returns the queue of a pool, nil when no server has a limit.
func newQueue(p *Pool) *queue {
	for _, s := range p.servers {
		if s.c.MaxConnections > 0 {
			return &queue{kin: p.kin, p: p, own: make([]line, len(p.servers))}
		}
	}
	return nil
}

// full reports whether a server has as many exchanges as it may have. The limit moves between min_connections and max_connections as
// the load of the whole backend moves between nothing and full_conn.
func (q *queue) full(i int) bool {
	s := q.p.servers[i]
	most := int64(s.c.MaxConnections)
	if most == 0 {
		return false
	}
	if least := int64(s.c.MinConnections); least > 0 && least < most && q.p.c.FullConn > 0 {
		most = min(most, max(least, most*q.p.Stats.Active.Load()/int64(q.p.c.FullConn)))
	}
	return s.active.Load() >= s.room(most)
}

var (
	errQueueTime = errors.New("no server had a free place in time")
	errGaveUp    = errors.New("the client gave up waiting for a server")
)

// enter gets a place on a server for a, and waits for it if need be. bound is the server it has to be, nil for any. It parks. A nil server without an error means that no
// server is usable.
func (q *queue) enter(a *answer, bound *server) (*server, error) {
	p, x := q.p, a.x
	q.mu.Lock()
	if bound != nil && p.c.MaxQueue > 0 && q.own[bound.place].n >= p.c.MaxQueue && p.balance.any() {
		// Its line is too long: better another server, and a new cookie, than to wait that long.
		if a.claim.server == bound.place {
			a.claim.lose(x)
			x.Note.Redispatched = true
			p.Stats.Redispatches.Add(1)
		}
		bound = nil
	}
	if bound == nil && !p.balance.any() {
		q.mu.Unlock()
		return nil, nil
	}
	x.Note.BeQueue = q.common.n
	if bound != nil {
		x.Note.SrvQueue = q.own[bound.place].n
	}
	if i := q.free(a, bound); i >= 0 {
		srv := p.servers[i]
		srv.active.Add(1)
		q.mu.Unlock()
		return srv, nil
	}
	// Not pooled: a turn may be on its way to it when it gave up already.
	w := &waiter{a: a}
	if bound != nil {
		q.own[bound.place].push(w)
	} else {
		q.common.push(w)
	}
	q.n.Add(1)
	q.join(q)
	q.handOut() // a place may have been freed by somebody who saw nobody waiting
	if w.srv != nil {
		q.mu.Unlock()
		return w.srv, nil
	}
	w.parked = true
	q.mu.Unlock()

	gone := q.wait(a, w)

	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case w.srv != nil && !gone:
		return w.srv, nil
	case w.srv != nil: // handed a place just when the client left: it goes to the next one
		w.srv.active.Add(-1)
		q.handOut()
	case w.in != nil:
		w.in.remove(w)
		q.n.Add(-1)
	}
	if gone {
		return nil, &h1.Error{Side: h1.ByClient, Err: errGaveUp, Cause: 'C', State: 'Q'}
	}
	if !p.balance.any() {
		return nil, nil
	}
	return nil, &h1.Error{Status: 503, Side: h1.ByServer, Err: errQueueTime, Cause: 's', State: 'Q'}
}

// free returns the place of a server that can take a at once, without overtaking anybody, or -1. mu is held.
func (q *queue) free(a *answer, bound *server) int {
	switch {
	case bound != nil:
		if q.own[bound.place].n == 0 && !q.full(bound.place) {
			return bound.place
		}
		return -1
	case q.common.n > 0:
		return -1
	}
	return q.p.balance.pick(a.x, func(i int) bool { return q.full(i) || a.avoided(i) })
}

// wait parks until the waiter was handed a place or its time is over. It reports whether the client gave up first.
func (q *queue) wait(a *answer, w *waiter) (gone bool) {
	l, c := a.x.Loop, a.x.Client
	a.pause = &w.turn
	defer func() { a.pause = nil }()
	if c == nil || !q.p.c.AbortOnClose {
		w.turn.Wait(l, q.p.t.Queue)
		return a.cancelled
	}
	if c.Hup() {
		return true
	}
	v := &vigil{c: c, w: w}
	c.Watch(v)
	w.turn.Wait(l, q.p.t.Queue)
	c.Watch(nil)
	return v.gone || a.cancelled
}

// vigil watches the client of a waiting request. It is a task that runs when something comes from the client.
type vigil struct {
	c    *loop.Conn
	w    *waiter
	gone bool
}

// Run ends the wait when the client has closed, and goes on watching when it merely sent more.
func (v *vigil) Run() {
	if v.c.Hup() || v.c.Closed() {
		v.gone = true
		v.w.turn.Set(v.c.Loop())
		return
	}
	if !v.w.turn.IsSet() {
		v.c.Watch(v)
	}
}

// leave frees a place on a server.
func (k *kin) leave(s *server) {
	s.active.Add(-1)
	// Who enters a line counts itself first and looks for a free place then: one of us two sees the other.
	if k.n.Load() > 0 {
		k.mu.Lock()
		k.handOut()
		k.mu.Unlock()
	}
}

// changed takes note of servers that came or went: whoever waits for one that takes nobody any more may go to any.
func (q *queue) changed(st []standing) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range q.own {
		for st[i] == shut && q.own[i].first != nil {
			w := q.own[i].first
			q.own[i].remove(w)
			q.common.push(w)
		}
	}
	q.handOut()
	if !q.p.balance.any() { // nobody will come for them: they are told now, not when their time is over
		for w := q.common.first; w != nil; w = q.common.first {
			q.common.remove(w)
			q.n.Add(-1)
			w.wake()
		}
	}
}

// give gives free places to those who wait. mu is held.
func (q *queue) give() {
	for i := range q.own {
		for w := q.own[i].first; w != nil && !q.full(i); w = q.own[i].first {
			q.hand(w, i)
		}
	}
	for w := q.common.first; w != nil; w = q.common.first {
		i := q.p.balance.pick(w.a.x, func(i int) bool { return q.full(i) || w.a.avoided(i) })
		if i < 0 {
			return
		}
		q.hand(w, i)
	}
}

func (q *queue) hand(w *waiter, i int) {
	w.in.remove(w)
	q.n.Add(-1)
	w.srv = q.p.servers[i]
	w.srv.active.Add(1)
	w.wake()
}

// wake resumes the task of a waiter. mu is held.
func (w *waiter) wake() {
	if w.parked {
		w.parked = false
		l := w.a.x.Loop
		l.Post(func() { w.turn.Set(l) })
	}
}

// secure gets a place on a server for the request: the one the cookie names or the one that was asked before, else any. It
// may park, where servers have limits. A nil server without an error means that none is usable.
func (a *answer) secure() (*server, error) {
	q := a.p.queue
	if q == nil {
		srv := a.choose()
		if srv != nil {
			srv.active.Add(1)
		}
		return srv, nil
	}
	began := a.x.Loop.Now()
	srv, err := q.enter(a, a.bound())
	a.x.Note.Queue = max(0, a.x.Note.Queue) + a.x.Loop.Now() - began
	if srv != nil && a.claim.server >= 0 && a.claim.server != srv.place {
		a.claim.lose(a.x)
	}
	return srv, err
}

// release gives the place back.
func (p *Pool) release(s *server) { p.kin.leave(s) }

// bound returns the server the request has to go to, nil for any.
func (a *answer) bound() *server {
	if i := a.claim.server; i >= 0 && !a.avoided(i) {
		return a.p.servers[i]
	}
	if a.srv != nil && !a.avoided(a.srv.place) {
		return a.srv
	}
	return nil
}
