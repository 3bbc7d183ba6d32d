package frontend

import "sync/atomic"

// Tally is what a frontend counts, and the log it writes to. It outlives its Frontend: a reload hands it on to the next one of the
// same name. So connections hold a Tally and nothing else of the past; whoever sees one end counts it where it was counted when it
// came, and an exchange that began before a reload has its line in the log that is open now.
type Tally struct {
	Stats Stats

	conns   Cap
	sources perSource
	to      atomic.Pointer[Log]
}

// Connections returns how many clients are connected.
func (t *Tally) Connections() int { return t.conns.Count() }

// log returns where lines go, nil for nowhere.
func (t *Tally) log() *Log { return t.to.Load() }

// seat is what a connection was counted by when it came.
type seat struct {
	t      *Tally
	source bool // among those of its address, too
}
