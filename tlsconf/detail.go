package tlsconf

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ocsp"
)

// Detail is everything there is to say of a certificate being served.
type Detail struct {
	Names     []string // all it is good for, in its own order
	Subject   string   // distinguished name
	Issuer    string
	Serial    string // in hexadecimal
	Key       string // as in Status
	Signature string // by which algorithm it is signed, such as "ECDSA-SHA256"
	SHA256    string // fingerprint, in hexadecimal
	SHA1      string // the one older tools ask for
	PublicKey string // SHA-256 of the public key with its algorithm, in hexadecimal: the same after a renewal that keeps the key
	NotBefore time.Time
	NotAfter  time.Time
	State     string    // as in Status
	File      string    // "" for one of the internal CA
	Since     time.Time // when it began to be served by the block as it is configured now
	Default   bool      // served to clients that name no host
	Chain     []Link    // what is sent after it, in that order
	Responder string    // where its status may be asked (OCSP); "" where nobody says it
	Staple    *Staple   // nil: none is sent
}

// Link is a certificate of a chain.
type Link struct {
	Subject, Issuer string
	NotAfter        time.Time
}

// Staple is the statement of a CA about a certificate, which is sent along with it (OCSP, RFC 6960).
type Staple struct {
	Status     string // "good", "revoked" or "unknown"
	ThisUpdate time.Time
	NextUpdate time.Time // zero: it does not say
}

// Details describes the certificates that clients get who ask for name: one, or two where there is one with an RSA key besides. None when
// there is nothing for the name. A wildcard is asked for by a name it covers, or as it is written.
func (c *Certificates) Details(name string) (list []Detail) {
	x, now := c.index.Load(), time.Now()
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	s := x.sites[name]
	if s == nil {
		s = x.lookup(name)
	}
	if s == nil {
		return nil
	}
	for _, cert := range []*tls.Certificate{s.ec, s.rsa} {
		if cert != nil {
			list = append(list, c.detail(x, cert, now))
		}
	}
	return list
}

func (c *Certificates) detail(x *index, cert *tls.Certificate, now time.Time) Detail {
	l := cert.Leaf
	sum1, sum256, public := sha1.Sum(l.Raw), sha256.Sum256(l.Raw), sha256.Sum256(l.RawSubjectPublicKeyInfo)
	d := Detail{
		Names: namesOf(l), Subject: l.Subject.String(), Issuer: l.Issuer.String(), Serial: l.SerialNumber.Text(16),
		Key: keyName(l.PublicKey), Signature: l.SignatureAlgorithm.String(), NotBefore: l.NotBefore, NotAfter: l.NotAfter, State: string(lifeOf(l, now)),
		SHA256: hex.EncodeToString(sum256[:]), SHA1: hex.EncodeToString(sum1[:]), PublicKey: hex.EncodeToString(public[:]),
		Since: x.since[identity(l)], Default: !c.c.StrictSNI && (x.first.ec == cert || x.first.rsa == cert),
	}
	if i := slices.IndexFunc(x.all, func(s served) bool { return s.cert == cert }); i >= 0 {
		d.File = x.all[i].file
	}
	chain, _ := chainCerts(cert)
	for _, above := range chain[min(1, len(chain)):] {
		d.Chain = append(d.Chain, Link{above.Subject.String(), above.Issuer.String(), above.NotAfter})
	}
	if len(l.OCSPServer) > 0 {
		d.Responder = l.OCSPServer[0]
	}
	if len(cert.OCSPStaple) > 0 {
		if r, err := ocsp.ParseResponse(cert.OCSPStaple, nil); err == nil {
			d.Staple = &Staple{ocspWord(r.Status), r.ThisUpdate, r.NextUpdate}
		}
	}
	return d
}

func ocspWord(status int) string {
	switch status {
	case ocsp.Good:
		return "good"
	case ocsp.Revoked:
		return "revoked"
	}
	return "unknown"
}

// chainCerts parses all that is sent for c.
func chainCerts(c *tls.Certificate) ([]*x509.Certificate, error) {
	out := make([]*x509.Certificate, 0, len(c.Certificate))
	for _, der := range c.Certificate {
		x, err := x509.ParseCertificate(der)
		if err != nil {
			return out, err
		}
		out = append(out, x)
	}
	return out, nil
}

// PEM returns the certificate that clients get who ask for name, with its chain, and its private key, both as PEM; of two the one with the key that is not
// RSA. The certificate that stands in for one still to come is nothing to give away.
func (c *Certificates) PEM(name string) (chain, key []byte, err error) {
	x := c.index.Load()
	s := x.sites[strings.ToLower(strings.TrimSuffix(name, "."))]
	if s == nil {
		s = x.lookup(name)
	}
	if s == nil {
		return nil, nil, fmt.Errorf("tls %q: no certificate for %s", c.c.Name, name)
	}
	cert := s.ec
	if cert == nil {
		cert = s.rsa
	}
	if c.interim(x, cert) {
		return nil, nil, fmt.Errorf("tls %q: no certificate for %s has been obtained yet; clients get one of the internal CA meanwhile", c.c.Name, name)
	}
	return splitPEM(cert)
}

// interim reports whether cert only stands in for one that a CA has not issued yet.
func (c *Certificates) interim(x *index, cert *tls.Certificate) bool {
	return c.acme != nil && slices.ContainsFunc(x.all, func(s served) bool { return s.cert == cert && s.file == "" })
}

// splitPEM writes a certificate with its chain, and its key.
func splitPEM(c *tls.Certificate) (chain, key []byte, err error) {
	both, err := pairPEM(c)
	if err != nil {
		return nil, nil, err
	}
	at := strings.Index(string(both), begin+"CERTIFICATE")
	if at < 0 {
		return nil, nil, errors.New("there is no certificate")
	}
	return both[at:], both[:at], nil
}
