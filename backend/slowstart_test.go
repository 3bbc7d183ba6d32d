package backend

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/backend/loop"
)

// slowFarm is a started pool of two servers, A with slow_start and B without. A's machine is at 10.0.0.1:80.
func slowFarm(t *testing.T, b *lab, a, other Server, checks ...*Check) *Pool {
	t.Helper()
	b.set("10.0.0.1:80", says("HTTP/1.0 200 OK\r\n\r\n"))
	b.set("10.0.0.2:80", says("HTTP/1.0 200 OK\r\n\r\n"))
	a.Name, other.Name = "A", "B"
	for s, text := range map[*Server]string{&a: "10.0.0.1:80", &other: "10.0.0.2:80"} {
		if err := s.Address.UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	p, err := New(&Config{Name: "farm", Checks: checks, Servers: []*Server{&a, &other}, FullConn: 1000}, Options{Loops: []*loop.Loop{b.l}, Dial: b.dial})
	if err != nil {
		t.Fatal(err)
	}
	p.Start()
	synctest.Wait()
	return p
}

// weights are what the balancer goes by.
func (p *Pool) weights() string { return fmt.Sprint(p.balance.field.Load().weights) }

// comeUp lets A fail and come back, and returns in the moment it is back.
func comeUp(t *testing.T, b *lab, p *Pool) {
	t.Helper()
	b.set("10.0.0.1:80", says("HTTP/1.0 500 no\r\n\r\n"))
	b.sleep(10 * time.Second)
	if (*p.standing.Load())[0] != shut {
		t.Fatal("A is not down")
	}
	b.set("10.0.0.1:80", says("HTTP/1.0 200 OK\r\n\r\n"))
	for range 100 {
		if b.sleep(100 * time.Millisecond); (*p.standing.Load())[0] == open {
			return
		}
	}
	t.Fatal("A is not up")
}

func TestSlowStartRampsTheWeight(t *testing.T) {
	for _, c := range []struct {
		a, b   int
		shares []string // at once, and after each tenth of slow_start
	}{
		{1, 1, []string{"[1 10]", "[1 10]", "[2 10]", "[3 10]", "[4 10]", "[5 10]", "[6 10]", "[7 10]", "[8 10]", "[9 10]", "[1 1]", "[1 1]"}},
		{12, 24, []string{"[12 240]", "[12 240]", "[24 240]", "[36 240]", "[48 240]", "[60 240]", "[72 240]", "[84 240]", "[96 240]", "[108 240]", "[12 24]"}},
		{256, 4, []string{"[25 4]", "[25 4]", "[51 4]", "[76 4]", "[102 4]", "[128 4]", "[153 4]", "[179 4]", "[204 4]", "[230 4]", "[256 4]"}},
		{3, 256, []string{"[1 256]", "[1 256]", "[1 256]", "[1 256]", "[1 256]", "[1 256]", "[1 256]", "[2 256]", "[2 256]", "[2 256]", "[3 256]"}},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newLab(t)
			defer b.close()
			p := slowFarm(t, b, Server{Weight: c.a, SlowStart: 30 * time.Second}, Server{Weight: c.b}, httpCheck())
			defer p.Close()
			if got, want := p.weights(), fmt.Sprintf("[%d %d]", c.a, c.b); got != want {
				t.Errorf("at start, when all come up together, the weights are %s, want %s", got, want)
			}
			comeUp(t, b, p)
			for i, want := range c.shares {
				if got := p.weights(); got != want {
					t.Errorf("weights %d and %d: after %d tenths %s, want %s", c.a, c.b, i, got, want)
				}
				b.sleep(3 * time.Second)
			}
		})
	}
}

func TestSlowStartRampsTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newLab(t)
		defer b.close()
		p := slowFarm(t, b, Server{Weight: 1, SlowStart: 10 * time.Second, MaxConnections: 25}, Server{Weight: 1, MaxConnections: 3}, httpCheck())
		defer p.Close()
		limit := func() (n int64) {
			a := p.servers[0]
			for a.active.Store(0); !p.queue.full(0); n++ {
				a.active.Add(1)
			}
			a.active.Store(0)
			return n
		}
		if got := limit(); got != 25 {
			t.Errorf("at start A takes %d", got)
		}
		comeUp(t, b, p)
		for i, want := range []int64{2, 2, 5, 7, 10, 12, 15, 17, 20, 22, 25} {
			if got := limit(); got != want {
				t.Errorf("after %d tenths A takes %d, want %d", i, got, want)
			}
			b.sleep(time.Second)
		}
		if p.servers[0].room(1) != 1 || p.servers[1].room(3) != 3 {
			t.Error("a limit of one, or a server without slow_start, is cut")
		}
	})
}

// What takes nobody new at all has no share to begin with.
func TestSlowStartLeavesWeightZero(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newLab(t)
		defer b.close()
		p := slowFarm(t, b, Server{SlowStart: 30 * time.Second}, Server{Weight: 1}, httpCheck())
		defer p.Close()
		comeUpAs := func(want standing) {
			t.Helper()
			if got := (*p.standing.Load())[0]; got != want {
				t.Errorf("A is %v, want %v", got, want)
			}
		}
		comeUpAs(closing)
		b.set("10.0.0.1:80", says("HTTP/1.0 500 no\r\n\r\n"))
		b.sleep(10 * time.Second)
		b.set("10.0.0.1:80", says("HTTP/1.0 200 OK\r\n\r\n"))
		b.sleep(5 * time.Second)
		comeUpAs(closing)
		if got := p.weights(); got != "[10]" && got != "[1]" {
			t.Errorf("weights %s", got)
		}
	})
}

// After maintenance a server is as cold as after a failure; after draining it is not.
func TestSlowStartAfterMaintenance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newLab(t)
		defer b.close()
		p := slowFarm(t, b, Server{Weight: 1, SlowStart: 30 * time.Second}, Server{Weight: 1})
		defer p.Close()
		for _, c := range []struct {
			state State
			want  string
		}{{Drain, "[1 1]"}, {Maint, "[1 10]"}} {
			for _, w := range []Will{{State: &c.state}, {}} {
				if err := p.SetWill("A", w); err != nil {
					t.Fatal(err)
				}
				b.sleep(time.Second)
			}
			if got := p.weights(); got != c.want {
				t.Errorf("after state %d the weights are %s, want %s", c.state, got, c.want)
			}
		}
	})
}

// A reload in the middle of the ramp is no reason for a jump, nor to begin anew.
func TestSlowStartOutlivesAReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newLab(t)
		defer b.close()
		p := slowFarm(t, b, Server{Weight: 1, SlowStart: 30 * time.Second}, Server{Weight: 1}, httpCheck())
		comeUp(t, b, p)
		b.sleep(12 * time.Second)
		next, err := New(p.c, Options{Loops: []*loop.Loop{b.l}, Dial: b.dial, Former: p})
		if err != nil {
			t.Fatal(err)
		}
		next.Start()
		p.Close()
		defer next.Close()
		synctest.Wait()
		if got := next.weights(); got != "[4 10]" {
			t.Errorf("after the reload the weights are %s", got)
		}
		b.sleep(6 * time.Second)
		if got := next.weights(); got != "[6 10]" {
			t.Errorf("six seconds later the weights are %s", got)
		}
	})
}
