package examples

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing/synctest"
	"time"
)

// step plays one line.
func (p *player) step(s *step) error {
	if s.verb == "pick" {
		return p.pick(s)
	}
	if s.who == "" {
		return p.alone(s)
	}
	servers, err := p.servers(s.who)
	if err != nil {
		return err
	}
	if len(servers) > 0 {
		return p.asServer(s, servers)
	}
	return p.asClient(s, p.client(s.who))
}

// alone plays a line without an actor.
func (p *player) alone(s *step) error {
	switch s.verb {
	case "wait":
		d, err := duration(s.args[0])
		time.Sleep(d)
		synctest.Wait()
		return err
	case "house":
		if err := p.leave(); err != nil {
			return err
		}
		return p.enter(s.args[0])
	case "log":
		line, ok := "", false
		p.await(patience, func() bool { line, ok = p.stage.log.next(); return ok })
		if re := regexp.MustCompile(p.texts(s.args[0])); !ok {
			return errors.New("no line came")
		} else if !re.MatchString(line) {
			return fmt.Errorf("the line is %q", line)
		}
		return nil
	case "close", "reset":
		return p.hangUp(s.args[0], s.verb == "reset")
	}
	state := map[string]portState{"up": portUp, "down": portDown, "hang": portHang}[s.verb]
	name, port, _ := strings.Cut(s.args[0], ":")
	servers, err := p.servers(name)
	if err == nil && len(servers) == 0 {
		err = fmt.Errorf("%s is no server of the configuration", name)
	}
	found := false
	for _, srv := range servers {
		for _, at := range srv.ports() {
			if port != "" && port != strconv.Itoa(int(at.Port())) {
				continue
			}
			found = true
			p.net.set(at, state)
			if state == portDown {
				p.breakAll(p.places[at])
			}
		}
	}
	if err == nil && !found {
		err = fmt.Errorf("%s has no port %s", name, port)
	}
	synctest.Wait()
	return err
}

// breakAll breaks the connections of a place.
func (p *player) breakAll(pl *place) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range pl.ends {
		e.mem.Reset()
	}
}

// hangUp closes the connection of a client, or of the request a server received last.
func (p *player) hangUp(name string, reset bool) error {
	servers, err := p.servers(name)
	if err != nil {
		return err
	}
	e := (*end)(nil)
	if len(servers) > 0 {
		pl := p.places[servers[0].at]
		e = pl.last
		pl.owed = slices.DeleteFunc(pl.owed, func(o owed) bool { return o.e == e })
	} else if c := p.clients[name]; c != nil {
		e, c.now = c.now, nil
	}
	if e == nil {
		return fmt.Errorf("%s has no connection", name)
	}
	if reset {
		e.mem.Reset()
	} else {
		e.conn.Close()
	}
	synctest.Wait()
	return nil
}

// asClient plays a line of a client.
func (p *player) asClient(s *step, c *client) (err error) {
	switch s.verb {
	case "from":
		c.from, err = netip.ParseAddr(s.args[0])
		c.now = nil
	case "to":
		c.to, err = netip.ParseAddrPort(s.args[0])
		c.now = nil
	case "tls":
		c.tls, c.to, c.now = s.args[0], p.stage.tls, nil
		if c.tls == "off" {
			c.tls, c.to = "", p.stage.front
		} else if !c.to.IsValid() {
			err = errors.New("no address of the configuration speaks TLS")
		}
	case "new":
		c.now = nil
	case ">>":
		err = p.put(c, s.raw)
	case "<<":
		err = p.bytes(s, c.now)
	case ">":
		err = p.ask(s, c)
	case "<":
		err = p.answered(s, c)
	default:
		err = fmt.Errorf("%s is no server of the configuration", s.who)
	}
	return err
}

// ask sends a request.
func (p *player) ask(s *step, c *client) error {
	if s.msg == nil { // EOF
		if c.now == nil {
			return errors.New("it has no connection")
		}
		cw, ok := c.now.conn.(interface{ CloseWrite() error })
		if !ok {
			return errors.New("its connection cannot be half closed")
		}
		p.sent = time.Now()
		return cw.CloseWrite()
	}
	if s.msg.status != 0 {
		return fmt.Errorf("%s is no server of the configuration and sends no status", s.who)
	}
	m := p.spoken(s.msg)
	if err := p.put(c, m.send(c.host(), "")); err != nil {
		return err
	}
	c.now.asked = append(c.now.asked, m.method)
	return nil
}

