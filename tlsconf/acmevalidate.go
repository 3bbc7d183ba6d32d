package tlsconf

import (
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net/mail"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Check reports what no CA could be asked with.
func (a *ACME) Check(bad func(field any, problem, remedy string)) {
	if a.Email != "" {
		if m, err := mail.ParseAddress(a.Email); err != nil || m.Address != a.Email {
			bad(&a.Email, fmt.Sprintf("%q is not a mail address", a.Email), `Write it as in "ops@example.com", or leave it out.`)
		}
	}
	if fault := directoryFault(a.Directory); a.Directory != "" && fault != "" {
		bad(&a.Directory, fmt.Sprintf("directory %q %s", a.Directory, fault), "Write the URL of the CA's ACME directory, which begins with https://.")
	}
	for i, d := range a.Fallback {
		if fault := directoryFault(d); fault != "" {
			bad(&a.Fallback[i], fmt.Sprintf("directory %q %s", d, fault), "Write the URL of the CA's ACME directory, which begins with https://.")
		} else if slices.Contains(a.directories()[:i+1], d) {
			bad(&a.Fallback[i], fmt.Sprintf("directory %q is there twice", d), "Each CA is asked once. Leave it out.")
		}
	}
	for _, p := range []struct {
		field *int
		name  string
	}{{&a.HTTPPort, "http_port"}, {&a.TLSPort, "tls_port"}} {
		if *p.field < 0 || *p.field > 65535 {
			bad(p.field, fmt.Sprintf("%s %d is not between 1 and 65535", p.name, *p.field), "Leave it out for the port the CA comes to.")
		}
	}
	for i, e := range a.EAB {
		if !slices.Contains(a.directories(), a.caOf(e)) {
			bad(&e.Directory, fmt.Sprintf("no CA with directory %q is asked", e.Directory), "Write it exactly as in directory or in fallback.")
		}
		if slices.ContainsFunc(a.EAB[:i], func(o *EAB) bool { return a.caOf(o) == a.caOf(e) }) {
			bad(e, "two accounts at one CA", "Keep one of them, or write directory = … in the one for a CA of fallback.")
		}
	}
	if a.Issue == OnFirstHandshake && a.DNS != nil {
		bad(&a.Issue, `dns and issue = "on-first-handshake"`, "By DNS nobody has to wait until the name leads here: leave one of them out.")
	}
	if a.Issue == OnFirstHandshake && len(a.Fallback) > 0 {
		bad(&a.Fallback, `fallback and issue = "on-first-handshake"`, "Whoever waits for the first handshake asks one CA. Leave one of them out.")
	}
}

// directoryFault says why a directory is none, or "".
func directoryFault(s string) string {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return "is not a URL"
	case u.Scheme == "http":
		return "is not a URL that begins with https://"
	case u.Scheme != "https" || u.Host == "" || u.Hostname() == "":
		return "is not a URL that begins with https://"
	}
	return ""
}

// Check reports a key that cannot be one.
func (e *EAB) Check(bad func(field any, problem, remedy string)) {
	if e.KeyID == "" {
		bad(&e.KeyID, "key_id is empty", "Write the key id that the CA has given out.")
	}
	if _, err := e.key(); err != nil {
		bad(&e.HMAC, "hmac is not base64url", "Write the key exactly as the CA has given it out.")
	}
}

// key decodes the key. CAs give it out with or without padding, and some in the other alphabet.
func (e *EAB) key() ([]byte, error) {
	s := strings.NewReplacer("+", "-", "/", "_").Replace(strings.TrimRight(strings.TrimSpace(e.HMAC), "="))
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err == nil && len(b) == 0 {
		err = fmt.Errorf("it is empty")
	}
	return b, err
}

