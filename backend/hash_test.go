package backend

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"gatehouse/backend/h1"
)

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
