package convert

import (
	"slices"
	"strings"
)

// globalFolds are words of the global section that need no counterpart, and why.
var globalFolds = map[string]string{
	"daemon": "the service manager puts it into the background", "nbproc": "one process uses all processors", "nbthread": "one process uses all processors",
	"cpu-map": "the kernel places threads", "cpu-set": "the kernel places threads", "cpu-policy": "the kernel places threads", "thread-groups": "one process uses all processors",
	"master-worker": "a reload happens inside the process", "mworker-max-reloads": "a reload happens inside the process",
	"quiet": "there is no chatter to silence", "debug": "see log", "verbose": "see log", "zero-warning": `"gatehouse validate" says what is wrong`,
	"ulimit-n": "raised to the hard limit at start", "fd-hard-limit": "raised to the hard limit at start", "strict-limits": "raised to the hard limit at start",
	"spread-checks": "checks are spread by themselves", "max-spread-checks": "checks are spread by themselves",
	"node": "the host's name", "description": "put it into a comment", "localpeer": "there are no peers",
	"noepoll": "epoll is used", "nokqueue": "epoll is used", "nopoll": "epoll is used", "noevports": "epoll is used", "nosplice": "bytes take the shortest way by themselves",
	"nogetaddrinfo": "names are looked up by the machine's resolver", "noreuseport": "addresses are handed over inside the process", "noktls": "TLS is Go's", "limited-quic": "HTTP/3 is not in this version",
	"server-state-base": "what the operator did to servers is kept by itself", "server-state-file": "what the operator did to servers is kept by itself", "load-server-state-from-file": "what the operator did to servers is kept by itself",
	"log-send-hostname": "the host's name is sent", "ssl-engine": "TLS is Go's", "ssl-mode-async": "TLS is Go's", "ssl-dh-param-file": "no such key exchange is offered", "ssl-skip-self-issued-ca": "chains are sent as they are",
	"ssl-load-extra-files": "a certificate file holds chain and key", "ssl-load-extra-del-ext": "a certificate file holds chain and key", "busy-polling": "the kernel wakes whoever has work", "wurfl-data-file": "clients are not told apart by their devices",
	"set-dumpable": "see the service manager", "prealloc-fd": "not needed", "profiling.tasks": "not needed", "profiling.memory": "not needed", "anonkey": "not needed", "shm-stats-file": "not needed",
	"presetenv": "counts while the old file is read", "setenv": "counts while the old file is read", "unsetenv": "counts while the old file is read", "resetenv": "counts while the old file is read",
	"close-spread-time": "see shutdown_grace", "h1-case-adjust": "fields keep their spelling", "h1-case-adjust-file": "fields keep their spelling", "expose-experimental-directives": "not needed", "expose-deprecated-directives": "not needed",
	"51degrees-data-file": "clients are not told apart by their devices", "external-check": "checks run no programs here", "insecure-fork-wanted": "checks run no programs here", "insecure-setuid-wanted": "not needed",
	"default-path": "a relative path belongs to the new configuration's directory", "stats-file": "counters begin anew at a restart", "pp2-never-send-local": "not needed", "dns-accept-family": "both families are used", "tune": "sizes are not tuned here",
}

