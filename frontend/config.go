// Package frontend is the block "frontend" of the configuration: who may come in, and how. It listens, ends TLS, speaks HTTP/1
// with clients, and hands each exchange to the RoundTripper behind it.
//
//	f, err := frontend.New(&frontend.Config{Name: "www", Binds: []*frontend.Bind{{Address: addr}}}, pool, frontend.Options{Loops: loops})
//	err = f.Open()
package frontend

import (
	"net/netip"
	"time"

	"gatehouse/backend/h1"
	"gatehouse/backend/loop"
)

// Config is a frontend: addresses to listen on and what to do with who comes in.
type Config struct {
	Name string `hcl:"name,label"`

	// Mode is "http", or "tcp" to hand each connection to a server of the backend as it is: nothing in it is read or changed. The
	// backend has the same mode.
	Mode h1.Mode `hcl:"mode,optional" default:"http"`

	// Bind is an address to listen on. A frontend with hosts and without a bind listens on ":443", with tls "auto", and on ":80", from where
	// clients are led to https. If nobody has written a tls block of that name, it obtains certificates from Let's Encrypt.
	Binds []*Bind `hcl:"bind,block"`

	// Hosts lists the names this frontend serves, "*.example.com" for all names one level below. Frontends may share an
	// address when their hosts tell them apart. Without hosts every name is served. In mode "tcp" it is the name a TLS client asks
	// for that counts, also where the TLS is not ended here: connections that begin otherwise are closed then, unless a frontend
	// without hosts shares the address.
	Hosts []string `hcl:"hosts,optional"`

	// Backend answers the requests that no route takes.
	Backend string `hcl:"backend,optional" ref:"backend"`

	// Cache names the cache block that stands before the backends of this frontend, those of its routes too. Without it, every request
	// reaches a server.
	Cache string `hcl:"cache,optional" ref:"cache"`

	// Log names the log block that gets a line for every exchange.
	Log string `hcl:"log,optional" ref:"log"`

	// MaxConnections is how many clients may be connected at once; further ones wait in the kernel's queue. 0: no limit but
	// the process's.
	MaxConnections int `hcl:"max_connections,optional"`

	// Grace is how long the frontend goes on accepting connections when the process is told to stop, while monitor's uri already answers
	// 503 and addresses without a grace are closed: time for whoever watches to send its clients elsewhere. Default: none.
	Grace time.Duration `hcl:"grace,optional"`

	// UnderscoreHeaders passes request fields with an underscore in their name. Without it they are dropped: many
	// applications confuse X_Forwarded_For with X-Forwarded-For.
	UnderscoreHeaders bool `hcl:"underscore_headers,optional"`

	// RequestHeaders changes the fields of requests before the cache and the backend see them. Routes and the backend are chosen by what
	// the client sent. What these rules say about the client, as X-Real-IP does, stands: forwardfor takes out only what clients say.
	RequestHeaders *h1.HeaderRules `hcl:"request_headers,block"`

	// ResponseHeaders changes the fields of every answer on its way to the client: those of servers and of the cache, redirects, and
	// gatehouse's own pages. The cache knows nothing of it. The persistence cookie, with the Cache-Control that keeps it private, comes
	// afterwards and stays.
	ResponseHeaders *h1.HeaderRules `hcl:"response_headers,block"`

	// Compress makes answers smaller on their way to clients that take them so; an empty block will do. What is compressed gets "Vary:
	// Accept-Encoding" and a weak entity tag, and goes out without a Content-Length. Left as they are: what the server has compressed
	// already or marked no-transform, parts (206), and what may be for one client alone; see private. The cache keeps what the server
	// sent. Without this block, nothing is compressed.
	Compress *Compress `hcl:"compress,block"`

	// Limits bound what a request may look like.
	Limits *Limits `hcl:"limits,block"`

	// Monitor answers a supervisor's probes.
	Monitor *Monitor `hcl:"monitor,block"`

	// Route sends some requests elsewhere. The first route that matches takes the request.
	Routes []*Route `hcl:"route,block"`

	// Timeouts bound the waiting for clients.
	Timeouts *h1.Timeouts `hcl:"timeouts,block"`
}

