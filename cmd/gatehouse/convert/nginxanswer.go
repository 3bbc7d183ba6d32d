package convert

import (
	"slices"
	"strings"
)

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
