package frontend

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"gatehouse/backend/h1"
	"gatehouse/backend/loop"
)

// Check reports what a frontend cannot work with.
func (c *Config) Check(bad func(field any, problem, remedy string)) {
	redirects := len(c.Binds) > 0 // nothing but redirects to https
	for _, b := range c.Binds {
		redirects = redirects && b.Redirect != ""
	}
	if len(c.Binds) == 0 {
		bad(c, "frontend without a bind", `Nobody could come in. Add bind ":80" {}; or hosts = ["www.example.com"] alone, for https with certificates from Let's Encrypt.`)
	}
	if c.Backend == "" && len(c.Routes) == 0 && !redirects {
		bad(&c.Backend, "frontend without a backend", "Nobody would answer. Write backend = backend.NAME, or add a route.")
	}
	if c.MaxConnections < 0 {
		bad(&c.MaxConnections, "max_connections is less than zero", "0 means no limit but the process's.")
	}
	if c.Mode == h1.TCP {
		c.checkTCP(bad)
	}
	c.RequestHeaders.CheckRequest(h1.InFrontend, bad)
	c.ResponseHeaders.CheckResponse(bad)
	checkHosts(c.Hosts, bad)
}

// checkTCP reports what only a frontend that reads requests can do.
func (c *Config) checkTCP(bad func(field any, problem, remedy string)) {
	const remedy = `In mode "tcp" nobody reads what is inside a connection. Leave it out, or choose mode = "http".`
	for _, r := range c.Routes {
		bad(r, `route in mode "tcp"`, remedy)
	}
	for _, b := range c.Binds {
		if b.Redirect != "" {
			bad(&b.Redirect, `redirect in mode "tcp"`, remedy)
		}
	}
	for _, b := range c.Binds {
		if b.HTTP3 {
			bad(&b.HTTP3, `http3 in mode "tcp"`, remedy)
		}
	}
	if c.Cache != "" {
		bad(&c.Cache, `cache in mode "tcp"`, remedy)
	}
	if c.RequestHeaders != nil {
		bad(&c.RequestHeaders, `request_headers in mode "tcp"`, remedy)
	}
	if c.ResponseHeaders != nil {
		bad(&c.ResponseHeaders, `response_headers in mode "tcp"`, remedy)
	}
	if c.Compress != nil {
		bad(c.Compress, `compress in mode "tcp"`, remedy)
	}
	if m := c.Monitor; m != nil && m.URI != "" {
		bad(&m.URI, `monitor uri in mode "tcp"`, remedy+` A supervisor named in sources may connect to see that somebody is here.`)
	}
}

// checkHosts reports hosts that no request could name, and those that are there twice.
func checkHosts(hosts []string, bad func(field any, problem, remedy string)) {
	seen := map[string]bool{}
	for i, h := range hosts {
		name := strings.ToLower(strings.TrimSuffix(h, "."))
		if fault := hostFault(name); fault != "" {
			bad(&hosts[i], fmt.Sprintf("host %q: %s", h, fault), `Write a name such as "www.example.com", or "*.example.com" for all names one level below.`)
		} else if seen[name] {
			bad(&hosts[i], fmt.Sprintf("host %q is there twice", h), "Keep one of them.")
		}
		seen[name] = true
	}
}

// hostFault says why name cannot be a host, or "".
func hostFault(name string) string {
	if name == "*" {
		return ""
	}
	rest := strings.TrimPrefix(name, "*.")
	switch {
	case rest == "":
		return "it is empty"
	case strings.Contains(rest, "*"):
		return "a star stands for the whole first label only"
	case strings.Contains(rest, "/"):
		return "it is a URL or a path, not a name"
	}
	a, err := loop.ParseAddr(rest)
	switch {
	case err != nil:
		return "it is not a host name"
	case a.Port() != 0:
		return "it has a port, which does not count"
	case a.Path != "" || a.FD != "":
		return "it is not a host name"
	case a.Host == "" && rest != name:
		return "an address has no names below it"
	}
	return ""
}

