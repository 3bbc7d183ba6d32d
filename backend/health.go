package backend

import "go.uber.org/zap"

// checksOf returns the checks of a server, none when it is not checked.
func (p *Pool) checksOf(s *server) []*Check { return checksFor(p.c.Checks, s.c.Checks) }

// startChecks begins to check. All checks of a pool run on one loop, which is told apart by nothing: the first.
func (p *Pool) startChecks() {
	targets := make([]target, len(p.servers))
	checked := false
	for i, s := range p.servers {
		targets[i] = target{address: s.address, source: s.c.Source, checks: p.checksOf(s)}
		if len(targets[i].checks) > 0 {
			checked = true
			p.unknown++
		}
	}
	if checked {
		p.checks = newProber(p.o.Loops[0], p.o.Dial, p.o.Resolve, p.t.Check, targets, p.observe)
		p.checks.start()
	}
}

// stopChecks ends them.
func (p *Pool) stopChecks() {
	if p.checks != nil {
		p.checks.stop()
	}
}

// observe takes the verdict of the checks on a server.
func (p *Pool) observe(i int, health standing, why string) {
	p.mu.Lock()
	before, usable := p.health[i], p.Usable()
	p.health[i] = health
	if !p.known[i] {
		p.known[i] = true
		p.unknown--
	}
	p.publish()
	lost := !p.Usable() && (usable || p.unknown == 0)
	p.mu.Unlock()
	say := p.o.Log.Info
	if health > before || health == shut {
		say = p.o.Log.Warn
	}
	s := p.servers[i]
	say("server is "+inWords(health), zap.String("server", p.c.Name+"/"+s.c.Name), zap.String("check", why))
	if lost {
		p.o.Log.Error("no server is usable", zap.String("backend", p.c.Name))
	}
}

// inWords says a verdict to an operator.
func inWords(health standing) string {
	switch health {
	case open:
		return "up"
	case failing:
		return "failing: only holders of its cookie come"
	}
	return "down"
}
