package tlsconf

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestVerify: every mistake is found at its attribute, with a remedy.
func TestVerify(t *testing.T) {
	dir := t.TempDir()
	ca := mintCA(nil, "root")
	m, other := mint(&ca, newKey(""), nil, "a.test"), mint(&ca, newKey(""), nil, "b.test")
	old := mint(&ca, newKey(""), func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().Add(-48*time.Hour), time.Now().Add(-time.Hour)
	}, "a.test")
	good := m.write(t, dir, "good.pem")
	cert, key := write(t, dir, "site.crt", m.certPEM()), write(t, dir, "site.key", m.keyPEM())
	open := m.write(t, dir, "open.pem")
	openKey := write(t, dir, "open.key", m.keyPEM())
	publicCert := write(t, dir, "public.crt", m.certPEM())
	for _, p := range []string{open, openKey, publicCert} {
		if err := os.Chmod(p, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	pipe := filepath.Join(dir, "pipe.pem")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	sub := func(name string, files map[string]string) string {
		at := filepath.Join(dir, name)
		if err := os.Mkdir(at, 0o700); err != nil {
			t.Fatal(err)
		}
		for f, text := range files {
			write(t, at, f, text)
		}
		return at
	}
	certbot := sub("certbot", map[string]string{"cert.pem": m.certPEM(), "chain.pem": ca.certPEM(), "fullchain.pem": m.certPEM() + ca.certPEM(), "privkey.pem": m.keyPEM()})
	mixed := sub("mixed", map[string]string{"a.pem": m.certPEM() + m.keyPEM(), "b.pem": "", "c.pem": m.certPEM() + other.keyPEM()})
	empty := sub("empty", map[string]string{"a.crt": m.certPEM()})

	type want struct {
		field   string // certificate, key, internal, hosts, min_version, block
		problem string
		warning bool
	}
	for _, tt := range []struct {
		name string
		c    Config
		want []want
	}{
		{"combined", Config{Certificate: good}, nil},
		{"split", Config{Certificate: cert, Key: key}, nil},
		{"split, in other words", Config{Certificate: good, Key: good}, nil},
		{"public certificate, closed key", Config{Certificate: publicCert, Key: key}, nil},
		{"internal", Config{Internal: true, Hosts: []string{"a.test", "*.a.test", "192.0.2.1", "::1", "localhost"}}, nil},

		{"nothing", Config{}, []want{{"block", "neither certificate nor internal", false}}},
		{"both", Config{Certificate: good, Internal: true}, []want{{"internal", "both certificate and internal", false}}},
		{"key alone", Config{Key: key}, []want{{"key", "key is set without certificate", false}}},
		{"key alone, internal", Config{Key: key, Internal: true}, []want{{"key", "key is set without certificate", false}}},
		{"key and directory", Config{Certificate: mixed, Key: key}, []want{{"key", "certificate is a directory", false}}},
		{"missing", Config{Certificate: dir + "/none.pem"}, []want{{"certificate", "none.pem: no such file or directory", false}}},
		{"missing key", Config{Certificate: cert, Key: dir + "/none.key"}, []want{{"key", "none.key: no such file or directory", false}}},
		{"a pipe", Config{Certificate: pipe}, []want{{"certificate", "pipe.pem: is not a file", false}}},
		{"no key inside", Config{Certificate: cert}, []want{{"certificate", "site.crt: no private key inside", false}}},
		{"no certificate inside", Config{Certificate: key}, []want{{"certificate", "site.key: no certificate inside", false}}},
		{"key file without a key", Config{Certificate: cert, Key: cert}, []want{{"key", "site.crt: no private key inside", false}}},
		{"the wrong key", Config{Certificate: write(t, dir, "wrong.pem", m.certPEM()+other.keyPEM())}, []want{{"certificate", "wrong.pem: the private key does not belong to the certificate for a.test", false}}},
		{"the wrong key file", Config{Certificate: cert, Key: write(t, dir, "wrong.key", other.keyPEM())}, []want{{"key", "the private key does not belong to the certificate for a.test", false}}},
		{"open", Config{Certificate: open}, []want{{"certificate", "open.pem: every user of this machine may read the private key (mode 0644)", false}}},
		{"open key", Config{Certificate: cert, Key: openKey}, []want{{"key", "open.key: every user", false}}},
		{"open, allowed", Config{Certificate: open, AllowInsecurePermissions: true}, nil},
		{"open key, allowed", Config{Certificate: cert, Key: openKey, AllowInsecurePermissions: true}, nil},
		{"expired", Config{Certificate: old.write(t, dir, "old.pem")}, []want{{"certificate", "old.pem: the certificate for a.test expired on", true}}},
		{"certbot's folder", Config{Certificate: certbot}, []want{{"certificate", "cert.pem: no private key", false}, {"certificate", "chain.pem: no private key", false},
			{"certificate", "fullchain.pem: no private key", false}, {"certificate", "privkey.pem: no certificate", false}}},
		{"directory with bad files", Config{Certificate: mixed}, []want{{"certificate", "b.pem: no certificate inside", false}, {"certificate", "c.pem: the private key does not belong", false}}},
		{"empty directory", Config{Certificate: empty}, []want{{"certificate", "no file in this directory ends in .pem", false}}},
		{"huge", Config{Certificate: write(t, dir, "huge.pem", strings.Repeat("x", maxFile+1))}, []want{{"certificate", "larger than 1 MiB", false}}},
		{"hosts without internal", Config{Certificate: good, Hosts: []string{"a.test"}}, []want{{"hosts", "no effect", true}}},
		{"bad hosts", Config{Internal: true, Hosts: []string{"a.test", "a..test", "https://a.test"}}, []want{{"hosts", `host "a..test" has an empty label`, false}, {"hosts", "is a URL", false}}},
		{"modern and 1.2", Config{Internal: true, Profile: Modern, MinVersion: tls.VersionTLS12}, []want{{"min_version", "contradicts profile", false}}},
		{"modern and 1.3", Config{Internal: true, Profile: Modern, MinVersion: tls.VersionTLS13}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := &tt.c
			fields := map[string]any{"certificate": &c.Certificate, "key": &c.Key, "internal": &c.Internal, "hosts": &c.Hosts, "min_version": &c.MinVersion, "block": c}
			got := Verify(c)
			if len(got) != len(tt.want) {
				t.Fatalf("got %+v, want %d problems", got, len(tt.want))
			}
			for i, p := range got {
				w := tt.want[i]
				if p.Field != fields[w.field] || !strings.Contains(p.Problem, w.problem) || p.Warning != w.warning || p.Remedy == "" {
					t.Errorf("got %+v, want %+v", p, w)
				}
			}
		})
	}
}

