package tlsconf

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"math/big"
	"slices"
	"time"
)

// maxCRL is more than any revocation list in use takes; beyond it the path is a mistake.
const maxCRL = 256 << 20

// revocations is a revocation list (RFC 5280 5) whose signature was verified. It is immutable.
type revocations struct {
	issuer  *x509.Certificate // of the certificates it is about
	until   time.Time         // when a newer list was promised; zero: it was not
	revoked map[string]time.Time
	users   bool // it is about certificates of users alone
	cas     bool // it is about certificates of authorities alone
}

// covers reports whether the list is about a certificate that issuer has issued.
func (r *revocations) covers(cert, issuer *x509.Certificate) bool {
	return bytes.Equal(r.issuer.RawSubject, issuer.RawSubject) &&
		bytes.Equal(r.issuer.RawSubjectPublicKeyInfo, issuer.RawSubjectPublicKeyInfo) &&
		!(r.users && cert.IsCA) && !(r.cas && !cert.IsCA)
}

// stale reports whether the list is out of date.
func (r *revocations) stale(now time.Time) bool { return !r.until.IsZero() && now.After(r.until) }

// serialKey is how serial numbers are looked up.
func serialKey(n *big.Int) string { return string(n.Bytes()) }

// parseCRLs reads a file of revocation lists, PEM or one in DER, that are signed by the authorities. One bad list spoils the file: what it
// would have said is not known.
func parseCRLs(name string, data []byte, authorities []*x509.Certificate, now time.Time) (list []*revocations, bad faults) {
	refuse := func(problem, remedy string) ([]*revocations, faults) {
		return nil, faults{{file: name, problem: problem, remedy: remedy}}
	}
	const again = "Copy the list again, whole, from the authority that publishes it."
	var ders [][]byte
	if len(data) > 1 && data[0] == 0x30 { // an ASN.1 sequence
		ders = append(ders, data)
	}
	for rest := data; len(ders) == 0 || !bytes.Equal(ders[0], data); {
		at := nextBegin(rest)
		if at < 0 {
			break
		}
		kind, text, n := cutBlock(rest[at:])
		if text == nil {
			return refuse("a block is cut short", "The file is damaged or half written. "+again)
		}
		rest = rest[at+n:]
		if kind != "X509 CRL" {
			continue
		}
		block, _ := pem.Decode(text)
		if block == nil {
			return refuse("a block is damaged", again)
		}
		ders = append(ders, block.Bytes)
	}
	if len(ders) == 0 {
		return refuse("no revocation list inside", "The file must hold a block that begins with -----BEGIN X509 CRL-----, or a list in DER.")
	}
	for _, der := range ders {
		l, err := x509.ParseRevocationList(der)
		if err != nil {
			return refuse("the revocation list cannot be read: "+err.Error(), again)
		}
		r := &revocations{until: l.NextUpdate, revoked: make(map[string]time.Time, len(l.RevokedCertificateEntries))}
		if fault := r.scope(l); fault != "" {
			return refuse("the revocation list of "+l.Issuer.String()+" "+fault, "Use the authority's complete list.")
		}
		for _, ca := range authorities {
			if bytes.Equal(ca.RawSubject, l.RawIssuer) && l.CheckSignatureFrom(ca) == nil {
				r.issuer = ca
				break
			}
		}
		if r.issuer == nil {
			return refuse("the revocation list of "+l.Issuer.String()+" is signed by none of the authorities in ca",
				"Add that authority's certificate to the file that ca names, or remove the list.")
		}
		for _, e := range l.RevokedCertificateEntries {
			r.revoked[serialKey(e.SerialNumber)] = e.RevocationTime
		}
		switch {
		case r.stale(now):
			bad = append(bad, &fault{file: name, warning: true, problem: staleText(r),
				remedy: "Every certificate of that authority is refused until a newer list is in place. Fetch one, and see to it that this is done before each list ends."})
		case r.until.IsZero():
			bad = append(bad, &fault{file: name, warning: true, problem: "the revocation list of " + subject(r.issuer) + " does not say when the next one is due",
				remedy: "It counts for ever: nobody will notice when it is not renewed."})
		}
		list = append(list, r)
	}
	return list, bad
}

