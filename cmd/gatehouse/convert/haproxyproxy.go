package convert

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// count reads a whole number into an attribute.
func (x *proxy) count(d *directive, arg int, to *int, n *node, attr string) {
	v, err := strconv.Atoi(d.arg(arg))
	if err != nil || v < 0 {
		d.refuse("%q is not a number", d.arg(arg))
		return
	}
	*to = v
	n.take(attr, d)
	d.keep("%s", attr)
	if v == 0 {
		d.lower("the default")
	}
}

func (x *proxy) maxconn(d *directive) {
	if x.f == nil {
		d.fold("has no effect in a backend")
		return
	}
	x.count(d, 1, &x.f.maxConn, &x.f.node, "max_connections")
}

func (x *proxy) grace(d *directive) {
	v, _, ok := parseHAProxyTime(d.arg(1))
	if !ok {
		d.refuse("%q is not a time", d.arg(1))
		return
	}
	x.f.grace = v
	x.f.take("grace", d)
	d.keep("grace")
}

func (x *proxy) balance(d *directive) {
	word := d.arg(1)
	name, arg, _ := strings.Cut(strings.TrimSuffix(word, ")"), "(")
	switch name {
	case "roundrobin", "leastconn", "source", "first", "random":
		x.b.balance = name
	case "static-rr":
		x.b.balance = "roundrobin"
	case "uri":
		x.b.balance = "uri"
		if x.tcp {
			d.refuse("in mode tcp there are no URIs")
			x.b.balance = ""
			return
		}
		if len(d.words) > 2 {
			d.note("the whole path and query is hashed")
		}
	case "hdr":
		x.b.balance = "header:" + arg
		if strings.EqualFold(d.arg(2), "use_domain_only") {
			d.note("the whole field is hashed")
		}
	case "hash":
		if d.arg(2) == "" && strings.HasPrefix(arg, "src") || d.arg(2) == "src" {
			x.b.balance = "source"
			break
		}
		fallthrough
	default:
		d.refuse("requests are not balanced by %s here", name)
		return
	}
	x.b.take("balance", d)
	d.keep("balance = %q", x.b.balance)
}

func (x *proxy) hashType(d *directive) {
	if b := x.last["balance"]; b == nil || !slices.Contains([]string{"source", "uri", "hdr", "url_param", "hash"}, strings.SplitN(b.arg(1), "(", 2)[0]) {
		d.fold("nothing is hashed")
		return
	}
	d.note("which server a hash leads to differs: clients meet other servers than before")
}

func (x *proxy) retries(d *directive) {
	n := -1
	x.count(d, 1, &n, &x.b.node, "retries")
	if n >= 0 {
		x.b.retries = &n
		d.keep("retries")
	}
}

func (x *proxy) redispatch(d *directive) {
	if d.arg(1) == "redispatch" && d.arg(2) != "" && d.arg(2) != "0" {
		d.note("a failed server is left at once here, not after %s tries", d.arg(2))
		return
	}
	d.fold("the default")
}

func (x *proxy) dispatchTo(d *directive) {
	addr, problem := serverAddress(d.arg(1))
	if problem != "" {
		d.refuse("%s: %s", d.arg(1), problem)
		return
	}
	x.dispatch = d
	s := &server{name: "dispatch", addr: addr}
	s.take("", d)
	x.b.servers = append(x.b.servers, s)
	d.keep("a server without a check")
}

func (x *proxy) monitorNet(d *directive) {
	network := d.arg(1)
	if addr, mask, ok := strings.Cut(network, "/"); ok && strings.Contains(mask, ".") {
		if m, err := netip.ParseAddr(mask); err == nil && m.Is4() {
			network = fmt.Sprintf("%s/%d", addr, ones(m.As4()))
		}
	}
	x.f.monitorSources = append(x.f.monitorSources, network)
	x.f.take("monitor", d)
	d.keep("monitor { sources }")
}

func ones(mask [4]byte) (n int) {
	for _, b := range mask {
		for ; b&0x80 != 0; b <<= 1 {
			n++
		}
	}
	return n
}

func (x *proxy) monitorURI(d *directive) {
	x.f.monitorURI = d.arg(1)
	x.f.take("monitor", d)
	d.keep("monitor { uri }")
	if x.last["monitor fail"] == nil && !slices.ContainsFunc(x.eff, func(o *directive) bool { return o.words[0] == "monitor" }) {
		d.note("it answers 503 while the backend has no usable server")
	}
}

// monitorFail takes the condition everybody writes for the one that counts here.
func (x *proxy) monitorFail(d *directive) {
	if d.arg(1) == "fail" {
		d.note("the monitor answers 503 while the backend has no usable server, and at no other time")
		return
	}
	d.refuse("unknown directive")
}

func (x *proxy) forwardfor(d *directive) {
	x.forwardedBy = d
	ff := &forwardfor{}
	for i := 2; i < len(d.words); i++ {
		switch word := d.words[i]; {
		case word == "except" && i+1 < len(d.words):
			i++
			ff.except = append(ff.except, d.words[i])
			d.keep("forwardfor { except }")
		case word == "header" && i+1 < len(d.words):
			i++
			ff.header = d.words[i]
			d.keep("forwardfor { header }")
		case word == "if-none":
			d.note("a field the client sent is replaced, unless it comes from an address in forwardfor { except }")
		default:
			d.refuse("unknown word %q", word)
		}
	}
	if len(ff.except) == 0 && ff.header == "" {
		d.fold("the default")
		return
	}
	ff.take("", d)
	if x.b == nil {
		x.forwards = ff
		return
	}
	x.b.forwardfor = ff
}

// httpclose says what it did: HAProxy once needed it to see more than the first request of a connection.
func (x *proxy) httpclose(d *directive) {
	if x.h.options.Idiomatic {
		d.fold("every request of a connection is looked at without it")
		return
	}
	if x.b == nil {
		x.closedBy = d
		d.keep("http_close in its backends")
		return
	}
	x.b.httpClose = true
	x.b.take("http_close", d)
	d.keep("http_close; it is not needed to have every request looked at")
}

func (x *proxy) filter(d *directive) {
	switch d.arg(1) {
	case "compression", "comp-req", "comp-res":
		d.fold("compression says what is compressed")
	case "cache":
		noCache(d)
	case "trace", "bwlim-in", "bwlim-out", "opentracing", "opentelemetry":
		d.note("there are no filters here")
	default:
		d.refuse("there are no filters here")
	}
}

func (x *proxy) defaultBackend(d *directive) {
	if b := x.back(d, d.arg(1)); b != nil {
		x.f.back = b
		x.f.listen = false
		x.f.take("backend", d)
		d.keep("backend")
	}
}

func (x *proxy) tcpRequest(d *directive) {
	switch d.arg(1) + " " + d.arg(2) {
	case "inspect-delay " + d.arg(2):
		d.fold("the first bytes have the time of timeouts.request")
		return
	case "content accept", "connection accept", "session accept":
		d.fold("the default")
		return
	case "connection expect-proxy":
		d.refuse("write accept_proxy = […] at the bind")
		return
	case "content reject", "connection reject", "session reject", "content silent-drop", "connection silent-drop":
		d.refuse("clients are not turned away by address in this version: let the packet filter do it")
		return
	case "content track-sc0", "content track-sc1", "connection track-sc0", "connection track-sc1", "session track-sc0", "session track-sc1":
		d.refuse("%s", reasonTables)
		return
	}
	d.refuse("rules for the bytes of connections are not in this version")
}
