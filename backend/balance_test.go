package backend

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"gatehouse/backend/h1"
)

// farm makes a balancer over servers of these weights, all open. Their names are letters.
func farm(by string, weights ...int) *balancer {
	var a Balance
	if err := a.UnmarshalText([]byte(by)); err != nil {
		panic(err)
	}
	var members []member
	for i := range weights {
		members = append(members, member{name: letter(i), active: new(atomic.Int64)})
	}
	b := newBalancer(a, false, members)
	b.update(make([]standing, len(weights)), weights)
	return b
}

func letter(i int) string {
	if i < 0 {
		return "-"
	}
	return string(rune('A' + i))
}

// sequence picks n times.
func sequence(b *balancer, n int) string {
	var s strings.Builder
	for range n {
		s.WriteString(letter(b.pick(new(h1.Exchange), nil)))
	}
	return s.String()
}

// Guide 4.2: backups get new clients only when no other server is up; the first of them, or all.
func TestBackups(t *testing.T) {
	weights := []int{1, 1, 1, 3}
	tests := []struct {
		st   []standing
		all  bool
		want string
	}{
		{[]standing{open, open, open, open}, false, "ABABABAB"},
		{[]standing{shut, open, open, open}, true, "BBBBBBBB"},
		{[]standing{shut, shut, open, open}, false, "CCCCCCCC"},
		{[]standing{shut, closing, shut, open}, false, "DDDDDDDD"},
		{[]standing{shut, shut, open, open}, true, "CDDDCDDD"},
		{[]standing{shut, shut, closing, failing}, true, "--------"},
	}
	for _, tt := range tests {
		b := newBalancer(Balance{}, tt.all, []member{{name: "a"}, {name: "b"}, {name: "c", backup: true}, {name: "d", backup: true}})
		b.update(tt.st, weights)
		got := sequence(b, 8)
		if got != tt.want {
			t.Errorf("%v all %v: %s, want %s", tt.st, tt.all, got, tt.want)
		}
	}
}

func TestRefusedServersAreSkipped(t *testing.T) {
	for _, by := range []string{"roundrobin", "leastconn", "source", "random", "uri", "header:X", "first"} {
		b := farm(by, 1, 2, 3)
		for i := range 200 {
			x := from(fmt.Sprintf("10.0.%d.1:1", i), fmt.Sprintf("X: %d", i))
			x.Req.Target = fmt.Appendf(nil, "/%d", i)
			no := i % 3
			if got := b.pick(x, func(s int) bool { return s == no }); got == no || got < 0 {
				t.Fatalf("%s: picks %d, which refuses", by, got)
			}
			if got := b.pick(x, func(s int) bool { return s != no }); got != no {
				t.Fatalf("%s: picks %d where only %d may", by, got, no)
			}
			if got := b.pick(x, func(int) bool { return true }); got != -1 {
				t.Fatalf("%s: picks %d where all refuse", by, got)
			}
		}
	}
}

func TestLeastConn(t *testing.T) {
	b := farm("leastconn", 1, 1, 2)
	active := func(n ...int64) {
		for i, v := range n {
			b.members[i].active.Store(v)
		}
	}
	tests := []struct {
		active []int64
		want   string
	}{
		{[]int64{0, 0, 5}, "ABAB"}, // 1, 1, 3: those with the same in turn
		{[]int64{0, 0, 1}, "CABC"}, // 1, 1, 1
		{[]int64{0, 0, 0}, "CCCC"}, // 1, 1, 0.5
		{[]int64{3, 4, 6}, "CCCC"}, // 4, 5, 3.5
		{[]int64{3, 4, 7}, "ACAC"}, // 4, 5, 4
		{[]int64{9, 4, 20}, "BBBB"},
	}
	for _, tt := range tests {
		active(tt.active...)
		if got := sequence(b, 4); got != tt.want {
			t.Errorf("%v under way: %s, want %s", tt.active, got, tt.want)
		}
	}
}

