package convert

import (
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
)

// looksLikeAddress reports whether a word is ADDRESS:PORT.
func looksLikeAddress(s string) bool {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return false
	}
	port, _, _ := strings.Cut(s[i+1:], "-")
	_, err := strconv.ParseUint(port, 10, 16)
	return err == nil
}

// splitPort parts an address from its port as HAProxy does, at the last colon; brackets are optional around IPv6.
func splitPort(s string) (host, port string) {
	if rest, ok := strings.CutPrefix(s, "["); ok {
		if i := strings.IndexByte(rest, ']'); i >= 0 {
			return rest[:i], strings.TrimPrefix(rest[i+1:], ":")
		}
	}
	if i := strings.LastIndexByte(s, ':'); i >= 0 {
		return s[:i], s[i+1:]
	}
	return s, ""
}

// joinPort spells an address as gatehouse does.
func joinPort(host, port string) string {
	if ip, err := netip.ParseAddr(host); err == nil && ip.Is6() {
		if port == "" {
			return ip.String()
		}
		return "[" + ip.String() + "]:" + port
	}
	if port == "" {
		return host
	}
	return host + ":" + port
}

// unixPath returns the path of a unix socket's address.
func unixPath(s string) (string, bool) {
	if rest, ok := strings.CutPrefix(s, "unix@"); ok {
		return rest, true
	}
	return s, strings.HasPrefix(s, "/")
}

// bindAddresses reads one address of a bind line: "*:80", ":80", "10.0.0.1:80-82", "/run/x.sock", "fd@3".
func bindAddresses(s string, v6only bool) (list []string, problem string) {
	switch {
	case strings.HasPrefix(s, "quic4@"), strings.HasPrefix(s, "quic6@"):
		return nil, "it is over UDP"
	case strings.HasPrefix(s, "abns"):
		return nil, "abstract sockets are not known here: use unix:PATH"
	case strings.HasPrefix(s, "fd@"):
		return []string{s}, ""
	case strings.HasPrefix(s, "sockpair@"), strings.HasPrefix(s, "rhttp@"), strings.HasPrefix(s, "udp"), strings.HasPrefix(s, "mptcp"):
		return nil, "connections cannot come in that way here"
	}
	if p, ok := unixPath(s); ok {
		if p == "" {
			return nil, "it has no path"
		}
		return []string{"unix:" + p}, ""
	}
	for _, prefix := range []string{"ipv4@", "ipv6@", "tcp4@", "tcp6@", "tcp@", "ip@"} {
		s = strings.TrimPrefix(s, prefix)
	}
	host, ports := splitPort(s)
	switch {
	case host == "*" || host == "":
		host = ""
	case host == "::" && !v6only:
	}
	first, last, span := strings.Cut(ports, "-")
	if !span {
		last = first
	}
	from, err1 := strconv.ParseUint(first, 10, 16)
	to, err2 := strconv.ParseUint(last, 10, 16)
	switch {
	case err1 != nil || err2 != nil || from == 0 || to < from:
		return nil, fmt.Sprintf("%q is not a port", ports)
	case to-from >= maxPorts:
		return nil, fmt.Sprintf("more than %d ports: write a bind for each that is needed", maxPorts)
	}
	for port := from; port <= to; port++ {
		list = append(list, joinPort(host, strconv.FormatUint(port, 10)))
	}
	return list, ""
}

// maxPorts is how long a range of ports may be that is written out.
const maxPorts = 64

// bindLine reads bind ADDRESS[,ADDRESS…] [WORD…].
func (x *proxy) bindLine(d *directive) {
	if d.arg(1) == "" {
		d.refuse("it has no address")
		return
	}
	x.addresses(d, d.arg(1), d.args(2))
}

