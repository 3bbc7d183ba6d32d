package tlsconf

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"

	"gatehouse/tlsconf/acmetest"
)

// TestRenewalUnderHandshakes: a certificate that lives for a minute is renewed again and again, and no client ever notices.
func TestRenewalUnderHandshakes(t *testing.T) {
	t.Parallel()
	d := domain()
	host := "one." + d
	r := newACMERig(t, acmetest.Options{Profiles: map[string]uint64{"default": 60}})
	r.keeper(early)
	r.serve(r.block(host))
	r.await("it is good", func() bool { return r.trusted(host) })
	stop := make(chan struct{})
	var work sync.WaitGroup
	var shaken, failed atomic.Int64
	serials := sync.Map{}
	for range 2 {
		work.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				s, err := r.shake(host)
				shaken.Add(1)
				if err != nil || !r.good(s, host) {
					failed.Add(1)
					continue
				}
				serials.Store(s.PeerCertificates[0].SerialNumber.String(), true)
			}
		})
	}
	different := func() (n int) {
		serials.Range(func(any, any) bool { n++; return true })
		return n
	}
	r.await("it was renewed twice", func() bool { return different() > 2 })
	close(stop)
	work.Wait()
	if failed.Load() > 0 {
		t.Errorf("%d of %d handshakes failed", failed.Load(), shaken.Load())
	}
	if m := r.of(host); m.Successes < 3 || m.Failures > 0 {
		t.Errorf("%+v", m)
	}
	if err := r.certs.Load().Renew("two." + d); err == nil {
		t.Error("a name that nobody knows was renewed")
	}
	t.Logf("%d handshakes, %d certificates", shaken.Load(), different())
}

// TestRestartWithTheCADown serves what is stored, at once; and a host without a certificate keeps the internal one until the CA is back.
func TestRestartWithTheCADown(t *testing.T) {
	t.Parallel()
	d := domain()
	r := newACMERig(t, acmetest.Options{})
	r.serve(r.block("one." + d)).Managed()
	r.await("one."+d+" is good", func() bool { return r.trusted("one." + d) })
	r.certs.Load().Close()
	r.keep.Load().Close()

	r.ca.SetDown(true)
	r.keeper()
	r.certs.Store(nil)
	certs := r.serve(r.block("one."+d, "two."+d))
	if !r.trusted("one." + d) {
		t.Error("one." + d + " is not good after a restart")
	}
	if s, err := r.shake("two." + d); err != nil || s.PeerCertificates[0].Subject.Organization[0] != "gatehouse internal" {
		t.Errorf("two."+d+": %v", err)
	}
	r.await("two."+d+" has failed", func() bool { m := r.of("two." + d); return m.State == "failed" && m.Last != nil && m.Last.Times > 1 })
	if f := r.of("two." + d).Last; f.Refused || !strings.Contains(f.Why, "cannot be reached from here") || f.Serving != "the internal certificate" || f.Next.Before(f.Time) {
		t.Errorf("%+v", f)
	}
	if _, ok := r.logged("no certificate obtained for two."+d, "cannot be reached", "Serving the internal certificate", "next try in"); !ok {
		t.Error("the log does not say so")
	}
	r.ca.SetDown(false)
	r.await("two."+d+" is good", func() bool { return r.trusted("two." + d) })
	r.await("two."+d+" is valid", func() bool { m := r.of("two." + d); return m.State == "valid" && m.Last == nil && m.Failures > 1 })
	certs.Close()
}

// TestBlockedNameWhileOthersServe: the one that the CA refuses says why, and holds up nobody.
func TestBlockedNameWhileOthersServe(t *testing.T) {
	t.Parallel()
	d := domain()
	r := newACMERig(t, acmetest.Options{Blocked: []string{"blocked." + d}})
	r.serve(r.block("blocked."+d, "one."+d, "two."+d))
	for _, host := range []string{"one." + d, "two." + d} {
		r.await(host+" is good", func() bool { return r.trusted(host) })
	}
	r.await("blocked."+d+" has failed", func() bool { return r.of("blocked."+d).State == "failed" })
	f := r.of("blocked." + d).Last
	if !f.Refused || !strings.Contains(f.Why, "does not issue for blocked."+d) || !strings.Contains(f.Problem, "blocked."+d+" is a forbidden domain") {
		t.Errorf("%+v", f)
	}
}

