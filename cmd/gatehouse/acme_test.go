//go:build linux

package main

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"gatehouse/tlsconf/acmetest"
)

// TestAutomaticSite is what a newcomer does: a host, a server, "gatehouse run", and https works. Here the CA is one of the test's own, and
// the browser is curl, which believes in that CA alone. After a restart without the CA nothing has changed.
func TestAutomaticSite(t *testing.T) {
	t.Parallel()
	curl, err := exec.LookPath("curl")
	if err != nil {
		missing(t, "curl is not installed")
	}
	_, port, _ := net.SplitHostPort(freeAddress(t))
	secure := net.JoinHostPort("127.0.0.1", port)
	_, plainPort, _ := net.SplitHostPort(freeAddress(t))
	plain := net.JoinHostPort("127.0.0.1", plainPort)
	number := func(s string) int { n, _ := strconv.Atoi(s); return n }
	ca := acmetest.New(t, acmetest.Options{TLSPort: number(port), HTTPPort: number(plainPort)})
	dir, _ := place(t, fmt.Sprintf(`
global { state_dir = "DIR/state" }
tls "auto" {
  acme {
    directory     = %q
    trusted_roots = %q
    http_port     = %s
    tls_port      = %s
  }
}
listen "www" {
  hosts = ["www.site.test"]
  bind %q { tls = tls.auto }
  bind %q { redirect = "https" }
  server "app" "SERVER" {}
}
`, ca.Directory, ca.RootsFile, plainPort, port, secure, plain), fine)
	roots := filepath.Join(t.TempDir(), "roots.pem")
	if err := os.WriteFile(roots, ca.RootPEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	get := func() string {
		out, _ := exec.Command(curl, "--silent", "--show-error", "--max-time", "10", "--cacert", roots, "--location",
			"--resolve", "www.site.test:"+port+":127.0.0.1", "https://www.site.test:"+port+"/").CombinedOutput()
		return string(out)
	}
	p := launch(t, dir, nil, "-c", "gatehouse.hcl")
	p.says("serving")
	p.await("curl is content", func() bool { return get() == "fine" })
	p.says("certificate obtained for www.site.test")
	if keys, _ := filepath.Glob(filepath.Join(dir, "state/certificates/*/www.site.test/www.site.test.key")); len(keys) != 1 {
		t.Errorf("%v", keys)
	} else if i, err := os.Stat(keys[0]); err != nil || i.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", i, err)
	}
	p.signal(syscall.SIGTERM)
	p.ends(0)

	ca.SetDown(true)
	p = launch(t, dir, nil, "-c", "gatehouse.hcl")
	p.says("serving")
	if got := get(); got != "fine" {
		t.Errorf("after a restart without the CA: %s", got)
	}
}

// TestPortsOfRootAndCertificates is the guide's setup: one address of several, ports that are root's, a process that is root's no more. The
// certificate comes all the same, and what is stored belongs to whom the process has become.
func TestPortsOfRootAndCertificates(t *testing.T) {
	a := asRoot(t)
	host, _, _ := net.SplitHostPort(freeAddress(t))
	ca := acmetest.New(t, acmetest.Options{TLSPort: 443, HTTPPort: 80, Address: host})
	dir := openDir(t)
	server := httptest.NewServer(http.HandlerFunc(fine))
	t.Cleanup(server.Close)
	roots := filepath.Join(dir, "roots.pem") // t.TempDir is root's alone
	text, err := os.ReadFile(ca.RootsFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(roots, text, 0o644); err != nil {
		t.Fatal(err)
	}
	text = fmt.Appendf(nil, `
global {
  user      = %q
  state_dir = %q
}
tls "auto" {
  acme {
    directory     = %q
    trusted_roots = %q
  }
}
listen "www" {
  hosts = ["www.site.test"]
  bind "%s:443" { tls = tls.auto }
  bind "%[5]s:80" { redirect = "https" }
  server "app" %q {}
}
`, nobody, filepath.Join(dir, "state"), ca.Directory, roots, host, server.Listener.Addr().String())
	if err := os.WriteFile(filepath.Join(dir, "gatehouse.hcl"), text, 0o644); err != nil {
		t.Fatal(err)
	}
	p := launch(t, dir, nil, "-c", "gatehouse.hcl")
	p.says("serving")
	p.await("a client is content", func() bool {
		c, err := tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", net.JoinHostPort(host, "443"), ca.Client("www.site.test"))
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	if strings.Contains(p.talk(), "permission denied") {
		t.Error("something was not permitted")
	}
	err = filepath.WalkDir(filepath.Join(dir, "state"), func(name string, _ os.DirEntry, err error) error {
		if err != nil {
			return nil // a lock that is gone
		}
		if info, err := os.Lstat(name); err == nil && ownerOf(info) != a.UID {
			t.Errorf("%s belongs to %d", name, ownerOf(info))
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// TestRefusedCertificateSaysWhy: the log has the CA's words and what they mean.
func TestRefusedCertificateSaysWhy(t *testing.T) {
	t.Parallel()
	address := freeAddress(t)
	_, port, _ := net.SplitHostPort(address)
	ca := acmetest.New(t, acmetest.Options{})
	ca.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/sign-me-up") {
			return false
		}
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusForbidden)
		json.NewEncoder(w).Encode(map[string]any{"type": "urn:ietf:params:acme:error:rateLimited", "status": 403, "detail": "too many registrations for this IP"})
		return true
	})
	dir, _ := place(t, fmt.Sprintf(`
global { state_dir = "DIR/state" }
tls "auto" {
  acme {
    directory     = %q
    trusted_roots = %q
    tls_port      = %s
  }
}
listen "www" {
  hosts = ["www.site.test"]
  bind %q { tls = tls.auto }
  server "app" "SERVER" {}
}
`, ca.Directory, ca.RootsFile, port, address), fine)
	p := launch(t, dir, nil, "-c", "gatehouse.hcl")
	p.says("no certificate obtained for www.site.test")
	for _, words := range []string{"has been asked too often", "too many registrations for this IP", "Serving the internal certificate; next try in"} {
		p.says(words)
	}
	c, err := tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", address, &tls.Config{ServerName: "www.site.test", InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	began := time.Now()
	p.signal(syscall.SIGTERM)
	p.ends(0)
	if d := time.Since(began); d > 10*time.Second {
		t.Errorf("the end took %v", d)
	}
}
