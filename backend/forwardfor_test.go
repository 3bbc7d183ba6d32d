package backend

import (
	"net/netip"
	"strings"
	"testing"

	"gatehouse/backend/h1"
)

func nets(s ...string) (out []netip.Prefix) {
	for _, n := range s {
		out = append(out, netip.MustParsePrefix(n))
	}
	return out
}

func from(peer string, head ...string) *h1.Exchange {
	x := new(h1.Exchange)
	if peer != "" {
		x.Peer = netip.MustParseAddrPort(peer)
	}
	for _, l := range head {
		name, value, _ := strings.Cut(l, ": ")
		x.Req.Header.AddString(name, value)
	}
	return x
}

func TestForwardfor(t *testing.T) {
	guide := &Forwardfor{Enabled: true, Except: nets("192.168.1.1/32", "2001:db8:e::/48"), Trusted: nets("10.0.0.0/8", "2001:db8:7::/48")}
	tests := []struct {
		name   string
		c      *Forwardfor
		peer   string
		secure bool
		in     []string
		want   []string
	}{
		{"a client", nil, "203.0.113.5:1234", false, []string{"Host: x"}, []string{"Host: x", "X-Forwarded-For: 203.0.113.5", "X-Forwarded-Proto: http"}},
		{"on TLS", nil, "203.0.113.5:1234", true, nil, []string{"X-Forwarded-For: 203.0.113.5", "X-Forwarded-Proto: https"}},
		{"IPv6", nil, "[2001:db8::5]:1234", false, nil, []string{"X-Forwarded-For: 2001:db8::5", "X-Forwarded-Proto: http"}},
		{"IPv4 in IPv6", nil, "[::ffff:203.0.113.5]:1234", false, nil, []string{"X-Forwarded-For: 203.0.113.5", "X-Forwarded-Proto: http"}},
		{"a zone is ours alone", nil, "[fe80::1%eth0]:1234", false, nil, []string{"X-Forwarded-For: fe80::1", "X-Forwarded-Proto: http"}},
		{"a unix socket", nil, "", false, []string{"X-Forwarded-For: 9.9.9.9"}, []string{"X-Forwarded-Proto: http"}},

		{"forged", guide, "203.0.113.5:1234", false,
			[]string{"X-Forwarded-For: 9.9.9.9", "Host: x", "x-forwarded-for: 8.8.8.8", "X-Forwarded-Proto: https"},
			[]string{"Host: x", "X-Forwarded-For: 203.0.113.5", "X-Forwarded-Proto: http"}},
		{"forged, all the others", guide, "203.0.113.5:1234", true,
			[]string{"Forwarded: for=9.9.9.9", "X-Real-IP: 9.9.9.9", "X-Forwarded-Host: evil", "X-Forwarded-Port: 1", "x-forwarded-prefix: /a", "X-Original-URL: /admin", "X-Rewrite-URL: /admin", "X-HTTP-Method-Override: DELETE", "X-Forwarded: kept", "X-Forwarded-: kept"},
			[]string{"X-Forwarded: kept", "X-Forwarded-: kept", "X-Forwarded-For: 203.0.113.5", "X-Forwarded-Proto: https"}},

		{"except", guide, "192.168.1.1:1234", false, []string{"X-Forwarded-For: 9.9.9.9", "X-Forwarded-Proto: https", "X-Real-IP: 9.9.9.9"}, []string{"X-Forwarded-For: 9.9.9.9", "X-Forwarded-Proto: https", "X-Real-IP: 9.9.9.9"}},
		{"except, nothing there", guide, "192.168.1.1:1234", true, nil, nil},
		{"except, IPv4 in IPv6", guide, "[::ffff:192.168.1.1]:1234", true, nil, nil},
		{"except, IPv6", guide, "[2001:db8:e::9]:1", true, nil, nil},
		{"beside except", guide, "192.168.1.2:1234", false, []string{"X-Forwarded-For: 9.9.9.9"}, []string{"X-Forwarded-For: 192.168.1.2", "X-Forwarded-Proto: http"}},

		{"trusted", guide, "10.1.2.3:1234", false, []string{"X-Forwarded-For: 9.9.9.9", "Host: x"}, []string{"Host: x", "X-Forwarded-For: 9.9.9.9, 10.1.2.3", "X-Forwarded-Proto: http"}},
		{"trusted, IPv6", guide, "[2001:db8:7::1]:1", false, []string{"X-Forwarded-For: 9.9.9.9"}, []string{"X-Forwarded-For: 9.9.9.9, 2001:db8:7::1", "X-Forwarded-Proto: http"}},
		{"trusted, nothing there", guide, "10.1.2.3:1234", true, nil, []string{"X-Forwarded-For: 10.1.2.3", "X-Forwarded-Proto: https"}},
		{"trusted, several lines", guide, "10.1.2.3:1234", false, []string{"X-Forwarded-For: 1.1.1.1, 2.2.2.2", "x-forwarded-for: 3.3.3.3", "X-Forwarded-For: "}, []string{"X-Forwarded-For: 1.1.1.1, 2.2.2.2, 3.3.3.3, 10.1.2.3", "X-Forwarded-Proto: http"}},
		{"trusted knows the scheme", guide, "10.1.2.3:1234", false, []string{"X-Forwarded-Proto: https"}, []string{"X-Forwarded-Proto: https", "X-Forwarded-For: 10.1.2.3"}},
		{"trusted, empty scheme", guide, "10.1.2.3:1234", true, []string{"X-Forwarded-Proto: "}, []string{"X-Forwarded-For: 10.1.2.3", "X-Forwarded-Proto: https"}},
		{"trusted says more", guide, "10.1.2.3:1234", false, []string{"Forwarded: for=9.9.9.9", "X-Real-IP: 9.9.9.9", "X-Forwarded-Host: a"}, []string{"Forwarded: for=9.9.9.9", "X-Real-IP: 9.9.9.9", "X-Forwarded-Host: a", "X-Forwarded-For: 10.1.2.3", "X-Forwarded-Proto: http"}},

		{"off", &Forwardfor{Except: nets("0.0.0.0/0")}, "203.0.113.5:1234", false, []string{"X-Forwarded-For: 9.9.9.9"}, []string{"X-Forwarded-For: 9.9.9.9"}},
		{"another field", &Forwardfor{Enabled: true, Header: "X-Client"}, "203.0.113.5:1234", false, []string{"x-client: 9.9.9.9", "X-Forwarded-For: 9.9.9.9", "X-Client: 8.8.8.8"}, []string{"X-Client: 203.0.113.5", "X-Forwarded-Proto: http"}},
		{"another field, trusted", &Forwardfor{Enabled: true, Header: "X-Client", Trusted: nets("10.0.0.0/8")}, "10.0.0.1:1", false, []string{"x-client: 9.9.9.9", "X-Forwarded-For: 9.9.9.9"}, []string{"X-Forwarded-For: 9.9.9.9", "X-Client: 9.9.9.9, 10.0.0.1", "X-Forwarded-Proto: http"}},
		{"networks inside IPv6", &Forwardfor{Enabled: true, Except: nets("::ffff:192.168.1.0/120")}, "192.168.1.77:1", false, nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			x := from(tt.peer, tt.in...)
			x.Req.Secure = tt.secure
			newForward(tt.c).tell(x)
			got := string(x.Req.Header.AppendTo(nil))
			want := ""
			for _, l := range tt.want {
				want += l + "\r\n"
			}
			if got != want {
				t.Errorf("got\n%swant\n%s", got, want)
			}
		})
	}
}

