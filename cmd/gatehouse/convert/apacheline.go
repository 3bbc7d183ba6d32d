package convert

import (
	"strings"
	"time"

	"gatehouse/cmd/gatehouse/config"
)

// line reads one directive.
func (a *apache) line(n *apacheNode, v *vhost) {
	d := n.directive
	switch n.name {
	case "listen":
		d.keep("where virtual hosts listen")
	case "servername":
		v.names = append(hostsOf([]string{strings.TrimPrefix(strings.TrimPrefix(n.arg(1), "https://"), "http://")}), v.names...)
		d.keep("hosts")
	case "serveralias":
		v.names = append(v.names, hostsOf(n.args(1))...)
		d.keep("hosts")
	case "sslengine":
		v.ssl = strings.EqualFold(n.arg(1), "on")
		d.keep("tls")
	case "sslcertificatefile", "sslcertificatekeyfile", "sslcertificatechainfile", "sslcacertificatefile", "sslcacertificatepath", "sslcarevocationfile", "sslverifyclient", "sslverifydepth", "sslprotocol":
		v.tlsLine(n)
	case "sslproxyengine":
		d.keep("tls towards servers whose URL says https")
	case "sslproxyverify":
		v.verify = strings.EqualFold(n.arg(1), "require")
		d.keep("verify")
	case "sslproxycacertificatefile":
		v.ca = n.arg(1)
		d.keep("ca")
	case "sslproxycheckpeername", "sslproxycheckpeercn", "sslproxycheckpeerexpire":
		d.fold("part of verify")
	case "proxypass":
		v.proxyPass(d, n.args(1))
	case "proxypassmatch":
		v.proxyPassMatch(d, n.args(1))
	case "proxypassreverse":
		d.fold("answers pass as they are: servers see the name the client asked for, and use it")
	case "proxypreservehost":
		v.sameHost = !strings.EqualFold(n.arg(1), "off")
		d.fold("servers always see the name the client asked for")
	case "proxytimeout":
		v.wait(d, "server", n.arg(1))
	case "timeout":
		v.wait(d, "client", n.arg(1))
	case "keepalivetimeout":
		v.wait(d, "idle", n.arg(1))
	case "limitrequestbody":
		size, err := config.ParseSize(n.arg(1) + "B")
		switch {
		case err != nil:
			d.refuse("%q is not a number of bytes", n.arg(1))
		case size == 0:
			d.fold("the default")
		default:
			v.body = config.FormatSize(size)
			d.keep("limits { body }")
		}
	case "proxyaddheaders":
		d.note("servers get X-Forwarded-For and X-Forwarded-Proto")
	case "redirect", "redirectpermanent", "redirecttemp", "redirectmatch":
		v.redirectLine(n)
	case "rewritecond":
		v.conds = append(v.conds, n)
	case "rewriterule":
		v.rewriteRule(n)
	case "requestheader", "header":
		v.header(n, "")
	case "cacheenable", "cachedisable", "cachemaxfilesize":
		v.cacheLine(n)
	case "customlog", "transferlog":
		v.customLog(n)
	case "logformat":
		d.note("a log has one of three formats here: httplog, combined, json")
	case "documentroot":
		v.files = append(v.files, d)
		d.refuse("%s", reasonFiles)
	case "require", "order", "allow", "deny":
		if n.name == "order" || strings.EqualFold(n.rest(1), "all granted") || strings.EqualFold(n.rest(1), "from all") && n.name == "allow" {
			d.fold("the default")
		} else {
			d.refuse("%s", reasonAccess)
		}
	case "remoteipproxyprotocol":
		d.refuse("write accept_proxy = […] at the bind")
	default:
		if v.compression(n) {
			return
		}
		if strings.HasPrefix(n.name, "md") && apacheRulings[n.name].reason == reasonACME {
			a.domainLine(n)
			return
		}
		if r, ok := apacheRulings[n.name]; ok {
			if r.reason == reasonNoCache {
				noCache(d)
				return
			}
			d.judge(r.verdict, "%s", r.reason)
			if r.reason == reasonFiles {
				v.files = append(v.files, d)
			}
			return
		}
		d.refuse("unknown directive")
	}
}