// TestRateLimit: the CA's time is kept.
func TestRateLimit(t *testing.T) {
	t.Parallel()
	d := domain()
	r := newACMERig(t, acmetest.Options{})
	until := time.Now().Add(3 * time.Hour).UTC().Truncate(time.Second)
	r.ca.Intercept(func(w http.ResponseWriter, q *http.Request) bool {
		if !strings.HasSuffix(q.URL.Path, "/order-plz") {
			return false
		}
		w.Header().Set("Content-Type", "application/problem+json")
		w.Header().Set("Replay-Nonce", "none")
		w.WriteHeader(http.StatusTooManyRequests)
		json.NewEncoder(w).Encode(map[string]any{"type": "urn:ietf:params:acme:error:rateLimited", "status": 429,
			"detail": "too many certificates (5) already issued for this exact set of identifiers in the last 168h0m0s, retry after " + until.Format("2006-01-02 15:04:05 MST") + ": see https://letsencrypt.org/docs/rate-limits/"})
		return true
	})
	r.serve(r.block("one." + d))
	r.await("it has failed", func() bool { return r.of("one."+d).Last != nil })
	m := r.of("one." + d)
	if !m.Next.Equal(until) || !strings.Contains(m.Last.Why, "has been asked too often") || !strings.Contains(m.Last.Problem, "too many certificates (5)") {
		t.Errorf("%+v %+v", m, m.Last)
	}
	if _, ok := r.logged("no certificate obtained for one."+d, "asked too often", "next try in 3 h"); !ok {
		t.Error("the log does not say so")
	}
}

// TestExternalAccount: with the key the CA has given out there is an account, without it the failure says what is lacking.
func TestExternalAccount(t *testing.T) {
	t.Parallel()
	const id, key = "kid-1", "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
	for _, issue := range []Issue{AtStart, OnFirstHandshake} {
		t.Run(issue.String(), func(t *testing.T) {
			t.Parallel()
			d := domain()
			r := newACMERig(t, acmetest.Options{EAB: map[string]string{id: key}})
			c := r.block("one." + d)
			c.ACME.Issue, c.ACME.Profile = issue, ""
			r.serve(c)
			r.await("it has failed", func() bool { r.trusted("one." + d); return r.of("one."+d).Last != nil })
			if f := r.of("one." + d).Last; !strings.Contains(f.Why, "asks for an account of its own") {
				t.Errorf("%+v", f)
			}
			c = r.block("one." + d)
			c.ACME.Issue, c.ACME.Profile = issue, ""
			c.ACME.EAB, c.ACME.Email = []*EAB{{KeyID: id, HMAC: strings.Repeat("A", len(key))}}, "ops@example.org"
			r.serve(c)
			r.await("the CA does not know that key", func() bool {
				r.trusted("one." + d)
				f := r.of("one." + d).Last
				return f != nil && strings.Contains(f.Why, "does not know the account of eab: compare key_id and hmac")
			})
			c = r.block("one." + d)
			c.ACME.Issue, c.ACME.Profile = issue, ""
			c.ACME.EAB, c.ACME.Email = []*EAB{{KeyID: id, HMAC: key + "="}}, "ops@example.com" // padded, as some CAs write it
			r.serve(c)
			r.await("one."+d+" is good", func() bool { return r.trusted("one." + d) })
		})
	}
}

