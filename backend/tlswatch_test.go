package backend

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"gatehouse/backend/loop"
)

// pairPEM makes a certificate of its own and its key.
func pairPEM(t *testing.T, name string) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(1000 * time.Hour),
		IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, c, c, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
}

// TestServerFilesAreWatched: changed files of a server's tls block are taken up when they are whole, and what was read before counts until
// then.
func TestServerFilesAreWatched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		put := func(name, text string) string {
			t.Helper()
			at := filepath.Join(dir, name)
			if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			return at
		}
		cert, key := pairPEM(t, "one")
		next, nextKey := pairPEM(t, "two")
		core, logs := observer.New(zap.InfoLevel)
		s := &Server{Name: "A", Address: loop.Addr{Host: "app.test"}.WithPort(443),
			TLS: &ServerTLS{CA: put("ca.pem", cert), Certificate: put("own.pem", cert), Key: put("own.key", key), Verify: true}}
		p, err := New(&Config{Name: "app", Servers: []*Server{s}}, Options{Log: zap.New(core)})
		if err != nil {
			t.Fatal(err)
		}
		srv := p.servers[0]
		go srv.watch.run(t.Context())
		shown := func() string {
			c, err := x509.ParseCertificate(srv.tls.Load().Certificates[0].Certificate[0])
			if err != nil {
				t.Fatal(err)
			}
			return c.Subject.CommonName
		}
		pass := func(d time.Duration) {
			time.Sleep(d)
			synctest.Wait()
		}

		first := srv.tls.Load()
		pass(time.Hour)
		if srv.tls.Load() != first || logs.Len() > 0 {
			t.Error("read anew though nothing has changed")
		}
		put("own.pem", next) // without its key
		pass(4 * tlsLook)
		if shown() != "one" || logs.FilterMessageSnippet("not usable").Len() != 1 {
			t.Errorf("shows %s; the log has %v", shown(), logs.All())
		}
		put("own.key", nextKey)
		put("ca.pem", next)
		pass(4 * tlsLook)
		if shown() != "two" || srv.tls.Load().ClientSessionCache == first.ClientSessionCache {
			t.Errorf("shows %s, after its key came", shown())
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM([]byte(next))
		if !srv.tls.Load().RootCAs.Equal(roots) {
			t.Error("trusts others than those in the new file")
		}
		if err := os.Remove(filepath.Join(dir, "ca.pem")); err != nil {
			t.Fatal(err)
		}
		pass(4 * tlsLook)
		if shown() != "two" || srv.tls.Load().RootCAs == nil || logs.FilterMessageSnippet("not usable").Len() != 2 {
			t.Error("a file that is gone")
		}
		if n := logs.FilterMessageSnippet("are in use").Len(); n != 1 {
			t.Errorf("%d times in use", n)
		}
	})
}

// TestServerTLSWithoutFiles: there is nothing to watch.
func TestServerTLSWithoutFiles(t *testing.T) {
	s := &Server{Name: "A", Address: loop.Addr{Host: "app.test"}.WithPort(443), TLS: &ServerTLS{}}
	p, err := New(&Config{Name: "app", Servers: []*Server{s}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if p.servers[0].watch != nil || p.servers[0].tls.Load() == nil {
		t.Errorf("%+v", p.servers[0])
	}
}
