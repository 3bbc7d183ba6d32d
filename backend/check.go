package backend

// ChecksOf returns the checks of one of the backend's servers, none when it is not checked.
func (c *Config) ChecksOf(s *Server) []*Check { return checksFor(c.Checks, s.Checks) }

// checksFor returns the checks of a server: the backend's, and each of the server's own in the place of the backend's of its
// kind, or beside them. What is not written in one of the server's own was taken from the backend's when it was read.
func checksFor(backend, own []*Check) []*Check {
	checks := append([]*Check(nil), backend...)
	replaced := make([]bool, len(backend))
next:
	for _, o := range own {
		for i, b := range backend {
			if b.Kind == o.Kind && !replaced[i] {
				checks[i], replaced[i] = o, true
				continue next
			}
		}
		checks = append(checks, o)
	}
	return checks
}

// pulse counts the results of one check of one server. The count goes from 0 to rise+fall-1, and the server is up from
// rise on: so it takes rise good results in a row to come up and fall bad ones in a row to go down. The
// first result of all decides at once.
type pulse struct {
	rise, fall int
	count      int
	known      bool // there was a result
	leaving    bool // it is up, and wants nobody new
}

func (p *pulse) up() bool { return p.known && p.count >= p.rise }

// full is the count of a server that is well.
func (p *pulse) full() int { return p.rise + p.fall - 1 }

// beat takes a result. A server that is leaving is as well as one that is not, but it does not come up so.
func (p *pulse) beat(found finding) {
	switch {
	case !p.known:
		p.set(found != ill)
	case found != ill && p.up():
		p.count = p.full()
	case found == well:
		if p.count++; p.up() {
			p.count = p.full()
		}
	case p.up():
		if p.count--; !p.up() {
			p.count = 0
		}
	default:
		p.count = 0
	}
	if found != ill || !p.up() {
		p.leaving = found == leaving && p.up()
	}
}

// set makes the server up or down, whatever was before.
func (p *pulse) set(up bool) {
	p.known, p.count = true, 0
	if up {
		p.count = p.full()
	}
}

// patient is a server under its checks. The worst verdict of them counts.
type patient struct {
	checks []*Check
	pulses []pulse
	said   []string // what each check said last
	health standing
	told   bool // the health was decided once
}

// newPatient makes a patient that nobody has looked at yet: it takes nobody.
func newPatient(checks []*Check) *patient {
	p := &patient{checks: checks, said: make([]string, len(checks)), health: shut}
	for _, c := range checks {
		p.pulses = append(p.pulses, pulse{rise: max(c.Rise, 1), fall: max(c.Fall, 1)})
	}
	return p
}

// carry takes the health over from before a reload. Unless it was up, all checks have to rise anew.
func (p *patient) carry(health standing) {
	for i := range p.pulses {
		p.pulses[i].set(health <= closing)
		p.pulses[i].leaving = health == closing
	}
	p.health, p.told = health, true
}

// note takes the result of a check. It reports whether the server's health has changed, or is known for the first
// time, and why it is what it is.
func (p *patient) note(check int, found finding, said string) (changed bool, why string) {
	p.pulses[check].beat(found)
	p.said[check] = said
	health, all, why := open, true, said
	for i := range p.pulses {
		if v := p.verdict(i); !p.pulses[i].known {
			all = false
		} else if v > health {
			health, why = v, p.said[i]
		}
	}
	if !all && health != shut {
		return false, "" // what is still to come may be worse
	}
	changed = health != p.health || !p.told
	p.health, p.told = health, true
	return changed, why
}

// verdict is what one check says of the server.
func (p *patient) verdict(check int) standing {
	switch {
	case p.pulses[check].leaving:
		return closing
	case p.pulses[check].up():
		return open
	case p.pulses[check].known && p.checks[check].OnFail == OnFailDrain:
		return failing
	}
	return shut
}
