package convert

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// A balancer is <Proxy balancer://NAME>.
type balancer struct {
	name   string
	back   *back
	routes map[*server]string // route=… of the members
	sticky string             // stickysession=…
	by     *directive         // what set it
}

// balancer reads a balancer's section.
func (a *apache) balancer(n *apacheNode) {
	name, ok := strings.CutPrefix(n.arg(1), "balancer://")
	if !ok {
		return
	}
	name = strings.TrimRight(name, "/")
	b := &balancer{name: name, back: &back{name: identifier(name, "balancer")}, routes: map[*server]string{}}
	b.back.take("", n.directive)
	n.keep("backend")
	a.balancers[name] = b
	for _, k := range n.kids {
		switch k.name {
		case "balancermember":
			a.member(b, k.directive)
		case "proxyset":
			for _, w := range k.args(1) {
				a.balancerWord(b, k.directive, w)
			}
			k.fold("the default")
		case "require", "order", "allow":
			k.fold("nobody proxies through gatehouse to where he likes")
		default:
			k.refuse("unknown directive in a balancer")
		}
		if len(k.comments) > 0 {
			b.back.say("}", k.directive)
		}
	}
	if len(b.back.servers) == 0 {
		n.refuse("no member of it could be converted")
	}
	a.site.addBack(b.back)
}

// balancerWord reads KEY=VALUE of a balancer.
func (a *apache) balancerWord(b *balancer, d *directive, word string) {
	key, value, _ := strings.Cut(word, "=")
	switch strings.ToLower(key) {
	case "lbmethod":
		switch value {
		case "byrequests":
			d.fold("the default")
		case "bybusyness":
			b.back.balance = "leastconn"
			b.back.from = withAttr(b.back.from, "balance", d)
			d.keep("balance")
		default:
			d.note("requests are counted, not %s", value)
		}
	case "stickysession":
		b.sticky, b.by = strings.SplitN(value, "|", 2)[0], d
		d.refuse("the route is what an application puts behind a dot into its cookie: here the value itself names the server")
	case "timeout":
		if n := atoi(value); n > 0 {
			b.back.timeouts.set("queue", time.Duration(n)*time.Second, d)
			d.keep("timeouts { queue }")
		}
	case "nofailover":
		if strings.EqualFold(value, "on") {
			b.back.redispatch = new(false)
			b.back.from = withAttr(b.back.from, "redispatch", d)
			d.keep("redispatch")
		}
	default:
		d.note("%s: nothing of this kind here", key)
	}
}

// insert makes the cookie that mod_headers was told to set: its value is prefix and the route.
func (b *balancer) insert(name, prefix string, d *directive) {
	b.back.cookie = &cookie{name: name, mode: "insert"}
	b.back.cookie.from = map[string][]*directive{"": {d}}
	for srv, route := range b.routes {
		srv.cookie = prefix + route
	}
	b.by.revise(Kept, "cookie "+strconv.Quote(name))
}

// member reads BalancerMember URL [KEY=VALUE…].
func (a *apache) member(b *balancer, d *directive) {
	srv, path, problem := a.target(d.arg(1), nil)
	switch {
	case problem != "":
		d.refuse("%s", problem)
		return
	case path != "" && path != "/":
		d.refuse("paths are not rewritten in this version")
		return
	}
	srv.name = unique(srv.name, func(n string) bool {
		return slices.ContainsFunc(b.back.servers, func(o *server) bool { return o.name == n })
	})
	srv.take("", d)
	for _, w := range d.args(2) {
		a.memberWord(b, srv, d, w)
	}
	b.back.servers = append(b.back.servers, srv)
	d.keep("server %q", srv.name)
}

// memberWord reads KEY=VALUE of a member, or of a ProxyPass.
func (a *apache) memberWord(b *balancer, srv *server, d *directive, word string) {
	key, value, _ := strings.Cut(word, "=")
	switch strings.ToLower(key) {
	case "route":
		if b != nil {
			b.routes[srv] = value
			srv.name = identifier(value, srv.name)
		}
	case "loadfactor":
		f, err := strconv.ParseFloat(value, 64)
		if err != nil || f <= 0 || f > 100 {
			d.refuse("loadfactor %q is not a number from 1 to 100", value)
			return
		}
		n := int(f)
		if f != float64(n) {
			n = int(f*2 + 0.5)
			d.note("loadfactor %s is weight %d: compare it with the others", value, n)
		}
		srv.weight = &n
	case "status":
		for i := 0; i+1 < len(value); i += 2 {
			switch on, flag := value[i] == '+', value[i+1]|0x20; {
			case !on:
			case flag == 'h', flag == 'r':
				srv.backup = true
			case flag == 'd', flag == 's':
				srv.state = "maint"
			case flag == 'n':
				srv.state = "drain"
			default:
				d.note("status %q is not known here", value)
			}
		}
	case "max":
		srv.maxConn = max(atoi(value), 0)
		d.note("max: it was counted for each process there")
	case "retry", "keepalive", "disablereuse", "enablereuse", "nocanon", "acquire", "ping", "flushpackets", "flushwait", "min", "smax", "ttl", "iobuffersize", "receivebuffersize", "connectiontimeout", "timeout", "upgrade", "interpolate", "addressttl", "responsefieldsize", "mapping":
	case "hcmethod", "hcinterval", "hcpasses", "hcfails", "hcuri", "hcexpr", "hctemplate":
		d.note("%s: write a check block", key)
	default:
		d.note("%s: nothing of this kind here", key)
	}
}

// proxyPass reads ProxyPass PATH URL [KEY=VALUE…].
func (v *vhost) proxyPass(d *directive, args []string) {
	if len(args) < 2 || !strings.HasPrefix(args[0], "/") {
		d.refuse("it leads from no path to no URL")
		return
	}
	where, to := args[0], args[1]
	if to == "!" {
		d.refuse("%s: that path would reach the server of the path around it", reasonFiles)
		return
	}
	var b *back
	path := ""
	if name, ok := strings.CutPrefix(to, "balancer://"); ok {
		name, path, _ = strings.Cut(name, "/")
		if path != "" {
			path = "/" + path
		}
		bal := v.a.balancers[name]
		if bal == nil || len(bal.back.servers) == 0 {
			d.refuse("there is no balancer %q with a member", name)
			return
		}
		for _, w := range args[2:] {
			v.a.balancerWord(bal, d, w)
		}
		b = bal.back
		if !samePath(where, or(path, "/")) {
			d.refuse("paths are not rewritten in this version: %s would reach servers as it is", where)
			return
		}
	} else {
		if i := strings.IndexAny(to, " \t"); i >= 0 {
			to = to[:i]
		}
		srv, p, problem := v.a.target(to, v)
		switch {
		case problem != "":
			d.refuse("%s", problem)
			return
		case !samePath(where, or(p, "/")) && !(where == "/" && p == ""):
			d.refuse("paths are not rewritten in this version: %s would reach the server as it is", where)
			return
		}
		for _, w := range args[2:] {
			v.a.memberWord(nil, srv, d, w)
			if s, ok := strings.CutPrefix(w, "timeout="); ok && atoi(s) > 0 {
				v.timeouts.set("server", time.Duration(atoi(s))*time.Second, d)
			}
		}
		if srv.tls != nil && srv.tls.verify != nil {
			d.note("the server's certificate is not verified, as before: anybody in between can read everything")
		}
		b = v.a.backOf(srv, d)
	}
	v.routes = append(v.routes, &hostRoute{d: d, rank: 1, paths: pathsBelow(where), back: b, url: hostOfURL(to)})
	d.keep("to backend %q", b.name)
}
