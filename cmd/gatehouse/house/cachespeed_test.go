package house_test

import (
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"
)

// hits opens an exchange that is answered by the cache with that much content. nc makes the client's connection, nil for the usual one.
func hits(t testing.TB, size int, tls bool, nc func(addr string) net.Conn) *exchangeOf {
	answer := "HTTP/1.1 200 OK\r\nServer: x\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nETag: \"1\"\r\nContent-Type: text/html\r\nCache-Control: max-age=100000000, public\r\n" +
		"Content-Length: " + strconv.Itoa(size) + "\r\n\r\n" + strings.Repeat("x", size-1) + "$"
	o := newOrigin(t, repeat("\r\n\r\n", answer))
	r := build(t, plan{servers: []*origin{o}, back: `cookie "S" {}`, front: "cache = cache.pages", access: io.Discard, tls: tls, more: "cache \"pages\" {}\n"})
	if nc == nil {
		nc = func(string) net.Conn { return r.client().Conn }
	}
	c := nc(r.addr)
	c.SetDeadline(noTime)
	e := &exchangeOf{c: c, request: []byte("GET /index.html?a=b HTTP/1.1\r\nHost: a.test\r\nUser-Agent: Mozilla/5.0\r\nAccept: */*\r\n" +
		"Accept-Encoding: gzip, deflate, br, zstd\r\nCookie: a=1; S=A; b=2\r\n\r\n"), end: []byte("$"), buf: make([]byte, 300<<10)}
	for range 200 { // the first one fills the cache
		e.run(t)
	}
	if s := r.h.Status().Caches[0]; s.Hits != 199 {
		t.Fatalf("%d hits", s.Hits)
	}
	return e
}

// TestHitsAllocateNothing is the product's promise for what is in the cache. Over TLS crypto/tls takes 32 bytes each time it looks for a
// record, as in TestExchangesOverTLSAllocateNothing.
func TestHitsAllocateNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for _, size := range []int{1 << 10, 16 << 10, 200_000} {
		for _, tls := range []bool{false, true} {
			t.Run(strconv.Itoa(size)+map[bool]string{true: " over TLS"}[tls], func(t *testing.T) {
				e := hits(t, size, tls, nil)
				most := 0.0
				if tls {
					most = float64(3 + size>>14)
				}
				if n := allocations(most, func() { e.run(t) }); n > most {
					t.Errorf("%v allocations per hit, want at most %v", n, most)
				}
			})
		}
	}
}

// tap keeps what comes on a connection.
type tap struct {
	net.Conn
	seen []byte
}

func (p *tap) Read(b []byte) (int, error) {
	n, err := p.Conn.Read(b)
	p.seen = append(p.seen, b[:n]...)
	return n, err
}

// records returns the lengths of the TLS records in b.
func records(b []byte) (list []int) {
	for len(b) >= 5 {
		n := int(binary.BigEndian.Uint16(b[3:]))
		list = append(list, n)
		b = b[min(5+n, len(b)):]
	}
	return list
}

// TestHitIsInAsFewRecordsAsCanBe: head and content of a hit are sealed together.
func TestHitIsInAsFewRecordsAsCanBe(t *testing.T) {
	for _, c := range []struct{ size, records int }{{1000, 1}, {15000, 1}, {16 << 10, 2}} {
		var p *tap
		e := hits(t, c.size, true, func(addr string) net.Conn {
			nc, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { nc.Close() })
			p = &tap{Conn: nc}
			nc.SetDeadline(time.Now().Add(patience))
			return tls.Client(p, &tls.Config{ServerName: "a.test", InsecureSkipVerify: true})
		})
		p.seen = nil
		e.run(t)
		if got := records(p.seen); len(got) != c.records {
			t.Errorf("%d bytes of content: records of %v, want %d", c.size, got, c.records)
		}
	}
}
