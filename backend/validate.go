package backend

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"gatehouse/backend/h1"
)

// The limits of what HAProxy accepts, and so do we.
const (
	maxWeight       = 256
	longestValidity = (1<<31 - 1) * time.Second // of max_idle and max_life
)

// shortestSecret is how many characters the secret of a signed cookie has at least: who has a cookie can try secrets as fast as his
// machines are.
const shortestSecret = 16

// Check reports what a backend cannot work with.
func (c *Config) Check(bad func(field any, problem, remedy string)) {
	if len(c.Servers) == 0 {
		bad(c, "backend without a server", `Add server "NAME" "ADDRESS:PORT" {}.`)
	}
	if c.Retries < 0 {
		bad(&c.Retries, "retries is less than zero", "0 gives up after the first attempt.")
	}
	if c.Mode == h1.TCP {
		c.checkTCP(bad)
	}
	for _, s := range c.Servers {
		if s.Protocol != ProtocolHTTP1 && c.Mode == h1.TCP {
			bad(&s.Protocol, fmt.Sprintf(`protocol %q in mode "tcp"`, s.Protocol), `In mode "tcp" nobody reads what is inside a connection: clients and servers speak what they like. Leave it out.`)
		}
	}
	c.RequestHeaders.CheckRequest(h1.InBackend, bad)
	c.ResponseHeaders.CheckResponse(bad)
	if c.Cookie == nil {
		return
	}
	for _, s := range c.Servers {
		field, value := any(&s.Cookie), s.Cookie
		if value == "" {
			field, value = &s.Name, s.Name // the name is the value
		}
		if fault := valueFault(value, c.Cookie.Mode); fault != "" {
			bad(field, fmt.Sprintf("%q cannot be the value of a cookie: %s", value, fault), `Give the server a value of its own, such as cookie = "A".`)
		}
	}
	if c.MaxQueue < 0 {
		bad(&c.MaxQueue, "max_queue is negative", "0 is no limit.")
	}
	if c.FullConn < 0 {
		bad(&c.FullConn, "full_conn is negative", "It is the number of requests at which servers get their max_connections. Leave it out for 1000.")
	}
}

// checkTCP reports what only a backend that reads requests can do.
func (c *Config) checkTCP(bad func(field any, problem, remedy string)) {
	const remedy = `In mode "tcp" nobody reads what is inside a connection. Leave it out, or choose mode = "http".`
	if c.Cookie != nil {
		bad(&c.Cookie, `cookie in mode "tcp"`, remedy+` Clients of one address stay on one server with balance = "source".`)
	}
	if c.Forwardfor != nil && c.Forwardfor.Enabled {
		bad(&c.Forwardfor, `forwardfor in mode "tcp"`, remedy+` Servers that understand the PROXY protocol are told the client by send_proxy = "v2".`)
	}
	if c.RequestHeaders != nil {
		bad(&c.RequestHeaders, `request_headers in mode "tcp"`, remedy)
	}
	if c.ResponseHeaders != nil {
		bad(&c.ResponseHeaders, `response_headers in mode "tcp"`, remedy)
	}
	if a := c.Balance.Algorithm; a == byURI || a == byHeader {
		bad(&c.Balance, fmt.Sprintf(`balance %q in mode "tcp"`, c.Balance), `There is no request to balance by. Choose "roundrobin", "leastconn", "source", "random" or "first".`)
	}
}

// Advise warns of a backend that will not do what it seems to.
func (c *Config) Advise(warn func(field any, problem, remedy string)) {
	idle := len(c.Servers) > 0
	for _, s := range c.Servers {
		idle = idle && s.Weight == 0
	}
	if idle {
		warn(c, "every server has weight 0", "Nobody new gets in: only holders of a cookie that names a server are served.")
	}
	if c.Mode == h1.TCP && c.HTTPClose {
		warn(&c.HTTPClose, `http_close in mode "tcp"`, "It has no effect: a connection is relayed until one side ends it. Leave it out.")
	}
	if c.AllBackups && !hasBackup(c.Servers) {
		warn(&c.AllBackups, "all_backups without a backup server", "No server says backup = true.")
	}
}

