package backend

import (
	"math/rand/v2"
	"strings"
	"testing"

	"gatehouse/backend/h1"
)

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

func TestRoundRobinGoesOnBehindASkippedServer(t *testing.T) {
	b := farm("roundrobin", 1, 1, 1)
	if got := b.pick(new(h1.Exchange), func(i int) bool { return i == 0 }); got != 1 {
		t.Fatalf("picks %d", got)
	}
	if got := sequence(b, 3); got != "CAB" {
		t.Errorf("then %s, want CAB", got)
	}
}
