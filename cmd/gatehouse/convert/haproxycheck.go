package convert

import (
	"regexp"
	"slices"
	"strings"
	"time"
)

// A haproxyCheck is what option httpchk and http-check say about the request.
type haproxyCheck struct {
	d                    *directive
	method, uri, version string
	host                 string
	expect               []string
	text                 string // a regular expression
	leaves               bool   // 404 says so
	refused              bool   // what is expected cannot be said
}

// httpchkOption reads option httpchk [[METHOD] URI [VERSION]]. Old files smuggle fields in behind the version.
func (x *proxy) httpchkOption(d *directive) {
	c := &haproxyCheck{d: d, method: "OPTIONS", uri: "/", version: "HTTP/1.0"}
	switch args := d.args(2); {
	case len(args) == 1:
		c.uri = args[0]
	case len(args) >= 2:
		c.method, c.uri = args[0], args[1]
		if len(args) > 2 {
			version, fields, _ := strings.Cut(strings.Join(args[2:], " "), "\r\n")
			c.version = version
			x.checkFields(d, c, fields)
		}
	}
	if !strings.HasPrefix(c.uri, "/") && c.uri != "*" {
		d.note("%q does not begin with a slash: one is put before it", c.uri)
		c.uri = "/" + c.uri
	}
	if x.httpchk != nil { // http-check stood before it
		c.host, c.expect, c.text, c.leaves, c.refused = x.httpchk.host, x.httpchk.expect, x.httpchk.text, x.httpchk.leaves, x.httpchk.refused
	}
	x.httpchk = c
	d.hold = true
	d.keep(`check "http"`)
}

// checkFields reads the header of a check's request.
func (x *proxy) checkFields(d *directive, c *haproxyCheck, fields string) {
	for field := range strings.SplitSeq(fields, "\r\n") {
		name, value, _ := strings.Cut(field, ":")
		switch {
		case strings.TrimSpace(field) == "":
		case strings.EqualFold(name, "Host"):
			c.host = strings.TrimSpace(value)
		case strings.EqualFold(name, "Connection"):
		default:
			d.note("a check sends no field %q here", name)
		}
	}
}

// httpCheck reads http-check WORD….
func (x *proxy) httpCheck(d *directive) {
	if x.b == nil {
		d.fold("has no effect in a frontend")
		return
	}
	c := x.httpchk
	if c == nil {
		c = &haproxyCheck{d: d, method: "OPTIONS", uri: "/", version: "HTTP/1.0"}
		x.httpchk = c
		if x.last["check"] == nil || x.last["check"].arg(1) != "httpchk" {
			x.httpchk = nil
			d.fold("no effect without option httpchk")
			return
		}
	}
	switch d.arg(1) {
	case "send":
		x.httpCheckSend(d, c)
	case "expect":
		x.httpCheckExpect(d, c)
	case "disable-on-404":
		c.leaves = true
		d.keep("drain_on")
	case "send-state":
		d.note("servers are not told their state")
	case "comment":
		d.fold("a remark")
	case "connect":
		if d.rest(2) == "" || d.rest(2) == "default" {
			d.fold("the default")
		} else {
			d.refuse("a check goes to the server's own port, or that of check { port }")
		}
	default:
		d.refuse("a check is one request and its status here")
	}
}

func (x *proxy) httpCheckSend(d *directive, c *haproxyCheck) {
	words := d.args(2)
	for i := 0; i < len(words); i++ {
		arg := func() string {
			if i++; i < len(words) {
				return words[i]
			}
			return ""
		}
		switch word := words[i]; word {
		case "meth":
			c.method = arg()
		case "uri":
			c.uri = arg()
		case "ver":
			c.version = arg()
		case "hdr":
			name := arg()
			value := arg()
			x.checkFields(d, c, name+": "+value)
		default:
			d.refuse("%s: a check sends no content, and what it sends is constant", word)
			i++
		}
	}
	d.keep("the check's request")
}

