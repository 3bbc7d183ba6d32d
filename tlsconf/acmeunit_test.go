package tlsconf

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mholt/acmez/v3/acme"
)

func TestRetryAfter(t *testing.T) {
	for _, x := range []struct{ in, want string }{
		{"too many new orders (300) from this account in the last 3h0m0s, retry after 2026-12-01 10:20:30 UTC: see https://letsencrypt.org", "2026-12-01T10:20:30Z"},
		{"retry after 2026-13-01 10:20:30 UTC", ""},
		{"retry after tomorrow", ""},
		{"", ""},
	} {
		got, ok := retryAfter(x.in)
		if ok != (x.want != "") || ok && got.Format(time.RFC3339) != x.want {
			t.Errorf("%q: %v %v", x.in, got, ok)
		}
	}
}

// FuzzRetryAfter: a CA may write what it likes.
func FuzzRetryAfter(f *testing.F) {
	f.Add("retry after 2026-12-01 10:20:30 UTC")
	f.Add("retry after 0000-00-00 99:99:99 UTC")
	f.Fuzz(func(t *testing.T, s string) {
		if got, ok := retryAfter(s); ok && !strings.Contains(s, got.Format("2006-01-02 15:04:05")) {
			t.Errorf("%q: %v", s, got)
		}
	})
}

// TestAddressesInWords: what is said about where a name leads.
func TestAddressesInWords(t *testing.T) {
	addrs := func(s string) (list []netip.Addr) {
		for a := range strings.FieldsSeq(s) {
			list = append(list, netip.MustParseAddr(a))
		}
		return list
	}
	for _, x := range []struct{ leads, own, want string }{
		{"203.0.113.9", "203.0.113.10", ": example.com resolves to 203.0.113.9, this machine is 203.0.113.10"},
		{"203.0.113.9 2001:db8::9", "203.0.113.10 2001:db8::10", ": example.com resolves to 2001:db8::9, 203.0.113.9, this machine is 203.0.113.10, 2001:db8::10"},
		{"203.0.113.9", "10.0.0.5", ": example.com resolves to 203.0.113.9, this machine has private addresses only (10.0.0.5): are the ports forwarded to it?"},
		{"203.0.113.9", "", ": example.com resolves to 203.0.113.9"},
		{"203.0.113.9 203.0.113.10", "203.0.113.10", ""},
		{"::ffff:203.0.113.10", "203.0.113.10", ""},
		{"127.0.0.1", "203.0.113.10", ""},
	} {
		if got := meets("example.com", addrs(x.leads), addrs(x.own)); got != x.want {
			t.Errorf("%s, %s: %q, want %q", x.leads, x.own, got, x.want)
		}
	}
}

