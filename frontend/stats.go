package frontend

import "sync/atomic"

// Stats are the counters of a frontend. All loops share them.
type Stats struct {
	Connections atomic.Uint64 // accepted
	Refused     atomic.Uint64 // closed at once: limits.per_source
	Monitored   atomic.Uint64 // probes that monitor answered
	Requests    atomic.Uint64
	Active      atomic.Int64 // exchanges under way
	Bad         atomic.Uint64
	Compress    CompressStats
}
