// Package backend is the block "backend" of the configuration: a pool of servers and everything that decides which of
// them answers.
//
//	pool, err := backend.New(&backend.Config{
//		Name:    "webfarm",
//		Cookie:  &backend.Cookie{Name: "SERVERID", Mode: backend.Insert, Indirect: true, NoCache: true},
//		Servers: []*backend.Server{{Name: "webA", Address: addr, Cookie: "A", Weight: 1}},
//	}, backend.Options{Loops: loops})
//	err = pool.RoundTrip(x) // x.Resp is the server's answer
package backend

import (
	"net/netip"
	"time"

	"gatehouse/backend/h1"
	"gatehouse/backend/loop"
)

// Config is a backend: servers, how one of them is chosen, and how it is known that they live.
type Config struct {
	Name string `hcl:"name,label"`

	// Mode is "http", or "tcp" for a backend whose servers get the clients' connections as they are: whole connections are
	// balanced then, not requests, and nothing in them is read or changed. The frontends that use the backend have the same mode.
	Mode h1.Mode `hcl:"mode,optional" default:"http"`

	// Balance is how a request without a usable persistence cookie finds its server: "roundrobin" (in turn, by weight,
	// as smoothly as possible; the first declared server first), "leastconn", "source", "random", "uri", "header:NAME"
	// or "first". A usable cookie always wins.
	Balance Balance `hcl:"balance,optional" default:"roundrobin"`

	// Cookie makes clients come back to the server they were given.
	Cookie *Cookie `hcl:"cookie,block"`

	// Forwardfor tells servers the client's address. It is on unless switched off.
	Forwardfor *Forwardfor `hcl:"forwardfor,block"`

	// Check probes the servers' health. A backend may hold several; the worst verdict wins. Without a check, servers
	// count as up.
	Checks []*Check `hcl:"check,block"`

	// Redispatch lets a request leave the server its cookie names when that server cannot be reached.
	Redispatch bool `hcl:"redispatch,optional" default:"true"`

	// Retries is how many times a failed connection is tried again.
	Retries int `hcl:"retries,optional" default:"3"`

	// AllBackups spreads the load over all backup servers when no other server is up; otherwise the first usable backup
	// gets everything.
	AllBackups bool `hcl:"all_backups,optional"`

	// MaxQueue is how many holders of its cookie may wait for one server. Further ones go to another server and get a new cookie. 0: no
	// limit.
	MaxQueue int `hcl:"max_queue,optional"`

	// FullConn is the number of requests in this backend at which servers with min_connections are given their max_connections.
	FullConn int `hcl:"full_conn,optional" default:"1000"`

	// AbortOnClose drops a request that waits for a server when its client has closed the connection.
	AbortOnClose bool `hcl:"abort_on_close,optional" default:"true"`

	// RequestHeaders changes the fields of requests as the servers get them, after forwardfor and behind the cache. Host may be set here.
	RequestHeaders *h1.HeaderRules `hcl:"request_headers,block"`

	// ResponseHeaders changes the fields of the servers' answers as soon as they are here. A cache judges and remembers what these rules
	// make of an answer, but for fields with {client_ip} or {client_port} in them: they are for the one client, as a new persistence cookie
	// is. The persistence cookie is none of their business.
	ResponseHeaders *h1.HeaderRules `hcl:"response_headers,block"`

	// HTTPClose closes the connections to servers after each exchange and asks clients to do the same.
	HTTPClose bool `hcl:"http_close,optional"`

	// Timeouts bound the waiting for servers.
	Timeouts *h1.Timeouts `hcl:"timeouts,block"`

	// Server is one machine, or one process, that answers requests.
	Servers []*Server `hcl:"server,block"`
}

