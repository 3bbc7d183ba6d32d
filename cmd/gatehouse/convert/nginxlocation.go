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
