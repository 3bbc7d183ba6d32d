package convert

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"gatehouse/cmd/gatehouse/config"
)

// haproxyWords are the expressions of log formats that fields are made of, and what they are here.
var haproxyWords = []string{
	"%[src_port]", "{client_port}", "%[src]", "{client_ip}", "%ci", "{client_ip}", "%cp", "{client_port}",
	"%[req.hdr(Host)]", "{authority}", "%[req.hdr(host)]", "{authority}", "%[hdr(Host)]", "{authority}", "%[hdr(host)]", "{authority}", "%[req.hdr(HOST)]", "{authority}",
	"%[hdr(host),field(1,:)]", "{host}", "%[req.hdr(host),field(1,:)]", "{host}", "%[hdr(Host),field(1,:)]", "{host}",
	"%[dst_port]", "{port}", "%fp", "{port}", "%[ssl_fc,iif(https,http)]", "{scheme}",
	"%[method]", "{method}", "%HM", "{method}", "%[url]", "{uri}", "%[pathq]", "{uri}", "%[capture.req.uri]", "{uri}", "%HU", "{uri}", "%%", "\x00",
}

// field translates a value of set-header and add-header.
func haproxyField(value string, response bool) (field, rest string, ok bool) {
	words := haproxyWords
	if response {
		words = append([]string{"%[srv_name]", "{server}", "%s", "{server}"}, words...)
	}
	field, rest, ok = asField(value, words, "%")
	return strings.ReplaceAll(field, "\x00", "%"), rest, ok
}

// requestField reads http-request set-header, add-header, del-header and their like, and reqadd.
func (x *proxy) requestField(d *directive, args, cond []string) {
	name, value := "", ""
	if len(args) > 1 {
		name = strings.ToLower(args[1])
	}
	if len(args) > 2 {
		value = strings.Join(args[2:], " ")
	}
	switch del := args[0] == "del-header"; {
	case args[0] == "replace-header" || args[0] == "replace-value":
		d.refuse("%s", reasonEdit)
	case name == "x-forwarded-proto" && del, name == "x-forwarded-for" && del:
		d.fold("what clients send there is replaced")
	case name == "x-forwarded-proto" && (value == "https" || value == "http" || value == "%[ssl_fc,iif(https,http)]"):
		d.fold("X-Forwarded-Proto tells whether a request came over TLS")
	case name == "x-forwarded-for" && (value == "%[src]" || value == "%ci"):
		d.fold("the default")
	default:
		x.changeField(d, args, cond, false)
	}
}

// responseField is requestField for http-response and rspadd.
func (x *proxy) responseField(d *directive, args, cond []string) {
	switch {
	case args[0] == "replace-header" || args[0] == "replace-value":
		d.refuse("%s", reasonEdit)
	case len(args) > 1 && strings.EqualFold(args[1], "alt-svc"):
		d.fold("HTTP/3 is announced by itself where it is spoken")
	default:
		x.changeField(d, args, cond, true)
	}
}

// changeField adds a rule to the section's.
func (x *proxy) changeField(d *directive, args, cond []string, response bool) {
	c := fieldChange{do: map[string]string{"set-header": "set", "add-header": "add", "del-header": "remove"}[args[0]], d: d}
	if len(args) < 2 {
		d.refuse("it names no field")
		return
	}
	c.name = args[1]
	if c.do == "remove" {
		switch {
		case len(args) == 2, len(args) == 4 && args[2] == "-m" && args[3] == "str":
		case len(args) == 4 && args[2] == "-m" && args[3] == "beg":
			c.name += "*"
		default:
			d.refuse("fields are taken out by their names, or by how those begin")
			return
		}
	} else {
		var rest string
		var ok bool
		if c.value, rest, ok = haproxyField(strings.Join(args[2:], " "), response); !ok {
			d.refuse("there is no counterpart of %s in the value of a field", rest)
			return
		}
	}
	on, problem := x.condition(d, cond)
	everywhere := len(on) == 1 && len(on[0].hosts)+len(on[0].paths)+len(on[0].sni) == 0
	hsts := response && strings.EqualFold(c.name, "Strict-Transport-Security")
	switch {
	case problem != "" || !everywhere && len(on) > 0:
		d.refuse("for some requests alone: give them a route, and write request_headers or response_headers in that")
		return
	case len(on) == 0:
		d.fold("its condition is never true")
		return
	case on[0].tls != nil && (!hsts || !*on[0].tls):
		d.refuse("over TLS alone: give that address a frontend of its own, and write request_headers or response_headers in that")
		return
	}
	on[0].use(d)
	// A listen block is one: its rules are those of the frontend. Host is the business of a backend.
	inBack := x.f == nil
	if x.f != nil && x.b != nil && strings.EqualFold(c.name, "Host") && !response && c.do == "set" {
		x.f.listen, inBack = false, true
	}
	if problem := c.fault(response, inBack); problem != "" {
		d.refuse("%s", problem)
		return
	}
	switch {
	case hsts && x.f != nil && c.do == "set":
		x.hsts, x.hstsBy = c.value, d
		return
	case inBack && response:
		x.b.response = x.b.response.with(c)
	case inBack:
		x.b.request = x.b.request.with(c)
	case response:
		x.f.response = x.f.response.with(c)
	default:
		x.f.request = x.f.request.with(c)
	}
	if response {
		d.keep("response_headers")
	} else {
		d.keep("request_headers")
	}
}

