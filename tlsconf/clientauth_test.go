package tlsconf

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// mintListing makes a CA that may sign revocation lists.
func mintListing(by *minted, name string) minted {
	return mint(by, newKey(""), func(c *x509.Certificate) {
		c.Subject = pkix.Name{CommonName: name}
		c.IsCA, c.KeyUsage, c.ExtKeyUsage = true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign, nil
		c.NotAfter = time.Now().AddDate(5, 0, 0)
	})
}

var lastSerial int64 = 1000

// mintClient makes a client's certificate.
func mintClient(by *minted, name string, change func(*x509.Certificate)) minted {
	lastSerial++
	n := lastSerial
	return mint(by, newKey(""), func(c *x509.Certificate) {
		c.Subject, c.ExtKeyUsage, c.SerialNumber = pkix.Name{CommonName: name}, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, big.NewInt(n)
		if change != nil {
			change(c)
		}
	})
}

// list makes a revocation list of m's in PEM, due in so much time.
func (m minted) list(due time.Duration, change func(*x509.RevocationList), revoked ...minted) string {
	l := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now().Add(-2 * time.Hour), NextUpdate: time.Now().Add(due)}
	for _, r := range revoked {
		l.RevokedCertificateEntries = append(l.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: r.cert.SerialNumber, RevocationTime: time.Now()})
	}
	if change != nil {
		change(l)
	}
	der, err := x509.CreateRevocationList(rand.Reader, l, m.cert, m.key)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}))
}

// shows makes a client that shows certificates, the first one with its key, or none.
func shows(c *tls.Config, chain ...minted) *tls.Config {
	c = c.Clone()
	if len(chain) == 0 {
		return c
	}
	pair := &tls.Certificate{PrivateKey: chain[0].key, Leaf: chain[0].cert}
	for _, m := range chain {
		pair.Certificate = append(pair.Certificate, m.cert.Raw)
	}
	// Whatever the server says whose certificates it takes.
	c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return pair, nil }
	return c
}