// globalNotes are words that something is lost with.
var globalNotes = map[string]string{
	"chroot": "there is no chroot: the service manager confines the process", "uid": "write the user's name", "gid": "write the group's name", "unix-bind": "who may connect is told by the directory's permissions",
	"ssl-default-bind-ciphers": "those of Mozilla's profile are used", "ssl-default-bind-ciphersuites": "those of Mozilla's profile are used", "ssl-default-bind-curves": "those of Mozilla's profile are used",
	"ssl-default-server-ciphers": "those of Mozilla's profile are used", "ssl-default-server-ciphersuites": "those of Mozilla's profile are used", "ssl-default-server-curves": "those of Mozilla's profile are used", "ssl-default-bind-sigalgs": "those of Mozilla's profile are used", "ssl-default-bind-client-sigalgs": "those of Mozilla's profile are used",
	"ssl-default-server-sigalgs": "those of Mozilla's profile are used", "ssl-default-server-client-sigalgs": "those of Mozilla's profile are used", "ssl-default-server-options": "the best both sides know is spoken, at least TLS 1.2", "ssl-security-level": "Mozilla's profile counts",
	"maxconnrate": "rates are not limited here", "maxsessrate": "rates are not limited here", "maxsslrate": "rates are not limited here", "maxsslconn": "see max_connections", "maxpipes": "not needed", "maxcomprate": "nothing is compressed here", "maxcompcpuusage": "nothing is compressed here", "maxzlibmem": "nothing is compressed here",
	"log-tag": "lines are tagged gatehouse", "hard-stop-after": "", "email-alert": "no mail is sent", "httpclient.ssl.verify": "not needed", "httpclient.resolvers.id": "not needed", "h2-workaround-bogus-websocket-clients": "HTTP/2 is not in this version", "warn-blocked-traffic-after": "not needed", "force-cfg-parser-pause": "not needed",
	"no-quic": "HTTP/3 is not in this version", "ocsp-update.mode": "answers of the authority are not stapled", "tune.ssl.ocsp-update.mindelay": "answers of the authority are not stapled", "ssl-server-verify": "", "cluster-secret": "not needed",
}

// global reads a global section.
func (h *haproxy) global(sec *section) {
	g := &h.site.global
	g.say("", sec.head)
	sec.head.keep("global")
	for _, d := range sec.body {
		h.globalLine(g, d)
		if len(d.comments) > 0 {
			h.site.head = append(h.site.head, d.comments...)
			d.comments = nil
		}
	}
}

func (h *haproxy) globalLine(g *global, d *directive) {
	switch d.arg(0) {
	case "maxconn":
		if n := atoi(d.arg(1)); n > 0 {
			g.maxConn = n
			g.take("max_connections", d)
			d.keep("max_connections")
		} else {
			d.refuse("%q is not a number of connections", d.arg(1))
		}
	case "user":
		g.user = d.arg(1)
		g.take("user", d)
		d.keep("user")
	case "group":
		g.group = d.arg(1)
		g.take("group", d)
		d.keep("group")
	case "pidfile":
		g.pidFile = d.arg(1)
		g.take("pid_file", d)
		d.keep("pid_file")
	case "log":
		h.logs = append(h.logs, d)
		d.fold("no section says: log global")
	case "hard-stop-after", "grace":
		v, _, ok := parseHAProxyTime(d.arg(1))
		if !ok {
			d.refuse("%q is not a time", d.arg(1))
			return
		}
		if d.arg(0) == "grace" {
			d.note("write grace in the frontends it is for")
			return
		}
		g.grace = &v
		g.take("shutdown_grace", d)
		d.keep("shutdown_grace")
	case "ca-base":
		h.caBase = d.arg(1)
		d.keep("in the paths of files")
	case "crt-base":
		h.crtBase = d.arg(1)
		d.keep("in the paths of files")
	case "ssl-server-verify":
		h.verifyNone = d.arg(1) == "none"
		d.keep("in each server with TLS")
	case "ssl-default-bind-options":
		h.bindDefaults(d)
	case "stats":
		h.globalStats(d)
	default:
		h.globalOther(d)
	}
}

func (h *haproxy) globalOther(d *directive) {
	word := d.arg(0)
	if word == "no" {
		d.fold("switched off")
		return
	}
	if reason, ok := globalFolds[word]; ok {
		d.fold("%s", reason)
		return
	}
	if reason, ok := globalNotes[word]; ok {
		d.note("%s", reason)
		return
	}
	switch {
	case strings.HasPrefix(word, "tune."), strings.HasPrefix(word, "profiling."), strings.HasPrefix(word, "numa-"):
		d.fold("sizes are not tuned here")
	case strings.HasPrefix(word, "lua-"):
		d.refuse("there are no scripts here")
	case strings.HasPrefix(word, "insecure-"), strings.HasPrefix(word, "httpclient."), strings.HasPrefix(word, "acme."):
		d.fold("not needed")
	case strings.HasPrefix(word, "deviceatlas-"), strings.HasPrefix(word, "51degrees-"), strings.HasPrefix(word, "wurfl-"):
		d.refuse("clients are not told apart by their devices here")
	case word == "set-var", word == "set-var-fmt":
		d.refuse("there are no variables in requests")
	case word == "issuers-chain-path":
		d.note("a certificate file holds its whole chain")
	case word == "ssl-propquery", word == "ssl-provider", word == "ssl-provider-path":
		d.fold("TLS is Go's")
	}
}

