package tlsconf

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"gatehouse/tlsconf/acmetest"
)

func ino(t *testing.T, path string) os.FileInfo {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// leafIn reads the certificate in a file, which must have its key in keyFile.
func leafIn(t *testing.T, certFile, keyFile string) *x509.Certificate {
	t.Helper()
	c, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	return c.Leaf
}

// settled waits until something is so, by real time.
func settled(t *testing.T, what string, is func() bool) {
	t.Helper()
	limit := time.NewTimer(20 * time.Second)
	defer limit.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-limit.C:
			t.Fatalf("%s: not so", what)
		case <-tick.C:
		}
	}
}

// TestExports: written when the block is in charge, and again when the certificate is another one; then, and only then, a program is told.
func TestExports(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	file := mint(nil, newKey(""), nil, "*.a.test", "mail.test").write(t, dir, "site.pem")
	script := write(t, dir, "tell", "#!/bin/sh\necho told >> "+at("told")+"\n")
	if err := os.Chmod(script, 0o700); err != nil {
		t.Fatal(err)
	}
	told := func() int {
		b, _ := os.ReadFile(at("told"))
		return strings.Count(string(b), "told")
	}
	split, both, other := &Export{Path: at("split"), Reload: []string{script}}, &Export{Path: at("both"), Format: CombinedPEM}, &Export{Path: at("other"), Hosts: []string{"x.test"}}
	certs, err := New(t.Context(), &Config{Name: "site", Certificate: file, Exports: []*Export{split, both, other}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer certs.Close()
	if _, err := os.Stat(at("both")); err == nil {
		t.Error("written before the block is in charge")
	}
	certs.Manage(Reach{})
	certs.Manage(Reach{})
	settled(t, "written and told", func() bool { _, err := os.Stat(at("both/wildcard_.a.test.pem")); return err == nil && told() == 1 })
	first := leafIn(t, at("split/wildcard_.a.test.crt"), at("split/wildcard_.a.test.key"))
	if c := leafIn(t, at("both/wildcard_.a.test.pem"), at("both/wildcard_.a.test.pem")); !c.Equal(first) {
		t.Error("two certificates")
	}
	for name, mode := range map[string]os.FileMode{"split/wildcard_.a.test.crt": 0o644, "split/wildcard_.a.test.key": 0o600, "both/wildcard_.a.test.pem": 0o600} {
		if got := ino(t, at(name)).Mode(); got != mode {
			t.Errorf("%s has mode %v", name, got)
		}
	}
	if _, err := os.Stat(at("other")); err == nil {
		t.Error("a directory without anything to write to it")
	}
	if err := os.Chmod(at("both/wildcard_.a.test.pem"), 0o660); err != nil {
		t.Fatal(err)
	}
	mint(nil, newKey("RSA"), nil, "*.a.test", "mail.test").write(t, dir, "site.pem")
	settled(t, "written anew", func() bool { return told() == 2 })
	settled(t, "written anew", func() bool {
		c, err := tls.LoadX509KeyPair(at("both/wildcard_.a.test.pem"), at("both/wildcard_.a.test.pem"))
		return err == nil && !c.Leaf.Equal(first)
	})
	if got := ino(t, at("both/wildcard_.a.test.pem")).Mode(); got != 0o660 {
		t.Errorf("the mode somebody has set has become %v", got)
	}
	for _, d := range []string{"split", "both"} {
		if list, _ := filepath.Glob(at(d + "/.gatehouse-*")); len(list) > 0 {
			t.Errorf("left behind: %v", list)
		}
	}
}

// TestExportFails: it says why, serves on, and tries again less and less often.
func TestExportFails(t *testing.T) {
	dir := t.TempDir()
	file := mint(nil, newKey(""), nil, "a.test").write(t, dir, "site.pem")
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.ErrorLevel)
		certs, err := New(t.Context(), &Config{Name: "site", Certificate: file, Watch: still,
			Exports: []*Export{{Path: filepath.Join(dir, "not", "there")}}}, zap.New(core))
		if err != nil {
			t.Fatal(err)
		}
		defer certs.Close()
		certs.Manage(Reach{})
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if n := logs.Len(); n != 4 { // at once, after 1, 3 and 7 minutes
			t.Errorf("%d attempts in ten minutes", n)
		}
		if got := fmt.Sprint(logs.All()[0].ContextMap()["error"]); !strings.Contains(got, "no such file") {
			t.Error(got)
		}
		if err := os.Mkdir(filepath.Join(dir, "not"), 0o700); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if _, err := os.Stat(filepath.Join(dir, "not", "there", "a.test.key")); err != nil || logs.Len() != 4 {
			t.Errorf("%v after %d complaints", err, logs.Len())
		}
	})
}

