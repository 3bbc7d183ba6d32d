package convert

import (
	"strings"
)

// repeatable are options that may stand in a service several times and all count.
var repeatable = map[string]bool{"connect": true, "socket": true, "options": true, "checkhost": true, "checkip": true, "checkemail": true, "accept": true, "protocolheader": true, "config": true, "ocspflag": true, "redirect": true}

// A stunnelOption is what is known of an option that is not read by a method: a verdict, and whether it may stand in a service.
type stunnelOption struct {
	verdict Verdict
	reason  string
}

// stunnelGlobals are the options of the whole program.
var stunnelGlobals = map[string]stunnelOption{
	"chroot": {Noted, "there is no chroot: the service manager confines the process"}, "compression": {Folded, "TLS is not compressed: that leaks"},
	"egd": {Folded, "the kernel's random numbers are used"}, "engine": {Refused, "keys are files here"}, "enginectrl": {Refused, "keys are files here"}, "enginedefault": {Refused, "keys are files here"},
	"fips": {Noted, "Go's own FIPS mode is switched on by GODEBUG=fips140=on"}, "foreground": {Folded, "gatehouse stays in the foreground"},
	"iconactive": {Folded, "there is no icon"}, "iconerror": {Folded, "there is no icon"}, "iconidle": {Folded, "there is no icon"}, "taskbar": {Folded, "there is no icon"},
	"log": {Folded, "log files are appended to"}, "provider": {Refused, "keys are files here"}, "providerparameter": {Refused, "keys are files here"}, "setenv": {Folded, "OpenSSL is not used"},
	"rndbytes": {Folded, "the kernel's random numbers are used"}, "rndfile": {Folded, "the kernel's random numbers are used"}, "rndoverwrite": {Folded, "the kernel's random numbers are used"},
	"service": {Folded, "the service manager knows its name"}, "syslog": {Folded, "messages go to stderr, and from there to the journal"}, "debug": {Folded, "messages of all levels that matter go to stderr"},
	"output": {Noted, "messages of the process go to stderr, lines of connections where a log block says"},
}

// stunnelFolds, in a service, and those that are refused or noted there.
var stunnelServiceOptions = map[string]stunnelOption{
	"ciphers": {Noted, "those of Mozilla's profile are used"}, "ciphersuites": {Noted, "those of TLS 1.3 are used"}, "curve": {Noted, "those of Mozilla's profile are used"}, "curves": {Noted, "those of Mozilla's profile are used"},
	"securitylevel": {Noted, "Mozilla's profile counts"}, "config": {Refused, "OpenSSL's commands mean nothing here"}, "delay": {Folded, "names are looked up when they are needed"},
	"debug": {Folded, "messages of all levels that matter go to stderr"}, "logid": {Folded, "connections are numbered"}, "engineid": {Refused, "keys are files here"}, "enginenum": {Refused, "keys are files here"},
	"exec": {Refused, "servers are reached by addresses: let a service manager start the program behind a socket"}, "execargs": {Refused, "servers are reached by addresses"}, "pty": {Refused, "servers are reached by addresses"},
	"ident": {Refused, "clients are not asked who they are by ident"}, "libwrap": {Noted, "hosts.allow and hosts.deny are not read: let the packet filter do it"}, "local": {},
	"ocsp": {Refused, "authorities are not asked about certificates"}, "ocspaia": {Refused, "authorities are not asked about certificates"}, "ocspflag": {Refused, "authorities are not asked about certificates"}, "ocspnonce": {Refused, "authorities are not asked about certificates"}, "ocsprequire": {Refused, "authorities are not asked about certificates"},
	"protocolauthentication": {Refused, "the protocol is not spoken here"}, "protocoldomain": {Refused, "the protocol is not spoken here"}, "protocolheader": {Refused, "the protocol is not spoken here"}, "protocolhost": {Refused, "the protocol is not spoken here"}, "protocolpassword": {Refused, "the protocol is not spoken here"}, "protocolusername": {Refused, "the protocol is not spoken here"},
	"pskidentity": {Refused, "TLS is by certificates here"}, "psksecrets": {Refused, "TLS is by certificates here, without them everybody would get in"},
	"redirect": {Refused, "clients without a certificate are not sent elsewhere"}, "renegotiation": {Folded, "there is none"}, "reset": {Folded, "a broken connection is told as such"},
	"retry": {Folded, "every new connection is tried"}, "retrydelay": {Folded, "every new connection is tried"}, "sessioncachesize": {Folded, "sessions are resumed by tickets"}, "sessioncachetimeout": {Folded, "sessions are resumed by tickets"}, "sessionresume": {Folded, "sessions are resumed by tickets"},
	"sessiond": {Noted, "sessions are resumed by tickets: several machines share none"}, "stack": {Folded, "a connection has no thread"}, "ticketkeysecret": {Noted, "tickets are sealed with keys of gatehouse's own"}, "ticketmacsecret": {Noted, "tickets are sealed with keys of gatehouse's own"},
	"timeoutclose": {Folded, "connections are closed at once when both sides are done"}, "timeoutocsp": {Folded, "authorities are not asked about certificates"}, "transparent": {Refused, "servers see gatehouse's address: send_proxy tells the client's"},
	"socket": {}, "options": {}, "retryinterval": {Folded, "every new connection is tried"}, "xforwardedfor": {}, "rotatefailover": {Folded, ""},
	"accept": {}, "connect": {}, "cert": {}, "key": {}, "cafile": {}, "capath": {}, "caengine": {Refused, "keys are files here"}, "crlfile": {}, "crlpath": {}, "verify": {}, "verifychain": {}, "verifypeer": {}, "requirecert": {},
	"checkhost": {}, "checkip": {}, "checkemail": {}, "client": {}, "failover": {}, "sni": {}, "protocol": {}, "sslversion": {}, "sslversionmin": {}, "sslversionmax": {},
	"timeoutbusy": {}, "timeoutconnect": {}, "timeoutidle": {}, "setuid": {}, "setgid": {},
}

func isServiceOption(name string) bool {
	name = strings.ToLower(name)
	_, ok := stunnelServiceOptions[name]
	return ok && name != "setuid" && name != "setgid" && name != "debug"
}

// stunnelGlobal judges an option that stands before all sections.
func stunnelGlobal(p *pile, d *directive) {
	name := strings.ToLower(d.words[0])
	g := &p.site.global
	switch o, ok := stunnelGlobals[name]; {
	case name == "setuid" || name == "setgid":
		attr, to := "user", &g.user
		if name == "setgid" {
			attr, to = "group", &g.group
		}
		if *to != "" && *to != d.words[1] {
			d.note("the %s is %q already", attr, *to)
			return
		}
		*to = d.words[1]
		g.take(attr, d)
		d.keep("%s", attr)
	case name == "pid" && d.words[1] == "":
		d.fold("the default: no such file")
	case name == "pid":
		if g.pidFile != "" && g.pidFile != d.words[1] {
			d.fold("one process has one file: %s", g.pidFile)
			return
		}
		g.pidFile = d.words[1]
		g.take("pid_file", d)
		d.keep("pid_file")
	case ok:
		d.judge(o.verdict, "%s", o.reason)
	case isServiceOption(name):
	default:
		d.refuse("there is no option %q", d.words[0])
	}
}
