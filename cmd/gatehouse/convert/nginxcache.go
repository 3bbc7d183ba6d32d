package convert

import (
	"slices"
	"strings"
	"time"

	"gatehouse/cmd/gatehouse/config"
)

// nginxCaching is what a level of the configuration says about caching. What it does not say, it inherits.
type nginxCaching struct {
	zone string // "off" for none, "" not said
	by   *directive
	ttl  time.Duration
	long *directive // what set ttl
}

// below returns what counts on a level inside of c.
func (c *nginxCaching) below(in *nginxCaching) *nginxCaching {
	out := *in
	if out.zone == "" {
		out.zone, out.by = c.zone, c.by
	}
	if out.ttl == 0 {
		out.ttl, out.long = c.ttl, c.long
	}
	return &out
}

// cachePath reads proxy_cache_path PATH keys_zone=NAME:SIZE [max_size=SIZE] ….
func (x *nginx) cachePath(n *nginxNode) {
	if !hasCache() {
		noCache(n.directive)
		return
	}
	for _, w := range n.args(2) {
		if zone, ok := strings.CutPrefix(w, "keys_zone="); ok {
			name, _, _ := strings.Cut(zone, ":")
			c := x.site.cache(identifier(name, "cache"))
			c.take("", n.directive)
			n.note("cache %q: answers are kept in memory, 256 MiB of them unless memory says otherwise, and not in %s", c.name, n.arg(1))
			return
		}
	}
	n.refuse("it has no zone")
}

// caching reads proxy_cache and its relatives.
func (s *nginxServer) caching(n *nginxNode, c *nginxCaching) {
	if !hasCache() {
		noCache(n.directive)
		return
	}
	switch n.words[0] {
	case "proxy_cache":
		c.zone, c.by = n.arg(1), n.directive
		if c.zone == "off" {
			n.keep("cache = false")
		} else if !slices.ContainsFunc(s.x.site.caches, func(k *cacheSet) bool { return k.name == identifier(c.zone, "cache") }) {
			c.zone = "off"
			n.refuse("there is no zone of that name")
		} else {
			n.keep("cache; what may be kept is what servers say")
		}
	case "proxy_cache_valid":
		s.validity(n, c)
	case "proxy_ignore_headers":
		for _, w := range n.args(1) {
			if w = strings.ToLower(w); w == "cache-control" || w == "expires" || w == "set-cookie" {
				n.refuse("%s: what a server says about caching counts, and what carries a cookie is for one client", w)
				return
			}
		}
		n.fold("nothing depends on them")
	case "proxy_cache_methods":
		if slices.ContainsFunc(n.args(1), func(w string) bool { return w != "GET" && w != "HEAD" }) {
			n.refuse("answers to GET and HEAD alone are kept")
			return
		}
		n.fold("the default")
	case "proxy_cache_bypass", "proxy_no_cache":
		n.refuse("requests are kept away from the cache by their path: rule { bypass }")
	case "proxy_cache_key":
		n.note("the key is the scheme, the host, the path and the query, which query { } may narrow")
	case "proxy_cache_lock", "proxy_cache_lock_age", "proxy_cache_lock_timeout", "proxy_cache_revalidate", "proxy_cache_convert_head", "proxy_cache_max_range_offset":
		n.fold("requests for one thing wait for one another, answers are validated by themselves")
	case "proxy_cache_background_update", "proxy_cache_use_stale":
		n.note("stale answers are used as servers say, and for ten minutes while they fail: rule { stale_for }")
	default:
		noCache(n.directive)
	}
}

// validity reads proxy_cache_valid [STATUS…] TIME.
func (s *nginxServer) validity(n *nginxNode, c *nginxCaching) {
	args := n.args(1)
	if len(args) == 0 {
		n.refuse("it has no time")
		return
	}
	t := nginxTime(args[len(args)-1])
	codes := args[:len(args)-1]
	if t <= 0 {
		n.fold("nothing is kept unless the server says so")
		return
	}
	if len(codes) > 0 && !slices.Contains(codes, "200") && !slices.Contains(codes, "any") {
		n.note("answers that are no 200 are kept as servers say")
		return
	}
	if len(codes) > 0 {
		n.note("it is for every answer that may be kept without the server's word, such as 200, 301 and 404")
	}
	if c.ttl == 0 {
		c.ttl, c.long = t, n.directive
	}
	n.keep("rule { ttl }")
}

// isCaching reports whether a directive is about caching.
func isCaching(name string) bool {
	return strings.HasPrefix(name, "proxy_cache") && name != "proxy_cache_path" || name == "proxy_no_cache" || name == "proxy_ignore_headers"
}

// remember gives the routes of a location their cache.
func (s *nginxServer) remember(routes []*hostRoute, c *nginxCaching) {
	for _, r := range routes {
		if r.back == nil || c.zone == "" || c.zone == "off" || !hasCache() {
			continue
		}
		set := s.x.site.cache(identifier(c.zone, "cache"))
		r.cache, r.cachedBy = set, c.by
		if c.ttl > 0 {
			paths := r.paths
			if len(paths) == 0 {
				paths = []string{"/*"}
			}
			set.lasting(paths, c.ttl, c.long)
		}
	}
}

// share makes the cache of a virtual host that of its routes: those that have none are told so.
func (v *vhost) share() {
	for _, r := range v.routes {
		switch {
		case r.cache == nil:
		case v.cache == nil:
			v.cache, v.cachedBy = r.cache, r.cachedBy
		case v.cache != r.cache:
			r.cachedBy.refuse("a frontend has one cache: %q", v.cache.name)
		}
	}
	if v.cache == nil {
		return
	}
	for _, r := range v.routes {
		r.uncached = r.back != nil && r.cache == nil
	}
}

// A cacheRule is for some paths.
type cacheRule struct {
	node
	paths []string
	ttl   string
}

// lasting adds a rule for how long answers last, before those it would stand behind in vain.
func (c *cacheSet) lasting(paths []string, ttl time.Duration, d *directive) {
	text := config.FormatDuration(ttl)
	for _, r := range c.rules {
		if r.ttl == text && slices.Equal(r.paths, paths) {
			r.take("", d)
			return
		}
	}
	r := &cacheRule{paths: paths, ttl: text}
	r.take("", d)
	at := len(c.rules)
	for i, o := range c.rules {
		if !slices.ContainsFunc(paths, func(p string) bool { return !withinPaths(o.paths, p) }) {
			at = i
			break
		}
	}
	c.rules = slices.Insert(c.rules, at, r)
}
