//go:build linux

package main

import (
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/tlsconf/acmetest"
)

const wildSiteText = `
global {
  state_dir  = "DIR/state"
  allow_exec = true
}
admin { socket = "admin.sock" }
tls "auto" {
  acme {
    directory     = %q
    trusted_roots = %q
    profile       = "default"
    dns %s
  }
}
listen "www" {
  hosts = ["*.site.test", "site.test"]
  bind "ADDRESS" { tls = tls.auto }
  server "app" "SERVER" {}
}
`

// TestWildcardsByDNS: a machine that no CA can come to gets certificates for a domain and all names below it, by a name server that takes updates
// and by a program that knows how to change records.
func TestWildcardsByDNS(t *testing.T) {
	t.Parallel()
	for kind, block := range map[string]func(ca *acmetest.CA, dir string) string{
		"rfc2136": func(ca *acmetest.CA, _ string) string {
			return fmt.Sprintf("\"rfc2136\" {\n server = %q\n key_name = %q\n key_secret = %q\n resolvers = [%[1]q]\n }", ca.DNS.Addr, acmetest.KeyName, acmetest.KeySecret)
		},
		"exec": func(ca *acmetest.CA, dir string) string {
			program := filepath.Join(dir, "record")
			script := "#!/bin/sh\ncd " + dir + "\necho \"$1 $2 $3\" >\"$1-$3.new\" && mv \"$1-$3.new\" \"$1-$3.call\"\nuntil [ -e \"$1-$3.done\" ]; do sleep 0.02; done\n"
			if err := os.WriteFile(program, []byte(script), 0o700); err != nil {
				t.Fatal(err)
			}
			return fmt.Sprintf("\"exec\" {\n command = [%q]\n resolvers = [%q]\n }", program, ca.DNS.Addr)
		},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			ca := acmetest.New(t, acmetest.Options{})
			tools, err := os.MkdirTemp("", "gate")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.RemoveAll(tools) })
			dir, address := place(t, fmt.Sprintf(wildSiteText, ca.Directory, ca.RootsFile, block(ca, tools)), fine)
			p := launch(t, dir, nil)
			p.says("serving")
			for _, host := range []string{"any.site.test", "site.test"} {
				p.await("a client of "+host+" is content", func() bool {
					changeRecords(t, ca, tools)
					c, err := tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", address, ca.Client(host))
					if err == nil {
						c.Close()
					}
					return err == nil
				})
			}
			s := &certSite{T: t, dir: dir}
			p.await("the list has both", func() bool {
				changeRecords(t, ca, tools)
				out, _, _ := s.verb("cert", "list")
				return strings.Count(out, " valid ") == 2 && strings.Contains(out, "*.site.test  valid ") && strings.Count(out, " DNS-01 ") == 2
			})
			if out, talk, code := s.verb("cert", "show", "any.site.test"); code != 0 || !strings.Contains(out, "names        *.site.test\n") {
				t.Errorf("%d %s%s", code, out, talk)
			}
			p.await("no record is left", func() bool { changeRecords(t, ca, tools); _, left := ca.DNS.Updates(); return left == 0 })
		})
	}
}

// changeRecords does what the program in dir was called for.
func changeRecords(t *testing.T, ca *acmetest.CA, dir string) {
	t.Helper()
	calls, err := filepath.Glob(filepath.Join(dir, "*.call"))
	if err != nil {
		t.Fatal(err)
	}
	for _, call := range calls {
		text, err := os.ReadFile(call)
		if err != nil {
			t.Fatal(err)
		}
		words := strings.Fields(string(text))
		if len(words) != 3 || !strings.HasSuffix(words[1], "_acme-challenge.site.test.") {
			t.Fatalf("the program was called with %q", words)
		}
		if words[0] == "present" {
			ca.DNS.SetTXT(words[1], words[2])
		} else {
			ca.DNS.RemoveTXT(words[1], words[2])
		}
		if err := os.Rename(call, strings.TrimSuffix(call, ".call")+".done"); err != nil {
			t.Fatal(err)
		}
	}
}
