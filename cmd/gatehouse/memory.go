package main

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"time"
)

// tuneMemory lets the heap grow to five times what is in use before it is collected: there is little in use, and
// collections cost 3 % of the requests per second. The limit keeps that from being too much on a small machine.
func tuneMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		if n := machineMemory(); n > 0 {
			debug.SetMemoryLimit(n / 10 * 7)
		}
	}
}

// machineMemory returns the bytes of memory this process may use, 0 when that is unknown.
func machineMemory() int64 {
	var most int64
	if b, err := os.ReadFile("/proc/meminfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			var kib int64
			if n, _ := fmt.Sscanf(line, "MemTotal: %d kB", &kib); n == 1 {
				most = kib << 10
			}
		}
	}
	for _, name := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		b, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		if n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64); err == nil && n > 0 && (most == 0 || n < most) {
			most = n
		}
	}
	return most
}

// What tidyMemory looks at: allocated in all; in use at the last collection; not yet collected; and free, but not yet given back to
// the system.
var memoryGauges = []string{"/gc/heap/allocs:bytes", "/gc/heap/live:bytes", "/memory/classes/heap/objects:bytes", "/memory/classes/heap/free:bytes"}

const (
	tidyEvery   = time.Second
	quietGrowth = 256 << 10 // allocated in one interval: there is no traffic to speak of
	litter      = 4 << 20   // not worth collecting below that
)

// tidyMemory gives memory back when traffic pauses, until ctx ends. The heap may grow to five times what is in use before
// it is collected, and when nothing more is allocated that is never: after a thousand handshakes each idle
// connection would cost twice what it holds.
func tidyMemory(ctx context.Context) {
	t := time.NewTicker(tidyEvery)
	defer t.Stop()
	var m tidier
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			if m.due(readGauges()) {
				debug.FreeOSMemory()
			}
		}
	}
}

// tidier decides when.
type tidier struct {
	before uint64 // allocated in all, at the last look
	tidied uint64 // the same, when memory was last given back
}

// due reports whether memory should be given back now: traffic has paused, and has left enough behind since the last time.
func (m *tidier) due(allocated, live, held uint64) bool {
	grown := allocated - m.before
	m.before = allocated
	if grown > quietGrowth || allocated-m.tidied < litter || held < live+max(litter, live/2) {
		return false
	}
	m.tidied = allocated
	return true
}

// readGauges returns what was allocated in all, what was in use at the last collection, and what the heap holds of the system's memory.
func readGauges() (allocated, live, held uint64) {
	s := make([]metrics.Sample, len(memoryGauges))
	for i, name := range memoryGauges {
		s[i].Name = name
	}
	metrics.Read(s)
	v := make([]uint64, len(s))
	for i := range s {
		if s[i].Value.Kind() == metrics.KindUint64 {
			v[i] = s[i].Value.Uint64()
		}
	}
	return v[0], v[1], v[2] + v[3]
}
