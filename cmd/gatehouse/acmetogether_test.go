//go:build linux

package main

import (
	"crypto/tls"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatehouse/tlsconf/acmetest"
)

// TestTwoProcessesOnOneStorage: two gatehouses with one state directory. One obtains a certificate and both serve it; whichever renews it, the
// other one serves the new one too. The CA comes to the first alone, which answers for both.
func TestTwoProcessesOnOneStorage(t *testing.T) {
	t.Parallel()
	s := newCertSite(t, acmetest.Options{Profiles: map[string]uint64{"minutes": 120}}, "", "www.site.test") // which is looked after every two seconds
	renewAfter(s.ca, 90*time.Second)
	ports := freePorts(t, 2)
	text, err := os.ReadFile(filepath.Join(s.dir, "gatehouse.hcl"))
	if err != nil {
		t.Fatal(err)
	}
	second := strings.NewReplacer("admin.sock", "second.sock", strconv.Itoa(s.plain), strconv.Itoa(ports[0]), strconv.Itoa(s.safe), strconv.Itoa(ports[1])).Replace(string(text))
	if err := os.WriteFile(filepath.Join(s.dir, "second.hcl"), []byte(second), 0o600); err != nil {
		t.Fatal(err)
	}
	serial := func(port int) string {
		d := tls.Dialer{NetDialer: &net.Dialer{Timeout: patience}, Config: s.ca.Client("www.site.test")}
		c, err := d.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			return ""
		}
		defer c.Close()
		return c.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.Text(16)
	}
	p := launch(t, s.dir, nil)
	p.says("serving")
	o := launch(t, s.dir, nil, "-c", "second.hcl")
	o.says("serving")
	last := ""
	both := func(orders int) {
		t.Helper()
		p.await("both serve the same new certificate", func() bool {
			a, b := serial(s.safe), serial(ports[1])
			if a == "" || a != b || a == last {
				return false
			}
			last = a
			return true
		})
		if n := s.ca.Orders(); n != orders {
			t.Errorf("%d orders, want %d", n, orders)
		}
	}
	both(1)
	if out, talk, code := s.verb("cert", "renew", "www.site.test", "--force", "-c", "second.hcl"); code != 0 {
		t.Fatalf("%d %s%s", code, out, talk)
	}
	both(2)
	p.says("that another instance has obtained is taken from the storage")
	if out, talk, code := s.verb("cert", "renew", "www.site.test", "--force"); code != 0 {
		t.Fatalf("%d %s%s", code, out, talk)
	}
	both(3)
	o.says("that another instance has obtained is taken from the storage")
	for _, file := range []string{"gatehouse.hcl", "second.hcl"} {
		if out, _, _ := s.verb("cert", "list", "-c", file); !strings.Contains(out, "www.site.test  valid ") || strings.Contains(out, "failed") {
			t.Errorf("%s: %s", file, out)
		}
	}
}