// with returns the rules with one more; r may be nil.
func (r *fieldRules) with(c fieldChange) *fieldRules {
	if r == nil {
		r = &fieldRules{}
	}
	r.change(c)
	return r
}

// strictTransport makes hsts of the field Strict-Transport-Security where every address of the front speaks TLS, with sets of its own, and
// the value says no more than how long; else a rule.
func (s *site) strictTransport(f *front, value string, d *directive) {
	age, plain := hstsAge(value)
	if _, ok := attribute(blockType(typeOfFile, "tls"), "hsts"); !ok {
		plain = false
	}
	for _, b := range f.binds {
		plain = plain && (b.tls != nil || b.redirect)
	}
	for _, o := range s.fronts {
		for _, b := range o.binds {
			for _, own := range f.binds {
				plain = plain && (o == f || b.tls == nil || b.tls != own.tls)
			}
		}
	}
	if !plain || len(f.binds) == 0 {
		f.response = f.response.with(fieldChange{do: "set", name: "Strict-Transport-Security", value: value, d: d})
		d.keep("response_headers")
		return
	}
	for _, b := range f.binds {
		if b.tls != nil {
			b.tls.hsts = config.FormatDuration(age)
			b.tls.take("hsts", d)
		}
	}
	d.keep("tls { hsts }")
}

// hstsAge reads a Strict-Transport-Security that is nothing but max-age.
func hstsAge(value string) (time.Duration, bool) {
	n, ok := strings.CutPrefix(strings.ToLower(strings.Trim(value, " ;")), "max-age=")
	seconds, err := strconv.ParseInt(strings.Trim(n, `"`), 10, 32)
	return time.Duration(seconds) * time.Second, ok && err == nil && seconds > 0
}

// oldField is the pattern of reqidel and rspidel that means a whole field.
var oldField = regexp.MustCompile(`^\^([A-Za-z0-9_-]+):(\\? ?\.\*|\(\.\*\)|\\ )?\$?$`)

// reqadd reads reqadd and rspadd: a whole line, as it is.
func (x *proxy) reqadd(d *directive, response bool) {
	args, cond := split(d.args(1))
	name, value, ok := strings.Cut(strings.Join(args, " "), ":")
	if !ok {
		d.refuse("it has no colon")
		return
	}
	value = strings.ReplaceAll(strings.TrimSpace(value), "%", "%%") // which means nothing there
	if response {
		x.responseField(d, []string{"add-header", name, value}, cond)
	} else {
		x.requestField(d, []string{"add-header", name, value}, cond)
	}
}

// reqdel reads reqdel and rspdel, in any case: what the pattern matches goes.
func (x *proxy) reqdel(d *directive, response bool) {
	args, cond := split(d.args(1))
	m := oldField.FindStringSubmatch(strings.ReplaceAll(strings.Join(args, " "), `\-`, "-"))
	switch {
	case m == nil:
		d.refuse("fields are taken out by their names, not by patterns")
	case response:
		x.responseField(d, []string{"del-header", m[1]}, cond)
	default:
		x.requestField(d, []string{"del-header", m[1]}, cond)
	}
}

// reqrep judges rewritings; the one that changes nothing is common, and so is the one of Host.
func (x *proxy) reqrep(d *directive) {
	switch {
	case d.arg(1) == `^([^ :]*) /(.*)` && d.arg(2) == `\1 /\2`:
		d.fold("it changes nothing")
	case oldField.MatchString(d.arg(1)) && strings.EqualFold(oldField.FindStringSubmatch(d.arg(1))[1], "Host") && !strings.Contains(d.arg(2), `\`):
		_, value, _ := strings.Cut(d.arg(2), ":")
		x.changeField(d, []string{"set-header", "Host", strings.ReplaceAll(strings.TrimSpace(value), "%", "%%")}, nil, false)
	default:
		d.refuse("%s", reasonPaths)
	}
}
