package cache

import (
	"net/netip"
	"os"

	"go.uber.org/zap"

	"gatehouse/backend/h1"
	"gatehouse/backend/loop"
)

// Options are what a cache needs from the rest of the house.
type Options struct {
	// Loops do the work.
	Loops []*loop.Loop
	// Backend is the name of what answers behind the cache. It is part of the key: backends that share a cache do not share
	// answers.
	Backend string
	// Hidden is the name of a cookie that the backend takes out of every request. Who sends no other one is nobody in particular to the
	// servers. "": there is none.
	Hidden string
	// Former is a Cache of the same block, in front of another backend or of the configuration before: what it remembers goes on being
	// remembered, by both, and it bounds that until TakeOver. nil: there is none.
	Former *Cache
	// Log is told what becomes of the disk tier. nil: nobody is.
	Log *zap.Logger

	files *fileSystem // in the place of the real one
}

// Cache is a cache block at work in front of one backend: a RoundTripper that answers what it knows, and lets the next one answer what it
// does not. All loops share it.
type Cache struct {
	Stats *Stats

	c     *Config
	o     Options
	next  h1.RoundTripper
	store *store
	rules *rules
	query *query // nil: raw
	rooms []*room
}

// room is what a cache owns on one loop.
type room struct {
	free     []*ask
	readings []*reading // likewise
	offset   int64      // from the loop's clock to the store's
	known    bool       // offset is
}

// New makes a cache of its configuration. next answers what it does not know.
func New(c *Config, next h1.RoundTripper, o Options) *Cache {
	k := &Cache{c: c, o: o, next: next, rules: newRules(c.Rules), query: newQuery(c.Query)}
	if o.Former != nil {
		k.store = o.Former.store
	} else {
		k.store = newStore(c.Memory)
		k.store.log = o.Log
		if o.files != nil {
			k.store.files = *o.files
		}
	}
	if c.Disk != nil {
		// Whoever may do that now may not later. What else there is to be said of the directory is said when it is used.
		os.MkdirAll(c.Disk.Path, 0o700)
	}
	k.o.Former = nil // whose configuration is not ours to keep
	k.store.addBackend(o.Backend)
	k.Stats = &k.store.Stats
	for _, l := range o.Loops {
		for len(k.rooms) <= l.ID {
			k.rooms = append(k.rooms, nil)
		}
		k.rooms[l.ID] = &room{}
	}
	return k
}

// TakeOver puts this configuration in charge of what is remembered, in the place of the former's, if there was one. Not before that anything
// is done with the directory of a disk tier, but that it is made. It does not wait for the disk.
func (c *Cache) TakeOver() {
	c.store.resize(c.c.Memory)
	c.store.useDisk(c.c.Disk, c.c.Memory)
}

// Close lets go of the disk tier, of all Caches of the block: what waits to be written is, for some seconds at most. They go on working in
// memory alone. From any goroutine that is no loop's.
func (c *Cache) Close() { c.store.closeDisk() }

// Hurry says that Close has no time for the disk, even if it was called already: what waits to be written is forgotten. From any goroutine.
func (c *Cache) Hurry() { c.store.hurry() }

// Name returns the name of the block.
func (c *Cache) Name() string { return c.c.Name }

// Snapshot returns what the cache is like now. From any goroutine.
func (c *Cache) Snapshot() Snapshot {
	d := c.store.data
	return Snapshot{Keys: d.EstimatedSize(), Bytes: d.WeightedSize(), Memory: uint64(c.store.memory.Load()), Filling: c.store.filling.Load(), Disk: c.store.disk.Load().snapshot()}
}

// RoundTrip answers an exchange (h1.RoundTripper): from memory, or together with others who ask the same, or by the next RoundTripper.
func (c *Cache) RoundTrip(x *h1.Exchange) error {
	x.Note.Backend = c.o.Backend // also where it is not asked
	switch method := string(x.Req.Method); {
	case method == "GET" || method == "HEAD":
	case method == "PURGE" && len(c.c.PurgeFrom) > 0:
		return c.answerPurge(x)
	default:
		return c.pass(x, fwdMethod, "")
	}
	h := &x.Req.Header
	switch {
	case x.Req.Body != nil || x.Req.Length != 0 || x.Req.Upgrade != "":
		return c.pass(x, fwdRequest, "CONTENT")
	case h.Has(h1.IfMatch) || h.Has(h1.IfUnmodifiedSince):
		return c.pass(x, fwdRequest, "CONDITION")
	case overrides(h):
		return c.pass(x, fwdBypass, "OVERRIDE")
	}
	r := c.rules.match(x.Req.Target)
	if r.bypass {
		return c.pass(x, fwdBypass, "RULE")
	}
	a := c.take(x)
	a.rule = r
	err := a.run()
	if a.bare { // who stands in front judges by the request that the server has answered
		h.Del(h1.Cookie)
	}
	if err != nil || x.Resp.Body != h1.Body(a) {
		c.give(a)
	}
	return err
}

// take lends an ask.
func (c *Cache) take(x *h1.Exchange) *ask {
	r := c.rooms[x.Loop.ID]
	if !r.known {
		r.known, r.offset = true, c.store.since()-x.Loop.Now()
	}
	var a *ask
	if n := len(r.free); n > 0 {
		a = r.free[n-1]
		r.free = r.free[:n-1]
	} else {
		a = newAsk(c, x.Loop)
	}
	a.x = x
	a.offset = r.offset
	a.tick()
	return a
}

// give takes it back.
func (c *Cache) give(a *ask) {
	r := c.rooms[a.loop.ID]
	a.release()
	a.reset()
	if len(r.free) < 256 {
		r.free = append(r.free, a)
	}
}

// within reports whether an address is in one of the networks.
func within(nets []netip.Prefix, a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	for _, n := range nets {
		if n.Contains(a) {
			return true
		}
	}
	return false
}
