package tlsconf

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
)

// layouts are the shapes in which other programs leave certificates: where the two texts of a fuzz target and a good certificate of another site
// stand in them.
var layouts = []struct{ first, second, good string }{
	{"live/x.test/fullchain.pem", "live/x.test/privkey.pem", "live/good.test/fullchain.pem"},                                                     // certbot
	{"certificates/ca-directory/x.test/x.test.crt", "certificates/ca-directory/x.test/x.test.key", "certificates/other/good.test/good.test.crt"}, // Caddy
	{"x.test", "acme_account+key", "good.test"}, // autocert
	{"x.pem", "y.pem", "good.pem"},              // stunnel, HAProxy
}

// FuzzFindCertificates: whatever lies in a directory of another program, it is only read; what is found can be imported, what cannot has a reason;
// and a good certificate of another site is always found.
func FuzzFindCertificates(f *testing.F) {
	ca := mintCA(nil, "root")
	m, twin := mint(&ca, newKey(""), nil, "x.test"), mint(&ca, newKey("RSA"), nil, "x.test", "www.x.test")
	for i := range layouts {
		kind := byte(i)
		f.Add(kind, []byte(m.certPEM()+ca.certPEM()), []byte(m.keyPEM()))
		f.Add(kind, []byte(m.keyPEM()+m.certPEM()), []byte(twin.keyPEM()+twin.certPEM()))
		f.Add(kind, []byte(m.certPEM()), []byte(twin.keyPEM()))
		f.Add(kind, []byte(ca.certPEM()), []byte(""))
		f.Add(kind, []byte(m.certPEM()[:200]), []byte(m.keyPEM()[:60]))
		f.Add(kind, []byte("-----BEGIN CERTIFICATE-----\n"), []byte("\xff\xfe"))
	}
	good := mint(nil, newKey(""), nil, "good.test")
	f.Fuzz(func(t *testing.T, kind byte, first, second []byte) {
		l := layouts[int(kind)%len(layouts)]
		files := map[string]string{l.first: string(first), l.second: string(second), l.good: good.keyPEM() + good.certPEM()}
		for name, text := range files {
			if strings.HasPrefix(text, "-> ") {
				t.Skip("plant would make a link")
			}
			if name != l.good && (strings.Contains(text, string(good.certPEM())) || strings.Contains(text, "good.test")) {
				t.Skip("another one for the same name")
			}
		}
		dir := plant(t, files)
		list, err := FindCertificates(dir)
		if err != nil {
			t.Fatal(err)
		}
		seen := false
		for _, x := range list {
			if (x.Problem == "") != (len(x.PEM) > 0) {
				t.Fatalf("%s: problem %q and %d bytes", x.File, x.Problem, len(x.PEM))
			}
			if x.Problem != "" {
				continue
			}
			c, err := importable(x.PEM, time.Now())
			if err != nil || !slices.Equal(namesOf(c.Leaf), x.Names) {
				t.Fatalf("%s for %q was found, but cannot be imported: %v", x.File, x.Names, err)
			}
			seen = seen || c.Leaf.Equal(good.cert)
		}
		if !seen {
			t.Fatalf("the good certificate was not found among %d", len(list))
		}
		for name, text := range files {
			if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(b) != text {
				t.Fatalf("%s was changed", name)
			}
		}
	})
}

// FuzzStored: whatever lies in the storage under a name, it is a good certificate for that name with its key, or damaged; and what is damaged is set
// aside so that nothing is in the way of another one, without a byte of it being lost.
func FuzzStored(f *testing.F) {
	const issuer, name = "ca.test-directory", "x.test"
	m, other := mint(nil, newKey(""), nil, name), mint(nil, newKey(""), nil, "other.test")
	meta := `{"sans":["x.test"],"issuer_data":{"url":"https://ca.test/cert/1","ca":"https://ca.test/directory","account":"https://ca.test/acct/1"}}`
	for _, s := range [][3]string{
		{m.certPEM(), m.keyPEM(), meta}, {m.certPEM(), m.keyPEM(), "{"}, {m.certPEM(), m.keyPEM(), "null"}, {m.certPEM(), m.keyPEM(), `{"issuer_data":"x"}`},
		{m.certPEM(), other.keyPEM(), meta}, {other.certPEM(), other.keyPEM(), meta}, {m.certPEM()[:100], m.keyPEM(), meta}, {m.certPEM(), m.keyPEM()[:100], meta}, {"", "", ""},
	} {
		f.Add([]byte(s[0]), []byte(s[1]), []byte(s[2]))
	}
	f.Fuzz(func(t *testing.T, cert, key, meta []byte) {
		ctx := context.Background()
		s := &certmagic.FileStorage{Path: t.TempDir()}
		texts := map[string][]byte{
			certmagic.StorageKeys.SiteCert(issuer, name): cert, certmagic.StorageKeys.SitePrivateKey(issuer, name): key, certmagic.StorageKeys.SiteMeta(issuer, name): meta,
		}
		for at, text := range texts {
			if err := s.Store(ctx, at, text); err != nil {
				t.Fatal(err)
			}
		}
		have, err := loadStored(ctx, s, []string{issuer}, name)
		switch {
		case err == nil:
			if have.issuer != issuer || have.cert.Leaf.VerifyHostname(name) != nil || have.cert.PrivateKey == nil {
				t.Fatalf("a certificate for %q was taken for one for %s", namesOf(have.cert.Leaf), name)
			}
			k := &Keeper{storage: s}
			before := slices.Sorted(maps.Keys(texts))
			if err := k.disown(ctx, &policy{k: k, c: &ACME{}, issuers: []string{issuer}}, issuer, name); err != nil {
				return // metadata of another shape: nothing was written
			}
			if again, err := loadStored(ctx, s, []string{issuer}, name); err != nil || !again.cert.Leaf.Equal(have.cert.Leaf) {
				t.Fatalf("%v are not what they were: %v", before, err)
			}
		case errors.Is(err, errDamaged):
			if err := setAside(ctx, s, []string{issuer}, name); err != nil {
				t.Fatal(err)
			}
			if _, err := loadStored(ctx, s, []string{issuer}, name); !errors.Is(err, fs.ErrNotExist) {
				t.Fatalf("after it was set aside: %v", err)
			}
			for at, text := range texts {
				if b, err := s.Load(ctx, at+".damaged"); err != nil || !bytes.Equal(b, text) {
					t.Fatalf("%s was not kept: %v", at, err)
				}
			}
		default:
			t.Fatalf("neither good nor damaged: %v", err)
		}
	})
}
