package convert

import (
	"slices"
	"strings"
)

// log notes a destination of the section.
func (x *proxy) log(d *directive) {
	if d.arg(1) == "global" {
		d.fold("the global section names no destination")
		x.logTargets = append(x.logTargets, x.h.logs...)
		if len(x.h.logs) > 0 {
			d.keep("the log of the global section")
		}
		return
	}
	if x.f == nil {
		d.fold("the log is the frontend's")
		return
	}
	x.logTargets = append(x.logTargets, d)
}

// quietLevels are the levels above that of request lines: a destination for those never got any.
var quietLevels = []string{"emerg", "alert", "crit", "err", "warning", "notice"}

// logs gives the front its log: the first destination that gets the lines of requests.
func (x *proxy) logs() {
	var log *logTo
	for _, d := range x.logTargets {
		out, level, remark := logTarget(d.args(1))
		switch {
		case out == "":
			d.refuse("%s", remark)
		case slices.Contains(quietLevels, level):
			d.judge(Folded, "lines of requests have level info and never came there; messages of the process go to stderr")
		case log == nil:
			log = x.h.site.log("access", "", out, x.dontlog == nil)
			log.from = withOrigin(log.from, d)
			if x.logFormat != nil {
				log.from = withAttr(log.from, "format", x.logFormat)
			}
			log.say("", d)
			if x.logFormat == nil && !x.tcp {
				d.note("the line is httplog's, which says more than HAProxy's shortest one did")
			}
			if remark != "" {
				d.note("%s", remark)
			}
			d.keep("log %q", log.name)
		default:
			if !slices.Contains(log.from[""], d) {
				d.refuse("a frontend has one log")
			}
		}
	}
	if log == nil && x.logFormat != nil && len(x.logTargets) == 0 && slices.Contains(x.own, x.logFormat) {
		log = x.h.site.log("access", "", "stdout", x.dontlog == nil)
		log.from = withOrigin(log.from, x.logFormat)
		x.logFormat.note("no log line names a destination: the lines go to stdout")
	}
	x.f.log = log
}

// logTarget reads ADDRESS [WORD VALUE…] FACILITY [LEVEL [MINLEVEL]].
func logTarget(words []string) (out, level, remark string) {
	if len(words) == 0 {
		return "", "", "it names no destination"
	}
	addr := words[0]
	rest := words[1:]
	for len(rest) >= 2 && slices.Contains([]string{"len", "format", "sample", "profile"}, rest[0]) {
		if rest[0] == "sample" {
			remark = "every line is written"
		}
		rest = rest[2:]
	}
	if len(rest) > 0 && rest[0] != "local0" {
		remark = "lines come as facility local0"
	}
	if len(rest) > 1 {
		level = rest[1]
	}
	switch {
	case addr == "stdout" || addr == "stderr":
		return addr, level, strings.TrimPrefix(remark, "lines come as facility local0")
	case addr == "fd@1":
		return "stdout", level, ""
	case addr == "fd@2":
		return "stderr", level, ""
	case addr == "/dev/log":
		return "syslog:/dev/log", level, remark
	case addr == "/dev/stdout":
		return "stdout", level, ""
	case strings.HasPrefix(addr, "ring@"), strings.HasPrefix(addr, "backend@"), strings.HasPrefix(addr, "tcp"), strings.HasPrefix(addr, "fd@"), strings.HasPrefix(addr, "abns"):
		return "", level, "lines go to a file, to stdout or stderr, or to syslog by UDP or by its socket"
	}
	if p, ok := unixPath(addr); ok {
		return "syslog:" + p, level, remark
	}
	for _, prefix := range []string{"udp@", "udp4@", "udp6@", "ipv4@", "ipv6@"} {
		addr = strings.TrimPrefix(addr, prefix)
	}
	host, port := splitPort(addr)
	if port == "" {
		port = "514"
	}
	if host == "" {
		return "", level, "it names no destination"
	}
	return "syslog:udp:" + joinPort(host, port), level, remark
}
