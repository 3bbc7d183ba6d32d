package examples

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing/synctest"
	"time"
)

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
	case "connect":
		p.sent = time.Now()
		err = p.connect(c)
		if len(s.args) == 1 {
			if err == nil {
				return errors.New("somebody listens")
			}
			c.now, err = nil, nil
		}
		synctest.Wait()
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
