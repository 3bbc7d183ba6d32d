package tlsconf

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/tlsconf/acmetest"
)

// plant writes files with their directories below a new directory. A value that begins with "-> " is where a link leads.
func plant(t testing.TB, files map[string]string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		to, link := strings.CutPrefix(text, "-> ")
		err := error(nil)
		if link {
			err = os.Symlink(to, path)
		} else {
			err = os.WriteFile(path, []byte(text), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func older(c *x509.Certificate) { c.NotBefore = c.NotBefore.Add(-24 * time.Hour) }

// TestFindCertificates: in the shapes that other programs leave them in.
func TestFindCertificates(t *testing.T) {
	ca := mintCA(nil, "root")
	one, two := mint(&ca, newKey(""), nil, "a.test"), mint(&ca, newKey(""), nil, "b.test", "www.b.test")
	old, twin := mint(&ca, newKey(""), older, "a.test"), mint(&ca, newKey("RSA"), nil, "a.test")
	ended := mint(&ca, newKey(""), func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }, "old.test")
	staging := mintCA(nil, "(STAGING) Counterfeit Cashew R10")
	fake := mint(&staging, newKey(""), nil, "fake.test")
	local := mintCA(nil, "Caddy Local Authority - ECC Intermediate")
	home := mint(&local, newKey(""), nil, "home.test")
	account := newKey("")
	chain := ca.certPEM()
	for name, c := range map[string]struct {
		files map[string]string
		path  string            // below the directory
		want  map[string]string // the names found, and what is wrong with them
	}{
		"certbot": {map[string]string{
			"live/a.test/fullchain.pem": "-> ../../archive/a.test/fullchain2.pem", "live/a.test/privkey.pem": "-> ../../archive/a.test/privkey2.pem",
			"live/a.test/cert.pem": "-> ../../archive/a.test/cert2.pem", "live/a.test/chain.pem": "-> ../../archive/a.test/chain2.pem", "live/README": "words",
			"archive/a.test/fullchain2.pem": one.certPEM() + chain, "archive/a.test/privkey2.pem": one.keyPEM(), "archive/a.test/cert2.pem": one.certPEM(),
			"archive/a.test/chain2.pem": chain, "archive/a.test/fullchain1.pem": old.certPEM() + chain, "archive/a.test/privkey1.pem": old.keyPEM(),
			"live/b.test/fullchain.pem": two.certPEM() + chain, "live/b.test/privkey.pem": two.keyPEM(), "accounts/x/private_key.json": "{}",
		}, ".", map[string]string{"a.test": "", "b.test www.b.test": ""}},
		"Caddy": {map[string]string{
			"certificates/acme-v02.api.letsencrypt.org-directory/a.test/a.test.crt": one.certPEM() + chain, "certificates/acme-v02.api.letsencrypt.org-directory/a.test/a.test.key": one.keyPEM(),
			"certificates/acme-v02.api.letsencrypt.org-directory/a.test/a.test.json": "{}", "certificates/local/home.test/home.test.crt": home.certPEM(),
			"certificates/local/home.test/home.test.key": home.keyPEM(), "acme/x/users/default/default.key": minted{nil, account}.keyPEM(),
			"pki/authorities/local/root.crt": ca.certPEM(), "pki/authorities/local/root.key": ca.keyPEM(),
		}, ".", map[string]string{"a.test": "", "home.test": "Caddy's own local CA"}},
		"autocert": {map[string]string{"a.test": one.keyPEM() + one.certPEM() + chain, "a.test+rsa": twin.keyPEM() + twin.certPEM() + chain,
			"acme_account+key": minted{nil, account}.keyPEM(), "b.test+token": "x"}, ".", map[string]string{"a.test": ""}},
		"combined":         {map[string]string{"stunnel.pem": two.certPEM() + chain + two.keyPEM()}, "stunnel.pem", map[string]string{"b.test www.b.test": ""}},
		"key beside":       {map[string]string{"site.crt": one.certPEM(), "site.key": one.keyPEM(), "other.pem": two.certPEM() + two.keyPEM()}, "site.crt", map[string]string{"a.test": ""}},
		"no key":           {map[string]string{"site.crt": one.certPEM(), "other.key": two.keyPEM()}, "site.crt", map[string]string{"a.test": "does not belong"}},
		"damaged":          {map[string]string{"x.pem": "-----BEGIN CERTIFICATE-----\nAAAA"}, ".", map[string]string{"": "line 1: the block is cut short"}},
		"no PEM":           {map[string]string{"x.pem": "words"}, "x.pem", map[string]string{"": "no certificate inside"}},
		"not for clients":  {map[string]string{"x.pem": ended.certPEM() + ended.keyPEM(), "y.pem": fake.certPEM() + fake.keyPEM()}, ".", map[string]string{"old.test": "it expired on", "fake.test": "CA for tests"}},
		"nothing but text": {map[string]string{"README": "words", "deep/down/x": ""}, ".", map[string]string{}},
	} {
		t.Run(name, func(t *testing.T) {
			list, err := FindCertificates(filepath.Join(plant(t, c.files), c.path))
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]string{}
			for _, f := range list {
				names := strings.Join(f.Names, " ")
				got[names] = f.Problem
				if (f.Problem == "") != (f.PEM != nil) {
					t.Errorf("%s: problem %q and %d bytes", f.File, f.Problem, len(f.PEM))
				}
				if names == "a.test" && f.cert != nil && !f.cert.Leaf.Equal(one.cert) {
					t.Errorf("%s is not the newest with a key that is not RSA", f.File)
				}
				if names == "a.test" && c.files["site.crt"] == "" && len(f.cert.Certificate) != 2 {
					t.Errorf("%s has no chain", f.File)
				}
			}
			if !slices.Equal(slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(c.want))) || len(list) != len(c.want) {
				t.Fatalf("found %q, want %q", got, c.want)
			}
			for names, problem := range c.want {
				if !strings.Contains(got[names], problem) || problem == "" && got[names] != "" {
					t.Errorf("%s: %q, want %q", names, got[names], problem)
				}
			}
		})
	}
	if _, err := FindCertificates(filepath.Join(t.TempDir(), "nowhere")); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// TestImport: what is stored, and what is refused.
func TestImport(t *testing.T) {
	dir, ctx := t.TempDir(), context.Background()
	blocks := []*Config{{Name: "files", Certificate: "x.pem", Hosts: []string{"a.test"}}, {Name: "auto", Hosts: []string{"A.test.", "b.test", "www.b.test", "x.c.test"}, ACME: &ACME{}}}
	text := func(m minted) []byte { return []byte(m.keyPEM() + m.certPEM()) }
	one := mint(nil, newKey(""), nil, "a.test")
	ends := func(d time.Duration) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.NotAfter = time.Now().Add(d) }
	}
	short := mint(nil, newKey(""), ends(time.Hour), "a.test")

	d, err := Import(ctx, dir, blocks, text(one), false)
	if err != nil || d.Block != "auto" || !d.Managed || d.Known {
		t.Fatalf("%+v %v", d, err)
	}
	if info, err := os.Stat(d.File); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info, err)
	}
	if d, err = Import(ctx, dir, blocks, text(one), false); err != nil || !d.Known {
		t.Errorf("the same again: %+v %v", d, err)
	}
	if _, err = Import(ctx, dir, blocks, text(short), false); err == nil || !strings.Contains(err.Error(), "the one there is ends later") {
		t.Errorf("a shorter one: %v", err)
	}
	if d, err = Import(ctx, dir, blocks, text(short), true); err != nil || d.Known {
		t.Errorf("by force: %+v %v", d, err)
	}
	chain, key, err := StoredPEM(ctx, dir, blocks[1], "A.TEST")
	if p, f := parsePEM("", slices.Concat(chain, key)); err != nil || f != nil || len(p.certs) != 1 || !p.certs[0].Equal(short.cert) || len(p.keys) != 1 {
		t.Errorf("stored: %v %v", err, f)
	}

	for _, names := range [][]string{{"b.test", "www.b.test", "other.test"}, {"*.c.test"}} {
		d, err = Import(ctx, dir, blocks, text(mint(nil, newKey("RSA"), nil, names...)), false)
		if err != nil || d.Managed || filepath.Dir(d.File) != filepath.Join(dir, "imported") {
			t.Errorf("%v: %+v %v", names, d, err)
		}
	}
	if got := len(readImported(dir, []string{"www.b.test"}, time.Now(), nil)); got != 1 {
		t.Errorf("%d imported certificates for www.b.test", got)
	}
	if got := len(readImported(dir, []string{"y.test", "c.test"}, time.Now(), nil)); got != 0 {
		t.Errorf("%d imported certificates for strangers", got)
	}

	for want, m := range map[string]minted{
		"no tls block obtains certificates by ACME for z.test": mint(nil, newKey(""), nil, "z.test"),
		"it expired on":                 mint(nil, newKey(""), ends(-time.Minute), "b.test"),
		"it is the certificate of a CA": mint(nil, newKey(""), func(c *x509.Certificate) { c.IsCA = true }, "b.test"),
		"it names no host":              mint(nil, newKey(""), func(c *x509.Certificate) { c.Subject = pkix.Name{Organization: []string{"x"}} }),
	} {
		if _, err := Import(ctx, dir, blocks, text(m), true); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if _, err := Import(ctx, dir, blocks, []byte("words"), true); err == nil || !strings.Contains(err.Error(), "no certificate inside") {
		t.Error(err)
	}
}

