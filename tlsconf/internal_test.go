package tlsconf

import (
	"bytes"
	"crypto/tls"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

func TestInternal(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	c := &Config{Internal: true, Hosts: []string{"Shop.Test", "*.shop.test", "192.0.2.7"}, StateDir: dir}
	certs, logs := serveLogged(t, c)
	if n := logs.FilterLevelExact(zapcore.WarnLevel).Len(); n > 0 {
		t.Errorf("warns: %v", logs.All())
	}
	root := roots(t, certs.RootPEM())
	for _, host := range []string{"shop.test", "x.shop.test", "localhost"} {
		if _, err, _ := shake(t, certs.Config(), &tls.Config{RootCAs: root, ServerName: host}); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
	// By address: without a name in the hello, yet checked.
	for _, ip := range []string{"127.0.0.1", "::1", "192.0.2.7"} {
		if _, err, _ := shake(t, certs.Config(), &tls.Config{RootCAs: root, ServerName: ip}); err != nil {
			t.Errorf("%s: %v", ip, err)
		}
	}
	if _, err, _ := shake(t, certs.Config(), &tls.Config{RootCAs: root, ServerName: "other.test"}); err == nil || !strings.Contains(err.Error(), "unrecognized name") {
		t.Errorf("other.test: got %v", err)
	}
	l := certs.List()[0]
	if life := time.Until(l.NotAfter); life > leafLife || life < leafLife-time.Hour || l.Key != "ECDSA P-256" {
		t.Errorf("got %+v", l)
	}

	// On disk, and the same after a start; the certificate is new.
	stored, err := os.ReadFile(certs.RootFile())
	if err != nil || !bytes.Equal(stored, certs.RootPEM()) {
		t.Errorf("root file: %v, %q", err, stored)
	}
	for name, mode := range map[string]os.FileMode{"root.key": 0o600, "root.crt": 0o644, ".": 0o755} {
		info, err := os.Stat(filepath.Join(dir, caDir, name))
		if err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v, want %v", name, info.Mode(), err, mode)
		}
	}
	again := serve(t, c)
	if !bytes.Equal(again.RootPEM(), certs.RootPEM()) || again.List()[0].Fingerprint == l.Fingerprint {
		t.Error("a second start has another root, or the same certificate")
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) != 1 {
		t.Errorf("left behind: %q", left)
	}
	if a := again.ca.root; !a.IsCA || a.NotAfter.Before(time.Now().AddDate(rootYears, 0, -1)) {
		t.Errorf("root: CA %v until %v", a.IsCA, a.NotAfter)
	}
}

// TestInternalRace: of many starts at once, all serve under the one CA that is on disk afterwards.
func TestInternalRace(t *testing.T) {
	for range 10 {
		dir := t.TempDir()
		var wg sync.WaitGroup
		cas := make([]*authority, 8)
		for i := range cas {
			wg.Go(func() { cas[i] = openOrMakeAuthority(dir, time.Now(), zap.NewNop()) })
		}
		wg.Wait()
		want, err := os.ReadFile(filepath.Join(dir, caDir, rootCert))
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range cas {
			if !bytes.Equal(a.pem, want) || a.file == "" {
				t.Fatal("two roots")
			}
		}
		if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) != 1 {
			t.Errorf("left behind: %q", left)
		}
	}
}

