package frontend

import "gatehouse/backend/loop"

// What bounds TLS handshakes, which cost a third of a millisecond (RSA: two) and some 30 KiB each while a request costs a tenth of
// that.
const (
	// greetings is how many handshakes a loop has under way. Whoever comes beyond that takes the place of the one that has
	// taken longest: honest clients need two round trips, so a flood of half handshakes pushes out itself.
	greetings = 1024
	// greetBurst is how many handshakes begin in one turn of a loop: requests of those who are in already do not wait for more.
	greetBurst = 8
)

// greeters are the connections of one loop that are in their TLS handshake, the oldest first.
type greeters struct {
	first, last *conn
	n           int
	begun       int // in this turn of the loop
}

// Flush is called at the end of a turn (loop.Flusher).
func (g *greeters) Flush() { g.begun = 0 }

// wait parks until this turn has room for one more handshake.
func (g *greeters) wait(l *loop.Loop) {
	for g.begun >= greetBurst {
		l.Yield()
	}
	if g.begun == 0 {
		l.AtTurnEnd(g)
	}
	g.begun++
}

func (g *greeters) add(c *conn) {
	if g.n >= greetings {
		slow := g.first
		g.remove(slow)
		slow.C.Close()
	}
	c.older, c.newer, c.greets = g.last, nil, true
	if g.last != nil {
		g.last.newer = c
	} else {
		g.first = c
	}
	g.last = c
	g.n++
}

func (g *greeters) remove(c *conn) {
	if !c.greets {
		return
	}
	if c.older != nil {
		c.older.newer = c.newer
	} else {
		g.first = c.newer
	}
	if c.newer != nil {
		c.newer.older = c.older
	} else {
		g.last = c.older
	}
	c.older, c.newer, c.greets = nil, nil, false
	g.n--
}

// greet does the TLS handshake, within the time for it that began when the connection came. It parks.
func (c *conn) greet() error {
	r := c.room
	request := r.ln.first().t.Request
	r.greeters.wait(r.l)
	r.greeters.add(c)
	defer r.greeters.remove(c)
	c.C.SetWriteTimeout(request)
	r.l.WriteLate() // a third of a millisecond is long
	err := c.T.Handshake()
	if err != nil {
		c.under.refused(c, err)
		if c.under.asks(c.T.ConnectionState().ServerName) {
			// In TLS 1.3 a client hears that its certificate is refused when it has begun to speak already: a reset would keep the reason
			// from it.
			linger(c.C, lingerTime)
		}
	}
	if e := c.C.Drain(); err == nil { // after a failure: the alert
		err = e
	}
	if err == nil && c.challenged() {
		err = errChallenge
	}
	if err == nil {
		c.greeting = false
		c.begin(c.under)
		c.C.SetReadTimeout(request) // for the first request
	}
	c.under = nil
	return err
}