// Advise warns of what has no effect, and of routes that no request can reach.
func (c *Config) Advise(warn func(field any, problem, remedy string)) {
	if c.Mode == h1.TCP {
		if c.UnderscoreHeaders {
			warn(&c.UnderscoreHeaders, `underscore_headers in mode "tcp"`, "It has no effect: nobody reads headers. Leave it out.")
		}
		if l := c.Limits; l != nil && *l != (Limits{Target: 16 << 10, Field: 16 << 10, Head: 32 << 10, Fields: 100, MaxStreams: 100, PerSource: l.PerSource}) {
			warn(l, `limits of requests in mode "tcp"`, "Only per_source has an effect: nobody reads requests. Leave the others out.")
		}
	}
	served := newHostSet(c.Hosts)
	for i, r := range c.Routes {
		for _, earlier := range c.Routes[:i] {
			if earlier.answers() > 0 && coversHosts(earlier.Hosts, r.Hosts) && coversPaths(earlier.Paths, r.Paths) {
				warn(r, "unreachable route", "A route above it takes every request that it would take. Move it up, or narrow the other one.")
				break
			}
		}
		for j, h := range r.Hosts {
			if !strings.Contains(h, "*") && served.match([]byte(h)) == hostNone {
				warn(&r.Hosts[j], fmt.Sprintf("route for host %q, which the frontend does not serve", h), "Name it in the frontend's hosts too.")
			}
		}
	}
}

// coversHosts reports whether every request to one of b's hosts is one to one of a's. No hosts are all hosts.
func coversHosts(a, b []string) bool {
	if len(a) == 0 {
		return true
	}
	for _, h := range b {
		if !coversHost(a, strings.ToLower(h)) {
			return false
		}
	}
	return len(b) > 0
}

func coversHost(list []string, host string) bool {
	for _, h := range list {
		h = strings.ToLower(h)
		_, parent, _ := strings.Cut(host, ".")
		if h == "*" || h == host || h == "*."+parent && host != "*" {
			return true
		}
	}
	return false
}

// coversPaths reports whether every path b takes is one a takes. No paths are all paths.
func coversPaths(a, b []string) bool {
	if len(a) == 0 {
		return true
	}
	for _, p := range b {
		if !coversPath(a, p) {
			return false
		}
	}
	return len(b) > 0
}

func coversPath(list []string, path string) bool {
	for _, p := range list {
		if prefix, ok := strings.CutSuffix(p, "*"); p == path || ok && strings.HasPrefix(path, prefix) {
			return true
		}
	}
	return false
}

// Check reports an address nobody can listen on.
func (b *Bind) Check(bad func(field any, problem, remedy string)) {
	b.checkHTTP3(bad)
	if a := b.Address; a.Valid() && a.Path == "" && a.FD == "" && a.Port() == 0 {
		bad(&b.Address, fmt.Sprintf("%s has no port", a), fmt.Sprintf("Write %q.", a.WithPort(80)))
	}
	switch {
	case b.Redirect == "":
	case b.Redirect != "https":
		bad(&b.Redirect, fmt.Sprintf("redirect to %q", b.Redirect), `A bind redirects to "https" only; to send clients elsewhere use a route.`)
	case b.TLS != "":
		bad(&b.Redirect, "redirect to https where https is spoken", "Clients would be sent in circles. Leave out redirect, or tls.")
	}
	for i, p := range b.Protocols {
		switch {
		case p != ProtocolHTTP2 && p != ProtocolHTTP1:
			bad(&b.Protocols[i], fmt.Sprintf("protocol %q", p), `Write "h2" or "http/1.1".`)
		case slices.Contains(b.Protocols[:i], p):
			bad(&b.Protocols[i], fmt.Sprintf("protocol %q is there twice", p), "Keep one of them.")
		}
	}
}

// Advise warns of the port of https without TLS.
func (b *Bind) Advise(warn func(field any, problem, remedy string)) {
	if a := b.Address; a.Port() == 443 && a.Path == "" && a.FD == "" && b.TLS == "" && b.Redirect == "" {
		warn(&b.Address, "port 443 without tls", "Browsers speak TLS there. Add tls = tls.NAME.")
	}
	if a := b.Address; b.Freebind && a.Valid() && (!a.Addr().IsValid() || a.Addr().IsUnspecified()) {
		warn(&b.Freebind, fmt.Sprintf("freebind on %s", a), "It is for an IP address that may not be here yet. Leave it out.")
	}
}