// host is what a client calls the house.
func (c *client) host() string {
	if c.tls != "" {
		return c.tls
	}
	if c.to.Addr().Is6() {
		return "[" + c.to.Addr().String() + "]"
	}
	return c.to.Addr().String()
}

// answered receives an answer.
func (p *player) answered(s *step, c *client) error {
	e := c.now
	switch {
	case s.msg != nil && s.msg.status == 0:
		return fmt.Errorf("%s is no server of the configuration and receives no requests", s.who)
	case e == nil:
		return errors.New("it has no connection")
	case s.msg == nil:
		return p.silence(s, []*end{e}, func() { c.now = nil })
	}
	if len(e.asked) == 0 {
		e.asked = []string{"GET"} // bytes of its own, or an answer to none
	}
	w, err := p.receive(s.within, e)
	if err != nil {
		return err
	}
	if code := w.start; !strings.HasPrefix(code, "HTTP/1.1 1") && !strings.HasPrefix(code, "HTTP/1.0 1") {
		e.asked = e.asked[1:]
	}
	return p.judge(s, w)
}

// receive takes the next answer off e.
func (p *player) receive(limit time.Duration, e *end) (w *wire, err error) {
	n := 0
	ok := p.await(limit, func() bool {
		w, n, err = readWire(e.in, e.asked[0], e.over != nil)
		if n > 0 {
			e.in = e.in[n:]
		}
		return n > 0 || err != nil || e.over != nil
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w in %q", err, e.in)
	case n > 0:
		return w, nil
	case ok && e.over == io.EOF:
		return nil, fmt.Errorf("the connection was closed after %q%s", e.in, p.elsewhere())
	case ok:
		return nil, fmt.Errorf("the connection broke after %q: %w%s", e.in, e.over, p.elsewhere())
	}
	return nil, fmt.Errorf("nothing came within %v%s", limit, p.elsewhere())
}

// judge compares what came with what a line wants.
func (p *player) judge(s *step, w *wire) error {
	if d := p.spoken(s.msg).differs(w); d != "" {
		return fmt.Errorf("%s\n%v", d, w)
	}
	return p.punctual(s)
}

// punctual compares the time that passed since the last ">" line with what a line wants.
func (p *player) punctual(s *step) error {
	if s.after == 0 {
		return nil
	}
	took := time.Since(p.sent)
	if slack := max(s.after/20, 100*time.Millisecond); took < s.after-slack || took > s.after+slack {
		return fmt.Errorf("came after %v", took)
	}
	return nil
}

// silence receives EOF or nothing. gone is called when the end has come.
func (p *player) silence(s *step, ends []*end, gone func()) error {
	came := func() []byte {
		for _, e := range ends {
			if len(e.in) > 0 {
				return e.in
			}
		}
		return nil
	}
	if s.args[0] == "nothing" {
		synctest.Wait()
		p.mu.Lock()
		defer p.mu.Unlock()
		if b := came(); b != nil {
			return fmt.Errorf("got %q", b)
		}
		return nil
	}
	var e *end
	p.await(s.within, func() bool {
		i := slices.IndexFunc(ends, func(e *end) bool { return e.over != nil && !e.seen })
		if i >= 0 {
			e = ends[i]
		}
		return e != nil || came() != nil
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	switch b := came(); {
	case b != nil:
		return fmt.Errorf("got %q before", b)
	case e == nil:
		return fmt.Errorf("the connection is open after %v", s.within)
	case e.over != io.EOF:
		return e.over
	}
	e.seen = true
	gone()
	return p.punctual(s)
}

// bytes receives exactly the bytes of a line.
func (p *player) bytes(s *step, e *end) error {
	if e == nil {
		return errors.New("it has no connection")
	}
	p.await(s.within, func() bool {
		return len(e.in) >= len(s.raw) || !bytes.HasPrefix(s.raw, e.in) || e.over != nil
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	if !bytes.HasPrefix(e.in, s.raw) {
		return fmt.Errorf("got %q", e.in)
	}
	e.in = e.in[len(s.raw):]
	return p.punctual(s)
}

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
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, at := range servers[0].ports() {
			if w := p.places[at].check; w != nil {
				return p.judge(s, w)
			}
		}
		return errors.New("no check came")
	case ">":
		return p.reply(s, pl)
	case ">>":
		if pl.last == nil {
			return errors.New("it received nothing yet")
		}
		p.sent = time.Now()
		if len(pl.owed) > 0 && pl.owed[0].e == pl.last {
			pl.owed = pl.owed[1:]
		}
		_, err := pl.last.conn.Write(s.raw)
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
		return p.bytes(s, p.newest(pl))
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
		method, _, _ := strings.Cut(w.start, " ")
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
	if err := p.left(); err != nil {
		return "; " + strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	return ""
}

// pick asks once for each pick and looks who answers.
func (p *player) pick(s *step) error {
	want, err := parsePick(s.args)
	if err != nil {
		return err
	}
	name := s.who
	if name == "" {
		name = "somebody"
	}
	c := p.client(name)
	home, before := c.from, c.last
	got := make([]string, 0, want.n)
	for i := range want.n {
		if want.kind == "spread" {
			c.from = netip.AddrFrom4([4]byte{10, 64, byte(i >> 8), byte(i)})
		}
		who, err := p.meet(p.spoken(s.msg), c)
		if err != nil {
			return fmt.Errorf("pick %d: %w", i+1, err)
		}
		got = append(got, who)
	}
	c.from, c.last = home, got[len(got)-1]
	return want.judge(got, before)
}

// meet sends one request on a connection of its own and returns the cookie value of who answered it.
func (p *player) meet(m *message, c *client) (string, error) {
	c.now = nil
	if err := p.put(c, m.send(c.host(), "")); err != nil {
		return "", err
	}
	e := c.now
	defer func() { c.now = nil; e.conn.Close() }()
	e.asked = []string{m.method}
	if _, err := p.request(patience, m, p.stage.servers); err != nil {
		return "", err
	}
	answer := &step{verb: ">", msg: &message{status: 200}}
	if err := p.reply(answer, p.places[p.it.at]); err != nil {
		return "", err
	}
	w, err := p.receive(patience, e)
	if err != nil {
		return "", err
	}
	if d := answer.msg.differs(w); d != "" {
		return "", errors.New(d)
	}
	return p.it.cookie, nil
}

// judge compares who was picked with what the line wants. before is the client's pick before.
func (k picks) judge(got []string, before string) error {
	switch k.kind {
	case "":
		if !slices.Equal(got, k.want) {
			return fmt.Errorf("got %s", strings.Join(got, ""))
		}
	case "same", "other":
		if k.kind == "other" && (before == "" || got[0] == before) {
			return fmt.Errorf("got %s after %s", strings.Join(got, ""), before)
		}
		if len(slices.Compact(slices.Clone(got))) != 1 {
			return fmt.Errorf("got %s", strings.Join(got, ""))
		}
	case "of":
		set, want := slices.Clone(got), slices.Clone(k.want)
		slices.Sort(set)
		slices.Sort(want)
		if !slices.Equal(slices.Compact(set), slices.Compact(want)) {
			return fmt.Errorf("got %s", strings.Join(got, ""))
		}
	case "spread":
		counts, sum := map[string]int{}, 0
		for _, g := range got {
			counts[g]++
		}
		for _, w := range k.share {
			sum += w
		}
		for _, g := range slices.Concat(k.letters, got) {
			want := float64(k.n*k.share[g]) / float64(sum)
			if n := float64(counts[g]); n < want*0.75 || n > want*1.25 {
				return fmt.Errorf("got %v, wanted %.0f of %s", counts, want, g)
			}
		}
	}
	return nil
}

// logLines collects the lines of an access log.
type logLines struct {
	mu   sync.Mutex
	text []byte
	ring func() // called at each line
}

// Write implements io.Writer.
func (l *logLines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, b...)
	l.ring()
	return len(b), nil
}

// next takes the oldest line.
func (l *logLines) next() (string, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	line, rest, ok := bytes.Cut(l.text, []byte("\n"))
	if ok {
		l.text = rest
	}
	return string(line), ok
}
