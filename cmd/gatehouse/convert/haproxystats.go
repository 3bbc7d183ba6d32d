package convert

import (
	"slices"
	"strings"
)

// globalStats reads stats socket and what belongs to it.
func (h *haproxy) globalStats(d *directive) {
	a := &h.site.admin
	switch d.arg(1) {
	case "socket":
		addr := d.arg(2)
		p, ok := unixPath(addr)
		switch {
		case !ok:
			d.refuse("the admin socket is a file: nothing may be changed over a network")
		case a.socket != "":
			d.note("there is one admin socket, for its owner alone")
		default:
			a.socket = strings.TrimSuffix(p, "/") + ""
			a.take("socket", d)
			d.note("the socket is for its owner alone, and speaks another language: gatehouse status, gatehouse server")
		}
	case "timeout", "maxconn", "bind-process":
		d.fold("not needed")
	default:
		d.refuse("unknown directive")
	}
}

// statistics makes the status page of the stats lines.
func (x *proxy) statistics() {
	if len(x.stats) == 0 {
		return
	}
	a := &x.h.site.admin
	listen := "127.0.0.1:8404"
	own := false
	// A section that is for statistics alone has an address for them.
	if x.f != nil && len(x.servers) == 0 && x.dispatch == nil && x.f.back == x.b && len(x.f.binds) > 0 && len(x.f.routes) == 0 {
		own = true
		if b := x.f.binds[0]; b.tls == nil && !strings.HasPrefix(b.addr, "unix:") {
			listen = b.addr
		}
	}
	auth := slices.ContainsFunc(x.stats, func(d *directive) bool { return d.arg(1) == "auth" })
	if auth {
		listen = "127.0.0.1:8404"
	}
	if a.listen == "" {
		a.listen = listen
	}
	for _, d := range x.stats {
		a.from = withAttr(a.from, "", d)
		switch d.arg(1) {
		case "auth":
			d.secret(d.words, 2)
			d.note("the page asks for no password: it is at %s alone", a.listen)
		case "admin", "http-request":
			d.note("nothing can be changed on the page: gatehouse server drain does that")
		case "uri", "enable":
			d.note("the status page is at http://%s/", strings.TrimPrefix(a.listen, "*"))
		case "refresh", "realm", "hide-version", "show-legends", "show-node", "show-desc", "show-modules", "scope", "maxconn", "timeout":
			d.fold("not needed")
		case "socket":
			d.note("the admin socket belongs to the global section")
		default:
			d.refuse("unknown directive")
		}
	}
	if own {
		x.page = true
	}
}
