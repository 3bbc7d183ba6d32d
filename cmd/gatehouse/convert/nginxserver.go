package convert

import (
	"cmp"
	"net/url"
	"slices"
	"strings"
	"time"

	"gatehouse/cmd/gatehouse/config"
)

// An nginxServer is a server block being read.
type nginxServer struct {
	x     *nginx
	v     *vhost
	n     *nginxNode
	tcp   bool
	back  *back // of mode tcp
	proxy bool  // proxy_protocol on: it is sent to servers
	host  bool  // a Host field is set for servers

	limited bool // the size of contents is
}

// line reads a directive of a server, or of a location that is for every request.
func (s *nginxServer) line(n *nginxNode) {
	v, d := s.v, n.directive
	switch n.words[0] {
	case "listen":
		s.listen(n)
	case "server_name":
		s.names(n)
	case "ssl":
		v.ssl = n.arg(1) == "on"
		d.keep("tls")
	case "ssl_certificate", "ssl_certificate_key", "ssl_protocols", "ssl_client_certificate", "ssl_crl", "ssl_verify_client":
		s.tlsLine(n)
	case "return":
		s.answer(n, nil)
	case "rewrite":
		s.rewrite(n)
	case "access_log":
		s.log(n)
	case "client_max_body_size":
		s.body(n)
	case "keepalive_timeout":
		s.wait(n, "idle")
	case "client_header_timeout":
		s.wait(n, "request")
	case "proxy_read_timeout":
		s.wait(n, "server")
	case "proxy_send_timeout":
		d.fold("bounded by timeouts { server }")
	case "proxy_connect_timeout":
		s.wait(n, "connect")
	case "proxy_timeout":
		s.wait(n, "tunnel")
	case "proxy_set_header":
		s.setHeader(n)
	case "add_header":
		if strings.EqualFold(n.arg(1), "Strict-Transport-Security") {
			verdict, reason := absent("tls.hsts")
			d.judge(verdict, "%s", reason)
			return
		}
		d.refuse("%s", reasonHeaders)
	case "underscores_in_headers":
		if n.arg(1) == "on" {
			d.refuse("write underscore_headers = true in the frontend, if an application needs them")
		} else {
			d.fold("the default")
		}
	case "proxy_ssl_verify":
		v.verify = n.arg(1) == "on"
		d.keep("verify")
	case "proxy_ssl_trusted_certificate":
		v.ca = n.arg(1)
		d.keep("ca")
	case "proxy_ssl_name", "proxy_ssl_server_name":
		d.fold("the server's own name is asked for")
	case "proxy_protocol":
		s.proxy = n.arg(1) == "on"
		d.keep("send_proxy")
	case "proxy_pass":
		if !s.tcp {
			d.refuse("outside of a location it has no path")
			return
		}
		s.streamPass(n)
	case "ssl_preread":
		d.refuse("write hosts = […] in a frontend in mode tcp for each name")
	case "root":
		v.files = append(v.files, d)
		s.x.rule(n)
	default:
		s.x.rule(n)
	}
}

// listen reads listen ADDRESS [WORD…].
func (s *nginxServer) listen(n *nginxNode) {
	addr := n.arg(1)
	dr := door{}
	switch {
	case strings.HasPrefix(addr, "unix:"):
		dr.addr = addr
	default:
		host, port := splitPort(addr)
		if !strings.Contains(addr, ":") {
			host, port = addr, "80"
			if strings.Trim(addr, "0123456789") == "" {
				host, port = "", addr
			}
		}
		if host == "*" {
			host = ""
		}
		if host == "localhost" {
			host = "127.0.0.1"
		}
		dr.addr = joinPort(host, port)
	}
	for _, w := range n.args(2) {
		word, _, _ := strings.Cut(w, "=")
		switch word {
		case "ssl":
			dr.tls = true
		case "default_server", "default":
			s.v.first = true
		case "http2", "spdy":
			n.note("HTTP/2 is not in this version: HTTP/1.1 is spoken")
		case "quic", "http3":
			n.refuse("HTTP/3 is not in this version")
			return
		case "udp":
			n.refuse("connections are relayed here, no datagrams")
			return
		case "proxy_protocol":
			dr.proxy = true
		case "ipv6only", "reuseport", "deferred", "backlog", "rcvbuf", "sndbuf", "so_keepalive", "fastopen", "setfib", "accept_filter", "bind", "multipath":
		default:
			n.refuse("unknown word %q", w)
		}
	}
	// [::]:80 beside 0.0.0.0:80 are two addresses; beside ":80", which is both, it is one.
	if rest, ok := strings.CutPrefix(dr.addr, "[::]:"); ok && slices.ContainsFunc(s.v.doors, func(o door) bool { return o.addr == ":"+rest }) {
		n.fold("part of :%s, which is every address", rest)
		return
	}
	s.v.doors = append(s.v.doors, dr)
	n.keep("bind")
}