// TestClientCertificates: who is let in, by mode and certificate, in both versions of the protocol.
func TestClientCertificates(t *testing.T) {
	dir := t.TempDir()
	site := mintCA(nil, "site root")
	at := mint(&site, newKey(""), nil, "a.test").write(t, dir, "a.pem")
	root, foreign := mintListing(nil, "root"), mintListing(nil, "foreign root")
	middle := mintListing(&root, "middle")
	good, revoked, stranger := mintClient(&root, "good", nil), mintClient(&root, "revoked", nil), mintClient(&foreign, "stranger", nil)
	below := mintClient(&middle, "below", nil)
	late := mintClient(&root, "late", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	server := mintClient(&root, "server", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })
	ca := write(t, dir, "ca.pem", root.certPEM())
	both := write(t, dir, "both.pem", root.certPEM()+middle.certPEM())
	crl := write(t, dir, "crl.pem", root.list(time.Hour, nil, revoked))
	crls := write(t, dir, "crls.pem", root.list(time.Hour, nil, revoked, middle)+middle.list(time.Hour, nil))
	stale := write(t, dir, "stale.pem", root.list(-time.Minute, nil))
	block, _ := pem.Decode([]byte(root.list(time.Hour, nil, revoked)))
	der := write(t, dir, "crl.der", string(block.Bytes))

	for _, tt := range []struct {
		name    string
		auth    ClientAuth
		chain   []minted
		refused string // part of the server's error, "" when the client is let in
	}{
		{"good", ClientAuth{CA: ca}, []minted{good}, ""},
		{"none", ClientAuth{CA: ca}, nil, "didn't provide a certificate"},
		{"of a foreign authority", ClientAuth{CA: ca}, []minted{stranger}, "unknown authority"},
		{"expired", ClientAuth{CA: ca}, []minted{late}, "expired"},
		{"of a server", ClientAuth{CA: ca}, []minted{server}, "incompatible key usage"},
		{"with its chain", ClientAuth{CA: ca}, []minted{below, middle}, ""},
		{"without its chain", ClientAuth{CA: ca}, []minted{below}, "unknown authority"},
		{"without its chain, which ca has", ClientAuth{CA: both}, []minted{below}, ""},

		{"verify: good", ClientAuth{CA: ca, Mode: VerifyClient}, []minted{good}, ""},
		{"verify: none", ClientAuth{CA: ca, Mode: VerifyClient}, nil, ""},
		{"verify: of a foreign authority", ClientAuth{CA: ca, Mode: VerifyClient}, []minted{stranger}, "unknown authority"},

		{"request: good", ClientAuth{CA: ca, Mode: RequestClient}, []minted{good}, ""},
		{"request: none", ClientAuth{CA: ca, Mode: RequestClient}, nil, ""},
		{"request: of a foreign authority", ClientAuth{CA: ca, Mode: RequestClient}, []minted{stranger}, ""},
		{"request: no authority", ClientAuth{Mode: RequestClient}, []minted{stranger}, ""},

		{"listed as good", ClientAuth{CA: ca, CRL: crl}, []minted{good}, ""},
		{"revoked", ClientAuth{CA: ca, CRL: crl}, []minted{revoked}, "the certificate of revoked was revoked on"},
		{"revoked, in DER", ClientAuth{CA: ca, CRL: der}, []minted{revoked}, "was revoked on"},
		{"good, in DER", ClientAuth{CA: ca, CRL: der}, []minted{good}, ""},
		{"revoked in mode verify", ClientAuth{CA: ca, CRL: crl, Mode: VerifyClient}, []minted{revoked}, "was revoked on"},
		{"no list of the issuer", ClientAuth{CA: ca, CRL: crl}, []minted{below, middle}, "no revocation list of middle"},
		{"the issuer is revoked, and trusted by itself", ClientAuth{CA: both, CRL: crls}, []minted{below}, ""},
		{"out of date", ClientAuth{CA: ca, CRL: stale}, []minted{good}, "is out of date since"},
		{"out of date in mode request", ClientAuth{CA: ca, CRL: stale, Mode: RequestClient}, []minted{good}, ""},
	} {
		for _, v := range versions {
			t.Run(fmt.Sprintf("%s/%s", tt.name, tls.VersionName(v)), func(t *testing.T) {
				auth := tt.auth
				certs := serve(t, &Config{Certificate: at, ClientAuth: &auth})
				client := shows(clientFor(site, "a.test"), tt.chain...)
				client.MinVersion, client.MaxVersion = v, v
				_, err, serverErr := shake(t, certs.Config(), client)
				switch {
				case tt.refused == "" && (err != nil || serverErr != nil):
					t.Fatalf("refused: %v, %v", err, serverErr)
				case tt.refused != "" && err == nil:
					t.Fatal("let in")
				case tt.refused != "" && (serverErr == nil || !strings.Contains(serverErr.Error(), tt.refused)):
					t.Fatalf("the server says %v, want %q", serverErr, tt.refused)
				}
			})
		}
	}
}

// TestClientVerdict: what servers are told in mode "request", where everybody is let in.
func TestClientVerdict(t *testing.T) {
	dir := t.TempDir()
	root, foreign := mintListing(nil, "root"), mintListing(nil, "foreign")
	good, stranger, revoked := mintClient(&root, "good", nil), mintClient(&foreign, "stranger", nil), mintClient(&root, "revoked", nil)
	at := good.write(t, dir, "a.pem")
	ca, crl := write(t, dir, "ca.pem", root.certPEM()), write(t, dir, "crl.pem", root.list(time.Hour, nil, revoked))
	for _, tt := range []struct {
		auth ClientAuth
		show []*x509.Certificate
		want string
	}{
		{ClientAuth{CA: ca, Mode: RequestClient}, []*x509.Certificate{good.cert}, ""},
		{ClientAuth{CA: ca, Mode: RequestClient}, []*x509.Certificate{stranger.cert}, "unknown authority"},
		{ClientAuth{CA: ca, CRL: crl, Mode: RequestClient}, []*x509.Certificate{revoked.cert}, "was revoked"},
		{ClientAuth{CA: ca, Mode: RequestClient}, nil, ""},
		{ClientAuth{Mode: RequestClient}, []*x509.Certificate{good.cert}, "no authority is configured"},
		{ClientAuth{CA: ca, Mode: RequireClient}, nil, "no certificate"},
	} {
		certs := serve(t, &Config{Certificate: at, ClientAuth: &tt.auth})
		err := certs.JudgeClient(tt.show)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%+v, %d certificates: %v, want %q", tt.auth, len(tt.show), err, tt.want)
		}
	}
	if plain := serve(t, &Config{Certificate: at}); plain.JudgeClient(nil) != nil || plain.ClientRules() != 0 {
		t.Error("rules where clients are not asked")
	}
}