// TestFailuresInWords: each kind of error has a sentence that names who, what and what to do.
func TestFailuresInWords(t *testing.T) {
	t.Parallel()
	k := NewKeeper(KeeperOptions{StateDir: t.TempDir()})
	defer k.Close()
	k.pace.explain = time.Millisecond
	p, err := newPolicy(k, "auto", &ACME{Email: "me@example.com", Profile: "rare"}, []string{"192.0.2.1"}, func() {})
	if err != nil {
		t.Fatal(err)
	}
	problem := func(kind, detail, challenge string) error {
		e := acme.Problem{Type: acme.ProblemTypeNamespace + kind, Detail: detail}
		if challenge != "" {
			e.Resource = acme.Authorization{Challenges: []acme.Challenge{{Type: "dns-01"}, {Type: challenge, Error: &acme.Problem{}}}}
		}
		return fmt.Errorf("[192.0.2.1] Obtain: %w", e)
	}
	for _, x := range []struct {
		err                  error
		refused              bool
		challenge, why, said string
	}{
		{problem("connection", "timeout", "http-01"), true, "HTTP-01", `Let's Encrypt could not reach http://192.0.2.1/.well-known/acme-challenge/ ("timeout")`, "timeout"},
		{problem("unauthorized", "404", "http-01"), true, "HTTP-01", `Let's Encrypt asked http://192.0.2.1/.well-known/acme-challenge/ and did not get the right answer ("404")`, "404"},
		{problem("unauthorized", "no", ""), true, "", `Let's Encrypt has not accepted the request ("no")`, "no"},
		{problem("tls", "bad record", "tls-alpn-01"), true, "TLS-ALPN-01", `Let's Encrypt met an error in TLS at 192.0.2.1, port 443 ("bad record")`, "bad record"},
		{problem("dns", "NXDOMAIN", "dns-01"), true, "DNS-01", `Let's Encrypt did not find the TXT record _acme-challenge.192.0.2.1 in the DNS ("NXDOMAIN")`, "NXDOMAIN"},
		{problem("caa", "x", ""), true, "", `a CAA record of 192.0.2.1 does not let Let's Encrypt issue ("x")`, "x"},
		{problem("rateLimited", "x", ""), true, "", `Let's Encrypt has been asked too often ("x")`, "x"},
		{problem("rejectedIdentifier", "x", ""), true, "", `Let's Encrypt does not issue for 192.0.2.1 ("x")`, "x"},
		{problem("externalAccountRequired", "x", ""), true, "", `Let's Encrypt asks for an account of its own: write eab { key_id = … hmac = … } ("x")`, "x"},
		{problem("userActionRequired", "x", ""), true, "", `Let's Encrypt wants its terms agreed to anew ("x")`, "x"},
		{problem("invalidContact", "x", ""), true, "", `Let's Encrypt does not take the address email = "me@example.com" ("x")`, "x"},
		{problem("invalidProfile", "x", ""), true, "", `Let's Encrypt has no profile "rare" ("x")`, "x"},
		{problem("serverInternal", "x", ""), true, "", `Let's Encrypt has refused ("x")`, "x"},
		{problem("unauthorized", "Account has been deactivated", ""), true, "", "the account at Let's Encrypt was closed: remove it below " + k.o.StateDir +
			`/acme/acme-v02.api.letsencrypt.org-directory/users, and a new one is opened ("Account has been deactivated")`, "Account has been deactivated"},
		{problem("caa", "one\n\x1b[31mtwo\x00", ""), true, "", `a CAA record of 192.0.2.1 does not let Let's Encrypt issue ("one [31mtwo")`, "one [31mtwo"},
		{&fs.PathError{Op: "open", Path: "x", Err: syscall.EACCES}, false, "", fmt.Sprintf("the state directory %s cannot be used: open x: permission denied: let it belong to whom gatehouse runs as (chown -R %d:%d %[1]s)",
			k.o.StateDir, os.Getuid(), os.Getgid()), "open x: permission denied"},
		{&fs.PathError{Op: "open", Path: "x", Err: syscall.ENOSPC}, false, "", "the state directory " + k.o.StateDir + " cannot be used: open x: no space left on device", "open x: no space left on device"},
		{errors.New("strange"), false, "", "it did not work: strange", "strange"},
		{errors.New("strange\n"), false, "", "it did not work: strange", "strange"},
		{errors.New("HTTP 503: " + strings.Repeat("<p>busy", 1000)), false, "", "Let's Encrypt is out of order: it answers with HTTP status 503", "HTTP 503: " + strings.Repeat("<p>busy", 1000)[:987] + "…"},
		{errors.New("HTTP 429: slow"), false, "", "Let's Encrypt has been asked too often: it answers with HTTP status 429", "HTTP 429: slow"},
		{errors.New("provisioning client: HTTP 404: no page\n"), false, "", "Let's Encrypt has no ACME directory at " + LetsEncrypt + ": it answers with HTTP status 404", "provisioning client: HTTP 404: no page"},
		{errors.New("unknown profile name 'rare'; supported profiles: map[a:b]"), false, "", `Let's Encrypt has no profile "rare" ("unknown profile name 'rare'; supported profiles: map[a:b]")`, "unknown profile name 'rare'; supported profiles: map[a:b]"},
		{fmt.Errorf("Get: %w", x509.UnknownAuthorityError{}), false, "", `Let's Encrypt cannot be trusted: write trusted_roots = "FILE" if it is a private CA (x509: certificate signed by unknown authority)`, "Get: x509: certificate signed by unknown authority"},
	} {
		f := k.explain(p, "192.0.2.1", x.err)
		if f.Refused != x.refused || f.Challenge != x.challenge || f.Why != x.why || f.Problem != x.said || f.CA != "Let's Encrypt" {
			t.Errorf("%v:\n got %+v\nwant %s", x.err, f, x.why)
		}
	}
}

// TestMeetingPlace: the library has to find our listeners at one host for both challenges.
func TestMeetingPlace(t *testing.T) {
	for _, x := range []struct {
		http, tls, want string
		ok              bool
	}{
		{"192.0.2.1", "192.0.2.1", "192.0.2.1", true},
		{"0.0.0.0", "192.0.2.1", "192.0.2.1", true},
		{"any", "192.0.2.1", "192.0.2.1", true},
		{"any", "any", "127.0.0.1", true},
		{"::", "::", "::1", true},
		{"::", "any", "::1", true},
		{"0.0.0.0", "::", "127.0.0.1", false},
		{"192.0.2.1", "192.0.2.2", "127.0.0.1", false},
	} {
		list := func(s string) []netip.Addr {
			if s == "any" {
				return []netip.Addr{{}}
			}
			return []netip.Addr{netip.MustParseAddr(s)}
		}
		if got, ok := meeting(list(x.http), list(x.tls)); got.String() != x.want || ok != x.ok {
			t.Errorf("%s and %s: %v %v", x.http, x.tls, got, ok)
		}
	}
}