// names reads server_name. "_" and other names nobody asks for mean none; patterns cannot be said.
func (s *nginxServer) names(n *nginxNode) {
	n.keep("hosts")
	for _, name := range n.args(1) {
		switch {
		case name == "_" || name == `""` || name == "":
			n.fold("nobody asks for it")
		case strings.HasPrefix(name, "~"):
			n.refuse("%s: hosts are no patterns", name)
		case strings.HasPrefix(name, "."):
			s.v.names = append(s.v.names, name[1:], "*"+name)
			n.note("%s: names one level below are meant", name)
		case strings.HasPrefix(name, "*.") && !strings.Contains(name[2:], "*"):
			s.v.names = append(s.v.names, name)
			n.note("%s: names one level below are meant", name)
		case strings.Contains(name, "*"):
			n.refuse("%s: a star stands for the first label alone", name)
		default:
			s.v.names = append(s.v.names, strings.ToLower(name))
		}
	}
}

func (s *nginxServer) tlsLine(n *nginxNode) {
	v := s.v
	if v.set == nil {
		v.set = &tlsSet{}
	}
	t, d, value := v.set, n.directive, n.arg(1)
	if strings.HasPrefix(value, "data:") || strings.HasPrefix(value, "engine:") || strings.HasPrefix(value, "store:") || strings.Contains(value, "$") {
		d.refuse("certificates and keys are files here")
		return
	}
	switch n.words[0] {
	case "ssl_certificate":
		if t.cert != "" {
			d.refuse("one certificate for each server: put others into a directory")
			return
		}
		t.cert = value
		t.take("", d)
		d.keep("tls { certificate }")
		if strings.HasPrefix(value, "/etc/letsencrypt/live/") {
			d.note("certbot goes on renewing it, and the new file is taken up by itself; certbot's own hooks must not start nginx any more")
		}
		s.relative(d, value)
	case "ssl_certificate_key":
		t.key = value
		if t.key == t.cert {
			t.key = ""
		}
		t.take("key", d)
		d.keep("tls { key }")
	case "ssl_protocols":
		words := n.args(1)
		if slices.Contains(words, "TLSv1.3") && !slices.Contains(words, "TLSv1.2") {
			t.minVersion = "1.3"
			t.take("min_version", d)
			d.keep("min_version")
			return
		}
		d.note("TLS 1.2 and 1.3 are spoken")
	case "ssl_client_certificate":
		t.clientCA = value
		t.take("client_auth", d)
		d.keep("client_auth")
	case "ssl_crl":
		t.crl = value
		t.take("client_auth", d)
		d.keep("client_auth")
	case "ssl_verify_client":
		switch value {
		case "on":
			t.clientMode = "require"
		case "optional", "optional_no_ca":
			t.clientMode = "verify"
		default:
			d.fold("the default")
			return
		}
		t.take("client_auth", d)
		d.keep("client_auth")
	}
}

func (s *nginxServer) log(n *nginxNode) {
	file, format := n.arg(1), n.arg(2)
	switch {
	case file == "off":
		n.fold("the default")
		return
	case s.v.log != nil:
		n.refuse("a frontend has one log")
		return
	case strings.HasPrefix(file, "syslog:"):
		target := strings.TrimPrefix(strings.SplitN(strings.TrimPrefix(file, "syslog:"), ",", 2)[0], "server=")
		file = "syslog:udp:" + target
		if p, ok := strings.CutPrefix(target, "unix:"); ok {
			file = "syslog:" + p
		} else if _, port := splitPort(target); port == "" {
			file += ":514"
		}
	case file == "/dev/stdout":
		file = "stdout"
	case strings.Contains(file, "$"):
		n.refuse("the name of a log is constant")
		return
	}
	if format != "" && format != "combined" && format != "main" {
		n.note("the format is combined")
	}
	s.v.log = s.x.site.log("access", "combined", file, false)
	s.v.log.from = withOrigin(s.v.log.from, n.directive)
	n.keep("log %q", s.v.log.name)
}

