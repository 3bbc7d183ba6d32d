package convert

import (
	"strings"
)

// globalFolds are words of the global section that need no counterpart, and why.
var globalFolds = map[string]string{
	"daemon": "the service manager puts it into the background", "nbproc": "one process uses all processors", "nbthread": "one process uses all processors",
	"cpu-map": "the kernel places threads", "cpu-set": "the kernel places threads", "cpu-policy": "the kernel places threads", "thread-groups": "one process uses all processors",
	"master-worker": "a reload happens inside the process", "mworker-max-reloads": "a reload happens inside the process",
	"quiet": "there is no chatter to silence", "debug": "see log", "verbose": "see log", "zero-warning": `"gatehouse validate" says what is wrong`,
	"ulimit-n": "raised to the hard limit at start", "fd-hard-limit": "raised to the hard limit at start", "strict-limits": "raised to the hard limit at start",
	"spread-checks": "checks are spread by themselves", "max-spread-checks": "checks are spread by themselves",
	"node": "the host's name", "description": "put it into a comment", "localpeer": "there are no peers",
	"noepoll": "epoll is used", "nokqueue": "epoll is used", "nopoll": "epoll is used", "noevports": "epoll is used", "nosplice": "bytes take the shortest way by themselves",
	"nogetaddrinfo": "names are looked up by the machine's resolver", "noreuseport": "addresses are handed over inside the process", "noktls": "TLS is Go's", "limited-quic": "not needed",
	"server-state-base": "what the operator did to servers is kept by itself", "server-state-file": "what the operator did to servers is kept by itself", "load-server-state-from-file": "what the operator did to servers is kept by itself",
	"log-send-hostname": "the host's name is sent", "ssl-engine": "TLS is Go's", "ssl-mode-async": "TLS is Go's", "ssl-dh-param-file": "no such key exchange is offered", "ssl-skip-self-issued-ca": "chains are sent as they are",
	"ssl-load-extra-files": "a certificate file holds chain and key", "ssl-load-extra-del-ext": "a certificate file holds chain and key", "busy-polling": "the kernel wakes whoever has work", "wurfl-data-file": "clients are not told apart by their devices",
	"set-dumpable": "see the service manager", "prealloc-fd": "not needed", "profiling.tasks": "not needed", "profiling.memory": "not needed", "anonkey": "not needed", "shm-stats-file": "not needed",
	"presetenv": "counts while the old file is read", "setenv": "counts while the old file is read", "unsetenv": "counts while the old file is read", "resetenv": "counts while the old file is read",
	"close-spread-time": "see shutdown_grace", "h1-case-adjust": "fields keep their spelling", "h1-case-adjust-file": "fields keep their spelling", "expose-experimental-directives": "not needed", "expose-deprecated-directives": "not needed",
	"51degrees-data-file": "clients are not told apart by their devices", "external-check": "checks run no programs here", "insecure-fork-wanted": "checks run no programs here", "insecure-setuid-wanted": "not needed",
	"default-path": "a relative path belongs to the new configuration's directory", "stats-file": "counters begin anew at a restart", "pp2-never-send-local": "not needed", "dns-accept-family": "both families are used", "tune": "sizes are not tuned here",
}

// globalNotes are words that something is lost with.
var globalNotes = map[string]string{
	"chroot": "there is no chroot: the service manager confines the process", "uid": "write the user's name", "gid": "write the group's name", "unix-bind": "who may connect is told by the directory's permissions",
	"ssl-default-bind-ciphers": "those of Mozilla's profile are used", "ssl-default-bind-ciphersuites": "those of Mozilla's profile are used", "ssl-default-bind-curves": "those of Mozilla's profile are used",
	"ssl-default-server-ciphers": "those of Mozilla's profile are used", "ssl-default-server-ciphersuites": "those of Mozilla's profile are used", "ssl-default-server-curves": "those of Mozilla's profile are used", "ssl-default-bind-sigalgs": "those of Mozilla's profile are used", "ssl-default-bind-client-sigalgs": "those of Mozilla's profile are used",
	"ssl-default-server-sigalgs": "those of Mozilla's profile are used", "ssl-default-server-client-sigalgs": "those of Mozilla's profile are used", "ssl-default-server-options": "the best both sides know is spoken, at least TLS 1.2", "ssl-security-level": "Mozilla's profile counts",
	"maxconnrate": "rates are not limited here", "maxsessrate": "rates are not limited here", "maxsslrate": "rates are not limited here", "maxsslconn": "see max_connections", "maxpipes": "not needed", "maxcomprate": "what compressing takes is bounded by compress { memory } alone", "maxcompcpuusage": "what compressing takes is bounded by compress { memory } alone", "maxzlibmem": "write compress { memory } in the frontends",
	"log-tag": "lines are tagged gatehouse", "hard-stop-after": "", "email-alert": "no mail is sent", "httpclient.ssl.verify": "not needed", "httpclient.resolvers.id": "not needed", "h2-workaround-bogus-websocket-clients": "not needed", "warn-blocked-traffic-after": "not needed", "force-cfg-parser-pause": "not needed",
	"no-quic": "HTTP/3 is spoken where a bind says so", "ocsp-update.mode": "answers of the authority are not stapled", "tune.ssl.ocsp-update.mindelay": "answers of the authority are not stapled", "ssl-server-verify": "", "cluster-secret": "not needed",
}

