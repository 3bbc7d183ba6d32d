package house_test

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// TestSendProxyOverHTTP3: servers are told which client of HTTP/3 asks, by a PROXY header and by X-Forwarded-For, and no connection to them ever
// carries what several clients ask; the log has the client's address too.
func TestSendProxyOverHTTP3(t *testing.T) {
	t.Parallel()
	for _, version := range []byte{1, 2} {
		e := expect(t, version, nil)
		r, book := site(t, fmt.Sprintf(`
tls "own" { internal = true }
listen "www" {
  log   = log.access
  hosts = ["a.test"]
  bind "127.0.0.1:1" {
    tls   = tls.own
    http3 = true
  }
  server "A" %q { send_proxy = "v%d" }
}`, e.addr, version))
		to, err := net.ResolveUDPAddr("udp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		const clients, requests = 4, 5
		var wg sync.WaitGroup
		var mu sync.Mutex // guards lines
		lines := map[string]int{}
		for i := range clients {
			u, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, byte(1+i))})
			if err != nil {
				t.Fatal(err)
			}
			qt := &quic.Transport{Conn: u}
			qc, err := qt.Dial(t.Context(), to, &tls.Config{InsecureSkipVerify: true, ServerName: "a.test", NextProtos: []string{"h3"}}, nil)
			if err != nil {
				t.Fatal(err)
			}
			tr := &http3.Transport{}
			t.Cleanup(func() {
				tr.Close()
				qt.Close()
				u.Close()
			})
			c := &http.Client{Transport: tr.NewClientConn(qc), Timeout: patience}
			want := fmt.Sprintf("%s %s %s", u.LocalAddr(), r.addr, u.LocalAddr().(*net.UDPAddr).IP)
			mu.Lock()
			lines[u.LocalAddr().String()] = requests
			mu.Unlock()
			wg.Go(func() {
				for range requests {
					if _, body, err := fetched(c, asked(t, "GET", "https://a.test/", nil)); body != want || err != nil {
						t.Errorf("v%d: the server was told %q (%v), want %q", version, body, err, want)
						return
					}
				}
			})
		}
		wg.Wait()
		for range clients * requests {
			client, _, _ := strings.Cut(book.next(t), " [")
			lines[client]--
		}
		for client, n := range lines {
			if n != 0 {
				t.Errorf("v%d: %d lines about %s too few", version, n, client)
			}
		}
		e.mu.Lock()
		if e.conns > clients {
			t.Errorf("v%d: %d connections for %d clients", version, e.conns, clients)
		}
		e.mu.Unlock()
	}
}
