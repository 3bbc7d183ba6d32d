package main

// The reasons that both lists give.
const (
	whyCookie   = "an inserted cookie is hidden from scripts, kept to TLS and to this site, unless the configuration says otherwise"
	whyPrivate  = "whatever carries the persistence cookie is private, in one Cache-Control: no cache outside may hand it on"
	whyForged   = "what a client says about itself in X-Forwarded-For is replaced, not passed on or appended to"
	whyPages    = "gatehouse's own pages are its own, and response_headers are for them too"
	whyLengths  = "a request with both a length and chunks is how requests are smuggled: it is refused"
	whyVersion  = "servers are spoken to in HTTP/1.1, whatever the client speaks"
	whyNameless = "a page without a host comes from the server, which gets an empty one"
)

// fromStunnelAndHAProxy is what changes for who moves in from stunnel 5 and HAProxy 2.6 or later.
var fromStunnelAndHAProxy = []movingDifference{
	{why: "servers are told of TLS: HAProxy behind a stunnel did not know of it", steps: []string{"*"}, new: []string{"asked with x-forwarded-proto: http*"}},
	{why: whyCookie, steps: []string{"newcomer", "cookie of an unknown server", "cached page, newcomer", "cached page that newcomers ask for first", "the same, another newcomer",
		"newcomer redirected by the server", "another newcomer redirected by the server", "its server is down", "newcomer while one is down"},
		old: []string{"field set-cookie: SERVERID=‹who answered›; path=/"}, new: []string{"field set-cookie: SERVERID=‹who answered›; path=/; HttpOnly; Secure; SameSite=Lax"}},
	{why: whyPrivate + "; HAProxy adds it only to what says how long it is fresh", steps: []string{"newcomer", "cookie of an unknown server", "its server is down", "newcomer while one is down"},
		new: []string{"field cache-control: private"}},
	{why: whyPrivate + "; HAProxy adds a second line", steps: []string{"cached page, newcomer", "cached page that newcomers ask for first", "the same, another newcomer"},
		old: []string{"field cache-control: max-age=60", "field cache-control: private"}, new: []string{"field cache-control: private, max-age=60"}},
	{why: whyPrivate + "; HAProxy leaves redirects out", steps: []string{"newcomer redirected by the server", "another newcomer redirected by the server"},
		old: []string{"field cache-control: max-age=60"}, new: []string{"field cache-control: private, max-age=60"}},
	{why: whyForged, steps: []string{"forged X-Forwarded-For"}, old: []string{"asked with x-forwarded-for: 6.6.6.6", "asked with x-forwarded-proto: gopher"}},
	{why: whyVersion, steps: []string{"HTTP/1.0", "HTTP/1.0 without a host"}, old: []string{"asked GET /page HTTP/1.0", "asked with connection: keep-alive"}, new: []string{"asked GET /page HTTP/1.1"}},
	{why: "servers get the path, not the whole URL", steps: []string{"absolute URL"}, old: []string{"asked GET http://shop.test/page HTTP/1.1"}, new: []string{"asked GET /page HTTP/1.1"}},
	{why: whyPages, steps: []string{"redirect to https"}, old: []string{"field cache-control: no-cache"}, new: []string{"field date: …", "field x-frame-options: DENY"}},
	{why: whyPages, steps: []string{"forbidden path", "all are down"}, old: []string{"field cache-control: no-cache", "field content-type: text/html"},
		new: []string{"field cache-control: no-store", "field content-type: text/html; charset=utf-8", "field date: …", "field x-frame-options: DENY"}},
	{why: whyPages, steps: []string{"bad: two hosts", "bad: blank before colon", "bad: no HTTP", "bad: two lengths", "bad: unknown coding"}, old: []string{"field cache-control: no-cache", "field content-type: text/html"},
		new: []string{"field cache-control: no-store", "field content-type: text/html; charset=utf-8", "field date: …"}},
	{why: "HTTP/1.1 without a host is refused here, not by the server", steps: []string{"bad: no host"},
		old: []string{"field content-type: text/plain; charset=utf-8", "field x-frame-options: DENY", "content: *"},
		new: []string{"field cache-control: no-store", "field content-length: …", "field content-type: text/html; charset=utf-8", "field date: …", "content: a page of the program's own"}},
	{why: whyLengths, steps: []string{"bad: length and chunks"},
		old: []string{"status 200", "field content-length: 18", "field content-type: text/plain", "field x-frame-options: DENY", "content: *", "answered by B", "asked POST /page HTTP/1.1", "asked host shop.test",
			"asked with transfer-encoding: chunked", "asked with x-forwarded-for: 127.0.0.1", "asked with x-real-ip: 127.0.0.1"},
		new: []string{"status 400", "field cache-control: no-store", "field content-length: …", "field content-type: text/html; charset=utf-8", "content: a page of the program's own", "no server was asked"}},
}

