package main

import (
	"testing"
)

func TestHowMuchTheHeapMayGrow(t *testing.T) {
	const mib = 1 << 20
	for _, c := range []struct {
		live, held uint64
		percent    int
		why        string
	}{
		{0, 0, 400, "nobody knows anything"},
		{1 * mib, 0, 400, "never more than that"},
		{10 * mib, 0, 400, "no cache"},
		{300 * mib, 0, 400, "no cache"},
		{64 * mib, 64 * mib, 12, "nothing but a cache"},
		{80 * mib, 64 * mib, 10, "a quarter of the cache may be on its way to clients"},
		{16 * mib, 16 * mib, 50, "a small cache: never less than 8 MiB"},
		{120 * mib, 64 * mib, 140, "40 MiB of other things: 160 MiB and 8 MiB"},
		{1100 * mib, 1000 * mib, 11, "125 MiB"},
		{64 * mib, 90 * mib, 12, "the cache has grown since"},
		{400 * mib, 10 * mib, 387, "next to no cache"},
	} {
		if got := growth(c.live, c.held); got != c.percent {
			t.Errorf("%d MiB of which caches have %d MiB, %s: %d %%, want %d", c.live/mib, c.held/mib, c.why, got, c.percent)
		}
	}
}
