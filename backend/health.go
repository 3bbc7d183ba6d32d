package backend

import (
	"time"

	"go.uber.org/zap"

	"gatehouse/backend/loop"
)

// checksOf returns the checks of a server, none when it is not checked.
func (p *Pool) checksOf(s *server) []*Check { return checksFor(p.c.Checks, s.c.Checks) }

// startChecks begins to check. All checks of a pool run on one loop, which is told apart by nothing: the first. carried says whose
// health is known already. mu is held.
func (p *Pool) startChecks(carried []bool) {
	targets := make([]target, len(p.servers))
	checked := false
	for i, s := range p.servers {
		targets[i] = target{address: p.checkAddress(s), named: s.c.Address.Host != "", greet: s.checkGreeting(), protocol: s.c.Protocol, source: s.c.Source, checks: p.checksOf(s), carried: carried[i], health: p.health[i]}
		if len(targets[i].checks) > 0 {
			checked = true
			if !carried[i] {
				p.unknown++
			}
		}
	}
	if checked {
		p.checks = newProber(p.o.Loops[0], p.o.Dial, p.o.Resolve, p.t.Check, targets, p.o.Probes, p.observe)
		p.checks.start()
	}
}

// checkAddress returns where a server is checked, as far as its checks do not say so themselves: where its traffic goes.
func (p *Pool) checkAddress(s *server) func() loop.Addr {
	if !s.portless() || p.o.Port == 0 {
		return s.address
	}
	return func() loop.Addr { return s.address().WithPort(p.o.Port) }
}

// stopChecks ends them.
func (p *Pool) stopChecks() {
	if p.checks != nil {
		p.checks.stop()
	}
}

// observe takes the verdict of the checks on a server.
func (p *Pool) observe(i int, health standing, why string) {
	s := p.servers[i]
	p.mu.Lock()
	if p.closed { // another pool has taken over, and says so itself
		p.mu.Unlock()
		return
	}
	before, usable := p.health[i], p.Usable()
	p.health[i] = health
	s.why, s.since = why, time.Now()
	first := !p.known[i]
	if !first {
		p.risen(s)
	}
	p.publish()
	if first {
		p.known[i] = true
		p.learnt()
	}
	lost := !p.Usable() && (usable || first && p.unknown == 0)
	p.mu.Unlock()
	if before <= closing && health > closing {
		p.closeIdle(s) // a machine that fell silent would keep whoever is sent there on one of them waiting
	}
	say := p.o.Log.Info
	if health > max(before, closing) || health == shut {
		say = p.o.Log.Warn
	}
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
	case closing:
		return "leaving: only holders of its cookie come"
	case failing:
		return "failing: only holders of its cookie come"
	}
	return "down"
}
