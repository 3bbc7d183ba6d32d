package convert

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/backend/h1"
	"gatehouse/backend/loop"
	"gatehouse/cmd/gatehouse/config"
	"gatehouse/frontend"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const examplesDir = "../../../examples"

// piles are the old configurations that one of ours replaces, by its name.
var piles = []struct {
	hcl  string
	kind Kind
	name string
}{
	{"gatehouse.hcl", Stunnel, "stunnel.conf"}, {"gatehouse.hcl", Apache, "apache.conf"}, {"gatehouse.hcl", HAProxy, "haproxy.cfg"},
	{"gatehouse.hcl", HAProxy, "haproxy-checks.cfg"}, {"gatehouse.hcl", HAProxy, "OP1.cfg"}, {"SD1.hcl", HAProxy, "SD1.cfg"}, {"S1.hcl", HAProxy, "S1.cfg"},
}

// asked makes checks ask for the page they ask for in the old files, where they are not to reach the tier behind, and takes away what
// the three tiers of the guide's last section say of one another: the old files could not.
func asked(want *config.File) {
	for _, b := range want.Backends {
		for _, c := range b.Checks {
			c.Request = strings.Replace(c.Request, "/alive", "/", 1)
		}
		for _, s := range b.Servers {
			for _, c := range s.Checks {
				c.Request = strings.Replace(c.Request, "/alive", "/", 1)
			}
		}
		b.Forwardfor = nil
	}
	for _, f := range want.Frontends {
		f.Monitor = nil
	}
}

// differences are what a folder's own configuration says beyond the old one, with the reason.
var differences = map[string]func(want *config.File){
	// The process is another one, and so is its number's file. A section without a name has that of its port.
	"4.2.1-check-relay": func(want *config.File) {
		want.Frontends[0].Name, want.Frontends[0].Backend = "tcp-81", "tcp-81"
		want.Backends[0].Name, want.Backends[0].Servers[0].Name = "tcp-81", "dispatch"
	},
	"5-multi-site":         asked,
	"5-multi-site/SD1.hcl": asked,
	"5-multi-site/S1.hcl": func(want *config.File) {
		asked(want)
		want.Backends[1].Servers[0].Name = "dispatch"
	},
	// A stunnel may go on feeding port 80 there while it is being replaced. In the conversion it is gone.
	"3.1-stunnel": func(want *config.File) { want.Backends[0].Forwardfor = nil },
	// Two machines share the address there, and keepalived looks at a monitor: the old file had neither.
	"2-cookie-prefix": func(want *config.File) {
		f := want.Frontends[0]
		f.Monitor = nil
		f.Binds = slices.DeleteFunc(f.Binds, func(b *frontend.Bind) bool { return b.Address.Addr().IsLoopback() })
		f.Binds[0].Freebind = false
	},
	// HAProxy's one timeout for connecting and waiting is two there, as it should be.
	"7-high-load": func(want *config.File) {
		want.Backends[0].Timeouts = &h1.Timeouts{Connect: time.Minute}
	},
}

// renewed are folders whose configuration is another way to the old one's end.
var renewed = map[string]bool{
	"4.2.2-drain-command": true, // a command in place of second ports
	"automatic-https":     true, // certificates that come by themselves in place of a file
}

// inputsOf returns the old configurations of a folder that make one pile.
func inputsOf(t *testing.T, folder, hcl string) (list []Input) {
	t.Helper()
	for _, p := range piles {
		name := filepath.Join(examplesDir, folder, p.name)
		if _, err := os.Stat(name); err == nil && p.hcl == hcl {
			list = append(list, Input{p.kind, name})
		}
	}
	return list
}

