package backend

import "math"

// rendezvous is weighted rendezvous hashing: every server makes a number of the key, and the highest wins. So a server
// that comes or goes moves its own share and nothing else, shares are exact, and there is no ring to keep. It looks
// at all servers: 2 ns each, 12 ns where weights differ.
func (f *field) rendezvous(key uint64, refuse func(int) bool) int {
	best, high := -1, math.Inf(-1)
	for at, i := range f.servers {
		u := mix(key ^ f.seeds[at])
		score := float64(u >> 11) // the 53 bits a float64 can hold
		if !f.equal {
			// -weight/ln(u), u in (0,1). With equal weights it has the order of u.
			score = -float64(f.weights[at]) / math.Log((score+0.5)/(1<<53))
		}
		if score > high && (refuse == nil || !refuse(i)) {
			best, high = i, score
		}
	}
	return best
}

// hash is FNV-1a with a finish. It is the same in every process, so gatehouses side by side agree.
func hash[S []byte | string](s S) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return mix(h)
}

// mix makes every bit of the result depend on every bit of h.
func mix(h uint64) uint64 {
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}
