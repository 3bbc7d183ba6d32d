package convert

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A rule is something that is done to some requests, before a backend is chosen.
type rule struct {
	d        *directive
	on       []*match
	back     *back
	redirect string
	respond  int
	https    bool // redirects to https
}

// split parts a rule from its condition.
func split(words []string) (args, cond []string) {
	for i, w := range words {
		if w == "if" || w == "unless" {
			return words[:i], words[i:]
		}
	}
	return words, nil
}

// useBackend reads use_backend NAME [if …].
func (x *proxy) useBackend(d *directive) {
	args, cond := split(d.args(1))
	if len(args) != 1 {
		d.refuse("it names no backend")
		return
	}
	b := x.back(d, args[0])
	if b == nil {
		return
	}
	x.rule(d, cond, rule{back: b}, "route to backend")
}

// rule adds a rule if its condition can be said.
func (x *proxy) rule(d *directive, cond []string, r rule, what string) {
	on, problem := x.condition(d, cond)
	if problem == "" {
		problem = x.unsayable(on, &r)
	}
	if problem != "" {
		d.refuse("routes go by path and host: %s cannot be said", problem)
		return
	}
	if x.f == nil {
		d.refuse("a backend has no routes: write it in the frontends that use it")
		return
	}
	if len(on) == 0 {
		d.fold("its condition is never true")
		return
	}
	for _, m := range on {
		m.use(d)
	}
	r.d, r.on = d, on
	x.rules = append(x.rules, &r)
	d.keep("%s", what)
}

// unsayable says why matches cannot be routes.
func (x *proxy) unsayable(on []*match, r *rule) string {
	for _, m := range on {
		switch {
		case m.tls != nil && !r.https:
			return "whether it came over TLS"
		case r.https && (len(m.hosts) > 0 || len(m.paths) > 0) && m.tls != nil:
			return "whether it came over TLS"
		case len(m.sni) > 0 && (!x.tcp || len(m.hosts)+len(m.paths) > 0):
			if x.tcp || len(m.hosts) > 0 {
				return "the name in the TLS hello"
			}
			m.hosts, m.sni = m.sni, nil // in mode http they are the same name
		case x.tcp && r.back == nil:
			return "an answer in mode tcp"
		}
	}
	return ""
}

// httpRequest reads http-request ACTION … [if …].
func (x *proxy) httpRequest(d *directive) {
	args, cond := split(d.args(1))
	if len(args) == 0 {
		d.refuse("it does nothing")
		return
	}
	action, _, _ := strings.Cut(args[0], "(")
	switch action {
	case "redirect":
		x.redirection(d, d.args(2))
	case "deny", "tarpit", "reject", "silent-drop", "return":
		x.deny(d, action, args[1:], cond)
	case "set-header", "add-header", "del-header", "replace-header", "replace-value":
		x.requestField(d, args, cond)
	case "cache-use":
		x.cacheUse(d, args, cond)
	case "allow":
		d.refuse("a route that comes first is what lets requests pass")
	case "auth":
		d.refuse("passwords are not asked for here: everybody would get in")
	case "capture", "set-log-level":
		d.note("%s", reasonCapture)
	case "set-var", "unset-var", "set-var-fmt":
		d.refuse("there are no variables in requests: routes go by path and host")
	case "track-sc0", "track-sc1", "track-sc2", "track-sc", "sc-inc-gpc0", "sc-inc-gpc1":
		d.refuse("%s", reasonTables)
	case "set-path", "set-pathq", "set-uri", "set-query", "replace-path", "replace-pathq", "replace-uri", "set-method", "normalize-uri":
		d.refuse("requests reach servers as they came: paths are not rewritten in this version")
	case "set-src", "set-src-port", "set-dst", "set-dst-port":
		d.refuse("the client's address is the connection's, or that of the PROXY protocol")
	case "lua", "use-service", "send-spoe-group":
		d.refuse("there are no scripts here")
	case "wait-for-body", "wait-for-handshake", "disable-l7-retry", "set-nice", "set-priority-class", "set-priority-offset", "early-hint", "do-log", "set-timeout", "set-mark", "set-tos", "set-fc-mark", "set-fc-tos":
		d.note("nothing of this kind here")
	default:
		d.refuse("%s is not known here", args[0])
	}
}

