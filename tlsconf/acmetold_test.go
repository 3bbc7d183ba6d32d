package tlsconf

import (
	"strings"
	"testing"
	"time"

	"gatehouse/tlsconf/acmetest"
)

// TestWhatIsNews: the same words are told once an hour, of a name that is refused and of a CA that is away.
func TestWhatIsNews(t *testing.T) {
	var l told
	began := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	refused := func(why string, times int) *Failure { return &Failure{Why: why, Times: times, Refused: true} }
	away := &Failure{Why: "the CA is away", Times: 1}
	for i, x := range []struct {
		host  string
		f     *Failure
		grave bool
		after time.Duration
		want  bool
	}{
		{"a.test", refused("no", 1), false, 0, true},
		{"a.test", refused("no", 2), false, time.Minute, false},
		{"b.test", refused("no", 1), false, time.Minute, true},
		{"a.test", refused("never", 3), false, 2 * time.Minute, true},
		{"a.test", refused("never", 4), true, 3 * time.Minute, true}, // clients are refused now
		{"a.test", refused("never", 5), true, 62 * time.Minute, false},
		{"a.test", refused("never", 6), true, 63 * time.Minute, true},
		{"a.test", refused("never", 1), true, 64 * time.Minute, true}, // it went well in between
		{"a.test", away, false, 70 * time.Minute, true},
		{"b.test", away, false, 71 * time.Minute, false},
		{"c.test", away, true, 72 * time.Minute, true},
		{"d.test", away, true, 73 * time.Minute, false},
		{"b.test", away, false, 129 * time.Minute, false},
		{"b.test", away, false, 130 * time.Minute, true},
	} {
		if got := l.news(x.host, x.f, x.grave, began.Add(x.after)); got != x.want {
			t.Errorf("%d, %s after %v: %v", i, x.host, x.after, got)
		}
	}
	l.over("a.test")
	if !l.news("b.test", away, false, began.Add(131*time.Minute)) {
		t.Error("that a CA is away again is no news")
	}
}

// TestManyNamesWithoutTheCA: of several names that fail because the CA is away, the log tells once; and each of them has its certificate when it is back.
func TestManyNamesWithoutTheCA(t *testing.T) {
	t.Parallel()
	d := domain()
	var hosts []string
	for _, a := range "abc" {
		hosts = append(hosts, string(a)+"."+d)
	}
	r := newACMERig(t, acmetest.Options{})
	r.ca.SetDown(true)
	r.serve(r.block(hosts...))
	for _, host := range hosts {
		r.await(host+" has failed twice", func() bool { return r.of(host).Failures > 1 })
	}
	lines := 0
	for _, e := range r.logs.All() {
		if strings.Contains(e.Message, "no certificate obtained for ") {
			if lines++; !strings.Contains(e.Message, "."+d+", and others for which it is the same: ") {
				t.Error(e.Message)
			}
		}
	}
	if lines != 1 {
		t.Errorf("%d lines", lines)
	}
	r.ca.SetDown(false)
	for _, host := range hosts {
		r.await(host+" is good", func() bool { return r.trusted(host) })
	}
}
