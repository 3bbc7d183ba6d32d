package examples

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
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
		return p.house(s.args)
	case "stop":
		st, err := p.stageOf(s.args)
		if err == nil {
			st.stop()
			synctest.Wait()
		}
		return err
	case "reload":
		return p.reload(s.args[0], strings.Join(s.args[1:], " "))
	case "server":
		return p.obey(s.args)
	case "cut", "mend":
		return p.line(s.args)
	case "log":
		if s.args[0] == "nothing" {
			time.Sleep(time.Second) // lines take a moment
			synctest.Wait()
			if line, ok := p.stage.log.next(); ok {
				return fmt.Errorf("the line is %q", line)
			}
			return nil
		}
		re, ok := regexp.MustCompile(p.texts(s.args[0])), false
		p.await(patience, func() bool { ok = p.stage.log.take(re); return ok })
		if ok {
			return nil
		}
		if line, ok := p.stage.log.next(); ok {
			return fmt.Errorf("the line is %q", line)
		}
		return errors.New("no line came")
	case "close", "reset":
		return p.hangUp(s.args[0], s.verb == "reset")
	}
	state := map[string]portState{"up": portUp, "down": portDown, "hang": portHang}[s.verb]
	name, port := s.args[0], ""
	servers, err := p.servers(name)
	if len(servers) == 0 && err == nil {
		name, port, _ = strings.Cut(name, ":")
		servers, err = p.servers(name)
	}
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
			p.strike(p.places[at], state)
		}
	}
	if err == nil && !found {
		err = fmt.Errorf("%s has no port %s", name, port)
	}
	synctest.Wait()
	return err
}

// strike does to the open connections of a place what its new state means for them: a machine that comes back knows those no more
// that it had when it fell silent.
func (p *player) strike(pl *place, state portState) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range pl.ends {
		switch {
		case state == portHang:
			e.mem.Vanish()
		case state == portDown, e.mem.vanished():
			e.mem.Reset()
		}
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
