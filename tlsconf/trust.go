package tlsconf

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"os"
	"slices"
	"time"
)

// trust is what makes client certificates good: authorities and revocation lists as they were read last. It is immutable.
type trust struct {
	mode    ClientMode
	version uint64 // from 1; a greater one was read later
	pool    *x509.CertPool
	cas     []*x509.Certificate
	lists   []*revocations // nil without crl
}

// readTrust reads the files of a client_auth block. trust is nil when it cannot be relied on; the faults of each file say why, or warn.
func readTrust(a *ClientAuth, now time.Time) (t *trust, ca, crl faults) {
	t = &trust{mode: a.Mode, pool: x509.NewCertPool()}
	if a.CA == "" {
		return t, nil, nil
	}
	text, _, f := readFile(a.CA)
	if f != nil {
		return nil, faults{f}, nil
	}
	p, f := parsePEM(a.CA, text)
	if f != nil {
		return nil, faults{f}, nil
	}
	if len(p.certs) == 0 {
		return nil, faults{{file: a.CA, problem: "no certificate inside",
			remedy: "The file must hold the certificate of the authority that issues your clients' certificates, a block that begins with -----BEGIN CERTIFICATE-----."}}, nil
	}
	for _, c := range p.certs {
		t.pool.AddCert(c)
		t.cas = append(t.cas, c)
		switch life := lifeOf(c, now); {
		case life == expired:
			ca = append(ca, &fault{file: a.CA, warning: true, problem: "the certificate of " + subject(c) + " expired on " + c.NotAfter.Format(time.DateOnly),
				remedy: "Client certificates of that authority are refused. Replace it by the authority's new one, or remove it."})
		case life == notYetValid:
			ca = append(ca, &fault{file: a.CA, warning: true, problem: "the certificate of " + subject(c) + " is not valid before " + c.NotBefore.Format(time.DateOnly),
				remedy: "Client certificates of that authority are refused until then. Check the clock of this machine."})
		case !c.IsCA && !slices.Equal(c.RawIssuer, c.RawSubject):
			ca = append(ca, &fault{file: a.CA, warning: true, problem: "the certificate of " + subject(c) + " is not that of an authority",
				remedy: "It is good for the one client that shows it. Name the authority's certificate if you mean all that it has issued."})
		}
	}
	if a.CRL == "" {
		return t, ca, nil
	}
	text, f = readLarge(a.CRL)
	if f != nil {
		return nil, ca, faults{f}
	}
	t.lists, crl = parseCRLs(a.CRL, text, t.cas, now)
	if crl.refused() != nil {
		return nil, ca, crl
	}
	for _, name := range unlisted(t.cas, t.lists) {
		crl = append(crl, &fault{file: a.CRL, warning: true, problem: "there is no revocation list of " + name,
			remedy: "Every certificate it has issued is refused. Add its list to the file."})
	}
	return t, ca, crl
}

// readLarge is readFile for revocation lists, which are longer than certificates.
func readLarge(path string) ([]byte, *fault) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, fileFault(path, err)
	case !info.Mode().IsRegular():
		return nil, &fault{file: path, problem: "is not a file", remedy: "Name a file with revocation lists."}
	case info.Size() > maxCRL:
		return nil, &fault{file: path, problem: "is larger than 256 MiB", remedy: "Name a file with revocation lists."}
	}
	r, err := os.Open(path)
	if err != nil {
		return nil, fileFault(path, err)
	}
	defer r.Close()
	text, err := io.ReadAll(io.LimitReader(r, maxCRL))
	if err != nil {
		return nil, fileFault(path, err)
	}
	return text, nil
}

// errNoCertificate is why a client without a certificate is refused on a connection that was made under other rules.
var errNoCertificate = errors.New("no certificate was shown")

// check decides whether the certificates a client has shown are good, nil when there are none. It verifies them anew unless
// chains, which crypto/tls found for them, are given.
func (t *trust) check(shown []*x509.Certificate, chains [][]*x509.Certificate, now time.Time) error {
	if len(shown) == 0 {
		return nil
	}
	if chains == nil {
		between := x509.NewCertPool()
		for _, c := range shown[1:] {
			between.AddCert(c)
		}
		var err error
		chains, err = shown[0].Verify(x509.VerifyOptions{Roots: t.pool, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
		if err != nil {
			return &tls.CertificateVerificationError{UnverifiedCertificates: shown, Err: err}
		}
	}
	if t.lists == nil {
		return nil
	}
	var refused error
	for _, chain := range chains {
		err := standing(t.lists, chain, now)
		if err == nil {
			return nil
		}
		if refused == nil {
			refused = err
		}
	}
	return refused
}

// admits is tls.Config.VerifyConnection. crypto/tls calls it for resumed sessions too, for which it calls VerifyPeerCertificate no more: a
// certificate that was good when its session began is asked for again, here, under the rules of the host it is resumed on.
func (t *trust) admits(cs tls.ConnectionState) error {
	if t.mode == RequestClient {
		return nil
	}
	chains := cs.VerifiedChains
	if cs.DidResume {
		chains = nil
	}
	err := t.check(cs.PeerCertificates, chains, time.Now())
	if err == nil && len(cs.PeerCertificates) == 0 && t.mode == RequireClient {
		err = errNoCertificate
	}
	if err != nil {
		return &Refusal{Host: cs.ServerName, Err: err}
	}
	return nil
}

// ask makes a configuration ask clients for certificates.
func (t *trust) ask(c *tls.Config) {
	c.ClientAuth = [...]tls.ClientAuthType{RequireClient: tls.RequireAndVerifyClientCert, VerifyClient: tls.VerifyClientCertIfGiven, RequestClient: tls.RequestClientCert}[t.mode]
	c.ClientCAs = t.pool
	c.VerifyConnection = t.admits
}

// Refusal is why a client's certificate was refused, for the log. The client is told "bad certificate".
type Refusal struct {
	Host string // that was asked for
	Err  error
}

func (r *Refusal) Error() string { return "client certificate refused: " + r.Err.Error() }

func (r *Refusal) Unwrap() error { return r.Err }

// ends returns when the first revocation list that is still good goes out of date, zero for never.
func (t *trust) ends(now time.Time) (first time.Time) {
	for _, r := range t.lists {
		if !r.until.IsZero() && !r.stale(now) && (first.IsZero() || r.until.Before(first)) {
			first = r.until
		}
	}
	return first
}
