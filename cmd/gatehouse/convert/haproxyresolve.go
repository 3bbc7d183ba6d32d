package convert

// resolve takes out of the directives what another one replaces, those with "no" before them included.
func (x *proxy) resolve(inherited int) {
	winner := map[string]int{}
	for i, d := range x.eff {
		if name := once(d.words); name != "" {
			winner[name] = i
		}
	}
	var eff []*directive
	for i, d := range x.eff {
		name := once(d.words)
		if name != "" && winner[name] != i {
			by := x.eff[winner[name]]
			if i >= inherited || d.Verdict == unjudged {
				d.fold("replaced at %s", by.place())
			}
			x.carry(d)
			continue
		}
		if d.words[0] == "no" || d.words[0] == "default" && len(d.words) > 1 {
			d.fold("switched off")
			if d.arg(1) == "option" && d.arg(2) == "redispatch" {
				x.noRedis = d
			}
			x.carry(d)
			continue
		}
		if name != "" {
			x.last[name] = d
		}
		eff = append(eff, d)
	}
	x.eff = eff
}

// carry keeps the comments of a directive that is not used for the next one.
func (x *proxy) carry(d *directive) {
	x.head.comments = append(x.head.comments, d.comments...)
	d.comments = nil
}

// once returns what a directive sets if a later one of that kind replaces it, else "". Old and new words for one thing are one.
func once(words []string) string {
	w := words
	if w[0] == "no" || w[0] == "default" {
		w = w[1:]
	}
	if len(w) == 0 {
		return ""
	}
	second := ""
	if len(w) > 1 {
		second = w[1]
	}
	switch w[0] {
	case "option":
		switch second {
		case "httpchk", "ssl-hello-chk", "tcp-check", "smtpchk", "ldap-check", "mysql-check", "pgsql-check", "redis-check", "spop-check", "external-check":
			return "check"
		case "httpclose", "forceclose", "http-server-close", "http-keep-alive", "http-tunnel":
			return "option close"
		case "httplog", "tcplog", "httpslog":
			return "log format"
		case "independant-streams":
			second = "independent-streams"
		}
		return "option " + second
	case "timeout":
		if second == "clitimeout" {
			second = "client"
		}
		return "timeout " + second
	case "contimeout":
		return "timeout connect"
	case "clitimeout":
		return "timeout client"
	case "srvtimeout":
		return "timeout server"
	case "redisp", "redispatch":
		return "option redispatch"
	case "transparent":
		return "option transparent"
	case "mode", "balance", "cookie", "retries", "maxconn", "fullconn", "grace", "dispatch", "source", "default_backend", "monitor-uri",
		"backlog", "log-format", "log-format-sd", "log-tag", "error-log-format", "hash-type", "http-reuse", "id", "guid", "description", "unique-id-format", "unique-id-header",
		"dynamic-cookie-key", "load-server-state-from-file", "server-state-file-name", "max-keep-alive-queue", "http-send-name-header", "retry-on",
		"external-check-path", "max-session-srv-conns":
		return w[0]
	case "enabled", "disabled":
		return "disabled"
	case "errorfile", "errorloc", "errorloc302", "errorloc303":
		return "error " + second
	case "rate-limit", "email-alert", "compression":
		return w[0] + " " + second
	case "stats":
		if second == "auth" || second == "admin" || second == "http-request" {
			return ""
		}
		return "stats " + second
	}
	return ""
}