// TestImportedServes: what is brought in to a machine at work is served at once; one for a single name keeps the CA from being asked, one for
// several is served until each name has its own.
func TestImportedServes(t *testing.T) {
	r := newACMERig(t, acmetest.Options{})
	r.ca.SetDown(true)
	certs := r.serve(r.block("one.test", "two.test", "three.test"))
	one, both := mint(nil, newKey(""), nil, "one.test"), mint(nil, newKey(""), nil, "two.test", "three.test")
	serial := func(host string) string {
		s, err := r.shake(host)
		if err != nil {
			return err.Error()
		}
		return s.PeerCertificates[0].SerialNumber.String()
	}
	for _, m := range []minted{one, both} {
		if d, err := certs.Import(context.Background(), []byte(m.keyPEM()+m.certPEM()), false); err != nil || d.Managed != (len(d.Names) == 1) {
			t.Fatalf("%+v %v", d, err)
		}
		for _, host := range m.cert.DNSNames {
			r.await(host+" is served what was brought in", func() bool { return serial(host) == m.cert.SerialNumber.String() })
		}
	}
	if _, err := certs.Import(context.Background(), []byte(mint(nil, newKey(""), nil, "z.test").certPEM()), false); err == nil {
		t.Error("a certificate without its key was brought in")
	}
	z := mint(nil, newKey(""), nil, "z.test")
	if _, err := certs.Import(context.Background(), []byte(z.certPEM()+z.keyPEM()), false); !errors.Is(err, ErrOther) {
		t.Errorf("for a host of others: %v", err)
	}
	r.ca.SetDown(false)
	for _, host := range both.cert.DNSNames {
		r.await(host+" has its own", func() bool { return r.trusted(host) })
	}
	r.await("one.test rests", func() bool { return r.of("one.test").State == "valid" && r.of("one.test").Last == nil })
	if got := serial("one.test"); got != one.cert.SerialNumber.String() {
		t.Errorf("one.test is served %s", got)
	}
	if list := certs.List(); slices.ContainsFunc(list, func(s Status) bool { return strings.Contains(s.File, importedDir) }) {
		t.Error("what nobody needs any more is still there")
	}
}