// addresses adds a bind for each address.
func (x *proxy) addresses(d *directive, addresses string, words []string) {
	o := x.bindOptions(d, words)
	for a := range strings.SplitSeq(addresses, ",") {
		if rest, ok := strings.CutPrefix(strings.Replace(a, "quic6@", "quic4@", 1), "quic4@"); ok {
			x.quic = append(x.quic, quicDoor{rest, d})
			continue
		}
		v6 := slices.Contains(words, "v4v6") || !slices.Contains(words, "v6only")
		list, problem := bindAddresses(a, !v6)
		if problem != "" {
			d.refuse("%s: %s", a, problem)
			continue
		}
		for _, addr := range list {
			if rest, ok := strings.CutPrefix(addr, "[::]:"); ok && slices.Contains(words, "v4v6") {
				addr = ":" + rest
			}
			x.f.addBind(&bind{addr: addr, acceptProxy: o.acceptProxy, tls: o.tls, freebind: o.freebind, protocols: o.protocols}, d)
		}
	}
	d.keep("bind")
}

// A quicDoor is an address of HTTP/3.
type quicDoor struct {
	addr string
	d    *directive
}

// overUDP makes HTTP/3 of the addresses for it: it goes with the TLS address of the same port.
func (x *proxy) overUDP() {
	for _, q := range x.quic {
		list, problem := bindAddresses(q.addr, true)
		if problem != "" {
			q.d.refuse("%s: %s", q.addr, problem)
			continue
		}
		found := false
		for _, addr := range list {
			_, port := splitPort(addr)
			for _, b := range x.f.binds {
				if _, at := splitPort(b.addr); at == port && b.tls != nil {
					b.http3, found = true, true
					b.take("http3", q.d)
				}
			}
		}
		if !found {
			q.d.refuse("HTTP/3 goes with TLS on the same port: there is no bind for that")
			continue
		}
		q.d.keep("bind { http3 }")
	}
}

// addBind adds an address, unless the front has it already.
func (f *front) addBind(b *bind, d *directive) {
	for _, have := range f.binds {
		if have.addr == b.addr {
			d.fold("%s is bound already", b.addr)
			return
		}
	}
	b.take("", d)
	f.binds = append(f.binds, b)
}

// bindFlags are words of a bind line that stand alone and change nothing.
var bindFlags = []string{"v4v6", "v6only", "defer-accept", "tfo", "prefer-client-ciphers", "no-ca-names", "allow-0rtt", "expose-fd", "no-alpn"}

// bindValues are words of a bind line with a value that need no counterpart.
var bindValues = []string{"name", "id", "process", "thread", "shards", "backlog", "nice", "mss", "tcp-ut", "level", "severity-output", "guid-prefix", "ecdhe", "label"}

