package tlsconf

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/tlsconf/acmetest"
)

func verifyOptions(ca *acmetest.CA, host string) x509.VerifyOptions {
	return x509.VerifyOptions{Roots: ca.Roots(), DNSName: host, Intermediates: x509.NewCertPool()}
}

// TestCertificateIsObtained by each of the challenges: until it is there, the port answers with a certificate of the local CA.
func TestCertificateIsObtained(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		name      string
		http, tls bool
	}{{"HTTP-01", true, false}, {"TLS-ALPN-01", false, true}, {"HTTP-01, TLS-ALPN-01", true, true}} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			d := domain()
			r := newACMERig(t, acmetest.Options{NonceReject: 20})
			reach := r.reach()
			if !x.http {
				reach.HTTP = nil
			}
			if !x.tls {
				reach.TLS = nil
			}
			c := r.block("one."+d, "TWO."+d)
			c.Keeper = r.keeper()
			certs, err := New(t.Context(), c, r.log)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(certs.Close)
			r.certs.Store(certs)
			for _, host := range []string{"one." + d, "two." + d} {
				s, err := r.shake(host)
				if err != nil {
					t.Fatalf("before the CA was asked: %v", err)
				}
				if l := s.PeerCertificates[0]; l.VerifyHostname(host) != nil || len(l.DNSNames) != 1 || l.Subject.Organization[0] != "gatehouse internal" {
					t.Errorf("before the CA was asked: %v %v", l.DNSNames, l.Subject)
				}
			}
			certs.Manage(reach)
			for _, host := range []string{"one." + d, "two." + d} {
				r.await(host+" is good", func() bool { return r.trusted(host) })
				r.await(host+" is valid", func() bool { return r.of(host).State == "valid" })
				m := r.of(host)
				if m.Challenge != x.name || m.Successes != 1 || m.Last != nil || m.Obtained.IsZero() || m.Next.Before(m.NotBefore) || m.Next.After(m.NotAfter) {
					t.Errorf("%+v", m)
				}
				if i, err := os.Stat(m.File); err != nil || i.Mode().Perm() != 0o600 {
					t.Errorf("%v %v", i, err)
				}
				key := strings.TrimSuffix(m.File, ".crt") + ".key"
				if i, err := os.Stat(key); err != nil || i.Mode().Perm() != 0o600 {
					t.Errorf("%v %v", i, err)
				}
			}
			if asked := r.asked.Load(); asked > 0 && !x.http || asked == 0 && !x.tls {
				t.Errorf("%d challenges by HTTP-01", asked)
			}
			if _, ok := r.logged("certificate obtained for one." + d); !ok {
				t.Error("nobody was told")
			}
			if tokens, _ := filepath.Glob(filepath.Join(r.dir, "acme", "*", "challenge_tokens", "*")); len(tokens) > 0 {
				t.Errorf("left: %v", tokens)
			}
		})
	}
}

// TestUnknownNameIsAlert112: a name that nobody is in charge of is refused by its alert, and nothing is asked of the CA.
func TestUnknownNameIsAlert112(t *testing.T) {
	t.Parallel()
	d := domain()
	for _, issue := range []Issue{AtStart, OnFirstHandshake} {
		r := newACMERig(t, acmetest.Options{})
		c := r.block("one." + d)
		c.ACME.Issue = issue
		r.serve(c)
		for _, host := range []string{"other." + d, "x.one." + d, "localhost"} {
			_, err := r.shake(host)
			if err == nil || err.Error() != "remote error: tls: unrecognized name" { // crypto/tls's name of 112
				t.Errorf("%v %s: %v", issue, host, err)
			}
		}
		r.await("one."+d+" is good", func() bool { return r.trusted("one." + d) })
		if n := r.ca.Orders(); n != 1 {
			t.Errorf("%v: %d orders", issue, n)
		}
	}
}