// body reads a size. 0 is no limit, which is the default here.
func (s *nginxServer) body(n *nginxNode) {
	s.limited = true
	v := strings.ToLower(n.arg(1))
	for suffix, unit := range map[string]string{"k": "KiB", "m": "MiB", "g": "GiB"} {
		if number, ok := strings.CutSuffix(v, suffix); ok {
			v = number + unit
			break
		}
	}
	if strings.Trim(v, "0123456789") == "" {
		v += "B"
	}
	size, err := config.ParseSize(v)
	switch {
	case err != nil:
		n.refuse("%q is not a size", n.arg(1))
	case size == 0:
		n.fold("the default")
	default:
		s.v.body = config.FormatSize(size)
		n.keep("limits { body }")
	}
}

func (s *nginxServer) wait(n *nginxNode, name string) {
	t := nginxTime(n.arg(1))
	if t < time.Millisecond {
		n.refuse("%q is not a time", n.arg(1))
		return
	}
	s.v.timeouts.set(name, t, n.directive)
	n.keep("timeouts { %s }", name)
}

// setHeader judges the fields that gatehouse sets itself.
func (s *nginxServer) setHeader(n *nginxNode) {
	name, value := strings.ToLower(n.arg(1)), n.arg(2)
	switch {
	case name == "host":
		s.host = true
		if value == "$host" || value == "$http_host" || value == "$host:$server_port" || value == "$server_name" {
			n.fold("servers always see the name the client asked for")
		} else {
			n.refuse("servers see the name the client asked for")
		}
	case name == "x-forwarded-for" && (value == "$proxy_add_x_forwarded_for" || value == "$remote_addr"):
		n.fold("the default; what clients send there is replaced")
	case name == "x-forwarded-proto" && (value == "$scheme" || value == "https" || value == "http"):
		n.fold("the default")
	case name == "connection" || name == "upgrade":
		n.fold("WebSockets pass by themselves, connections are kept")
	case name == "x-real-ip":
		n.refuse("servers get the address in X-Forwarded-For")
	default:
		n.refuse("%s", reasonHeaders)
	}
}

// rewrite takes the redirects people write with it.
func (s *nginxServer) rewrite(n *nginxNode) {
	pattern, to, flag := n.arg(1), n.arg(2), n.arg(3)
	if slices.Contains(everything, pattern) && (flag == "permanent" || flag == "redirect" || strings.HasPrefix(to, "http")) {
		to = strings.TrimSuffix(to, "?")
		if base, ok := strings.CutSuffix(to, "$1"); ok && strings.HasPrefix(pattern, "^/") {
			to = strings.TrimSuffix(base, "/") + "$request_uri"
		} else if ok {
			to = base + "$request_uri"
		}
		code := "301"
		if flag != "permanent" {
			code = "302"
		}
		s.redirect(n, to, code, nil)
		return
	}
	n.refuse("paths are not rewritten in this version")
}

// answer reads return CODE [TEXT|URL] for some paths, nil for all of them.
func (s *nginxServer) answer(n *nginxNode, paths []string) {
	code, to := n.arg(1), n.arg(2)
	if strings.HasPrefix(code, "http://") || strings.HasPrefix(code, "https://") {
		code, to = "302", code
	}
	status := atoi(code)
	switch {
	case status >= 301 && status <= 308 && to != "":
		s.redirect(n, to, code, paths)
	case status == 444:
		n.note("the answer is 403; nginx closed the connection without one")
		s.v.routes = append(s.v.routes, &hostRoute{d: n.directive, paths: paths, respond: 403})
	case status >= 200 && status <= 599:
		if to != "" {
			n.note("a short page of gatehouse's own is sent")
		}
		s.v.routes = append(s.v.routes, &hostRoute{d: n.directive, paths: paths, respond: status})
		n.keep("route { respond }")
	default:
		n.refuse("%q is not a status", code)
	}
}

