package convert

import (
	"regexp"
	"slices"
	"strings"
)

// flushConds refuses conditions that no rule took.
func (v *vhost) flushConds(reason string) {
	for _, c := range v.conds {
		if c.Verdict == unjudged {
			c.refuse("%s", reason)
		}
	}
	v.conds = nil
}

// everything are patterns that match every path.
var everything = []string{"^", ".*", "(.*)", "^(.*)$", "^(.*)", "^/(.*)$", "^/?(.*)", "^/?(.*)$", "^/(.*)", "/(.*)", "^.*$", "^.*", "/", "^/"}

// rewriteRule reads RewriteRule PATTERN TARGET [FLAGS] with the conditions before it. The idioms everybody copies are known, others are
// refused.
func (v *vhost) rewriteRule(n *apacheNode) {
	conds := v.conds
	v.conds = nil
	verdict := func(judge func(*Entry)) {
		for _, c := range conds {
			judge(c.Entry)
		}
		judge(n.Entry)
	}
	pattern, target := n.arg(1), n.arg(2)
	flags := strings.Split(strings.ToUpper(strings.Trim(n.rest(3), "[]")), ",")
	for i := range flags {
		flags[i], _, _ = strings.Cut(strings.TrimSpace(flags[i]), "=")
	}
	all := slices.Contains(everything, pattern)
	switch {
	case slices.Contains(flags, "P") || slices.Contains(flags, "PROXY"):
		if v.rewriteProxy(n, pattern, target, conds) {
			verdict(func(e *Entry) { e.keep("to a backend") })
			return
		}
	case strings.HasPrefix(target, "https://") || strings.HasPrefix(target, "http://"):
		if v.rewriteRedirect(n, all, target, conds) {
			verdict(func(e *Entry) { e.keep("a redirect") })
			return
		}
	}
	verdict(func(e *Entry) { e.refuse("this rewriting is not one of the idioms that are known") })
}

// rewriteRedirect takes redirects to https, and from some hosts to another one.
func (v *vhost) rewriteRedirect(n *apacheNode, all bool, target string, conds []*apacheNode) bool {
	if !all {
		return false
	}
	hosts, plain, ok := v.redirectConds(conds)
	if !ok {
		return false
	}
	scheme, rest, _ := strings.Cut(target, "://")
	host, uri := rest, ""
	for _, tail := range []string{"%{REQUEST_URI}", "/$1", "$1", "/%{REQUEST_URI}"} {
		if h, ok := strings.CutSuffix(rest, tail); ok {
			host, uri = h, "{uri}"
			break
		}
	}
	same := host == "%{HTTP_HOST}" || host == "%{SERVER_NAME}"
	if strings.ContainsAny(strings.TrimPrefix(strings.TrimPrefix(host, "%{HTTP_HOST}"), "%{SERVER_NAME}"), "%$") {
		return false
	}
	if scheme == "https" && uri != "" && (same || slices.Contains(v.names, host)) && !v.ssl && len(hosts) == 0 {
		v.https = n.directive
		return true
	}
	if plain || same && scheme == "http" {
		return false
	}
	if same {
		host = "{host}"
	}
	v.routes = append(v.routes, &hostRoute{d: n.directive, hosts: hosts, redirect: scheme + "://" + host + uri})
	return true
}

