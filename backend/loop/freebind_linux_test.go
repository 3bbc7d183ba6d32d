package loop

import (
	"errors"
	"net/netip"
	"syscall"
	"testing"
)

// An address that moves between machines can be listened on before it is here. 192.0.2.0/24 and 2001:db8::/32 are for
// documentation: no machine has them (RFC 5737, RFC 3849).
func TestListenOnAnAddressToCome(t *testing.T) {
	l, err := New(0)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Stop()
	for _, at := range []string{"192.0.2.1:0", "[2001:db8::1]:0"} {
		a := Addr{AddrPort: netip.MustParseAddrPort(at)}
		if n, err := l.Listen(a, Socket.Close); !errors.Is(err, syscall.EADDRNOTAVAIL) {
			if errors.Is(err, syscall.EAFNOSUPPORT) {
				t.Logf("%s: %v", at, err)
				continue
			}
			t.Fatalf("listen on %s without Free: %v, %v", at, n, err)
		}
		a.Free = true
		n, err := l.Listen(a, Socket.Close)
		if err != nil {
			t.Errorf("listen on %s with Free: %v", at, err)
			continue
		}
		if got := n.Addr(); got.AddrPort.Addr() != a.AddrPort.Addr() || got.Port() == 0 || got.Free {
			t.Errorf("listening on %s is at %+v", at, got)
		}
		closeOn(l, n)
	}
}
