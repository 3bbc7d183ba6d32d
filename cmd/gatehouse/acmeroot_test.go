//go:build linux

package main

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gatehouse/tlsconf/acmetest"
)

// ofItsOwn tells the test's program that it is the one in a network of its own.
const ofItsOwn = "GATEHOUSE_TEST_NETWORK"

// inOwnNetwork runs the test in a network of its own, where all addresses and ports are free and nobody else is, and reports whether this is
// the process there. The other one has only to wait and to pass on how it went.
func inOwnNetwork(t *testing.T) bool {
	t.Helper()
	if os.Getenv(ofItsOwn) == t.Name() {
		return true
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(program, "-test.run=^"+t.Name()+"$", "-test.v")
	c.Env = append(os.Environ(), ofItsOwn+"="+t.Name())
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	out, err := c.CombinedOutput()
	if err != nil && c.ProcessState == nil {
		missing(t, "no network of its own for the test: "+err.Error())
	}
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()+" ") {
		t.Errorf("%v:\n%s", err, out)
	}
	return false
}

// giveAddress gives an IPv4 address to the loopback interface of a network that is the test's own, and makes it work.
func giveAddress(t *testing.T, n int, address string) {
	t.Helper()
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(s)
	label := "lo"
	if n > 0 {
		label = fmt.Sprintf("lo:%d", n)
	}
	r, err := unix.NewIfreq(label)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.SetInet4Addr(net.ParseIP(address).To4()); err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlIfreq(s, unix.SIOCSIFADDR, r); err != nil {
		t.Fatal(err)
	}
	if r, err = unix.NewIfreq(label); err != nil {
		t.Fatal(err)
	}
	r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING | unix.IFF_LOOPBACK)
	if err := unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, r); err != nil {
		t.Fatal(err)
	}
}

// TestSingleAddressWithoutRoot is the guide's "accept=192.168.1.1:443" with "setuid": gatehouse is bound to one address of several and root no
// more. The certificate is issued and renewed by HTTP-01 alone, by TLS-ALPN-01 alone, and with both, and what is stored is the user's.
func TestSingleAddressWithoutRoot(t *testing.T) {
	a := asRoot(t)
	if !inOwnNetwork(t) {
		return
	}
	giveAddress(t, 0, "127.0.0.1")
	for i, x := range []struct{ name, address, ports, ways string }{
		{"HTTP-01", "192.168.1.1", "tls_port = 8443", "HTTP-01"},
		{"TLS-ALPN-01", "192.168.1.2", "http_port = 8080", "TLS-ALPN-01"},
		{"both", "192.168.1.3", "", "HTTP-01, TLS-ALPN-01"},
	} {
		giveAddress(t, i+1, x.address)
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			ca := acmetest.New(t, acmetest.Options{TLSPort: 443, HTTPPort: 80, Address: x.address, Profiles: map[string]uint64{"short": 30}})
			renewAfter(ca, 4*time.Second)
			dir := openDir(t)
			server := httptest.NewServer(http.HandlerFunc(fine))
			t.Cleanup(server.Close)
			at := func(name string) string { return filepath.Join(dir, name) }
			roots, err := os.ReadFile(ca.RootsFile)
			if err != nil {
				t.Fatal(err)
			}
			text := fmt.Sprintf(`
admin { socket = %q }
global {
  user      = %q
  group     = "%d"
  state_dir = %q
}
tls "auto" {
  acme {
    directory     = %q
    trusted_roots = %q
    profile       = "short"
    %s
  }
}
listen "www" {
  hosts = ["www.site.test"]
  bind "%s:443" { tls = tls.auto }
  bind "%[8]s:80" { redirect = "https" }
  server "app" %q {}
}
`, at("run/admin.sock"), nobody, a.GID, at("state"), ca.Directory, at("roots.pem"), x.ports, x.address, server.Listener.Addr().String())
			for name, b := range map[string][]byte{"roots.pem": roots, "gatehouse.hcl": []byte(text)} {
				if err := os.WriteFile(at(name), b, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			p := launch(t, dir, nil, "-c", "gatehouse.hcl")
			p.says("serving")
			seen := map[string]bool{}
			p.await("it was issued and renewed", func() bool {
				c, err := tls.Dial("tcp", net.JoinHostPort(x.address, "443"), ca.Client("www.site.test"))
				if err != nil {
					return false
				}
				defer c.Close()
				seen[c.ConnectionState().PeerCertificates[0].SerialNumber.Text(16)] = true
				return len(seen) > 1
			})
			if talk := p.talk(); strings.Contains(talk, "permission denied") || strings.Contains(talk, "warn\t") || strings.Contains(talk, "error\t") {
				t.Error("not all is well")
			}
			out, err := exec.Command("gatehouse", "cert", "list", "--socket", at("run/admin.sock")).CombinedOutput()
			if err != nil || !strings.Contains(string(out), " "+x.ways+"  ") {
				t.Errorf("%v:\n%s", err, out)
			}
			status, err := readStatus(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
			if want := fmt.Sprintf("%d\t%[1]d\t%[1]d\t%[1]d", a.UID); err != nil || status["Uid"] != want || status["CapEff"] != "0000000000000000" {
				t.Errorf("%v: user %q, capabilities %q", err, status["Uid"], status["CapEff"])
			}
			keys, _ := filepath.Glob(at("state/certificates/*/www.site.test/www.site.test.key"))
			if len(keys) != 1 {
				t.Fatalf("%v", keys)
			}
			if i, err := os.Stat(keys[0]); err != nil || ownerOf(i) != a.UID || i.Mode().Perm() != 0o600 {
				t.Errorf("%v: %v", err, i)
			}
		})
	}
}