// Bind is one address a frontend listens on.
type Bind struct {
	// Address is ":443", "192.168.1.1:443", "[::1]:443", "unix:/run/www.sock", or "fd@3" for an inherited descriptor. It
	// may stand as the block's label.
	Address loop.Addr `hcl:"address" label:"1"`

	// Freebind listens on the address even while this machine does not have it, so that one that moves between machines finds
	// gatehouse ready (IP_FREEBIND of Linux). Without it, such an address is an error at the start.
	Freebind bool `hcl:"freebind,optional"`

	// TLS names the tls block this address serves. Without it the address speaks plain HTTP.
	TLS string `hcl:"tls,optional" ref:"tls"`

	// HTTP3 also speaks HTTP/3, by QUIC: over UDP on the same port, which a firewall in front must let pass. Clients learn of it from the
	// answers over TCP (Alt-Svc), and those whose network stops UDP go on there. It needs tls, and TLS 1.3 by its nature; requests are
	// taken only when a handshake is complete (no 0-RTT). A connection lasts as long as its client keeps the address, or tells of a new one
	// by its connection ID. It is not spoken on unix sockets and inherited descriptors, and the PROXY protocol does not exist there. When it
	// is switched off by a reload, answers over TCP tell clients to forget it. A key in global.state_dir lets clients notice at once that a
	// process they talked to has crashed.
	HTTP3 bool `hcl:"http3,optional"`

	// Redirect is "https" where every request is answered by a redirect to the same URL over TLS.
	Redirect string `hcl:"redirect,optional"`

	// Protocols are the versions of HTTP spoken here: "http/1.1" and "h2", the preferred one first. Over TLS the client chooses among them
	// (ALPN); by default both are offered, HTTP/2 first. Without TLS the default is "http/1.1" alone; with "h2", clients that know
	// beforehand may begin with HTTP/2 at once, as balancers in front and clients of gRPC do. HTTP/1.1 is understood there in any case. In mode
	// "tcp" it has no effect.
	Protocols []string `hcl:"protocols,optional"`

	// AcceptProxy lists the networks of balancers in front that send the PROXY protocol, version 1 or 2. Each connection must come
	// from one of them and begin with such a header: any other one is closed. The client's address is the announced one,
	// everywhere. A balancer that checks this address with a LOCAL or UNKNOWN header and nothing behind it is closed without a line in the
	// log; for one that wants an answer to a request, name it in monitor.sources too. Without it, no PROXY header is understood.
	AcceptProxy []netip.Prefix `hcl:"accept_proxy,optional"`
}

// Limits bound what a request may look like.
type Limits struct {
	// Target bounds the request target; beyond it the answer is 414.
	Target int64 `hcl:"target,optional" unit:"bytes" default:"16KiB"`
	// Field bounds a single header field; beyond it the answer is 431.
	Field int64 `hcl:"field,optional" unit:"bytes" default:"16KiB"`
	// Head bounds the whole head; beyond it the answer is 431.
	Head int64 `hcl:"head,optional" unit:"bytes" default:"32KiB"`
	// Fields bounds the number of header fields; beyond it the answer is 431.
	Fields int `hcl:"fields,optional" default:"100"`
	// Body bounds the content of a request; beyond it the answer is 413. 0: no limit.
	Body int64 `hcl:"body,optional" unit:"bytes"`
	// MaxStreams bounds the requests under way at once on one connection of HTTP/2 or HTTP/3; clients know, and wait with further ones.
	MaxStreams int `hcl:"max_streams,optional" default:"100"`
	// PerSource bounds the connections open at once from one address (IPv6: from one /64 network); further ones are
	// closed at once. 0: no limit.
	PerSource int `hcl:"per_source,optional"`
}

// Monitor answers a supervisor's probes without asking a server and without a log line.
type Monitor struct {
	// Sources are the supervisors' addresses: a connection from there gets "200 OK" at once and is closed. In mode "tcp" it is
	// closed without a word.
	Sources []netip.Prefix `hcl:"sources,optional"`
	// URI is a path that answers 200 while the backend has a usable server, else 503.
	URI string `hcl:"uri,optional"`
}

// Route sends the requests that match it elsewhere.
type Route struct {
	// Paths the route takes: "/exact", or "/prefix/*". Without it, every path.
	Paths []string `hcl:"paths,optional"`
	// Hosts the route takes, as the frontend's hosts. Without it, every host.
	Hosts []string `hcl:"hosts,optional"`
	// Backend answers.
	Backend string `hcl:"backend,optional" ref:"backend"`
	// Cache says whether the frontend's cache stands before the backend here too. With false nothing is looked up and nothing is
	// remembered.
	Cache bool `hcl:"cache,optional" default:"true"`
	// Compress says whether the frontend's compress block counts here too. With false answers go out as they are.
	Compress bool `hcl:"compress,optional" default:"true"`
	// Redirect answers with a 302 to this URL; "{host}" and "{uri}" stand for the request's host and for its path with the
	// query.
	Redirect string `hcl:"redirect,optional"`
	// Respond answers with this status and a short page.
	Respond int `hcl:"respond,optional"`
	// RequestHeaders changes the fields of these requests, after the rules of the frontend.
	RequestHeaders *h1.HeaderRules `hcl:"request_headers,block"`
	// ResponseHeaders changes the fields of the answers to these requests, after the rules of the frontend. Pages about what went wrong have
	// those of the frontend alone.
	ResponseHeaders *h1.HeaderRules `hcl:"response_headers,block"`
}

// LogConfig is a log: where the lines of exchanges go, and what they look like.
type LogConfig struct {
	Name string `hcl:"name,label"`

	// Format is "httplog" (HAProxy's line), "combined" (Apache's) or "json".
	Format LogFormat `hcl:"format,optional" default:"httplog"`

	// Output is "stdout", "stderr", a file path, "syslog:udp:HOST:PORT" or "syslog:/dev/log".
	Output string `hcl:"output,optional" default:"stdout" path:"stdout,stderr,syslog:*"`

	// Empty also logs connections that sent nothing.
	Empty bool `hcl:"empty,optional"`
}

// LogFormat is the form of a log's lines.
type LogFormat uint8

// The log formats.
const (
	HTTPLog LogFormat = iota
	Combined
	JSON
)
