package convert

import (
	"errors"
	"slices"
	"strings"
)

// A haproxy reads the configuration of HAProxy, of any version: words that are long gone mean what they meant.
type haproxy struct {
	*pile
	sections []*section
	defaults map[string]*section // by name, with what they inherit
	vars     map[string]string   // set by the configuration itself
	proxies  []*proxy
	backs    map[string]*back

	logs         []*directive // of the global section
	crtBase      string
	caBase       string
	verifyNone   bool       // ssl-server-verify none
	minVersion   string     // of binds
	minBy        *directive // what set it
	targetsUsed  map[*directive]bool
	usedDefaults map[*section]bool
}

// A proxy is a frontend, backend or listen section with the defaults that count for it.
type proxy struct {
	h        *haproxy
	kind     string
	name     string
	head     *directive
	own      []*directive
	eff      []*directive // with the defaults before it
	tcp      bool
	unstated bool   // no mode is
	f        *front // nil in a backend
	b        *back  // nil in a frontend

	acls        map[string][]*aclTest
	last        map[string]*directive // of keywords that count once: the one that does
	defServer   []*directive
	servers     []*haproxyServer
	httpchk     *haproxyCheck
	checkKind   string // of a check that is not "http"
	checkBy     *directive
	persist     *directive
	cookieWord  *directive
	logTargets  []*directive
	logFormat   *directive // option httplog
	dontlog     *directive // option dontlognull
	stats       []*directive
	rules       []*rule
	disabled    *directive
	dispatch    *directive
	noRedis     *directive
	source      *directive
	forwardedBy *directive  // option forwardfor
	forwards    *forwardfor // of a frontend, for its backends
	closedBy    *directive  // option httpclose of a frontend
	timed       bool
	page        bool // it is there for the status page alone
}

