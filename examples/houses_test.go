package examples

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing/synctest"

	"gatehouse/cmd/gatehouse/admin"
)

// enter opens a house beside those that are open. Servers at the address of one of those are not the flow's to play.
func (p *player) enter(file string, at netip.Addr) error {
	st, err := p.load(filepath.Join(p.folder, file), at)
	if err != nil {
		return err
	}
	st.file, st.log.ring = file, p.ring
	if len(p.stages) == 0 {
		p.clients, p.order, p.it = map[string]*client{}, nil, nil
		p.places, p.cast = map[netip.AddrPort]*place{}, nil
	}
	p.stages, p.stage = append(p.stages, st), st
	p.settle(st.servers)
	if err := st.start(); err != nil {
		return err
	}
	synctest.Wait() // the first health checks are done
	return nil
}

// settle makes the servers of a configuration the flow's, as far as they are not yet, and no house is there instead.
func (p *player) settle(servers []*server) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range servers {
		if p.net.housed(s.at) {
			continue
		}
		same := func(o *server) bool { return o.name == s.name && o.backend == s.backend && o.at == s.at }
		if i := slices.IndexFunc(p.cast, same); i >= 0 {
			p.cast[i] = s // its checks may be others now
		} else {
			p.cast = append(p.cast, s)
		}
		for _, at := range s.ports() {
			pl := p.places[at]
			if pl == nil {
				pl = &place{at: at, answer: "200", by: map[string]*end{}}
				p.places[at] = pl
				p.net.serve(at, func(c *memConn) { p.arrived(pl, c) })
			}
			pl.lines = append(pl.lines, s.checks...)
		}
	}
}

// leave closes all houses, the last first, and reports what came and no line received.
func (p *player) leave() error {
	synctest.Wait()
	err := p.left()
	for _, c := range p.clients {
		for _, e := range c.ends {
			e.conn.Close()
		}
	}
	synctest.Wait()
	p.goHome()
	for _, st := range slices.Backward(p.stages) {
		err = errors.Join(err, st.close())
	}
	p.stages = nil
	p.goHome()
	return err
}

// goHome closes the connections that servers have: one that is relayed lasts until both sides have ended.
func (p *player) goHome() {
	p.mu.Lock()
	for _, pl := range p.places {
		for _, e := range pl.ends {
			e.conn.Close()
		}
	}
	p.mu.Unlock()
	synctest.Wait()
}

// house plays house FILE, which takes the place of all that are open, or house FILE at ADDRESS, which joins them.
func (p *player) house(args []string) error {
	if len(args) == 3 {
		at, err := netip.ParseAddr(args[2])
		if err != nil {
			return err
		}
		p.net.settle(at)
		return p.enter(args[0], at)
	}
	if len(p.stages) > 0 {
		if err := p.leave(); err != nil {
			return err
		}
	}
	return p.enter(args[0], netip.Addr{})
}

// stageOf returns the open house of a configuration: FILE, or FILE at ADDRESS.
func (p *player) stageOf(args []string) (*stage, error) {
	for _, st := range p.stages {
		if st.file == args[0] && (len(args) == 1 || st.at.String() == args[2]) {
			return st, nil
		}
	}
	return nil, fmt.Errorf("no house of %s is open", strings.Join(args, " "))
}

// reload puts another configuration in charge of the last house, or finds it refused for a reason that matches pattern.
func (p *player) reload(file, pattern string) error {
	file = filepath.Join(p.folder, file)
	servers, err := p.stage.peek(file)
	if err != nil {
		return err
	}
	p.settle(servers)
	o := p.stage.reload(file)
	synctest.Wait()
	switch {
	case pattern == "" && !o.Done:
		return fmt.Errorf("it was refused: %s%s", o.Unwilling, o.Diagnostics)
	case pattern != "" && o.Done:
		return errors.New("it was not refused")
	case pattern != "" && !regexp.MustCompile(pattern).MatchString(o.Diagnostics):
		return fmt.Errorf("it was refused otherwise: %s%s", o.Unwilling, o.Diagnostics)
	}
	return nil
}

// obey plays server drain BACKEND/SERVER, and the like.
func (p *player) obey(args []string) error {
	var o admin.Order
	o.Backend, o.Server, _ = strings.Cut(args[1], "/")
	if args[0] == "weight" {
		n, err := strconv.Atoi(args[2])
		if err != nil {
			return err
		}
		o.Weight = &admin.Weight{N: n}
	} else {
		o.State = args[0]
	}
	_, err := p.stage.obey(o)
	synctest.Wait()
	return err
}

// line plays cut NETWORK NETWORK, and mend.
func (p *player) line(args []string) error {
	if len(args) == 0 {
		p.net.mend()
	} else {
		a, err := netip.ParsePrefix(args[0])
		if err != nil {
			return err
		}
		b, err := netip.ParsePrefix(args[1])
		if err != nil {
			return err
		}
		p.net.cut(a, b)
	}
	synctest.Wait()
	return nil
}

// housed reports whether a house listens there.
func (n *network) housed(at netip.AddrPort) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.doors[at]) > 0
}

// settle says that there is a machine for houses.
func (n *network) settle(at netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.machines[at] = true
}
