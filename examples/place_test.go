package examples

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing/synctest"
	"time"
)

// place is an address that servers are played at. Guarded by the player's mu.
type place struct {
	at     netip.AddrPort
	lines  []string        // first lines of health checks
	answer string          // to health checks: a status, "hang" or "reset"
	check  *wire           // the last health check
	from   []netip.Addr    // where health checks came from, in the order they came
	ends   []*end          // as they arrived
	owed   []owed          // requests received and not answered
	last   *end            // of the request received last
	by     map[string]*end // … of a request for this target
}

// owed is a request that waits for its answer.
type owed struct {
	e      *end
	method string
}

// arrived is a connection of the house to a place.
func (p *player) arrived(pl *place, c *memConn) {
	e := &end{conn: c, mem: c}
	p.mu.Lock()
	pl.ends = append(pl.ends, e)
	p.mu.Unlock()
	p.collect(e, func() { pl.answerChecks(e) })
}

// answerChecks answers the health checks at the start of what came on e. With the player's mu.
func (pl *place) answerChecks(e *end) {
	if len(e.in) > 0 && e.in[0] == 0x16 && slices.Contains(pl.lines, tlsCheck) {
		pl.from = append(pl.from, e.mem.remote.Addr())
		b := "\x15\x03\x03\x00\x02\x02\x28" // a TLS alert: handshake_failure
		switch pl.answer {
		case "hello":
			b = "\x16\x03\x03\x00\x2a\x02\x00\x00\x26\x03\x03" // as a ServerHello begins
		case "plain":
			b = "HTTP/1.0 400 Bad Request\r\n\r\n"
		}
		pl.answerCheck(e, []byte(b), true)
		e.in = nil
		return
	}
	if e.over != nil && !e.spoke && slices.Contains(pl.lines, tcpCheck) {
		pl.from = append(pl.from, e.mem.remote.Addr())
		return
	}
	for {
		w, n, err := readWire(e.in, "", false)
		if err != nil || n == 0 || !slices.Contains(pl.lines, w.start) {
			return
		}
		e.in = e.in[n:]
		pl.check = w
		pl.from = append(pl.from, e.mem.remote.Addr())
		last := strings.HasSuffix(w.start, " HTTP/1.0") || slices.Contains(w.values("Connection"), "close")
		m := &message{version: "HTTP/1.0", fields: []field{{name: "Content-Length", value: "0"}}}
		m.status, _ = status(pl.answer)
		pl.answerCheck(e, m.send("", "HEAD"), last)
	}
}

// What stands for the first line of a check that is a TLS hello, and of one that only connects.
const (
	tlsCheck = "tls"
	tcpCheck = "tcp"
)

func (pl *place) answerCheck(e *end, b []byte, last bool) {
	switch pl.answer {
	case "hang":
	case "reset":
		e.mem.Reset()
	default:
		e.conn.Write(b)
		if last {
			e.conn.Close()
		}
	}
}

// checked plays a line about the health checks of a server.
func (p *player) checked(s *step, srv *server) error {
	count := func() (n int) {
		p.mu.Lock()
		defer p.mu.Unlock()
		seen := map[netip.AddrPort]bool{}
		for _, at := range srv.ports() {
			if !seen[at] {
				n += len(p.places[at].from)
			}
			seen[at] = true
		}
		return n
	}
	if len(s.args) == 4 && s.args[1] == "times" {
		want, _ := strconv.Atoi(s.args[0])
		d, err := duration(s.args[3])
		before := count()
		time.Sleep(d)
		synctest.Wait()
		if got := count() - before; got != want {
			return fmt.Errorf("%d checks came", got)
		}
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, at := range srv.ports() {
		pl := p.places[at]
		if s.args[0] == "from" {
			if slices.ContainsFunc(pl.from, func(a netip.Addr) bool { return a.String() == s.args[1] }) {
				return nil
			}
		} else if pl.check != nil {
			return p.judge(s, pl.check)
		}
	}
	return errors.New("no such check came")
}

// servers returns the servers that a name in a flow stands for, nil for a client's name.
func (p *player) servers(who string) ([]*server, error) {
	switch who {
	case "*":
		return p.cast, nil
	case "it":
		if p.it == nil {
			return nil, errors.New("nobody received anything yet")
		}
		return []*server{p.it}, nil
	}
	var all []*server
	for name := range strings.SplitSeq(who, "|") {
		var found *server
		for _, s := range p.cast {
			if name != s.name && name != s.backend+"/"+s.name {
				continue
			}
			if found != nil && found.at != s.at {
				return nil, fmt.Errorf("%s is in several backends: write %s/%s", name, s.backend, name)
			}
			found = s
		}
		if found != nil {
			all = append(all, found)
		} else if strings.Contains(who, "|") {
			return nil, fmt.Errorf("%s is no server of the configuration", name)
		}
	}
	return all, nil
}