func (x *proxy) httpCheckExpect(d *directive, c *haproxyCheck) {
	words := d.args(2)
	for len(words) > 2 && slices.Contains([]string{"min-recv", "comment", "ok-status", "error-status", "tout-status", "on-success", "on-error", "status-code"}, words[0]) {
		words = words[2:]
	}
	switch {
	case len(words) >= 2 && words[0] == "status":
		for s := range strings.SplitSeq(strings.Join(words[1:], ","), ",") {
			if s != "" {
				c.expect = append(c.expect, s)
			}
		}
		d.keep("expect")
	case len(words) == 2 && words[0] == "rstatus":
		if class := statusClass(words[1]); class != nil {
			c.expect = append(c.expect, class...)
			d.keep("expect")
			return
		}
		d.refuse("expect lists statuses, classes and ranges: 200, 2xx, 200-399")
	case len(words) == 3 && words[0] == "!" && (words[1] == "rstatus" && words[2] == "^5" || words[1] == "status" && words[2] == "500-599"):
		c.expect = []string{"100-499"}
		d.keep("expect")
	case len(words) >= 2 && c.text == "" && (words[0] == "string" || words[0] == "rstring"):
		if c.text = textPattern(d, words); c.text == "" {
			c.refused = true
		}
	default:
		d.refuse("the status decides here, and one text or pattern in the content (expect_text)")
		c.refused = true
	}
}

// textPattern reads string TEXT or rstring REGEX as the regular expression of expect_text, "" when there is none.
func textPattern(d *directive, words []string) string {
	text := strings.Join(words[1:], " ")
	if words[0] == "string" {
		d.keep("expect_text")
		return regexp.QuoteMeta(text)
	}
	if _, err := regexp.Compile(text); err != nil {
		d.refuse("expect_text takes the regular expressions of RE2, which this is none of")
		return ""
	}
	d.keep("expect_text")
	return text
}

// statusClass reads the usual patterns for classes of statuses: "^2", "^[23]", "(2|3)[0-9][0-9]".
func statusClass(pattern string) (list []string) {
	p := strings.TrimPrefix(pattern, "^")
	for _, tail := range []string{"$", "[0-9][0-9]", "[0-9]{2}", `\d\d`, "..", "xx"} {
		p = strings.TrimSuffix(p, tail)
	}
	p = strings.Trim(p, "()[]")
	for _, c := range strings.ReplaceAll(p, "|", "") {
		if c < '1' || c > '5' {
			return nil
		}
		list = append(list, string(c)+"xx")
	}
	return list
}

// tcpCheck reads tcp-check WORD…: a check may say one thing after connecting, and expect one.
func (x *proxy) tcpCheck(d *directive) {
	switch d.arg(1) {
	case "connect":
		if d.rest(2) == "" {
			d.fold("the default")
		} else {
			d.refuse("a check goes to the server's own port, or that of check { port }")
		}
	case "comment":
		d.fold("a remark")
	case "send":
		if x.tcpSend != "" || x.tcpText != "" || d.rest(2) == "" {
			d.refuse(reasonDialogue)
			return
		}
		x.tcpSend = d.rest(2)
		d.keep("send")
	case "expect":
		words := d.args(2)
		if len(words) < 2 || words[0] != "string" && words[0] != "rstring" || x.tcpText != "" {
			d.refuse(reasonDialogue)
			return
		}
		x.tcpText = textPattern(d, words)
	default:
		d.refuse(reasonDialogue)
	}
}

const reasonDialogue = "a check says one text here and then expects one (send, expect_text): this is not checked"

func (x *proxy) weakerCheck(d *directive) {
	x.checkKind, x.checkBy, d.hold = "tcp", d, true
	d.note("%s", reasonWeaker)
}

