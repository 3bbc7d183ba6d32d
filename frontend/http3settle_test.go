package frontend

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestHandshakesEndBeforeTheSocketIsLeft: who is counted late is waited for all the same, and nobody for ever.
func TestHandshakesEndBeforeTheSocketIsLeft(t *testing.T) {
	type change struct {
		at    time.Duration
		under int64
	}
	const ms = time.Millisecond
	for _, x := range []struct {
		name    string
		changes []change
		cut     time.Duration // when all is aborted; 0: never
		want    time.Duration
		settled bool
	}{
		{"nobody", nil, 0, 50 * ms, true},
		{"one under way", []change{{0, 1}, {95 * ms, 0}}, 0, 140 * ms, true},
		{"one that is counted late", []change{{35 * ms, 1}, {175 * ms, 0}}, 0, 220 * ms, true},
		{"one after the other", []change{{0, 1}, {95 * ms, 0}, {125 * ms, 1}, {155 * ms, 0}}, 0, 200 * ms, true},
		{"one that never ends", []change{{0, 1}}, 0, lingerTime, true},
		{"cut", []change{{0, 1}}, 300 * ms, 300 * ms, false},
	} {
		t.Run(x.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				var under atomic.Int64
				for _, c := range x.changes {
					if c.at == 0 {
						under.Store(c.under)
					} else {
						time.AfterFunc(c.at, func() { under.Store(c.under) })
					}
				}
				if x.cut > 0 {
					time.AfterFunc(x.cut, cancel)
				}
				began := time.Now()
				if got := settled(ctx, &under); got != x.settled {
					t.Errorf("settled: %v", got)
				}
				if d := time.Since(began); d != x.want {
					t.Errorf("after %v, want %v", d, x.want)
				}
				time.Sleep(time.Second) // the changes have happened before the bubble ends
			})
		})
	}
}
