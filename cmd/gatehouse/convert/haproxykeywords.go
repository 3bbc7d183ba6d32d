package convert

// A keyword is what is known of a word of a frontend, backend, listen or defaults section.
type keyword struct {
	side    byte // 'f' and 'b': counts in frontends or backends alone
	http    bool // counts in mode http alone
	do      func(*proxy, *directive)
	verdict Verdict // where there is nothing to do
	reason  string
}

// keywordOf finds the keyword of a directive: two words after option, timeout, http-check and the like, else one.
func keywordOf(words []string) *keyword {
	w := words
	if w[0] == "no" || w[0] == "default" {
		w = w[1:]
	}
	if len(w) > 1 {
		if k, ok := haproxyKeywords[w[0]+" "+w[1]]; ok {
			return k
		}
	}
	if len(w) > 0 {
		return haproxyKeywords[w[0]]
	}
	return nil
}

func does(side byte, do func(*proxy, *directive)) *keyword { return &keyword{side: side, do: do} }
func doesHTTP(side byte, do func(*proxy, *directive)) *keyword {
	return &keyword{side: side, http: true, do: do}
}
func folds(reason string) *keyword   { return &keyword{verdict: Folded, reason: reason} }
func notes(reason string) *keyword   { return &keyword{verdict: Noted, reason: reason} }
func refuses(reason string) *keyword { return &keyword{verdict: Refused, reason: reason} }

const (
	reasonTables   = "there are no tables of what clients did here: stickiness is by cookie, or by balance"
	reasonStrict   = "messages are read strictly here: broken ones are refused"
	reasonPattern  = "this pattern is no list of paths and prefixes, which is what routes know"
	reasonPatterns = "requests are not judged by patterns here: routes go by path and host"
	reasonReuse    = "connections to servers are kept and reused with care here"
	reasonEdit     = "a value is set as a whole here: patterns and replacements in it are not"
	reasonPaths    = "requests reach servers as they came: paths are not rewritten in this version"
	reasonFilters  = "answers are not filtered here"
	reasonErrors   = "error pages cannot be configured: the built-in ones are sent"
	reasonWeaker   = "becomes a check that the port accepts connections"
	reasonCapture  = "the log line has no such field"
	reasonConstant = "the same here"
	reasonGzip     = "answers pass as the servers compressed them"
)

// haproxyKeywords is every keyword of the proxy sections, from 1.1 to 3.x. It is filled in init because handlers refer to it.
var haproxyKeywords map[string]*keyword

