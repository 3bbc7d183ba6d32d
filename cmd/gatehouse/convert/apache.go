package convert

import (
	"errors"
	"slices"
	"strings"
)

// An apache reads the configuration of Apache's httpd 2.2 and 2.4, as far as it is a proxy with TLS.
type apache struct {
	hosting
	listens   []*apacheNode
	balancers map[string]*balancer
	defines   map[string]string
	backs     map[string]*back // by what they lead to
	managed   managed          // of mod_md
	main      *vhost           // what stands outside of all virtual hosts
}

// readApache fills the site from files that count as one.
func readApache(p *pile, sources []*source) error {
	a := &apache{hosting: hosting{pile: p}, balancers: map[string]*balancer{}, defines: map[string]string{}, backs: map[string]*back{}}
	a.main = &vhost{a: a}
	var nodes []*apacheNode
	var errs []error
	for _, s := range sources {
		list, err := p.parseApache(s, 0)
		errs = append(errs, err)
		nodes = append(nodes, list...)
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	a.expand(nodes)
	a.collect(nodes, nil)
	a.server(nodes, a.main, true)
	pressed := map[*directive]bool{}
	a.main.compress.uses(pressed)
	for _, v := range a.vhosts {
		v.inherit(a.main)
		v.compress.uses(pressed)
	}
	for d, used := range pressed {
		if !used && d.Verdict == Kept {
			d.revise(Folded, "without a filter it has no effect")
		}
	}
	a.mainServer()
	a.tellHosts()
	for _, v := range a.vhosts {
		v.doors = a.doors(v)
	}
	a.build()
	return nil
}

// collect finds balancers and Listen lines first: others refer to them.
func (a *apache) collect(nodes []*apacheNode, v *vhost) {
	for _, n := range nodes {
		switch {
		case n.name == "listen":
			a.listens = append(a.listens, n)
		case n.name == "proxy" && n.section:
			a.balancer(n)
		case n.section && n.name != "proxy":
			a.collect(n.kids, v)
		}
	}
}

// expand replaces ${NAME} by what Define or the environment says. Debian's names for directories are known.
func (a *apache) expand(nodes []*apacheNode) {
	for _, n := range nodes {
		if n.name == "define" && len(n.words) == 3 {
			a.defines[n.words[1]] = n.words[2]
		}
		for i, w := range n.words {
			n.words[i] = a.replace(w)
		}
		a.expand(n.kids)
	}
}

// debian are the variables Debian sets before it starts httpd.
var debian = map[string]string{"APACHE_LOG_DIR": "/var/log/apache2", "APACHE_RUN_DIR": "/var/run/apache2", "APACHE_LOCK_DIR": "/var/lock/apache2", "APACHE_PID_FILE": "/var/run/apache2/apache2.pid", "APACHE_RUN_USER": "www-data", "APACHE_RUN_GROUP": "www-data"}

func (a *apache) replace(w string) string {
	var b strings.Builder
	for {
		start := strings.Index(w, "${")
		if start < 0 {
			break
		}
		end := strings.IndexByte(w[start:], '}')
		if end < 0 {
			break
		}
		name := w[start+2 : start+end]
		value, ok := a.defines[name]
		if !ok {
			value, ok = a.options.Env(name)
		}
		if !ok {
			value, ok = debian[name]
		}
		if !ok {
			value = w[start : start+end+1]
		}
		b.WriteString(w[:start])
		b.WriteString(value)
		w = w[start+end+1:]
		if b.Len() > 1<<16 {
			break
		}
	}
	b.WriteString(w)
	return b.String()
}

// server reads the directives of a virtual host, or of the main server.
func (a *apache) server(nodes []*apacheNode, v *vhost, main bool) {
	for _, n := range nodes {
		if !main {
			v.directives = append(v.directives, n.directive)
		}
		v.comments = append(v.comments, n.comments...)
		switch {
		case !n.section:
			a.line(n, v)
		case n.name == "virtualhost":
			if !main {
				condemn([]*apacheNode{n}, ruling{Refused, "a virtual host inside another"})
				continue
			}
			w := &vhost{a: a, d: n.directive, addrs: n.args(1), comments: n.comments}
			v.comments = v.comments[:len(v.comments)-len(n.comments)]
			a.vhosts = append(a.vhosts, w)
			n.keep("")
			a.server(n.kids, w, false)
			w.flushConds("no rule follows")
		case n.name == "ifmodule" || n.name == "ifversion" || n.name == "ifdirective" || n.name == "ifsection":
			if strings.HasPrefix(n.arg(1), "!") {
				n.note("left out: the module is taken to be there")
				condemn(n.kids, ruling{Folded, "not active"})
				continue
			}
			n.fold("taken for true")
			a.server(n.kids, v, main)
		case n.name == "ifdefine" || n.name == "iffile":
			_, on := a.defines[strings.TrimPrefix(n.arg(1), "!")]
			if on == strings.HasPrefix(n.arg(1), "!") {
				n.note("left out: it is not defined")
				condemn(n.kids, ruling{Folded, "not active"})
				continue
			}
			n.fold("true")
			a.server(n.kids, v, main)
		case n.name == "location":
			a.location(n, v)
		case n.name == "proxy":
			if n.Verdict == unjudged { // <Proxy *>, and other access rules
				n.fold("nobody proxies through gatehouse to where he likes")
				condemn(n.kids, ruling{Folded, "nobody proxies through gatehouse to where he likes"})
			}
		default:
			r, ok := apacheSections[n.name]
			if !ok {
				r = ruling{Refused, "unknown section"}
			}
			v.files = append(v.files, n.directive)
			condemn([]*apacheNode{n}, r)
		}
	}
}

// condemn gives nodes and all in them one verdict.
func condemn(nodes []*apacheNode, r ruling) {
	for _, n := range nodes {
		if n.Verdict == unjudged {
			n.judge(r.verdict, "%s", r.reason)
		}
		condemn(n.kids, r)
	}
}

// location reads <Location PATH>: a ProxyPass in it has no path of its own.
func (a *apache) location(n *apacheNode, v *vhost) {
	n.fold("its lines stand by themselves")
	where := n.arg(1)
	for _, k := range n.kids {
		v.comments = append(v.comments, k.comments...)
		v.directives = append(v.directives, k.directive)
		switch {
		case k.section && (k.name == "ifmodule" || k.name == "ifversion"):
			inner := *n
			inner.kids = k.kids
			k.fold("taken for true")
			a.location(&inner, v)
		case k.section:
			r, ok := apacheSections[k.name]
			if !ok {
				r = ruling{Refused, "unknown section"}
			}
			condemn([]*apacheNode{k}, r)
		case k.name == "proxypass":
			if where == "~" || n.arg(2) != "" {
				k.refuse("%s", reasonPattern)
				continue
			}
			v.proxyPass(k.directive, append([]string{where}, k.args(1)...))
		case (k.name == "header" || k.name == "requestheader") && where != "/" && strings.HasPrefix(where, "/"):
			v.header(k, where)
		case k.name == "redirect" || strings.HasPrefix(k.name, "rewrite") || k.name == "header" || k.name == "requestheader":
			if where == "/" {
				a.line(k, v)
			} else {
				k.refuse("for some paths alone this cannot be said")
			}
		case where != "/" && v.compressionIn(k):
		case k.name == "sslverifyclient" || k.name == "sslrequiressl":
			k.refuse("certificates of clients are asked for in the handshake, where no path is known")
		default:
			a.line(k, v)
		}
	}
}

// inherit gives a virtual host what the main server says.
func (v *vhost) inherit(main *vhost) {
	if v.set == nil && main.set != nil {
		v.set = &tlsSet{cert: main.set.cert, key: main.set.key, minVersion: main.set.minVersion, node: node{from: main.set.from}}
	} else if v.set != nil && v.set.minVersion == "" && main.set != nil {
		v.set.minVersion = main.set.minVersion
	}
	if v.log == nil {
		v.log = main.log
	}
	if v.cache == nil {
		v.cache, v.cachedBy = main.cache, main.cachedBy
	}
	for name, d := range main.timeouts.of {
		if _, ok := v.timeouts.of[name]; !ok {
			v.timeouts.set(name, d, nil)
			for _, by := range main.timeouts.from[name] {
				v.timeouts.take(name, by)
			}
		}
	}
	if v.body == "" {
		v.body = main.body
	}
	v.compress = v.compress.below(main.compress)
	v.routes = append(v.routes, main.routes...)
	v.request, v.response = main.request.then(v.request), main.response.then(v.response)
	v.scope()
	for _, r := range v.routes {
		if r.back == nil {
			continue
		}
		if v.sameHost || main.sameHost {
			v.a.wants(r.back, "", r.d)
		} else {
			v.a.wants(r.back, or(r.url, "balancer"), r.d)
		}
	}
}

// mainServer makes a virtual host of what stands outside of all of them, if there are addresses for it.
func (a *apache) mainServer() {
	m := a.main
	if len(m.routes) == 0 && m.https == nil {
		return
	}
	var free []string
	for _, l := range a.listens {
		addr := l.arg(1)
		if !strings.Contains(addr, ":") {
			addr = "*:" + addr
		}
		if !slices.ContainsFunc(a.vhosts, func(v *vhost) bool { return slices.Contains(v.addrs, addr) }) {
			free = append(free, addr)
		}
	}
	if len(free) > 0 {
		m.addrs = free
		m.d = a.listens[0].directive
		a.vhosts = append(a.vhosts, m)
		return
	}
	if len(a.vhosts) == 0 {
		for _, r := range m.routes {
			r.d.refuse("it belongs to no virtual host: give the files that hold those too")
		}
	}
}

// doors returns where a virtual host listens.
func (a *apache) doors(v *vhost) (list []door) {
	for _, addr := range v.addrs {
		host, port := splitPort(addr)
		if port == "" && !strings.Contains(addr, ":") {
			host = addr
		}
		ports := []string{port}
		if port == "" || port == "*" {
			ports = nil
			for _, l := range a.listens {
				_, p := splitPort(l.arg(1))
				ports = append(ports, or(p, l.arg(1)))
			}
			if len(ports) == 0 {
				ports = []string{"80"}
			}
		}
		if host == "*" || host == "_default_" {
			host = ""
		}
		for _, p := range ports {
			// Where SSLEngine stands in a file that is not there, certbot's, the certificate tells.
			tls := v.ssl || v.set != nil && v.set.cert != "" && p == "443"
			if d := (door{addr: joinPort(host, p), tls: tls}); !slices.Contains(list, d) {
				list = append(list, d)
			}
		}
	}
	return list
}