// TestTicketBypass: a session begun where one authority's certificates are good is not resumed where they are not. Without own ticket
// keys and without the policy in VerifyConnection it is: the control shows that this test would notice.
func TestTicketBypass(t *testing.T) {
	dir := t.TempDir()
	site := mintCA(nil, "site root")
	at := mint(&site, newKey(""), nil, "a.test", "c.test").write(t, dir, "site.pem")
	everybody, staff := mintListing(nil, "everybody"), mintListing(nil, "staff")
	guest := mintClient(&everybody, "guest", nil)
	wide := ClientAuth{CA: write(t, dir, "wide.pem", everybody.certPEM())}
	narrow := ClientAuth{CA: write(t, dir, "narrow.pem", staff.certPEM())}
	// A client that resumes its one session everywhere, under the name it began with or another.
	client := func() *tls.Config {
		c := shows(clientFor(site, "a.test"), guest)
		c.ClientSessionCache = oneSlot{tls.NewLRUClientSessionCache(1)}
		return c
	}
	enters := func(t *testing.T, a, c *tls.Config, second string) (in, resumed bool) {
		t.Helper()
		cl := client()
		if _, err, serverErr := shake(t, a, cl); err != nil {
			t.Fatalf("first host: %v, %v", err, serverErr)
		}
		cl.ServerName = second
		cs, err, _ := shake(t, c, cl)
		return err == nil, cs.DidResume
	}

	t.Run("control", func(t *testing.T) {
		// As one would write it: the same keys, and the policy in VerifyPeerCertificate.
		keys := [32]byte{1}
		naive := func(ca minted) *tls.Config {
			pair, err := tls.LoadX509KeyPair(at, at)
			if err != nil {
				t.Fatal(err)
			}
			c := &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAnyClientCert}
			c.VerifyPeerCertificate = func(raw [][]byte, _ [][]*x509.Certificate) error {
				leaf, err := x509.ParseCertificate(raw[0])
				if err != nil {
					return err
				}
				_, err = leaf.Verify(x509.VerifyOptions{Roots: ca.pool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
				return err
			}
			c.SetSessionTicketKeys([][32]byte{keys})
			return c
		}
		if in, resumed := enters(t, naive(everybody), naive(staff), "c.test"); !in || !resumed {
			t.Skipf("crypto/tls has closed the gap itself (in %v, resumed %v)", in, resumed)
		}
	})
	t.Run("full handshake", func(t *testing.T) {
		c := serve(t, &Config{Certificate: at, ClientAuth: &narrow})
		if _, err, _ := shake(t, c.Config(), shows(clientFor(site, "c.test"), guest)); err == nil {
			t.Fatal("the guest is let in")
		}
	})
	t.Run("own keys", func(t *testing.T) {
		a, c := serve(t, &Config{Certificate: at, ClientAuth: &wide}), serve(t, &Config{Certificate: at, ClientAuth: &narrow})
		for _, host := range []string{"a.test", "c.test"} {
			if in, _ := enters(t, a.Config(), c.Config(), host); in {
				t.Errorf("the guest enters %s", host)
			}
		}
		// The keys alone, where the certificate is no hindrance.
		b := serve(t, &Config{Certificate: at, ClientAuth: &wide})
		if in, resumed := enters(t, a.Config(), b.Config(), "a.test"); !in || resumed {
			t.Errorf("with another block's ticket: in %v, resumed %v", in, resumed)
		}
	})
	t.Run("policy", func(t *testing.T) {
		// The keys are the same and the name is, too: only VerifyConnection is left.
		a := serve(t, &Config{Certificate: at, ClientAuth: &wide})
		c := serve(t, &Config{Certificate: at, ClientAuth: &narrow, Tickets: a.Tickets()})
		if in, _ := enters(t, a.Config(), c.Config(), "a.test"); in {
			t.Error("the guest enters by a resumed session")
		}
		if in, resumed := enters(t, a.Config(), a.Config(), "a.test"); !in || !resumed {
			t.Errorf("on its own host: in %v, resumed %v", in, resumed)
		}
	})
	t.Run("revoked since", func(t *testing.T) {
		crl := write(t, dir, "crl.pem", everybody.list(time.Hour, nil))
		a := serve(t, &Config{Certificate: at, ClientAuth: &ClientAuth{CA: wide.CA, CRL: crl}})
		cl := client()
		for _, want := range []bool{false, true} {
			if cs, err, serverErr := shake(t, a.Config(), cl); err != nil || cs.DidResume != want {
				t.Fatalf("resumed %v, %v, %v", cs.DidResume, err, serverErr)
			}
		}
		rules := a.ClientRules()
		write(t, dir, "crl.pem", everybody.list(time.Hour, nil, guest))
		a.clients.reread(true, time.Now())
		if a.ClientRules() == rules {
			t.Error("nobody learns that the rules have changed")
		}
		if _, err, serverErr := shake(t, a.Config(), cl); err == nil || !strings.Contains(fmt.Sprint(serverErr), "was revoked") {
			t.Errorf("a revoked client resumes: %v, %v", err, serverErr)
		}
	})
}

// TestClientFilesAreWatched: a new authority and a new list count at once, what is half written does not, and the reason can be seen.
func TestClientFilesAreWatched(t *testing.T) {
	dir := t.TempDir()
	site := mintCA(nil, "site root")
	at := mint(&site, newKey(""), nil, "a.test").write(t, dir, "site.pem")
	one, two := mintListing(nil, "one"), mintListing(nil, "two")
	alice, bob := mintClient(&one, "alice", nil), mintClient(&two, "bob", nil)
	ca, crl := write(t, dir, "ca.pem", one.certPEM()), write(t, dir, "crl.pem", one.list(24*time.Hour, nil))
	certs, logs := serveLogged(t, &Config{Certificate: at, ClientAuth: &ClientAuth{CA: ca, CRL: crl}})
	enters := func(m minted) bool {
		t.Helper()
		_, err, _ := shake(t, certs.Config(), shows(clientFor(site, "a.test"), m))
		return err == nil
	}
	problem := func() string {
		for _, s := range certs.List() {
			if s.State == stateRefused {
				return s.Problem
			}
		}
		return ""
	}
	reread := func() { certs.clients.reread(true, time.Now()) }
	if !enters(alice) || enters(bob) || problem() != "" {
		t.Fatal("not as configured")
	}

	for _, half := range []string{one.certPEM()[:200], "", two.keyPEM()} {
		write(t, dir, "ca.pem", half)
		reread()
		if !enters(alice) || enters(bob) {
			t.Errorf("a bad file changes who is let in")
		}
		if !strings.Contains(problem(), "ca.pem: ") {
			t.Errorf("the reason is %q", problem())
		}
	}
	if n := logs.FilterMessageSnippet("not usable").Len(); n != 2 { // "" and a key: the same complaint
		t.Errorf("%d complaints", n)
	}
	write(t, dir, "ca.pem", one.certPEM())
	reread()
	if problem() != "" || !enters(alice) {
		t.Errorf("as it was, with %q", problem())
	}

	write(t, dir, "ca.pem", one.certPEM()+two.certPEM())
	write(t, dir, "crl.pem", one.list(24*time.Hour, nil, alice)+two.list(24*time.Hour, nil))
	reread()
	if enters(alice) || !enters(bob) {
		t.Error("the new files do not count")
	}
	write(t, dir, "crl.pem", one.list(24*time.Hour, nil))
	reread()
	if !enters(alice) || enters(bob) {
		t.Error("an authority without a list is trusted")
	}
}

// TestRevocationListGoesOutOfDate: from one moment to the next nobody is let in, the log says so loudly, and connections that are open
// are judged anew.
func TestRevocationListGoesOutOfDate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		site := mintCA(nil, "site root")
		at := mint(&site, newKey(""), nil, "a.test").write(t, dir, "site.pem")
		root := mintListing(nil, "root")
		alice := mintClient(&root, "alice", nil)
		ca, crl := write(t, dir, "ca.pem", root.certPEM()), write(t, dir, "crl.pem", root.list(time.Hour, nil))
		certs, logs := serveLogged(t, &Config{Certificate: at, ClientAuth: &ClientAuth{CA: ca, CRL: crl}})
		rules := certs.ClientRules()
		time.Sleep(59 * time.Minute)
		if _, err, serverErr := shake(t, certs.Config(), shows(clientFor(site, "a.test"), alice)); err != nil {
			t.Fatal(err, serverErr)
		}
		if certs.ClientRules() != rules {
			t.Error("the rules have changed before their time")
		}
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		if _, err, serverErr := shake(t, certs.Config(), shows(clientFor(site, "a.test"), alice)); err == nil || !strings.Contains(fmt.Sprint(serverErr), "out of date") {
			t.Errorf("let in: %v, %v", err, serverErr)
		}
		if certs.ClientRules() == rules || certs.JudgeClient([]*x509.Certificate{alice.cert}) == nil {
			t.Error("who is in already is not judged anew")
		}
		if n := logs.FilterMessageSnippet("out of date").Len(); n != 1 {
			t.Errorf("%d lines about it in the log", n)
		}
		time.Sleep(13 * time.Hour)
		synctest.Wait()
		if n := logs.FilterMessageSnippet("out of date").Len(); n != 2 {
			t.Errorf("%d lines about it in the log half a day later", n)
		}
		write(t, dir, "crl.pem", root.list(100*time.Hour, nil))
		time.Sleep(time.Minute)
		synctest.Wait()
		if _, err, serverErr := shake(t, certs.Config(), shows(clientFor(site, "a.test"), alice)); err != nil {
			t.Errorf("with a new list: %v, %v", err, serverErr)
		}
	})
}

