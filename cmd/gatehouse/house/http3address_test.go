package house_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"testing"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// strictUDP hears nobody but whom it talks to: the kernel drops what comes from another address.
type strictUDP struct{ *net.UDPConn }

func (c strictUDP) WriteTo(b []byte, _ net.Addr) (int, error) { return c.Write(b) }

// WriteMsgUDP is how quic-go writes.
func (c strictUDP) WriteMsgUDP(b, oob []byte, _ *net.UDPAddr) (int, int, error) {
	return c.UDPConn.WriteMsgUDP(b, oob, nil)
}

// TestHTTP3OnEveryAddress: on an address without an IP, whoever comes is answered from the address he came to, over both families; and several
// binds of one site are told apart.
func TestHTTP3OnEveryAddress(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, nil)
	ports := free(t, 2)
	newLodge(t, fmt.Sprintf(`tls "own" { internal = true }
frontend "www" {
 hosts = ["a.test"]
 bind ":%d" {
  tls = tls.own
  http3 = true
 }
 bind "127.0.0.3:%d" {
  tls = tls.own
  http3 = true
 }
 backend = backend.app
 log = log.access
}
%s`, ports[0], ports[1], app("", o)))
	for _, to := range []string{fmt.Sprintf("127.0.0.1:%d", ports[0]), fmt.Sprintf("127.0.0.2:%d", ports[0]), fmt.Sprintf("[::1]:%d", ports[0]), fmt.Sprintf("127.0.0.3:%d", ports[1])} {
		a, err := net.ResolveUDPAddr("udp", to)
		if err != nil {
			t.Fatal(err)
		}
		u, err := net.DialUDP("udp", nil, a)
		if err != nil {
			t.Logf("%s: %v", to, err) // no IPv6 here
			continue
		}
		qt := &quic.Transport{Conn: strictUDP{u}}
		tr := &http3.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, Dial: func(ctx context.Context, _ string, c *tls.Config, q *quic.Config) (*quic.Conn, error) {
			return qt.Dial(ctx, a, c, q)
		}}
		resp, body, err := fetched(&http.Client{Transport: tr, Timeout: patience}, asked(t, "GET", "https://a.test/", nil))
		if err != nil || body != "GET / 0" {
			t.Errorf("%s: %+v, %q, %v", to, resp, body, err)
		}
		tr.Close()
		qt.Close()
		u.Close()
	}
}
