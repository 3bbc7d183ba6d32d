package backend

import (
	"errors"
	"fmt"
	"os"
	"time"

	"gatehouse/backend/h1"
	"gatehouse/backend/loop"
)

// RoundTrip lets a server answer (h1.RoundTripper). The persistence cookie chooses it, or else the balancer; a server that
// cannot be reached is replaced by another one, and its clients get a new cookie.
func (p *Pool) RoundTrip(x *h1.Exchange) error {
	p.Stats.Requests.Add(1)
	p.Stats.Active.Add(1)
	n := &x.Note
	n.Backend = p.c.Name
	c := claim{server: -1}
	if p.cookie != nil {
		c = p.cookie.claim(x, *p.standing.Load(), x.Loop.Unix()/1000)
	}
	p.forward.tell(x)
	p.request.Request(x)
	if p.c.HTTPClose {
		x.Req.Close = true
	}
	a := p.takeAnswer(x)
	a.claim = c
	panicked := true
	defer func() {
		if panicked {
			a.abandon()
		}
	}()
	err := a.ask()
	panicked = false
	if err == nil {
		return nil
	}
	p.Stats.Failed.Add(1)
	a.finish()
	return err
}

// hesitation is the pause before a server that refused a connection is asked again, as HAProxy makes it, for where there is no other
// server to turn to.
const hesitation = time.Second

var errNoServer = errors.New("no server is usable")

// ask finds a server, sends it the request and reads the head of its answer. It tries again as long as nothing of the
// request can have been acted on (RFC 9110 9.2.2).
func (a *answer) ask() error {
	p, x := a.p, a.x
	n := &x.Note
	entered := x.Loop.Now()
	again := false // one repetition of a request that got no answer at all
	for {
		err := a.reach(entered)
		if err != nil {
			return err
		}
		if a.cancelled { // meanwhile
			return gone('H')
		}
		if a.s != nil {
			err = a.converse()
		} else {
			err = a.talk()
		}
		if err == nil {
			return nil
		}
		he, ok := errors.AsType[*h1.Error](err)
		if !ok || !he.Reused || he.Side != h1.ByServer || a.touched() || !a.unsent && !repeatable(x.Req.Method) {
			return err
		}
		// The server ended the connection without a word: it was idle, or the server is being restarted.
		a.fresh = true
		if !a.reused {
			if again {
				return err
			}
			again = true
			a.avoid(a.srv)
		}
		if n.Retries >= max(p.c.Retries, 1) {
			return err
		}
		n.Retries++
		p.Stats.Retries.Add(1)
		a.failure = he
		a.leave()
	}
}

// reach gets a connection to a server, to another one where that cannot be had. entered is when the exchange came. It parks.
func (a *answer) reach(entered int64) error {
	p, x := a.p, a.x
	n := &x.Note
	var last *server
	for {
		srv, err := a.secure()
		if err != nil {
			return err
		}
		if srv == nil {
			if a.failure != nil {
				return a.failure
			}
			return &h1.Error{Status: 503, Side: h1.ByServer, Err: errNoServer, Cause: 'S', State: 'C'}
		}
		if p.queue == nil && srv != last { // what is spent on a server is no waiting for one
			n.Queue, last = x.Loop.Now()-entered, srv
		}
		if err = a.connect(srv); err == nil {
			return nil
		}
		if a.cancelled {
			return gone('C')
		}
		a.failure = connectError(srv, err)
		if n.Retries >= p.c.Retries {
			return a.failure
		}
		n.Retries++
		p.Stats.Retries.Add(1)
		if !a.avoid(srv) && !errors.Is(err, os.ErrDeadlineExceeded) {
			a.hesitate(min(hesitation, max(p.t.Connect, 0)))
		}
		if a.cancelled || p.c.AbortOnClose && x.Client != nil && x.Client.Hup() {
			return gone('C')
		}
	}
}

// hesitate parks for d, or until the exchange is cancelled.
func (a *answer) hesitate(d time.Duration) {
	if d > 0 {
		a.pause = &loop.Event{}
		a.pause.Wait(a.x.Loop, d)
		a.pause = nil
	}
}

