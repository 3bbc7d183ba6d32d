package convert

import (
	"slices"
)

// A vhost is a virtual host of Apache, or a server of nginx, being read: several may share an address, and are told apart by their
// names.
type vhost struct {
	a          *apache // nil: nginx
	d          *directive
	addrs      []string // as they were written, of Apache
	doors      []door
	names      []string // hosts, the first one gives the frontend its name
	ssl        bool
	set        *tlsSet
	routes     []*hostRoute
	https      *directive // every request is redirected to https
	log        *logTo
	cache      *cacheSet
	cachedBy   *directive
	timeouts   timeouts
	body       string
	files      []*directive // what is served from files
	conds      []*apacheNode
	comments   []*comment
	directives []*directive
	redirects  []*vhost // those that only lead here
	first      bool     // it serves the names that no other one has
	verify     bool     // certificates of servers are verified
	sameHost   bool     // servers saw the name the client asked for before, too
	request    *fieldRules
	response   *fieldRules
	scoped     []scopedRule
	compress   *compressSet
	clients    map[string]string // fields that tell servers of the client's certificate
	clientsBy  []*directive
	hsts       string     // the value of Strict-Transport-Security
	hstsBy     *directive // what set it
	ca         string
}

// A door is an address of a vhost.
type door struct {
	addr  string
	tls   bool
	proxy bool // the PROXY protocol comes there
	http3 bool
}

// A hostRoute is an answer to some requests.
type hostRoute struct {
	d        *directive
	rank     int      // the lower comes first
	paths    []string // none: all
	hosts    []string
	back     *back
	redirect string
	respond  int
	cache    *cacheSet // of nginx, which knows caches for some paths
	cachedBy *directive
	uncached bool
	plain    bool   // its answers are not compressed
	url      string // the server's name in its URL, which it saw; "" if it has none
	request  *fieldRules
	response *fieldRules
}

// A hosting makes frontends of virtual hosts.
type hosting struct {
	*pile
	vhosts []*vhost
	hosts  map[*back]map[string][]*directive // the Host that servers saw, "" for the client's, with the lines that lead to them
}

// build makes frontends of the virtual hosts.
func (a *hosting) build() {
	var kept []*vhost
	for _, v := range a.vhosts {
		if v.useful() {
			kept = append(kept, v)
		}
	}
	joined := a.redirecting(kept)
	for _, v := range kept {
		if !joined[v] {
			a.front(v, kept)
		}
	}
	for _, v := range a.vhosts { // what was said in virtual hosts that are left out stays
		for _, c := range v.comments {
			if !slices.Contains(a.site.all, c) {
				a.site.all = append(a.site.all, c)
			}
		}
	}
}

// useful judges a virtual host that answers nothing gatehouse could.
func (v *vhost) useful() bool {
	if len(v.routes) > 0 || v.https != nil {
		whole := slices.ContainsFunc(v.routes, func(r *hostRoute) bool { return len(r.paths) == 0 && len(r.hosts) == 0 })
		for _, d := range v.files {
			if whole || v.https != nil {
				d.revise(Folded, "every request is proxied or redirected")
			}
		}
		return true
	}
	v.d.refuse("it answers with files: keep that server behind gatehouse, on another port")
	for _, d := range v.directives {
		if d.Verdict == Kept {
			d.refuse("its virtual host is left out")
		}
	}
	return false
}

// redirecting finds virtual hosts that only redirect to https and joins each with the one it redirects to: that gets a second
// bind.
func (a *hosting) redirecting(list []*vhost) map[*vhost]bool {
	joined := map[*vhost]bool{}
	for _, v := range list {
		if v.https == nil || len(v.routes) > 0 || len(v.names) == 0 {
			continue
		}
		for _, w := range list {
			if w != v && w.tls() && len(w.names) > 0 && subset(v.names, w.names) && subset(w.names, v.names) {
				joined[v] = true
				w.directives = append(w.directives, v.directives...)
				w.redirects = append(w.redirects, v)
				break
			}
		}
	}
	return joined
}

func subset(a, b []string) bool {
	for _, v := range a {
		if !slices.Contains(b, v) {
			return false
		}
	}
	return true
}

// tls reports whether v ends TLS anywhere.
func (v *vhost) tls() bool {
	return slices.ContainsFunc(v.doors, func(d door) bool { return d.tls })
}

