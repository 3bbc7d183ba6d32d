package house

import (
	"fmt"
	"os"
	"time"

	"gatehouse/backend"
	"gatehouse/cmd/gatehouse/admin"
	"gatehouse/frontend"
)

// Status describes everything at this moment.
func (h *House) Status() *admin.Status {
	g := h.gen.Load()
	s := &admin.Status{
		Version: h.o.Version, PID: os.Getpid(), State: "serving", Started: h.started, Now: time.Now(),
		Configuration: h.o.Configuration, Generation: g.number, Since: g.since,
		Totals: admin.Totals{Connections: h.process.Count(), MaxConnections: h.process.Max()},
	}
	if h.stopping() {
		s.State = "stopping"
	}
	h.mu.Lock()
	s.Reload, s.Totals.Reloads, s.Totals.ReloadsRefused = h.last, h.done, h.refused
	h.mu.Unlock()
	for _, l := range h.o.Loops {
		s.Totals.Panics += l.Panics()
	}
	for _, c := range g.file.Frontends {
		f := g.fronts[c.Name]
		v := admin.Frontend{
			Name: c.Name, Connections: f.Connections(), MaxConnections: c.MaxConnections,
			Accepted: f.Stats.Connections.Load(), Refused: f.Stats.Refused.Load(), Monitored: f.Stats.Monitored.Load(),
			Requests: f.Stats.Requests.Load(), Active: int(f.Stats.Active.Load()), Bad: f.Stats.Bad.Load(),
		}
		if c.Compress != nil {
			v.Compress = compressStatus(&f.Stats.Compress)
		}
		for _, b := range c.Binds {
			a := b.Address
			if n := g.listener(&a); n != nil {
				a = n.Addr()
			}
			v.Addresses = append(v.Addresses, a.String())
		}
		s.Frontends = append(s.Frontends, v)
	}
	for _, c := range g.file.Backends {
		p := g.pools[c.Name]
		v := admin.Backend{
			Name: c.Name, Usable: p.Usable(), Requests: p.Stats.Requests.Load(), Active: int(p.Stats.Active.Load()), Waiting: p.Waiting(),
			Retries: p.Stats.Retries.Load(), Redispatches: p.Stats.Redispatches.Load(), Failed: p.Stats.Failed.Load(),
		}
		for _, srv := range p.Servers() {
			v.Servers = append(v.Servers, serverStatus(c.Name, srv))
		}
		s.Backends = append(s.Backends, v)
	}
	for _, c := range g.file.Caches {
		if k := g.caches[c.Name]; k != nil {
			s.Caches = append(s.Caches, k.status(c.Name))
		}
	}
	for _, c := range g.file.TLS {
		for _, x := range certificatesOf(c.Name, g.certs[c.Name].Certificates) {
			if x.Problem != "" {
				s.Troubles = append(s.Troubles, trouble(&x))
			}
			if len(x.Names) == 0 && x.Problem != "" {
				continue // nothing is served of it
			}
			s.Certificates = append(s.Certificates, x)
		}
	}
	for _, c := range g.file.Logs {
		s.Logs = append(s.Logs, admin.Log{Name: c.Name, Output: c.Output, Dropped: g.logs[c.Name].Dropped()})
	}
	return s
}

// compressStatus describes what a frontend has compressed.
func compressStatus(s *frontend.CompressStats) *admin.Compress {
	c := &admin.Compress{Copies: s.Copies.Load(), In: s.In.Load(), Out: s.Out.Load()}
	for _, coding := range frontend.Codings() {
		c.Answers = append(c.Answers, admin.Count{What: coding.String(), N: s.Answers[coding].Load()})
	}
	for _, why := range frontend.Skips() {
		c.Skipped = append(c.Skipped, admin.Count{What: why.String(), N: s.Skipped[why].Load()})
	}
	return c
}

// trouble says what is wrong with a certificate file, and what is served instead.
func trouble(c *admin.Certificate) string {
	if len(c.Names) > 0 {
		return fmt.Sprintf("tls %s: %s; what was read before is served", c.TLS, c.Problem)
	}
	return fmt.Sprintf("tls %s: %s", c.TLS, c.Problem)
}

// serverStatus describes a server of a backend.
func serverStatus(name string, s backend.ServerStatus) admin.Server {
	v := admin.Server{
		Backend: name, Name: s.Name, Address: s.Address, Cookie: s.Cookie, Backup: s.Backup,
		Health: s.Health, Check: s.Why, Since: s.Since, Operator: s.State.String(), Weight: s.Weight,
		Wishes: inWords(s.Will, s.ConfiguredState, s.ConfiguredWeight), Newcomers: s.Newcomers, Holders: s.Holders,
		Share: s.Share, Active: s.Active, Waiting: s.Waiting, Idle: s.Idle,
		Requests: s.Requests, Connections: s.Connections, Refused: s.Refused, Failed: s.Failed,
	}
	switch {
	case !s.Checked:
		v.Health = "unchecked"
	case !s.Known:
		v.Health = "unknown"
	}
	v.State = v.InWords()
	return v
}
