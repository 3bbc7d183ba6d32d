package frontend

import (
	"bufio"
	"bytes"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/pires/go-proxyproto"
)

// v2 makes a header of version 2.
func v2(command, family byte, body string) string {
	return string(proxyV2) + string([]byte{command, family, byte(len(body) >> 8), byte(len(body))}) + body
}

const (
	ends4 = "\x01\x02\x03\x04\x05\x06\x07\x08\x12\x34\x01\xbb" // 1.2.3.4:4660 to 5.6.7.8:443
	ends6 = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" + "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02" + "\x12\x34\x01\xbb"
)

func TestParseProxy(t *testing.T) {
	for _, tt := range []struct {
		name, in    string
		peer, local string // "" and "": of the balancer itself
	}{
		{"TCP4", "PROXY TCP4 1.2.3.4 5.6.7.8 4660 443\r\n", "1.2.3.4:4660", "5.6.7.8:443"},
		{"TCP6", "PROXY TCP6 2001:db8::1 2001:db8::2 4660 443\r\n", "[2001:db8::1]:4660", "[2001:db8::2]:443"},
		{"IPv4 in IPv6", "PROXY TCP6 ::ffff:1.2.3.4 ::ffff:5.6.7.8 4660 443\r\n", "1.2.3.4:4660", "5.6.7.8:443"},
		{"the longest", "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe 65535 65535\r\n",
			"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe]:65535"},
		{"UNKNOWN", "PROXY UNKNOWN\r\n", "", ""},
		{"UNKNOWN with addresses", "PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", "", ""},
		{"version 2, IPv4", v2(0x21, 0x11, ends4), "1.2.3.4:4660", "5.6.7.8:443"},
		{"version 2, IPv6", v2(0x21, 0x21, ends6), "[2001:db8::1]:4660", "[2001:db8::2]:443"},
		{"version 2, with a TLV", v2(0x21, 0x11, ends4+"\x02\x00\x03abc"), "1.2.3.4:4660", "5.6.7.8:443"},
		{"version 2, LOCAL", v2(0x20, 0x00, ""), "", ""},
		{"version 2, LOCAL with addresses", v2(0x20, 0x11, ends4), "", ""},
	} {
		const rest = "GET / HTTP/1.1\r\n"
		a, n, err := parseProxy([]byte(tt.in + rest))
		if err != nil || n != len(tt.in) {
			t.Errorf("%s: length %d of %d, %v", tt.name, n, len(tt.in), err)
			continue
		}
		for _, end := range []struct {
			got  netip.AddrPort
			want string
		}{{a.Peer, tt.peer}, {a.Local, tt.local}} {
			if end.want == "" && end.got.IsValid() || end.want != "" && end.got != netip.MustParseAddrPort(end.want) {
				t.Errorf("%s: got %v, want %q", tt.name, end.got, end.want)
			}
		}
		for i := range len(tt.in) { // a header that comes in pieces is waited for
			if _, n, err := parseProxy([]byte(tt.in[:i])); n != 0 || err != nil {
				t.Errorf("%s, the first %d bytes: length %d, %v", tt.name, i, n, err)
				break
			}
		}
	}
}

