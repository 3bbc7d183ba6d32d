package backend

import (
	"testing"
	"time"
)

// TestIdleTime: a connection is given up before the server does it.
func TestIdleTime(t *testing.T) {
	for _, x := range []struct {
		keep int
		want time.Duration
	}{
		{-1, time.Minute}, // it does not say
		{1, 500 * time.Millisecond},
		{2, time.Second},
		{5, 4 * time.Second},
		{61, time.Minute},
		{1 << 30, time.Minute},
	} {
		if got := (&conn{keep: x.keep}).idleTime(); got != x.want {
			t.Errorf("timeout=%d: %v, want %v", x.keep, got, x.want)
		}
	}
}