func TestCertifiedName(t *testing.T) {
	for _, x := range []struct {
		host  string
		byDNS bool
		want  string
	}{
		{"example.com", false, "example.com"}, {"WWW.Example.com.", false, "www.example.com"}, {"*.example.com", true, "*.example.com"}, {"*.example.com", false, ""},
		{"*", true, ""}, {"localhost", false, ""}, {"192.0.2.1", false, "192.0.2.1"}, {"2001:DB8::1", false, "2001:db8::1"}, {"a b", false, ""}, {"", false, ""}, {"a*.example.com", true, ""},
	} {
		got, fault := CertifiedName(x.host, x.byDNS)
		if got != x.want || (fault == "") != (x.want != "") {
			t.Errorf("%q: %q %q", x.host, got, fault)
		}
	}
}

// TestPace: retries become rarer, renewals are looked for in time.
func TestPace(t *testing.T) {
	for _, refused := range []bool{false, true} {
		var last time.Duration
		for i := 1; i < 20; i++ {
			d := retryPace(i, refused)
			if d < last*9/10 || d < 10*time.Second || d > 5*time.Hour {
				t.Errorf("after %d failures: %v", i, d)
			}
			last = d
		}
	}
	// Let's Encrypt lets five attempts an hour be refused.
	var in time.Duration
	refused := 0
	for in < time.Hour {
		refused++
		in += retryPace(refused, true)
	}
	if refused > 5 {
		t.Errorf("%d attempts in the first hour", refused)
	}
	for _, life := range []time.Duration{4 * time.Second, time.Minute, time.Hour, 6 * 24 * time.Hour, 90 * 24 * time.Hour} {
		if d := tendPace(life); d*5 >= life/3 || d > 10*time.Minute {
			t.Errorf("%v: every %v", life, d)
		}
	}
}

func TestRoughly(t *testing.T) {
	for _, x := range []struct {
		d    time.Duration
		want string
	}{{0, "1 s"}, {30 * time.Second, "30 s"}, {100 * time.Second, "2 min"}, {12 * time.Minute, "12 min"}, {3 * time.Hour, "3 h"}, {47 * time.Hour, "47 h"}} {
		if got := roughly(x.d); got != x.want {
			t.Errorf("%v: %q, want %q", x.d, got, x.want)
		}
	}
}

func TestCANames(t *testing.T) {
	for directory, want := range map[string]string{
		LetsEncrypt: "Let's Encrypt",
		"https://acme-staging-v02.api.letsencrypt.org/directory": "Let's Encrypt (staging)",
		"https://dv.acme-v02.api.pki.goog/directory":             "Google Trust Services",
		"https://notletsencrypt.org/directory":                   "notletsencrypt.org",
		"https://ca.example.com:8443/dir":                        "ca.example.com:8443",
	} {
		if got := caName(directory); got != want {
			t.Errorf("%s: %q, want %q", directory, got, want)
		}
	}
}

// manyNames is a block with so many hosts, none of which has a certificate yet.
func manyNames(t testing.TB, n int, issue Issue) *Certificates {
	hosts := make([]string, n)
	for i := range hosts {
		hosts[i] = fmt.Sprintf("host-%d.example.com", i)
	}
	return serve(t, &Config{Name: "auto", StateDir: t.TempDir(), Hosts: hosts, ACME: &ACME{Issue: issue}})
}

// TestHandshakesLookUpMemoryAlone: however many names there are, a lookup takes no memory; and names that are no host's are none either where
// the first handshake has a certificate asked for.
func TestHandshakesLookUpMemoryAlone(t *testing.T) {
	c := manyNames(t, 100, AtStart)
	hello := &tls.ClientHelloInfo{ServerName: "host-7.example.com"}
	if n := testing.AllocsPerRun(100, func() {
		if cert, err := c.certificate(hello); cert == nil || err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
	c = manyNames(t, 100, OnFirstHandshake)
	hello.ServerName = "other.example.com"
	if n := testing.AllocsPerRun(100, func() {
		if cert, err := c.certificate(hello); cert != nil || err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkNames: ten thousand names cost what one costs (52 ns each on a quiet machine).
func BenchmarkNames(b *testing.B) {
	for _, n := range []int{1, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			c := manyNames(b, n, AtStart)
			hello := &tls.ClientHelloInfo{ServerName: "host-0.example.com"}
			b.ReportAllocs()
			for b.Loop() {
				c.certificate(hello)
			}
		})
	}
}
