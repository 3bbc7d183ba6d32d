package convert

import (
	"slices"
	"strings"
)

// redirect reads redirect, and http-request redirect: scheme, location or prefix.
func (x *proxy) redirect(d *directive) { x.redirection(d, d.args(1)) }

func (x *proxy) redirection(d *directive, words []string) {
	args, cond := split(words)
	var kind, to string
	code := 302
	for i := 0; i < len(args); i++ {
		switch {
		case slices.Contains([]string{"scheme", "location", "prefix"}, args[i]) && i+1 < len(args):
			kind, to = args[i], args[i+1]
			i++
		case args[i] == "code" && i+1 < len(args):
			code = atoi(args[i+1])
			i++
		case slices.Contains([]string{"drop-query", "append-slash", "ignore-empty"}, args[i]):
			d.refuse("%s: a redirect keeps the query", args[i])
			return
		default:
			d.refuse("%s: unknown word in a redirect", args[i])
			return
		}
	}
	r := rule{}
	switch kind {
	case "scheme":
		if to != "https" {
			d.refuse("a redirect leads to https, or to a whole URL")
			return
		}
		r.https = true
		if code != 301 {
			d.note("the status is 301")
		}
	case "location":
		location, ok := location(to)
		if !ok {
			d.refuse("a redirect knows {host} and {uri} of the request, nothing else")
			return
		}
		r.redirect = location
	case "prefix":
		prefix, ok := location(strings.TrimSuffix(to, "/"))
		if !ok {
			d.refuse("a redirect knows {host} and {uri} of the request, nothing else")
			return
		}
		r.redirect = prefix + "{uri}"
	default:
		d.refuse("it leads nowhere")
		return
	}
	if !r.https && code != 302 {
		d.note("the status is 302")
	}
	x.rule(d, cond, r, "redirect")
}

// location translates the expressions of a Location that are known here.
func location(s string) (string, bool) {
	s = strings.NewReplacer("%[hdr(host)]", "{host}", "%[req.hdr(host)]", "{host}", "%[req.hdr(Host)]", "{host}", "%[hdr(Host)]", "{host}",
		"%[capture.req.uri]", "{uri}", "%[url]", "{uri}", "%[pathq]", "{uri}", "%HU", "{uri}").Replace(s)
	return s, !strings.ContainsAny(s, "%")
}

// toHTTPS makes redirects of the binds without TLS, or a route where the front speaks no TLS at all.
func (x *proxy) toHTTPS(r *rule, m *match) {
	if m.tls != nil && *m.tls {
		r.d.fold("it would send clients in circles")
		return
	}
	if len(m.hosts)+len(m.paths) > 0 {
		rt := &route{hosts: m.hosts, paths: m.paths, redirect: "https://{host}{uri}"}
		rt.take("", r.d)
		x.f.routes = append(x.f.routes, rt)
		return
	}
	plain := 0
	for _, b := range x.f.binds {
		if b.tls == nil {
			b.redirect = true
			b.take("redirect", r.d)
			plain++
		}
	}
	switch {
	case plain == 0:
		r.d.fold("every address speaks TLS")
	case plain == len(x.f.binds) && m.tls == nil:
		r.d.keep(`bind { redirect = "https" }`)
	default:
		r.d.keep(`bind { redirect = "https" } where there is no TLS`)
	}
}
