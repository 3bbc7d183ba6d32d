package tlsconf

import (
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
	"testing"
	"time"
)

// offer is a ClientHello of bytes of its own: crypto/tls as a client would not offer what it does not know.
type offer struct {
	version  uint16 // the newest one
	suite    uint16
	group    uint16
	onlyOld  bool // no supported_versions extension, as before TLS 1.3
	noGroups bool
}

// bytes returns the hello as one record.
func (o offer) bytes() []byte {
	u16 := binary.BigEndian.AppendUint16
	vector := func(b []byte) []byte { return append(u16(nil, uint16(len(b))), b...) }
	var ext []byte
	extension := func(id uint16, body []byte) { ext = append(u16(ext, id), vector(body)...) }
	extension(0, vector(append([]byte{0}, vector([]byte("a.test"))...))) // server_name
	if !o.noGroups {
		extension(10, vector(u16(nil, o.group)))
		extension(11, []byte{1, 0}) // uncompressed points
	}
	extension(13, vector([]byte{4, 3, 8, 4, 4, 1, 5, 3, 8, 5, 2, 1, 2, 3})) // ECDSA and RSA, with SHA-1 too
	if !o.onlyOld {
		extension(43, append([]byte{2}, u16(nil, o.version)...))
		extension(51, vector(nil)) // no key share: the server says which group it wants
	}
	legacy := min(o.version, tls.VersionTLS12)
	body := u16(nil, legacy)
	body = append(body, make([]byte, 32)...) // random
	body = append(body, 0)                   // no session
	body = append(body, vector(u16(nil, o.suite))...)
	body = append(body, 1, 0) // no compression
	body = append(body, vector(ext)...)
	message := append([]byte{1, 0}, vector(body)...)
	return append([]byte{22, 3, 1}, vector(message)...)
}

// taken reports whether a server goes on with the offer: by a ServerHello, or a HelloRetryRequest, which has the same form.
func (o offer) taken(t *testing.T, c *tls.Config) bool {
	t.Helper()
	a, b := net.Pipe()
	a.SetDeadline(time.Now().Add(20 * time.Second))
	defer a.Close()
	over := make(chan struct{})
	go func() {
		defer close(over)
		defer b.Close()
		tls.Server(b, c).Handshake() // fails in any case: nobody answers
	}()
	defer func() { a.Close(); <-over }()
	if _, err := a.Write(o.bytes()); err != nil {
		t.Fatal(err)
	}
	head := make([]byte, 5)
	if _, err := io.ReadFull(a, head); err != nil {
		t.Fatal(err)
	}
	body := make([]byte, binary.BigEndian.Uint16(head[3:]))
	if _, err := io.ReadFull(a, body); err != nil {
		t.Fatal(err)
	}
	switch {
	case head[0] == 21: // an alert
		return false
	case head[0] == 22 && body[0] == 2:
		at := 4 + 2 + 32
		at += 1 + int(body[at])
		if got := binary.BigEndian.Uint16(body[at:]); got != o.suite {
			t.Fatalf("offered %#04x alone, the server takes %#04x", o.suite, got)
		}
		return true
	}
	t.Fatalf("the server says %d %d", head[0], body[0])
	return false
}

// TestEveryOffer: of all suites and groups there are numbers for, and of all versions, the profiles take what Mozilla's guideline 6.0 names and
// nothing else, whatever a release of Go may add.
func TestEveryOffer(t *testing.T) {
	dir := t.TempDir()
	mint(nil, newKey("RSA"), nil, "a.test").write(t, dir, "a.pem")
	mint(nil, newKey(""), nil, "a.test").write(t, dir, "b.pem")
	intermediate, modern := serve(t, &Config{Certificate: dir}).Config(), serve(t, &Config{Certificate: dir, Profile: Modern}).Config()

	var all []uint16 // the registry's ranges
	for _, r := range [][2]int{{0x0000, 0x00ff}, {0x1301, 0x1307}, {0x5600, 0x5600}, {0xc001, 0xc0ff}, {0xc100, 0xc107}, {0xcc13, 0xcc15}, {0xcca8, 0xccae}, {0xd001, 0xd005}} {
		for n := r[0]; n <= r[1]; n++ {
			all = append(all, uint16(n))
		}
	}
	named := func(ids ...uint16) (names []string) {
		for _, id := range ids {
			names = append(names, tls.CipherSuiteName(id))
		}
		slices.Sort(names)
		return names
	}
	for _, tt := range []struct {
		name string
		c    *tls.Config
		o    offer
		want []string
	}{
		{"intermediate, TLS 1.2", intermediate, offer{version: tls.VersionTLS12, group: uint16(tls.CurveP256), onlyOld: true}, named(suites...)},
		{"intermediate, TLS 1.3", intermediate, offer{version: tls.VersionTLS13, group: uint16(tls.X25519)},
			named(tls.TLS_AES_128_GCM_SHA256, tls.TLS_AES_256_GCM_SHA384, tls.TLS_CHACHA20_POLY1305_SHA256)},
		{"modern, TLS 1.2", modern, offer{version: tls.VersionTLS12, group: uint16(tls.CurveP256), onlyOld: true}, nil},
		{"modern, TLS 1.3", modern, offer{version: tls.VersionTLS13, group: uint16(tls.X25519)},
			named(tls.TLS_AES_128_GCM_SHA256, tls.TLS_AES_256_GCM_SHA384, tls.TLS_CHACHA20_POLY1305_SHA256)},
		{"TLS 1.1", intermediate, offer{version: tls.VersionTLS11, group: uint16(tls.CurveP256), onlyOld: true}, nil},
		{"TLS 1.0", intermediate, offer{version: tls.VersionTLS10, group: uint16(tls.CurveP256), onlyOld: true}, nil},
		{"SSL 3", intermediate, offer{version: 0x0300, onlyOld: true, noGroups: true}, nil},
	} {
		var got []uint16
		for _, id := range all {
			o := tt.o
			o.suite = id
			if o.taken(t, tt.c) {
				got = append(got, id)
			}
		}
		if names := named(got...); !slices.Equal(names, tt.want) {
			t.Errorf("%s: suites %q, want %q", tt.name, names, tt.want)
		}
	}

	for _, tt := range []struct {
		name string
		c    *tls.Config
		o    offer
		want []tls.CurveID
	}{
		{"intermediate, TLS 1.3", intermediate, offer{version: tls.VersionTLS13, suite: tls.TLS_AES_128_GCM_SHA256}, []tls.CurveID{tls.CurveP256, tls.CurveP384, tls.X25519, tls.X25519MLKEM768}},
		{"modern", modern, offer{version: tls.VersionTLS13, suite: tls.TLS_AES_128_GCM_SHA256}, []tls.CurveID{tls.CurveP256, tls.CurveP384, tls.X25519, tls.X25519MLKEM768}},
		{"intermediate, TLS 1.2", intermediate, offer{version: tls.VersionTLS12, suite: tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, onlyOld: true}, []tls.CurveID{tls.CurveP256, tls.CurveP384, tls.X25519}},
	} {
		var got []tls.CurveID
		for g := range uint16(0x1200) {
			if g > 0x0200 && g < 0x11e0 { // nothing is registered between
				continue
			}
			o := tt.o
			o.group = g
			if o.taken(t, tt.c) {
				got = append(got, tls.CurveID(g))
			}
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: groups %v, want %v", tt.name, fmt.Sprint(got), tt.want)
		}
	}
}