// TestParseProxyRefuses: hostile input, row 77. What is not exactly a header is none.
func TestParseProxyRefuses(t *testing.T) {
	for _, tt := range []struct{ name, in string }{
		{"none", "GET / HTTP/1.1\r\n"},
		{"TLS", "\x16\x03\x01\x02\x00"},
		{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
		{"blank lines", "\r\n\r\nGET"},
		{"in lower case", "proxy TCP4 1.2.3.4 5.6.7.8 1 2\r\n"},
		{"twice", "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\nPROXY TCP4 6.6.6.6 5.6.7.8 1 2\r\n"},
		{"twice, in both versions", "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n" + v2(0x21, 0x11, ends4)},
		{"twice, version 2", v2(0x21, 0x11, ends4) + v2(0x21, 0x11, ends4)},
		{"6.6.6.999", "PROXY TCP4 6.6.6.999 5.6.7.8 1 2\r\n"},
		{"an octet with a leading zero", "PROXY TCP4 6.6.6.06 5.6.7.8 1 2\r\n"},
		{"three octets", "PROXY TCP4 6.6.6 5.6.7.8 1 2\r\n"},
		{"a name", "PROXY TCP4 example.com 5.6.7.8 1 2\r\n"},
		{"IPv6 in TCP4", "PROXY TCP4 ::1 ::2 1 2\r\n"},
		{"IPv4 in TCP6", "PROXY TCP6 1.2.3.4 5.6.7.8 1 2\r\n"},
		{"a zone", "PROXY TCP6 fe80::1%eth0 fe80::2 1 2\r\n"},
		{"port 65536", "PROXY TCP4 1.2.3.4 5.6.7.8 65536 2\r\n"},
		{"port 080", "PROXY TCP4 1.2.3.4 5.6.7.8 080 2\r\n"},
		{"port -1", "PROXY TCP4 1.2.3.4 5.6.7.8 -1 2\r\n"},
		{"port +1", "PROXY TCP4 1.2.3.4 5.6.7.8 +1 2\r\n"},
		{"no port", "PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n"},
		{"a word too many", "PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n"},
		{"two blanks", "PROXY TCP4  1.2.3.4 5.6.7.8 1 2\r\n"},
		{"a tab", "PROXY TCP4\t1.2.3.4 5.6.7.8 1 2\r\n"},
		{"a bare LF", "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n"},
		{"UDP4", "PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n"},
		{"an empty family", "PROXY \r\n"},
		{"108 bytes", "PROXY UNKNOWN " + strings.Repeat("x", 92) + "\r\n"},
		{"no end", "PROXY TCP4 " + strings.Repeat("1", 200)},
		{"version 3", v2(0x31, 0x11, ends4)},
		{"version 1 in binary", v2(0x11, 0x11, ends4)},
		{"an unknown command", v2(0x22, 0x11, ends4)},
		{"an unknown family", v2(0x21, 0x41, ends4)},
		{"UDP", v2(0x21, 0x12, ends4)},
		{"a unix socket", v2(0x21, 0x31, strings.Repeat("\x00", 216))},
		{"no family", v2(0x21, 0x00, "")},
		{"addresses cut short", v2(0x21, 0x11, ends4[:11])},
		{"IPv6 addresses cut short", v2(0x21, 0x21, ends4)},
		{"a huge TLV", v2(0x21, 0x11, ends4+"\x04\xff\xf0"+strings.Repeat("x", 0xfff0-20))},
	} {
		if a, n, err := parseProxy([]byte(tt.in)); err == nil {
			t.Errorf("%s: length %d, %+v", tt.name, n, a)
		}
	}
	// The length of a huge header is refused before it has come.
	if _, _, err := parseProxy([]byte(v2(0x21, 0x11, strings.Repeat("x", 0xffff))[:minProxyV2])); err != errProxyLong {
		t.Errorf("the start of a huge header: %v", err)
	}
}

// FuzzParseProxy: what is taken is what the library reads from a stream of the same bytes, and no byte more is used up.
func FuzzParseProxy(f *testing.F) {
	for _, s := range []string{"", "PROXY TCP4 1.2.3.4 5.6.7.8 4660 443\r\nGET /", "PROXY TCP6 2001:db8::1 2001:db8::2 4660 443\r\n", "PROXY UNKNOWN\r\n",
		"PROXY TCP4 6.6.6.999 5.6.7.8 1 2\r\n", v2(0x21, 0x11, ends4) + "x", v2(0x21, 0x21, ends6), v2(0x20, 0, ""), v2(0x21, 0x11, ends4+"\x02\x00\x03abc"),
		v2(0x21, 0x31, strings.Repeat("a", 216))} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		a, n, err := parseProxy(b)
		if n < 0 || n > len(b) || err != nil && n != 0 {
			t.Fatalf("length %d of %d, %v", n, len(b), err)
		}
		src := bufio.NewReader(bytes.NewReader(b))
		h, herr := proxyproto.Read(src)
		if n == 0 {
			if err == nil && herr == nil {
				t.Fatalf("waits for more of what is complete: %q", b)
			}
			return
		}
		if herr != nil {
			t.Fatalf("took %q: %v", b[:n], herr)
		}
		left := src.Buffered()
		if whole := len(b) - n; left > whole || left < whole && whole < src.Size() {
			t.Fatalf("left %d bytes, the library %d", whole, left)
		}
		if h.Command.IsLocal() != !a.Peer.IsValid() {
			t.Fatalf("%q announces %v, the library reads %v", b[:n], a.Peer, h.Command)
		}
		if !a.Peer.IsValid() {
			return
		}
		for _, end := range []struct {
			got  netip.AddrPort
			want net.Addr
		}{{a.Peer, h.SourceAddr}, {a.Local, h.DestinationAddr}} {
			want := end.want.(*net.TCPAddr).AddrPort()
			if end.got.Port() != want.Port() || end.got.Addr() != want.Addr().Unmap() {
				t.Fatalf("%q: %v, the library reads %v", b[:n], end.got, want)
			}
		}
	})
}
