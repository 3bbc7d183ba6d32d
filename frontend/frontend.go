package frontend

import (
	"cmp"
	"time"

	"gatehouse/backend/h1"
	"gatehouse/backend/loop"
)

// Options are what a frontend needs from the rest of the house.
type Options struct {
	// Backend finds the backends that routes name. nil: there are none.
	Backend func(name string) h1.RoundTripper
	// Relay takes the connections, in mode "tcp".
	Relay Relayer
	// Direct finds them for routes that leave the cache out. nil: as Backend.
	Direct func(name string) h1.RoundTripper
	// Hidden are request fields that no client may send, because servers believe what they say. nil: there are none.
	Hidden Hidden
	// Challenge returns the answer to a CA that asks in the clear for a path on a host, to see whether the host is ours (RFC 8555 8.3), if
	// there is one. It may park on the loop. nil: nobody asks.
	Challenge func(l *loop.Loop, host, path string) (answer string, ok bool)
	// Usable reports whether the default backend has a usable server, for monitor's uri. nil: it always has.
	Usable func() bool
	// HTTPClose reports whether the backend wants connections closed after each exchange.
	HTTPClose bool
	// Timeouts are those of the default backend, for what the frontend does not set itself.
	Timeouts h1.Timeouts
	// Log gets a line for every exchange. nil: nobody does.
	Log *Log
	// Process counts the connections of the whole process. nil: this frontend counts alone.
	Process *Cap
	// Former is the frontend of this name in the configuration before, whose counts go on. It stays in charge of limits and log until
	// TakeOver. nil: there was none.
	Former *Frontend
}

// Frontend takes the requests of its hosts, on every Listener that lists it. All loops share it.
type Frontend struct {
	*Tally

	c        *Config
	next     h1.RoundTripper
	o        Options
	hosts    *hostSet
	routes   *router
	targets  []target    // of the routes, in their order
	request  *h1.Rules   // of request_headers
	answers  *h1.Rules   // of response_headers
	compress *compressor // nil: answers go out as they are
	monitor  monitorSet
	limits   h1.ParseLimits
	streams  int // of one connection of HTTP/2, at once
	body     int64
	t        h1.Timeouts
	written  h1.Timeouts // t without the defaults
}

// target is where a route leads.
type target struct {
	next     h1.RoundTripper
	redirect redirect
	respond  int
	plain    bool      // nothing is compressed
	request  *h1.Rules // of request_headers
	answers  *h1.Rules // of response_headers
}

// New makes a frontend of its configuration. next answers what no route takes; nil when there is no default backend.
func New(c *Config, next h1.RoundTripper, o Options) *Frontend {
	f := &Frontend{c: c, next: next, o: o, hosts: newHostSet(c.Hosts), routes: newRouter(c.Routes)}
	f.limits = h1.ParseLimits{Target: 16 << 10, Field: 16 << 10, Head: 32 << 10, Fields: 100, Underscores: c.UnderscoreHeaders}
	f.streams = 100
	if l := c.Limits; l != nil {
		f.limits = h1.ParseLimits{Target: int(l.Target), Field: int(l.Field), Head: int(l.Head), Fields: l.Fields, Underscores: c.UnderscoreHeaders}
		f.body = l.Body
		f.streams = cmp.Or(l.MaxStreams, f.streams)
	}
	f.request, f.answers = h1.NewRules(c.RequestHeaders), h1.NewRules(c.ResponseHeaders)
	if c.Monitor != nil {
		f.monitor = newMonitorSet(c.Monitor.Sources)
	}
	var own h1.Timeouts
	if c.Timeouts != nil {
		own = *c.Timeouts
	}
	f.written = own.Or(o.Timeouts)
	f.t = f.written.WithDefaults()
	for _, r := range c.Routes {
		t := target{respond: r.Respond, plain: !r.Compress, request: h1.NewRules(r.RequestHeaders), answers: h1.NewRules(r.ResponseHeaders)}
		if r.Redirect != "" {
			t.redirect = newRedirect(r.Redirect)
		}
		switch {
		case r.Backend == "":
		case !r.Cache && o.Direct != nil:
			t.next = o.Direct(r.Backend)
		case o.Backend != nil:
			t.next = o.Backend(r.Backend)
		}
		f.targets = append(f.targets, t)
	}
	if o.Former != nil {
		f.Tally = o.Former.Tally
	} else {
		f.Tally = &Tally{}
		f.TakeOver()
	}
	if was := o.Former; was != nil && was.compress != nil && c.Compress != nil && was.compress.c.same(c.Compress) {
		f.compress = was.compress // with the copies it keeps
	} else {
		f.compress = newCompressor(c.Compress, &f.Stats.Compress)
	}
	f.o.Former = nil // whose memory is not ours to keep
	return f
}

// TakeOver puts the frontend's limits and its log in the place of those of its former. From then on the former's exchanges, too, have
// their lines in this one's log.
func (f *Frontend) TakeOver() {
	f.conns.SetMax(f.c.MaxConnections)
	max := 0
	if f.c.Limits != nil {
		max = f.c.Limits.PerSource
	}
	f.sources.max.Store(int64(max))
	f.to.Store(f.o.Log)
}

// Grace returns how long its addresses stay open after the end was announced.
func (f *Frontend) Grace() time.Duration { return f.c.Grace }

// Name returns the name of the block.
func (f *Frontend) Name() string { return f.c.Name }

// Mode returns what it speaks.
func (f *Frontend) Mode() h1.Mode { return f.c.Mode }

// respond answers the exchange, or returns the *h1.Error that says how it failed.
func (f *Frontend) respond(x *h1.Exchange) error {
	if f.body > 0 && x.Req.Body != nil {
		if x.Req.Length > f.body {
			return refuse(413, errBodySize)
		}
		if x.Req.Length < 0 {
			x.Req.Body = &limitedBody{Body: x.Req.Body, left: f.body}
		}
	}
	var t *target
	if len(f.targets) > 0 {
		i, ok := f.routes.match(x.Req.Host, x.Req.Target)
		if !ok {
			return refuse(400, errAmbiguousPath)
		}
		if i != noRoute {
			t = &f.targets[i]
		}
	}
	err := f.answer(x, t)
	if err == nil {
		f.answers.Response(x)
		if t != nil {
			t.answers.Response(x)
		}
		if f.compress != nil && (t == nil || !t.plain) {
			f.compress.apply(x)
		}
	}
	return err
}

// answer lets the target answer, nil for no route.
func (f *Frontend) answer(x *h1.Exchange, t *target) error {
	next := f.next
	if t != nil {
		switch {
		case t.redirect != nil:
			return answerRedirect(x, 302, t.redirect)
		case t.respond != 0:
			answerPage(x, t.respond)
			return nil
		}
		next = t.next
	}
	if next == nil {
		return refuse(404, errNoBackend)
	}
	f.request.Request(x)
	if t != nil {
		t.request.Request(x)
	}
	return next.RoundTrip(x)
}

// Serves says how closely the frontend's hosts match a name: 0 not at all, and the greater the closer.
func (f *Frontend) Serves(host string) int { return int(f.hosts.match([]byte(host))) }
