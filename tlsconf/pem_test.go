package tlsconf

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"slices"
	"strings"
	"testing"
)

const dhParams = `-----BEGIN DH PARAMETERS-----
MIGHAoGBAPSI/VhOSdvNILSd5JEHNmszbDgNRR0PfIizHHxbLY7288kjwEPwpVsY
jY67VYy4XTjTNP18F1dDox0YbN4zISy1Kv884bEpQBgRjXyE3pdnRwnFUwwQDOLu
ylhpKQ8Dm0ctzE8PEUqnkDzfT4n8AnDKsvCvWdGcFJS0Bjro7tc7AgEC
-----END DH PARAMETERS-----
`

func blocks(b *pem.Block) string { return string(pem.EncodeToMemory(b)) }

// TestPEMShapes: the shapes certificate files are found in on real machines.
func TestPEMShapes(t *testing.T) {
	ca := mintCA(nil, "root")
	m := mint(&ca, newKey(""), nil, "a.test")
	rsa := mint(&ca, newKey("RSA"), nil, "a.test")
	sec1, _ := x509.MarshalECPrivateKey(m.key.(*ecdsa.PrivateKey))
	cert, key, chain := m.certPEM(), m.keyPEM(), ca.certPEM()
	unterminated := func(s string) string { return strings.TrimSuffix(s, "\n") }
	crlf := func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

	for _, tt := range []struct {
		name, text  string
		certs, keys int
	}{
		{"certificate, chain, key", cert + chain + key, 2, 1},
		{"key first", key + cert + chain, 2, 1},
		{"key in the middle", cert + key + chain, 2, 1},
		{"no final newline", cert + unterminated(key), 1, 1},
		{"joined without newlines", unterminated(cert) + unterminated(chain) + unterminated(key), 2, 1},
		{"DH parameters", dhParams + cert + dhParams + key + dhParams, 1, 1},
		{"CRLF", crlf(cert + chain + key), 2, 1},
		{"CRLF, joined", unterminated(crlf(cert)) + crlf(key), 1, 1},
		{"byte order mark", bom + cert + key, 1, 1},
		{"byte order marks inside", bom + cert + bom + key, 1, 1},
		{"blanks at line ends", strings.ReplaceAll(cert+key, "\n", "  \n"), 1, 1},
		{"text between", "Bag Attributes\n    friendlyName: a.test\n" + cert + "subject=CN = a.test\n" + key + "end\n", 1, 1},
		{"commented out", "# " + strings.ReplaceAll(unterminated(key), "\n", "\n# ") + "\n" + cert, 1, 0},
		{"SEC 1 key with its parameters", cert + "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n" + blocks(&pem.Block{Type: "EC PRIVATE KEY", Bytes: sec1}), 1, 1},
		{"RSA key", rsa.certPEM() + rsa.keyPEM(), 1, 1},
		{"trusted certificate", blocks(&pem.Block{Type: "TRUSTED CERTIFICATE", Bytes: append(bytes.Clone(m.cert.Raw), 0x30, 0x02, 0x0c, 0x00)}) + key, 1, 1},
		{"X509 certificate", blocks(&pem.Block{Type: "X509 CERTIFICATE", Bytes: m.cert.Raw}), 1, 0},
		{"certificate request", blocks(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: []byte{0x30, 0}}) + cert, 1, 0},
		{"public key", blocks(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte{0x30, 0}}) + key, 0, 1},
		{"empty", "", 0, 0},
		{"text alone", "hello\n", 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, f := parsePEM("a.pem", []byte(tt.text))
			if f != nil {
				t.Fatal(f)
			}
			if len(p.certs) != tt.certs || len(p.keys) != tt.keys {
				t.Errorf("got %d certificates and %d keys, want %d and %d", len(p.certs), len(p.keys), tt.certs, tt.keys)
			}
			if tt.certs > 0 && tt.keys > 0 {
				if pairs, bad := pair("a.pem", p.certs, p.keys); len(pairs) != 1 || bad != nil {
					t.Errorf("got %d pairs, faults %v", len(pairs), bad)
				} else if pairs[0].Leaf.Subject.CommonName != "a.test" || len(pairs[0].Certificate) != tt.certs {
					t.Errorf("got a chain of %d for %s, want %d for a.test", len(pairs[0].Certificate), pairs[0].Leaf.Subject, tt.certs)
				}
			}
		})
	}
}