// redirect adds a redirect. One to https for every request makes redirecting binds.
func (s *nginxServer) redirect(n *nginxNode, to, code string, paths []string) {
	location := strings.NewReplacer("$host", "{host}", "$http_host", "{host}", "$server_name", "{host}", "$request_uri", "{uri}", "$uri$is_args$args", "{uri}", "$scheme", "$scheme").Replace(to)
	if strings.Contains(location, "$uri") {
		location = strings.ReplaceAll(location, "$uri", "{uri}")
	}
	scheme, ok := strings.CutPrefix(location, "$scheme://")
	if ok {
		if s.v.ssl {
			location = "https://" + scheme
		} else {
			location = "http://" + scheme
		}
		n.note("the scheme is %s", location[:strings.Index(location, ":")])
	}
	if strings.Contains(location, "$") {
		n.refuse("a redirect knows {host} and {uri} of the request, nothing else")
		return
	}
	host := strings.TrimSuffix(strings.TrimPrefix(location, "https://"), "{uri}")
	same := host == "{host}" || len(s.v.names) == 1 && host == s.v.names[0]
	plain := !s.v.ssl && !slices.ContainsFunc(s.v.doors, func(d door) bool { return d.tls })
	if paths == nil && same && strings.HasPrefix(location, "https://") && strings.HasSuffix(location, "{uri}") && plain {
		s.v.https = n.directive
		n.keep(`bind { redirect = "https" }`)
		if code != "301" {
			n.note("the status is 301")
		}
		return
	}
	s.v.routes = append(s.v.routes, &hostRoute{d: n.directive, paths: paths, redirect: location})
	n.keep("route { redirect }")
	if code != "302" {
		n.note("the status is 302")
	}
}

// locations reads the locations, the more particular ones first, as nginx prefers them.
func (s *nginxServer) locations() {
	var list []*nginxNode
	for _, k := range s.n.kids {
		if k.words[0] == "location" {
			list = append(list, k)
		}
	}
	slices.SortStableFunc(list, func(a, b *nginxNode) int {
		ea, eb := a.arg(1) == "=", b.arg(1) == "="
		if ea != eb {
			if ea {
				return -1
			}
			return 1
		}
		return cmp.Compare(len(b.words[len(b.words)-1]), len(a.words[len(a.words)-1]))
	})
	for _, n := range list {
		s.location(n)
		s.v.comments = append(s.v.comments, n.comments...)
	}
}

// location reads location [MODIFIER] PATH { … }.
func (s *nginxServer) location(n *nginxNode) {
	where, exact := n.arg(1), false
	switch n.arg(1) {
	case "=":
		where, exact = n.arg(2), true
	case "^~":
		where = n.arg(2)
	case "~", "~*":
		condemnNginx([]*nginxNode{n}, ruling{Refused, "paths by pattern are not told apart in this version"})
		return
	}
	if !strings.HasPrefix(where, "/") || !n.block {
		condemnNginx([]*nginxNode{n}, ruling{Refused, "requests are not passed on inside here"})
		return
	}
	paths := pathsBelow(where)
	if exact {
		paths = []string{where}
	} else if paths != nil && !strings.HasSuffix(where, "/") {
		n.note("a prefix ends at a slash here: %sx is another path", where)
	}
	n.keep("route")
	if paths == nil {
		n.fold("every request")
	}
	answered := false
	host := s.host || slices.ContainsFunc(n.kids, isHost)
	for _, k := range n.kids {
		s.v.comments = append(s.v.comments, k.comments...)
		switch {
		case k.words[0] == "proxy_pass":
			answered = s.pass(k, where, paths) || answered
			if !host {
				k.note("servers see the name the client asked for, not that of the URL")
			}
		case k.words[0] == "return":
			s.answer(k, paths)
			answered = true
		case k.words[0] == "rewrite" && paths == nil:
			s.rewrite(k)
			answered = true
		case k.block:
			condemnNginx([]*nginxNode{k}, ruling{Refused, "conditions inside of locations cannot be said: routes go by path and host"})
		case k.words[0] == "proxy_set_header", k.words[0] == "proxy_connect_timeout", k.words[0] == "proxy_read_timeout", k.words[0] == "proxy_send_timeout", strings.HasPrefix(k.words[0], "proxy_ssl_"):
			s.line(k)
		case k.words[0] == "client_max_body_size" && paths == nil:
			s.line(k)
		case k.words[0] == "client_max_body_size", k.words[0] == "access_log", k.words[0] == "add_header":
			k.refuse("for some paths alone this cannot be said")
		default:
			s.x.rule(k)
		}
	}
	if !answered {
		n.refuse("%s", reasonFiles)
	}
}

