package examples

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing/synctest"
	"time"
)

// asServer plays a line of a server, or of whichever of several.
func (p *player) asServer(s *step, servers []*server) error {
	pl := p.places[servers[0].at]
	switch s.verb {
	case "checks":
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, srv := range servers {
			for _, at := range srv.ports() {
				p.places[at].answer = s.args[0]
			}
		}
	case "checked":
		return p.checked(s, servers[0])
	case "counts":
		p.mu.Lock()
		defer p.mu.Unlock()
		if n := len(pl.ends) - len(pl.from); strconv.Itoa(n) != s.args[0] {
			return fmt.Errorf("%d came", n)
		}
	case "from":
		if pl.last == nil {
			return errors.New("it received nothing yet")
		}
		if got := pl.last.mem.remote.Addr(); got.String() != s.args[0] {
			return fmt.Errorf("it came from %s", got)
		}
	case ">":
		return p.reply(s, pl)
	case ">>":
		e := pl.last
		if s.on != "" {
			e = pl.by[s.on]
		}
		if e == nil {
			return errors.New("it received nothing of that kind yet")
		}
		p.sent = time.Now()
		if len(pl.owed) > 0 && pl.owed[0].e == e {
			pl.owed = pl.owed[1:]
		}
		_, err := e.conn.Write(s.raw)
		synctest.Wait()
		return err
	case "<":
		if s.msg == nil && s.args[0] == "EOF" {
			if pl.last == nil {
				return errors.New("it received nothing yet")
			}
			return p.silence(s, []*end{pl.last}, func() {})
		}
		if s.msg == nil {
			var ends []*end
			synctest.Wait()
			p.mu.Lock()
			for _, srv := range servers {
				ends = append(ends, p.places[srv.at].ends...)
			}
			p.mu.Unlock()
			return p.silence(s, ends, nil)
		}
		if s.msg.status != 0 {
			return errors.New("servers receive requests")
		}
		w, err := p.request(s.within, p.spoken(s.msg), servers)
		if err != nil {
			return err
		}
		return p.judge(s, w)
	case "<<":
		if s.on != "" {
			return p.bytes(s, pl.by[s.on])
		}
		e := p.newest(pl)
		if words := strings.Fields(string(s.raw)); e != nil && len(words) > 2 && strings.HasPrefix(words[2], "HTTP/") {
			pl.by[words[1]] = e
		}
		return p.bytes(s, e)
	default:
		return fmt.Errorf("a server does not %q", s.verb)
	}
	return nil
}

// newest returns the last connection to a place on which something waits, and makes it the place's last.
func (p *player) newest(pl *place) (e *end) {
	p.await(patience, func() bool {
		for _, x := range slices.Backward(pl.ends) {
			if len(x.in) > 0 {
				e = x
				pl.last = x
				return true
			}
		}
		return false
	})
	return e
}

// reply sends the answer to the oldest request that waits for one.
func (p *player) reply(s *step, pl *place) error {
	p.sent = time.Now()
	switch {
	case s.msg == nil && pl.last != nil: // EOF
		return pl.last.mem.CloseWrite()
	case s.msg == nil || len(pl.owed) == 0:
		return errors.New("no request waits for an answer")
	case s.msg.status == 0:
		return errors.New("servers send answers")
	}
	o := pl.owed[0]
	if s.msg.status >= 200 || s.msg.status == 101 {
		pl.owed = pl.owed[1:]
	}
	_, err := o.e.conn.Write(p.spoken(s.msg).send("", o.method))
	synctest.Wait()
	return err
}

// request takes the next request off the servers: the first whose first line is the wanted one, else the first.
func (p *player) request(limit time.Duration, m *message, servers []*server) (w *wire, err error) {
	p.await(limit, func() bool {
		var from *server
		var on *end
		taken := 0
	find:
		for _, srv := range servers {
			for _, e := range p.places[srv.at].ends {
				x, n, bad := readWire(e.in, "", false)
				if bad != nil {
					err = fmt.Errorf("%s got %w in %q", srv.name, bad, e.in)
					return true
				}
				if n > 0 && (w == nil || m.starts(x)) {
					w, from, on, taken = x, srv, e, n
					if m.starts(x) {
						break find
					}
				}
			}
		}
		if w == nil {
			return false
		}
		on.in = on.in[taken:]
		pl := p.places[from.at]
		method, target, _ := strings.Cut(w.start, " ")
		target, _, _ = strings.Cut(target, " ")
		pl.by[target] = on
		pl.owed, pl.last, p.it = append(pl.owed, owed{on, method}), on, from
		return true
	})
	if w == nil && err == nil {
		err = fmt.Errorf("nothing came within %v%s", limit, p.elsewhere())
	}
	return w, err
}

// elsewhere says what came to somebody else meanwhile.
func (p *player) elsewhere() string {
	err := p.left()
	if err == nil {
		return ""
	}
	const most = 3
	lines := strings.SplitN(err.Error(), "\n", most+1)
	if len(lines) > most {
		lines[most] = "…"
	}
	return "; " + strings.Join(lines, "; ")
}
