package convert

import (
	"errors"
	"path"
	"slices"
	"strings"
	"time"

	"gatehouse/cmd/gatehouse/config"
)

// An apache reads the configuration of Apache's httpd 2.2 and 2.4, as far as it is a proxy with TLS.
type apache struct {
	hosting
	listens   []*apacheNode
	balancers map[string]*balancer
	defines   map[string]string
	backs     map[string]*back // by what they lead to
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
	for _, v := range a.vhosts {
		v.inherit(a.main)
	}
	a.mainServer()
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

// line reads one directive.
func (a *apache) line(n *apacheNode, v *vhost) {
	d := n.directive
	switch n.name {
	case "listen":
		d.keep("where virtual hosts listen")
	case "servername":
		v.names = append(hostsOf([]string{strings.TrimPrefix(strings.TrimPrefix(n.arg(1), "https://"), "http://")}), v.names...)
		d.keep("hosts")
	case "serveralias":
		v.names = append(v.names, hostsOf(n.args(1))...)
		d.keep("hosts")
	case "sslengine":
		v.ssl = strings.EqualFold(n.arg(1), "on")
		d.keep("tls")
	case "sslcertificatefile", "sslcertificatekeyfile", "sslcertificatechainfile", "sslcacertificatefile", "sslcacertificatepath", "sslcarevocationfile", "sslverifyclient", "sslverifydepth", "sslprotocol":
		v.tlsLine(n)
	case "sslproxyengine":
		d.keep("tls towards servers whose URL says https")
	case "sslproxyverify":
		v.verify = strings.EqualFold(n.arg(1), "require")
		d.keep("verify")
	case "sslproxycacertificatefile":
		v.ca = n.arg(1)
		d.keep("ca")
	case "sslproxycheckpeername", "sslproxycheckpeercn", "sslproxycheckpeerexpire":
		d.fold("part of verify")
	case "proxypass":
		v.proxyPass(d, n.args(1))
	case "proxypassreverse":
		d.fold("answers pass as they are: servers see the name the client asked for, and use it")
	case "proxypreservehost":
		v.sameHost = !strings.EqualFold(n.arg(1), "off")
		d.fold("servers always see the name the client asked for")
	case "proxytimeout":
		v.wait(d, "server", n.arg(1))
	case "timeout":
		v.wait(d, "client", n.arg(1))
	case "keepalivetimeout":
		v.wait(d, "idle", n.arg(1))
	case "limitrequestbody":
		size, err := config.ParseSize(n.arg(1) + "B")
		switch {
		case err != nil:
			d.refuse("%q is not a number of bytes", n.arg(1))
		case size == 0:
			d.fold("the default")
		default:
			v.body = config.FormatSize(size)
			d.keep("limits { body }")
		}
	case "proxyaddheaders":
		d.note("servers get X-Forwarded-For and X-Forwarded-Proto")
	case "redirect", "redirectpermanent", "redirecttemp", "redirectmatch":
		v.redirectLine(n)
	case "rewritecond":
		v.conds = append(v.conds, n)
	case "rewriterule":
		v.rewriteRule(n)
	case "requestheader", "header":
		v.header(n)
	case "customlog", "transferlog":
		v.customLog(n)
	case "logformat":
		d.note("a log has one of three formats here: httplog, combined, json")
	case "documentroot":
		v.files = append(v.files, d)
		d.refuse("%s", reasonFiles)
	case "require", "order", "allow", "deny":
		if n.name == "order" || strings.EqualFold(n.rest(1), "all granted") || strings.EqualFold(n.rest(1), "from all") && n.name == "allow" {
			d.fold("the default")
		} else {
			d.refuse("%s", reasonAccess)
		}
	case "remoteipproxyprotocol":
		d.refuse("write accept_proxy = […] at the bind")
	default:
		if r, ok := apacheRulings[n.name]; ok {
			d.judge(r.verdict, "%s", r.reason)
			if r.reason == reasonFiles {
				v.files = append(v.files, d)
			}
			return
		}
		d.refuse("unknown directive")
	}
}

// wait reads a number of seconds.
func (v *vhost) wait(d *directive, name, value string) {
	n := atoi(strings.TrimSuffix(value, "s"))
	if n <= 0 {
		d.refuse("%q is not a number of seconds", value)
		return
	}
	v.timeouts.set(name, time.Duration(n)*time.Second, d)
	d.keep("timeouts { %s }", name)
}

// tlsLine reads what makes the tls block.
func (v *vhost) tlsLine(n *apacheNode) {
	if v.set == nil {
		v.set = &tlsSet{}
	}
	t, d := v.set, n.directive
	value := n.arg(1)
	switch n.name {
	case "sslcertificatefile":
		if t.cert != "" {
			d.refuse("one certificate for each virtual host: put others into a directory")
			return
		}
		t.cert = value
		t.take("", d)
		d.keep("tls { certificate }")
		if strings.HasPrefix(value, "/etc/letsencrypt/live/") {
			d.note("certbot goes on renewing it, and the new file is taken up by itself; certbot's own hooks must not start Apache any more")
		}
		if !path.IsAbs(value) {
			d.note("a relative path belongs to the new configuration's directory")
		}
	case "sslcertificatekeyfile":
		t.key = value
		t.take("key", d)
		d.keep("tls { key }")
	case "sslcertificatechainfile":
		d.note("put the chain into the certificate's file, behind the certificate")
	case "sslverifyclient":
		switch value {
		case "require":
			t.clientMode = "require"
		case "optional", "optional_no_ca":
			t.clientMode = "verify"
		default:
			d.fold("the default")
			return
		}
		t.take("client_auth", d)
		d.keep("client_auth")
	case "sslcacertificatefile":
		t.clientCA = value
		t.take("client_auth", d)
		d.keep("client_auth")
	case "sslcarevocationfile":
		t.crl = value
		t.take("client_auth", d)
		d.keep("client_auth")
	case "sslcacertificatepath":
		d.refuse("the authority's file alone decides about certificates")
	case "sslverifydepth":
		d.fold("chains have the length they have")
	case "sslprotocol":
		words := strings.ToLower(n.rest(1))
		if strings.Contains(words, "tlsv1.3") && !strings.Contains(words, "tlsv1.2") && !strings.Contains(words, "all") || strings.Contains(words, "-tlsv1.2") {
			t.minVersion = "1.3"
			t.take("min_version", d)
			d.keep("min_version")
			return
		}
		d.note("TLS 1.2 and 1.3 are spoken")
	}
}

// header judges the fields that gatehouse sets itself.
func (v *vhost) header(n *apacheNode) {
	args := n.args(1)
	if len(args) > 0 && (args[0] == "always" || args[0] == "onsuccess") {
		args = args[1:]
	}
	name := ""
	if len(args) > 1 {
		name = strings.ToLower(strings.TrimSuffix(args[1], ":"))
	}
	value := ""
	if len(args) > 2 {
		value = args[2]
	}
	switch {
	case n.name == "requestheader" && (name == "x-forwarded-proto" || name == "x_forwarded_proto") && (value == "https" || value == "http" || strings.Contains(value, "REQUEST_SCHEME")):
		n.fold("X-Forwarded-Proto tells whether a request came over TLS")
	case n.name == "requestheader" && strings.HasPrefix(name, "x-forwarded-") && len(args) > 0 && args[0] == "unset":
		n.fold("what clients send there is replaced")
	case n.name == "header" && name == "strict-transport-security":
		verdict, reason := absent("tls.hsts")
		n.judge(verdict, "%s", reason)
	case n.name == "header" && name == "set-cookie" && strings.Contains(value, "BALANCER_WORKER_ROUTE"):
		cookie, rest, _ := strings.Cut(value, "=")
		prefix, _, _ := strings.Cut(rest, "%{")
		for _, b := range v.a.balancers {
			if strings.EqualFold(b.sticky, cookie) {
				b.insert(cookie, prefix, n.directive)
				n.keep("cookie %q in mode insert", cookie)
				return
			}
		}
		n.refuse("no balancer has stickysession=%s", cookie)
	default:
		n.refuse("%s", reasonHeaders)
	}
}

// customLog reads CustomLog FILE FORMAT [env=…].
func (v *vhost) customLog(n *apacheNode) {
	file, format := n.arg(1), n.arg(2)
	switch {
	case strings.HasPrefix(file, "|"):
		n.refuse("lines go to no program: write a file, and rotate it with gatehouse's signal USR2")
		return
	case v.log != nil:
		n.refuse("a frontend has one log")
		return
	case strings.HasPrefix(file, "syslog"):
		file = "syslog:/dev/log"
	case file == "/dev/stdout", file == "/proc/self/fd/1":
		file = "stdout"
	}
	if format != "combined" {
		n.note("the format is combined")
	}
	if strings.HasPrefix(n.arg(3), "env=") || strings.HasPrefix(n.arg(3), "expr=") {
		n.note("every request is logged")
	}
	v.log = v.a.site.log("access", "combined", file, false)
	v.log.from = withOrigin(v.log.from, n.directive)
	n.keep("log %q", v.log.name)
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
				k.refuse("paths by pattern are not told apart in this version")
				continue
			}
			v.proxyPass(k.directive, append([]string{where}, k.args(1)...))
		case k.name == "redirect" || strings.HasPrefix(k.name, "rewrite") || k.name == "header" || k.name == "requestheader":
			if where == "/" {
				a.line(k, v)
			} else {
				k.refuse("for some paths alone this cannot be said")
			}
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
	v.routes = append(v.routes, main.routes...)
	if !v.sameHost && !main.sameHost {
		for _, r := range v.routes {
			if r.back != nil {
				r.d.note("servers see the name the client asked for, not that of the URL")
			}
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
