package backend

import "time"

// tenths is how many steps a server takes from a tenth of its weight and of its max_connections to all of them.
const tenths = 10

// risen notes that a server comes up, with health and will as they are now, before this is published: with slow_start it begins
// small. mu is held.
func (p *Pool) risen(s *server) {
	if s.c.SlowStart <= 0 || p.cancel == nil { // not started: everybody comes up together
		return
	}
	state, weight := s.will.over(s.c)
	if was := (*p.standing.Load())[s.place]; was >= failing && standingOf(p.health[s.place], state, weight) < failing {
		s.up = time.Now()
	}
}

// frost returns how many tenths of its share a server does not get yet, and when that changes; 0 when it gets all.
func (s *server) frost(now time.Time) (missing int, next time.Duration) {
	if s.up.IsZero() {
		return 0, 0
	}
	step := max(1, s.c.SlowStart/tenths)
	k := int(now.Sub(s.up) / step)
	if k >= tenths {
		s.up = time.Time{}
		return 0, 0
	}
	// A tenth from the first moment on, and all after slow_start, no sooner.
	missing, k = tenths-max(1, k), max(1, k)
	return missing, s.up.Add(time.Duration(k+1) * step).Sub(now)
}

// thaw takes from the weights what servers that came up a moment ago do not get yet, and sees to it that publish is called again when
// they get more. mu is held, or nobody else has the pool yet.
func (p *Pool) thaw(weights []int) {
	now, most := time.Now(), 0
	var next time.Duration
	for i, s := range p.servers {
		missing, d := s.frost(now)
		s.cold.Store(int32(missing))
		if missing > 0 && (next == 0 || d < next) {
			next = d
		}
		most = max(most, weights[i])
	}
	if next == 0 {
		return
	}
	// Small weights have no tenths: all are made larger then. Large ones are not, since round robin takes time and memory by their sum.
	scale := 1
	if most*tenths <= MaxWeight {
		scale = tenths
	}
	for i, s := range p.servers {
		if weights[i] > 0 {
			weights[i] = max(1, weights[i]*scale*(tenths-int(s.cold.Load()))/tenths)
		}
	}
	if !p.closed {
		if p.thawing != nil {
			p.thawing.Stop()
		}
		p.thawing = time.AfterFunc(next, func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			if !p.closed {
				p.publish()
			}
		})
	}
}

// room returns how many of a limit a server gets at the moment.
func (s *server) room(limit int64) int64 {
	if cold := int64(s.cold.Load()); cold > 0 {
		return max(1, limit*(tenths-cold)/tenths)
	}
	return limit
}