// choose returns the server the cookie names, or one for a newcomer; nil: there is none. The one chosen before is
// kept while it is not avoided.
func (a *answer) choose() *server {
	if srv := a.bound(); srv != nil {
		return srv
	}
	var refuse func(int) bool
	if a.tried != 0 {
		refuse = a.avoided
	}
	if i := a.p.balance.pick(a.x, refuse); i >= 0 {
		return a.p.servers[i]
	}
	return nil
}

// avoid turns to another server for the rest of this exchange, if there is one and the request may leave this one.
func (a *answer) avoid(srv *server) bool {
	if a.claim.server == srv.place && !a.p.c.Redispatch || srv.place >= 64 {
		return false
	}
	tried := a.tried
	a.tried |= 1 << srv.place
	a.srv = nil
	i := a.p.balance.pick(a.x, a.avoided)
	reserve := i < 0
	if reserve {
		i = a.reserve()
	}
	if i < 0 {
		a.tried, a.srv = tried, srv
		return false
	}
	if a.claim.server == srv.place {
		a.claim.lose(a.x)
	}
	if a.p.queue == nil || reserve { // else any free server will do
		a.srv = a.p.servers[i]
	}
	a.x.Note.Redispatched = true
	a.p.Stats.Redispatches.Add(1)
	return true
}

// reserve returns the place of the first backup that newcomers might get, -1 when there is none: for requests that have tried all others in vain,
// though the checks have not noticed yet.
func (a *answer) reserve() int {
	st := *a.p.standing.Load()
	for i, s := range a.p.servers {
		if s.c.Backup && st[i] == open && !a.avoided(i) {
			return i
		}
	}
	return -1
}

func (a *answer) avoided(place int) bool { return place < 64 && a.tried&(1<<place) != 0 }

// repeatable reports whether a request with this method may be sent again (RFC 9110 9.2.2: idempotent methods).
func repeatable(method []byte) bool {
	switch string(method) {
	case "GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE":
		return true
	}
	return false
}

// connect gets a connection to the server, on which a has a place: an idle one, or a new one. The place is given back when it fails. It parks.
func (a *answer) connect(srv *server) error {
	x := a.x
	a.srv = srv
	x.Note.Server = srv.c.Name
	srv.stats.Requests.Add(1)
	w := srv.purpose(x)
	if srv.c.Protocol != ProtocolHTTP1 && x.Req.Upgrade == "" {
		if err, plain := a.join(srv, w); !plain {
			return err
		}
	}
	if !a.fresh {
		if c := srv.homes[x.Loop.ID].take(x.Loop, w, repeatable(x.Req.Method)); c != nil {
			a.c, a.reused = c, true
			x.Note.Connect = 0
			return nil
		}
	}
	began := x.Loop.Now()
	if x.Client != nil {
		x.Client.Watch(&a.watch)
	}
	c, err := a.p.dial(x.Loop, srv, w, &a.making)
	if x.Client != nil {
		x.Client.Watch(nil)
	}
	if err != nil {
		a.p.release(srv)
		if !a.cancelled {
			srv.stats.Refused.Add(1)
		}
		return err
	}
	x.Note.Connect = x.Loop.Now() - began
	srv.stats.Connections.Add(1)
	a.c, a.reused = c, false
	return nil
}

// connectError says that a server could not be reached.
func connectError(srv *server, err error) *h1.Error {
	e := &h1.Error{Status: 503, Side: h1.ByServer, Cause: 'S', State: 'C', Err: &serverError{srv, "connect", err}}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		e.Cause = 's'
	}
	return e
}

// serverError is what went wrong with a server. Its text is built when somebody logs it.
type serverError struct {
	srv  *server
	what string
	err  error
}

func (e *serverError) Error() string {
	cause := e.err.Error()
	if errors.Is(e.err, os.ErrDeadlineExceeded) {
		cause = "no answer in time"
	}
	return fmt.Sprintf("%s %s %s: %s", e.what, e.srv.c.Name, e.srv.address(), cause)
}

func (e *serverError) Unwrap() error { return e.err }