// Check reports limits that no request could keep.
func (l *Limits) Check(bad func(field any, problem, remedy string)) {
	for _, n := range []struct {
		field any
		name  string
		value int64
		least int64
	}{
		{&l.Target, "target", l.Target, 1},
		{&l.Field, "field", l.Field, 1},
		{&l.Head, "head", l.Head, 1},
		{&l.Fields, "fields", int64(l.Fields), 1},
		{&l.Body, "body", l.Body, 0},
		{&l.PerSource, "per_source", int64(l.PerSource), 0},
		{&l.MaxStreams, "max_streams", int64(l.MaxStreams), 1},
	} {
		if n.value < n.least {
			bad(n.field, fmt.Sprintf("%s is less than %d", n.name, n.least), "Every request would be refused. Leave it out for the default.")
		}
	}
}

// Advise warns of a limit that another one makes void.
func (l *Limits) Advise(warn func(field any, problem, remedy string)) {
	if l.Field > l.Head {
		warn(&l.Field, "field is larger than head", "A field is part of the head: raise head as well.")
	}
	if l.Target > l.Head {
		warn(&l.Target, "target is larger than head", "The target is part of the head: raise head as well.")
	}
}

// Check reports a monitor that answers nobody.
func (m *Monitor) Check(bad func(field any, problem, remedy string)) {
	if m.URI == "" && len(m.Sources) == 0 {
		bad(m, "monitor without sources and without a uri", `Write sources = ["192.168.1.252/31"], or uri = "/alive".`)
	}
	if m.URI != "" && !strings.HasPrefix(m.URI, "/") {
		bad(&m.URI, fmt.Sprintf("uri %q does not begin with a slash", m.URI), `Write a path such as "/alive".`)
	}
}

// Check reports a route without an answer or with several, and patterns nothing could match.
func (r *Route) Check(bad func(field any, problem, remedy string)) {
	switch answers := r.answers(); {
	case answers == 0:
		bad(&r.Backend, "route without an answer", "Write backend = backend.NAME, redirect = \"https://…\" or respond = 403.")
	case answers > 1:
		bad(r, "route with several answers", "Keep one of backend, redirect and respond.")
	}
	if r.Respond != 0 && (r.Respond < 200 || r.Respond > 599) {
		bad(&r.Respond, fmt.Sprintf("respond %d is not a status from 200 to 599", r.Respond), "Write a status such as 403 or 503.")
	}
	r.RequestHeaders.CheckRequest(h1.InFrontend, bad)
	r.ResponseHeaders.CheckResponse(bad)
	for i, p := range r.Paths {
		if fault := pathFault(p); fault != "" {
			bad(&r.Paths[i], fmt.Sprintf("path %q %s", p, fault), `Write a path, "/exact", or all below one, "/prefix/*".`)
		}
	}
	if fault := redirectFault(r.Redirect); r.Redirect != "" && fault != "" {
		bad(&r.Redirect, fmt.Sprintf("redirect %q: %s", r.Redirect, fault), `Write a URL such as "https://www.example.com{uri}", or a path.`)
	}
	checkHosts(r.Hosts, bad)
}

// answers counts what r would answer with: it should be one.
func (r *Route) answers() (n int) {
	for _, there := range []bool{r.Backend != "", r.Redirect != "", r.Respond != 0} {
		if there {
			n++
		}
	}
	return n
}

// pathFault says why no path of a request matches p, or "".
func pathFault(p string) string {
	star := strings.IndexByte(p, '*')
	switch {
	case !strings.HasPrefix(p, "/"):
		return "does not begin with a slash"
	case star >= 0 && (star < len(p)-1 || p[star-1] != '/'):
		return "has a star that is not its last part"
	case strings.ContainsAny(p, "?#"):
		return "holds a query, which is no part of a path"
	case strings.ContainsFunc(p, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return "holds a blank or a control character"
	}
	return ""
}

// redirectFault says why location is not a place to redirect to, or "".
func redirectFault(location string) string {
	plain := strings.NewReplacer("{host}", "host", "{uri}", "/uri").Replace(location)
	if strings.ContainsAny(plain, "{}") {
		return "only {host} and {uri} stand in braces"
	}
	u, err := url.Parse(plain)
	switch {
	case err != nil:
		return "it is not a URL"
	case u.Scheme == "" && strings.HasPrefix(plain, "/"):
		return ""
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return "it is neither an http or https URL nor a path"
	}
	return ""
}
