package convert

import (
	"fmt"
	"net/url"
	"strings"
)

// target reads the URL of a server: its path is returned apart.
func (a *apache) target(raw string, v *vhost) (srv *server, path, problem string) {
	if sock, rest, ok := strings.Cut(raw, "|"); ok && strings.HasPrefix(sock, "unix:") {
		u, err := url.Parse(rest)
		if err != nil || u.Scheme != "http" {
			return nil, "", "behind a socket servers speak HTTP here"
		}
		return &server{name: nameOfFile(strings.TrimSuffix(sock[len("unix:"):], ".sock")), addr: sock}, u.Path, ""
	}
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return nil, "", fmt.Sprintf("%q is no URL of a server", raw)
	}
	if u.RawQuery != "" || u.User != nil {
		return nil, "", "a server's URL has no query and no user here"
	}
	port := u.Port()
	srv = &server{}
	switch u.Scheme {
	case "h2c":
		port, srv.protocol = or(port, "80"), "h2"
	case "http", "ws":
		port = or(port, "80")
	case "https", "wss", "h2":
		if u.Scheme == "h2" {
			srv.protocol = "h2"
		}
		port = or(port, "443")
		srv.tls = &serverTLS{}
		if v == nil || !v.verify {
			srv.tls.verify = new(false)
		} else {
			srv.tls.ca = v.ca
		}
	default:
		return nil, "", fmt.Sprintf("servers speak HTTP here, not %s", u.Scheme)
	}
	host := u.Hostname()
	if host == "localhost" {
		host = "127.0.0.1"
	}
	srv.addr = joinPort(host, port)
	srv.name = serverName(host, port)
	return srv, u.EscapedPath(), ""
}

// serverName makes a name of an address: of a machine in the network its first label, of one of this machine its port.
func serverName(host, port string) string {
	if isLoopback(host) {
		return "app-" + port
	}
	if strings.Trim(host, "0123456789.") == "" || strings.Contains(host, ":") {
		return identifier("app-"+host+"-"+port, "app")
	}
	label, _, _ := strings.Cut(host, ".")
	return identifier(label, "app")
}

// wholeMatch are the ends of a pattern that catches what "$1" puts back.
var wholeMatch = []string{"(.*)$", "(.*)"}

// proxyPassMatch reads ProxyPassMatch PATTERN URL where the path reaches the server as it is.
func (v *vhost) proxyPassMatch(d *directive, args []string) {
	if len(args) < 2 {
		d.refuse("it leads from no path to no URL")
		return
	}
	pattern, to := args[0], args[1]
	if to == "!" {
		d.refuse("%s: those paths would reach the server of the paths around them", reasonFiles)
		return
	}
	scheme, rest, _ := strings.Cut(to, "://")
	authority, path, _ := strings.Cut(rest, "/")
	// The path in the URL is the pattern with $1 in the place of what it catches: "^/app/(.*)$ http://10.0.0.1/app/$1", or the whole
	// of it is caught: "^(/(a|b)/.*)$ http://10.0.0.1$1".
	same := false
	for _, end := range wholeMatch {
		if head, ok := strings.CutSuffix(pattern, end); ok && !strings.Contains(head, "(") && strings.TrimPrefix(head, "^") == strings.TrimSuffix("/"+path, "$1") && strings.HasSuffix(path, "$1") {
			same = true
		}
	}
	if base, ok := strings.CutSuffix(authority, "$1"); ok && path == "" && strings.HasPrefix(pattern, "^(/") && strings.HasSuffix(strings.TrimSuffix(pattern, "$"), ")") {
		same, authority = true, base
	}
	if path == "" && !strings.Contains(authority, "$") && !strings.HasSuffix(to, "/") {
		same = true // without a path in the URL, that of the request is taken
	}
	paths, loose, ok := pathsOf(pattern)
	switch {
	case !ok:
		d.refuse("%s", reasonPattern)
		return
	case !same:
		d.refuse("%s", reasonPaths)
		return
	case loose:
		d.note("a prefix ends at a slash here, which the pattern does not say")
	}
	before := len(v.routes)
	v.proxyPass(d, append([]string{"/", scheme + "://" + authority}, args[2:]...))
	for _, r := range v.routes[before:] {
		r.paths = paths
	}
}

// hostOfURL returns the Host that a server sees when its URL counts, "" for that of a balancer or a socket.
func hostOfURL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme == "balancer" || u.Scheme == "unix" {
		return ""
	}
	if port := u.Port(); port == "80" && u.Scheme == "http" || port == "443" && u.Scheme == "https" {
		return u.Hostname()
	}
	return u.Host
}

// samePath reports whether a path is passed on as it came.
func samePath(a, b string) bool { return strings.TrimRight(a, "/") == strings.TrimRight(b, "/") }

// pathsBelow returns a path and all below it, nil for all paths.
func pathsBelow(where string) []string {
	if where == "/" {
		return nil
	}
	return prefixPaths(where)
}

// backOf returns the backend of one server, a new one if there is none.
func (a *apache) backOf(srv *server, d *directive) *back {
	key := srv.addr
	if srv.tls != nil {
		key = "tls " + key
	}
	if srv.protocol != "" {
		key = srv.protocol + " " + key
	}
	if b := a.backs[key]; b != nil {
		b.from[""] = append(b.from[""], d)
		return b
	}
	b := &back{name: srv.name, servers: []*server{srv}}
	b.from = map[string][]*directive{"": {d}}
	srv.from = map[string][]*directive{"": {d}}
	if srv.tls != nil {
		srv.tls.from = srv.from
	}
	a.backs[key] = b
	return a.site.addBack(b)
}
