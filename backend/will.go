package backend

import "fmt"

// Will is what the operator wants of a server, beyond what the configuration says. The zero Will is nothing.
type Will struct {
	State  *State // nil: as configured
	Weight *int   // 0 to 256; nil: as configured
}

// MaxWeight is the largest weight of a server.
const MaxWeight = 256

// over returns what counts: the operator's word, or else the configuration's.
func (w Will) over(c *Server) (state State, weight int) {
	state, weight = c.State, c.Weight
	if w.State != nil {
		state = *w.State
	}
	if w.Weight != nil {
		weight = *w.Weight
	}
	return state, weight
}

// SetWill makes the operator's wishes for a server count, in the place of earlier ones. The next request obeys; exchanges under way are
// not affected. Idle connections to a server in maintenance are closed.
func (p *Pool) SetWill(server string, w Will) error {
	if w.Weight != nil && (*w.Weight < 0 || *w.Weight > MaxWeight) {
		return fmt.Errorf("weight %d is not from 0 to %d", *w.Weight, MaxWeight)
	}
	for _, s := range p.servers {
		if s.c.Name != server {
			continue
		}
		p.mu.Lock()
		s.will = w
		state, _ := w.over(s.c)
		s.gone.Store(p.closed || state == Maint)
		p.risen(s)
		p.publish()
		p.mu.Unlock()
		if state == Maint {
			p.closeIdle(s)
		}
		return nil
	}
	return fmt.Errorf("backend %s has no server %q", p.c.Name, server)
}
