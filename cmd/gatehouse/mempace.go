package main

import (
	"context"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// What may be allocated between two collections, besides what is in use. A heap that grows to five times what is in use costs little as long as
// little is in use. What caches remember is no little, and it was given a bound by who has to pay for it: to have five times of that would be to ignore
// the bound. So of that only a small part is added, for as long as it makes no difference whether it is collected a little more often: it has few
// pointers.
const (
	growthOfRest  = 4      // times what is in use but for caches
	growthOfCache = 1. / 8 // times what is in caches
	onTheWay      = 1. / 4 // of what is in caches: is being sent while the cache has let go of it already
	leastGrowth   = 8 << 20
	fewestPercent = 4
	mostPercent   = 100 * growthOfRest
)

// paceMemory adapts to what caches remember how much the heap may grow, after each collection, until ctx ends. held returns the bytes in them.
func paceMemory(ctx context.Context, held func() uint64) {
	collected := make(chan struct{}, 1)
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	percent := mostPercent
	for {
		watchCollection(collected)
		select {
		case <-ctx.Done():
			return
		case <-collected:
		}
		metrics.Read(sample)
		if sample[0].Value.Kind() != metrics.KindUint64 {
			return
		}
		// To set it stops everything for a moment: small differences are not worth that.
		if p := growth(sample[0].Value.Uint64(), held()); p < percent*9/10 || p > percent*11/10 {
			debug.SetGCPercent(p)
			percent = p
		}
	}
}

// growth returns by how many percent a heap of which live bytes are in use may grow, held of these being those of caches.
func growth(live, held uint64) (percent int) {
	if live == 0 {
		return mostPercent
	}
	cached := float64(min(held, live))
	rest := max(0, float64(live)-(1+onTheWay)*cached)
	more := max(growthOfRest*rest+growthOfCache*cached, leastGrowth)
	return max(fewestPercent, min(int(100*more/float64(live)), mostPercent))
}

// watchCollection tells the channel when the next collection has ended, or soon after: once something is collected that nobody uses.
func watchCollection(ended chan<- struct{}) {
	type nothing struct{ _ *byte }
	runtime.AddCleanup(&nothing{}, func(ended chan<- struct{}) {
		select {
		case ended <- struct{}{}:
		default:
		}
	}, ended)
}
