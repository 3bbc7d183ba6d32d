package backend

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
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

// The sequences of HAProxy 1.2's manual and of the guide's farm; 2.6's static-rr gives the same.
func TestRoundRobinGolden(t *testing.T) {
	tests := []struct {
		weights []int
		want    string
	}{
		{[]int{8, 20, 24}, strings.NewReplacer("P", "A", "O", "B", "Q", "C").Replace("POQOQOQPQOQOQ")},
		{[]int{12, 12, 26, 26}, "ABCDCDABCDCDABCDCDABCDCDCADBCDCADBCDCD"},
		{[]int{1, 1, 1, 1}, "ABCD"},
		{[]int{1}, "A"},
		{[]int{256}, "A"},
		{[]int{2, 1}, "AAB"},
	}
	for _, tt := range tests {
		n := len(tt.want)
		if got := sequence(farm("roundrobin", tt.weights...), 3*n); got != strings.Repeat(tt.want, 3) {
			t.Errorf("%v: %s, want %s again and again", tt.weights, got[:n], tt.want)
		}
	}
}

// AT-2.5: exact counts in each period, and the first server first, whatever the weights.
func TestRoundRobinCounts(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		weights := make([]int, 1+rnd.IntN(12))
		unit, sum := int64(0), 0
		for i := range weights {
			weights[i] = 1 + rnd.IntN(256)
			unit, sum = gcd(unit, int64(weights[i])), sum+weights[i]
		}
		b := farm("roundrobin", weights...)
		n := sum / int(unit)
		for round := range 2 {
			s := sequence(b, n)
			for i, w := range weights {
				if got := strings.Count(s, letter(i)); got != w/int(unit) {
					t.Fatalf("%v: server %d came %d times in period %d, want %d", weights, i, got, round, w/int(unit))
				}
			}
			if s[0] != 'A' {
				t.Fatalf("%v: period %d begins with %c", weights, round, s[0])
			}
		}
	}
}

// AT-2.6: no server twice in a row in the two farms of the guide and the manual, the wrap included.
func TestRoundRobinIsSmooth(t *testing.T) {
	for _, weights := range [][]int{{8, 20, 24}, {12, 12, 26, 26}, {1, 1, 1}} {
		s := sequence(farm("roundrobin", weights...), 200)
		for i := range s[1:] {
			if s[i] == s[i+1] {
				t.Errorf("%v: %c twice at %d: %s", weights, s[i], i, s)
			}
		}
	}
}

func TestRoundRobinOnlyOverUsableServers(t *testing.T) {
	b := farm("roundrobin", 1, 1, 1, 1)
	w := []int{1, 1, 1, 1}
	if got := sequence(b, 5); got != "ABCDA" {
		t.Errorf("all: %s", got)
	}
	b.update([]standing{open, shut, open, open}, w)
	if got := sequence(b, 6); got != "CDACDA" {
		t.Errorf("without B: %s, it goes on at its place", got)
	}
	b.update([]standing{open, closing, failing, open}, w)
	if got := sequence(b, 3); strings.ContainsAny(got, "BC") {
		t.Errorf("closing and failing servers get new clients: %s", got)
	}
	b.update([]standing{open, open, open, open}, []int{1, 0, 1, 1})
	if got := sequence(b, 6); strings.Contains(got, "B") {
		t.Errorf("weight 0: %s", got)
	}
	b.update([]standing{shut, shut, shut, shut}, w)
	if got := sequence(b, 2); got != "--" || b.any() {
		t.Errorf("nobody left: %s, any %v", got, b.any())
	}
	b.update(allOpen4, w)
	if got := sequence(b, 4); len(got) != 4 || strings.Contains(got, "-") || !b.any() {
		t.Errorf("back: %s", got)
	}
}

var allOpen4 = []standing{open, open, open, open}