func hasBackup(servers []*Server) bool {
	for _, s := range servers {
		if s.Backup {
			return true
		}
	}
	return false
}

// valueFault says why a persistence cookie cannot have the value v, or "". The characters are those of RFC 6265 4.1.1; "~"
// ends our value in prefix mode and "|" begins the dates in insert mode.
func valueFault(v string, mode CookieMode) string {
	for _, r := range v {
		switch {
		case r <= ' ' || r >= 0x7f:
			return "blanks, control characters and all beyond ASCII are not allowed"
		case strings.ContainsRune(`",;\`, r):
			return fmt.Sprintf("%q is not allowed", r)
		case r == '~' && mode == Prefix:
			return "in mode prefix, ~ parts it from the application's value"
		case r == '|' && mode != Prefix:
			return "| parts it from dates"
		}
	}
	return ""
}

// Check reports what a server cannot be.
func (s *Server) Check(bad func(field any, problem, remedy string)) {
	if s.Weight < 0 || s.Weight > maxWeight {
		bad(&s.Weight, fmt.Sprintf("weight %d is not between 0 and %d", s.Weight, maxWeight), "Weights are relative to those of the other servers.")
	}
	switch a := s.Address; {
	case !a.Valid() || a.Path != "":
	case a.FD != "":
		bad(&s.Address, "an inherited descriptor is no server", "Write an address to connect to, such as \"192.168.1.11:80\".")
	case a.Host == "" && (!a.Addr().IsValid() || a.Addr().IsUnspecified()):
		bad(&s.Address, fmt.Sprintf("%s is no machine", a), "Write the address of the server, such as \"192.168.1.11:80\" or \"127.0.0.1:80\".")
	}
	if t := s.TLS; t != nil && t.Verify && t.ServerName == "" && s.Address.Path != "" {
		bad(t, "tls to a unix socket without server_name", "Nobody knows which name the server's certificate should be for. Add server_name, or verify = false.")
	}
	if s.Protocol == ProtocolAuto && s.TLS == nil {
		bad(&s.Protocol, `protocol "auto" without tls`, `The choice is made in the TLS handshake. Add a tls block, or write "http/1.1" or "h2".`)
	}
	if s.MaxConnections < 0 {
		bad(&s.MaxConnections, "max_connections is negative", "0 is no limit.")
	}
	switch {
	case s.MinConnections < 0:
		bad(&s.MinConnections, "min_connections is negative", "0 leaves the limit at max_connections.")
	case s.MinConnections > 0 && s.MaxConnections == 0:
		bad(&s.MinConnections, "min_connections without max_connections", "Say with max_connections how far the limit may rise.")
	case s.MinConnections > s.MaxConnections:
		bad(&s.MinConnections, fmt.Sprintf("min_connections %d is more than max_connections %d", s.MinConnections, s.MaxConnections), "The limit rises from min_connections to max_connections.")
	}
	if s.SlowStart < 0 {
		bad(&s.SlowStart, "slow_start is negative", `Write a duration such as "30s", or leave it out.`)
	}
	if s.Source.IsValid() && s.Address.Addr().IsValid() && s.Source.Unmap().Is4() != s.Address.Addr().Unmap().Is4() {
		bad(&s.Source, fmt.Sprintf("from %s nothing leads to %s", s.Source, s.Address), "Both must be IPv4 addresses or both IPv6 addresses.")
	}
}

// Check reports rules of the cookie that contradict one another.
func (c *Cookie) Check(bad func(field any, problem, remedy string)) {
	if c.Name != "" && !isToken(c.Name) {
		bad(&c.Name, fmt.Sprintf("%q cannot be the name of a cookie", c.Name), "Use letters, digits, - and _.")
	}
	if c.Mode == Rewrite && c.Indirect {
		bad(&c.Indirect, "a rewritten cookie cannot be indirect", "The application must see its own cookie: leave indirect out.")
	}
	if c.Preserve && c.Mode != Insert && !c.Indirect {
		bad(&c.Preserve, "preserve without an inserted or indirect cookie", `It leaves alone what mode = "insert" would replace: leave it out.`)
	}
	c.checkAge(&c.MaxIdle, "max_idle", bad)
	c.checkAge(&c.MaxLife, "max_life", bad)
	switch {
	case c.Signed && c.Mode == Passive:
		bad(&c.Signed, "a signed cookie in mode passive", "Nobody signs it: the application sets it, and is not to know the key. Leave signed out.")
	case c.Secret == "":
	case !c.Signed:
		bad(&c.Secret, "secret without signed", "It is the key of a signed cookie: write signed = true, or leave it out.")
	case len(c.Secret) < shortestSecret:
		bad(&c.Secret, fmt.Sprintf("a secret of %d characters", len(c.Secret)), fmt.Sprintf("Who can guess it can sign: take %d characters or more, such as those of \"openssl rand -hex 32\".", shortestSecret))
	}
	for i, d := range c.Domain {
		if fault := domainFault(d); fault != "" {
			bad(&c.Domain[i], fmt.Sprintf("domain %q: %s", d, fault), `Write a name such as "example.com".`)
		}
	}
}

func (c *Cookie) checkAge(age *time.Duration, name string, bad func(field any, problem, remedy string)) {
	switch {
	case *age == 0:
	case c.Mode != Insert:
		bad(age, fmt.Sprintf("%s in mode %s", name, c.Mode), `Only cookies of mode = "insert" carry dates.`)
	case *age < time.Second || *age > longestValidity:
		bad(age, fmt.Sprintf("%s is not between one second and 68 years", name), `Write a duration such as "30m" or "8h".`)
	}
}

// Advise warns of attributes that have no effect, or one that is seldom meant.
func (c *Cookie) Advise(warn func(field any, problem, remedy string)) {
	if c.Mode == Prefix && c.Indirect {
		warn(&c.Indirect, "a prefixed cookie that is indirect", "Clients whose cookie is valid never get the application's updates of it. Leave indirect out.")
	}
	if c.SameSite == None && c.Secure != nil && !*c.Secure {
		warn(&c.SameSite, `same_site = "none" without secure`, "Browsers drop such a cookie. Leave secure out, or make it true.")
	}
	for i, d := range c.Domain {
		if domainFault(d) == "" && !strings.Contains(strings.Trim(d, "."), ".") {
			warn(&c.Domain[i], fmt.Sprintf("domain %q has no dot", d), "Browsers drop cookies for a whole top-level domain.")
		}
	}
	if c.Mode == Insert {
		return
	}
	for _, f := range []struct {
		field   any
		name    string
		written bool
	}{
		{&c.NoCache, "nocache", c.NoCache},
		{&c.PostOnly, "postonly", c.PostOnly},
		{&c.Domain, "domain", len(c.Domain) > 0},
		{&c.Secure, "secure", c.Secure != nil},
	} {
		if f.written {
			warn(f.field, fmt.Sprintf("%s has no effect in mode %s", f.name, c.Mode), "It is about cookies that are inserted; this one is the application's.")
		}
	}
}

// domainFault says why d cannot be the Domain of a cookie, or "".
func domainFault(d string) string {
	name := strings.TrimPrefix(d, ".")
	if name == "" {
		return "it is empty"
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") != "" {
			return "it is no domain name"
		}
	}
	return ""
}

// Check reports a header that cannot be sent.
func (f *Forwardfor) Check(bad func(field any, problem, remedy string)) {
	if !isToken(f.Header) {
		bad(&f.Header, fmt.Sprintf("%q is not the name of a header field", f.Header), "Use letters, digits and -.")
	}
}

// Check reports a probe that cannot be made.
func (c *Check) Check(bad func(field any, problem, remedy string)) {
	for _, n := range []struct {
		field *int
		name  string
	}{{&c.Rise, "rise"}, {&c.Fall, "fall"}} {
		if *n.field < 1 {
			bad(n.field, fmt.Sprintf("%s is less than one", n.name), "It counts checks in a row; the first is the least that can be waited for.")
		}
	}
	if c.Interval < time.Millisecond {
		bad(&c.Interval, "interval is too short", `Write a duration such as "2s".`)
	}
	for _, d := range []struct {
		field *time.Duration
		name  string
	}{{&c.FastInterval, "fast_interval"}, {&c.DownInterval, "down_interval"}} {
		if *d.field != 0 && *d.field < time.Millisecond {
			bad(d.field, d.name+" is too short", `Write a duration such as "500ms", or leave it out.`)
		}
	}
	if _, err := regexp.Compile(c.ExpectText); err != nil {
		bad(&c.ExpectText, fmt.Sprintf("expect_text %q: %v", c.ExpectText, err), `It is a regular expression: put \\ before characters that stand for themselves, such as "\\." for a dot.`)
	}
	if c.Kind == CheckTLS && c.ExpectText != "" {
		bad(&c.ExpectText, "expect_text in a tls check", `It reads no further than the first record. To look into what is encrypted, give the server a tls block and a check "http" or "tcp".`)
	}
	if c.Kind != CheckTCP && c.Send != "" {
		bad(&c.Send, fmt.Sprintf("send in a %s check", c.Kind), `Only check "tcp" says what it is told to; check "http" has request.`)
	}
	if c.Timeout != 0 && c.Timeout < time.Millisecond {
		bad(&c.Timeout, "timeout is too short", `Write a duration such as "2s".`)
	}
	if c.Port < 0 || c.Port > 65535 {
		bad(&c.Port, fmt.Sprintf("port %d is not between 1 and 65535", c.Port), "Leave it out to check the port of the traffic.")
	}
	if c.Address != nil && c.Address.FD != "" {
		bad(&c.Address, "an inherited descriptor cannot be checked", "Write an address to connect to.")
	}
	if c.Kind != CheckHTTP {
		if len(c.DrainOn) > 0 {
			bad(&c.DrainOn, fmt.Sprintf("drain_on in a %s check", c.Kind), `Only check "http" is answered with a status.`)
		}
		if c.Host != "" {
			bad(&c.Host, fmt.Sprintf("host in a %s check", c.Kind), `Only check "http" sends a request.`)
		}
		return
	}
	if fault := requestFault(c.Request); fault != "" {
		bad(&c.Request, fmt.Sprintf("request %q: %s", c.Request, fault), `Write a method, a path and, if wanted, a version: "HEAD /index.html HTTP/1.0".`)
	}
	if strings.ContainsFunc(c.Host, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		bad(&c.Host, fmt.Sprintf("%q is not a host", c.Host), `Write a name such as "www.example.com".`)
	}
	if len(c.Expect) == 0 {
		bad(&c.Expect, "no status is expected", `A check that never succeeds takes all servers out. Leave it out for ["2xx", "3xx"].`)
	}
}

// requestFault says why s is not a request line, with or without a version, or "".
func requestFault(s string) string {
	words := strings.Split(s, " ")
	switch {
	case len(words) < 2 || len(words) > 3:
		return "it has not two or three words"
	case !isToken(words[0]):
		return fmt.Sprintf("%q is not a method", words[0])
	case !strings.HasPrefix(words[1], "/") && words[1] != "*" && !strings.Contains(words[1], "://"):
		return fmt.Sprintf("%q does not begin with a slash", words[1])
	case strings.ContainsFunc(words[1], func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return fmt.Sprintf("%q holds characters that must be percent-encoded", words[1])
	case len(words) == 3 && words[2] != "HTTP/1.0" && words[2] != "HTTP/1.1":
		return fmt.Sprintf("%q is neither HTTP/1.0 nor HTTP/1.1", words[2])
	}
	return ""
}
