package convert

import (
	"errors"
	"slices"
	"strings"
)

// An nginx reads the configuration of nginx, as far as it is a proxy with TLS.
type nginx struct {
	hosting
	a         *apache // whose ways with servers' URLs are used
	upstreams map[string]*upstream
	streams   []*nginxServer      // in mode tcp
	pressed   map[*directive]bool // those about compressing, and whether a server compresses by them
	told      map[*directive]bool // the directives about fields, and whether a location has them
}

// readNginx fills the site from files that count as one.
func readNginx(p *pile, sources []*source) error {
	x := &nginx{hosting: hosting{pile: p}, upstreams: map[string]*upstream{}, told: map[*directive]bool{}, pressed: map[*directive]bool{}}
	x.a = &apache{hosting: hosting{pile: p}, backs: map[string]*back{}}
	var nodes []*nginxNode
	var errs []error
	for _, s := range sources {
		list, err := p.parseNginx(s, 0)
		errs = append(errs, err)
		nodes = append(nodes, list...)
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	likeProxy(nodes)
	x.collect(nodes, false)
	x.level(nodes, nil, false)
	x.tellHosts()
	x.build()
	for _, s := range x.streams {
		s.stream()
	}
	for d, used := range x.pressed {
		if !used && d.Verdict == Kept {
			d.revise(Folded, "without gzip on it has no effect")
		}
	}
	for d, used := range x.told {
		if !used {
			d.revise(Folded, "every location says it itself")
		}
	}
	for _, name := range sortedKeys(x.upstreams) {
		if u := x.upstreams[name]; !u.added && u.n.Verdict != Refused {
			u.n.note("nothing leads there: it is left out")
		}
	}
	return nil
}

// likeProxy has the directives about gRPC read as those about HTTP that they are twins of.
func likeProxy(nodes []*nginxNode) {
	for _, n := range nodes {
		if rest, ok := strings.CutPrefix(n.words[0], "grpc_"); ok && rest != "pass" {
			n.words[0] = "proxy_" + rest
		}
		likeProxy(n.kids)
	}
}

// collect finds upstreams first: servers refer to them.
func (x *nginx) collect(nodes []*nginxNode, tcp bool) {
	for _, n := range nodes {
		switch n.words[0] {
		case "http", "stream":
			x.collect(n.kids, n.words[0] == "stream")
		case "upstream":
			x.upstream(n, tcp)
		}
	}
}

// level reads the directives outside of servers. Those that count in servers are handed on.
func (x *nginx) level(nodes []*nginxNode, inherited []*nginxNode, tcp bool) {
	var common []*nginxNode
	for _, n := range nodes {
		if n.words[0] == "proxy_cache_path" && !n.block {
			x.cachePath(n)
			continue
		}
		if !n.block && (inServers[n.words[0]] || isCaching(n.words[0]) || isCompressing(n.words[0])) {
			common = append(common, n)
		}
	}
	inherited = append(slices.Clone(inherited), common...)
	for _, n := range nodes {
		switch {
		case n.words[0] == "http" && n.block:
			n.fold("its lines stand by themselves")
			x.level(n.kids, inherited, false)
		case n.words[0] == "stream" && n.block:
			n.fold("its lines stand by themselves")
			x.level(n.kids, nil, true)
		case n.words[0] == "events" && n.block:
			condemnNginx([]*nginxNode{n}, ruling{Folded, reasonOwn})
		case n.words[0] == "upstream" && n.block:
		case n.words[0] == "server" && n.block:
			x.server(n, inherited, tcp)
		case slices.Contains(common, n), n.words[0] == "proxy_cache_path":
		case n.words[0] == "user" || n.words[0] == "pid" || n.words[0] == "worker_connections":
			x.process(n)
		default:
			x.rule(n)
		}
		if len(n.comments) > 0 && n.words[0] != "server" && n.words[0] != "upstream" && !slices.Contains(common, n) {
			x.site.head = append(x.site.head, n.comments...)
		}
	}
	for _, n := range common {
		if n.Verdict == unjudged {
			n.fold("no server it would count for")
		}
		x.site.head = append(x.site.head, n.comments...)
	}
}

// inServers are directives that count in servers when they stand outside of them.
var inServers = map[string]bool{
	"ssl_certificate": true, "ssl_certificate_key": true, "ssl_protocols": true, "access_log": true, "client_max_body_size": true, "keepalive_timeout": true, "client_header_timeout": true,
	"proxy_read_timeout": true, "proxy_connect_timeout": true, "proxy_send_timeout": true, "proxy_timeout": true, "proxy_set_header": true, "add_header": true, "proxy_hide_header": true, "more_set_headers": true, "more_clear_headers": true, "underscores_in_headers": true, "ssl_verify_client": true, "ssl_client_certificate": true, "ssl_crl": true, "proxy_ssl_verify": true, "proxy_ssl_trusted_certificate": true, "proxy_ssl_name": true, "proxy_ssl_server_name": true, "proxy_protocol": true,
}

// process reads what concerns the whole process.
func (x *nginx) process(n *nginxNode) {
	g := &x.site.global
	switch n.words[0] {
	case "user":
		g.user, g.group = n.arg(1), n.arg(2)
		g.take("user", n.directive)
		n.keep("user")
	case "pid":
		g.pidFile = n.arg(1)
		g.take("pid_file", n.directive)
		n.keep("pid_file")
	case "worker_connections":
		n.fold("global { max_connections } bounds them, for all processors")
	}
}

// rule judges a directive nobody reads.
func (x *nginx) rule(n *nginxNode) {
	r, ok := nginxRulings[n.words[0]]
	if !ok {
		r = ruling{Refused, "unknown directive"}
	}
	if r.reason == reasonNoCache {
		noCache(n.directive)
		return
	}
	condemnNginx([]*nginxNode{n}, r)
}

func condemnNginx(nodes []*nginxNode, r ruling) {
	for _, n := range nodes {
		if n.Verdict == unjudged {
			n.judge(r.verdict, "%s", r.reason)
		}
		condemnNginx(n.kids, r)
	}
}

// server reads a server block.
func (x *nginx) server(n *nginxNode, inherited []*nginxNode, tcp bool) {
	v := &vhost{d: n.directive, comments: n.comments}
	n.keep("")
	s := &nginxServer{x: x, v: v, n: n, tcp: tcp}
	written := map[string]bool{}
	for _, k := range n.kids {
		written[k.words[0]] = true
	}
	for _, k := range inherited {
		if !written[k.words[0]] {
			s.line(k)
		} else if k.Verdict == unjudged {
			k.fold("servers say it themselves")
		}
	}
	for _, k := range n.kids {
		v.directives = append(v.directives, k.directive)
		if k.words[0] == "location" {
			v.directives = append(v.directives, collectNginx(k.kids)...)
			continue
		}
		v.comments = append(v.comments, k.comments...)
		s.line(k)
	}
	for _, r := range v.routes {
		_, r.response = s.rules(&s.headers)
	}
	s.locations()
	s.hoist()
	v.share()
	if len(v.doors) == 0 {
		v.doors = []door{{addr: ":80"}}
	}
	for i := range v.doors {
		v.doors[i].tls = v.doors[i].tls || v.ssl
	}
	s.overUDP()
	s.compressed()
	if tcp {
		x.streams = append(x.streams, s)
		return
	}
	if !s.limited {
		v.d.note(`requests had 1 MiB of content at most, here they have what they have: limits { body = "1MiB" }`)
	}
	x.vhosts = append(x.vhosts, v)
}

func collectNginx(nodes []*nginxNode) (list []*directive) {
	for _, n := range nodes {
		list = append(list, n.directive)
		list = append(list, collectNginx(n.kids)...)
	}
	return list
}

// stream makes a front in mode tcp.
func (s *nginxServer) stream() {
	v := s.v
	if s.back == nil {
		v.d.refuse("it leads nowhere")
		return
	}
	_, port := splitPort(v.doors[0].addr)
	f := &front{name: identifier("tcp-"+port, "tcp"), tcp: true, back: s.back}
	f.from = map[string][]*directive{"": {v.d}}
	if len(v.comments) > 0 {
		f.node.said = map[string][]*comment{"": v.comments}
	}
	s.x.binds(f, v)
	for _, o := range s.x.site.fronts {
		for _, b := range f.binds {
			if len(v.names) > 0 && slices.ContainsFunc(o.binds, func(ob *bind) bool { return ob.addr == b.addr }) {
				f.hosts = v.names
			}
		}
	}
	for name, t := range v.timeouts.of {
		s.back.timeouts.set(name, t, nil)
		for _, d := range v.timeouts.from[name] {
			s.back.timeouts.take(name, d)
		}
	}
	if s.proxy {
		for _, srv := range s.back.servers {
			srv.sendProxy = "v1"
		}
	}
	s.x.site.addFront(f)
	v.d.keep("frontend %q in mode tcp", f.name)
}