// global reads a global section.
func (h *haproxy) global(sec *section) {
	g := &h.site.global
	g.say("", sec.head)
	sec.head.keep("global")
	for _, d := range sec.body {
		h.globalLine(g, d)
		if len(d.comments) > 0 {
			h.site.head = append(h.site.head, d.comments...)
			d.comments = nil
		}
	}
}

func (h *haproxy) globalLine(g *global, d *directive) {
	switch d.arg(0) {
	case "maxconn":
		if n := atoi(d.arg(1)); n > 0 {
			g.maxConn = n
			g.take("max_connections", d)
			d.keep("max_connections")
		} else {
			d.refuse("%q is not a number of connections", d.arg(1))
		}
	case "user":
		g.user = d.arg(1)
		g.take("user", d)
		d.keep("user")
	case "group":
		g.group = d.arg(1)
		g.take("group", d)
		d.keep("group")
	case "pidfile":
		g.pidFile = d.arg(1)
		g.take("pid_file", d)
		d.keep("pid_file")
	case "log":
		h.logs = append(h.logs, d)
		d.fold("no section says: log global")
	case "hard-stop-after", "grace":
		v, _, ok := parseHAProxyTime(d.arg(1))
		if !ok {
			d.refuse("%q is not a time", d.arg(1))
			return
		}
		if d.arg(0) == "grace" {
			d.note("write grace in the frontends it is for")
			return
		}
		g.grace = &v
		g.take("shutdown_grace", d)
		d.keep("shutdown_grace")
	case "tune.comp.maxlevel":
		h.compLevel = d
		d.fold("nothing is compressed")
	case "ca-base":
		h.caBase = d.arg(1)
		d.keep("in the paths of files")
	case "crt-base":
		h.crtBase = d.arg(1)
		d.keep("in the paths of files")
	case "ssl-server-verify":
		h.verifyNone = d.arg(1) == "none"
		d.keep("in each server with TLS")
	case "ssl-default-bind-options":
		h.bindDefaults(d)
	case "stats":
		h.globalStats(d)
	default:
		h.globalOther(d)
	}
}

func (h *haproxy) globalOther(d *directive) {
	word := d.arg(0)
	if word == "no" {
		d.fold("switched off")
		return
	}
	if reason, ok := globalFolds[word]; ok {
		d.fold("%s", reason)
		return
	}
	if reason, ok := globalNotes[word]; ok {
		d.note("%s", reason)
		return
	}
	switch {
	case strings.HasPrefix(word, "tune."), strings.HasPrefix(word, "profiling."), strings.HasPrefix(word, "numa-"):
		d.fold("sizes are not tuned here")
	case strings.HasPrefix(word, "lua-"):
		d.refuse("there are no scripts here")
	case strings.HasPrefix(word, "insecure-"), strings.HasPrefix(word, "httpclient."), strings.HasPrefix(word, "acme."):
		d.fold("not needed")
	case strings.HasPrefix(word, "deviceatlas-"), strings.HasPrefix(word, "51degrees-"), strings.HasPrefix(word, "wurfl-"):
		d.refuse("clients are not told apart by their devices here")
	case word == "set-var", word == "set-var-fmt":
		d.refuse("there are no variables in requests")
	case word == "issuers-chain-path":
		d.note("a certificate file holds its whole chain")
	case word == "ssl-propquery", word == "ssl-provider", word == "ssl-provider-path":
		d.fold("TLS is Go's")
	}
}

// bindDefaults reads what all binds with TLS have in common.
func (h *haproxy) bindDefaults(d *directive) {
	words := d.args(1)
	for i := 0; i < len(words); i++ {
		switch w := words[i]; w {
		case "ssl-min-ver":
			if i++; i < len(words) {
				min, remark := minVersion(words[i])
				h.minVersion, h.minBy = min, d
				if remark != "" {
					d.note("%s", remark)
				}
			}
			d.keep("min_version")
		case "no-tlsv12":
			h.minVersion, h.minBy = "1.3", d
			d.keep("min_version")
		case "no-sslv3", "no-tlsv10", "no-tlsv11", "prefer-client-ciphers":
			d.fold("never spoken here")
		case "no-tls-tickets":
			d.note("sessions are resumed with keys of gatehouse's own")
		case "strict-sni":
			d.note("write strict_sni in the tls blocks")
		case "ssl-max-ver":
			i++
			d.note("the newest version both sides know is spoken")
		default:
			d.note("%s: the newest version both sides know is spoken, at least TLS 1.2", w)
		}
	}
	d.fold("")
}