// Server is one member of the pool.
type Server struct {
	Name string `hcl:"name,label"`

	// Address is where the server listens: "192.168.1.11:80", "[::1]:80", "app.internal:80" or "unix:/run/app.sock". It
	// may stand as the block's second label. Without a port, the server is reached at the port the client came to; its checks
	// then need a port of their own, unless clients can come to one port only.
	Address loop.Addr `hcl:"address" label:"2"`

	// Cookie is the value of the persistence cookie that names this server. Servers may share one: its holders go to the
	// first of them that is usable. Without it, the server's name is the value.
	Cookie string `hcl:"cookie,optional"`

	// Weight is the server's share of the load, relative to the others', from 0 to 256. With 0 only holders of its
	// cookie come.
	Weight int `hcl:"weight,optional" default:"1"`

	// Backup keeps the server in reserve: new clients come only when no other server is up. Holders of its cookie always
	// may.
	Backup bool `hcl:"backup,optional"`

	// MaxConnections is how many requests the server is given at once; further ones wait until it has answered one, holders of its cookie
	// first. 0: no limit.
	MaxConnections int `hcl:"max_connections,optional"`

	// MinConnections makes the limit move with the load: it is this while the backend has little to do, and max_connections once it has
	// full_conn requests. 0: the limit is always max_connections.
	MinConnections int `hcl:"min_connections,optional"`

	// SlowStart is how long a server that comes up takes to its full share: it begins with a tenth of its weight and of its
	// max_connections and gets the rest in steps. It counts for a server that has failed, or was in maintenance, not when
	// gatehouse starts: then all come up together. Without it, a server gets its full share at once.
	SlowStart time.Duration `hcl:"slow_start,optional"`

	// Source is the local address to connect from.
	Source netip.Addr `hcl:"source,optional"`

	// SendProxy is "v1" or "v2" for a server that expects that version of the PROXY protocol: each connection begins with a line
	// that says which client it is for and where that one came in. In mode "http" the connection then serves that client alone.
	// Checks of the server's own port announce themselves likewise. Without it, no such line is sent.
	SendProxy ProxyVersion `hcl:"send_proxy,optional"`

	// Protocol is the version of HTTP that the server is spoken to in: "http/1.1"; "h2", HTTP/2, which servers of gRPC want; or "auto", which leaves
	// the choice to the server in the TLS handshake. "h2" is spoken at once where there is no TLS, and under TLS the server must
	// choose it: one that does not is not reached. Many requests share a connection then, and max_connections counts them, not
	// connections. A WebSocket goes to the server by HTTP/1.1, on a connection of its own. Checks "http" speak the server's version.
	//
	// A call of gRPC may be silent for as long as its client likes while it is still sending, and for the tunnel timeout once the server
	// has begun to answer.
	Protocol Protocol `hcl:"protocol,optional" default:"http/1.1"`

	// TLS encrypts what is sent to the server. Without it, the server is spoken to in the clear.
	TLS *ServerTLS `hcl:"tls,block"`

	// Check overrides single attributes of the backend's check for this server, or checks this server alone. What is not
	// written is that of the backend's first check of the same kind; without one, the defaults.
	Checks []*Check `hcl:"check,block" inherit:"check"`

	// State is the state at the start: "ready", "drain" (only holders of its cookie come) or "maint" (nobody comes).
	State State `hcl:"state,optional" default:"ready"`
}

// State is what the operator wants of a server.
type State uint8

// The operator's states.
const (
	Ready State = iota
	Drain
	Maint
)

// Protocol is the version of HTTP that a server is spoken to in.
type Protocol uint8

// The protocols of servers.
const (
	ProtocolHTTP1 Protocol = iota
	ProtocolHTTP2
	ProtocolAuto
)

// What the versions are called in a TLS handshake (RFC 7301 6).
const (
	protocolH1 = "http/1.1"
	protocolH2 = "h2"
)

// offers returns what the server is offered in a TLS handshake.
func (s *Server) offers(mode h1.Mode) []string {
	switch {
	case mode != h1.HTTP:
		return nil
	case s.Protocol == ProtocolHTTP2:
		return []string{protocolH2}
	case s.Protocol == ProtocolAuto:
		return []string{protocolH2, protocolH1}
	}
	return []string{protocolH1}
}

// Cookie is persistence by a cookie.
type Cookie struct {
	Name string `hcl:"name,label"`

	// Mode is what is done with the cookie: "insert" adds one of its own, "prefix" puts the server's value in front of
	// the application's cookie, "rewrite" replaces the value of the application's, "passive" only reads it.
	Mode CookieMode `hcl:"mode,optional" default:"insert"`

	// Indirect hides the cookie from servers and sends it only to clients that need it. Default: true in mode insert.
	Indirect bool `hcl:"indirect,optional"`

	// NoCache marks every response that carries an inserted cookie as private, so that no shared cache hands it to
	// somebody else. Default: true in mode insert.
	NoCache bool `hcl:"nocache,optional"`

	// PostOnly inserts the cookie into responses to POST requests only.
	PostOnly bool `hcl:"postonly,optional"`

	// Preserve leaves a cookie of that name alone when the server sets one itself.
	Preserve bool `hcl:"preserve,optional"`

	// Domain names the domains the inserted cookie is valid for.
	Domain []string `hcl:"domain,optional"`

	// HTTPOnly hides the inserted cookie from scripts.
	HTTPOnly bool `hcl:"http_only,optional" default:"true"`

	// Secure limits the inserted cookie to TLS. Without it: true on requests that came over TLS.
	Secure *bool `hcl:"secure,optional"`

	// SameSite says whether browsers send the inserted cookie with requests that other sites begin: "lax" (when a link is followed),
	// "strict" (never) or "none" (always, but over TLS alone).
	SameSite SameSite `hcl:"same_site,optional" default:"lax"`

	// MaxIdle makes a cookie that was not seen for that long void. Insert mode only.
	MaxIdle time.Duration `hcl:"max_idle,optional"`

	// MaxLife makes a cookie void that long after it was first given. Insert mode only.
	MaxLife time.Duration `hcl:"max_life,optional"`

	// Signed sends an HMAC (RFC 2104, SHA-256) in the place of the server's value, so that clients cannot choose their server, and do
	// not learn its name: only a value they were given counts. The dates of max_idle and max_life are not signed. Whoever hands his cookie
	// to others still takes them to his server.
	Signed bool `hcl:"signed,optional"`

	// Secret is the key that signs, of 16 characters or more. Instances of gatehouse that serve the same clients need the same one. Better
	// not written into the file: env("COOKIE_SECRET"), file("cookie.key"). Without it, gatehouse makes a key of its own and keeps it in
	// state_dir.
	Secret string `hcl:"secret,optional"`
}

