package convert

import (
	"slices"
	"strings"
)

// apacheWords are what values of RequestHeader and Header are made of, and what it is here.
var apacheWords = []string{
	"%{REMOTE_ADDR}s", "{client_ip}", "%{REMOTE_ADDR}e", "{client_ip}", "%{REMOTE_ADDR}", "{client_ip}", "%{REMOTE_PORT}s", "{client_port}", "%{REMOTE_PORT}", "{client_port}",
	"%{HTTP_HOST}e", "{authority}", "%{HTTP_HOST}s", "{authority}", "%{HTTP_HOST}", "{authority}", "%{Host}i", "{authority}",
	"%{SERVER_PORT}s", "{port}", "%{SERVER_PORT}e", "{port}", "%{SERVER_PORT}", "{port}", "%{REQUEST_SCHEME}s", "{scheme}", "%{REQUEST_SCHEME}e", "{scheme}", "%{REQUEST_SCHEME}", "{scheme}",
	"%{REQUEST_METHOD}", "{method}", "%%", "\x00",
}

// apacheField translates a value. What hangs on TLS is known of a virtual host.
func (v *vhost) apacheField(value string) (field, rest string, ok bool) {
	on := "off"
	if v.ssl {
		on = "on"
	}
	words := append([]string{"%{HTTPS}s", on, "%{HTTPS}", on}, apacheWords...)
	field, rest, ok = asField(strings.TrimPrefix(value, "expr="), words, "%")
	return strings.ReplaceAll(field, "\x00", "%"), rest, ok
}

// A scoped rule is for the paths of a <Location>.
type scopedRule struct {
	where    string
	response bool
	fieldChange
}

// header reads RequestHeader and Header. Where is the path of the <Location> around it, "" for none.
func (v *vhost) header(n *apacheNode, where string) {
	args := n.args(1)
	response := n.name == "header"
	always := len(args) > 0 && args[0] == "always"
	if len(args) > 0 && (always || args[0] == "onsuccess") {
		args = args[1:]
	}
	if len(args) < 2 {
		n.refuse("it names no field")
		return
	}
	if last := args[len(args)-1]; args[len(args)-1] == "early" {
		args = args[:len(args)-1]
	} else if len(args) > 2 && (strings.HasPrefix(last, "env=") || strings.HasPrefix(last, "expr=") && len(args) > 3) {
		if v.stickyCookie(n, args) {
			return
		}
		if on, known := v.condition(last); !known {
			n.refuse("%s: fields are not changed for some requests alone", last)
			return
		} else if !on {
			n.fold("its condition is never true")
			return
		}
		args = args[:len(args)-1]
	}
	action, name, value := strings.ToLower(args[0]), strings.TrimSuffix(args[1], ":"), strings.Join(args[2:], " ")
	lower := strings.ToLower(name)
	switch {
	case !response && (lower == "x-forwarded-proto" || lower == "x_forwarded_proto") && (value == "https" || value == "http" || strings.Contains(value, "REQUEST_SCHEME")):
		n.fold("X-Forwarded-Proto tells whether a request came over TLS")
		return
	case !response && (lower == "x-forwarded-for" || lower == "x-forwarded-proto") && action == "unset":
		n.fold("what clients send there is replaced")
		return
	case response && lower == "set-cookie" && v.stickyCookie(n, args):
		return
	}
	c := fieldChange{name: name, d: n.directive}
	switch action {
	case "set":
		c.do = "set"
	case "add", "append", "merge":
		c.do = "add"
		if action != "add" {
			n.note("%s: another line is added, which means the same list", action)
		}
	case "unset":
		c.do = "remove"
	case "setifempty":
		n.refuse("a value is set whatever came, or not at all")
		return
	default:
		n.refuse("%s", reasonEdit)
		return
	}
	c.value = value
	if !response && where == "" && v.clientField(c) {
		return
	}
	if c.do != "remove" {
		var rest string
		var ok bool
		if c.value, rest, ok = v.apacheField(value); !ok {
			n.refuse("there is no counterpart of %s in the value of a field", rest)
			return
		}
	}
	if problem := c.fault(response, false); problem != "" {
		n.refuse("%s", problem)
		return
	}
	if response && lower == "strict-transport-security" && c.do == "set" && v.ssl && where == "" {
		v.hsts, v.hstsBy = c.value, n.directive
		return
	}
	if response && !always && c.do != "remove" {
		n.fold("on gatehouse's own pages too")
	}
	n.keep("%s_headers", map[bool]string{true: "response", false: "request"}[response])
	switch {
	case where != "":
		v.scoped = append(v.scoped, scopedRule{where, response, c})
	case response:
		v.response = v.response.with(c)
	default:
		v.request = v.request.with(c)
	}
}

// stickyCookie takes the line by which a balancer's cookie is made.
func (v *vhost) stickyCookie(n *apacheNode, args []string) bool {
	if len(args) < 3 || !strings.EqualFold(args[1], "Set-Cookie") || !strings.Contains(args[2], "BALANCER_WORKER_ROUTE") {
		return false
	}
	cookie, rest, _ := strings.Cut(args[2], "=")
	prefix, _, _ := strings.Cut(rest, "%{")
	for _, b := range v.a.balancers {
		if strings.EqualFold(b.sticky, cookie) {
			b.insert(cookie, prefix, n.directive)
			n.keep("cookie %q in mode insert", cookie)
			return true
		}
	}
	n.refuse("no balancer has stickysession=%s", cookie)
	return true
}

// condition judges env= and expr=, as far as it is known of a virtual host.
func (v *vhost) condition(word string) (on, known bool) {
	_, what, _ := strings.Cut(word, "=")
	switch strings.ToLower(strings.NewReplacer(" ", "", "'", "", `"`, "").Replace(what)) {
	case "https", "%{https}==on", "%{https}=~/on/", "%{request_scheme}==https":
		return v.ssl, true
	case "!https", "%{https}!=on", "%{https}==off", "%{request_scheme}==http":
		return !v.ssl, true
	}
	return false, false
}

// scope gives the rules of <Location> blocks to the routes of their paths, which are made where there are none.
func (v *vhost) scope() {
	for _, s := range v.scoped {
		paths := pathsBelow(s.where)
		var mine *hostRoute
		clash := false
		for _, r := range v.routes {
			switch {
			case slices.Equal(r.paths, paths) && len(r.hosts) == 0:
				mine = r
			case len(r.paths) == 0 && len(r.hosts) == 0:
			default:
				for _, p := range r.paths {
					clash = clash || strings.HasPrefix(p, strings.TrimSuffix(s.where, "/")+"/")
				}
			}
		}
		if mine == nil && !clash {
			if i := slices.IndexFunc(v.routes, func(r *hostRoute) bool { return len(r.paths)+len(r.hosts) == 0 && r.back != nil }); i >= 0 {
				mine = &hostRoute{d: s.d, rank: v.routes[i].rank, paths: paths, back: v.routes[i].back}
				v.routes = slices.Insert(v.routes, i, mine)
			}
		}
		switch {
		case mine == nil || clash:
			s.d.refuse("for some paths alone: give them a route, and write request_headers or response_headers in that")
		case s.response:
			mine.response = mine.response.with(s.fieldChange)
		default:
			mine.request = mine.request.with(s.fieldChange)
		}
	}
	v.scoped = nil
}