// TestVerifyClientAuth: every mistake is found at its attribute, with a remedy.
func TestVerifyClientAuth(t *testing.T) {
	dir := t.TempDir()
	root, other := mintListing(nil, "root"), mintListing(nil, "other")
	site := mint(&root, newKey(""), nil, "a.test")
	at := site.write(t, dir, "a.pem")
	ca := write(t, dir, "ca.pem", root.certPEM())
	old := mint(nil, newKey(""), func(c *x509.Certificate) {
		c.Subject, c.IsCA, c.KeyUsage = pkix.Name{CommonName: "old"}, true, x509.KeyUsageCertSign
		c.NotBefore, c.NotAfter = time.Now().Add(-48*time.Hour), time.Now().Add(-time.Hour)
	})
	crl := func(name string, change func(*x509.RevocationList)) string {
		return write(t, dir, name, root.list(time.Hour, change))
	}
	point := func(p issuingPoint) func(*x509.RevocationList) {
		der, err := asn1.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		return func(l *x509.RevocationList) {
			l.ExtraExtensions = append(l.ExtraExtensions, pkix.Extension{Id: distributionPoint, Critical: true, Value: der})
		}
	}
	for _, tt := range []struct {
		name    string
		a       ClientAuth
		field   string // "ca", "crl", "" for nothing wrong
		problem string
		warning bool
	}{
		{"good", ClientAuth{CA: ca}, "", "", false},
		{"good with list", ClientAuth{CA: ca, CRL: crl("good.crl", nil)}, "", "", false},
		{"no file", ClientAuth{CA: dir + "/none"}, "ca", "no such file", false},
		{"a directory", ClientAuth{CA: dir}, "ca", "is not a file", false},
		{"no certificate", ClientAuth{CA: write(t, dir, "key.pem", site.keyPEM())}, "ca", "no certificate inside", false},
		{"cut short", ClientAuth{CA: write(t, dir, "cut.pem", root.certPEM()[:100])}, "ca", "cut short", false},
		{"expired", ClientAuth{CA: write(t, dir, "old.pem", old.certPEM())}, "ca", "old expired on", true},
		{"no authority", ClientAuth{CA: write(t, dir, "leaf.pem", site.certPEM())}, "ca", "is not that of an authority", true},
		{"no list", ClientAuth{CA: ca, CRL: dir + "/none"}, "crl", "no such file", false},
		{"no list inside", ClientAuth{CA: ca, CRL: ca}, "crl", "no revocation list inside", false},
		{"list cut short", ClientAuth{CA: ca, CRL: write(t, dir, "cut.crl", root.list(time.Hour, nil)[:100])}, "crl", "cut short", false},
		{"list damaged", ClientAuth{CA: ca, CRL: write(t, dir, "bad.crl", "-----BEGIN X509 CRL-----\nMAA=\n-----END X509 CRL-----\n")}, "crl", "cannot be read", false},
		{"list of somebody else", ClientAuth{CA: ca, CRL: write(t, dir, "other.crl", other.list(time.Hour, nil))}, "crl", "signed by none of the authorities in ca", false},
		{"forged list", ClientAuth{CA: ca, CRL: write(t, dir, "forged.crl", mintListing(nil, "root").list(time.Hour, nil))}, "crl", "signed by none", false},
		{"list out of date", ClientAuth{CA: ca, CRL: write(t, dir, "stale.crl", root.list(-time.Hour, nil))}, "crl", "out of date since", true},
		{"an authority without a list", ClientAuth{CA: write(t, dir, "two.pem", root.certPEM()+other.certPEM()), CRL: dir + "/good.crl"}, "crl", "no revocation list of other", true},
		{"changes only", ClientAuth{CA: ca, CRL: crl("delta.crl", func(l *x509.RevocationList) {
			l.ExtraExtensions = []pkix.Extension{{Id: deltaIndicator, Critical: true, Value: []byte{2, 1, 1}}}
		})}, "crl", "changes to another list", false},
		{"an unknown critical extension", ClientAuth{CA: ca, CRL: crl("unknown.crl", func(l *x509.RevocationList) {
			l.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}}}
		})}, "crl", "an extension that is not known (1.2.3.4)", false},
		{"an unknown extension of no weight", ClientAuth{CA: ca, CRL: crl("light.crl", func(l *x509.RevocationList) {
			l.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Value: []byte{5, 0}}}
		})}, "", "", false},
		{"indirect", ClientAuth{CA: ca, CRL: crl("indirect.crl", point(issuingPoint{Indirect: true}))}, "crl", "a part of the authority's", false},
		{"users only", ClientAuth{CA: ca, CRL: crl("users.crl", point(issuingPoint{OnlyUsers: true}))}, "", "", false},
		{"an entry of another issuer", ClientAuth{CA: ca, CRL: crl("entry.crl", func(l *x509.RevocationList) {
			l.RevokedCertificateEntries = []x509.RevocationListEntry{{SerialNumber: big.NewInt(1), RevocationTime: time.Now(),
				ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 29}, Critical: true, Value: []byte{0x30, 0}}}}}
		})}, "crl", "an entry with an extension that is not known", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := &Config{Certificate: at, ClientAuth: &tt.a}
			found := Verify(c)
			if tt.field == "" {
				if len(found) > 0 {
					t.Errorf("%+v", found[0])
				}
				return
			}
			if len(found) != 1 {
				t.Fatalf("%d problems: %+v", len(found), found)
			}
			want := any(&tt.a.CA)
			if tt.field == "crl" {
				want = &tt.a.CRL
			}
			if p := found[0]; p.Field != want || !strings.Contains(p.Problem, tt.problem) || p.Warning != tt.warning || p.Remedy == "" {
				t.Errorf("got %+v", p)
			}
		})
	}
}