// fromApache is what changes for who moves in from Apache 2.4.
var fromApache = []movingDifference{
	{why: "Apache names itself", steps: []string{"*"}, old: []string{"field server: Apache*"}},
	{why: "answers say what the cache did", steps: []string{"*"}, new: []string{"field cache-status: gatehouse; *"}},
	{why: "servers see the client's own Host, so there is no need of another field for it", steps: []string{"*"}, old: []string{"asked with x-forwarded-host: *", "asked with x-forwarded-server: shop.test"}},
	{why: "connections to servers are kept without a word, as HTTP/1.1 has it", steps: []string{"*"}, old: []string{"asked with connection: Keep-Alive"}},
	{why: "the persistence cookie is the balancer's, servers do not see it", steps: []string{"*"}, old: []string{"asked with cookie: ROUTEID=.*"}},
	{why: "the persistence cookie is the balancer's, servers do not see it", steps: []string{"holder among other cookies"}, old: []string{"asked with cookie: a=1; ROUTEID=.B; b=2"}, new: []string{"asked with cookie: a=1; b=2"}},
	{why: whyCookie, steps: []string{"newcomer", "cookie of an unknown server", "cached page that newcomers ask for first", "newcomer redirected by the server",
		"another newcomer redirected by the server", "its server is down", "newcomer while one is down"},
		old: []string{"field set-cookie: ROUTEID=.‹who answered›; path=/"}, new: []string{"field set-cookie: ROUTEID=.‹who answered›; path=/; HttpOnly; Secure; SameSite=Lax"}},
	{why: whyPrivate, steps: []string{"newcomer", "cookie of an unknown server", "its server is down", "newcomer while one is down"}, new: []string{"field cache-control: private"}},
	{why: whyPrivate, steps: []string{"cached page that newcomers ask for first", "newcomer redirected by the server", "another newcomer redirected by the server"},
		old: []string{"field cache-control: max-age=60"}, new: []string{"field cache-control: private, max-age=60"}},
	{why: "nobody gets somebody else's persistence cookie: Apache's cache replays it to the next one", steps: []string{"the same, another newcomer"},
		old: []string{"field age: …", "field cache-control: max-age=60", "field set-cookie: ROUTEID=.*", "content: \"answer 1 to /cached2\\n\"", "no server was asked"},
		new: []string{"field cache-control: private, max-age=60", "field set-cookie: ROUTEID=.‹who answered›; path=/; HttpOnly; Secure; SameSite=Lax", "content: \"answer 2 to /cached2\\n\"",
			"asked GET /cached2 HTTP/1.1", "asked host shop.test", "asked with x-forwarded-for: 127.0.0.1", "asked with x-forwarded-proto: https"}},
	{why: "nobody gets somebody else's session: Apache's cache replays what a server sets", steps: []string{"login, somebody else"},
		old: []string{"field age: …", "content: \"answer 1 to /login\\n\"", "no server was asked"},
		new: []string{"content: \"answer 2 to /login\\n\"", "answered by B", "asked GET /login HTTP/1.1", "asked host shop.test", "asked with x-forwarded-for: 127.0.0.1", "asked with x-forwarded-proto: https"}},
	{why: whyForged, steps: []string{"forged X-Forwarded-For"}, old: []string{"asked with x-forwarded-for: 6.6.6.6, 127.0.0.1"}, new: []string{"asked with x-forwarded-for: 127.0.0.1"}},
	{why: "content is passed on as it comes, not collected first", steps: []string{"POST in chunks"}, old: []string{"asked with content-length: 11"}, new: []string{"asked with transfer-encoding: chunked"}},
	{why: "an error of the server is no reason to hang up", steps: []string{"500"}, old: []string{"field connection: close", "then the connection ends"}, new: []string{"then the connection is kept"}},
	{why: "the cache asks for the whole answer, so that it is there for others too, and tells this client that it has it", steps: []string{"304"},
		old: []string{"asked with if-none-match: \"v1\""}, new: []string{"field accept-ranges: bytes", "field last-modified: Wed, 01 May 2024 12:00:00 GMT"}},
	{why: whyNameless + "; Apache refuses it for the name in the TLS hello", steps: []string{"HTTP/1.0 without a host"},
		old: []string{"status 400", "field content-length: …", "field content-type: text/html; charset=iso-8859-1", "content: *", "no server was asked"},
		new: []string{"status 200", "field content-length: 18", "field content-type: text/plain", "content: *", "answered by B", "asked GET /page HTTP/1.1", "asked host ",
			"asked with x-forwarded-for: 127.0.0.1", "asked with x-forwarded-proto: https"}},
	{why: "redirects have no page, and the fields of the frontend", steps: []string{"redirect to https"},
		old: []string{"field content-length: 2*", "field content-type: text/html; charset=iso-8859-1", "content: *"}, new: []string{"field content-length: 0", "field x-frame-options: DENY"}},
	{why: whyPages + ", but not those for what could not be read", steps: []string{"bad: no host", "bad: two hosts", "bad: blank before colon", "bad: no HTTP", "bad: two lengths", "bad: unknown coding"},
		old: []string{"field content-type: text/html; charset=iso-8859-1", "field x-frame-options: DENY"}, new: []string{"field cache-control: no-store", "field content-type: text/html; charset=utf-8"}},
	{why: whyLengths, steps: []string{"bad: length and chunks"},
		old: []string{"status 200", "field content-length: 18", "field content-type: text/plain", "field x-frame-options: DENY", "content: *", "answered by B", "asked POST /page HTTP/1.1", "asked host shop.test",
			"asked with content-length: 0", "asked with x-forwarded-for: 127.0.0.1", "asked with x-forwarded-proto: https"},
		new: []string{"status 400", "field cache-control: no-store", "field content-length: …", "field content-type: text/html; charset=utf-8", "content: a page of the program's own", "no server was asked"}},
	{why: whyPages + "; the connection can go on", steps: []string{"all are down"},
		old: []string{"field connection: close", "field content-type: text/html; charset=iso-8859-1", "then the connection ends"},
		new: []string{"field cache-control: no-store", "field content-type: text/html; charset=utf-8", "then the connection is kept"}},
}