// checks makes the check blocks: one of the backend where all servers are checked, with what most of them say, and in servers what
// differs.
func (x *proxy) checks() {
	kind, by := x.checkKind, x.checkBy
	if kind == "" {
		kind = "tcp"
		if x.httpchk != nil {
			kind, by = "http", x.httpchk.d
		}
	}
	var checked []*haproxyServer
	for _, s := range x.servers {
		if s.check {
			checked = append(checked, s)
			if s.checkSendProxy && s.sendProxy == "" {
				s.d.note("check-send-proxy: checks announce themselves where the traffic does")
			}
		}
	}
	if len(checked) == 0 {
		if by != nil {
			by.lower("no server is checked")
			x.b.say("}", by)
		}
		if x.persist != nil {
			x.persist.lower("no server is checked")
		}
		return
	}
	common := &check{kind: kind}
	if kind == "http" {
		c := x.httpchk
		common.request = c.method + " " + c.uri + " " + c.version
		common.host = c.host
		common.expect, common.expectText = c.expect, c.text
		if c.text != "" && c.expect == nil {
			common.expect = []string{"100-599"} // the text alone decides
		}
		if c.leaves {
			common.drainOn = []string{"404"}
		}
	} else if kind == "tcp" {
		common.send, common.expectText = x.tcpSend, x.tcpText
	}
	if x.persist != nil {
		common.onFail = "drain"
	}
	if by != nil {
		common.take("", by)
	}
	if len(checked) < len(x.servers) {
		// A block in the backend would check all of them.
		for _, s := range checked {
			own := *common
			own.node = node{from: map[string][]*directive{"": {s.d}}}
			s.set(&own)
			s.server.checks = append(s.server.checks, &own)
		}
		return
	}
	for _, s := range checked {
		if s.port != 0 && s.port == x.trafficPort(s) {
			s.port = 0 // the default
		}
	}
	common.interval = mode(checked, func(s *haproxyServer) time.Duration { return s.inter })
	common.fast = mode(checked, func(s *haproxyServer) time.Duration { return s.fast })
	common.down = mode(checked, func(s *haproxyServer) time.Duration { return s.down })
	common.rise = mode(checked, func(s *haproxyServer) int { return s.rise })
	common.fall = mode(checked, func(s *haproxyServer) int { return s.fall })
	common.port = mode(checked, func(s *haproxyServer) int { return s.port })
	if slices.ContainsFunc(checked, func(s *haproxyServer) bool { return s.port == 0 }) {
		common.port = 0 // what differs from the port of the traffic stands in the servers then
	}
	common.from = withOrigin(common.from, checked[0].d)
	x.b.checks = append(x.b.checks, common)
	for _, s := range checked {
		own := &check{kind: kind, override: true}
		own.from = map[string][]*directive{"": {s.d}}
		if s.inter != common.interval {
			own.interval = or(s.inter, 2*time.Second)
		}
		if s.fast != common.fast {
			own.fast = or(s.fast, or(s.inter, 2*time.Second))
		}
		if s.down != common.down {
			own.down = or(s.down, or(s.inter, 2*time.Second))
		}
		if s.rise != common.rise {
			own.rise = or(s.rise, 2)
		}
		if s.fall != common.fall {
			own.fall = or(s.fall, 3)
		}
		if s.port != common.port {
			own.port = s.port
			if s.port == 0 {
				own.port = x.trafficPort(s)
			}
		}
		if own.address = s.checkAddress(); own.address != "" {
			own.port = 0 // the address has it
		}
		if own.interval != 0 || own.fast != 0 || own.down != 0 || own.rise != 0 || own.fall != 0 || own.port != 0 || own.address != "" {
			s.server.checks = append(s.server.checks, own)
		}
	}
}

// trafficPort is the port requests to a server go to: its own, or else the one that clients can come to, 0 if there are several.
func (x *proxy) trafficPort(s *haproxyServer) int {
	_, p := splitPort(s.addr)
	if p == "" && x.f != nil && len(x.f.binds) == 1 {
		_, p = splitPort(x.f.binds[0].addr)
	}
	return atoi(p)
}

// set fills a check of the server's own.
func (s *haproxyServer) set(c *check) {
	c.interval, c.fast, c.down, c.rise, c.fall, c.port = s.inter, s.fast, s.down, s.rise, s.fall, s.port
	c.address = s.checkAddress()
}

// checkAddress is where the server's checks go if that is another machine.
func (s *haproxyServer) checkAddress() string {
	if s.checkAddr == "" {
		return ""
	}
	if p, ok := unixPath(s.checkAddr); ok {
		return "unix:" + p
	}
	port := s.port
	if port == 0 {
		_, p := splitPort(s.addr)
		port = atoi(p)
	}
	host := strings.Trim(s.checkAddr, "[]")
	if port == 0 {
		return joinPort(host, "")
	}
	return joinPort(host, itoa(port))
}

// mode returns the value most servers have, the first of several.
func mode[T comparable](list []*haproxyServer, value func(*haproxyServer) T) (best T) {
	count := map[T]int{}
	for _, s := range list {
		count[value(s)]++
	}
	most := 0
	for _, s := range list {
		if n := count[value(s)]; n > most {
			best, most = value(s), n
		}
	}
	return best
}

func or[T comparable](a, b T) T {
	var zero T
	if a != zero {
		return a
	}
	return b
}
