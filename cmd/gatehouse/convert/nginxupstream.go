package convert

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// An upstream is a named group of servers. It is a backend once something leads there.
type upstream struct {
	n      *nginxNode
	back   *back
	tcp    bool
	added  bool
	grpc   bool // what leads there speaks HTTP/2 with it
	broken bool // no server of it could be converted
}

// upstream reads a group of servers.
func (x *nginx) upstream(n *nginxNode, tcp bool) {
	name := n.arg(1)
	u := &upstream{n: n, back: &back{name: name, tcp: tcp}, tcp: tcp}
	u.back.take("", n.directive)
	n.keep("backend %q", name)
	x.upstreams[name] = u
	for _, k := range n.kids {
		switch k.words[0] {
		case "server":
			x.member(u, k)
		case "least_conn":
			u.back.balance = "leastconn"
			u.back.take("balance", k.directive)
			k.keep("balance")
		case "ip_hash":
			u.back.balance = "source"
			u.back.take("balance", k.directive)
			k.note("the whole address is hashed: clients meet other servers than before")
		case "random":
			u.back.balance = "random"
			u.back.take("balance", k.directive)
			k.keep("balance")
		case "hash":
			x.hash(u, k)
		case "sticky":
			x.sticky(u, k)
		case "keepalive", "keepalive_requests", "keepalive_timeout", "keepalive_time", "zone", "resolver", "resolver_timeout":
			k.fold("connections to servers are kept and reused with care here")
		default:
			x.rule(k)
		}
		u.back.say("}", k.directive)
	}
	if len(u.back.servers) == 0 {
		u.broken = true
		n.refuse("no server of it could be converted")
	}
}

func (x *nginx) hash(u *upstream, n *nginxNode) {
	switch n.arg(1) {
	case "$remote_addr", "$binary_remote_addr":
		u.back.balance = "source"
	case "$request_uri", "$uri", "$scheme$proxy_host$request_uri":
		u.back.balance = "uri"
	default:
		if field, ok := strings.CutPrefix(n.arg(1), "$http_"); ok && !u.tcp {
			u.back.balance = "header:" + strings.ReplaceAll(field, "_", "-")
			break
		}
		n.refuse("requests are not balanced by %s here", n.arg(1))
		return
	}
	u.back.take("balance", n.directive)
	n.note("which server a hash leads to differs: clients meet other servers than before")
}

// sticky reads sticky cookie NAME [expires=…] [domain=…] [path=…].
func (x *nginx) sticky(u *upstream, n *nginxNode) {
	if n.arg(1) != "cookie" || n.arg(2) == "" {
		n.refuse("%s", reasonTables)
		return
	}
	c := &cookie{name: n.arg(2), mode: "insert"}
	for _, w := range n.args(3) {
		key, value, _ := strings.Cut(w, "=")
		switch key {
		case "domain":
			c.domain = append(c.domain, strings.TrimPrefix(value, "."))
		case "secure":
			c.secure = new(true)
		case "httponly":
		case "samesite":
			c.sameSite = strings.ToLower(value)
		case "path":
			if value != "/" {
				n.note("the cookie's path is /")
			}
		default:
			n.note("%s: a cookie of the browser's session", key)
		}
	}
	c.take("", n.directive)
	u.back.cookie = c
	n.note("the values are the servers' names: cookies given before are not known")
}

// member reads server ADDRESS [KEY=VALUE…] of an upstream.
func (x *nginx) member(u *upstream, n *nginxNode) {
	srv := &server{}
	addr := n.arg(1)
	switch {
	case strings.HasPrefix(addr, "unix:"):
		srv.addr, srv.name = addr, nameOfFile(strings.TrimSuffix(addr[len("unix:"):], ".sock"))
	case addr == "" || strings.Contains(addr, "$"):
		n.refuse("it has no address")
		return
	default:
		host, port := splitPort(addr)
		if port == "" && !strings.Contains(addr, ":") {
			port = "80"
		}
		if host == "localhost" {
			host = "127.0.0.1"
		}
		srv.addr, srv.name = joinPort(host, port), serverName(host, port)
	}
	for _, w := range n.args(2) {
		key, value, _ := strings.Cut(w, "=")
		switch key {
		case "weight":
			w, err := strconv.Atoi(value)
			if err != nil || w < 1 {
				n.refuse("weight %q is not a number", value)
				continue
			}
			srv.weight = &w
		case "backup":
			srv.backup = true
		case "down":
			srv.state = "maint"
		case "max_conns":
			srv.maxConn = max(atoi(value), 0)
			n.note("max_conns: it was counted for each process there")
		case "slow_start":
			srv.slowStart = nginxTime(value)
			srv.take("slow_start", n.directive)
		case "max_fails", "fail_timeout":
			n.note("%s: a check block finds out whether a server lives; without one, each request tries", key)
		case "resolve", "service":
			n.note("%s: the name is looked up by the machine's resolver", key)
		case "route":
			srv.cookie = value
		default:
			n.note("%s: nothing of this kind here", key)
		}
	}
	srv.name = unique(srv.name, func(name string) bool {
		return slices.ContainsFunc(u.back.servers, func(o *server) bool { return o.name == name })
	})
	srv.take("", n.directive)
	u.back.servers = append(u.back.servers, srv)
	n.keep("server %q", srv.name)
}

// nginxTime reads "60", seconds, "5m", "1h30m".
func nginxTime(s string) time.Duration {
	if s != "" && strings.Trim(s, "0123456789") == "" {
		s += "s"
	}
	d, err := time.ParseDuration(strings.ReplaceAll(s, "d", "h"))
	if err != nil || d < 0 {
		return 0
	}
	if strings.HasSuffix(s, "d") {
		d *= 24
	}
	return d
}