func staleText(r *revocations) string {
	return "the revocation list of " + subject(r.issuer) + " is out of date since " + r.until.UTC().Format(time.DateTime) + " UTC"
}

// Extensions of a revocation list that limit what it is about (RFC 5280 5.2.4 and 5.2.5).
var (
	deltaIndicator    = asn1.ObjectIdentifier{2, 5, 29, 27}
	distributionPoint = asn1.ObjectIdentifier{2, 5, 29, 28}
	crlNumber         = asn1.ObjectIdentifier{2, 5, 29, 20}
	authorityKey      = asn1.ObjectIdentifier{2, 5, 29, 35}
)

// issuingPoint is the extension that says which certificates a list is about (RFC 5280 5.2.5).
type issuingPoint struct {
	Point           asn1.RawValue  `asn1:"optional,tag:0"`
	OnlyUsers       bool           `asn1:"optional,tag:1"`
	OnlyCAs         bool           `asn1:"optional,tag:2"`
	OnlySomeReasons asn1.BitString `asn1:"optional,tag:3"`
	Indirect        bool           `asn1:"optional,tag:4"`
	OnlyAttributes  bool           `asn1:"optional,tag:5"`
}

// scope reads which certificates a list is about, and says what keeps it from being of use, "" for nothing. "If a CRL contains a critical
// extension that the application cannot process, then the application MUST NOT use that CRL to determine the status of
// certificates." (RFC 5280 5.2)
func (r *revocations) scope(l *x509.RevocationList) string {
	for _, e := range l.Extensions {
		switch {
		case e.Id.Equal(deltaIndicator):
			return "lists changes to another list only"
		case e.Id.Equal(distributionPoint):
			var p issuingPoint
			if rest, err := asn1.Unmarshal(e.Value, &p); err != nil || len(rest) > 0 {
				return "does not say clearly which certificates it is about"
			}
			if p.Indirect || p.OnlyAttributes || p.OnlySomeReasons.BitLength > 0 {
				return "is about a part of the authority's certificates only"
			}
			r.users, r.cas = p.OnlyUsers, p.OnlyCAs
		case e.Critical && !e.Id.Equal(crlNumber) && !e.Id.Equal(authorityKey):
			return fmt.Sprintf("has an extension that is not known (%s)", e.Id)
		}
	}
	// An entry may be critical in itself, above all the name of another issuer (RFC 5280 5.3.3).
	for _, e := range l.RevokedCertificateEntries {
		for _, x := range e.Extensions {
			if x.Critical {
				return fmt.Sprintf("has an entry with an extension that is not known (%s)", x.Id)
			}
		}
	}
	return ""
}

// revokedError says why the revocation lists refuse a certificate.
type revokedError struct{ problem string }

func (e *revokedError) Error() string { return e.problem }

// standing asks the lists about a chain, from the client's certificate to the trusted one, which is beyond question.
func standing(lists []*revocations, chain []*x509.Certificate, now time.Time) error {
	for i := range len(chain) - 1 {
		cert, issuer := chain[i], chain[i+1]
		var found *revocations
		for _, r := range lists {
			if !r.covers(cert, issuer) {
				continue
			}
			if at, ok := r.revoked[serialKey(cert.SerialNumber)]; ok {
				return &revokedError{fmt.Sprintf("the certificate of %s was revoked on %s", subject(cert), at.UTC().Format(time.DateOnly))}
			}
			if found == nil || found.stale(now) {
				found = r
			}
		}
		switch {
		case found == nil:
			return &revokedError{"there is no revocation list of " + subject(issuer)}
		case found.stale(now):
			return &revokedError{staleText(found)}
		}
	}
	return nil
}

// unlisted returns the authorities that have no list of their own.
func unlisted(authorities []*x509.Certificate, lists []*revocations) (names []string) {
	for _, ca := range authorities {
		if !slices.ContainsFunc(lists, func(r *revocations) bool { return r.issuer.Equal(ca) }) {
			names = append(names, subject(ca))
		}
	}
	return names
}
