package convert

import (
	"slices"
	"strings"
	"time"

	"gatehouse/cmd/gatehouse/config"
)

// An nginxServer is a server block being read.
type nginxServer struct {
	x     *nginx
	v     *vhost
	n     *nginxNode
	tcp   bool
	back  *back // of mode tcp
	proxy bool  // proxy_protocol on: it is sent to servers

	headers nginxHeaders
	cache   nginxCaching
	quic    []*nginxNode // listen … quic
	limited bool         // the size of contents is
}

// line reads a directive of a server, or of a location that is for every request.
func (s *nginxServer) line(n *nginxNode) {
	v, d := s.v, n.directive
	switch n.words[0] {
	case "listen":
		s.listen(n)
	case "server_name":
		s.names(n)
	case "ssl":
		v.ssl = n.arg(1) == "on"
		d.keep("tls")
	case "ssl_certificate", "ssl_certificate_key", "ssl_protocols", "ssl_client_certificate", "ssl_crl", "ssl_verify_client":
		s.tlsLine(n)
	case "return":
		s.answer(n, nil)
	case "rewrite":
		s.rewrite(n)
	case "access_log":
		s.log(n)
	case "client_max_body_size":
		s.body(n)
	case "keepalive_timeout":
		s.wait(n, "idle")
	case "client_header_timeout":
		s.wait(n, "request")
	case "proxy_read_timeout":
		s.wait(n, "server")
	case "proxy_send_timeout":
		d.fold("bounded by timeouts { server }")
	case "proxy_connect_timeout":
		s.wait(n, "connect")
	case "proxy_timeout":
		s.wait(n, "tunnel")
	case "proxy_set_header", "add_header", "proxy_hide_header", "more_set_headers", "more_clear_headers":
		s.header(n, &s.headers)
	case "underscores_in_headers":
		if n.arg(1) == "on" {
			d.refuse("write underscore_headers = true in the frontend, if an application needs them")
		} else {
			d.fold("the default")
		}
	case "proxy_ssl_verify":
		v.verify = n.arg(1) == "on"
		d.keep("verify")
	case "proxy_ssl_trusted_certificate":
		v.ca = n.arg(1)
		d.keep("ca")
	case "proxy_ssl_name", "proxy_ssl_server_name":
		d.fold("the server's own name is asked for")
	case "proxy_protocol":
		s.proxy = n.arg(1) == "on"
		d.keep("send_proxy")
	case "proxy_pass":
		if !s.tcp {
			d.refuse("outside of a location it has no path")
			return
		}
		s.streamPass(n)
	case "ssl_preread":
		d.refuse("write hosts = […] in a frontend in mode tcp for each name")
	case "root":
		v.files = append(v.files, d)
		s.x.rule(n)
	default:
		switch name := n.words[0]; {
		case isCaching(name):
			s.caching(n, &s.cache)
			return
		case isCompressing(name):
			s.compression(n)
			return
		}
		s.x.rule(n)
	}
}

func (s *nginxServer) tlsLine(n *nginxNode) {
	v := s.v
	if v.set == nil {
		v.set = &tlsSet{}
	}
	t, d, value := v.set, n.directive, n.arg(1)
	if strings.HasPrefix(value, "data:") || strings.HasPrefix(value, "engine:") || strings.HasPrefix(value, "store:") || strings.Contains(value, "$") {
		d.refuse("certificates and keys are files here")
		return
	}
	switch n.words[0] {
	case "ssl_certificate":
		v.certificate(s.x.pile, d, value, "nginx")
	case "ssl_certificate_key":
		v.privateKey(d, value)
	case "ssl_protocols":
		v.versions(d, slices.Contains(n.args(1), "TLSv1.3") && !slices.Contains(n.args(1), "TLSv1.2"))
	case "ssl_client_certificate":
		t.clientCA = value
		v.ofClients(d)
	case "ssl_crl":
		t.crl = value
		v.ofClients(d)
	case "ssl_verify_client":
		v.askClients(d, value)
	}
}

func (s *nginxServer) log(n *nginxNode) {
	file, format := n.arg(1), n.arg(2)
	switch {
	case file == "off":
		n.fold("the default")
		return
	case s.v.log != nil:
		n.refuse("a frontend has one log")
		return
	case strings.HasPrefix(file, "syslog:"):
		target := strings.TrimPrefix(strings.SplitN(strings.TrimPrefix(file, "syslog:"), ",", 2)[0], "server=")
		file = "syslog:udp:" + target
		if p, ok := strings.CutPrefix(target, "unix:"); ok {
			file = "syslog:" + p
		} else if _, port := splitPort(target); port == "" {
			file += ":514"
		}
	case file == "/dev/stdout":
		file = "stdout"
	case strings.Contains(file, "$"):
		n.refuse("the name of a log is constant")
		return
	}
	if format != "" && format != "combined" && format != "main" {
		n.note("the format is combined")
	}
	s.v.log = s.x.site.log("access", "combined", file, false)
	s.v.log.from = withOrigin(s.v.log.from, n.directive)
	n.keep("log %q", s.v.log.name)
}

// body reads a size. 0 is no limit, which is the default here.
func (s *nginxServer) body(n *nginxNode) {
	s.limited = true
	v := strings.ToLower(n.arg(1))
	for suffix, unit := range map[string]string{"k": "KiB", "m": "MiB", "g": "GiB"} {
		if number, ok := strings.CutSuffix(v, suffix); ok {
			v = number + unit
			break
		}
	}
	if strings.Trim(v, "0123456789") == "" {
		v += "B"
	}
	size, err := config.ParseSize(v)
	switch {
	case err != nil:
		n.refuse("%q is not a size", n.arg(1))
	case size == 0:
		n.fold("the default")
	default:
		s.v.body = config.FormatSize(size)
		n.keep("limits { body }")
	}
}

func (s *nginxServer) wait(n *nginxNode, name string) {
	t := nginxTime(n.arg(1))
	if t < time.Millisecond {
		n.refuse("%q is not a time", n.arg(1))
		return
	}
	s.v.timeouts.set(name, t, n.directive)
	n.keep("timeouts { %s }", name)
}

// streamPass reads proxy_pass ADDRESS in mode tcp.
func (s *nginxServer) streamPass(n *nginxNode) {
	to := n.arg(1)
	if up := s.x.upstreams[to]; up != nil {
		if up.broken || !up.tcp {
			n.refuse("upstream %q has no server", to)
			return
		}
		s.x.use(up)
		s.back = up.back
		n.keep("backend")
		return
	}
	addr, problem := serverAddress(to)
	if strings.HasPrefix(to, "unix:") {
		addr, problem = to, ""
	}
	if problem != "" || strings.Contains(to, "$") {
		n.refuse("%q is no address of a server", to)
		return
	}
	host, port := splitPort(addr)
	srv := &server{addr: addr, name: serverName(host, port)}
	srv.take("", n.directive)
	b := &back{name: srv.name, tcp: true, servers: []*server{srv}}
	b.from = map[string][]*directive{"": {n.directive}}
	s.back = s.x.site.addBack(b)
	n.keep("backend")
}
