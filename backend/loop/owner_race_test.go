//go:build race

package loop

import (
	"strings"
	"testing"
)

// recovered returns what f panics with.
func recovered(f func()) (v any) {
	defer func() { v = recover() }()
	f()
	return nil
}

func TestRaceBuildsFindForeignGoroutines(t *testing.T) {
	everywhere(t, func(r rig) {
		var a *Conn
		var e Event
		r.do(func() {
			a, _ = r.pair()
			a.SetTry(false)
			a.TryRead(make([]byte, 1))
			release := make(chan struct{})
			results := make(chan [2]any, 9)
			go func() { // runs while the task of the loop waits in Block
				<-release
				for name, f := range map[string]func(){
					"Read":  func() { a.Read(make([]byte, 1)) },
					"Wait":  func() { e.Wait(r.l, 0) },
					"Sleep": func() { r.l.Sleep(ms) },
					"Yield": func() { r.l.Yield() },
					"Block": func() { r.l.Block(func() {}) },
				} {
					results <- [2]any{name, recovered(f)}
				}
				results <- [2]any{"Go", recovered(func() { r.l.Go(Func(func() {})) })}
				results <- [2]any{"Adopt", recovered(func() { r.l.Adopt(Socket{}) })}
				close(results)
			}()
			r.l.Yield()
			// The loop stands still while this task runs, so that the calls below are no data races.
			close(release)
			n := 0
			for got := range results {
				n++
				text, _ := got[1].(string)
				want := "loop: a wait outside the running task of this loop"
				if name := got[0]; name == "Go" || name == "Adopt" {
					want = "loop: called from outside the loop; use Post"
				}
				if !strings.Contains(text, want) {
					r.Errorf("%s: got %v, want %q", got[0], got[1], want)
				}
			}
			if n != 7 {
				r.Errorf("%d calls, want 7", n)
			}
		})
		r.do(func() { r.l.Yield() }) // nothing is left registered
	})
}
