package house_test

import (
	"testing"
	"time"
)

// attempts is how often something is measured before it counts as too slow, or too costly.
const attempts = 5

// quick checks that what f measures takes no more than most. What else the machine does makes a measurement longer and never shorter, a
// wait that should not be makes all of them longer: one that is short enough is enough.
func quick(t testing.TB, most time.Duration, f func() time.Duration) {
	t.Helper()
	least := f()
	for i := 1; i < attempts && least > most && !t.Failed(); i++ {
		least = min(least, f())
	}
	if least > most {
		t.Errorf("it took %v, want at most %v", least, most)
	}
}

// taken returns how long f takes.
func taken(f func()) time.Duration {
	began := time.Now()
	f()
	return time.Since(began)
}
