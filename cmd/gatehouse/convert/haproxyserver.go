package convert

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A haproxyServer is a server with the words about its check, which become one for the backend where they agree.
type haproxyServer struct {
	*server
	d              *directive
	check          bool
	checkTLS       bool // the check speaks TLS
	inter          time.Duration
	fast, down     time.Duration // fastinter, downinter
	rise, fall     int
	port           int
	checkAddr      string
	hasCookie      bool
	tls            bool
	verify         string // "none", "required", ""
	ca, sni, host  string
	cert           string
	maxQueue       int
	checkSendProxy bool
	alpn           string // "h2,http/1.1"
	proto          string // "h1", "h2", "auto", ""
}

// serverAddress reads "10.0.0.1:80", "name:80", "10.0.0.1" (the port the client came to), "/run/app.sock".
func serverAddress(s string) (addr, problem string) {
	if p, ok := unixPath(s); ok {
		if p == "" {
			return "", "it has no path"
		}
		return "unix:" + p, ""
	}
	for _, prefix := range []string{"abns", "fd@", "sockpair@", "rhttp@", "quic", "udp", "mptcp"} {
		if strings.HasPrefix(s, prefix+"@") || strings.HasPrefix(s, prefix) && strings.HasSuffix(prefix, "@") {
			return "", "servers are not reached that way here"
		}
	}
	for _, prefix := range []string{"ipv4@", "ipv6@", "tcp4@", "tcp6@", "tcp@", "ip@"} {
		s = strings.TrimPrefix(s, prefix)
	}
	host, port := splitPort(s)
	switch {
	case host == "" || host == "*" || host == "0.0.0.0" || host == "::":
		return "", "the address a client came to is no server here"
	case strings.HasPrefix(port, "+") || strings.HasPrefix(port, "-"):
		return "", "a port counted from the client's: write a server for each port"
	}
	if port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil {
			return "", fmt.Sprintf("%q is not a port", port)
		} else if n == 0 {
			port = ""
		}
	}
	return joinPort(host, port), ""
}

// server reads server NAME ADDRESS WORD….
func (x *proxy) server(d *directive) {
	name, address := d.arg(1), d.arg(2)
	addr, problem := serverAddress(address)
	switch {
	case name == "" || address == "":
		d.refuse("it has no address")
		return
	case problem != "":
		d.refuse("%s: %s", address, problem)
		return
	}
	s := &haproxyServer{server: &server{name: name, addr: addr}, d: d}
	s.name = unique(name, func(n string) bool {
		return slices.ContainsFunc(x.b.servers, func(o *server) bool { return o.name == n })
	})
	if s.name != name {
		d.note("there is a server %q already: this is %q now", name, s.name)
	}
	for _, def := range x.defServer {
		s.words(x, def, def.args(1))
	}
	s.words(x, d, d.args(3))
	s.take("", d)
	x.b.servers = append(x.b.servers, s.server)
	x.servers = append(x.servers, s)
	d.keep("server %q", s.name)
}

// serverFlags are words of a server that stand alone and need no counterpart; serverValues are those with a value.
var (
	serverFlags = []string{"non-stick", "tfo", "stick", "no-tfo", "tls-tickets", "no-tls-tickets", "ssl-reuse", "no-ssl-reuse", "allow-0rtt", "check-reuse-pool", "no-check-reuse-pool",
		"prefer-client-ciphers", "enabled", "no-backup", "no-verifyhost", "no-disabled", "no-sslv3", "no-tlsv10", "no-tlsv11", "no-strict-maxconn"}
	serverValues = []string{"id", "guid", "init-addr", "resolvers", "resolve-prefer", "resolve-net", "resolve-opts", "pool-low-conn", "pool-max-conn", "pool-purge-delay",
		"max-reuse", "init-state", "idle-ping", "tcp-ut", "log-bufsize", "shard", "hash-key", "pool-conn-name", "label", "tcp-md5sig"}
)