// TestExamples holds what becomes of each folder's old configuration against the new one beside it.
func TestExamples(t *testing.T) {
	entries, err := os.ReadDir(examplesDir)
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, e := range entries {
		if !e.IsDir() || renewed[e.Name()] {
			continue
		}
		before := compared
		for _, hcl := range []string{"gatehouse.hcl", "SD1.hcl", "S1.hcl"} {
			if inputs := inputsOf(t, e.Name(), hcl); len(inputs) > 0 {
				compared++
				name := e.Name()
				if hcl != "gatehouse.hcl" {
					name += "/" + hcl
				}
				t.Run(name, func(t *testing.T) { compareExample(t, name, filepath.Join(examplesDir, e.Name(), hcl), inputs) })
			}
		}
		if compared == before {
			t.Errorf("no old configuration of %s is compared", e.Name())
		}
	}
	if compared < 15 {
		t.Errorf("only %d configurations are compared: have they moved?", compared)
	}
}

// compareExample holds what becomes of old configurations against a new one.
func compareExample(t *testing.T, name, own string, inputs []Input) {
	r, err := Convert(inputs, Options{Idiomatic: true})
	if err != nil {
		t.Fatal(err)
	}
	if list := r.Report.Refusals(); len(list) > 0 {
		t.Errorf("%s is refused: %s", list[0].Directive, list[0].Reason)
	}
	got, diags := config.LoadText("converted.hcl", r.Text, config.Options{})
	if diags.HasErrors() {
		t.Fatalf("%v\n%s", diags.List(), r.Text)
	}
	want, diags := config.Load([]string{own}, config.Options{})
	if diags.HasErrors() {
		t.Fatal(diags.List())
	}
	if change := differences[name]; change != nil {
		change(want)
	}
	if len(got.Logs) == 0 { // the old one had none
		want.Logs = nil
		for _, f := range want.Frontends {
			f.Log = ""
		}
	}
	plain(got)
	plain(want)
	// Where the example does without the cache of the old pile, so does the comparison.
	text, err := os.ReadFile(own)
	if err != nil {
		t.Fatal(err)
	}
	cached := bytes.Contains(text, []byte("cache."))
	withoutCache := cmp.FilterPath(func(p cmp.Path) bool { return !cached && p.Last().String() == ".Cache" }, cmp.Ignore())
	opts := cmp.Options{withoutCache, cmpopts.EquateEmpty(), cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}, netip.AddrPort{}, loop.Addr{})}
	if d := cmp.Diff(want.Backends, got.Backends, opts); d != "" {
		t.Errorf("backends (-example +converted):\n%s", d)
	}
	if d := cmp.Diff(want.Frontends, got.Frontends, opts); d != "" {
		t.Errorf("frontends (-example +converted):\n%s", d)
	}
	if d := cmp.Diff(want.Logs, got.Logs, opts); d != "" {
		t.Errorf("logs (-example +converted):\n%s", d)
	}
	if t.Failed() {
		t.Logf("converted:\n%s", r.Text)
	}
}

// plain makes alike what means the same: names of tls and log blocks, the order of binds, defaults of timeouts, and which block a
// check stands in.
func plain(f *config.File) {
	for _, l := range f.Logs {
		l.Name = ""
	}
	for _, fr := range f.Frontends {
		if fr.Log != "" {
			fr.Log = "log"
		}
		fr.Timeouts = nil // a listen block's are its backend's too
		slices.SortFunc(fr.Binds, func(a, b *frontend.Bind) int { return strings.Compare(a.Address.String(), b.Address.String()) })
		for _, b := range fr.Binds {
			if b.TLS != "" {
				b.TLS = "tls"
			}
		}
	}
	for _, b := range f.Backends {
		var t h1.Timeouts
		if b.Timeouts != nil {
			t = *b.Timeouts
		}
		b.Timeouts = new(t.WithDefaults())
		for _, s := range b.Servers {
			if s.Cookie == "" && b.Cookie != nil {
				s.Cookie = s.Name
			}
			if len(s.Checks) == 0 {
				s.Checks = b.Checks
			}
		}
		b.Checks = nil
	}
}
