package convert

import (
	"slices"
	"strings"
)

// listen reads listen ADDRESS [WORD…].
func (s *nginxServer) listen(n *nginxNode) {
	addr := n.arg(1)
	dr := door{}
	switch {
	case strings.HasPrefix(addr, "unix:"):
		dr.addr = addr
	default:
		host, port := splitPort(addr)
		if !strings.Contains(addr, ":") {
			host, port = addr, "80"
			if strings.Trim(addr, "0123456789") == "" {
				host, port = "", addr
			}
		}
		if host == "*" {
			host = ""
		}
		if host == "localhost" {
			host = "127.0.0.1"
		}
		dr.addr = joinPort(host, port)
	}
	for _, w := range n.args(2) {
		word, _, _ := strings.Cut(w, "=")
		switch word {
		case "ssl":
			dr.tls = true
		case "default_server", "default":
			s.v.first = true
		case "http2", "spdy":
		case "quic", "http3":
			s.quic = append(s.quic, n)
			return
		case "udp":
			n.refuse("connections are relayed here, no datagrams")
			return
		case "proxy_protocol":
			dr.proxy = true
		case "ipv6only", "reuseport", "deferred", "backlog", "rcvbuf", "sndbuf", "so_keepalive", "fastopen", "setfib", "accept_filter", "bind", "multipath":
		default:
			n.refuse("unknown word %q", w)
		}
	}
	// [::]:80 beside 0.0.0.0:80 are two addresses; beside ":80", which is both, it is one.
	if rest, ok := strings.CutPrefix(dr.addr, "[::]:"); ok && slices.ContainsFunc(s.v.doors, func(o door) bool { return o.addr == ":"+rest }) {
		n.fold("part of :%s, which is every address", rest)
		return
	}
	s.v.doors = append(s.v.doors, dr)
	n.keep("bind")
}

// overUDP makes HTTP/3 of listen … quic: it goes with the TLS address of the same port.
func (s *nginxServer) overUDP() {
	for _, n := range s.quic {
		_, port := splitPort(n.arg(1))
		if !strings.Contains(n.arg(1), ":") {
			port = n.arg(1)
		}
		found := false
		for i := range s.v.doors {
			if dr := &s.v.doors[i]; dr.tls && strings.HasSuffix(dr.addr, ":"+port) {
				dr.http3, found = true, true
			}
		}
		if found {
			n.keep("bind { http3 }")
		} else {
			n.refuse("HTTP/3 goes with TLS on the same port: there is no listen … ssl for that")
		}
	}
}

// names reads server_name. "_" and other names nobody asks for mean none; patterns cannot be said.
func (s *nginxServer) names(n *nginxNode) {
	n.keep("hosts")
	for _, name := range n.args(1) {
		switch {
		case name == "_" || name == `""` || name == "":
			n.fold("nobody asks for it")
		case strings.HasPrefix(name, "~"):
			n.refuse("%s: hosts are no patterns", name)
		case strings.HasPrefix(name, "."):
			s.v.names = append(s.v.names, name[1:], "*"+name)
			n.note("%s: names one level below are meant", name)
		case strings.HasPrefix(name, "*.") && !strings.Contains(name[2:], "*"):
			s.v.names = append(s.v.names, name)
			n.note("%s: names one level below are meant", name)
		case strings.Contains(name, "*"):
			n.refuse("%s: a star stands for the first label alone", name)
		default:
			s.v.names = append(s.v.names, strings.ToLower(name))
		}
	}
}
