package backend

import (
	"context"
	"errors"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/backend/loop"
)

// TestServerByName: a server's name is looked up again and again; its address follows the name, and outlives whatever the resolver says or does not
// say (hostile-input.md, row 104).
func TestServerByName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newLab(t)
		defer b.close()
		type reply struct {
			ips []string
			err error
		}
		var now atomic.Pointer[reply]
		var asked atomic.Int64
		hang := &reply{}
		resolve := func(ctx context.Context, host string) (list []netip.Addr, err error) {
			asked.Add(1)
			if host != "app.internal" {
				t.Errorf("asked for %q", host)
			}
			r := now.Load()
			if r == hang {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			for _, s := range r.ips {
				list = append(list, netip.MustParseAddr(s))
			}
			return list, r.err
		}
		a, err := loop.ParseAddr("app.internal:80")
		if err != nil {
			t.Fatal(err)
		}
		now.Store(&reply{err: errors.New("no such host")})
		p, err := New(&Config{Name: "farm", Servers: []*Server{{Name: "A", Address: a, Weight: 1}}}, Options{Loops: []*loop.Loop{b.l}, Dial: b.dial, Resolve: resolve})
		if err != nil {
			t.Fatal(err)
		}
		p.Start()
		synctest.Wait()
		select {
		case <-p.Ready():
		default:
			t.Error("a name that is none keeps the pool from being ready")
		}
		for i, step := range []struct {
			reply
			want string
		}{
			{reply{err: errors.New("no such host")}, "app.internal:80"},
			{reply{ips: []string{"10.0.0.1"}}, "app.internal:80 (10.0.0.1)"},
			{reply{err: errors.New("server misbehaving")}, "app.internal:80 (10.0.0.1)"},
			{reply{}, "app.internal:80 (10.0.0.1)"},
			{reply{ips: []string{"10.0.0.9", "10.0.0.1"}}, "app.internal:80 (10.0.0.1)"}, // still among them: no reason to move
			{reply{ips: []string{"::ffff:10.0.0.2", "10.0.0.3"}}, "app.internal:80 (10.0.0.2)"},
		} {
			now.Store(&step.reply)
			before := asked.Load()
			b.sleep(reresolve)
			if got := p.Servers()[0].Address; got != step.want || asked.Load() != before+1 {
				t.Errorf("step %d: %s, want %s; asked %d times", i, got, step.want, asked.Load()-before)
			}
		}
		now.Store(hang)
		b.sleep(10 * reresolve)
		if got := p.Servers()[0].Address; got != "app.internal:80 (10.0.0.2)" {
			t.Errorf("with a resolver that hangs: %s", got)
		}
		done := make(chan struct{})
		go func() { p.Close(); close(done) }()
		b.sleep(time.Second)
		select {
		case <-done:
		default:
			t.Error("Close waits for the resolver")
		}
	})
}
