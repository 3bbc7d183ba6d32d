package tlsconf

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"golang.org/x/crypto/ocsp"

	"gatehouse/tlsconf/acmetest"
)

// responder is what a CA says of its certificates.
type responder struct {
	*httptest.Server
	ca     minted
	status atomic.Int64
	life   time.Duration
	asked  atomic.Int64
	broken atomic.Bool
}

func newResponder(t *testing.T, ca minted, life time.Duration) *responder {
	r := &responder{ca: ca, life: life}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		r.asked.Add(1)
		body, err := io.ReadAll(q.Body)
		if err != nil || r.broken.Load() {
			w.Write([]byte("words"))
			return
		}
		req, err := ocsp.ParseRequest(body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		now := time.Now()
		der, err := ocsp.CreateResponse(ca.cert, ca.cert, ocsp.Response{Status: int(r.status.Load()), SerialNumber: req.SerialNumber, ThisUpdate: now.Add(-time.Second), NextUpdate: now.Add(r.life),
			RevokedAt: now.Add(-time.Hour), IssuerHash: crypto.SHA1}, ca.key)
		if err != nil {
			t.Error(err)
		}
		w.Write(der)
	}))
	t.Cleanup(r.Close)
	return r
}

// TestStaples: clients get what the CA says of a certificate in a file.
func TestStaples(t *testing.T) {
	ca := mintCA(nil, "root")
	r := newResponder(t, ca, time.Hour)
	dir := t.TempDir()
	asks := func(c *x509.Certificate) { c.OCSPServer = []string{r.URL} }
	mint(&ca, newKey(""), asks, "a.test").write(t, dir, "a.pem", ca.certPEM())
	mint(&ca, newKey(""), nil, "b.test").write(t, dir, "b.pem", ca.certPEM())
	mint(&ca, newKey(""), asks, "c.test").write(t, dir, "c.pem") // nobody knows its issuer
	core, logs := observer.New(zap.InfoLevel)
	certs, err := New(t.Context(), &Config{Name: "site", Certificate: dir}, zap.New(core))
	if err != nil {
		t.Fatal(err)
	}
	defer certs.Close()
	staple := func(name string) []byte {
		s, err, _ := shake(t, certs.Config(), &tls.Config{ServerName: name, RootCAs: ca.pool()})
		if err != nil {
			t.Fatal(err)
		}
		return s.OCSPResponse
	}
	settled(t, "stapled", func() bool { return len(staple("a.test")) > 0 })
	if x, err := ocsp.ParseResponse(staple("a.test"), ca.cert); err != nil || x.Status != ocsp.Good {
		t.Error(x, err)
	}
	if d := certs.Details("a.test"); len(d) != 1 || d[0].Staple == nil || d[0].Staple.Status != "good" || d[0].Responder != r.URL {
		t.Errorf("%+v", d)
	}
	for _, name := range []string{"b.test", "c.test"} {
		if len(staple(name)) > 0 {
			t.Errorf("something is stapled to %s", name)
		}
	}
	if r.asked.Load() != 1 || logs.FilterLevelExact(zap.ErrorLevel).Len() > 0 {
		t.Errorf("asked %d times, logged %v", r.asked.Load(), logs.All())
	}
	// A changed file is served at once, and its staple follows.
	was := certs.Details("a.test")[0].SHA256
	mint(&ca, newKey(""), asks, "a.test").write(t, dir, "a.pem", ca.certPEM())
	settled(t, "the other one stapled", func() bool {
		d := certs.Details("a.test")[0]
		return d.SHA256 != was && d.Staple != nil
	})
}

