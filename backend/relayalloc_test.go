//go:build !race

package backend

import (
	"runtime"
	"testing"
)

// TestRelayAllocatesNothing: a message costs no garbage in either direction. A relay may carry one per keystroke for days.
func TestRelayAllocatesNothing(t *testing.T) {
	r := relaying(t, nil, origin(t, answerAll))
	c := r.client()
	pingPong(t, c, 100)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	pingPong(t, c, 2000)
	runtime.ReadMemStats(&after)
	// The runtime, and the clock's timers, allocate now and then.
	if n := after.Mallocs - before.Mallocs; n > 400 {
		t.Errorf("%d allocations for 2000 messages and their answers", n)
	}
}
