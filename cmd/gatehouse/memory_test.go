package main

import "testing"

func TestMemoryIsGivenBackWhenTrafficPauses(t *testing.T) {
	const mib = 1 << 20
	var m tidier
	for i, tt := range []struct {
		allocated, live, held uint64
		want                  bool
		why                   string
	}{
		{100 * mib, 10 * mib, 40 * mib, false, "the first look knows no past"},
		{150 * mib, 10 * mib, 40 * mib, false, "traffic goes on"},
		{150 * mib, 10 * mib, 40 * mib, true, "it paused and left 30 MiB"},
		{150 * mib, 10 * mib, 40 * mib, false, "nothing was allocated since"},
		{180 * mib, 10 * mib, 11 * mib, false, "traffic again"},
		{180 * mib, 10 * mib, 12 * mib, false, "the collector was faster"},
		{180 * mib, 10 * mib, 30 * mib, true, "litter"},
	} {
		if got := m.due(tt.allocated, tt.live, tt.held); got != tt.want {
			t.Errorf("look %d (%s): %t", i, tt.why, got)
		}
	}
}

func TestMemoryGaugesExist(t *testing.T) {
	if allocated, _, held := readGauges(); allocated == 0 || held == 0 {
		t.Errorf("allocated %d, held %d", allocated, held)
	}
}
