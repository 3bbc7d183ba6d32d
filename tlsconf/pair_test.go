package tlsconf

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestChainOrder: what is sent starts with the certificate of the key and goes up, whatever the order in the file.
func TestChainOrder(t *testing.T) {
	root, other := mintCA(nil, "root"), mintCA(nil, "other")
	mid := mintCA(&root, "mid")
	low := mintCA(&mid, "low")
	leaf := mint(&low, newKey(""), nil, "a.test")
	twin := mint(&root, newKey("RSA"), nil, "a.test")
	// One CA, known by its own root and cross-signed by another.
	cross := mint(&other, root.key, func(c *x509.Certificate) {
		c.Subject = pkix.Name{CommonName: "root"}
		c.IsCA, c.KeyUsage, c.ExtKeyUsage = true, x509.KeyUsageCertSign, nil
	})
	// A CA's certificate and a host's, for one key.
	// Another CA of the same name, and a host of a CA that does not say which key it signs with.
	heir := mintCA(&mid, "low")
	nameless := low
	nameless.cert = new(*low.cert)
	nameless.cert.SubjectKeyId = nil
	shy := mint(&nameless, newKey(""), nil, "shy.test")
	if len(leaf.cert.AuthorityKeyId) == 0 || len(shy.cert.AuthorityKeyId) > 0 {
		t.Fatal("the keys of issuers are named where they should not be, or the other way round")
	}
	double := mint(nil, leaf.key, func(c *x509.Certificate) { c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign }, "double")
	self := mint(nil, newKey(""), nil, "self.test")
	for _, tt := range []struct {
		name  string
		certs []minted
		key   crypto.Signer
		want  []minted
		warn  string
	}{
		{"right order", []minted{leaf, low, mid}, leaf.key, []minted{leaf, low, mid}, ""},
		{"reversed", []minted{root, mid, low, leaf}, leaf.key, []minted{leaf, low, mid, root}, ""},
		{"shuffled", []minted{mid, leaf, root, low}, leaf.key, []minted{leaf, low, mid, root}, ""},
		{"twice the same", []minted{leaf, low, leaf, low}, leaf.key, []minted{leaf, low}, ""},
		{"self-signed", []minted{self}, self.key, []minted{self}, ""},
		{"a link is missing", []minted{leaf, mid, root}, leaf.key, []minted{leaf}, "mid is not part of the chain"},
		{"a CA of the same name", []minted{leaf, heir}, leaf.key, []minted{leaf}, "low is not part of the chain"},
		{"two CAs of the same name", []minted{leaf, heir, low, mid}, leaf.key, []minted{leaf, low, mid}, "low is not part of the chain"},
		{"no key is named", []minted{shy, low}, shy.key, []minted{shy, low}, ""},
		{"no key is named, and a CA of the same name", []minted{shy, heir}, shy.key, []minted{shy}, "low is not part of the chain"},
		{"a stranger", []minted{leaf, low, other}, leaf.key, []minted{leaf, low}, "other is not part of the chain"},
		{"cross-signed goes further", []minted{twin, root, cross, other}, twin.key, []minted{twin, cross, other}, ""},
		{"the key has a CA's certificate too", []minted{double, low, leaf}, leaf.key, []minted{leaf, low}, "double is not part of the chain"},
		{"the key of the second", []minted{self, leaf, low}, leaf.key, []minted{leaf, low}, "self.test is not part of the chain"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var certs []*x509.Certificate
			for _, m := range tt.certs {
				certs = append(certs, m.cert)
			}
			pairs, bad := pair("a.pem", certs, []crypto.Signer{tt.key})
			if len(pairs) != 1 {
				t.Fatalf("%d pairs, %v", len(pairs), bad)
			}
			got := pairs[0].Certificate
			if !slices.EqualFunc(got, tt.want, func(der []byte, m minted) bool { return bytes.Equal(der, m.cert.Raw) }) {
				var names []string
				for _, der := range got {
					c, _ := x509.ParseCertificate(der)
					names = append(names, c.Subject.CommonName)
				}
				t.Errorf("sends %v", names)
			}
			switch {
			case tt.warn == "" && len(bad) > 0:
				t.Errorf("warns: %v", bad)
			case tt.warn != "" && (len(bad) == 0 || !strings.Contains(bad[0].problem, tt.warn) || !bad[0].warning):
				t.Errorf("got %v, want a warning with %q", bad, tt.warn)
			}
		})
	}
}

// TestPairTwoKeys: one file may hold an RSA and an ECDSA pair.
func TestPairTwoKeys(t *testing.T) {
	a, b, c := mint(nil, newKey(""), nil, "a.test"), mint(nil, newKey("RSA"), nil, "a.test"), newKey("")
	pairs, bad := pair("a.pem", []*x509.Certificate{a.cert, b.cert}, []crypto.Signer{b.key, c, a.key, b.key})
	if len(pairs) != 2 || pairs[0].Leaf != b.cert || pairs[1].Leaf != a.cert {
		t.Fatalf("got %d pairs, %v", len(pairs), bad)
	}
	if len(bad) != 1 || !bad[0].warning || !strings.Contains(bad[0].problem, "none of the certificates") {
		t.Errorf("faults %v, want one warning about the third key", bad)
	}
}

// TestReview: what clients will refuse, and what costs more than it needs to, is said while it is served.
func TestReview(t *testing.T) {
	now := time.Now()
	day := 24 * time.Hour
	rsaOf := func(bits uint) *rsa.PublicKey {
		return &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), bits-1), E: 65537}
	}
	p256, p384 := newKey("").Public(), newKey("P-384").Public()
	for _, tt := range []struct {
		name        string
		from, until time.Duration
		key         any
		san         bool
		want        []string
	}{
		{"fresh", 0, 90 * day, p256, true, nil},
		{"a ninth left", -80 * day, 10 * day, p256, true, nil},
		{"an eleventh left", -90 * day, 9 * day, p256, true, []string{"less than a tenth"}},
		{"six days, one left", -5 * day, 1 * day, p256, true, nil},
		{"expired", -90 * day, -day, p256, true, []string{"expired on"}},
		{"not yet", day, 90 * day, p256, true, []string{"not valid before"}},
		{"the clock is off by seconds", 30 * time.Second, 90 * day, p256, true, nil},
		{"no name", 0, 90 * day, p256, false, []string{"subjectAltName"}},
		{"RSA 1024", 0, 90 * day, rsaOf(1024), true, []string{"1024 bits"}},
		{"RSA 2048", 0, 90 * day, rsaOf(2048), true, nil},
		{"RSA 3072", 0, 90 * day, rsaOf(3072), true, nil},
		{"RSA 4096", 0, 90 * day, rsaOf(4096), true, []string{"4096 bits: each new client costs"}},
		{"P-384", 0, 90 * day, p384, true, []string{"P-384"}},
		{"P-384, expired", -2 * day, -day, p384, true, []string{"expired on", "P-384"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := &x509.Certificate{NotBefore: now.Add(tt.from), NotAfter: now.Add(tt.until), PublicKey: tt.key, Subject: pkix.Name{CommonName: "a.test"}}
			if tt.san {
				c.DNSNames = []string{"a.test"}
			}
			got := review("a.pem", &tls.Certificate{Leaf: c}, now)
			if len(got) != len(tt.want) {
				t.Fatalf("got %v, want %q", got, tt.want)
			}
			for i, f := range got {
				if !f.warning || f.remedy == "" || !strings.Contains(f.problem, tt.want[i]) {
					t.Errorf("got %+v, want a warning with %q", *f, tt.want[i])
				}
			}
		})
	}
}
