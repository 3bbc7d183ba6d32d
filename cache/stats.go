package cache

import "sync/atomic"

// Stats are the counters of a cache. All loops share them.
type Stats struct {
	Hits        atomic.Uint64 // answered from memory, fresh or allowed to be stale
	Stale       atomic.Uint64 // of these: stale
	Misses      atomic.Uint64 // fetched, as nothing usable was there
	Revalidated atomic.Uint64 // the server said that what is stored is still good
	Collapsed   atomic.Uint64 // got the answer that another request fetched
	Passed      atomic.Uint64 // not looked up at all: other methods, bypass
	Refreshes   atomic.Uint64 // fetched in the background
	Stored      atomic.Uint64
	Unstorable  atomic.Uint64 // fetched and not stored
	Truncated   atomic.Uint64 // fetched and cut short
	Evicted     atomic.Uint64 // keys pushed out of memory
	Purged      atomic.Uint64 // keys forgotten by order
	Invalidated atomic.Uint64 // keys forgotten because of an unsafe request

	DiskHits     atomic.Uint64 // of Hits: the content came from the disk
	DiskPromoted atomic.Uint64 // answers brought from the disk into memory
	DiskStored   atomic.Uint64 // answers written
	DiskWritten  atomic.Uint64 // bytes written
	DiskDropped  atomic.Uint64 // answers not written: the disk was too slow, or full
	DiskEvicted  atomic.Uint64 // answers that made room for others
	DiskCorrupt  atomic.Uint64 // files that were not what had been written
	DiskErrors   atomic.Uint64 // of the file system
	DiskSlow     atomic.Uint64 // requests that did not wait for the disk
}

// Snapshot is what a cache is like at a moment.
type Snapshot struct {
	Keys    int           // for which something is stored
	Bytes   uint64        // of all that is stored, about
	Memory  uint64        // the bound of that
	Filling int64         // bytes of content on their way into the store
	Disk    *DiskSnapshot // nil: there is none
}