// TestTwoInstancesOnOneStorage: one obtains, both serve; and the CA may come to the one that has not asked.
func TestTwoInstancesOnOneStorage(t *testing.T) {
	t.Parallel()
	d := domain()
	a := newACMERig(t, acmetest.Options{})
	b := a.beside()
	ca, cb := a.block("one."+d), b.block("one."+d)
	cb.ACME.HTTPPort, cb.ACME.TLSPort = port(b.http), port(b.tls)
	// The CA comes to a, whoever asks. So that has to be up when b does.
	b.keeper(func(k *Keeper) { k.pace.tend = func(time.Duration) time.Duration { return 50 * time.Millisecond } })
	ca.Keeper = a.keeper()
	certs, err := New(context.Background(), ca, a.log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(certs.Close)
	a.certs.Store(certs)
	b.serve(cb)
	certs.Manage(a.reach())
	for _, r := range []*acmeRig{a, b} {
		r.await("one."+d+" is good", func() bool { return r.trusted("one." + d) })
	}
	sa, err := a.shake("one." + d)
	if err != nil {
		t.Fatal(err)
	}
	sb, err := b.shake("one." + d)
	if err != nil {
		t.Fatal(err)
	}
	if n := a.ca.Orders(); n != 1 || !sa.PeerCertificates[0].Equal(sb.PeerCertificates[0]) {
		t.Errorf("%d orders", n)
	}
	// What one renews, the other takes up.
	if err := a.certs.Load().Renew("one." + d); err != nil {
		t.Error(err)
	}
	a.await("it was renewed", func() bool {
		s, err := a.shake("one." + d)
		return err == nil && !s.PeerCertificates[0].Equal(sa.PeerCertificates[0])
	})
	b.await("the other one serves it too", func() bool {
		s, err := b.shake("one." + d)
		return err == nil && !s.PeerCertificates[0].Equal(sb.PeerCertificates[0])
	})
	if m := b.of("one." + d); m.State != "valid" || m.Last != nil || a.ca.Orders() != 2 {
		t.Errorf("%+v, %d orders", m, a.ca.Orders())
	}
	if _, ok := b.logged("one." + d + " that another instance has obtained"); !ok {
		t.Error("nobody was told")
	}
}

// TestChallengeOfAnotherInstance is answered from the storage, and only for names somebody is in charge of.
func TestChallengeOfAnotherInstance(t *testing.T) {
	t.Parallel()
	d := domain()
	host := "one." + d
	k := NewKeeper(KeeperOptions{StateDir: t.TempDir()})
	defer k.Close()
	p, err := newPolicy(k, "auto", &ACME{Directory: "https://ca." + d + "/dir"}, []string{host, "192.0.2.1"}, func() {})
	if err != nil {
		t.Fatal(err)
	}
	k.load(p)
	k.take(p, Reach{})
	put := func(host, kind, token string) {
		text, _ := json.Marshal(map[string]any{"type": kind, "token": token, "keyAuthorization": token + ".key", "identifier": map[string]string{"type": "dns", "value": host}})
		if err := k.storage.Store(context.Background(), "acme/ca."+d+"-dir/challenge_tokens/"+certmagic.StorageKeys.Safe(host)+".json", text); err != nil {
			t.Fatal(err)
		}
	}
	put(host, "http-01", "tok")
	put("other."+d, "http-01", "tok")
	for _, x := range []struct {
		host, token string
		all, want   bool
	}{
		{host, "tok", true, true},
		{strings.ToUpper(host) + ".", "tok", true, true},
		{host, "tok", false, false},
		{host, "TOK", true, false},
		{host, "", true, false},
		{host, "../tok", true, false},
		{"other." + d, "tok", true, false},
	} {
		a, ok := k.Challenge(x.host, ChallengePath+x.token, x.all)
		if ok != x.want || ok && a != "tok.key" {
			t.Errorf("%s %s: %q %v", x.host, x.token, a, ok)
		}
	}
	if c, err := k.tlsAnswer(host); c != nil || err != nil {
		t.Error("a challenge of another kind is answered")
	}
	put(host, "tls-alpn-01", "tok")
	if c, err := k.tlsAnswer(host); c == nil || err != nil {
		t.Errorf("%v", err)
	}
	if !k.Expects("[192.0.2.1]") || !k.knows("1.2.0.192.in-addr.arpa") || k.Expects("other."+d) {
		t.Error("the names that are expected are others")
	}
}

// TestDamagedStorage: what is no certificate is told, set aside and issued anew, and holds up no other host.
func TestDamagedStorage(t *testing.T) {
	t.Parallel()
	d := domain()
	r := newACMERig(t, acmetest.Options{})
	r.serve(r.block("one."+d, "two."+d, "three."+d, "four."+d))
	hosts := []string{"one." + d, "two." + d, "three." + d, "four." + d}
	for _, host := range hosts {
		r.await(host+" is good", func() bool { return r.trusted(host) })
	}
	file := func(host, end string) string { return strings.TrimSuffix(r.of(host).File, ".crt") + end }
	damage := map[string]string{file("one."+d, ".crt"): "rubbish", file("two."+d, ".key"): "", file("three."+d, ".json"): "{"}
	other, err := os.ReadFile(file("one."+d, ".key"))
	if err != nil {
		t.Fatal(err)
	}
	damage[file("two."+d, ".key")] = string(other) // of another certificate
	r.certs.Load().Close()
	r.keep.Load().Close()
	for path, text := range damage {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r.keeper()
	r.certs.Store(nil)
	r.serve(r.block(hosts...))
	if !r.trusted("four." + d) {
		t.Error("four." + d + " is not served")
	}
	for _, host := range hosts {
		r.await(host+" is good again", func() bool { return r.trusted(host) })
	}
	if n := r.ca.Orders(); n != 7 {
		t.Errorf("%d orders", n)
	}
	if left, err := os.ReadFile(file("one."+d, ".crt") + ".damaged"); err != nil || string(left) != "rubbish" {
		t.Errorf("%q %v", left, err)
	}
	if _, ok := r.logged("the stored certificate for two." + d + " is damaged"); !ok {
		t.Error("nobody was told")
	}
}

// TestStorageThatCannotBeWritten: the port answers all the same, and the log says what is wrong with the directory.
func TestStorageThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	d := domain()
	r := newACMERig(t, acmetest.Options{})
	r.dir = filepath.Join(r.dir, "file", "state")
	if err := os.WriteFile(filepath.Dir(r.dir), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r.serve(r.block("one." + d))
	if _, err := r.shake("one." + d); err != nil {
		t.Error(err)
	}
	r.await("it has failed", func() bool { return r.of("one."+d).Last != nil })
	if f := r.of("one." + d).Last; f.Refused || !strings.Contains(f.Why, "the state directory "+r.dir+" cannot be used") {
		t.Errorf("%+v", f)
	}
	if n := r.ca.Orders(); n > 0 {
		t.Errorf("%d certificates were ordered that could not have been kept", n)
	}
}

// TestFallback: where the first CA does not issue, the next one is asked; both are quoted when neither does.
func TestFallback(t *testing.T) {
	t.Parallel()
	d := domain()
	r := newACMERig(t, acmetest.Options{})
	second := acmetest.New(t, acmetest.Options{HTTPPort: port(r.http), TLSPort: port(r.tls)})
	r.ca.SetDown(true)
	roots := filepath.Join(t.TempDir(), "roots.pem")
	var all []byte
	for _, f := range []string{r.ca.RootsFile, second.RootsFile} {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b...)
	}
	if err := os.WriteFile(roots, all, 0o600); err != nil {
		t.Fatal(err)
	}
	c := r.block("one." + d)
	c.ACME.Fallback, c.ACME.TrustedRoots = []string{second.Directory}, roots
	r.serve(c)
	o := r.ca
	r.ca = second // whom clients believe in
	r.await("one."+d+" is good", func() bool { return r.trusted("one." + d) })
	r.await("it is known whose it is", func() bool { return "https://"+r.of("one."+d).CA+"/dir" == second.Directory })
	second.SetDown(true)
	r.certs.Load().Renew("one." + d)
	r.await("the renewal has failed", func() bool { return r.of("one."+d).Last != nil })
	f := r.of("one." + d).Last
	for _, d := range []string{o.Directory, second.Directory} {
		if !strings.Contains(f.Problem, issuerName(d)) {
			t.Errorf("%s is not quoted: %+v", d, f)
		}
	}
	if m := r.of("one." + d); m.State != "valid" || !strings.Contains(f.Serving, "good until") {
		t.Errorf("%+v", m)
	}
}

// TestBridge: a certificate that was there before serves its names until the CA has issued.
func TestBridge(t *testing.T) {
	t.Parallel()
	d := domain()
	r := newACMERig(t, acmetest.Options{Blocked: []string{"two." + d}})
	old := mintCA(nil, "old CA")
	both := mint(&old, newKey(""), nil, "one."+d, "two."+d, "three."+d)
	c := r.block("one."+d, "two."+d)
	c.Certificate = both.write(t, t.TempDir(), "old.pem")
	certs := r.serve(c)
	for _, host := range []string{"one." + d, "two." + d, "three." + d} {
		if s, err := r.shake(host); err != nil || !r.trusted(host) && s.PeerCertificates[0].Issuer.CommonName != "old CA" {
			t.Errorf("%s: %v", host, err)
		}
	}
	r.await("one."+d+" is good", func() bool { return r.trusted("one." + d) })
	for _, host := range []string{"two." + d, "three." + d} {
		if s, err := r.shake(host); err != nil || s.PeerCertificates[0].Issuer.CommonName != "old CA" {
			t.Errorf("%s: %v", host, err)
		}
	}
	if got := certs.Names(); strings.Join(got, " ") != "one."+d+" three."+d+" two."+d {
		t.Errorf("%v", got)
	}
}

// TestNobodyCanReachUs: without an address that a CA comes to nothing is asked of it, and that is said.
func TestNobodyCanReachUs(t *testing.T) {
	t.Parallel()
	d := domain()
	r := newACMERig(t, acmetest.Options{})
	c := r.block("one." + d)
	c.Keeper = r.keeper()
	certs, err := New(t.Context(), c, r.log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(certs.Close)
	r.certs.Store(certs)
	certs.Manage(Reach{})
	if m := r.of("one." + d); m.State != "unreachable" {
		t.Errorf("%+v", m)
	}
	if _, ok := r.logged("no certificate can be obtained", "no plain bind is on port"); !ok {
		t.Error("nobody was told")
	}
	if n := r.ca.Orders(); n != 0 {
		t.Errorf("%d orders", n)
	}
	certs.Manage(r.reach()) // the addresses are open now
	r.await("one."+d+" is good", func() bool { return r.trusted("one." + d) })
}

// TestCaddysDirectory is taken over as it is.
func TestCaddysDirectory(t *testing.T) {
	t.Parallel()
	d := domain()
	r := newACMERig(t, acmetest.Options{})
	r.ca.SetDown(true)
	old := mintCA(nil, "old CA")
	leaf := mint(&old, newKey(""), nil, "one."+d)
	dir := filepath.Join(r.dir, "certificates", certmagic.StorageKeys.Safe(issuerName(r.ca.Directory)), "one."+d)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "one."+d+".crt", leaf.certPEM()+old.certPEM())
	write(t, dir, "one."+d+".key", leaf.keyPEM())
	write(t, dir, "one."+d+".json", `{"sans":["one.`+d+`"],"issuer_data":{"url":"`+r.ca.Directory+`","ca":"`+r.ca.Directory+`"}}`)
	r.serve(r.block("one." + d))
	s, err := r.shake("one." + d)
	if err != nil || !s.PeerCertificates[0].Equal(leaf.cert) {
		t.Errorf("%v", err)
	}
	r.await("it is in charge", func() bool { return r.of("one."+d).State == "valid" && len(r.keep.Load().cached("one."+d)) == 1 })
}

// TestAnotherAccountRenews what one has obtained: the CA is not told that it replaces something, or it would refuse each time.
func TestAnotherAccountRenews(t *testing.T) {
	t.Parallel()
	d := domain()
	host := "one." + d
	r := newACMERig(t, acmetest.Options{})
	for i, email := range []string{"", "One@example.com", "two@example.com"} {
		c := r.block(host)
		c.ACME.Email = email
		r.serve(c)
		r.await("it is good", func() bool {
			return r.trusted(host) && r.of(host).State == "valid" && r.of(host).Successes >= uint64(i)
		})
		// Once in place of another account's, and once in place of its own, which the CA is told.
		for range 2 {
			r.await("it is in charge", func() bool { return len(r.keep.Load().cached(host)) == 1 && r.of(host).State == "valid" })
			was := r.of(host).Successes
			if err := r.certs.Load().Renew(host); err != nil {
				t.Fatal(err)
			}
			r.await("it was renewed", func() bool { m := r.of(host); return m.Successes == was+1 || m.Last != nil })
			if m := r.of(host); m.Last != nil {
				t.Fatalf("%q: %+v", email, m.Last)
			}
		}
	}
}