// redirectConds reads conditions: on TLS, which plain reports, and on hosts, any of which suffices.
func (v *vhost) redirectConds(conds []*apacheNode) (hosts []string, plain, ok bool) {
	for _, c := range conds {
		what, value := c.arg(1), c.arg(2)
		switch what {
		case "%{HTTPS}":
			if !slices.Contains([]string{"off", "!=on", "!on", "^off$", "=off", "!^on$"}, strings.ToLower(value)) {
				return nil, false, false
			}
			plain = true
		case "%{SERVER_PORT}":
			if !slices.Contains([]string{"80", "^80$", "=80", "!443", "!^443$", "!=443"}, value) {
				return nil, false, false
			}
			plain = true
		case "%{SERVER_NAME}", "%{HTTP_HOST}":
			name := strings.TrimPrefix(value, "=")
			if name == value {
				name = strings.TrimSuffix(strings.TrimPrefix(name, "^"), "$")
				name = strings.ReplaceAll(name, `\.`, ".")
			}
			if strings.ContainsAny(name, `!^$*+?()[]{}|\`) || name == "" {
				return nil, false, false
			}
			hosts = append(hosts, strings.ToLower(name))
		default:
			return nil, false, false
		}
	}
	// Certbot lists all names of the virtual host: then it is for every request.
	all := len(hosts) > 0
	for _, name := range v.names {
		all = all && slices.Contains(hosts, name)
	}
	if all && len(v.names) > 0 && len(distinct(hosts)) == len(distinct(v.names)) {
		hosts = nil
	}
	return distinct(hosts), plain, true
}

// rewriteProxy takes rules that proxy a path as it is. Those for upgrades say nothing more: WebSockets pass by themselves.
func (v *vhost) rewriteProxy(n *apacheNode, pattern, target string, conds []*apacheNode) bool {
	for _, c := range conds {
		upgrade := strings.Contains(strings.ToLower(c.arg(1)), "upgrade") || strings.Contains(strings.ToLower(c.arg(1)), "connection")
		if !upgrade {
			return false
		}
	}
	where := ""
	uri, ok := strings.CutSuffix(target, "%{REQUEST_URI}")
	switch {
	case ok && slices.Contains(everything, pattern):
		target = uri
	case strings.HasSuffix(pattern, "(.*)") || strings.HasSuffix(pattern, "(.*)$"):
		where = strings.TrimPrefix(strings.TrimSuffix(strings.TrimSuffix(pattern, "$"), "(.*)"), "^")
		where = strings.TrimSuffix(where, "?")
		if regexp.QuoteMeta(where) != where {
			return false
		}
		base, ok := strings.CutSuffix(target, "$1")
		if !ok {
			return false
		}
		target = base
	default:
		return false
	}
	srv, path, problem := v.a.target(target, v)
	if problem != "" || !samePath(or(where, "/"), or(path, "/")) {
		return false
	}
	b := v.a.backOf(srv, n.directive)
	v.routes = append(v.routes, &hostRoute{d: n.directive, paths: pathsBelow(or(where, "/")), back: b, url: hostOfURL(target)})
	return true
}

// redirectLine reads Redirect [STATUS] PATH URL and its kin.
func (v *vhost) redirectLine(n *apacheNode) {
	args := n.args(1)
	status := "302"
	switch n.name {
	case "redirectpermanent":
		status = "301"
	case "redirect", "redirectmatch":
		if len(args) > 0 && !strings.HasPrefix(args[0], "/") && !strings.HasPrefix(args[0], "^") {
			status = args[0]
			args = args[1:]
		}
	}
	if len(args) != 2 {
		n.refuse("it leads nowhere")
		return
	}
	from, to := args[0], args[1]
	redirect := ""
	paths := pathsBelow(from)
	switch {
	case n.name == "redirectmatch" && from == "^/$":
		redirect, paths = to, []string{"/"}
	case n.name == "redirectmatch" && slices.Contains(everything, from):
		redirect, paths = to, nil
		if base, ok := strings.CutSuffix(to, "/$1"); ok {
			redirect = base + "{uri}"
		}
	case n.name == "redirectmatch":
		list, loose, ok := pathsOf(from)
		if !ok || loose || len(list) == 0 {
			n.refuse("%s", reasonPattern)
			return
		}
		redirect, paths = to, list
	case !strings.Contains(to, "://"):
		n.refuse("what is behind the path would be lost")
		return
	default:
		base, ok := strings.CutSuffix(strings.TrimSuffix(to, "/"), strings.TrimSuffix(from, "/"))
		if !ok || strings.HasSuffix(base, "/") || strings.Count(base, "/") > 2 {
			n.refuse("paths are kept in a redirect here")
			return
		}
		redirect = base + "{uri}"
	}
	if strings.Contains(redirect, "$") {
		n.refuse("parts of a path cannot be used")
		return
	}
	name := strings.TrimSuffix(strings.TrimPrefix(redirect, "https://"), "{uri}")
	if paths == nil && !v.ssl && strings.HasSuffix(redirect, "{uri}") && slices.Contains(v.names, name) {
		v.https = n.directive
		n.keep(`bind { redirect = "https" }`)
		return
	}
	if status != "302" && status != "temp" {
		n.note("the status is 302")
	}
	v.routes = append(v.routes, &hostRoute{d: n.directive, rank: 2, paths: paths, redirect: redirect})
	n.keep("route { redirect }")
}