// wait reads a number of seconds.
func (v *vhost) wait(d *directive, name, value string) {
	n := atoi(strings.TrimSuffix(value, "s"))
	if n <= 0 {
		d.refuse("%q is not a number of seconds", value)
		return
	}
	v.timeouts.set(name, time.Duration(n)*time.Second, d)
	d.keep("timeouts { %s }", name)
}

// tlsLine reads what makes the tls block.
func (v *vhost) tlsLine(n *apacheNode) {
	if v.set == nil {
		v.set = &tlsSet{}
	}
	t, d := v.set, n.directive
	value := n.arg(1)
	switch n.name {
	case "sslcertificatefile":
		v.certificate(v.a.pile, d, value, "Apache")
	case "sslcertificatekeyfile":
		v.privateKey(d, value)
	case "sslcertificatechainfile":
		d.note("put the chain into the certificate's file, behind the certificate")
	case "sslverifyclient":
		v.askClients(d, value)
	case "sslcacertificatefile":
		t.clientCA = value
		v.ofClients(d)
	case "sslcarevocationfile":
		t.crl = value
		v.ofClients(d)
	case "sslcacertificatepath":
		d.refuse("the authority's file alone decides about certificates")
	case "sslverifydepth":
		d.fold("chains have the length they have")
	case "sslprotocol":
		words := strings.ToLower(n.rest(1))
		v.versions(d, strings.Contains(words, "tlsv1.3") && !strings.Contains(words, "tlsv1.2") && !strings.Contains(words, "all") || strings.Contains(words, "-tlsv1.2"))
	}
}

// customLog reads CustomLog FILE FORMAT [env=…].
func (v *vhost) customLog(n *apacheNode) {
	file, format := n.arg(1), n.arg(2)
	switch {
	case strings.HasPrefix(file, "|"):
		n.refuse("lines go to no program: write a file, and rotate it with gatehouse's signal USR2")
		return
	case v.log != nil:
		n.refuse("a frontend has one log")
		return
	case strings.HasPrefix(file, "syslog"):
		file = "syslog:/dev/log"
	case file == "/dev/stdout", file == "/proc/self/fd/1":
		file = "stdout"
	}
	if format != "combined" {
		n.note("the format is combined")
	}
	if strings.HasPrefix(n.arg(3), "env=") || strings.HasPrefix(n.arg(3), "expr=") {
		n.note("every request is logged")
	}
	v.log = v.a.site.log("access", "combined", file, false)
	v.log.from = withOrigin(v.log.from, n.directive)
	n.keep("log %q", v.log.name)
}

// cacheLine reads what switches the cache on, and for which paths. Where it is kept, and when it is cleaned, is gatehouse's business.
func (v *vhost) cacheLine(n *apacheNode) {
	c := v.a.site.cache("pages")
	switch n.name {
	case "cacheenable":
		if where := n.arg(2); where != "" && where != "/" {
			n.refuse("a frontend has a cache as a whole: its rules keep it out of some paths")
			return
		}
		v.cache, v.cachedBy = c, n.directive
		c.from = withOrigin(c.from, n.directive)
		n.keep("cache %q; what may be kept is what servers say", c.name)
	case "cachedisable":
		if !strings.HasPrefix(n.arg(1), "/") {
			n.refuse("it has no path")
			return
		}
		c.bypass = append(c.bypass, prefixPaths(n.arg(1))...)
		c.take("rule", n.directive)
		n.keep("rule { bypass }")
	case "cachemaxfilesize":
		size, err := config.ParseSize(n.arg(1) + "B")
		if err != nil || size < 1 {
			n.refuse("%q is not a number of bytes", n.arg(1))
			return
		}
		c.maxObject = config.FormatSize(size)
		c.take("max_object", n.directive)
		n.keep("max_object")
	}
}