// SetDefaults is called before the block is read: Indirect and NoCache default to true. Check takes them back in
// other modes when they were not written.
func (c *Cookie) SetDefaults(mode string) {
	if mode == "" || mode == "insert" {
		c.Indirect, c.NoCache = true, true
	}
}

// CookieMode is what is done with the persistence cookie.
type CookieMode uint8

// The cookie modes.
const (
	Insert CookieMode = iota
	Prefix
	Rewrite
	Passive
)

// SameSite is the cookie attribute of that name (RFC 6265bis).
type SameSite uint8

// The values of SameSite.
const (
	Lax SameSite = iota
	Strict
	None
)

// Forwardfor tells servers who the client is and whether it came over TLS, in X-Forwarded-For and X-Forwarded-Proto.
type Forwardfor struct {
	// Enabled switches both fields on.
	Enabled bool `hcl:"enabled,optional" default:"true"`

	// Except names networks whose requests already carry the fields, such as a TLS terminator in front. Theirs
	// are passed on untouched and nothing is added.
	Except []netip.Prefix `hcl:"except,optional"`

	// Trusted names networks of proxies in front: their list is kept and the address they came from appended.
	Trusted []netip.Prefix `hcl:"trusted,optional"`

	// Header is the name of the field that carries the address.
	Header string `hcl:"header,optional" default:"X-Forwarded-For"`
}

// Check is a health check.
type Check struct {
	// Kind is "http" (an HTTP request is answered), "tcp" (the port accepts connections) or "tls" (the port answers a TLS
	// hello with any TLS record).
	Kind CheckKind `hcl:"kind,label"`

	// Request is the request of an "http" check: method, target and, if wanted, the version.
	Request string `hcl:"request,optional" default:"OPTIONS / HTTP/1.0"`

	// Host is the Host field of an "http" check.
	Host string `hcl:"host,optional"`

	// Expect lists the statuses of a healthy answer: "200", "2xx", "200-399".
	Expect []Statuses `hcl:"expect,optional" default:"2xx,3xx"`

	// DrainOn lists statuses by which a server says that it is well and wants nobody new, such as "404" (HAProxy's disable-on-404): holders of
	// its cookie still come, and nobody is alarmed. It counts at once, and ends with the next healthy answer; a server that is down does
	// not come up so.
	DrainOn []Statuses `hcl:"drain_on,optional"`

	// ExpectText is a regular expression that must be found in the answer: in the content of an HTTP answer, whose status must be among
	// expect as well, or in what a server says to a "tcp" check: "^\\+PONG". The first 64 KiB are searched, as they come; text without the
	// special characters of regular expressions stands for itself. Without it, the status alone decides, or that there is a connection.
	ExpectText string `hcl:"expect_text,optional"`

	// Send is what a "tcp" check says when it is connected, such as "PING\r\n". Without it, it says nothing; with expect_text it then waits for
	// what the server says first.
	Send string `hcl:"send,optional"`

	// Interval is the time from the start of a check to the start of the next. Servers with the same address and the same check are probed
	// once for all of them, in whichever backends they are; rise, fall and on_fail stay their own.
	Interval time.Duration `hcl:"interval,optional" default:"2s"`

	// FastInterval is the interval while a server is on its way down or up: after the first failed check until fall is reached, and
	// after the first good one until rise is. Without it, that is interval.
	FastInterval time.Duration `hcl:"fast_interval,optional"`

	// DownInterval is the interval while a server is down. Without it, that is interval.
	DownInterval time.Duration `hcl:"down_interval,optional"`

	// Timeout bounds a whole check. Without it the check timeout of the backend counts, or the interval if that is
	// shorter.
	Timeout time.Duration `hcl:"timeout,optional"`

	// Rise is how many good checks in a row make a failed server usable again.
	Rise int `hcl:"rise,optional" default:"2"`

	// Fall is how many failed checks in a row take a server out.
	Fall int `hcl:"fall,optional" default:"3"`

	// Port is the port to check, when it is not the one of the traffic.
	Port int `hcl:"port,optional"`

	// Address is the address to check, when it is not the one of the traffic.
	Address *loop.Addr `hcl:"address,optional"`

	// OnFail is what a failed check does: "down" (nobody comes) or "drain" (holders of the server's cookie still come).
	OnFail OnFail `hcl:"on_fail,optional" default:"down"`
}

// CheckKind is what a check probes.
type CheckKind uint8

// The kinds of checks.
const (
	CheckHTTP CheckKind = iota
	CheckTCP
	CheckTLS
)

// OnFail is what a failed check does to its server.
type OnFail uint8

// What a failed check may do.
const (
	OnFailDown OnFail = iota
	OnFailDrain
)

// Statuses is a range of HTTP statuses, both ends included.
type Statuses struct{ From, To int }