// front makes the frontend of a virtual host.
func (a *hosting) front(v *vhost, all []*vhost) {
	name := "www"
	if len(v.names) > 0 {
		name = identifier(v.names[0], "www")
	}
	f := &front{name: name, timeouts: v.timeouts, log: v.log, cache: v.cache, body: v.body, request: v.request, response: v.response, compress: v.compress}
	f.from = map[string][]*directive{"": {v.d}}
	if v.cachedBy != nil {
		f.from["cache"] = []*directive{v.cachedBy}
	}
	if len(v.comments) > 0 {
		f.said = map[string][]*comment{"": v.comments}
	}
	a.binds(f, v)
	for _, r := range v.redirects {
		for _, addr := range r.addresses() {
			b := &bind{addr: addr, redirect: true}
			b.take("", r.d)
			f.addBind(b, r.d)
		}
		f.say("", &directive{comments: r.comments})
		r.d.keep("bind { redirect = \"https\" }")
	}
	switch {
	case v.leads(all):
		if v.shares(all) {
			v.d.note("it serves every name that no other one on its address has")
		}
	case len(v.names) == 0:
		v.d.refuse("nothing tells it from others on its address: it has no name")
		return
	default:
		f.hosts = distinct(v.names)
	}
	slices.SortStableFunc(v.routes, func(a, b *hostRoute) int { return a.rank - b.rank })
	var whole *hostRoute // answers every request
	for _, r := range v.routes {
		switch {
		case whole != nil && r.back == whole.back && r.redirect == whole.redirect && r.respond == whole.respond && len(r.paths)+len(r.hosts) == 0 &&
			r.request.equal(whole.request) && r.response.equal(whole.response):
			f.from = withAttr(f.from, "backend", r.d)
		case whole != nil:
			r.d.revise(Folded, "every request is answered at "+whole.d.place()+" before")
		case r.back != nil && len(r.paths)+len(r.hosts) == 0 && r.request.empty() && r.response.empty() && !r.uncached && !r.plain:
			whole, f.back = r, r.back
			f.from = withAttr(f.from, "backend", r.d)
		default:
			if len(r.paths)+len(r.hosts) == 0 {
				whole = r
			}
			f.addRoute(&route{paths: r.paths, hosts: r.hosts, back: r.back, redirect: r.redirect, respond: r.respond, uncached: r.uncached, plain: r.plain, request: r.request, response: r.response}, r.d)
		}
	}
	if f.back == nil && len(f.routes) == 0 && v.https == nil {
		return
	}
	for name, t := range f.timeouts.of { // waiting for servers is the backends' business
		if !slices.Contains(ofFront, name) {
			for _, b := range f.leadsTo() {
				b.timeouts.set(name, t, nil)
				for _, d := range f.timeouts.from[name] {
					b.timeouts.take(name, d)
				}
			}
			delete(f.timeouts.of, name)
		}
	}
	a.site.addFront(f)
	if v.hstsBy != nil {
		a.site.strictTransport(f, v.hsts, v.hstsBy)
	}
	v.d.keep("frontend %q", f.name)
}

// addRoute adds a route, unless one before it takes the same requests.
func (f *front) addRoute(r *route, d *directive) {
	for _, o := range f.routes {
		if slices.Equal(o.paths, r.paths) && slices.Equal(o.hosts, r.hosts) {
			if o.back == r.back && o.redirect == r.redirect && o.respond == r.respond && o.uncached == r.uncached && o.plain == r.plain && o.request.equal(r.request) && o.response.equal(r.response) {
				o.take("", d)
			} else {
				d.fold("another line takes those requests first")
			}
			return
		}
	}
	r.take("", d)
	f.routes = append(f.routes, r)
}

// binds opens the addresses of a virtual host.
func (a *hosting) binds(f *front, v *vhost) {
	var set *tlsSet
	if v.tls() {
		if (v.set == nil || v.set.cert == "") && (v.a == nil || !v.selfMade()) {
			v.d.refuse("it speaks TLS and names no certificate")
		} else {
			if v.set.acme != nil {
				v.set.hosts = distinct(v.names)
			}
			v.set.clientHeaders = v.clients
			for _, d := range v.clientsBy {
				v.set.take("headers", d)
				if v.set.clientMode == "" {
					d.revise(Folded, "clients are not asked for a certificate")
				}
			}
			set = a.set(v.set)
		}
	}
	for _, door := range v.doors {
		b := &bind{addr: door.addr, http3: door.http3}
		if door.tls {
			if b.tls = set; set == nil {
				continue
			}
		}
		if door.proxy {
			b.acceptProxy = []string{"0.0.0.0/0", "::/0"}
			v.d.note("accept_proxy: anybody may say who he is, as before; name the balancers in front")
		}
		b.redirect = v.https != nil && b.tls == nil
		b.take("", v.d)
		if b.redirect {
			b.take("redirect", v.https)
		}
		f.addBind(b, v.d)
	}
}

// set adds a tls block.
func (a *hosting) set(t *tlsSet) *tlsSet {
	if t.clientMode == "" {
		for _, d := range t.from["client_auth"] {
			if d.Verdict == Kept {
				d.revise(Folded, "clients are not asked for a certificate")
			}
		}
		t.clientCA, t.crl, t.clientHeaders = "", "", nil
	}
	t.name = nameOfFile(t.cert)
	if t.acme != nil {
		t.name = "auto"
	}
	return a.site.tls(t)
}

// addresses returns where v listens.
func (v *vhost) addresses() (list []string) {
	for _, d := range v.doors {
		list = append(list, d.addr)
	}
	return list
}

// meets reports whether v and w share an address.
func (v *vhost) meets(w *vhost) bool {
	return slices.ContainsFunc(w.addresses(), func(a string) bool { return slices.Contains(v.addresses(), a) })
}

// leads reports whether v serves the names that no other one on its addresses has: the one that says so, or else the first.
func (v *vhost) leads(all []*vhost) bool {
	for _, w := range all {
		if w != v && w.first && v.meets(w) {
			return v.first
		}
	}
	for _, w := range all {
		switch {
		case w == v:
			return true
		case v.meets(w):
			return v.first
		}
	}
	return true
}

// shares reports whether another virtual host has one of v's addresses.
func (v *vhost) shares(all []*vhost) bool {
	return slices.ContainsFunc(all, func(w *vhost) bool { return w != v && v.meets(w) })
}
