package backend

import (
	"slices"
	"sync/atomic"
)

// next is round robin from place turn of the period. It moves turn behind the server it returns.
func (f *field) next(turn *atomic.Uint64, refuse func(int) bool) int {
	n := uint64(len(f.turns))
	at := turn.Add(1) - 1
	i := int(f.turns[at%n])
	if refuse == nil || !refuse(i) {
		return i
	}
	if !slices.ContainsFunc(f.servers, func(i int) bool { return !refuse(i) }) {
		return -1
	}
	for k := uint64(1); k < n; k++ {
		if i := int(f.turns[(at+k)%n]); !refuse(i) {
			turn.Add(k)
			return i
		}
	}
	return -1 // the one that took it a moment ago is full now
}

// period returns one period of round robin, as smooth as the weights allow: "Whatever the weights, the first server will
// always be assigned first." For each turn every server's score grows by its weight; the first of those that
// have come furthest takes the turn and falls back by the sum of all weights.
func period(servers []int, weights []int64) []uint16 {
	unit, sum := int64(0), int64(0)
	for _, w := range weights {
		unit = gcd(unit, w)
		sum += w
	}
	if sum == 0 {
		return nil
	}
	sum /= unit
	score := make([]int64, len(servers))
	turns := make([]uint16, 0, sum)
	for range sum {
		best, far := 0, int64(-1)
		for k, w := range weights {
			score[k] += w / unit
			if v := (score[k] + sum) / sum; v > far {
				best, far = k, v
			}
		}
		score[best] -= sum
		turns = append(turns, uint16(servers[best]))
	}
	return turns
}

func gcd(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