// What leastconn is for: nobody is left idle while another one piles up.
func TestLeastConnEvensOut(t *testing.T) {
	b := farm("leastconn", 1, 2, 3)
	for range 600 {
		b.members[b.pick(new(h1.Exchange), nil)].active.Add(1)
	}
	for i, m := range b.members {
		if got, want := m.active.Load(), int64(100*(i+1)); max(got-want, want-got) > 1 {
			t.Errorf("server %d has %d, want %d", i, got, want)
		}
	}
}

func TestRandomIsWeightedAndAvoidsTheBusy(t *testing.T) {
	b := farm("random", 1, 3)
	count := [2]int{}
	for range 20000 {
		i := b.pick(new(h1.Exchange), nil)
		count[i]++
		b.members[i].active.Add(1)
	}
	if share := float64(count[1]) / 20000; math.Abs(share-0.75) > 0.02 {
		t.Errorf("weight 3 of 4 got %.3f", share)
	}
	for _, m := range b.members {
		m.active.Store(0)
	}
	b.members[1].active.Store(1000)
	busy := 0
	for range 1000 {
		busy += b.pick(new(h1.Exchange), nil)
	}
	if busy > 700 { // both draws: 9 of 16
		t.Errorf("the busy one got %d of 1000", busy)
	}
}

func TestFirstFillsTheFirst(t *testing.T) {
	b := farm("first", 1, 1, 1)
	if got := sequence(b, 4); got != "AAAA" {
		t.Errorf("%s", got)
	}
	b.update([]standing{shut, open, open}, []int{1, 1, 1})
	if got := sequence(b, 4); got != "BBBB" {
		t.Errorf("without A: %s", got)
	}
}

// Loops pick while servers come and go: exact counts as long as nothing changes, and never a server that is not there.
func TestBalancerIsShared(t *testing.T) {
	b := farm("roundrobin", 1, 2, 3)
	var count [3]atomic.Int64
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for range 2000 {
				count[b.pick(new(h1.Exchange), nil)].Add(1)
			}
		})
	}
	wg.Wait()
	for i := range count {
		if got, want := count[i].Load(), int64(1000*(i+1)); got != want {
			t.Errorf("server %d got %d, want %d", i, got, want)
		}
	}

	b.update([]standing{open, shut, open}, []int{1, 2, 3})
	stop := make(chan struct{})
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if i := b.pick(new(h1.Exchange), nil); i < 0 || i == 1 {
					t.Errorf("picked %d", i)
					return
				}
			}
		})
	}
	for i := range 200 {
		b.update([]standing{open, shut, open}, []int{1 + i%7, 2, 1 + i%5})
	}
	close(stop)
	wg.Wait()
}

func TestPickAllocatesNothing(t *testing.T) {
	for _, by := range []string{"roundrobin", "leastconn", "source", "random", "uri", "header:X", "first"} {
		b := farm(by, 1, 2, 3)
		x := from("10.0.0.1:1", "X: 1")
		x.Req.Target = []byte("/a?b")
		tried := 1
		if n := testing.AllocsPerRun(100, func() {
			b.pick(x, func(i int) bool { return i == tried })
			b.pick(x, nil)
		}); n != 0 {
			t.Errorf("%s: %v allocations", by, n)
		}
	}
}

func BenchmarkPick(b *testing.B) {
	for _, by := range []string{"roundrobin", "leastconn", "source", "random", "uri"} {
		for _, weights := range [][]int{{1, 1, 1, 1}, {1, 2, 3, 4}, slices.Repeat([]int{1}, 20)} {
			b.Run(fmt.Sprintf("%s/%dx%d", by, len(weights), weights[len(weights)-1]), func(b *testing.B) {
				f := farm(by, weights...)
				x := from("10.0.0.1:1")
				x.Req.Target = []byte("/index.html?b")
				b.ReportAllocs()
				for b.Loop() {
					f.pick(x, nil)
				}
			})
		}
	}
}