// TestPEMRefused: what cannot be served says why, where, and what to do.
func TestPEMRefused(t *testing.T) {
	m := mint(nil, newKey(""), nil, "a.test")
	cert, key := m.certPEM(), m.keyPEM()
	for _, tt := range []struct {
		name, text, problem, remedy string
		key                         bool
	}{
		{"cut short", cert + key[:len(key)/2], "line 11: the block is cut short", "half written", false},
		{"cut before the next block", cert[:len(cert)/2] + "\n" + key, "line 1: the block is cut short", "half written", false},
		{"cut before another of its kind", cert[:len(cert)/2] + "\n" + cert + key, "line 1: the block is cut short", "half written", false},
		{"header cut", cert + "-----BEGIN PRIV", "the block is cut short", "half written", false},
		{"not base64", strings.Replace(cert, "MII", "M!I", 1), "line 1: the CERTIFICATE block is damaged", "base64", false},
		{"not a certificate", blocks(&pem.Block{Type: "CERTIFICATE", Bytes: []byte{0x30, 0}}), "line 1: the certificate cannot be read", "issued again", false},
		{"not a key", cert + blocks(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte{0x30, 0}}), "the private key cannot be read", "openssl pkey -in a.pem", true},
		{"encrypted, PKCS #8", cert + blocks(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte{0x30, 0}}), "the private key is encrypted", "openssl pkey -in a.pem -out a.pem.key", true},
		{"encrypted, old", blocks(&pem.Block{Type: "RSA PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-128-CBC,00"}, Bytes: []byte{1}}), "the private key is encrypted", "openssl pkey", true},
		{"OpenSSH", blocks(&pem.Block{Type: "OPENSSH PRIVATE KEY", Bytes: []byte{1}}), "OpenSSH's own form", "ssh-keygen", true},
		{"DSA", blocks(&pem.Block{Type: "DSA PRIVATE KEY", Bytes: []byte{1}}), "DSA PRIVATE KEY is not for TLS", "P-256", true},
		{"P-224", mint(nil, newKey("P-224"), nil, "a.test").keyPEM(), "P-224", "P-256", true},
		{"RSA 512", rsa512, "RSA key of 512 bits", "P-256", true},
		{"DER", string(m.cert.Raw), "is binary, not PEM", "openssl x509 -inform der", false},
		{"UTF-16", "\xff\xfe-\x00-\x00", "UTF-16", "iconv", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, f := parsePEM("a.pem", []byte(tt.text))
			if f == nil {
				t.Fatal("accepted")
			}
			if f.file != "a.pem" || f.warning || !strings.Contains(f.problem, tt.problem) || !strings.Contains(f.remedy, tt.remedy) || f.key != tt.key {
				t.Errorf("got %+v, want a problem with %q and a remedy with %q, key %v", *f, tt.problem, tt.remedy, tt.key)
			}
		})
	}
}

const rsa512 = `-----BEGIN RSA PRIVATE KEY-----
MIIBPAIBAAJBALW2fLST0KJjhg9nYj9MTqVRvpDmyXtZnFyqSFvwZXA+qIv/42UY
9sGaWgFG+Ye9G3/pUDCckAAXe8HK1i+Noz0CAwEAAQJAK59cfqlBm8pSo54JCvMR
qkRegEC3O8J+dAx5BIFIiNJKatOtXYvuSfOPYyJgASbwvIG9jfT0CjBs46edaXlh
DQIhANmNqmvie/SEaRIvpCO/WCFSlm/jh6qUgdTIQ6Omj9cXAiEA1dNb9L+gcdju
Bljjj5yC0jDMT0L3/3wkNLLNyD9/DMsCIQDSDfTUwhOJHigNRS6ozWGcmw9h7UDa
tRU+jDay1mnf9QIhAJRY2wdmm03hDuJgcSCFmU1yhYzIDX63Bfd5xcMUKnUZAiEA
lLhmomtGEIzzjKB/TNiFu4MpSFDocys2d6obanOx+lk=
-----END RSA PRIVATE KEY-----
`

// FuzzPEM: no text makes the reader panic or take in what encoding/pem would not; what is good stays good between text, in any order,
// with other line ends.
func FuzzPEM(f *testing.F) {
	ca := mintCA(nil, "root")
	m := mint(&ca, newKey(""), nil, "a.test")
	good := m.certPEM() + ca.certPEM() + m.keyPEM()
	for _, s := range []string{good, m.keyPEM() + dhParams + bom + m.certPEM(), strings.ReplaceAll(good, "\n", "\r\n"),
		strings.ReplaceAll(good, "-----\n-----", "----------"), good[:len(good)/2], rsa512, "# " + good, "-----BEGIN -----\n-----END -----", "", "\xff\xfe",
		"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n", "-----BEGIN A-----\n-----BEGIN A-----\n-----END A-----\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		p, fl := parsePEM("a.pem", b)
		if !bytes.Equal(b, before) {
			t.Fatal("the input was changed")
		}
		if fl != nil {
			if len(p.certs)+len(p.keys) > 0 || fl.problem == "" || fl.remedy == "" || strings.Contains(fl.problem, "line 0") {
				t.Fatalf("refused with %d certificates, %d keys, %+v", len(p.certs), len(p.keys), *fl)
			}
			return
		}
		if pairs, bad := pair("a.pem", p.certs, p.keys); len(pairs) == 0 && bad.refused() == nil {
			t.Fatal("no pair and no reason")
		}
		// More text before it changes nothing, except that the first line may not hide a block any more.
		q, fl := parsePEM("a.pem", append([]byte(m.certPEM()), b...))
		if fl != nil {
			if bytes.HasPrefix(b, []byte("\x30")) {
				return
			}
			t.Fatalf("good alone, refused after a certificate: %v", fl)
		}
		if len(q.certs) != len(p.certs)+1 || len(q.keys) != len(p.keys) {
			t.Fatalf("%d certificates and %d keys, after one more certificate %d and %d", len(p.certs), len(p.keys), len(q.certs), len(q.keys))
		}
		// Everything encoding/pem finds in text with line ends is found.
		var want []string
		for rest := b; ; {
			var block *pem.Block
			if block, rest = pem.Decode(rest); block == nil {
				break
			}
			if strings.HasSuffix(block.Type, "CERTIFICATE") {
				want = append(want, string(block.Bytes))
			}
		}
		for _, der := range want {
			if !slices.ContainsFunc(p.certs, func(c *x509.Certificate) bool { return strings.HasPrefix(der, string(c.Raw)) }) {
				t.Fatal("encoding/pem finds a certificate that was passed over")
			}
		}
	})
}
