package convert

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A stunnelService is a service being read: its own options and those of the whole file.
type stunnelService struct {
	p      *pile
	name   string
	head   *directive
	opts   map[string]*directive // by the lower-case name; the last one counts
	many   map[string][]*directive
	own    map[*directive]bool // what does not count for all services
	tls    *tlsSet
	f      *front
	b      *back
	client bool
	closed bool // it must not be opened: what guarded it, or what it needs, is not known here
}

// readStunnel fills the site from files that count as one.
func readStunnel(p *pile, sources []*source) error {
	var list []*service
	var errs []error
	for _, s := range sources {
		var err error
		if list, err = p.parseStunnel(s, list, 0); err != nil {
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	first := list[0]
	for _, d := range first.opts {
		stunnelGlobal(p, d)
		if len(d.comments) > 0 && !isServiceOption(d.words[0]) {
			p.site.head = append(p.site.head, d.comments...)
			d.comments = nil
		}
	}
	services := list[1:]
	if len(services) == 0 && len(first.opts) > 0 {
		for _, d := range first.opts {
			if d.Verdict == unjudged {
				d.refuse("without a section stunnel serves one connection given by inetd: gatehouse listens itself")
			}
		}
		return nil
	}
	byName := map[string]*stunnelService{}
	var all []*stunnelService
	for _, svc := range services {
		s := &stunnelService{p: p, name: svc.name, head: svc.head, opts: map[string]*directive{}, many: map[string][]*directive{}, own: map[*directive]bool{}}
		for _, d := range first.opts {
			if isServiceOption(d.words[0]) {
				s.add(d)
			}
		}
		inherited := map[*directive]bool{}
		for _, d := range s.opts {
			inherited[d] = true
		}
		for _, d := range svc.opts {
			name := strings.ToLower(d.words[0])
			if old := s.opts[name]; old != nil && !repeatable[name] {
				old.fold("replaced at %s", d.place())
			}
			if old := s.many[name]; len(old) > 0 && inherited[old[0]] {
				s.many[name] = nil
			}
			s.own[d] = true
			s.add(d)
		}
		byName[s.name] = s
		all = append(all, s)
	}
	for _, s := range all {
		s.read(byName)
	}
	for _, d := range first.opts {
		if d.Verdict == unjudged {
			d.fold("no service it would count for")
		}
	}
	return nil
}

func (s *stunnelService) add(d *directive) {
	name := strings.ToLower(d.words[0])
	s.opts[name] = d
	s.many[name] = append(s.many[name], d)
}

// read makes the front and the back of a service.
func (s *stunnelService) read(byName map[string]*stunnelService) {
	s.head.keep("")
	for _, name := range sortedKeys(s.opts) {
		o, ok := stunnelServiceOptions[name]
		for _, d := range s.many[name] {
			if !ok {
				d.refuse("there is no option %q in a service", d.words[0])
			} else if o.verdict != unjudged {
				d.judge(o.verdict, "%s", o.reason)
			}
			if strings.Contains(d.words[1], "${") {
				d.refuse("a placeholder: convert the file with its value")
			}
		}
	}
	s.client = yes(s.opts["client"])
	name := s.name
	if name == "" {
		name = "tunnel"
	}
	s.f = &front{name: name, tcp: true, listen: true}
	s.b = &back{name: name, tcp: true}
	s.f.take("", s.head)
	s.b.from = map[string][]*directive{"": {s.head}}
	s.accept(byName)
	s.connect()
	if s.opts["exec"] != nil || s.closed || s.opts["psksecrets"] != nil && !s.client || len(s.b.servers) == 0 || len(s.f.binds) == 0 {
		s.fail()
		return
	}
	s.small()
	s.waiting()
	for _, name := range sortedKeys(s.many) { // what nobody wanted the comments of
		for _, d := range s.many[name] {
			if len(d.comments) > 0 {
				s.b.say("}", d)
			}
		}
	}
	s.p.site.addFront(s.f)
	s.b.name = s.f.name
	s.p.site.addBack(s.b)
	s.f.listen = s.b.name == s.f.name
	s.f.back = s.b
	s.head.keep("listen %q in mode tcp", s.f.name)
}

// fail refuses a service of which not enough is left.
func (s *stunnelService) fail() {
	s.head.refuse("nothing is left that could be served")
	for _, name := range sortedKeys(s.many) {
		for _, d := range s.many[name] {
			if s.own[d] && (d.Verdict == unjudged || d.Verdict == Kept) {
				d.refuse("its service is left out")
			}
		}
	}
}

func yes(d *directive) bool { return d != nil && strings.EqualFold(d.words[1], "yes") }

// endpoint reads [HOST:]PORT, :::PORT, or a path. A bare port is one of home.
func endpoint(s, home string) (addr, problem string) {
	if strings.HasPrefix(s, "/") {
		return "unix:" + s, ""
	}
	host, port := splitPort(s)
	if !strings.Contains(s, ":") {
		host, port = home, s
	}
	if n, ok := services[strings.ToLower(port)]; ok {
		port = n
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", fmt.Sprintf("%q is not a port", port)
	}
	if strings.EqualFold(host, "localhost") && home != "" {
		host = "127.0.0.1"
	}
	return joinPort(host, port), ""
}

// services are the names of ports that stand in configurations.
var services = map[string]string{"http": "80", "https": "443", "pop3": "110", "pop3s": "995", "imap": "143", "imap2": "143", "imaps": "993", "smtp": "25", "smtps": "465", "ssmtp": "465", "submission": "587", "ldap": "389", "ldaps": "636", "mysql": "3306", "postgresql": "5432", "ssh": "22", "telnet": "23", "telnets": "992", "nntp": "119", "nntps": "563", "ircs": "994", "ftps": "990"}

// accept makes the address of the service, or with sni that of the service it shares.
func (s *stunnelService) accept(byName map[string]*stunnelService) {
	if !s.client {
		s.tls = s.certificate()
	}
	if d := s.opts["sni"]; d != nil && !s.client {
		master, host, ok := strings.Cut(d.words[1], ":")
		m := byName[master]
		if !ok || m == nil || m == s || m.f == nil || len(m.f.binds) == 0 {
			d.refuse("there is no service %q before it", master)
			return
		}
		for _, b := range m.f.binds {
			s.f.addBind(&bind{addr: b.addr, tls: s.tls}, d)
		}
		s.f.hosts = hostsOf([]string{host})
		s.f.take("hosts", d)
		d.keep("hosts, at the address of %q", master)
		if s.opts["accept"] != nil {
			s.opts["accept"].fold("sni says where")
		}
		return
	}
	for _, d := range s.many["accept"] {
		addr, problem := endpoint(d.words[1], "")
		if problem != "" {
			d.refuse("%s", problem)
			continue
		}
		if strings.HasPrefix(addr, "[::]:") {
			addr = addr[len("[::]"):]
		}
		s.f.addBind(&bind{addr: addr, tls: s.tls}, d)
		d.keep("bind")
	}
}

// connect makes the servers.
func (s *stunnelService) connect() {
	prio := false
	if d := s.opts["failover"]; d != nil {
		prio = strings.EqualFold(d.words[1], "prio")
		s.sayTo(d)
		d.keep("")
	}
	for _, d := range s.many["connect"] {
		addr, problem := endpoint(d.words[1], "127.0.0.1")
		if problem != "" {
			d.refuse("%s", problem)
			continue
		}
		srv := &server{addr: addr}
		srv.name = unique(or(s.name, "server"), func(n string) bool {
			for _, o := range s.b.servers {
				if o.name == n {
					return true
				}
			}
			return false
		})
		srv.backup = prio && len(s.b.servers) > 0
		srv.take("", d)
		if s.client {
			srv.tls = s.serverTLS(d)
		}
		if l := s.opts["local"]; l != nil {
			srv.source = l.words[1]
			srv.take("source", l)
			l.keep("source")
		}
		s.b.servers = append(s.b.servers, srv)
		d.keep("server")
	}
	s.protocol()
}

// protocol reads what is said before TLS begins.
func (s *stunnelService) protocol() {
	d := s.opts["protocol"]
	switch {
	case d == nil:
	case strings.EqualFold(d.words[1], "proxy") && !s.client:
		for _, srv := range s.b.servers {
			srv.sendProxy = "v1"
			srv.take("send_proxy", d)
		}
		d.keep("send_proxy")
	default:
		d.refuse("%s begins in the clear and turns to TLS: that is not spoken here", d.words[1])
		s.closed = true
	}
}

// small judges the options that change little.
func (s *stunnelService) small() {
	for _, d := range s.many["socket"] {
		switch v := strings.ToUpper(d.words[1]); {
		case strings.Contains(v, "TCP_NODELAY=1"), strings.Contains(v, "SO_KEEPALIVE=1"), strings.Contains(v, "SO_REUSEADDR=1"), strings.Contains(v, "SO_LINGER"), strings.Contains(v, "TCP_KEEP"):
			d.fold("always so")
		default:
			d.note("sockets are as gatehouse wants them")
		}
	}
	for _, name := range []string{"setuid", "setgid"} {
		if d := s.opts[name]; d != nil {
			d.note("all services run as one user")
		}
	}
	if d := s.opts["xforwardedfor"]; d != nil {
		if yes(d) {
			s.b.unneeded = append(s.b.unneeded, d)
			d.refuse("a tcp service changes nothing in what it relays: name the HTTP proxy behind it too, or make it mode http")
		} else {
			d.fold("the default")
		}
	}
	if d := s.opts["client"]; d != nil {
		if s.client {
			d.keep("tls towards the server")
		} else {
			d.fold("the default")
		}
	}
}

// waiting reads the timeouts, in seconds.
func (s *stunnelService) waiting() {
	for _, t := range []struct{ option, attr string }{{"timeoutconnect", "connect"}, {"timeoutidle", "tunnel"}} {
		d := s.opts[t.option]
		if d == nil {
			continue
		}
		n, err := strconv.ParseUint(d.words[1], 10, 31)
		if err != nil {
			d.refuse("%q is not a number of seconds", d.words[1])
			continue
		}
		s.b.timeouts.set(t.attr, time.Duration(n)*time.Second, d)
		d.keep("timeouts { %s }", t.attr)
	}
	if d := s.opts["timeoutbusy"]; d != nil {
		d.fold("bounded by the other timeouts")
	}
	if s.opts["timeoutidle"] == nil {
		s.head.note("a silent connection is closed after an hour here (timeouts { tunnel }), after twelve there")
	}
}

// sayTo keeps the comments of an option.
func (s *stunnelService) sayTo(d *directive) { s.b.say("}", d) }
