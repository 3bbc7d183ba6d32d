package house_test

import (
	"sync/atomic"
	"testing"
)

// TestHTTP2AnswersDoNotWaitForABusyLoop: answers gather as long as others are on their way and the loop has other things to do, but no longer
// than some turns, even if neither ever ends.
func TestHTTP2AnswersDoNotWaitForABusyLoop(t *testing.T) {
	gate := make(chan struct{})
	o := gatedOrigin(t, "/slow", gate)
	r := build(t, plan{servers: []*origin{o}, bind: both})
	for _, l := range r.loops { // whichever has the connection
		var enough atomic.Bool
		var busy func()
		busy = func() {
			if !enough.Load() {
				l.Post(busy)
			}
		}
		l.Post(busy)
		t.Cleanup(func() { enough.Store(true) })
	}
	p := r.raw()
	p.headers(1, true, asking("/slow")...)
	for i := range uint32(5) {
		id := 3 + 2*i
		p.headers(id, true, asking("/")...)
		if head, body := p.response(id); head[":status"] != "200" || body != "ok" {
			t.Fatalf("%v, %q", head, body)
		}
	}
	close(gate)
	if head, body := p.response(1); head[":status"] != "200" || body != "ok" {
		t.Errorf("%v, %q", head, body)
	}
}