func init() {
	haproxyKeywords = map[string]*keyword{
		// what a section is
		"mode":         {do: func(_ *proxy, d *directive) {}},
		"bind":         does('f', (*proxy).bindLine),
		"description":  notes("put it into a comment"),
		"id":           folds("blocks are known by their names"),
		"guid":         folds("blocks are known by their names"),
		"disabled":     {do: func(x *proxy, d *directive) { x.disabled = d; d.keep("the section is left out") }},
		"enabled":      folds("the default"),
		"bind-process": folds("one process uses all processors"),
		"maxconn":      does('f', (*proxy).maxconn),
		"backlog":      folds("the kernel's limit counts"),
		"grace":        does('f', (*proxy).grace),
		"rate-limit":   refuses("rates are not limited here: limits { per_source } bounds connections"),

		// who answers
		"balance":                does('b', (*proxy).balance),
		"hash-type":              does('b', (*proxy).hashType),
		"hash-balance-factor":    notes("load does not move hashed requests to other servers"),
		"hash-preserve-affinity": folds(reasonConstant),
		"cookie":                 doesHTTP('b', (*proxy).cookie),
		"dynamic-cookie-key":     refuses("give every server a cookie of its own"),
		"appsession":             refuses("sessions are not learnt from answers here: use a cookie in mode prefix"),
		"capture":                notes(reasonCapture),
		"declare":                notes(reasonCapture),
		"server":                 does('b', (*proxy).server),
		"server-template":        refuses("write a server for each address: a name is one server"),
		"default-server":         does('b', func(x *proxy, d *directive) { x.defServer = append(x.defServer, d); d.keep("in each server") }),
		"dispatch":               does('b', (*proxy).dispatchTo),
		"source":                 does('b', func(x *proxy, d *directive) { x.source = d; d.keep("in each server") }),
		"usesrc":                 refuses("servers see gatehouse's address"),
		"use-server":             refuses("a route leads to a backend: make one of that server"),
		"retries":                does('b', (*proxy).retries),
		"retry-on":               notes("what is safe to repeat is repeated here, whatever the cause"),
		"redispatch":             does('b', (*proxy).redispatch),
		"redisp":                 does('b', (*proxy).redispatch),
		"fullconn":               does('b', func(x *proxy, d *directive) { x.count(d, 1, &x.b.fullConn, &x.b.node, "full_conn") }),
		"max-session-srv-conns":  folds(reasonReuse),
		"http-reuse":             folds(reasonReuse),
		"max-keep-alive-queue":   folds(reasonReuse),
		"pool-max-conn":          folds(reasonReuse),
		"use_backend":            does('f', (*proxy).useBackend),
		"default_backend":        does('f', (*proxy).defaultBackend),
		"acl":                    {do: (*proxy).acl},

		// health
		"http-check":                  doesNeutralHTTP((*proxy).httpCheck),
		"tcp-check":                   does('b', (*proxy).tcpCheck),
		"external-check":              refuses("checks run no programs here"),
		"email-alert":                 notes("no mail is sent: watch the log or the status page"),
		"load-server-state-from-file": folds("what the operator did to servers is kept by itself"),
		"server-state-file-name":      folds("what the operator did to servers is kept by itself"),
		"monitor-net":                 does('f', (*proxy).monitorNet),
		"monitor-uri":                 doesHTTP('f', (*proxy).monitorURI),
		"monitor":                     doesHTTP('f', (*proxy).monitorFail),

		// waiting
		"timeout":    {do: (*proxy).timeout},
		"contimeout": does('b', func(x *proxy, d *directive) { x.wait(d, "connect", d.arg(1)) }),
		"clitimeout": does('f', func(x *proxy, d *directive) { x.wait(d, "client", d.arg(1)) }),
		"srvtimeout": does('b', func(x *proxy, d *directive) { x.wait(d, "server", d.arg(1)) }),

		// rules
		"redirect":            doesHTTP(0, (*proxy).redirect),
		"http-request":        doesHTTP(0, (*proxy).httpRequest),
		"http-response":       doesHTTP(0, (*proxy).httpResponse),
		"http-after-response": doesHTTP(0, (*proxy).httpResponse),
		"tcp-request":         {do: (*proxy).tcpRequest},
		"tcp-response":        refuses("answers in mode tcp are not looked at here"),
		"quic-initial":        refuses("what begins a connection over QUIC is not judged here"),
		"block":               doesHTTP('f', (*proxy).block),
		"reqadd":              doesHTTP(0, func(x *proxy, d *directive) { x.reqadd(d, false) }), "reqallow": doesHTTP(0, old(reasonPatterns)), "reqiallow": doesHTTP(0, old(reasonPatterns)),
		"reqdel": doesHTTP(0, func(x *proxy, d *directive) { x.reqdel(d, false) }), "reqidel": doesHTTP(0, func(x *proxy, d *directive) { x.reqdel(d, false) }),
		"reqdeny": doesHTTP(0, old("a route with respond = 403 denies by path or host")), "reqideny": doesHTTP(0, old("a route with respond = 403 denies by path or host")),
		"reqpass": doesHTTP(0, old(reasonPatterns)), "reqipass": doesHTTP(0, old(reasonPatterns)),
		"reqrep": doesHTTP(0, (*proxy).reqrep), "reqirep": doesHTTP(0, (*proxy).reqrep),
		"reqtarpit": doesHTTP(0, old("nobody is kept waiting on purpose")), "reqitarpit": doesHTTP(0, old("nobody is kept waiting on purpose")),
		"reqsetbe": doesHTTP(0, old("a route leads to a backend by path and host")), "reqisetbe": doesHTTP(0, old("a route leads to a backend by path and host")),
		"rspadd": doesHTTP(0, func(x *proxy, d *directive) { x.reqadd(d, true) }),
		"rspdel": doesHTTP(0, func(x *proxy, d *directive) { x.reqdel(d, true) }), "rspidel": doesHTTP(0, func(x *proxy, d *directive) { x.reqdel(d, true) }),
		"rsprep": doesHTTP(0, old(reasonEdit)), "rspirep": doesHTTP(0, old(reasonEdit)),
		"rspdeny": doesHTTP(0, old(reasonFilters)), "rspideny": doesHTTP(0, old(reasonFilters)),
		"errorfile": doesHTTP(0, noted(reasonErrors)), "errorfiles": doesHTTP(0, noted(reasonErrors)),
		"errorloc": doesHTTP(0, noted(reasonErrors)), "errorloc302": doesHTTP(0, noted(reasonErrors)), "errorloc303": doesHTTP(0, noted(reasonErrors)),
		"cliexp": doesHTTP(0, old(reasonEdit)), "srvexp": doesHTTP(0, old(reasonEdit)),
		"unique-id-format": refuses("requests get no number here"), "unique-id-header": refuses("requests get no number here"),
		"http-send-name-header": refuses("servers are not told their names"),
		"compression":           doesHTTP(0, (*proxy).compression),
		"filter":                {do: (*proxy).filter},
		"persist":               refuses(reasonTables),
		"ignore-persist":        refuses("a cookie counts for every request here"),
		"force-persist":         refuses(`on_fail = "drain" keeps holders of a cookie on a failed server, everybody alike`),
		"stick":                 refuses(reasonTables), "stick-table": refuses(reasonTables),

		// logs and statistics
		"log":              {do: (*proxy).log},
		"log-format":       notes(`the line has one of the formats of log.format`),
		"log-format-sd":    notes(`the line has one of the formats of log.format`),
		"error-log-format": notes(`the line has one of the formats of log.format`),
		"log-tag":          notes("lines are tagged gatehouse"),
		"log-steps":        notes("one line for each exchange, at its end"),
		"stats":            {do: func(x *proxy, d *directive) { x.stats = append(x.stats, d); d.keep("the status page") }},
		"max-http-hdr":     notes("see limits"),
		"transparent":      refuses("requests are not sent to where the client meant to connect"),
		"dynamic-update":   folds(reasonConstant),
		"clitcpka-cnt":     folds(reasonConstant),
		"clitcpka-idle":    folds(reasonConstant),
		"clitcpka-intvl":   folds(reasonConstant),
		"srvtcpka-cnt":     folds(reasonConstant),
		"srvtcpka-idle":    folds(reasonConstant),
		"srvtcpka-intvl":   folds(reasonConstant),
		"option":           {do: func(_ *proxy, d *directive) { d.refuse("there is no option %q here", d.arg(1)) }},
		"option httplog":   {do: func(x *proxy, d *directive) { x.logFormat = d; d.keep("the format of the log") }},
		"option httpslog": {do: func(x *proxy, d *directive) {
			x.logFormat = d
			d.note("the line is httplog's: it has no words about TLS")
		}},
		"option tcplog":      {do: func(x *proxy, d *directive) { x.logFormat = d; d.keep("the format of the log in mode tcp") }},
		"option dontlognull": {do: func(x *proxy, d *directive) { x.dontlog = d; d.fold("the default") }},

		"option dontlog-normal":                            notes("exchanges that went well are logged too"),
		"option log-separate-errors":                       folds("errors are told by their status"),
		"option log-health-checks":                         folds("changes of health are logged to stderr"),
		"option logasap":                                   notes("the line comes when all is known, at the end"),
		"option contstats":                                 folds("counters move as things happen"),
		"option socket-stats":                              folds(reasonConstant),
		"option forwardfor":                                doesNeutralHTTP((*proxy).forwardfor),
		"option originalto":                                refuses("the address a client came to is not told to servers"),
		"option httpclose":                                 doesNeutralHTTP((*proxy).httpclose),
		"option forceclose":                                doesNeutralHTTP((*proxy).httpclose),
		"option http-server-close":                         doesNeutralHTTP(folded(reasonReuse)),
		"option http-keep-alive":                           folds("the default"),
		"option http-tunnel":                               doesNeutralHTTP(old("every request of a connection is looked at here")),
		"option http-pretend-keepalive":                    folds(reasonReuse),
		"option prefer-last-server":                        notes("a request without a cookie goes to the server whose turn it is"),
		"option persist":                                   does('b', func(x *proxy, d *directive) { x.persist = d; d.keep(`on_fail = "drain"`) }),
		"option redispatch":                                does('b', (*proxy).redispatch),
		"option allbackups":                                does('b', func(x *proxy, d *directive) { x.b.allBackups = true; x.b.take("all_backups", d); d.keep("all_backups") }),
		"option abortonclose":                              doesNeutralHTTP(func(x *proxy, d *directive) { d.fold("the default") }),
		"option nolinger":                                  folds(reasonConstant),
		"option httpchk":                                   does('b', (*proxy).httpchkOption),
		"option ssl-hello-chk":                             does('b', func(x *proxy, d *directive) { x.checkKind, x.checkBy, d.hold = "tls", d, true; d.keep(`check "tls"`) }),
		"option tcp-check":                                 does('b', func(x *proxy, d *directive) { x.checkKind, x.checkBy, d.hold = "tcp", d, true; d.keep(`check "tcp"`) }),
		"option smtpchk":                                   does('b', (*proxy).weakerCheck),
		"option ldap-check":                                does('b', (*proxy).weakerCheck),
		"option mysql-check":                               does('b', (*proxy).weakerCheck),
		"option pgsql-check":                               does('b', (*proxy).weakerCheck),
		"option redis-check":                               does('b', (*proxy).weakerCheck),
		"option spop-check":                                does('b', (*proxy).weakerCheck),
		"option external-check":                            does('b', (*proxy).weakerCheck),
		"option tcpka":                                     folds("connections are probed by the kernel"),
		"option clitcpka":                                  folds("connections are probed by the kernel"),
		"option srvtcpka":                                  folds("connections are probed by the kernel"),
		"option keepalive":                                 folds("connections are probed by the kernel"),
		"option splice-auto":                               folds("bytes take the shortest way by themselves"),
		"option splice-request":                            folds("bytes take the shortest way by themselves"),
		"option splice-response":                           folds("bytes take the shortest way by themselves"),
		"option tcp-smart-accept":                          folds(reasonConstant),
		"option tcp-smart-connect":                         folds(reasonConstant),
		"option transparent":                               refuses("requests are not sent to where the client meant to connect"),
		"option http_proxy":                                refuses("gatehouse is no forward proxy"),
		"option http-buffer-request":                       notes("content is passed on as it comes, at a least rate"),
		"option http-ignore-probes":                        folds("connections without a request are neither answered nor logged"),
		"option http-no-delay":                             folds(reasonConstant),
		"option http-use-htx":                              folds(reasonConstant),
		"option http-use-proxy-header":                     refuses("gatehouse is no forward proxy"),
		"option http-drop-request-trailers":                folds(reasonConstant),
		"option http-drop-response-trailers":               folds(reasonConstant),
		"option checkcache":                                doesHTTP('b', old("answers are not held back; what carries the persistence cookie is made private here")),
		"option accept-invalid-http-request":               doesHTTP(0, old(reasonStrict)),
		"option accept-unsafe-violations-in-http-request":  doesHTTP(0, old(reasonStrict)),
		"option accept-invalid-http-response":              doesHTTP(0, old(reasonStrict)),
		"option accept-unsafe-violations-in-http-response": doesHTTP(0, old(reasonStrict)),
		"option idle-close-on-response":                    folds(reasonReuse),
		"option independent-streams":                       notes("a connection lives while either side moves"),
		"option independant-streams":                       notes("a connection lives while either side moves"),
		"option http-restrict-req-hdr-names":               folds("fields with an underscore are dropped by default"),
		"option disable-h2-upgrade":                        folds("HTTP/1.1 is spoken"),
		"option h1-case-adjust-bogus-client":               folds("fields keep their spelling"),
		"option h1-case-adjust-bogus-server":               folds("fields keep their spelling"),
		"option assume-rfc6265-cookies":                    folds(reasonConstant),
		"option use-small-buffers":                         folds(reasonConstant),
	}
}

// doesNeutralHTTP is for words of HTTP that files for mode tcp often hold too: they say nothing about the mode that was meant.
func doesNeutralHTTP(do func(*proxy, *directive)) *keyword {
	return &keyword{do: func(x *proxy, d *directive) {
		if x.tcp && d.arg(0) != "http-check" {
			d.fold("has no effect in mode tcp")
			return
		}
		do(x, d)
	}}
}

func old(reason string) func(*proxy, *directive) {
	return func(_ *proxy, d *directive) { d.refuse("%s", reason) }
}

func noted(reason string) func(*proxy, *directive) {
	return func(_ *proxy, d *directive) { d.note("%s", reason) }
}

func folded(reason string) func(*proxy, *directive) {
	return func(_ *proxy, d *directive) { d.fold("%s", reason) }
}
