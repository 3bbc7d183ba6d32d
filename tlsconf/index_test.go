package tlsconf

import (
	"crypto/tls"
	"crypto/x509"
	"strings"
	"testing"
	"time"
)

func keyPair(m minted) *tls.Certificate {
	return &tls.Certificate{Certificate: [][]byte{m.cert.Raw}, PrivateKey: m.key, Leaf: m.cert}
}

func TestLookup(t *testing.T) {
	now := time.Now()
	names := func(l ...string) *tls.Certificate { return keyPair(mint(nil, newKey(""), nil, l...)) }
	a, wild, deep, ip := names("a.test", "Mixed.Test"), names("*.w.test"), names("x.w.test"), names("192.0.2.1", "2001:db8::1")
	cn := keyPair(mint(nil, newKey(""), func(c *x509.Certificate) { c.Subject.CommonName = "Old.Test" }))
	x := newIndex([]served{{"1", a}, {"2", wild}, {"3", deep}, {"4", ip}, {"5", cn}}, now)
	for _, tt := range []struct {
		name string
		want *tls.Certificate
	}{
		{"a.test", a}, {"A.TEST", a}, {"mixed.test", a}, {"mIXED.tEST", a},
		{"y.w.test", wild}, {"Y.W.Test", wild}, {"x.w.test", deep},
		{"w.test", nil}, {"z.y.w.test", nil}, {".w.test", nil}, {"*.w.test", nil}, {"a.test.", nil}, {"b.a.test", nil}, {"test", nil}, {"", nil},
		{"192.0.2.1", ip}, {"2001:db8::1", ip}, {"old.test", cn},
		{strings.Repeat("a", 255), nil}, {strings.Repeat("a.", 40000), nil}, {"a\x00.test", nil},
	} {
		var got *tls.Certificate
		if s := x.lookup(tt.name); s != nil {
			got = s.ec
		}
		if got != tt.want {
			t.Errorf("lookup(%.40q): got %v, want %v", tt.name, got, tt.want)
		}
	}
	if x.first.ec != a {
		t.Error("the first is not for clients without a name")
	}
}

// TestIndexPrefersValid: of two certificates for one name the first file has it, unless it is past its end.
func TestIndexPrefersValid(t *testing.T) {
	now := time.Now()
	old := keyPair(mint(nil, newKey(""), func(c *x509.Certificate) { c.NotBefore, c.NotAfter = now.Add(-48*time.Hour), now.Add(-time.Hour) }, "a.test"))
	one, two := keyPair(mint(nil, newKey(""), nil, "a.test")), keyPair(mint(nil, newKey(""), nil, "a.test"))
	for _, tt := range []struct {
		all  []served
		want *tls.Certificate
	}{
		{[]served{{"1", one}, {"2", two}}, one},
		{[]served{{"1", old}, {"2", two}, {"3", one}}, two},
		{[]served{{"1", one}, {"2", old}}, one},
		{[]served{{"1", old}}, old},
	} {
		if got := newIndex(tt.all, now).lookup("a.test").ec; got != tt.want {
			t.Errorf("%v: got %v", tt.all, got)
		}
	}
}

// TestCanUseAgreesWithTheLibrary compares with ClientHelloInfo.SupportsCertificate, on hellos of real clients.
func TestCanUseAgreesWithTheLibrary(t *testing.T) {
	certs := map[string]*tls.Certificate{}
	for _, kind := range []string{"P-256", "P-384", "P-521", "Ed25519"} {
		certs[kind] = keyPair(mint(nil, newKey(kind), nil, "a.test"))
	}
	rsaOnly := []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}
	both, yes, no := []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}, 0, 0
	for name, client := range map[string]*tls.Config{
		"1.3":                  {},
		"1.3 alone":            {MinVersion: tls.VersionTLS13},
		"1.2":                  {MaxVersion: tls.VersionTLS12},
		"1.2, RSA suites":      {MaxVersion: tls.VersionTLS12, CipherSuites: rsaOnly},
		"1.2, X25519 and P256": {MaxVersion: tls.VersionTLS12, CipherSuites: both, CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP256}},
		"1.2, P384":            {MaxVersion: tls.VersionTLS12, CurvePreferences: []tls.CurveID{tls.CurveP384}},
		"1.2, X25519":          {MaxVersion: tls.VersionTLS12, CurvePreferences: []tls.CurveID{tls.X25519}},
	} {
		client.ServerName, client.InsecureSkipVerify = "a.test", true
		server := (&Config{}).serverConfig()
		server.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			for kind, c := range certs {
				err := hello.SupportsCertificate(c)
				if got := canUse(hello, c); got != (err == nil) {
					t.Errorf("%s, %s: got %v, the library says %v", name, kind, got, err)
				} else if got {
					yes++
				} else {
					no++
				}
			}
			return certs["P-256"], nil
		}
		shake(t, server, client) // whether they agree in the end is not the question
	}
	if yes < 10 || no < 5 {
		t.Errorf("%d and %d cases: too few of one kind to tell", yes, no)
	}
}