// TestExportTells: what a program has written when it fails, where it is looked for, and that it is told again.
func TestExportTells(t *testing.T) {
	j := &exportJob{Export: &Export{Reload: []string{"sh", "-c", "echo it is so; exit 3"}}}
	if err := j.tell(t.Context()); err == nil || !strings.HasSuffix(err.Error(), "/sh: exit status 3: it is so") {
		t.Error(err)
	}
	j.Reload = []string{"there-is-no-such-program"}
	if err := j.tell(t.Context()); err == nil || !strings.Contains(err.Error(), "not found") {
		t.Error(err)
	}
	j.Reload, j.Timeout = []string{"sleep", "60"}, 50*time.Millisecond
	if err := j.tell(t.Context()); err == nil || !strings.Contains(err.Error(), "not done within 50ms") {
		t.Error(err)
	}
}

// TestExportWaitsForTheCA: what only stands in for a certificate goes to nobody.
func TestExportWaitsForTheCA(t *testing.T) {
	r := newACMERig(t, acmetest.Options{})
	r.ca.SetDown(true)
	dir := filepath.Join(t.TempDir(), "out")
	c := r.block("a.test")
	c.Exports = []*Export{{Path: dir, Format: CombinedPEM}}
	certs := r.serve(c)
	r.await("a failure", func() bool { return r.of("a.test").Last != nil })
	if _, err := os.Stat(dir); err == nil {
		t.Error("a certificate of the internal CA was exported")
	}
	if _, _, err := certs.PEM("a.test"); err == nil || !strings.Contains(err.Error(), "has been obtained yet") {
		t.Error(err)
	}
	r.ca.SetDown(false)
	if err := certs.Renew("a.test"); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "a.test.pem")
	r.await("an export", func() bool { _, err := os.Stat(file); return err == nil })
	if l := leafIn(t, file, file); !strings.Contains(l.Issuer.String(), "Pebble") {
		t.Error(l.Issuer)
	}
}

func TestWriteExport(t *testing.T) {
	m := mint(nil, newKey(""), nil, "a.test")
	chain, key := []byte(m.certPEM()), []byte(m.keyPEM())
	dir := t.TempDir()
	if l, err := WriteExport(dir, SplitPEM, "a.test", chain, key, -1); err != nil || len(l) != 2 {
		t.Fatal(l, err)
	}
	if l, err := WriteExport(dir, SplitPEM, "a.test", chain, key, -1); err != nil || len(l) != 0 {
		t.Errorf("the same again: %v %v", l, err)
	}
	file := filepath.Join(dir, "a.test.key")
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	if l, err := WriteExport(dir, SplitPEM, "a.test", chain, key, -1); err != nil || len(l) != 1 || ino(t, file).Mode() != 0o600 {
		t.Errorf("a key everybody may read: %v %v %v", l, err, ino(t, file).Mode())
	}
	write(t, dir, "a.test.pem", "my notes")
	if _, err := WriteExport(dir, CombinedPEM, "a.test", chain, key, -1); err == nil || !strings.Contains(err.Error(), "holds no PEM") {
		t.Errorf("in the place of a file of others: %v", err)
	}
	if _, err := WriteExport(dir, CombinedPEM, "b.test", chain, key, os.Getgid()); err != nil || ino(t, filepath.Join(dir, "b.test.pem")).Mode() != 0o640 {
		t.Errorf("for a group: %v", err)
	}
}

func TestExportCheck(t *testing.T) {
	dir := t.TempDir()
	file := write(t, dir, "file", "")
	for want, e := range map[string]*Export{
		"":                         {Path: dir, Hosts: []string{"a.test"}, Reload: []string{"systemctl", "reload", "x"}, Timeout: time.Minute},
		"without a directory":      {},
		"is not a directory":       {Path: file},
		`host "a b"`:               {Path: dir, Hosts: []string{"a b"}},
		"nor an absolute path":     {Path: dir, Reload: []string{"bin/x"}},
		"timeout is less than a s": {Path: dir, Timeout: time.Millisecond},
	} {
		var got []string
		e.Check(func(_ any, problem, _ string) { got = append(got, problem) })
		if text := strings.Join(got, "; "); want == "" && text != "" || !strings.Contains(text, want) {
			t.Errorf("%q, want %q", text, want)
		}
	}
	var got []string
	(&Export{Path: dir, Group: "no such group", Reload: []string{"there-is-no-such-program"}}).Advise(func(_ any, problem, _ string) { got = append(got, problem) })
	if len(got) != 2 || !strings.Contains(got[0], `group "no such group"`) || !strings.Contains(got[1], "not found") {
		t.Error(got)
	}
	if g, err := user.LookupGroupId("0"); err == nil {
		if n, err := (&Export{Group: g.Name}).gid(); n != 0 || err != nil {
			t.Error(n, err)
		}
	}
}
