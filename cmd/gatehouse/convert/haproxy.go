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
	compLevel    *directive // tune.comp.maxlevel
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
	tcpSend     string // of tcp-check send
	tcpText     string // of tcp-check expect, a regular expression
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
	cached      *cacheSet
	cachedBy    *directive
	page        bool // it is there for the status page alone
	compress    *compressSet
	quic        []quicDoor
	hsts        string     // the value of Strict-Transport-Security
	hstsBy      *directive // what set it
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
		case "cache":
			h.cache(sec)
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