// bindDefaults reads what all binds with TLS have in common.
func (h *haproxy) bindDefaults(d *directive) {
	words := d.args(1)
	for i := 0; i < len(words); i++ {
		switch w := words[i]; w {
		case "ssl-min-ver":
			if i++; i < len(words) {
				min, remark := minVersion(words[i])
				h.minVersion, h.minBy = min, d
				if remark != "" {
					d.note("%s", remark)
				}
			}
			d.keep("min_version")
		case "no-tlsv12":
			h.minVersion, h.minBy = "1.3", d
			d.keep("min_version")
		case "no-sslv3", "no-tlsv10", "no-tlsv11", "prefer-client-ciphers":
			d.fold("never spoken here")
		case "no-tls-tickets":
			d.note("sessions are resumed with keys of gatehouse's own")
		case "strict-sni":
			d.note("write strict_sni in the tls blocks")
		case "ssl-max-ver":
			i++
			d.note("the newest version both sides know is spoken")
		default:
			d.note("%s: the newest version both sides know is spoken, at least TLS 1.2", w)
		}
	}
	d.fold("")
}

// globalStats reads stats socket and what belongs to it.
func (h *haproxy) globalStats(d *directive) {
	a := &h.site.admin
	switch d.arg(1) {
	case "socket":
		addr := d.arg(2)
		p, ok := unixPath(addr)
		switch {
		case !ok:
			d.refuse("the admin socket is a file: nothing may be changed over a network")
		case a.socket != "":
			d.note("there is one admin socket, for its owner alone")
		default:
			a.socket = strings.TrimSuffix(p, "/") + ""
			a.take("socket", d)
			d.note("the socket is for its owner alone, and speaks another language: gatehouse status, gatehouse server")
		}
	case "timeout", "maxconn", "bind-process":
		d.fold("not needed")
	default:
		d.refuse("unknown directive")
	}
}

// finish makes what needs the whole section: checks, routes, logs, the status page.
func (x *proxy) finish() {
	if x.b != nil {
		for _, s := range x.servers {
			x.finishServer(s)
		}
		x.checks()
		x.queue()
	}
	if x.f != nil {
		x.routes()
		x.logs()
	}
	x.statistics()
}

// hand gives what a frontend says about requests to the backends that get them: here it stands there.
func (x *proxy) hand() {
	if x.f == nil {
		return
	}
	for _, b := range x.f.leadsTo() {
		if x.forwardedBy != nil {
			b.forwarded = true
			if x.forwards != nil && b.forwardfor == nil {
				ff := *x.forwards
				b.forwardfor = &ff
			}
		}
		if x.closedBy != nil {
			b.httpClose = true
			b.from = withAttr(b.from, "http_close", x.closedBy)
		}
	}
}

func (x *proxy) finishServer(s *haproxyServer) {
	if x.b.cookie == nil {
		if s.hasCookie && s.cookie != "" {
			s.d.note("a cookie without a cookie line in the section has no effect")
		}
		s.cookie = ""
	} else if !s.hasCookie {
		s.d.note("without a cookie of its own, the server's name is the value: holders of it come back")
	}
	if s.cookie == s.name {
		s.cookie = ""
	}
	if s.source == "" && x.source != nil {
		s.sourceAddress(x.source, x.source.arg(1))
		if x.source.arg(2) == "usesrc" {
			x.source.refuse("usesrc: servers see gatehouse's address")
		}
	}
	if s.minConn > 0 && s.maxConn == 0 {
		s.d.note("minconn without maxconn has no effect")
		s.minConn = 0
	}
	if s.maxConn > 0 && s.minConn >= s.maxConn {
		s.minConn = 0
	}
	if x.tcp && strings.HasPrefix(x.b.balance, "header:") {
		x.b.balance = ""
	}
	s.finishTLS(x)
}