// TestVerifyUnreadable: root may read everything, so this needs another user.
func TestVerifyUnreadable(t *testing.T) {
	path := mint(nil, newKey(""), nil, "a.test").write(t, t.TempDir(), "a.pem")
	if err := os.Chmod(path, 0); err != nil {
		t.Fatal(err)
	}
	if f, err := os.Open(path); err == nil {
		f.Close()
		t.Skip("this user may read files of mode 0: the refusal was not tested")
	}
	got := Verify(&Config{Certificate: path})
	if len(got) != 1 || !strings.Contains(got[0].Problem, "a.pem: permission denied") || !strings.Contains(got[0].Remedy, "chgrp") {
		t.Errorf("got %+v", got)
	}
}

func TestHostFault(t *testing.T) {
	long := strings.Repeat("a", 63)
	for host, want := range map[string]string{
		"a.test": "", "A.Test": "", "localhost": "", "*.a.test": "", "xn--bcher-kva.test": "", "a_b.test": "", "1.a.test": "", "192.0.2.1": "", "2001:db8::1": "",
		long + ".test": "",
		"":             "is empty", "*": "*", "a.*.test": "*", "*a.test": "*", "a.test.": "dot", ".test": "empty label", "a..test": "empty label",
		"-a.test": "hyphen", "a-.test": "hyphen", "bücher.test": "xn--", "a b": "character", "a/b": "character", "a.test:443": "port",
		"https://a.test/": "URL", "1.2.3": "IP address", "1.2.3.999": "IP address", long + "a.test": "63", strings.Repeat(long+".", 4) + "test": "253",
	} {
		if got := hostFault(host); (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%q: got %q, want %q", host, got, want)
		}
	}
}
