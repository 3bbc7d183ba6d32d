package cache

import (
	"net/url"
	"strings"

	"gatehouse/backend/h1"
)

// pass lets the server answer a request that the cache has no part in, but for one thing: what a request changes is forgotten.
func (c *Cache) pass(x *h1.Exchange, fwd, why string) error {
	c.store.Stats.Passed.Add(1)
	if err := c.next.RoundTrip(x); err != nil {
		return err
	}
	if s := x.Resp.Status; s >= 200 && s < 400 && !safe(x.Req.Method) {
		c.invalidate(x)
	}
	tell(x, fwd, fwdStatus(x.Resp.Status), detail(why))
	return nil
}

// safe reports whether a method changes nothing (RFC 9110 9.2.1). Of an unknown one nobody knows.
func safe(method []byte) bool {
	switch string(method) {
	case "GET", "HEAD", "OPTIONS", "TRACE":
		return true
	}
	return false
}

// invalidate forgets what a successful unsafe request may have changed: "A cache MUST invalidate the target URI when it receives a
// non-error status code in response to an unsafe request method. … A cache MAY invalidate other URIs … In particular, the URI(s) in the
// Location and Content-Location response header fields (if present) are candidates for invalidation … However, a cache MUST NOT
// trigger an invalidation under these conditions if the origin of the URI to be invalidated differs from the origin of the target
// URI." (RFC 9111 4.4)
func (c *Cache) invalidate(x *h1.Exchange) {
	n := 0
	if c.forget(x.Req.Secure, x.Req.Host, x.Req.Target) {
		n++
	}
	for _, id := range [...]h1.Name{h1.Location, h1.ContentLocation} {
		v := x.Resp.Header.Get(id)
		if len(v) == 0 {
			continue
		}
		base := &url.URL{Scheme: "http", Host: string(x.Req.Host)}
		if x.Req.Secure {
			base.Scheme = "https"
		}
		to, err := base.Parse(string(x.Req.Target))
		if err != nil {
			continue
		}
		if to, err = to.Parse(string(v)); err != nil || to.Scheme != base.Scheme || !strings.EqualFold(to.Host, base.Host) {
			continue
		}
		if c.forget(x.Req.Secure, x.Req.Host, []byte(to.RequestURI())) {
			n++
		}
	}
	c.store.Stats.Invalidated.Add(uint64(n))
}

// forget forgets one URL, whatever backend answered for it, and reports whether anything was known.
func (c *Cache) forget(secure bool, host, target []byte) bool {
	if c.query != nil {
		target = c.query.appendTarget(nil, target)
	}
	found := false
	for _, b := range c.store.knownBackends() {
		if c.store.forget(appendKey(nil, b, secure, host, target)) {
			found = true
		}
	}
	return found
}

// answerPurge answers PURGE: it forgets the URL, also the one of the other scheme.
func (c *Cache) answerPurge(x *h1.Exchange) error {
	r, what := &x.Resp, "REFUSED"
	r.Status, r.Reason = 403, reasonForbidden
	if within(c.c.PurgeFrom, x.Peer.Addr()) {
		r.Status, r.Reason, what = 404, reasonNotFound, "UNKNOWN"
		one, other := c.forget(true, x.Req.Host, x.Req.Target), c.forget(false, x.Req.Host, x.Req.Target)
		if one || other {
			c.store.Stats.Purged.Add(1)
			if d := c.store.disk.Load(); d != nil {
				x.Loop.Block(d.settle)
			}
			r.Status, r.Reason, what = 200, reasonOK, "PURGED"
		}
	}
	r.Header.AddString("Content-Length", "0")
	tell(x, detail(what))
	return nil
}

// PurgeURL forgets what is stored for a URL such as "https://shop.example.com/list?page=2". It reports whether anything was. From
// any goroutine, as are the other purges.
func (c *Cache) PurgeURL(u string) bool {
	scheme, rest, ok := strings.Cut(u, "://")
	if !ok {
		return false
	}
	host, target := rest, "/"
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		host, target = rest[:i], rest[i:]
		if target[0] == '?' {
			target = "/" + target
		}
	}
	found := c.forget(strings.EqualFold(scheme, "https"), []byte(host), []byte(target))
	if found {
		c.store.Stats.Purged.Add(1)
	}
	c.store.disk.Load().settle()
	return found
}

// PurgePrefix forgets all URLs that begin with prefix, such as "https://shop.example.com/list/", and returns how many. The host is
// written in lower case.
func (c *Cache) PurgePrefix(prefix string) int {
	return c.purge(&purge{prefix: prefix})
}

// PurgeTag forgets all answers whose server gave them that tag, as a word of Surrogate-Key or Cache-Tag, and returns of how many URLs.
func (c *Cache) PurgeTag(tag string) int {
	return c.purge(&purge{tag: tag})
}

// PurgeAll forgets everything and returns of how many URLs.
func (c *Cache) PurgeAll() int {
	return c.purge(&purge{all: true})
}

func (c *Cache) purge(p *purge) int {
	n := c.store.purge(p)
	c.store.Stats.Purged.Add(uint64(n))
	return n
}
