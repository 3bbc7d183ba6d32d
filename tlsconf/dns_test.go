package tlsconf

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/libdns/libdns"

	"gatehouse/tlsconf/acmetest"
)

// TestWildcardByDNS: a signed update to the name server proves the name, and nothing is left behind.
func TestWildcardByDNS(t *testing.T) {
	t.Parallel()
	r := newACMERig(t, acmetest.Options{})
	c := r.block("*.wild.test")
	c.ACME.DNS = &DNS{Kind: RFC2136, Server: r.ca.DNS.Addr, KeyName: acmetest.KeyName, KeySecret: acmetest.KeySecret, Resolvers: []string{r.ca.DNS.Addr}}
	c.Keeper = r.keeper()
	certs, err := New(t.Context(), c, r.log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(certs.Close)
	r.certs.Store(certs)
	certs.Manage(Reach{}) // no CA ever comes here
	r.await("any.wild.test is good", func() bool { return r.trusted("any.wild.test") })
	if m := r.of("*.wild.test"); m.Challenge != "DNS-01" || r.asked.Load() > 0 {
		t.Errorf("%+v", m)
	}
	r.await("nothing is left", func() bool { done, left := r.ca.DNS.Updates(); return done == 2 && left == 0 })
}

// TestDNSByProgram runs a program that knows how; it gets the record's name and value, and its complaint is told.
func TestDNSByProgram(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	program := filepath.Join(dir, "record")
	script := "#!/bin/sh\nprintf '%s\\n' \"$*\" >>" + dir + "/calls\necho \"$PATH|$HOME\" >" + dir + "/env\n[ \"$4\" != no ] || { echo no such zone >&2; exit 3; }\n"
	if err := os.WriteFile(program, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	h := &hook{&DNS{Kind: Exec, Command: []string{program, "first"}, Timeout: 10 * time.Second}}
	record := []libdns.Record{libdns.RR{Type: "TXT", Name: "_acme-challenge.www", Data: "value; $(rm)", TTL: time.Minute}}
	if _, err := h.AppendRecords(t.Context(), "example.com.", record); err != nil {
		t.Error(err)
	}
	if _, err := h.DeleteRecords(t.Context(), "example.com.", record); err != nil {
		t.Error(err)
	}
	calls, _ := os.ReadFile(filepath.Join(dir, "calls"))
	const want = "first present _acme-challenge.www.example.com. value; $(rm)\nfirst cleanup _acme-challenge.www.example.com. value; $(rm)\n"
	if string(calls) != want {
		t.Errorf("%q", calls)
	}
	if env, _ := os.ReadFile(filepath.Join(dir, "env")); !strings.HasPrefix(string(env), "/usr/local/sbin:") || !strings.HasSuffix(string(env), "|\n") {
		t.Errorf("%q", env)
	}
	record = []libdns.Record{libdns.RR{Type: "TXT", Name: "_acme-challenge.www", Data: "no"}}
	if _, err := h.AppendRecords(t.Context(), "example.com.", record); err == nil || !strings.HasSuffix(err.Error(), "present _acme-challenge.www.example.com.: exit status 3: no such zone") {
		t.Errorf("%v", err)
	}
	slow := filepath.Join(dir, "slow")
	if err := os.WriteFile(slow, []byte("#!/bin/sh\nexec sleep 60\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	h.d.Command, h.d.Timeout = []string{slow}, 50*time.Millisecond
	if _, err := h.AppendRecords(t.Context(), "example.com.", record); err == nil || !strings.Contains(err.Error(), "not done within 50ms") {
		t.Errorf("%v", err)
	}
}

// TestRefusedUpdates say why.
func TestRefusedUpdates(t *testing.T) {
	t.Parallel()
	s := acmetest.NewDNS(t, "")
	record := []libdns.Record{libdns.RR{Type: "TXT", Name: "_acme-challenge", Data: "x"}}
	good := DNS{Kind: RFC2136, Server: s.Addr, KeyName: acmetest.KeyName, KeySecret: acmetest.KeySecret}
	for _, x := range []struct {
		name, zone string
		change     func(*DNS)
		want       string
	}{
		{"good", acmetest.Zone, func(*DNS) {}, ""},
		{"another secret", acmetest.Zone, func(d *DNS) { d.KeySecret = "c2VjcmV0" }, "it does not know the key"},
		{"another key", acmetest.Zone, func(d *DNS) { d.KeyName = "other" }, "it does not know the key"},
		{"another zone", "example.com.", func(*DNS) {}, "the record is in another zone"},
		{"nobody there", acmetest.Zone, func(d *DNS) { d.Server = "127.0.0.1:1" }, "connection refused"},
	} {
		d := good
		x.change(&d)
		_, err := (&rfc2136{&d}).AppendRecords(t.Context(), x.zone, record)
		if (err == nil) != (x.want == "") || err != nil && !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: %v, want %q", x.name, err, x.want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (&rfc2136{&good}).DeleteRecords(ctx, acmetest.Zone, record); err == nil {
		t.Error("an update after the end")
	}
	if _, err := (&rfc2136{&good}).AppendRecords(t.Context(), acmetest.Zone, []libdns.Record{libdns.RR{Type: "A", Name: "www", Data: "192.0.2.1"}}); err == nil {
		t.Error("an address was changed")
	}
}

func TestNameServer(t *testing.T) {
	for _, x := range []struct{ in, want string }{
		{"192.0.2.53", "192.0.2.53:53"}, {"192.0.2.53:5353", "192.0.2.53:5353"}, {"2001:db8::53", "[2001:db8::53]:53"}, {"[2001:db8::53]", "[2001:db8::53]:53"},
		{"[2001:db8::53]:5353", "[2001:db8::53]:5353"}, {"ns1.example.com", "ns1.example.com:53"}, {"ns1.example.com:5353", "ns1.example.com:5353"},
		{"", ""}, {"ns 1", ""}, {"ns1.example.com:", ""}, {"ns1.example.com:0", ""}, {"ns1.example.com:70000", ""}, {"*.example.com", ""}, {":53", ""}, {"1.2.3", ""},
	} {
		if got, err := nameServer(x.in); got != x.want || (err == nil) != (x.want != "") {
			t.Errorf("%q: %q %v, want %q", x.in, got, err, x.want)
		}
	}
}

// FuzzNameServer: what is taken for a name server has a host and a port, and is taken again.
func FuzzNameServer(f *testing.F) {
	f.Add("192.0.2.53")
	f.Add("[::1]:53")
	f.Add("ns.example.com:5353")
	f.Fuzz(func(t *testing.T, s string) {
		got, err := nameServer(s)
		if err != nil {
			return
		}
		if again, err := nameServer(got); err != nil || again != got {
			t.Errorf("%q becomes %q becomes %q, %v", s, got, again, err)
		}
	})
}
