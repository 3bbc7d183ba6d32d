package tlsconf

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// minted is a certificate made for a test.
type minted struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func (m minted) certPEM() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: m.cert.Raw}))
}

func (m minted) keyPEM() string {
	der, err := x509.MarshalPKCS8PrivateKey(m.key)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// pool trusts m.
func (m minted) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(m.cert)
	return p
}

func newKey(kind string) crypto.Signer {
	var k crypto.Signer
	var err error
	switch kind {
	case "", "P-256":
		k, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "P-384":
		k, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "P-224":
		k, err = ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	case "P-521":
		k, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case "RSA":
		k = rsaKey()
	case "Ed25519":
		_, k, err = ed25519.GenerateKey(rand.Reader)
	default:
		panic("no such key: " + kind)
	}
	if err != nil {
		panic(err)
	}
	return k
}

// rsaKey is made once: it takes a tenth of a second and more.
var rsaKey = sync.OnceValue(func() crypto.Signer {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

// mint makes a certificate for the names, valid for 90 days from an hour ago. Its issuer is by, itself without one. change may be nil.
func mint(by *minted, key crypto.Signer, change func(*x509.Certificate), names ...string) minted {
	now := time.Now()
	template := &x509.Certificate{
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(90 * 24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	for _, n := range names {
		if ip, err := netip.ParseAddr(n); err == nil {
			template.IPAddresses = append(template.IPAddresses, net.IP(ip.AsSlice()))
		} else {
			template.DNSNames = append(template.DNSNames, n)
		}
	}
	if len(names) > 0 {
		template.Subject = pkix.Name{CommonName: names[0]}
	}
	if change != nil {
		change(template)
	}
	parent, signer := template, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		panic(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return minted{cert, key}
}

// mintCA makes a CA, signed by another if there is one.
func mintCA(by *minted, name string) minted {
	return mint(by, newKey(""), func(c *x509.Certificate) {
		c.Subject = pkix.Name{CommonName: name}
		c.IsCA, c.KeyUsage, c.ExtKeyUsage = true, x509.KeyUsageCertSign, nil
	})
}

// write writes a combined PEM file and returns its path.
func (m minted) write(t testing.TB, dir, name string, more ...string) string {
	t.Helper()
	return write(t, dir, name, m.certPEM()+strings.Join(more, "")+m.keyPEM())
}

func write(t testing.TB, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// shake makes the two shake hands and returns what the client saw, and both errors. The client reads until the server closes, so that it has its tickets.
func shake(t testing.TB, server, client *tls.Config) (cs tls.ConnectionState, clientErr, serverErr error) {
	t.Helper()
	near, far := net.Pipe()
	// Both may be writing when the client gives up in the middle.
	limit := time.Now().Add(20 * time.Second)
	near.SetDeadline(limit)
	far.SetDeadline(limit)
	a, b := newQueued(near), newQueued(far)
	done := make(chan error)
	go func() {
		s := tls.Server(b, server)
		err := s.Handshake()
		if err == nil {
			_, err = s.Write([]byte("x"))
		}
		b.Close()
		done <- err
	}()
	c := tls.Client(a, client)
	if clientErr = c.Handshake(); clientErr == nil {
		_, clientErr = c.Read(make([]byte, 1))
	}
	cs = c.ConnectionState()
	a.Close()
	return cs, clientErr, <-done
}

// queued is a pipe whose Write does not wait for the reader, as sockets have it: in TLS both sides may write at once, as in a resumption
// with a large ticket.
type queued struct {
	net.Conn
	out  chan []byte
	sent chan struct{}
}

func newQueued(c net.Conn) *queued {
	q := &queued{c, make(chan []byte, 100), make(chan struct{})}
	go func() {
		defer close(q.sent)
		for b := range q.out {
			q.Conn.Write(b)
		}
	}()
	return q
}

func (q *queued) Write(b []byte) (int, error) {
	q.out <- bytes.Clone(b)
	return len(b), nil
}

func (q *queued) Close() error {
	close(q.out)
	<-q.sent
	return q.Conn.Close()
}
