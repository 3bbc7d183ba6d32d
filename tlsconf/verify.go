package tlsconf

import (
	"crypto/tls"
	"fmt"
	"os"
	"slices"
	"time"
)

// Problem is a mistake in a tls block, found without serving it.
type Problem struct {
	Field   any    // pointer into the Config: the attribute at fault; the Config itself when one is missing
	Problem string // what is wrong, with the file where it is one's
	Remedy  string // what to do about it, a sentence
	Warning bool   // it is served all the same
}

// Verify reads the certificate files of c and returns everything that is wrong with them and with c: what "gatehouse validate" says. A bad file
// among good ones is an error here, where New leaves it out.
func Verify(c *Config) []Problem {
	out := append(c.contradictions(), c.verifyClients()...)
	if c.ACME != nil {
		if f := c.ACME.verifyRoots(); f != nil {
			out = append(out, Problem{Field: &c.ACME.TrustedRoots, Problem: f.Error(), Remedy: f.remedy})
		}
	}
	if c.Certificate == "" || c.Internal || slices.ContainsFunc(out, func(p Problem) bool { return p.Field == &c.Key }) {
		return out
	}
	_, bad := newFiles(c).read(true, time.Now())
	for _, f := range bad {
		p := Problem{Field: &c.Certificate, Problem: f.Error(), Remedy: f.remedy, Warning: f.warning}
		if f.key && c.Key != "" {
			p.Field = &c.Key
		}
		out = append(out, p)
	}
	return out
}

// verifyClients reads the files of client_auth.
func (c *Config) verifyClients() (out []Problem) {
	a := c.ClientAuth
	if a == nil || a.CA == "" {
		return nil
	}
	_, ca, crl := readTrust(a, time.Now())
	for _, f := range ca {
		out = append(out, Problem{Field: &a.CA, Problem: f.Error(), Remedy: f.remedy, Warning: f.warning})
	}
	for _, f := range crl {
		out = append(out, Problem{Field: &a.CRL, Problem: f.Error(), Remedy: f.remedy, Warning: f.warning})
	}
	return out
}

// contradictions finds what is wrong in c itself, before any certificate is read.
func (c *Config) contradictions() []Problem {
	var out []Problem
	bad := func(field any, problem, remedy string) {
		out = append(out, Problem{Field: field, Problem: problem, Remedy: remedy})
	}
	switch {
	case c.Certificate != "" && c.Internal:
		bad(&c.Internal, "both certificate and internal are set", "Keep one: certificate for a file, internal for gatehouse's own local CA.")
	case c.ACME != nil && c.Internal:
		bad(&c.Internal, "both acme and internal are set", "Keep one. Until the CA has issued, acme serves internal certificates by itself.")
	case c.Certificate == "" && !c.Internal && c.Key == "" && c.ACME == nil:
		bad(c, "neither certificate nor internal nor acme is set", `Write certificate = "site.pem", acme {} for certificates from Let's Encrypt, or internal = true for gatehouse's own local CA.`)
	}
	if c.Key != "" {
		if c.Certificate == "" {
			bad(&c.Key, "key is set without certificate", `Name the certificate's file too: certificate = "site.pem".`)
		} else if info, err := os.Stat(c.Certificate); err == nil && info.IsDir() {
			bad(&c.Key, "key is set, but certificate is a directory", "In a directory each file holds its own key. Name one certificate file, or leave key out.")
		}
	}
	for _, h := range c.Hosts {
		if fault := hostFault(h); fault != "" {
			bad(&c.Hosts, fmt.Sprintf("host %q %s", h, fault), `Write host names as in "shop.example.com" or "*.example.com".`)
		}
	}
	if len(c.Hosts) > 0 && !c.Internal && c.ACME == nil {
		out = append(out, Problem{Field: &c.Hosts, Warning: true, Problem: "hosts has no effect here: the names are those in the certificate files",
			Remedy: "Leave it out, or set internal = true."})
	}
	if c.HSTS < 0 || c.HSTS > 0 && c.HSTS < time.Second {
		bad(&c.HSTS, fmt.Sprintf("hsts %s is no number of seconds", c.HSTS), `Write a time such as "730d", or leave it out.`)
	}
	if c.Profile == Modern && c.MinVersion == tls.VersionTLS12 {
		bad(&c.MinVersion, `min_version "1.2" contradicts profile "modern", which is TLS 1.3 only`, `Leave one of them out, or choose profile = "intermediate".`)
	}
	return out
}