// TestInternalInMemory: without a usable state directory sites are served all the same, files that are there stay, and the log says why.
func TestInternalInMemory(t *testing.T) {
	other := mintCA(nil, "other")
	for _, tt := range []struct {
		name    string
		prepare func(t *testing.T, dir string) string // returns StateDir
		want    string
	}{
		{"none", func(*testing.T, string) string { return "" }, "no state directory"},
		{"not a directory", func(t *testing.T, dir string) string { return write(t, dir, "file", "") }, "not a directory"},
		{"key lost", func(t *testing.T, dir string) string {
			os.Remove(filepath.Join(dir, caDir, rootKey))
			return dir
		}, "root.key: no such file"},
		{"key of another", func(t *testing.T, dir string) string {
			write(t, filepath.Join(dir, caDir), rootKey, other.keyPEM())
			return dir
		}, "does not belong"},
		{"half a root", func(t *testing.T, dir string) string {
			write(t, filepath.Join(dir, caDir), rootCert, other.certPEM()[:100])
			return dir
		}, "cut short"},
		{"no CA", func(t *testing.T, dir string) string {
			m := mint(nil, newKey(""), nil, "a.test")
			write(t, filepath.Join(dir, caDir), rootCert, m.certPEM())
			write(t, filepath.Join(dir, caDir), rootKey, m.keyPEM())
			return dir
		}, "not the certificate of a CA"},
		{"open key", func(t *testing.T, dir string) string {
			if err := os.Chmod(filepath.Join(dir, caDir, rootKey), 0o644); err != nil {
				t.Fatal(err)
			}
			return dir
		}, "every user of this machine"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			if _, err := storedAuthority(dir, time.Now()); err != nil {
				t.Fatal(err)
			}
			state := tt.prepare(t, dir)
			key, _ := os.ReadFile(filepath.Join(dir, caDir, rootKey))
			certs, logs := serveLogged(t, &Config{Internal: true, StateDir: state})
			warned := logs.FilterLevelExact(zapcore.WarnLevel).All()
			if len(warned) != 1 || !strings.Contains(warned[0].ContextMap()["error"].(string), tt.want) {
				t.Errorf("got %v, want a warning with %q", warned, tt.want)
			}
			if certs.RootFile() != "" {
				t.Errorf("root file %q", certs.RootFile())
			}
			if _, err, _ := shake(t, certs.Config(), &tls.Config{RootCAs: roots(t, certs.RootPEM()), ServerName: "localhost"}); err != nil {
				t.Error(err)
			}
			if after, _ := os.ReadFile(filepath.Join(dir, caDir, rootKey)); !bytes.Equal(key, after) {
				t.Error("the key on disk was overwritten")
			}
		})
	}
}

// TestInternalEmptied: an operator who empties the folder gets a new CA.
func TestInternalEmptied(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, caDir), 0o755); err != nil {
		t.Fatal(err)
	}
	if a, err := storedAuthority(dir, time.Now()); err != nil || a.file == "" {
		t.Errorf("got %v", err)
	}
}

// TestInternalRenewal: for months, each client finds a certificate with a third of its life before it, at least.
func TestInternalRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		certs := serve(t, &Config{Internal: true, StateDir: t.TempDir(), Hosts: []string{"a.test"}})
		client := &tls.Config{RootCAs: roots(t, certs.RootPEM()), ServerName: "a.test"}
		seen := map[[32]byte]bool{}
		for range 24 * 30 {
			cs, err, _ := shake(t, certs.Config(), client)
			if err != nil {
				t.Fatalf("%v: %v", time.Now(), err)
			}
			if left := time.Until(cs.PeerCertificates[0].NotAfter); left < leafLife/3-time.Second {
				t.Fatalf("%v left", left)
			}
			seen[certs.List()[0].Fingerprint] = true
			time.Sleep(4 * time.Hour)
		}
		if want := int(24*30*4*time.Hour/leafRenew) + 1; len(seen) < want-1 || len(seen) > want {
			t.Errorf("%d certificates, want about %d", len(seen), want)
		}
	})
}

// TestInternalOfAnotherTime: a root that is not valid yet, or any more, is of no use and stays where it is.
func TestInternalOfAnotherTime(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	if _, err := storedAuthority(dir, now); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		at   time.Time
		want string
	}{{now.AddDate(-20, 0, 0), "not valid before"}, {now.AddDate(20, 0, 0), "expired on"}} {
		if _, err := storedAuthority(dir, tt.at); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("got %v, want %q", err, tt.want)
		}
	}
	if _, err := storedAuthority(dir, now); err != nil {
		t.Error(err)
	}
	// In its last days it issues for no longer than it lives itself.
	a, err := storedAuthority(dir, now)
	if err != nil {
		t.Fatal(err)
	}
	late := a.root.NotAfter.Add(-time.Hour)
	leaf, err := a.issue([]string{"a.test", "::1"}, late)
	if err != nil || leaf.Leaf.NotAfter.After(a.root.NotAfter) {
		t.Errorf("got %v, %v", leaf.Leaf.NotAfter, err)
	}
	if got := leaf.Leaf.IPAddresses; len(got) != 1 || !got[0].Equal(net.IP(netip.IPv6Loopback().AsSlice())) {
		t.Errorf("addresses %v", got)
	}
}

// TestCAIsMadeWhereItBelongs: a link in the place of the directory in which the files are made leads root nowhere else.
func TestCAIsMadeWhereItBelongs(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	if err := os.Symlink(elsewhere, filepath.Join(dir, "internal-ca-1")); err != nil {
		t.Fatal(err)
	}
	if inside, err := openInside(dir, "internal-ca-1"); err == nil {
		inside.Close()
		t.Error("the link was followed")
	}
}