// queue makes the backend's limit of the servers' if they agree.
func (x *proxy) queue() {
	most := 0
	for _, s := range x.servers {
		most = max(most, s.maxQueue)
	}
	if most == 0 {
		return
	}
	x.b.maxQueue = most
	for _, s := range x.servers {
		if s.maxQueue > 0 {
			x.b.from = withAttr(x.b.from, "max_queue", s.d)
			s.d.note("maxqueue: max_queue counts for every server of the backend")
		}
	}
}

func withAttr(from map[string][]*directive, attr string, d *directive) map[string][]*directive {
	if from == nil {
		from = map[string][]*directive{}
	}
	from[attr] = append(from[attr], d)
	return from
}

// log notes a destination of the section.
func (x *proxy) log(d *directive) {
	if d.arg(1) == "global" {
		d.fold("the global section names no destination")
		x.logTargets = append(x.logTargets, x.h.logs...)
		if len(x.h.logs) > 0 {
			d.keep("the log of the global section")
		}
		return
	}
	if x.f == nil {
		d.fold("the log is the frontend's")
		return
	}
	x.logTargets = append(x.logTargets, d)
}

// quietLevels are the levels above that of request lines: a destination for those never got any.
var quietLevels = []string{"emerg", "alert", "crit", "err", "warning", "notice"}

// logs gives the front its log: the first destination that gets the lines of requests.
func (x *proxy) logs() {
	var log *logTo
	for _, d := range x.logTargets {
		out, level, remark := logTarget(d.args(1))
		switch {
		case out == "":
			d.refuse("%s", remark)
		case slices.Contains(quietLevels, level):
			d.judge(Folded, "lines of requests have level info and never came there; messages of the process go to stderr")
		case log == nil:
			log = x.h.site.log("access", "", out, x.dontlog == nil)
			log.from = withOrigin(log.from, d)
			if x.logFormat != nil {
				log.from = withAttr(log.from, "format", x.logFormat)
			}
			log.say("", d)
			if x.logFormat == nil && !x.tcp {
				d.note("the line is httplog's, which says more than HAProxy's shortest one did")
			}
			if remark != "" {
				d.note("%s", remark)
			}
			d.keep("log %q", log.name)
		default:
			if !slices.Contains(log.from[""], d) {
				d.refuse("a frontend has one log")
			}
		}
	}
	if log == nil && x.logFormat != nil && len(x.logTargets) == 0 && slices.Contains(x.own, x.logFormat) {
		log = x.h.site.log("access", "", "stdout", x.dontlog == nil)
		log.from = withOrigin(log.from, x.logFormat)
		x.logFormat.note("no log line names a destination: the lines go to stdout")
	}
	x.f.log = log
}

// logTarget reads ADDRESS [WORD VALUE…] FACILITY [LEVEL [MINLEVEL]].
func logTarget(words []string) (out, level, remark string) {
	if len(words) == 0 {
		return "", "", "it names no destination"
	}
	addr := words[0]
	rest := words[1:]
	for len(rest) >= 2 && slices.Contains([]string{"len", "format", "sample", "profile"}, rest[0]) {
		if rest[0] == "sample" {
			remark = "every line is written"
		}
		rest = rest[2:]
	}
	if len(rest) > 0 && rest[0] != "local0" {
		remark = "lines come as facility local0"
	}
	if len(rest) > 1 {
		level = rest[1]
	}
	switch {
	case addr == "stdout" || addr == "stderr":
		return addr, level, strings.TrimPrefix(remark, "lines come as facility local0")
	case addr == "fd@1":
		return "stdout", level, ""
	case addr == "fd@2":
		return "stderr", level, ""
	case addr == "/dev/log":
		return "syslog:/dev/log", level, remark
	case addr == "/dev/stdout":
		return "stdout", level, ""
	case strings.HasPrefix(addr, "ring@"), strings.HasPrefix(addr, "backend@"), strings.HasPrefix(addr, "tcp"), strings.HasPrefix(addr, "fd@"), strings.HasPrefix(addr, "abns"):
		return "", level, "lines go to a file, to stdout or stderr, or to syslog by UDP or by its socket"
	}
	if p, ok := unixPath(addr); ok {
		return "syslog:" + p, level, remark
	}
	for _, prefix := range []string{"udp@", "udp4@", "udp6@", "ipv4@", "ipv6@"} {
		addr = strings.TrimPrefix(addr, prefix)
	}
	host, port := splitPort(addr)
	if port == "" {
		port = "514"
	}
	if host == "" {
		return "", level, "it names no destination"
	}
	return "syslog:udp:" + joinPort(host, port), level, remark
}