// Check reports a DNS block that could change nothing.
func (d *DNS) Check(bad func(field any, problem, remedy string)) {
	const notHere = "Leave it out."
	switch d.Kind {
	case RFC2136:
		if d.Server == "" {
			bad(&d.Server, `dns "rfc2136" without a server`, `Name the server that takes updates: server = "192.0.2.53".`)
		} else if _, err := nameServer(d.Server); err != nil {
			bad(&d.Server, fmt.Sprintf("server %q: %s", d.Server, err), `Write a host or an address, with its port if that is not 53: "192.0.2.53:5353".`)
		}
		if d.KeyName == "" || d.KeySecret == "" {
			bad(&d.KeyName, `dns "rfc2136" without a key`, "Write key_name and key_secret: updates that are not signed are for everybody.")
		} else if b, err := base64.StdEncoding.DecodeString(strings.TrimSpace(d.KeySecret)); err != nil || len(b) == 0 {
			bad(&d.KeySecret, "key_secret is not base64", "Write the secret as the name server's configuration has it.")
		}
		if _, ok := tsigAlgorithms[d.algorithm()]; !ok {
			bad(&d.KeyAlgorithm, fmt.Sprintf("unknown key_algorithm %q", d.KeyAlgorithm), `Choose "hmac-sha224", "hmac-sha256", "hmac-sha384" or "hmac-sha512".`)
		}
		if len(d.Command) > 0 {
			bad(&d.Command, `command in dns "rfc2136"`, notHere)
		}
	case Exec:
		if len(d.Command) == 0 || d.Command[0] == "" {
			bad(&d.Command, `dns "exec" without a command`, `Name the program: command = ["/usr/local/bin/dns-record"].`)
		} else if !strings.HasPrefix(d.Command[0], "/") {
			bad(&d.Command, fmt.Sprintf("command %q is not an absolute path", d.Command[0]), "Write where the program is, from the root on: which one is run must not depend on the environment.")
		}
		for _, f := range []struct {
			field *string
			name  string
		}{{&d.Server, "server"}, {&d.KeyName, "key_name"}, {&d.KeySecret, "key_secret"}} {
			if *f.field != "" {
				bad(f.field, f.name+` in dns "exec"`, notHere)
			}
		}
	}
	for i, r := range d.Resolvers {
		if _, err := nameServer(r); err != nil {
			bad(&d.Resolvers[i], fmt.Sprintf("resolver %q: %s", r, err), `Write a host or an address, with its port if that is not 53.`)
		}
	}
	if d.Timeout < time.Second && d.Timeout != 0 {
		bad(&d.Timeout, "timeout is less than a second", "No program is that fast under load.")
	}
	if fault := hostFault(strings.TrimSuffix(d.Delegate, ".")); d.Delegate != "" && fault != "" {
		bad(&d.Delegate, fmt.Sprintf("delegate %q %s", d.Delegate, fault), `Write the name of a record as in "_acme-challenge.dyn.example.com".`)
	}
	if d.Propagation < 0 {
		bad(&d.Propagation, "propagation is less than zero", `Write "0s" to have the CA told at once.`)
	}
}

// CertifiedName returns the name that a certificate for a host of the configuration is asked for, or says why no CA issues one. A CA at
// ACME proves each name; with byDNS it can prove wildcards too.
func CertifiedName(host string, byDNS bool) (name, fault string) {
	name = strings.ToLower(strings.TrimSuffix(host, "."))
	switch {
	case name == "*":
		return "", "is every name, and a certificate is for names that are known"
	case hostFault(name) != "":
		return "", hostFault(name)
	case strings.HasPrefix(name, "*.") && !byDNS:
		return "", "needs acme { dns … }: a CA issues wildcards only to whoever can change the DNS of the name"
	}
	if ip, err := netip.ParseAddr(name); err == nil {
		return ip.String(), ""
	}
	if !strings.Contains(name, ".") {
		return "", "has one label only, which no CA can find"
	}
	return name, ""
}

// verifyRoots finds what is wrong with the file of trusted roots.
func (a *ACME) verifyRoots() *fault {
	if a.TrustedRoots == "" {
		return nil
	}
	_, f := a.roots()
	return f
}

// roots returns whom to trust when speaking to the CA; nil: whom this machine trusts.
func (a *ACME) roots() (*x509.CertPool, *fault) {
	if a.TrustedRoots == "" {
		return nil, nil
	}
	text, _, f := readFile(a.TrustedRoots)
	if f != nil {
		return nil, f
	}
	p, f := parsePEM(a.TrustedRoots, text)
	if f != nil {
		return nil, f
	}
	if len(p.certs) == 0 {
		return nil, &fault{file: a.TrustedRoots, problem: "no certificate inside", remedy: "Put the root certificate of the CA's server there, as PEM."}
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	for _, c := range p.certs {
		pool.AddCert(c)
	}
	return pool, nil
}