// bindOptions reads what stands behind the addresses. Only tls, acceptProxy and freebind of the result count.
func (x *proxy) bindOptions(d *directive, words []string) (o bind) {
	set := &tlsSet{minVersion: x.h.minVersion}
	if x.h.minBy != nil && set.minVersion != "" {
		set.take("min_version", x.h.minBy)
	}
	ssl := false
	var crts []string
	for i := 0; i < len(words); i++ {
		arg := func() string {
			if i++; i < len(words) {
				return words[i]
			}
			return ""
		}
		switch word := words[i]; word {
		case "ssl":
			ssl = true
		case "crt":
			crts = append(crts, arg())
		case "crt-list":
			d.refuse("crt-list: name a directory of certificate files")
			i++
		case "accept-proxy":
			o.acceptProxy = []string{"0.0.0.0/0", "::/0"}
			d.note("accept_proxy: anybody may say who he is, as before; name the balancers in front")
		case "transparent":
			o.freebind = true
		case "strict-sni":
			set.strictSNI = true
		case "ca-file":
			set.clientCA = fileIn(x.h.caBase, arg())
			set.take("client_auth", d)
		case "crl-file":
			set.crl = fileIn(x.h.caBase, arg())
		case "verify":
			switch v := arg(); v {
			case "required":
				set.clientMode = "require"
			case "optional":
				set.clientMode = "verify"
			}
		case "ssl-min-ver":
			x.minVer(d, set, arg())
		case "no-sslv3", "no-tlsv10", "no-tlsv11":
			d.fold("never spoken here")
		case "no-tlsv12":
			set.minVersion = "1.3"
			set.take("min_version", d)
		case "ssl-max-ver", "no-tlsv13", "force-tlsv12", "force-tlsv13", "force-tlsv11", "force-tlsv10", "force-sslv3":
			if strings.HasPrefix(word, "ssl-") {
				i++
			}
			d.note("%s: the newest version both sides know is spoken, at least TLS 1.2", word)
		case "ciphers", "ciphersuites", "curves", "sigalgs", "client-sigalgs":
			i++
			d.note("%s: those of Mozilla's profile are used", word)
		case "alpn", "npn":
			if v := arg(); v == "http/1.1" && !x.tcp {
				o.protocols = []string{"http/1.1"}
			}
		case "proto":
			switch v := arg(); v {
			case "h1":
			case "h2":
				o.protocols = []string{"h2"}
			case "quic":
			default:
				d.refuse("proto %s is not known here", v)
			}
		case "no-tls-tickets", "tls-ticket-keys", "tls-tickets":
			if word == "tls-ticket-keys" {
				i++
			}
			d.note("%s: sessions are resumed with keys of gatehouse's own", word)
		case "maxconn":
			if n, err := strconv.Atoi(arg()); err == nil && n > 0 && x.f.maxConn == 0 {
				x.f.maxConn = n
				x.f.take("max_connections", d)
				d.note("maxconn: the limit is the frontend's")
			}
		case "user", "uid", "group", "gid", "mode":
			i++
			d.note("%s: who may connect is told by the directory's permissions", word)
		case "interface", "namespace":
			i++
			d.refuse("%s: an address belongs to no interface here", word)
		case "accept-netscaler-cip", "generate-certificates", "ca-sign-file", "ca-sign-pass", "crt-ignore-err", "ca-ignore-err", "ca-verify-file", "verifyhost", "ocsp-update", "idle-ping", "cc", "quic-cc-algo", "quic-force-retry", "quic-socket", "default-crt":
			if word == "default-crt" {
				crts = append([]string{arg()}, crts...)
				break
			}
			i++
			d.refuse("%s is not known here", word)
		default:
			switch {
			case slices.Contains(bindFlags, word):
			case slices.Contains(bindValues, word):
				i++
			default:
				d.refuse("unknown word %q", word)
			}
		}
	}
	if !ssl {
		if len(crts) > 0 {
			d.note("crt without ssl has no effect")
		}
		return o
	}
	o.tls = x.certificates(d, set, crts)
	return o
}

// certificates completes a set by its files. Nil, and refused, when there is none: then the address is not opened in the clear.
func (x *proxy) certificates(d *directive, set *tlsSet, crts []string) *tlsSet {
	if len(crts) == 0 {
		d.refuse("ssl without crt: name a certificate")
		set.cert = "certificate.pem"
	} else {
		set.cert = fileIn(x.h.crtBase, crts[0])
		if !path.IsAbs(set.cert) {
			d.note("%s: a relative path belongs to the new configuration's directory", set.cert)
		}
	}
	if len(crts) > 1 {
		d.refuse("%d certificates: put them into a directory and name that", len(crts))
	}
	if set.clientMode == "" {
		set.clientCA, set.crl = "", ""
	}
	set.name = nameOfFile(set.cert)
	set.from = withOrigin(set.from, d)
	return x.h.site.tls(set)
}

// withOrigin notes a directive behind a block whose comments stay elsewhere.
func withOrigin(from map[string][]*directive, d *directive) map[string][]*directive {
	if from == nil {
		from = map[string][]*directive{}
	}
	from[""] = append(from[""], d)
	return from
}

// fileIn returns a path, which belongs to base if it is relative.
func fileIn(base, file string) string {
	if base == "" || path.IsAbs(file) || strings.HasPrefix(file, "@") {
		return file
	}
	return path.Join(base, file)
}

func (x *proxy) minVer(d *directive, set *tlsSet, v string) {
	min, remark := minVersion(v)
	set.minVersion = min
	set.take("min_version", d)
	if remark != "" {
		d.note("%s", remark)
	}
}

// minVersion translates the name of a protocol version.
func minVersion(v string) (min, remark string) {
	switch v {
	case "TLSv1.2":
		return "1.2", ""
	case "TLSv1.3":
		return "1.3", ""
	}
	return "", fmt.Sprintf("%s is not spoken any more: TLS 1.2 is the oldest", v)
}
