package convert

import (
	"errors"
	"fmt"
	"path"
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

// repeatable are options that may stand in a service several times and all count.
var repeatable = map[string]bool{"connect": true, "socket": true, "options": true, "checkhost": true, "checkip": true, "checkemail": true, "accept": true, "protocolheader": true, "config": true, "ocspflag": true, "redirect": true}

func (s *stunnelService) add(d *directive) {
	name := strings.ToLower(d.words[0])
	s.opts[name] = d
	s.many[name] = append(s.many[name], d)
}

// A stunnelOption is what is known of an option that is not read by a method: a verdict, and whether it may stand in a service.
type stunnelOption struct {
	verdict Verdict
	reason  string
}

// stunnelGlobals are the options of the whole program.
var stunnelGlobals = map[string]stunnelOption{
	"chroot": {Noted, "there is no chroot: the service manager confines the process"}, "compression": {Folded, "TLS is not compressed: that leaks"},
	"egd": {Folded, "the kernel's random numbers are used"}, "engine": {Refused, "keys are files here"}, "enginectrl": {Refused, "keys are files here"}, "enginedefault": {Refused, "keys are files here"},
	"fips": {Noted, "Go's own FIPS mode is switched on by GODEBUG=fips140=on"}, "foreground": {Folded, "gatehouse stays in the foreground"},
	"iconactive": {Folded, "there is no icon"}, "iconerror": {Folded, "there is no icon"}, "iconidle": {Folded, "there is no icon"}, "taskbar": {Folded, "there is no icon"},
	"log": {Folded, "log files are appended to"}, "provider": {Refused, "keys are files here"}, "providerparameter": {Refused, "keys are files here"}, "setenv": {Folded, "OpenSSL is not used"},
	"rndbytes": {Folded, "the kernel's random numbers are used"}, "rndfile": {Folded, "the kernel's random numbers are used"}, "rndoverwrite": {Folded, "the kernel's random numbers are used"},
	"service": {Folded, "the service manager knows its name"}, "syslog": {Folded, "messages go to stderr, and from there to the journal"}, "debug": {Folded, "messages of all levels that matter go to stderr"},
	"output": {Noted, "messages of the process go to stderr, lines of connections where a log block says"},
}

// stunnelFolds, in a service, and those that are refused or noted there.
var stunnelServiceOptions = map[string]stunnelOption{
	"ciphers": {Noted, "those of Mozilla's profile are used"}, "ciphersuites": {Noted, "those of TLS 1.3 are used"}, "curve": {Noted, "those of Mozilla's profile are used"}, "curves": {Noted, "those of Mozilla's profile are used"},
	"securitylevel": {Noted, "Mozilla's profile counts"}, "config": {Refused, "OpenSSL's commands mean nothing here"}, "delay": {Folded, "names are looked up when they are needed"},
	"debug": {Folded, "messages of all levels that matter go to stderr"}, "logid": {Folded, "connections are numbered"}, "engineid": {Refused, "keys are files here"}, "enginenum": {Refused, "keys are files here"},
	"exec": {Refused, "servers are reached by addresses: let a service manager start the program behind a socket"}, "execargs": {Refused, "servers are reached by addresses"}, "pty": {Refused, "servers are reached by addresses"},
	"ident": {Refused, "clients are not asked who they are by ident"}, "libwrap": {Noted, "hosts.allow and hosts.deny are not read: let the packet filter do it"}, "local": {},
	"ocsp": {Refused, "authorities are not asked about certificates"}, "ocspaia": {Refused, "authorities are not asked about certificates"}, "ocspflag": {Refused, "authorities are not asked about certificates"}, "ocspnonce": {Refused, "authorities are not asked about certificates"}, "ocsprequire": {Refused, "authorities are not asked about certificates"},
	"protocolauthentication": {Refused, "the protocol is not spoken here"}, "protocoldomain": {Refused, "the protocol is not spoken here"}, "protocolheader": {Refused, "the protocol is not spoken here"}, "protocolhost": {Refused, "the protocol is not spoken here"}, "protocolpassword": {Refused, "the protocol is not spoken here"}, "protocolusername": {Refused, "the protocol is not spoken here"},
	"pskidentity": {Refused, "TLS is by certificates here"}, "psksecrets": {Refused, "TLS is by certificates here, without them everybody would get in"},
	"redirect": {Refused, "clients without a certificate are not sent elsewhere"}, "renegotiation": {Folded, "there is none"}, "reset": {Folded, "a broken connection is told as such"},
	"retry": {Folded, "every new connection is tried"}, "retrydelay": {Folded, "every new connection is tried"}, "sessioncachesize": {Folded, "sessions are resumed by tickets"}, "sessioncachetimeout": {Folded, "sessions are resumed by tickets"}, "sessionresume": {Folded, "sessions are resumed by tickets"},
	"sessiond": {Noted, "sessions are resumed by tickets: several machines share none"}, "stack": {Folded, "a connection has no thread"}, "ticketkeysecret": {Noted, "tickets are sealed with keys of gatehouse's own"}, "ticketmacsecret": {Noted, "tickets are sealed with keys of gatehouse's own"},
	"timeoutclose": {Folded, "connections are closed at once when both sides are done"}, "timeoutocsp": {Folded, "authorities are not asked about certificates"}, "transparent": {Refused, "servers see gatehouse's address: send_proxy tells the client's"},
	"socket": {}, "options": {}, "retryinterval": {Folded, "every new connection is tried"}, "xforwardedfor": {}, "rotatefailover": {Folded, ""},
	"accept": {}, "connect": {}, "cert": {}, "key": {}, "cafile": {}, "capath": {}, "caengine": {Refused, "keys are files here"}, "crlfile": {}, "crlpath": {}, "verify": {}, "verifychain": {}, "verifypeer": {}, "requirecert": {},
	"checkhost": {}, "checkip": {}, "checkemail": {}, "client": {}, "failover": {}, "sni": {}, "protocol": {}, "sslversion": {}, "sslversionmin": {}, "sslversionmax": {},
	"timeoutbusy": {}, "timeoutconnect": {}, "timeoutidle": {}, "setuid": {}, "setgid": {},
}

func isServiceOption(name string) bool {
	name = strings.ToLower(name)
	_, ok := stunnelServiceOptions[name]
	return ok && name != "setuid" && name != "setgid" && name != "debug"
}

// stunnelGlobal judges an option that stands before all sections.
func stunnelGlobal(p *pile, d *directive) {
	name := strings.ToLower(d.words[0])
	g := &p.site.global
	switch o, ok := stunnelGlobals[name]; {
	case name == "setuid" || name == "setgid":
		attr, to := "user", &g.user
		if name == "setgid" {
			attr, to = "group", &g.group
		}
		if *to != "" && *to != d.words[1] {
			d.note("the %s is %q already", attr, *to)
			return
		}
		*to = d.words[1]
		g.take(attr, d)
		d.keep("%s", attr)
	case name == "pid" && d.words[1] == "":
		d.fold("the default: no such file")
	case name == "pid":
		if g.pidFile != "" && g.pidFile != d.words[1] {
			d.fold("one process has one file: %s", g.pidFile)
			return
		}
		g.pidFile = d.words[1]
		g.take("pid_file", d)
		d.keep("pid_file")
	case ok:
		d.judge(o.verdict, "%s", o.reason)
	case isServiceOption(name):
	default:
		d.refuse("there is no option %q", d.words[0])
	}
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

// certificate makes the tls block of a service that ends TLS.
func (s *stunnelService) certificate() *tlsSet {
	t := &tlsSet{}
	cert := s.opts["cert"]
	switch {
	case cert == nil:
		s.head.refuse("a server without a certificate")
		s.closed = true
		return nil
	default:
		t.cert = cert.words[1]
		t.take("", cert)
		cert.keep("tls { certificate }")
		if !path.IsAbs(t.cert) {
			cert.note("a relative path belongs to the new configuration's directory")
		}
	}
	if d := s.opts["key"]; d != nil {
		t.key = d.words[1]
		if t.key == t.cert {
			t.key = ""
			d.fold("the certificate's file has it")
		} else {
			d.keep("tls { key }")
		}
		t.take("key", d)
	}
	s.version(t)
	s.verifyClient(t)
	t.name = nameOfFile(t.cert)
	return s.p.site.tls(t)
}

// version reads the versions of TLS.
func (s *stunnelService) version(t *tlsSet) {
	for _, name := range []string{"sslversion", "sslversionmin"} {
		d := s.opts[name]
		if d == nil {
			continue
		}
		switch v := d.words[1]; v {
		case "TLSv1.2", "TLSv1.3":
			min, _ := minVersion(v)
			t.minVersion = max(t.minVersion, min)
			t.take("min_version", d)
			d.keep("min_version")
			if name == "sslversion" && v == "TLSv1.2" {
				d.note("TLS 1.3 is spoken too")
			}
		case "all":
			d.note("TLS 1.2 is the oldest that is spoken")
		default:
			d.note("%s is not spoken any more: TLS 1.2 is the oldest", v)
		}
	}
	if d := s.opts["sslversionmax"]; d != nil {
		d.note("the newest version both sides know is spoken")
	}
	for _, d := range s.many["options"] {
		switch v := strings.ToUpper(strings.TrimPrefix(d.words[1], "-")); {
		case strings.HasPrefix(d.words[1], "-") && (v == "NO_SSLV2" || v == "NO_SSLV3" || v == "NO_TLSV1" || v == "NO_TLSV1.1"):
			d.note("TLS 1.2 is the oldest that is spoken")
		case strings.HasPrefix(d.words[1], "-"):
			d.fold("OpenSSL is not used")
		case v == "NO_TLSV1.2" || v == "NO_TLSV1_2":
			t.minVersion = "1.3"
			t.take("min_version", d)
			d.keep("min_version")
		default:
			d.fold("never done here, or always")
		}
	}
}

// verifyClient reads what is asked of clients' certificates. Those options mean the server's in client mode.
func (s *stunnelService) verifyClient(t *tlsSet) {
	level := ""
	for _, name := range []string{"verify", "verifychain", "verifypeer", "requirecert"} {
		d := s.opts[name]
		switch {
		case d == nil:
		case name == "verify" && (d.words[1] == "0"), name != "verify" && !yes(d):
			d.fold("the default")
		case name == "verify" && d.words[1] == "1":
			level = "verify"
			t.take("client_auth", d)
			d.keep("client_auth")
		case name == "verifypeer" || name == "verify" && (d.words[1] == "3" || d.words[1] == "4"):
			level = "require"
			t.take("client_auth", d)
			d.refuse("certificates are judged by their authority: none is known by itself")
		default:
			level = "require"
			t.take("client_auth", d)
			d.keep("client_auth")
		}
	}
	for _, name := range []string{"cafile", "capath", "crlfile", "crlpath", "checkhost", "checkip", "checkemail"} {
		for _, d := range s.many[name] {
			switch {
			case level == "":
				d.fold("clients are not asked for a certificate")
			case name == "cafile":
				t.clientCA = d.words[1]
				t.take("client_auth", d)
				d.keep("client_auth")
			case name == "crlfile":
				t.crl = d.words[1]
				t.take("client_auth", d)
				d.keep("client_auth")
			default:
				d.refuse("the authority's file alone decides about certificates")
			}
		}
	}
	t.clientMode = level
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

// serverTLS is TLS towards the server of a client service.
func (s *stunnelService) serverTLS(d *directive) *serverTLS {
	t := &serverTLS{}
	t.from = map[string][]*directive{"": {d}}
	verified := false
	for _, name := range []string{"verify", "verifychain", "verifypeer", "requirecert"} {
		v := s.opts[name]
		switch {
		case v == nil:
		case name == "verify" && (v.words[1] == "0" || v.words[1] == "1"), name != "verify" && !yes(v):
			v.fold("the certificate is not verified")
		case name == "verifypeer" || name == "verify" && v.words[1] != "2":
			v.refuse("certificates are judged by their authority: none is known by itself")
		default:
			verified = true
			v.keep("the server's certificate is verified")
		}
	}
	for _, name := range []string{"cafile", "capath", "crlfile", "crlpath", "checkhost", "checkip", "checkemail", "sni"} {
		for i, o := range s.many[name] {
			switch {
			case name == "sni", name == "checkhost" && verified && i == 0:
				t.serverName = o.words[1]
				t.take("server_name", o)
				o.keep("server_name")
			case !verified:
				o.fold("the certificate is not verified")
			case name == "cafile":
				t.ca = o.words[1]
				t.take("ca", o)
				o.keep("ca")
			case name == "capath" && isSystemCA(o.words[1]):
				o.fold("the authorities the machine trusts")
			default:
				o.refuse("the authority's file and the server's name alone decide about certificates")
			}
		}
	}
	if !verified {
		t.verify = new(false)
		d.note("the server's certificate is not verified, as before: anybody in between can read everything")
	} else if t.serverName == "" {
		d.note("the server's certificate must be for its name here; before, any of the authority's would do")
	}
	if c := s.opts["cert"]; c != nil {
		t.cert = c.words[1]
		t.take("certificate", c)
		c.keep("the certificate shown to the server")
	}
	if k := s.opts["key"]; k != nil {
		t.key = k.words[1]
		t.take("key", k)
		k.keep("key")
	}
	s.version(&tlsSet{})
	for _, name := range []string{"sslversion", "sslversionmin"} {
		if v := s.opts[name]; v != nil {
			v.note("the best both sides know is spoken with servers, at least TLS 1.2")
		}
	}
	return t
}

func isSystemCA(dir string) bool {
	switch strings.TrimRight(dir, "/") {
	case "/etc/ssl/certs", "/etc/pki/tls/certs", "/usr/share/ca-certificates":
		return true
	}
	return false
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