// readHAProxy fills the site from files that count as one, in their order.
func readHAProxy(p *pile, sources []*source) error {
	h := &haproxy{pile: p, defaults: map[string]*section{}, vars: map[string]string{}, backs: map[string]*back{},
		targetsUsed: map[*directive]bool{}, usedDefaults: map[*section]bool{}}
	var errs []error
	for _, s := range sources {
		list, err := p.parseHAProxy(s, h.env, h.setenv)
		errs = append(errs, err)
		h.sections = append(h.sections, list...)
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for _, sec := range h.sections {
		if sec.kind == "global" {
			h.global(sec)
		}
	}
	var current *section
	for _, sec := range h.sections {
		switch sec.kind {
		case "global":
		case "defaults":
			current = h.defaultsSection(sec)
		case "frontend", "backend", "listen":
			h.proxy(sec, current)
		default:
			other(sec)
		}
	}
	for _, x := range h.proxies {
		x.mode()
	}
	for _, x := range h.proxies {
		x.guess()
	}
	for _, x := range h.proxies {
		x.build()
	}
	for _, x := range h.proxies {
		x.apply()
	}
	for _, x := range h.proxies {
		x.finish()
	}
	for _, x := range h.proxies {
		x.hand()
	}
	for _, x := range h.proxies {
		x.remarks()
		x.drop()
	}
	h.unused()
	return nil
}

// env looks up a variable: those the configuration sets itself win.
func (h *haproxy) env(name string) (string, bool) {
	if v, ok := h.vars[name]; ok {
		return v, true
	}
	return h.options.Env(name)
}

// setenv follows the directives that change the environment, while the file is being read.
func (h *haproxy) setenv(words []string) {
	switch {
	case words[0] == "setenv" && len(words) == 3:
		h.vars[words[1]] = words[2]
	case words[0] == "presetenv" && len(words) == 3:
		if _, ok := h.env(words[1]); !ok {
			h.vars[words[1]] = words[2]
		}
	}
}

// defaultsSection makes known a defaults section, with what it takes from another one.
func (h *haproxy) defaultsSection(sec *section) *section {
	sec.head.keep("counts for the sections after it")
	h.site.head = append(h.site.head, sec.head.comments...)
	sec.head.comments = nil
	name, from := sec.head.arg(1), ""
	if name == "from" {
		name, from = "", sec.head.arg(2)
	} else if sec.head.arg(2) == "from" {
		from = sec.head.arg(3)
	}
	for _, d := range sec.body { // they would be said once for each section
		h.site.head = append(h.site.head, d.comments...)
		d.comments = nil
	}
	if from != "" {
		if base := h.defaults[from]; base != nil {
			sec.body = append(slices.Clone(base.body), sec.body...)
			h.usedDefaults[base] = true
		} else {
			sec.head.refuse("there is no defaults section %q before it", from)
		}
	}
	if name != "" {
		h.defaults[name] = sec
	}
	return sec
}

// other judges a section that has no counterpart here.
func other(sec *section) {
	v, reason := Refused, "nothing of this kind here"
	switch sec.kind {
	case "resolvers":
		v, reason = Noted, "names are looked up by the machine's resolver"
	case "mailers":
		v, reason = Noted, "no mail is sent: watch the log or the status page"
	case "cache":
		v, reason = Noted, "there is no cache in this version: every request reaches a server"
	case "userlist":
		v, reason = Noted, "passwords are not asked for here: what uses the list is refused where it is used"
		for _, d := range sec.body {
			d.secret(d.words, 2)
		}
	case "http-errors":
		v, reason = Noted, "error pages cannot be configured: the built-in ones are sent"
	case "peers":
		reason = "there are no stick tables to share here: cookies need none"
	case "program":
		reason = "other programs are the service manager's to start"
	case "traces", "ring", "log-profile":
		v, reason = Noted, "only where log lines go and their format are configured here"
	case "log-forward":
		reason = "log lines of other programs are not forwarded here"
	case "fcgi-app":
		reason = "servers speak HTTP here, not FastCGI"
	}
	sec.head.judge(v, "%s", reason)
	for _, d := range sec.body {
		if d.Verdict == unjudged {
			d.judge(v, "%s", reason)
		}
	}
}

// proxy notes a frontend, backend or listen section.
func (h *haproxy) proxy(sec *section, current *section) {
	x := &proxy{h: h, kind: sec.kind, name: sec.head.arg(1), head: sec.head, own: sec.body,
		acls: map[string][]*aclTest{}, last: map[string]*directive{}}
	if i := slices.Index(sec.head.words, "from"); i >= 2 {
		if base := h.defaults[sec.head.arg(i+1)]; base != nil {
			current = base
		} else {
			sec.head.refuse("there is no defaults section %q before it", sec.head.arg(i+1))
		}
		sec.head.words = slices.Delete(slices.Clone(sec.head.words), i, min(i+2, len(sec.head.words)))
	}
	if current != nil {
		h.usedDefaults[current] = true
		for _, d := range current.body {
			copied := *d // the words are the same, but each section has its own comments
			x.eff = append(x.eff, &copied)
		}
	}
	inherited := len(x.eff)
	x.eff = append(x.eff, sec.body...)
	x.resolve(inherited)
	h.proxies = append(h.proxies, x)
}

// resolve takes out of the directives what another one replaces, those with "no" before them included.
func (x *proxy) resolve(inherited int) {
	winner := map[string]int{}
	for i, d := range x.eff {
		if name := once(d.words); name != "" {
			winner[name] = i
		}
	}
	var eff []*directive
	for i, d := range x.eff {
		name := once(d.words)
		if name != "" && winner[name] != i {
			by := x.eff[winner[name]]
			if i >= inherited || d.Verdict == unjudged {
				d.fold("replaced at %s", by.place())
			}
			x.carry(d)
			continue
		}
		if d.words[0] == "no" || d.words[0] == "default" && len(d.words) > 1 {
			d.fold("switched off")
			if d.arg(1) == "option" && d.arg(2) == "redispatch" {
				x.noRedis = d
			}
			x.carry(d)
			continue
		}
		if name != "" {
			x.last[name] = d
		}
		eff = append(eff, d)
	}
	x.eff = eff
}

// carry keeps the comments of a directive that is not used for the next one.
func (x *proxy) carry(d *directive) {
	x.head.comments = append(x.head.comments, d.comments...)
	d.comments = nil
}

// once returns what a directive sets if a later one of that kind replaces it, else "". Old and new words for one thing are one.
func once(words []string) string {
	w := words
	if w[0] == "no" || w[0] == "default" {
		w = w[1:]
	}
	if len(w) == 0 {
		return ""
	}
	second := ""
	if len(w) > 1 {
		second = w[1]
	}
	switch w[0] {
	case "option":
		switch second {
		case "httpchk", "ssl-hello-chk", "tcp-check", "smtpchk", "ldap-check", "mysql-check", "pgsql-check", "redis-check", "spop-check", "external-check":
			return "check"
		case "httpclose", "forceclose", "http-server-close", "http-keep-alive", "http-tunnel":
			return "option close"
		case "httplog", "tcplog", "httpslog":
			return "log format"
		case "independant-streams":
			second = "independent-streams"
		}
		return "option " + second
	case "timeout":
		if second == "clitimeout" {
			second = "client"
		}
		return "timeout " + second
	case "contimeout":
		return "timeout connect"
	case "clitimeout":
		return "timeout client"
	case "srvtimeout":
		return "timeout server"
	case "redisp", "redispatch":
		return "option redispatch"
	case "transparent":
		return "option transparent"
	case "mode", "balance", "cookie", "retries", "maxconn", "fullconn", "grace", "dispatch", "source", "default_backend", "monitor-uri",
		"backlog", "log-format", "log-format-sd", "log-tag", "error-log-format", "hash-type", "http-reuse", "id", "guid", "description", "unique-id-format", "unique-id-header",
		"dynamic-cookie-key", "load-server-state-from-file", "server-state-file-name", "max-keep-alive-queue", "http-send-name-header", "retry-on",
		"external-check-path", "max-session-srv-conns":
		return w[0]
	case "enabled", "disabled":
		return "disabled"
	case "errorfile", "errorloc", "errorloc302", "errorloc303":
		return "error " + second
	case "rate-limit", "email-alert", "compression":
		return w[0] + " " + second
	case "stats":
		if second == "auth" || second == "admin" || second == "http-request" {
			return ""
		}
		return "stats " + second
	}
	return ""
}

// unused judges defaults that no section meets.
func (h *haproxy) unused() {
	for _, sec := range h.sections {
		if sec.kind != "defaults" {
			continue
		}
		for _, d := range sec.body {
			if d.Verdict == unjudged {
				d.fold("no section it would count for")
			}
		}
	}
}

// build makes the front and the back of a section.
func (x *proxy) build() {
	name, addr := x.name, ""
	switch {
	case x.kind == "backend":
	case len(x.head.words) > 2:
		addr = x.head.words[2]
	case x.kind == "listen" && looksLikeAddress(x.name):
		// The oldest files name a section by its address alone.
		name, addr = "", x.name
	}
	if name == "" {
		name = "http"
		if x.tcp {
			name = "tcp"
		}
		if i := strings.LastIndexByte(addr, ':'); i >= 0 {
			name = identifier(name+"-"+addr[i+1:], name)
		}
	}
	if x.kind != "backend" {
		x.f = &front{name: name, tcp: x.tcp, listen: x.kind == "listen"}
		x.f.take("", x.head)
		x.h.site.addFront(x.f)
		if addr != "" {
			x.addresses(x.head, addr, nil)
		}
	}
	if x.kind != "frontend" {
		x.b = &back{name: name, tcp: x.tcp}
		if x.f != nil {
			x.b.name = x.f.name
			x.b.from = map[string][]*directive{"": {x.head}}
		} else {
			x.b.take("", x.head)
		}
		x.h.site.addBack(x.b)
		if x.f != nil {
			x.f.listen = x.b.name == x.f.name
			x.f.back = x.b
		}
		x.h.backs[x.name] = x.b
	}
	x.head.keep("%s %q", x.kind, name)
}

// mode finds out what the section speaks. Without a word about it HAProxy takes bytes; but a file that holds nothing but HTTP's
// words is a piece of a larger one, where the mode is.
func (x *proxy) mode() {
	d := x.last["mode"]
	if d == nil {
		for _, d := range x.eff {
			if k := keywordOf(d.words); k != nil && k.http {
				x.head.note(`no mode is stated, which is tcp in HAProxy: "%s" tells that http was meant`, d.Directive)
				return
			}
		}
		x.tcp, x.unstated = true, true
		return
	}
	switch d.arg(1) {
	case "tcp":
		x.tcp = true
		d.keep("")
	case "http":
		d.fold("the default")
	case "health":
		d.refuse("answer checks with a monitor block in a frontend")
	default:
		d.refuse("there is no mode %q here", d.arg(1))
	}
}

// guess gives a section without a mode that of its other half.
func (x *proxy) guess() {
	if !x.unstated {
		return
	}
	for _, o := range x.h.proxies {
		if o.tcp || !x.uses(o) && !o.uses(x) {
			continue
		}
		x.tcp = false
		x.head.note("no mode is stated, which is tcp in HAProxy: it is http like %q", o.name)
		return
	}
	x.head.note("no mode is stated, which is tcp in HAProxy")
}

// uses reports whether x is a frontend that leads to o.
func (x *proxy) uses(o *proxy) bool {
	if x.kind == "backend" || o.kind == "frontend" {
		return false
	}
	return slices.ContainsFunc(x.eff, func(d *directive) bool {
		return (d.words[0] == "default_backend" || d.words[0] == "use_backend") && d.arg(1) == o.name
	})
}

// apply lets every directive do its work.
func (x *proxy) apply() {
	var pending []*comment // of directives that became nothing
	for _, d := range x.eff {
		d.comments = append(pending, d.comments...)
		pending = nil
		k := keywordOf(d.words)
		switch {
		case k == nil:
			d.refuse("unknown directive")
		case k.side == 'f' && x.f == nil || k.side == 'b' && x.b == nil:
			if d.Verdict == unjudged && slices.Contains(x.own, d) {
				d.fold("has no effect in a %s", x.kind)
			}
		case k.http && x.tcp:
			if slices.Contains(x.own, d) || d.Verdict == unjudged {
				d.fold("has no effect in mode tcp")
			}
		case k.do != nil:
			k.do(x, d)
		default:
			d.judge(k.verdict, "%s", k.reason)
		}
		if !d.hold {
			pending, d.comments = d.comments, nil
		}
	}
	if len(pending) > 0 {
		last := &directive{comments: pending}
		if x.b != nil {
			x.b.say("}", last)
		} else {
			x.f.say("}", last)
		}
	}
}

// back returns a backend that a directive names.
func (x *proxy) back(d *directive, name string) *back {
	b := x.h.backs[name]
	switch {
	case strings.Contains(name, "%["):
		d.refuse("which backend it is must not depend on the request: write a route for each")
		return nil
	case b == nil:
		d.refuse("there is no backend %q in what was read", name)
		return nil
	}
	return b
}