// cacheUse reads http-request cache-use NAME.
func (x *proxy) cacheUse(d *directive, args, cond []string) {
	if len(args) < 2 || !slices.ContainsFunc(x.h.sections, func(s *section) bool { return s.kind == "cache" && s.head.arg(1) == args[1] }) {
		d.refuse("there is no such cache")
		return
	}
	if len(cond) > 0 {
		d.note("it is used for every request: rule { bypass = true } in the cache keeps it out of some paths")
	}
	d.keep("cache")
	x.cached, x.cachedBy = x.h.site.cache(args[1]), d
}

// deny reads the actions that answer.
func (x *proxy) deny(d *directive, action string, args, cond []string) {
	status := map[string]int{"deny": 403, "tarpit": 500, "return": 200, "reject": 403, "silent-drop": 403}[action]
	for i := 0; i < len(args); i++ {
		switch args[i] {
		case "deny_status", "status":
			if i++; i < len(args) {
				status = atoi(args[i])
			}
		case "content-type":
			i++
		case "file", "lf-file", "string", "lf-string", "errorfile", "errorfiles", "default-errorfiles", "hdr":
			d.note("%s: a short page of gatehouse's own is sent", args[i])
			i++
			if i > 0 && args[i-1] == "hdr" {
				i++
			}
		default:
			d.refuse("unknown word %q", args[i])
			return
		}
	}
	switch action {
	case "tarpit":
		d.note("the answer comes at once")
	case "reject", "silent-drop":
		d.note("the answer is 403; the connection stays")
	}
	if status < 200 || status > 599 {
		d.refuse("%s is not a status", strconv.Itoa(status))
		return
	}
	x.rule(d, cond, rule{respond: status}, fmt.Sprintf("route { respond = %d }", status))
}

// httpResponse reads http-response and http-after-response.
func (x *proxy) httpResponse(d *directive) {
	switch action, _, _ := strings.Cut(d.arg(1), "("); action {
	case "cache-store":
		d.fold("what may be kept is kept")
		if !hasCache() {
			noCache(d)
		}
	case "set-header", "add-header", "del-header", "replace-header", "replace-value":
		args, cond := split(d.args(1))
		x.responseField(d, args, cond)
	case "return", "deny", "redirect":
		d.refuse("%s", reasonFilters)
	case "capture", "set-log-level", "set-nice", "do-log", "set-mark", "set-tos", "set-fc-mark", "set-fc-tos":
		d.note("%s", reasonCapture)
	case "allow":
		d.fold("the default")
	default:
		d.refuse("answers are not changed in this version")
	}
}

func (x *proxy) block(d *directive) {
	_, cond := split(d.args(1))
	x.rule(d, cond, rule{respond: 403}, "route { respond = 403 }")
}

// routes makes routes of the rules: answers first, then backends, as HAProxy evaluates them.
func (x *proxy) routes() {
	slices.SortStableFunc(x.rules, func(a, b *rule) int { return rank(a) - rank(b) })
	for _, r := range x.rules {
		for _, m := range r.on {
			switch {
			case r.https:
				x.toHTTPS(r, m)
			case len(m.sni) > 0:
				x.bySNI(r, m)
			case x.tcp:
				r.d.refuse("in mode tcp a backend is chosen by the name in the TLS hello, or not at all")
			case r.back != nil && len(m.hosts)+len(m.paths) == 0 && x.f.back == nil:
				x.f.back, x.f.listen = r.back, false
				x.f.take("backend", r.d)
			default:
				rt := &route{hosts: m.hosts, paths: m.paths, back: r.back, redirect: r.redirect, respond: r.respond}
				rt.take("", r.d)
				for _, a := range m.used {
					rt.say("", a)
				}
				x.f.routes = append(x.f.routes, rt)
			}
		}
	}
}

// rank is when HAProxy evaluates a rule: http-request, then redirect, then use_backend.
func rank(r *rule) int {
	switch {
	case r.back != nil:
		return 2
	case r.d.words[0] == "redirect":
		return 1
	}
	return 0
}

// bySNI makes a front of its own for names in TLS hellos: fronts share an address when their hosts differ.
func (x *proxy) bySNI(r *rule, m *match) {
	for _, f := range x.h.site.fronts {
		if f.parent == x.f && f.back == r.back {
			f.hosts = distinct(append(f.hosts, m.sni...))
			f.take("hosts", r.d)
			return
		}
	}
	f := &front{name: x.f.name + "-" + r.back.name, tcp: true, hosts: m.sni, back: r.back, parent: x.f}
	for _, b := range x.f.binds {
		c := *b
		c.node = node{from: b.from}
		f.binds = append(f.binds, &c)
	}
	f.take("", r.d)
	x.h.site.addFront(f)
	r.d.keep("frontend %q for those names", f.name)
}
