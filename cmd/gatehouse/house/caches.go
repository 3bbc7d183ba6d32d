package house

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sync"

	"go.uber.org/zap"

	"gatehouse/backend"
	"gatehouse/backend/h1"
	"gatehouse/backend/loop"
	"gatehouse/cache"
	"gatehouse/cmd/gatehouse/admin"
	"gatehouse/cmd/gatehouse/config"
)

// caches are those of one cache block, one in front of each backend. They share what they remember, with those of the generation before
// too.
type caches struct {
	first  *cache.Cache
	before map[string]*cache.Cache // backends
}

// buildCaches makes the caches of g. What those of old remember goes on being remembered.
func buildCaches(loops []*loop.Loop, g, old *generation, log *zap.Logger) {
	for _, c := range g.file.Caches {
		all := &caches{before: map[string]*cache.Cache{}}
		if was := old.caches[c.Name]; was != nil {
			all.first = was.first
		}
		for _, b := range backendsBehind(g.file, c.Name) {
			p := g.pools[b]
			if p == nil {
				continue
			}
			k := cache.New(c, p, cache.Options{Loops: loops, Backend: b, Hidden: hiddenCookie(g.file, b), Former: all.first, Log: log.With(zap.String("cache", c.Name))})
			all.before[b], all.first = k, k
		}
		if len(all.before) > 0 {
			g.caches[c.Name] = all
		}
	}
}

// takeOver puts the caches of g in charge of what is remembered.
func (g *generation) takeOver() {
	for _, c := range g.caches {
		c.first.TakeOver()
	}
}

// closeCaches lets go of the directories of caches that g has and other has not, and waits for what is still to be written there. It does
// so in parallel.
func (g *generation) closeCaches(other *generation) {
	var all sync.WaitGroup
	for name, c := range g.caches {
		if other.caches[name] == nil {
			all.Go(c.first.Close)
		}
	}
	all.Wait()
}

// hiddenCookie returns the name of the persistence cookie of a backend whose servers never see it, "" where there is none.
func hiddenCookie(f *config.File, name string) string {
	for _, b := range f.Backends {
		if b.Name == name && b.Cookie != nil && b.Cookie.Mode == backend.Insert && b.Cookie.Indirect {
			return b.Cookie.Name
		}
	}
	return ""
}

// backendsBehind returns the names of the backends that a cache stands before, each once.
func backendsBehind(f *config.File, name string) (list []string) {
	for _, c := range f.Frontends {
		if c.Cache != name {
			continue
		}
		list = append(list, c.Backend)
		for _, r := range c.Routes {
			if r.Cache {
				list = append(list, r.Backend)
			}
		}
	}
	slices.Sort(list)
	return slices.DeleteFunc(slices.Compact(list), func(b string) bool { return b == "" })
}

// inFront returns what answers in the place of a pool, nil for no pool: the cache before it, if there is one.
func (c *caches) inFront(p *backend.Pool) h1.RoundTripper {
	if p == nil {
		return nil
	}
	if c != nil {
		if k := c.before[p.Name()]; k != nil {
			return k
		}
	}
	return p
}

// status describes the caches of a block at this moment.
func (c *caches) status(name string) admin.Cache {
	n, s := c.first.Snapshot(), c.first.Stats
	v := admin.Cache{
		Name: name, Keys: n.Keys, Bytes: n.Bytes, Memory: n.Memory, Filling: n.Filling,
		Hits: s.Hits.Load(), Stale: s.Stale.Load(), Misses: s.Misses.Load(), Collapsed: s.Collapsed.Load(), Revalidated: s.Revalidated.Load(),
		Unstorable: s.Unstorable.Load(), Passed: s.Passed.Load(), Refreshes: s.Refreshes.Load(), Stored: s.Stored.Load(), Truncated: s.Truncated.Load(),
		Evicted: s.Evicted.Load(), Purged: s.Purged.Load(), Invalidated: s.Invalidated.Load(),
	}
	if d := n.Disk; d != nil {
		v.Disk = &admin.Disk{
			Path: d.Path, State: d.State, Trouble: d.Trouble, Objects: d.Objects, Bytes: uint64(d.Bytes), Size: uint64(d.Size), Queued: uint64(max(d.Queued, 0)),
			Hits: s.DiskHits.Load(), Promoted: s.DiskPromoted.Load(), Stored: s.DiskStored.Load(), Written: s.DiskWritten.Load(), Dropped: s.DiskDropped.Load(),
			Evicted: s.DiskEvicted.Load(), Corrupt: s.DiskCorrupt.Load(), Errors: s.DiskErrors.Load(), Slow: s.DiskSlow.Load(),
		}
	}
	return v
}

// CacheBytes returns about how much memory is taken by what caches remember, and by what is on its way there. From any goroutine.
func (h *House) CacheBytes() (n uint64) {
	for _, c := range h.gen.Load().caches {
		s := c.first.Snapshot()
		n += s.Bytes + uint64(max(s.Filling, 0))
	}
	return n
}

// Purge makes caches forget. From any goroutine that is no loop's.
func (h *House) Purge(p admin.Purge) (*admin.Purged, error) {
	g := h.gen.Load()
	if p.Cache != "" && g.caches[p.Cache] == nil {
		return nil, fmt.Errorf("%w cache %q: there is %s", admin.ErrUnknown, p.Cache, listOf(slices.Sorted(maps.Keys(g.caches))))
	}
	var done admin.Purged
	for name, c := range g.caches {
		switch k := c.first; {
		case p.Cache != "" && p.Cache != name:
		case p.All:
			done.URLs += k.PurgeAll()
		case p.Tag != "":
			done.URLs += k.PurgeTag(p.Tag)
		case p.Prefix != "":
			done.URLs += k.PurgePrefix(p.Prefix)
		case k.PurgeURL(p.URL):
			done.URLs++
		}
	}
	return &done, nil
}

// List says what caches remember. From any goroutine that is no loop's.
func (h *House) List(l admin.Listing) (*admin.Listed, error) {
	g := h.gen.Load()
	if l.Cache != "" && g.caches[l.Cache] == nil {
		return nil, fmt.Errorf("%w cache %q: there is %s", admin.ErrUnknown, l.Cache, listOf(slices.Sorted(maps.Keys(g.caches))))
	}
	list := &admin.Listed{Answers: []admin.Answer{}}
	for name, c := range g.caches {
		if l.Cache != "" && l.Cache != name {
			continue
		}
		c.first.List(l.Prefix, func(v cache.Listed) bool {
			if len(list.Answers) == l.Limit {
				list.More = true
				return false
			}
			tier := "memory"
			switch {
			case v.Memory && v.Disk:
				tier = "both"
			case v.Disk:
				tier = "disk"
			}
			list.Answers = append(list.Answers, admin.Answer{Cache: name, Backend: v.Backend, URL: v.URL, Status: v.Status, Size: v.Size, Vary: v.Vary,
				Age: v.Age.Seconds(), TTL: v.TTL.Seconds(), Tier: tier})
			return true
		})
	}
	slices.SortFunc(list.Answers, func(a, b admin.Answer) int {
		return cmp.Or(cmp.Compare(a.URL, b.URL), cmp.Compare(a.Backend, b.Backend), cmp.Compare(a.Cache, b.Cache))
	})
	return list, nil
}
