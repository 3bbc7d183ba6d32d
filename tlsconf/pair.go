package tlsconf

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"
)

// maxSkew is how far a clock may be off before a fresh certificate counts as not yet valid.
const maxSkew = time.Minute

// pair finds, for each key, the certificate it belongs to and the chain of that certificate. The order in the file does not
// matter; what is sent is in the order TLS wants. With no pair at all the faults say why.
func pair(name string, certs []*x509.Certificate, keys []crypto.Signer) ([]*tls.Certificate, faults) {
	switch {
	case len(certs) == 0:
		return nil, faults{{file: name, problem: "no certificate inside", remedy: "The file must hold the certificate as PEM, a block that begins with -----BEGIN CERTIFICATE-----."}}
	case len(keys) == 0:
		return nil, faults{{file: name, key: true, problem: "no private key inside",
			remedy: "Add the key to the file that has the certificate, or name its file: key = \"…\"."}}
	}
	var out []*tls.Certificate
	var bad faults
	used := make([]bool, len(certs))
	var paired []crypto.Signer
	for _, key := range keys {
		if slices.ContainsFunc(paired, func(k crypto.Signer) bool { return samePublic(k.Public(), key.Public()) }) {
			continue
		}
		leaf := leafOf(certs, key)
		if leaf < 0 {
			if len(keys) > 1 {
				bad = append(bad, &fault{file: name, key: true, warning: true, problem: "one of the private keys belongs to none of the certificates", remedy: "Remove it."})
			}
			continue
		}
		paired = append(paired, key)
		c := &tls.Certificate{PrivateKey: key, Leaf: certs[leaf]}
		for _, i := range chainOf(certs, leaf) {
			used[i] = true
			c.Certificate = append(c.Certificate, certs[i].Raw)
		}
		out = append(out, c)
	}
	if len(out) == 0 {
		return nil, faults{{file: name, key: true,
			problem: "the private key does not belong to the certificate for " + subject(certs[0]),
			remedy:  "Put the key in place that the certificate was requested with, or have a new certificate issued for this key."}}
	}
	for i, c := range certs {
		if !used[i] && !alternative(certs, used, c) {
			bad = append(bad, &fault{file: name, warning: true, problem: "the certificate of " + subject(c) + " is not part of the chain and is not sent",
				remedy: "Remove it, or replace it by the intermediate certificate that " + subject(out[0].Leaf) + " was issued with."})
		}
	}
	return out, bad
}

// leafOf returns the index of the certificate that key belongs to, or -1: the first that is not a CA's, else the first.
func leafOf(certs []*x509.Certificate, key crypto.Signer) int {
	found := -1
	for i, c := range certs {
		if !samePublic(c.PublicKey, key.Public()) {
			continue
		}
		if !c.IsCA {
			return i
		}
		if found < 0 {
			found = i
		}
	}
	return found
}

// chainOf returns the indices of the certificates to send for certs[leaf], itself first, each followed by its issuer (RFC 8446 4.4.2).
// Of two certificates of one issuer the cross-signed one goes first: it leads further.
func chainOf(certs []*x509.Certificate, leaf int) []int {
	chain := []int{leaf}
	for {
		child := certs[chain[len(chain)-1]]
		next, named := -1, 0
		for _, c := range certs {
			if bytes.Equal(child.RawIssuer, c.RawSubject) {
				named++
			}
		}
		for i, c := range certs {
			if slices.Contains(chain, i) || !(named == 1 && identifies(child, c)) && !issued(c, child) {
				continue
			}
			if next < 0 || selfIssued(certs[next]) && !selfIssued(c) {
				next = i
			}
		}
		if next < 0 || selfIssued(child) {
			return chain
		}
		chain = append(chain, next)
	}
}

// identifies reports whether child names parent as its issuer, by its subject and by its key (RFC 5280 4.2.1.1). With one such certificate in
// a file that says as much as the signature, which takes half a millisecond to verify where the issuer's key is on P-384: four of the five
// seconds that ten thousand files took. It is clients who verify it anyway.
func identifies(child, parent *x509.Certificate) bool {
	return bytes.Equal(child.RawIssuer, parent.RawSubject) && len(child.AuthorityKeyId) > 0 && bytes.Equal(child.AuthorityKeyId, parent.SubjectKeyId)
}