// isHost reports whether a directive sets the Host field.
func isHost(n *nginxNode) bool {
	return n.words[0] == "proxy_set_header" && strings.EqualFold(n.arg(1), "Host")
}

// pass reads proxy_pass URL of a location. It reports whether the location is answered now.
func (s *nginxServer) pass(n *nginxNode, where string, paths []string) bool {
	to := n.arg(1)
	u, err := url.Parse(to)
	if sock, ok := strings.CutPrefix(to, "http://unix:"); ok {
		sockPath, uri, _ := strings.Cut(sock, ":")
		if uri != "" && !samePath(where, uri) {
			n.refuse("paths are not rewritten in this version: %s would reach the server as it is", where)
			return false
		}
		srv := &server{addr: "unix:" + sockPath, name: nameOfFile(strings.TrimSuffix(sockPath, ".sock"))}
		s.route(n, paths, s.x.a.backOf(srv, n.directive))
		return true
	}
	switch {
	case strings.Contains(to, "$"):
		n.refuse("which server it is must not depend on the request")
		return false
	case err != nil || u.Host == "":
		n.refuse("%q is no URL of a server", to)
		return false
	case u.Path != "" && u.Path != where && !(where == "/" && u.Path == "/"):
		n.refuse("paths are not rewritten in this version: %s would reach the server as it is", where)
		return false
	}
	if up := s.x.upstreams[u.Host]; up != nil {
		if up.broken || up.tcp {
			n.refuse("upstream %q has no server", u.Host)
			return false
		}
		s.x.use(up)
		if u.Scheme == "https" {
			for _, srv := range up.back.servers {
				if srv.tls == nil {
					srv.tls = s.serverTLS(n)
				}
			}
		}
		s.route(n, paths, up.back)
		return true
	}
	srv, _, problem := s.x.a.target(to, s.v)
	if problem != "" {
		n.refuse("%s", problem)
		return false
	}
	if srv.tls != nil && srv.tls.verify != nil {
		n.note("the server's certificate is not verified, as before: anybody in between can read everything")
	}
	s.route(n, paths, s.x.a.backOf(srv, n.directive))
	return true
}

func (s *nginxServer) serverTLS(n *nginxNode) *serverTLS {
	t := &serverTLS{ca: s.v.ca}
	if !s.v.verify {
		t.ca = ""
		t.verify = new(false)
		n.note("the server's certificate is not verified, as before: anybody in between can read everything")
	}
	t.from = map[string][]*directive{"": {n.directive}}
	return t
}

func (s *nginxServer) route(n *nginxNode, paths []string, b *back) {
	s.v.routes = append(s.v.routes, &hostRoute{d: n.directive, paths: paths, back: b})
	n.keep("to backend %q", b.name)
}

// use makes a backend of an upstream.
func (x *nginx) use(u *upstream) {
	if !u.added {
		u.added = true
		x.site.addBack(u.back)
	}
}

// streamPass reads proxy_pass ADDRESS in mode tcp.
func (s *nginxServer) streamPass(n *nginxNode) {
	to := n.arg(1)
	if up := s.x.upstreams[to]; up != nil {
		if up.broken || !up.tcp {
			n.refuse("upstream %q has no server", to)
			return
		}
		s.x.use(up)
		s.back = up.back
		n.keep("backend")
		return
	}
	addr, problem := serverAddress(to)
	if strings.HasPrefix(to, "unix:") {
		addr, problem = to, ""
	}
	if problem != "" || strings.Contains(to, "$") {
		n.refuse("%q is no address of a server", to)
		return
	}
	host, port := splitPort(addr)
	srv := &server{addr: addr, name: serverName(host, port)}
	srv.take("", n.directive)
	b := &back{name: srv.name, tcp: true, servers: []*server{srv}}
	b.from = map[string][]*directive{"": {n.directive}}
	s.back = s.x.site.addBack(b)
	n.keep("backend")
}
