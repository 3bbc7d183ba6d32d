package loop

import (
	"net"
	"net/netip"
	"testing"
)

// TestListenUDP sends a datagram to each kind of address.
func TestListenUDP(t *testing.T) {
	for at, from := range map[string]string{"127.0.0.1:0": "127.0.0.1", ":0": "127.0.0.1", "[::1]:0": "::1"} {
		a, err := ParseAddr(at)
		if err != nil {
			t.Fatal(err)
		}
		c, err := ListenUDP(a)
		if err != nil {
			if from == "::1" {
				t.Logf("no IPv6 here: %v", err)
				continue
			}
			t.Fatal(err)
		}
		to := netip.AddrPortFrom(netip.MustParseAddr(from), c.LocalAddr().(*net.UDPAddr).AddrPort().Port())
		client, err := net.Dial("udp", to.String())
		if err != nil {
			t.Fatal(err)
		}
		if in, out := UDPBuffers(c); in <= 0 || out <= 0 {
			t.Errorf("%s: buffers of %d and %d", at, in, out)
		}
		client.Write([]byte("hello"))
		b := make([]byte, 10)
		n, peer, err := c.ReadFromUDPAddrPort(b)
		if string(b[:n]) != "hello" || peer.Addr().Unmap() != to.Addr() || err != nil {
			t.Errorf("%s: %q from %v, %v", at, b[:n], peer, err)
		}
		// The address has a successor at once.
		d, err := ListenUDP(Addr{AddrPort: netip.AddrPortFrom(a.Addr(), to.Port())})
		if err != nil {
			t.Errorf("%s: no successor: %v", at, err)
		} else {
			client.Write([]byte("you"))
			if n, _, err := d.ReadFromUDPAddrPort(b); string(b[:n]) != "you" || err != nil {
				t.Errorf("%s: the successor gets %q, %v", at, b[:n], err)
			}
			d.Close()
		}
		client.Close()
		c.Close()
	}
	for _, at := range []string{"unix:/tmp/x", "fd@3", "localhost:1"} {
		a, err := ParseAddr(at)
		if err != nil {
			t.Fatal(err)
		}
		if c, err := ListenUDP(a); err == nil {
			t.Errorf("%s was opened", at)
			c.Close()
		}
	}
}