// issued reports whether child bears parent's signature. CheckSignature rather than CheckSignatureFrom: old private CAs
// lack the flags the latter asks for, and it is clients who judge them.
func issued(parent, child *x509.Certificate) bool {
	return bytes.Equal(child.RawIssuer, parent.RawSubject) &&
		parent.CheckSignature(child.SignatureAlgorithm, child.RawTBSCertificate, child.Signature) == nil
}

func selfIssued(c *x509.Certificate) bool { return bytes.Equal(c.RawIssuer, c.RawSubject) }

// alternative reports whether c is another way up, or a copy of a certificate in use: files that carry both
// the self-signed and the cross-signed certificate of one CA are common, and fine.
func alternative(certs []*x509.Certificate, used []bool, c *x509.Certificate) bool {
	for i, u := range certs {
		if used[i] && (u.Equal(c) || issued(c, u)) {
			return true
		}
	}
	return false
}

func samePublic(a, b crypto.PublicKey) bool {
	k, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(b)
}

// subject names a certificate for a person: its first host, else its common name.
func subject(c *x509.Certificate) string {
	if names := namesOf(c); len(names) > 0 {
		return names[0]
	}
	if s := c.Subject.String(); s != "" {
		return s
	}
	return "serial " + c.SerialNumber.String()
}

// namesOf returns the names a certificate may be asked for by, in lower case: its DNS names and IP addresses, or, where it has
// neither, its common name, as the self-signed certificates of old stunnel setups.
func namesOf(c *x509.Certificate) []string {
	var names []string
	for _, n := range c.DNSNames {
		names = append(names, strings.ToLower(n))
	}
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	if cn := c.Subject.CommonName; len(names) == 0 && hostFault(cn) == "" {
		names = append(names, strings.ToLower(cn))
	}
	return names
}

// life is where a certificate stands in its lifetime.
type life string

const (
	valid       life = "valid"
	expiresSoon life = "expires soon"
	expired     life = "expired"
	notYetValid life = "not yet valid"
)

// lifeOf tells the state of c at now. A certificate expires soon when a tenth of its lifetime is left: renewal is due at a third, so
// something went wrong by then. A fraction of the lifetime, since days would be wrong for certificates of a week or of ten years.
func lifeOf(c *x509.Certificate, now time.Time) life {
	switch {
	case now.After(c.NotAfter):
		return expired
	case now.Add(maxSkew).Before(c.NotBefore):
		return notYetValid
	case c.NotAfter.Sub(now) < c.NotAfter.Sub(c.NotBefore)/10:
		return expiresSoon
	}
	return valid
}

// review returns the warnings about a certificate that is served.
func review(name string, c *tls.Certificate, now time.Time) faults {
	var bad faults
	warn := func(key bool, problem, remedy string) {
		bad = append(bad, &fault{file: name, key: key, warning: true, problem: problem, remedy: remedy})
	}
	const day = time.DateOnly
	who := "the certificate for " + subject(c.Leaf)
	switch lifeOf(c.Leaf, now) {
	case expired:
		warn(false, who+" expired on "+c.Leaf.NotAfter.Format(day), "Clients refuse it. Have it renewed.")
	case notYetValid:
		warn(false, who+" is not valid before "+c.Leaf.NotBefore.Format(day), "Clients refuse it until then. Check the clock of this machine.")
	case expiresSoon:
		warn(false, who+" expires on "+c.Leaf.NotAfter.Format(day)+", less than a tenth of its lifetime from now", "Have it renewed; the new file is taken up as soon as it is in place.")
	}
	if len(c.Leaf.DNSNames) == 0 && len(c.Leaf.IPAddresses) == 0 {
		warn(false, who+" names no host in its subjectAltName", "Browsers have stopped reading the common name. Have it issued with its host names.")
	}
	switch k := c.Leaf.PublicKey.(type) {
	case *rsa.PublicKey:
		switch bits := k.N.BitLen(); {
		case bits < 2048:
			warn(true, fmt.Sprintf("RSA key of %d bits", bits), "Clients refuse keys below 2048 bits. Have the certificate issued for an ECDSA P-256 key.")
		case bits > 3072:
			warn(true, fmt.Sprintf("RSA key of %d bits: each new client costs about 10 ms of CPU time, two hundred times as much as with ECDSA P-256", bits),
				"Have the certificate issued for an ECDSA P-256 key.")
		}
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() {
			warn(true, "ECDSA key on the curve "+k.Curve.Params().Name+": each new client costs many times the CPU time of P-256", "Have the certificate issued for an ECDSA P-256 key.")
		}
	}
	return bad
}