// words reads what stands behind a server's address, or a default-server.
func (s *haproxyServer) words(x *proxy, d *directive, words []string) {
	for i := 0; i < len(words); i++ {
		word := words[i]
		arg := func() string {
			if i++; i < len(words) {
				return words[i]
			}
			return ""
		}
		number := func() int {
			v := arg()
			n, err := strconv.Atoi(v)
			if err != nil || n < 0 {
				d.refuse("%s: %q is not a number", word, v)
				return 0
			}
			return n
		}
		switch word {
		case "check":
			s.check = true
		case "no-check":
			s.check = false
		case "inter", "fastinter", "downinter":
			v := arg()
			t, remark, ok := parseHAProxyTime(v)
			if !ok {
				d.refuse("%s: %q is not a time", word, v)
			} else if remark != "" {
				d.note("%s", remark)
			}
			*map[string]*time.Duration{"inter": &s.inter, "fastinter": &s.fast, "downinter": &s.down}[word] = t
		case "rise":
			s.rise = number()
		case "fall":
			s.fall = number()
		case "port":
			s.port = number()
		case "addr":
			s.checkAddr = arg()
		case "backup":
			s.backup = true
		case "cookie":
			s.cookie, s.hasCookie = arg(), true
		case "weight":
			n := number()
			s.weight = &n
		case "maxconn":
			s.maxConn = number()
		case "minconn":
			s.minConn = number()
		case "maxqueue":
			s.maxQueue = number()
		case "slowstart":
			v := arg()
			t, _, ok := parseHAProxyTime(v)
			if !ok {
				d.refuse("slowstart: %q is not a time", v)
			}
			s.slowStart = t
			s.take("slow_start", d)
		case "disabled":
			s.state = "maint"
		case "source":
			s.sourceAddress(d, arg())
			if i+1 < len(words) && (words[i+1] == "usesrc" || words[i+1] == "interface") {
				d.refuse("%s: servers see gatehouse's address", words[i+1])
				i += 2
			}
		case "send-proxy":
			s.sendProxy = "v1"
		case "send-proxy-v2":
			s.sendProxy = "v2"
		case "send-proxy-v2-ssl", "send-proxy-v2-ssl-cn":
			s.sendProxy = "v2"
			d.note("%s: what the client's TLS was is not told", word)
		case "proxy-v2-options":
			i++
			d.note("%s: only the addresses are told", word)
		case "check-send-proxy":
			s.checkSendProxy = true
		case "ssl":
			s.tls = true
		case "no-ssl":
			s.tls = false
		case "check-ssl":
			s.checkTLS = true
		case "no-check-ssl":
			s.checkTLS = false
		case "verify":
			s.verify = arg()
		case "ca-file":
			s.ca = fileIn(x.h.caBase, arg())
		case "crt":
			s.cert = fileIn(x.h.crtBase, arg())
		case "sni":
			s.sniName(d, arg())
		case "verifyhost":
			s.host = arg()
		case "ciphers", "ciphersuites", "curves", "sigalgs", "client-sigalgs", "ssl-min-ver", "ssl-max-ver":
			i++
			d.note("%s: the best both sides know is spoken, at least TLS 1.2", word)
		case "no-tlsv12", "no-tlsv13", "force-tlsv10", "force-tlsv11", "force-tlsv12", "force-tlsv13", "force-sslv3":
			d.note("%s: the best both sides know is spoken, at least TLS 1.2", word)
		case "alpn", "npn":
			s.alpn = arg()
		case "no-alpn":
			s.alpn = ""
		case "proto":
			if s.proto = arg(); s.proto == "fcgi" {
				d.refuse("servers speak HTTP here, not FastCGI")
			}
		case "check-proto", "check-alpn":
			i++
			d.note("%s: checks speak the server's protocol", word)
		case "ws":
			if arg() == "h2" {
				d.note("ws: WebSockets reach servers by HTTP/1.1")
			}
		case "check-sni":
			i++
			d.note("check-sni: a check asks for the name of the traffic")
		case "observe", "error-limit", "on-error":
			i++
			d.note("%s: checks alone decide about health", word)
		case "on-marked-down", "on-marked-up":
			i++
			d.note("%s: exchanges under way are left to end", word)
		case "track":
			i++
			d.refuse("track: a server has the health of its own checks")
		case "redir":
			i++
			d.refuse("redir: use a route with redirect")
		case "agent-check", "agent-port", "agent-addr", "agent-inter", "agent-send":
			if word != "agent-check" {
				i++
			}
			d.refuse("agents are not asked here")
		case "crl-file", "namespace", "socks4", "check-via-socks4", "log-proto", "proxy-v2-ssl", "check-pool-conn-name":
			if word != "check-via-socks4" {
				i++
			}
			d.refuse("%s is not known here", word)
		case "usesrc", "interface":
			i++
			d.refuse("%s: servers see gatehouse's address", word)
		default:
			switch {
			case slices.Contains(serverFlags, word):
			case slices.Contains(serverValues, word):
				i++
			default:
				d.refuse("unknown word %q", word)
			}
		}
	}
}

func (s *haproxyServer) sourceAddress(d *directive, v string) {
	host, port := splitPort(v)
	if ip, err := netip.ParseAddr(v); err == nil { // IPv6 without a port
		host, port = ip.String(), ""
	}
	if port != "" && port != "0" {
		d.note("source: the port is chosen by the kernel")
	}
	if host == "" || host == "*" || host == "0.0.0.0" || host == "::" {
		return
	}
	s.source = host
}

// sniName takes the expressions that are a constant.
func (s *haproxyServer) sniName(d *directive, expr string) {
	if name, ok := strings.CutPrefix(expr, "str("); ok {
		s.sni = strings.Trim(strings.TrimSuffix(name, ")"), `"'`)
		return
	}
	d.refuse("sni: the name a server is asked for must not depend on the request")
}

// finishProtocol finds out which version of HTTP the server is spoken to in.
func (s *haproxyServer) finishProtocol() {
	offers := strings.Split(s.alpn, ",")
	switch {
	case s.proto == "h2":
		s.protocol = "h2"
	case s.proto == "h1", !s.tls || !slices.Contains(offers, "h2"):
		return
	case slices.ContainsFunc(offers, func(v string) bool { return strings.HasPrefix(v, "http/1.") }):
		s.protocol = "auto"
	default:
		s.protocol = "h2"
	}
	s.take("protocol", s.d)
}

// finishTLS makes the server's tls block.
func (s *haproxyServer) finishTLS(x *proxy) {
	if !s.tls {
		if s.checkTLS {
			s.d.note("check-ssl: the check does not speak TLS, because the traffic does not")
		}
		return
	}
	t := &serverTLS{ca: s.ca, serverName: s.sni, cert: s.cert}
	if s.host != "" {
		t.serverName = s.host
	}
	if s.verify == "none" || s.verify == "" && (x.h.verifyNone || s.ca == "") {
		t.verify = new(false)
		t.ca = ""
		if s.verify == "" {
			s.d.note("the server's certificate is not verified, as before: anybody in between can read everything")
		}
	}
	if t.ca == "@system-ca" {
		t.ca = ""
	}
	t.from = map[string][]*directive{"": {s.d}}
	s.server.tls = t
}
