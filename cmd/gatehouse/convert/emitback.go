package convert

func (b *back) write(o *outline) {
	o.block(&b.node, "backend", []string{b.name}, func(o *outline) {
		o.mode(&b.node, b.tcp)
		b.body(o, &b.timeouts)
	})
}

// body writes what a back holds, with the timeouts of the block it stands in.
func (b *back) body(o *outline, t *timeouts) {
	o.text(&b.node, "balance", b.balance)
	o.optionalBool(&b.node, "redispatch", b.redispatch)
	if b.retries != nil {
		o.attr(&b.node, "retries", num(*b.retries))
	}
	o.yes(&b.node, "all_backups", b.allBackups)
	o.number(&b.node, "max_queue", b.maxQueue)
	o.number(&b.node, "full_conn", b.fullConn)
	o.optionalBool(&b.node, "abort_on_close", b.abortOnClose)
	o.yes(&b.node, "http_close", b.httpClose)
	if o.has() {
		o.gap()
	}
	if b.forwardfor != nil {
		b.forwardfor.write(o)
	}
	if b.cookie != nil {
		b.cookie.write(o)
	}
	for _, c := range b.checks {
		c.write(o)
	}
	b.request.write(o, "request_headers")
	b.response.write(o, "response_headers")
	t.write(o)
	if o.has() {
		o.gap()
	}
	for _, s := range b.servers {
		s.write(o)
	}
	o.leftover(&b.node)
}

func (f *forwardfor) write(o *outline) {
	o.optional(&f.node, "forwardfor", nil, func(o *outline) {
		o.optionalBool(&f.node, "enabled", f.enabled)
		if len(f.except) > 0 {
			o.attr(&f.node, "except", list(f.except))
		}
		if len(f.trusted) > 0 {
			o.attr(&f.node, "trusted", list(f.trusted))
		}
		o.text(&f.node, "header", f.header)
	})
}

func (c *cookie) write(o *outline) {
	o.block(&c.node, "cookie", []string{c.name}, func(o *outline) {
		o.must(&c.node, "mode", str(c.mode))
		if c.indirect != nil {
			o.must(&c.node, "indirect", truth(*c.indirect))
		}
		if c.nocache != nil {
			o.must(&c.node, "nocache", truth(*c.nocache))
		}
		o.yes(&c.node, "postonly", c.postonly)
		o.yes(&c.node, "preserve", c.preserve)
		if len(c.domain) > 0 {
			o.attr(&c.node, "domain", list(c.domain))
		}
		if c.secure != nil {
			o.must(&c.node, "secure", truth(*c.secure))
		}
		o.text(&c.node, "same_site", c.sameSite)
		o.duration(&c.node, "max_idle", c.maxIdle)
		o.duration(&c.node, "max_life", c.maxLife)
	})
}

func (c *check) write(o *outline) {
	o.block(&c.node, "check", []string{c.kind}, func(o *outline) {
		o.all = c.override
		o.text(&c.node, "request", c.request)
		o.text(&c.node, "host", c.host)
		if len(c.expect) > 0 {
			o.attr(&c.node, "expect", list(c.expect))
		}
		if len(c.drainOn) > 0 {
			o.attr(&c.node, "drain_on", list(c.drainOn))
		}
		o.text(&c.node, "send", c.send)
		o.text(&c.node, "expect_text", c.expectText)
		o.duration(&c.node, "interval", c.interval)
		o.duration(&c.node, "fast_interval", c.fast)
		o.duration(&c.node, "down_interval", c.down)
		o.duration(&c.node, "timeout", c.timeout)
		o.number(&c.node, "rise", c.rise)
		o.number(&c.node, "fall", c.fall)
		o.number(&c.node, "port", c.port)
		o.text(&c.node, "address", c.address)
		o.text(&c.node, "on_fail", c.onFail)
	})
}

func (s *server) write(o *outline) {
	o.block(&s.node, "server", []string{s.name, s.addr}, func(o *outline) {
		o.text(&s.node, "cookie", s.cookie)
		if s.weight != nil {
			o.attr(&s.node, "weight", num(*s.weight))
		}
		o.yes(&s.node, "backup", s.backup)
		o.number(&s.node, "max_connections", s.maxConn)
		o.number(&s.node, "min_connections", s.minConn)
		o.duration(&s.node, "slow_start", s.slowStart)
		o.text(&s.node, "source", s.source)
		o.text(&s.node, "send_proxy", s.sendProxy)
		o.text(&s.node, "protocol", s.protocol)
		o.text(&s.node, "state", s.state)
		if t := s.tls; t != nil {
			o.block(&t.node, "tls", nil, func(o *outline) {
				o.text(&t.node, "ca", t.ca)
				o.text(&t.node, "server_name", t.serverName)
				o.optionalBool(&t.node, "verify", t.verify)
				o.text(&t.node, "certificate", t.cert)
				o.text(&t.node, "key", t.key)
			})
		}
		for _, c := range s.checks {
			c.write(o)
		}
	})
}
