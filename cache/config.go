// Package cache is the block "cache" of the configuration: what may be remembered. It stands between a frontend and a backend,
// answers what it knows, remembers what it may, and never gives anybody an answer that was made for somebody else.
//
//	c := cache.New(&cache.Config{Name: "pages", Memory: 256 << 20, MaxObject: 8 << 20}, pool, cache.Options{Backend: "webfarm"})
//	f := frontend.New(fc, c, frontend.Options{Loops: loops})
//
// It is a shared cache as RFC 9111 has it, with RFC 5861 (stale-while-revalidate, stale-if-error), RFC 9213
// (CDN-Cache-Control) and RFC 9211 (Cache-Status).
package cache

import (
	"net/netip"
	"time"
)

// Config is a cache: what may be remembered of the answers of servers, for everybody who asks the same. Servers say what
// that is by Cache-Control, or by CDN-Cache-Control to this cache and its like alone. An answer with Set-Cookie is not
// remembered, nor one that got a persistence cookie. Who asks for a part of something that is not remembered gets it from the server at once, and if the
// whole of it may be remembered, that is fetched in the background, so that the next part comes from here. Every answer says in Cache-Status what
// the cache did.
type Config struct {
	Name string `hcl:"name,label"`

	// Memory bounds what is remembered: content, header fields and keys together. What is asked for least goes first.
	Memory int64 `hcl:"memory,optional" unit:"bytes" default:"256MiB"`

	// MaxObject bounds the content of one answer; larger ones pass by. A quarter of memory bounds it too, or of the size of the disk: what is
	// too large for memory is kept there alone.
	MaxObject int64 `hcl:"max_object,optional" unit:"bytes" default:"8MiB"`

	// Disk is a second, larger place for what is remembered, which survives a restart. Without it, there is memory alone.
	Disk *Disk `hcl:"disk,block"`

	// FillFromNewcomers also remembers what answered a request without the persistence cookie: the part of the answer that is for
	// everybody, not the new cookie. Without it, only the answers to those who have their cookie already are remembered, as a
	// cache in front of the balancer would do.
	FillFromNewcomers bool `hcl:"fill_from_newcomers,optional"`

	// UnsafeStoreSetCookie also remembers answers with Set-Cookie, cookies and all, where the server lets shared caches keep them: everybody
	// who asks for the same gets the cookie that was made for one. RFC 9111 has it so. It is safe only where servers never set
	// cookies by which they know a client, such as that of a session. Without it, an answer with Set-Cookie is not remembered. What
	// got a persistence cookie is not in either case.
	UnsafeStoreSetCookie bool `hcl:"unsafe_store_set_cookie,optional"`

	// PurgeFrom lists the networks from which PURGE makes the cache forget a URL. It is answered with 200, or 404 when nothing was
	// known, and 403 to everybody else. Without it, PURGE is a method like any other and goes to the server.
	PurgeFrom []netip.Prefix `hcl:"purge_from,optional"`

	// RefreshFrom lists the networks whose Cache-Control in requests is obeyed: "no-cache" and "max-age=0", as browsers send
	// them for a reload, then ask the server. From everybody else they are ignored: they would make any cache useless.
	RefreshFrom []netip.Prefix `hcl:"refresh_from,optional"`

	// Query says which differences between query strings make no difference.
	Query *Query `hcl:"query,block"`

	// Rule is for some paths. The first rule that matches a path counts.
	Rules []*Rule `hcl:"rule,block"`
}

// Disk is a directory in which answers are kept besides those in memory: as plain files, one for each. Whatever is remembered is written there
// too, soon after it came, as long as the disk is fast enough; when memory needs the room for others it is still there, and
// after a restart. A disk that is full, slow, read-only or broken never fails a request: then memory serves alone.
//
// A directory belongs to one process and one cache at a time. While another process has it, as may be when one is started before the
// other has ended, this one serves from memory alone, says so in its log and in "gatehouse cache stats", and takes the directory over once it can. To
// reload does not touch what is there. Files that are not the cache's own stay as they are.
type Disk struct {
	// Path is the directory. It is made if it does not exist, and should be one that nobody else may read.
	Path string `hcl:"path" label:"1" path:"true"`

	// Size bounds the files together, counted in blocks of 4KiB. What was asked for least recently goes first. For each file, about 90 bytes of
	// memory are needed besides those of the cache.
	Size int64 `hcl:"size,optional" unit:"bytes" default:"1GiB"`
}

// Query says which differences between query strings make no difference. What makes none is not sent to the server either, so that
// it cannot answer by it.
type Query struct {
	// Sort puts the parameters in the order of their names. Parameters of one name keep their order.
	Sort bool `hcl:"sort,optional"`
	// Drop lists parameters that are left out, such as "fbclid", or "utm_*" for all that begin so.
	Drop []string `hcl:"drop,optional"`
}

// Rule is for some paths.
type Rule struct {
	// Paths the rule is for: "/exact", or "/prefix/*".
	Paths []string `hcl:"paths"`

	// TTL is how long an answer is fresh about which the server says nothing. It never overrides what the server says, and what
	// is private, has a Set-Cookie or answered a request with Authorization stays out. A path that servers may read in several
	// ways, with "%2F" or ".." in it, has no ttl. 0: only the server's word counts.
	TTL time.Duration `hcl:"ttl,optional"`

	// StaleFor is how long an answer that is no longer fresh may still be used, while it is fetched anew in the background or
	// while the server fails. The server's stale-while-revalidate and stale-if-error, must-revalidate and the like overrule it.
	// Without it, an answer is used for ten minutes after its time when no server can be reached, and not otherwise.
	StaleFor time.Duration `hcl:"stale_for,optional"`

	// Bypass keeps the cache out of it: nothing is looked up, nothing is remembered.
	Bypass bool `hcl:"bypass,optional"`

	// Errors also remembers answers that say what is wrong with a request, such as 400, 403 or 501, for as long as the server says. Without it,
	// they are not: what is wrong is often nothing that another client's request for the same URL has. Errors that are alike for everybody,
	// such as 404 or 503, are remembered in any case, if the server says for how long.
	Errors bool `hcl:"errors,optional"`
}