// TestListsForUsersSayNothingOfAuthorities: a list of user certificates alone does not make an intermediate authority good.
func TestListsForUsersSayNothingOfAuthorities(t *testing.T) {
	root := mintListing(nil, "root")
	middle := mintListing(&root, "middle")
	user := mintClient(&root, "user", nil)
	r := &revocations{issuer: root.cert, users: true}
	if !r.covers(user.cert, root.cert) || r.covers(middle.cert, root.cert) {
		t.Error("a list for users")
	}
	r = &revocations{issuer: root.cert, cas: true}
	if r.covers(user.cert, root.cert) || !r.covers(middle.cert, root.cert) {
		t.Error("a list for authorities")
	}
}

// FuzzCRL: whatever a file holds, reading it ends, and only lists that the authority has signed come out.
func FuzzCRL(f *testing.F) {
	root := mintListing(nil, "root")
	text := root.list(time.Hour, nil, mintClient(&root, "revoked", nil))
	block, _ := pem.Decode([]byte(text))
	f.Add([]byte(text))
	f.Add(block.Bytes)
	f.Add([]byte(text + text))
	f.Add([]byte("-----BEGIN X509 CRL-----\n-----END X509 CRL-----"))
	f.Add([]byte{0x30, 0x80})
	f.Fuzz(func(t *testing.T, data []byte) {
		list, bad := parseCRLs("f", data, []*x509.Certificate{root.cert}, time.Now())
		if bad.refused() == nil && len(list) == 0 {
			t.Error("neither a list nor a complaint")
		}
		for _, r := range list {
			if !r.issuer.Equal(root.cert) {
				t.Error("a list that nobody has signed")
			}
		}
	})
}
