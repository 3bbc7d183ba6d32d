package frontend

import (
	"net/netip"
	"testing"
)

func TestMonitorSet(t *testing.T) {
	set := newMonitorSet([]netip.Prefix{
		netip.MustParsePrefix("192.168.1.252/31"),
		netip.MustParsePrefix("10.1.2.3/8"), // not masked
		netip.MustParsePrefix("::ffff:172.16.0.0/108"),
		netip.MustParsePrefix("2001:db8::/64"),
		netip.MustParsePrefix("fe80::1/128"),
		{},
	})
	for addr, want := range map[string]bool{
		"192.168.1.252":          true,
		"192.168.1.253":          true,
		"192.168.1.251":          false,
		"192.168.1.254":          false,
		"::ffff:192.168.1.252":   true,
		"::ffff:192.168.1.251":   false,
		"10.255.0.1":             true,
		"11.0.0.1":               false,
		"172.16.0.9":             true,
		"172.32.0.1":             false,
		"2001:db8::1":            true,
		"2001:db8:0:1::1":        false,
		"fe80::1%eth0":           true,
		"fe80::2%eth0":           false,
		"::192.168.1.252":        false,
		"64:ff9b::192.168.1.252": false,
	} {
		if got := set.has(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %v, want %v", addr, got, want)
		}
	}
	if set.has(netip.Addr{}) {
		t.Error("no address is in the set")
	}
	if newMonitorSet(nil).has(netip.MustParseAddr("127.0.0.1")) {
		t.Error("an empty set has an address")
	}
}

func TestMonitorSetAllocatesNothing(t *testing.T) {
	set := newMonitorSet([]netip.Prefix{netip.MustParsePrefix("192.168.1.252/31"), netip.MustParsePrefix("2001:db8::/64")})
	a := netip.MustParseAddr("::ffff:192.168.1.1")
	if n := testing.AllocsPerRun(100, func() { set.has(a) }); n != 0 {
		t.Errorf("%v allocations, want 0: every connection is asked about", n)
	}
}
