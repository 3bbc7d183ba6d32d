package tlsconf

import (
	"crypto/tls"
	"fmt"
	"testing"
)

// TestHandshakesCostTheSameWithManyNames: neither a full handshake nor a resumed one allocates more with a thousand names than with one.
func TestHandshakesCostTheSameWithManyNames(t *testing.T) {
	const many, rounds = 1000, 30
	count := func(n int, resume bool) float64 {
		certs := manyNames(t, n, AtStart)
		client := &tls.Config{ServerName: fmt.Sprintf("host-%d.example.com", n/2), InsecureSkipVerify: true, MinVersion: tls.VersionTLS13}
		if resume {
			client.ClientSessionCache = tls.NewLRUClientSessionCache(4)
		}
		resumed := 0
		allocs := testing.AllocsPerRun(rounds, func() {
			cs, err, serverErr := shake(t, certs.Config(), client)
			if err != nil {
				t.Fatal(err, serverErr)
			}
			if cs.DidResume {
				resumed++
			}
		})
		if resume != (resumed >= rounds) {
			t.Fatalf("%d of %d resumed", resumed, rounds)
		}
		return allocs
	}
	for _, resume := range []bool{false, true} {
		one, all := count(1, resume), count(many, resume)
		// Of the several hundred of both sides a few depend on chance: how the bytes come, whether a number is short.
		if all > one*1.03+2 {
			t.Errorf("resumed %v: %v allocations with %d names, %v with one", resume, all, many, one)
		}
	}
}

// BenchmarkHandshakes: a full handshake and a resumed one, both sides of it, with one name and with ten thousand.
func BenchmarkHandshakes(b *testing.B) {
	for _, names := range []int{1, 10_000} {
		certs := manyNames(b, names, AtStart)
		for _, kind := range []string{"full", "resumed"} {
			b.Run(fmt.Sprintf("%s/%d", kind, names), func(b *testing.B) {
				sessions := tls.NewLRUClientSessionCache(names)
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					client := &tls.Config{ServerName: fmt.Sprintf("host-%d.example.com", i*7919%names), InsecureSkipVerify: true, MinVersion: tls.VersionTLS13}
					if kind == "resumed" {
						client.ServerName, client.ClientSessionCache = fmt.Sprintf("host-%d.example.com", i%min(names, 100)), sessions
					}
					if _, err, _ := shake(b, certs.Config(), client); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