// A change that changes nothing for new clients does not disturb the sequence.
func TestRoundRobinUndisturbed(t *testing.T) {
	b := farm("roundrobin", 1, 1, 1)
	sequence(b, 2)
	b.update([]standing{open, open, open}, []int{1, 1, 1})
	if got := sequence(b, 4); got != "CABC" {
		t.Errorf("%s, want CABC", got)
	}
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

func TestRoundRobinGoesOnBehindASkippedServer(t *testing.T) {
	b := farm("roundrobin", 1, 1, 1)
	if got := b.pick(new(h1.Exchange), func(i int) bool { return i == 0 }); got != 1 {
		t.Fatalf("picks %d", got)
	}
	if got := sequence(b, 3); got != "CAB" {
		t.Errorf("then %s, want CAB", got)
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

// picks returns what each of n clients gets.
func picks(b *balancer, n int) (got []int) {
	for i := range n {
		x := new(h1.Exchange)
		x.Peer = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), uint16(i))
		got = append(got, b.pick(x, nil))
	}
	return got
}

// AT-1.8: the same address gets the same server, weights are respected, and a server that comes or goes moves its own
// share only.
func TestSource(t *testing.T) {
	const n = 40000
	weights := []int{1, 2, 3, 4}
	b := farm("source", weights...)
	before := picks(b, n)
	if !slices.Equal(before, picks(b, n)) {
		t.Fatal("the same addresses get other servers")
	}
	for i, w := range weights {
		c := 0
		for _, s := range before {
			if s == i {
				c++
			}
		}
		if got, want := float64(c)/n, float64(w)/10; math.Abs(got-want) > 0.01 {
			t.Errorf("weight %d of 10 got %.3f", w, got)
		}
	}
	b.update([]standing{open, open, shut, open}, weights)
	for i, s := range picks(b, n) {
		if before[i] != 2 && s != before[i] {
			t.Fatalf("client %d moved from %d to %d, and neither is the one that went", i, before[i], s)
		}
		if s == 2 {
			t.Fatalf("client %d gets a server that is down", i)
		}
	}
	b.update(allOpen4, weights)
	if !slices.Equal(before, picks(b, n)) {
		t.Error("the server is back, its clients are not")
	}
	b.update(allOpen4, []int{1, 2, 3, 8})
	for i, s := range picks(b, n) {
		if s != before[i] && s != 3 {
			t.Fatalf("client %d moved from %d to %d though only 3 grew", i, before[i], s)
		}
	}
}

// Two gatehouses agree on where clients belong even if one has a server more in front of its list.
func TestSourceGoesByNames(t *testing.T) {
	one := newBalancer(Balance{Algorithm: bySource}, false, []member{{name: "a"}, {name: "b"}, {name: "c"}})
	two := newBalancer(Balance{Algorithm: bySource}, false, []member{{name: "new"}, {name: "c"}, {name: "a"}, {name: "b"}})
	one.update(allOpen, []int{1, 1, 1})
	two.update(allOpen4, []int{1, 1, 1, 1})
	p1, p2 := picks(one, 5000), picks(two, 5000)
	moved := 0
	for i := range p1 {
		switch a, b := one.members[p1[i]].name, two.members[p2[i]].name; {
		case b == "new":
			moved++
		case a != b:
			t.Fatalf("client %d belongs to %s and to %s", i, a, b)
		}
	}
	if moved < 1000 || moved > 1500 {
		t.Errorf("the new one took %d of 5000", moved)
	}
}

func TestSourceKnowsAddressesInIPv6(t *testing.T) {
	b := farm("source", 1, 1, 1, 1, 1, 1, 1)
	for i := range 50 {
		v4 := from(fmt.Sprintf("192.0.2.%d:1", i))
		v6 := from(fmt.Sprintf("[::ffff:192.0.2.%d]:2", i))
		if a, c := b.pick(v4, nil), b.pick(v6, nil); a != c {
			t.Errorf("192.0.2.%d gets %d, inside IPv6 %d", i, a, c)
		}
	}
	seen := map[int]bool{}
	for i := range 200 {
		seen[b.pick(from(fmt.Sprintf("[2001:db8::%x]:1", i)), nil)] = true
	}
	if len(seen) != 7 {
		t.Errorf("IPv6 clients reach %d of 7 servers", len(seen))
	}
}

func TestHashedAlgorithms(t *testing.T) {
	uri := farm("uri", 1, 1, 1, 1, 1)
	header := farm("header:X-Tenant", 1, 1, 1, 1, 1)
	seenURI, seenHeader := map[int]bool{}, map[int]bool{}
	for i := range 200 {
		x := from("10.0.0.1:1", fmt.Sprintf("x-tenant: t%d", i))
		x.Req.Target = fmt.Appendf(nil, "/p%d", i)
		a, h := uri.pick(x, nil), header.pick(x, nil)
		seenURI[a], seenHeader[h] = true, true
		x.Req.Target = fmt.Appendf(nil, "/p%d?q=%d", i, rand.Int())
		x.Peer = netip.MustParseAddrPort("10.9.9.9:9")
		if got := uri.pick(x, nil); got != a {
			t.Errorf("%s gets %d, without the query %d", x.Req.Target, got, a)
		}
		if got := header.pick(x, nil); got != h {
			t.Errorf("tenant %d gets %d, then %d", i, h, got)
		}
	}
	if len(seenURI) != 5 || len(seenHeader) != 5 {
		t.Errorf("%d and %d of 5 servers are reached", len(seenURI), len(seenHeader))
	}
	if got := sequence(header, 5); got != "ABCDE" {
		t.Errorf("without the field: %s, want round robin", got)
	}
	if got := sequence(farm("source", 1, 1), 4); got != "ABAB" {
		t.Errorf("without an address: %s, want round robin", got)
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
