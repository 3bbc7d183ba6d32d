package backend

import "sync/atomic"

// Stats are the counters of a pool. All loops share them.
type Stats struct {
	Requests     atomic.Uint64
	Active       atomic.Int64 // exchanges under way
	Retries      atomic.Uint64
	Redispatches atomic.Uint64
	Failed       atomic.Uint64 // exchanges that ended without an answer of a server
}

// ServerStats are the counters of a server.
type ServerStats struct {
	Requests    atomic.Uint64
	Connections atomic.Uint64 // made, as opposed to reused
	Refused     atomic.Uint64 // attempts to connect that failed
}
