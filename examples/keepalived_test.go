package examples

import (
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"testing"

	"gatehouse/cmd/gatehouse/config"
)

// What keepalived asks is what gatehouse answers: the check's URL is the monitor's, at an address of this machine alone.
func TestKeepalivedAsksTheMonitor(t *testing.T) {
	text, err := os.ReadFile("2-cookie-prefix/keepalived.conf")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`script "/usr/bin/curl .*--fail .*(http://\S+)"`).FindSubmatch(text)
	if m == nil {
		t.Fatal("no check by curl --fail")
	}
	u, err := url.Parse(string(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	ip, err := netip.ParseAddr(u.Hostname())
	if err != nil || !ip.IsLoopback() || u.Port() != "" {
		t.Fatalf("the check asks %s (%v)", u, err)
	}
	f, diags := config.Load([]string{"2-cookie-prefix/gatehouse.hcl"}, config.Options{})
	if diags.HasErrors() {
		t.Fatal("the configuration does not load")
	}
	fr := f.Frontends[0]
	if fr.Monitor == nil || fr.Monitor.URI != u.Path {
		t.Errorf("keepalived asks for %s, the monitor is %+v", u.Path, fr.Monitor)
	}
	local, shared := false, false
	for _, b := range fr.Binds {
		local = local || b.Address.AddrPort == netip.AddrPortFrom(ip, 80)
		shared = shared || b.Freebind && regexp.MustCompile(`(?m)^\s*`+regexp.QuoteMeta(b.Address.Addr().String())+`$`).Match(text)
	}
	if !local || !shared {
		t.Errorf("an address for the check: %v; one that moves: %v", local, shared)
	}
}