// statistics makes the status page of the stats lines.
func (x *proxy) statistics() {
	if len(x.stats) == 0 {
		return
	}
	a := &x.h.site.admin
	listen := "127.0.0.1:8404"
	own := false
	// A section that is for statistics alone has an address for them.
	if x.f != nil && len(x.servers) == 0 && x.dispatch == nil && x.f.back == x.b && len(x.f.binds) > 0 && len(x.f.routes) == 0 {
		own = true
		if b := x.f.binds[0]; b.tls == nil && !strings.HasPrefix(b.addr, "unix:") {
			listen = b.addr
		}
	}
	auth := slices.ContainsFunc(x.stats, func(d *directive) bool { return d.arg(1) == "auth" })
	if auth {
		listen = "127.0.0.1:8404"
	}
	if a.listen == "" {
		a.listen = listen
	}
	for _, d := range x.stats {
		a.from = withAttr(a.from, "", d)
		switch d.arg(1) {
		case "auth":
			d.secret(d.words, 2)
			d.note("the page asks for no password: it is at %s alone", a.listen)
		case "admin", "http-request":
			d.note("nothing can be changed on the page: gatehouse server drain does that")
		case "uri", "enable":
			d.note("the status page is at http://%s/", strings.TrimPrefix(a.listen, "*"))
		case "refresh", "realm", "hide-version", "show-legends", "show-node", "show-desc", "show-modules", "scope", "maxconn", "timeout":
			d.fold("not needed")
		case "socket":
			d.note("the admin socket belongs to the global section")
		default:
			d.refuse("unknown directive")
		}
	}
	if own {
		x.page = true
	}
}

// remarks says on the section's head what counts here and was not written there.
func (x *proxy) remarks() {
	if x.b == nil || len(x.b.servers) == 0 || x.disabled != nil {
		return
	}
	var list []string
	if !x.tcp && x.forwardedBy == nil && !x.b.forwarded {
		list = append(list, "servers also get X-Forwarded-For and X-Forwarded-Proto (forwardfor { enabled = false } stops it)")
	}
	if x.last["option redispatch"] == nil && x.b.cookie != nil {
		list = append(list, "redispatch is on by default")
	}
	if !x.timed {
		list = append(list, "timeouts were not set: the defaults count")
	}
	if len(list) > 0 {
		x.head.note("%s", strings.Join(list, "; "))
	}
	if x.noRedis != nil {
		x.b.redispatch = new(false)
		x.b.take("redispatch", x.noRedis)
		x.noRedis.keep("redispatch = false")
	}
}

// drop takes out sections that are switched off, and those nothing is left of.
func (x *proxy) drop() {
	switch {
	case x.disabled != nil:
		for _, d := range x.own {
			if d != x.disabled && d.Verdict != Refused {
				d.Verdict = unjudged
				d.fold("the section is disabled")
			}
		}
	case x.page:
		x.head.keep("the status page")
	case x.b != nil && len(x.b.servers) == 0 && x.f == nil:
		x.dropEmpty()
		return
	default:
		return
	}
	if x.f != nil {
		x.h.site.remove(x.f)
	}
	if x.b != nil {
		x.h.site.removeBack(x.b)
	}
}

// dropEmpty takes out a backend without servers, and the frontends that are there for its status page alone.
func (x *proxy) dropEmpty() {
	if len(x.stats) == 0 {
		x.head.refuse("no server of it could be converted")
	} else {
		for _, o := range x.h.proxies {
			if o.f == nil || o.f.back != x.b || len(o.f.routes) > 0 {
				continue
			}
			o.head.keep("the status page")
			x.h.site.remove(o.f)
			for _, s := range x.stats {
				if s.arg(1) == "auth" {
					x.h.site.admin.listen = "127.0.0.1:8404"
					break
				}
				if len(o.f.binds) > 0 && o.f.binds[0].tls == nil {
					x.h.site.admin.listen = o.f.binds[0].addr
				}
			}
		}
	}
	x.h.site.removeBack(x.b)
}