// AT-5.5: proxies that trust one another make one list, each its own step of it.
func TestForwardforThroughTwoProxies(t *testing.T) {
	x := from("203.0.113.5:1234", "X-Forwarded-For: 6.6.6.6")
	newForward(nil).tell(x)
	x.Peer = netip.MustParseAddrPort("10.0.0.1:99")
	newForward(&Forwardfor{Enabled: true, Trusted: nets("10.0.0.0/8")}).tell(x)
	if got := joined(&x.Req.Header, "X-Forwarded-For"); got != "203.0.113.5, 10.0.0.1" {
		t.Errorf("%q", got)
	}
}

func TestForwardforAllocatesNothing(t *testing.T) {
	f := newForward(&Forwardfor{Enabled: true, Trusted: nets("10.0.0.0/8")})
	x := from("10.0.0.1:99")
	one := func() {
		x.Req.Header.Reset()
		x.Req.Header.AddString("Host", "example.com")
		x.Req.Header.AddString("X-Forwarded-For", "203.0.113.5")
		f.tell(x)
	}
	one()
	if n := testing.AllocsPerRun(100, one); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkForwardfor(b *testing.B) {
	f := newForward(nil)
	x := from("203.0.113.5:99")
	b.ReportAllocs()
	for b.Loop() {
		x.Req.Header.Reset()
		for _, n := range []string{"Host", "User-Agent", "Accept", "X-Requested-With", "Cookie"} {
			x.Req.Header.AddString(n, "value")
		}
		f.tell(x)
	}
}
