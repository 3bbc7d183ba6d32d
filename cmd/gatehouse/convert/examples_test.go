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

// differences are what a folder's own configuration says beyond the old one, with the reason.
var differences = map[string]func(want *config.File){
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
	"5-multi-site":        true, // one old file for machines of three tiers
}

// inputsOf returns the old configurations of a folder that make one pile.
func inputsOf(t *testing.T, folder string) (list []Input) {
	t.Helper()
	for _, f := range []struct {
		kind Kind
		name string
	}{{Stunnel, "stunnel.conf"}, {Apache, "apache.conf"}, {HAProxy, "haproxy.cfg"}} {
		name := filepath.Join(examplesDir, folder, f.name)
		if _, err := os.Stat(name); err == nil {
			list = append(list, Input{f.kind, name})
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
		inputs := []Input(nil)
		if e.IsDir() && !renewed[e.Name()] {
			inputs = inputsOf(t, e.Name())
		}
		if len(inputs) == 0 {
			continue
		}
		compared++
		t.Run(e.Name(), func(t *testing.T) {
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
			want, diags := config.Load([]string{filepath.Join(examplesDir, e.Name(), "gatehouse.hcl")}, config.Options{})
			if diags.HasErrors() {
				t.Fatal(diags.List())
			}
			if change := differences[e.Name()]; change != nil {
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
			text, err := os.ReadFile(filepath.Join(examplesDir, e.Name(), "gatehouse.hcl"))
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
		})
	}
	if compared < 5 {
		t.Errorf("only %d folders hold an old configuration: have they moved?", compared)
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
