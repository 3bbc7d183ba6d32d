package convert

import (
	"regexp"
	"slices"
	"strings"
)

// nginxWords are the variables that fields are made of, and what they are here.
var nginxWords = []string{
	"$remote_addr", "{client_ip}", "$remote_port", "{client_port}", "$http_host", "{authority}", "$host:$server_port", "{authority}", "$host", "{host}",
	"$server_port", "{port}", "$scheme", "{scheme}", "$request_method", "{method}", "$request_uri", "{uri}",
}

// nginxVariable is a variable with braces.
var nginxVariable = regexp.MustCompile(`\$\{([a-z0-9_]+)\}`)

// nginxHeaders are what a level of the configuration does to fields. A level that has directives of a kind inherits none of it.
type nginxHeaders struct {
	request, response, hidden []fieldChange
	requests, responses       bool   // there are directives of that kind, whatever became of them
	host                      string // that servers see: "" is not said
	hostBy                    *directive
}

// below returns what counts on a level inside of h.
func (h *nginxHeaders) below(in *nginxHeaders) *nginxHeaders {
	out := *in
	if !in.requests {
		out.request, out.host, out.hostBy = h.request, h.host, h.hostBy
	}
	if !in.responses {
		out.response = h.response
	}
	if len(in.hidden) == 0 {
		out.hidden = h.hidden
	}
	return &out
}

// rules makes header rules of them.
func (s *nginxServer) rules(h *nginxHeaders) (request, response *fieldRules) {
	for _, list := range [][]fieldChange{h.request, h.hidden, h.response} {
		for _, c := range list {
			s.x.told[c.d] = true
		}
	}
	for _, c := range h.request {
		request = request.with(c)
	}
	for _, c := range append(slices.Clone(h.hidden), h.response...) {
		response = response.with(c)
	}
	return request, response
}

// header reads proxy_set_header, add_header and proxy_hide_header, and the like of a common module.
func (s *nginxServer) header(n *nginxNode, h *nginxHeaders) {
	name, value := n.arg(1), nginxVariable.ReplaceAllString(n.arg(2), "$$$1")
	c := fieldChange{name: name, value: value, d: n.directive}
	response := true
	switch n.words[0] {
	case "proxy_set_header":
		h.requests, response = true, false
		c.do = "set"
		if s.usual(n, h, strings.ToLower(name), value) {
			return
		}
	case "add_header":
		h.responses = true
		c.do = "add"
		if strings.EqualFold(name, "Alt-Svc") {
			n.fold("HTTP/3 is announced by itself where it is spoken")
			return
		}
	case "proxy_hide_header", "more_clear_headers":
		c.do = "remove"
	case "more_set_headers":
		name, value, _ := strings.Cut(n.arg(1), ":")
		if len(n.words) != 2 {
			n.refuse("for some answers alone this cannot be said")
			return
		}
		c.do, c.name, c.value = "set", strings.TrimSpace(name), strings.TrimSpace(value)
	}
	if name == "" {
		n.refuse("it names no field")
		return
	}
	if c.do == "set" && c.value == "" {
		c.do = "remove"
	}
	if !response && s.v.clientField(c) {
		return
	}
	if c.do != "remove" {
		var rest string
		var ok bool
		if c.value, rest, ok = asField(c.value, nginxWords, "$"); !ok {
			n.refuse("there is no counterpart of %s in the value of a field", rest)
			return
		}
	}
	if problem := c.fault(response, false); problem != "" {
		n.refuse("%s", problem)
		return
	}
	if _, known := s.x.told[n.directive]; !known { // lines outside of servers are read for each of them
		s.x.told[n.directive] = false
	}
	switch {
	case !response:
		h.request = append(h.request, c)
		n.keep("request_headers")
	case n.words[0] == "proxy_hide_header":
		h.hidden = append(h.hidden, c)
		n.keep("response_headers")
	default:
		h.response = append(h.response, c)
		n.keep("response_headers")
		if n.words[0] == "add_header" && n.arg(3) != "always" {
			n.fold("on answers that tell an error, too")
		}
	}
}

// usual takes the fields gatehouse sets itself.
func (s *nginxServer) usual(n *nginxNode, h *nginxHeaders, name, value string) bool {
	switch {
	case name == "host":
		switch {
		case value == "$host" || value == "$http_host" || value == "$host:$server_port" || value == "$server_name":
			h.host = "$host"
			n.fold("servers always see the name the client asked for")
		case value == "$proxy_host":
			h.host = ""
			n.fold("the default")
		case value == "" || strings.Contains(value, "$"):
			n.refuse("servers see the name the client asked for, or a constant")
		default:
			h.host, h.hostBy = value, n.directive
			n.keep("request_headers of the backend")
		}
	case name == "x-forwarded-for" && (value == "$proxy_add_x_forwarded_for" || value == "$remote_addr"):
		n.fold("the default; what clients send there is replaced")
	case name == "x-forwarded-proto" && (value == "$scheme" || value == "https" || value == "http"):
		n.fold("the default")
	case name == "connection" || name == "upgrade":
		n.fold("WebSockets pass by themselves, connections are kept")
	default:
		return false
	}
	return true
}

// hoist makes rules of the frontend of those that all its routes have.
func (s *nginxServer) hoist() {
	v := s.v
	if len(v.routes) == 0 {
		v.request, v.response = s.rules(&s.headers)
		return
	}
	first := v.routes[0]
	same := func(of func(*hostRoute) *fieldRules) bool {
		return !slices.ContainsFunc(v.routes, func(r *hostRoute) bool { return !of(r).equal(of(first)) })
	}
	answering := slices.ContainsFunc(v.routes, func(r *hostRoute) bool { return r.back != nil })
	if same(func(r *hostRoute) *fieldRules { return r.request }) || !answering {
		for _, r := range v.routes {
			v.request = v.request.united(r.request)
			r.request = nil
		}
	}
	if same(func(r *hostRoute) *fieldRules { return r.response }) {
		for _, r := range v.routes {
			v.response = v.response.united(r.response)
			r.response = nil
		}
	}
	if h := v.response; h != nil && len(h.add)+len(h.set) > 0 && (v.ssl || v.tls()) {
		for _, c := range s.headers.response {
			if strings.EqualFold(c.name, "Strict-Transport-Security") && h.drop(c.name) == 1 {
				v.hsts, v.hstsBy = c.value, c.d
			}
		}
	}
}