// TestStapleRefused: what is of no use is not sent, what is over goes, and a revoked certificate is told of.
func TestStapleRefused(t *testing.T) {
	ca := mintCA(nil, "root")
	r := newResponder(t, ca, time.Hour)
	dir := t.TempDir()
	mint(&ca, newKey(""), func(c *x509.Certificate) { c.OCSPServer = []string{r.URL} }, "a.test").write(t, dir, "a.pem", ca.certPEM())
	core, logs := observer.New(zap.InfoLevel)
	certs, err := New(t.Context(), &Config{Name: "site", Certificate: dir, Watch: still}, zap.New(core))
	if err != nil {
		t.Fatal(err)
	}
	defer certs.Close()
	settled(t, "stapled", func() bool { return certs.Details("a.test")[0].Staple != nil })
	good := bytes.Clone(certs.index.Load().first.ec.OCSPStaple)

	leaf := certs.index.Load().first.ec
	know := func() *stapled {
		s := certs.staples
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.by[identity(leaf.Leaf)]
	}
	r.broken.Store(true)
	certs.staples.refresh(t.Context(), leaf, know())
	if certs.restaple(time.Now()); !bytes.Equal(certs.index.Load().first.ec.OCSPStaple, good) || know().failures != 1 || logs.Len() != 0 {
		t.Errorf("an answer that is none: %d failures, log %v", know().failures, logs.All())
	}
	if certs.restaple(time.Now().Add(2 * time.Hour)); len(certs.index.Load().first.ec.OCSPStaple) != 0 {
		t.Error("what is over is still sent")
	}
	r.broken.Store(false)
	r.status.Store(int64(ocsp.Revoked))
	for range 2 {
		certs.staples.refresh(t.Context(), leaf, know())
	}
	if certs.restaple(time.Now()); len(certs.index.Load().first.ec.OCSPStaple) != 0 {
		t.Error("a revocation is stapled")
	}
	if logs.Len() != 1 || !strings.Contains(logs.All()[0].Message, "has revoked the certificate") {
		t.Errorf("%v", logs.All())
	}
}

// TestStapleBesideACME: what the CA says of a certificate in a file is sent along also where the file is there until another CA has issued; what
// first handshakes are to ask for is not forgotten over it. The certificate that is issued then has no responder, and nobody complains.
func TestStapleBesideACME(t *testing.T) {
	t.Parallel()
	for _, issue := range []Issue{AtStart, OnFirstHandshake} {
		t.Run(issue.String(), func(t *testing.T) {
			t.Parallel()
			d := domain()
			host := "one." + d
			old := mintCA(nil, "old CA")
			says := newResponder(t, old, time.Hour)
			r := newACMERig(t, acmetest.Options{})
			r.keeper(func(k *Keeper) { k.pace.wait = 20 * time.Second })
			c := r.block(host)
			c.ACME.Issue = issue
			dir := t.TempDir()
			c.Certificate = mint(&old, newKey(""), func(c *x509.Certificate) { c.OCSPServer = []string{says.URL} }, host, "www."+d).write(t, dir, "old.pem", old.certPEM())
			r.ca.SetDown(true)
			r.serve(c)
			r.await("the staple is sent", func() bool {
				s, err := r.shake("www." + d)
				if err != nil || len(s.OCSPResponse) == 0 {
					return false
				}
				x, err := ocsp.ParseResponse(s.OCSPResponse, old.cert)
				return err == nil && x.Status == ocsp.Good
			})
			if n := len(r.certs.Load().index.Load().asked); (n == 1) != (issue == OnFirstHandshake) {
				t.Errorf("%d hosts wait for their first handshake", n)
			}
			r.ca.SetDown(false)
			r.await("the CA has issued", func() bool { return r.trusted(host) })
			if s, err := r.shake("www." + d); err != nil || len(s.OCSPResponse) == 0 {
				t.Errorf("the staple of the other name is gone: %v", err)
			}
			for _, e := range r.logs.All() {
				if strings.Contains(strings.ToLower(e.Message), "ocsp") || strings.Contains(e.Message, "staple") {
					t.Errorf("a complaint: %s", e.Message)
				}
			}
			if n := says.asked.Load(); n != 1 {
				t.Errorf("the responder was asked %d times", n)
			}
		})
	}
}
