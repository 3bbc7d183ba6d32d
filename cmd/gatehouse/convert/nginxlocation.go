package convert

import (
	"cmp"
	"net/url"
	"slices"
	"strings"
)

// locations reads the locations, the more particular ones first, as nginx prefers them.
func (s *nginxServer) locations() {
	var list []*nginxNode
	for _, k := range s.n.kids {
		if k.words[0] == "location" {
			list = append(list, k)
		}
	}
	slices.SortStableFunc(list, func(a, b *nginxNode) int {
		ra, rb := locationRank(a, list), locationRank(b, list)
		if ra != rb || ra == byPattern {
			return ra - rb
		}
		return cmp.Compare(len(b.words[len(b.words)-1]), len(a.words[len(a.words)-1]))
	})
	for _, n := range list {
		s.location(n)
		s.v.comments = append(s.v.comments, n.comments...)
	}
}

// The order in which nginx prefers locations: the exact ones, the longest prefix if it says so, patterns as they are written, prefixes.
const (
	byName = iota
	byFirm
	byPattern
	byPrefix
)

func locationRank(n *nginxNode, all []*nginxNode) int {
	switch n.arg(1) {
	case "=":
		return byName
	case "^~":
		return byFirm
	case "~", "~*":
		return byPattern
	}
	for _, o := range all { // what is below a firm one is longer, and so comes first
		if o.arg(1) == "^~" && strings.HasPrefix(n.arg(1), o.arg(2)) {
			return byFirm
		}
	}
	return byPrefix
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
		s.byPattern(n)
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
	s.within(n, where, paths)
}

// byPattern reads location ~ PATTERN { … }, where the pattern is a list of paths.
func (s *nginxServer) byPattern(n *nginxNode) {
	paths, loose, ok := pathsOf(n.arg(2))
	if !ok || len(paths) == 0 {
		condemnNginx([]*nginxNode{n}, ruling{Refused, reasonPattern})
		return
	}
	if loose {
		n.note("a prefix ends at a slash here, which the pattern does not say")
	}
	if n.arg(1) == "~*" {
		n.note("paths are compared with their case")
	}
	s.within(n, "", paths)
}

// within reads the directives of a location.
func (s *nginxServer) within(n *nginxNode, where string, paths []string) {
	n.keep("route")
	if paths == nil {
		n.fold("every request")
	}
	answered := false
	own, cache := &nginxHeaders{}, &nginxCaching{}
	var compress []*nginxNode
	before := len(s.v.routes)
	for _, k := range n.kids {
		s.v.comments = append(s.v.comments, k.comments...)
		switch {
		case k.words[0] == "proxy_pass", k.words[0] == "grpc_pass":
			answered = s.pass(k, where, paths) || answered
		case k.words[0] == "return":
			s.answer(k, paths)
			answered = true
		case k.words[0] == "rewrite" && paths == nil:
			s.rewrite(k)
			answered = true
		case k.block:
			condemnNginx([]*nginxNode{k}, ruling{Refused, "conditions inside of locations cannot be said: routes go by path and host"})
		case k.words[0] == "proxy_set_header", k.words[0] == "add_header", k.words[0] == "proxy_hide_header", strings.HasPrefix(k.words[0], "more_") && strings.HasSuffix(k.words[0], "_headers"):
			s.header(k, own)
		case isCaching(k.words[0]):
			s.caching(k, cache)
		case isCompressing(k.words[0]):
			compress = append(compress, k)
		case k.words[0] == "proxy_connect_timeout", k.words[0] == "proxy_read_timeout", k.words[0] == "proxy_send_timeout", strings.HasPrefix(k.words[0], "proxy_ssl_"):
			s.line(k)
		case k.words[0] == "client_max_body_size" && paths == nil:
			s.line(k)
		case k.words[0] == "client_max_body_size", k.words[0] == "access_log":
			k.refuse("for some paths alone this cannot be said")
		default:
			s.x.rule(k)
		}
	}
	s.remember(s.v.routes[before:], s.cache.below(cache))
	if s.compressionBelow(compress) {
		for _, r := range s.v.routes[before:] {
			r.plain = r.back != nil
		}
	}
	h := s.headers.below(own)
	for _, r := range s.v.routes[before:] {
		r.request, r.response = s.rules(h)
		switch {
		case r.back == nil:
			r.request = nil
		case h.host == "$host":
			s.x.wants(r.back, "", r.d)
		case h.host != "":
			s.x.wants(r.back, "="+h.host, h.hostBy)
		default:
			s.x.wants(r.back, or(r.url, "upstream"), r.d)
		}
	}
	if !answered {
		n.refuse("%s", reasonFiles)
	}
}

// pass reads proxy_pass URL, or grpc_pass ADDRESS, of a location. It reports whether the location is answered now.
func (s *nginxServer) pass(n *nginxNode, where string, paths []string) bool {
	to := n.arg(1)
	grpc := n.words[0] == "grpc_pass"
	if grpc {
		to = httpOf(to)
	}
	u, err := url.Parse(to)
	if sock, ok := strings.CutPrefix(to, "http://unix:"); ok {
		sockPath, uri, _ := strings.Cut(sock, ":")
		if uri != "" && !samePath(where, uri) {
			n.refuse("paths are not rewritten in this version: %s would reach the server as it is", where)
			return false
		}
		srv := &server{addr: "unix:" + sockPath, name: nameOfFile(strings.TrimSuffix(sockPath, ".sock"))}
		srv.speak(grpc)
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
		if up.added && up.grpc != grpc {
			n.refuse("upstream %q is spoken to in another version of HTTP elsewhere: give it a second name for this", u.Host)
			return false
		}
		s.x.use(up)
		up.grpc = grpc
		for _, srv := range up.back.servers {
			srv.speak(grpc)
		}
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
	srv.speak(grpc)
	s.route(n, paths, s.x.a.backOf(srv, n.directive))
	return true
}

// httpOf returns the URL that proxy_pass would have for a server of grpc_pass.
func httpOf(to string) string {
	if rest, ok := strings.CutPrefix(to, "grpcs://"); ok {
		return "https://" + rest
	}
	return "http://" + strings.TrimPrefix(to, "grpc://")
}

// speak notes that HTTP/2 is spoken with a server.
func (s *server) speak(grpc bool) {
	if grpc {
		s.protocol = "h2"
	}
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
	r := &hostRoute{d: n.directive, paths: paths, back: b}
	if name := hostOfURL(n.arg(1)); s.x.upstreams[name] == nil {
		r.url = name
	}
	s.v.routes = append(s.v.routes, r)
	n.keep("to backend %q", b.name)
}

// use makes a backend of an upstream.
func (x *nginx) use(u *upstream) {
	if !u.added {
		u.added = true
		x.site.addBack(u.back)
	}
}
