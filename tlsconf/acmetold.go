package tlsconf

import (
	"maps"
	"sync"
	"time"
)

// sayAgain is for how long the log is spared what it has been told already. The list of certificates has all there is to know at any time.
const sayAgain = time.Hour

// told are the failures that the log knows of. A CA that is away for a day fails thousands of names in the same words, and a name that leads elsewhere
// fails in the same words for months.
type told struct {
	mu     sync.Mutex
	shared map[string]time.Time // when it was told that a CA cannot be talked to, which goes for each of its names
	byHost map[string]saying    // what was told of a name
}

// saying is something told at a time.
type saying struct {
	words string
	at    time.Time
}

// news reports whether the log is to be told that a host has failed: with other words than the last time, or after a while, and in the words that go
// for any host only of one of them. grave: clients are refused, or soon will be, which is another matter.
func (t *told) news(host string, f *Failure, grave bool, now time.Time) bool {
	words := f.Why
	if grave {
		words += "!"
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if f.Refused {
		if s := t.byHost[host]; f.Times > 1 && s.words == words && now.Sub(s.at) < sayAgain {
			return false
		}
		if t.byHost == nil {
			t.byHost = map[string]saying{}
		}
		t.byHost[host] = saying{words, now}
		return true
	}
	maps.DeleteFunc(t.shared, func(_ string, at time.Time) bool { return now.Sub(at) >= sayAgain })
	if _, ok := t.shared[words]; ok {
		return false
	}
	if t.shared == nil {
		t.shared = map[string]time.Time{}
	}
	t.shared[words] = now
	return true
}

// over forgets what was told, since a host has its certificate now: the next failure is news.
func (t *told) over(host string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.shared)
	delete(t.byHost, host)
}
