package tlsconf

import (
	"fmt"
	"time"
)

// LetsEncrypt is the directory of the CA that is asked when none is named.
const LetsEncrypt = "https://acme-v02.api.letsencrypt.org/directory"

// ACME is how certificates are obtained from a certificate authority (RFC 8555) and renewed long before their end. It does so for
// the hosts of the frontends that use the tls block, in http and in tcp mode, and answers the CA's questions on their own addresses. Until
// a certificate has come, clients are served one of gatehouse's local CA.
type ACME struct {
	// Email is where the CA writes to when something is wrong with the account. Without it, the CA knows no address.
	Email string `hcl:"email,optional"`

	// Directory is the URL of the CA's ACME directory. Default: Let's Encrypt.
	Directory string `hcl:"directory,optional" default:"https://acme-v02.api.letsencrypt.org/directory"`

	// TrustedRoots is a PEM file of roots to trust when speaking to a private CA, besides those of this machine.
	TrustedRoots string `hcl:"trusted_roots,optional" path:"true"`

	// Profile is the kind of certificate to ask for, where the CA has several: Let's Encrypt's "classic", "tlsserver" and "shortlived".
	// Without it the CA chooses.
	Profile string `hcl:"profile,optional"`

	// Issue is when a certificate is asked for: "at-start", in the background, for every host; or "on-first-handshake", when the first
	// client asks for the host. The latter is for a host whose name still leads to another machine: nothing is asked, and no rate limit of
	// the CA is used up, until its name has moved here.
	Issue Issue `hcl:"issue,optional" default:"at-start"`

	// HTTPPort is the port of this machine at which the CA reaches it for HTTP-01, where port 80 is forwarded to another one. It needs
	// a bind without tls.
	HTTPPort int `hcl:"http_port,optional" default:"80"`

	// TLSPort is the port of this machine at which the CA reaches it for TLS-ALPN-01, where port 443 is forwarded to another one. It
	// needs a bind with tls.
	TLSPort int `hcl:"tls_port,optional" default:"443"`

	// Fallback lists the directories of further CAs, which are asked one after the other when the first one does not issue.
	Fallback []string `hcl:"fallback,optional"`

	// EAB names an account at a CA that asks for one (external account binding, RFC 8555 section 7.3.4).
	EAB []*EAB `hcl:"eab,block"`

	// DNS proves by a TXT record that a host is ours (DNS-01), and no more by HTTP-01 and TLS-ALPN-01. Wildcards need it.
	DNS *DNS `hcl:"dns,block"`
}

// EAB is an external account at a CA.
type EAB struct {
	// Directory is the CA it belongs to, one of fallback. Default: the directory of the acme block.
	Directory string `hcl:"directory,optional"`

	// KeyID names the account. The CA gives it out together with hmac.
	KeyID string `hcl:"key_id"`

	// HMAC is the account's key, in base64url as the CA gives it out. Better not written into the file: env("EAB_HMAC"), file("eab.key").
	HMAC string `hcl:"hmac"`
}

// DNS sets and removes the TXT record _acme-challenge.NAME by which the CA sees that the name is ours.
type DNS struct {
	// Kind is "rfc2136", updates signed with a key that BIND, Knot and PowerDNS understand (RFC 2136, RFC 8945); or "exec", a program.
	Kind DNSKind `hcl:"kind,label"`

	// Server is the name server that takes updates, with its port if that is not 53.
	Server string `hcl:"server,optional"`

	// KeyName is the name of the key, as the name server has it.
	KeyName string `hcl:"key_name,optional"`

	// KeyAlgorithm is "hmac-sha224", "hmac-sha256", "hmac-sha384" or "hmac-sha512".
	KeyAlgorithm string `hcl:"key_algorithm,optional" default:"hmac-sha256"`

	// KeySecret is the key, in base64. Better not written into the file: file("/etc/gatehouse/dns.key").
	KeySecret string `hcl:"key_secret,optional"`

	// Command is the program and its first arguments. It is run with "present" or "cleanup", the name of the record with a dot at its end, and
	// its value as further arguments, and has done its work when it ends with 0. What it writes is told when it fails. Needs
	// global.allow_exec = true.
	Command []string `hcl:"command,optional"`

	// Timeout is how long the program may take.
	Timeout time.Duration `hcl:"timeout,optional" default:"1m"`

	// Resolvers are the name servers that are asked for the zone, and whether the record is there yet. Default: those of this machine, and
	// those of the zone.
	Resolvers []string `hcl:"resolvers,optional"`

	// Propagation is how long the record may take to be seen everywhere. "0s": it is not looked for, the CA is told at once.
	Propagation time.Duration `hcl:"propagation,optional" default:"2m"`

	// Delegate is the name of the record to change instead, with _acme-challenge.NAME a CNAME to it: for a zone that takes no updates.
	Delegate string `hcl:"delegate,optional"`
}

// Issue says when a certificate is asked for.
type Issue uint8

// The times.
const (
	AtStart Issue = iota
	OnFirstHandshake
)

// DNSKind is how a record is changed.
type DNSKind uint8

// The ways.
const (
	RFC2136 DNSKind = iota + 1
	Exec
)

// Choices of the enums, in the order of their values.
var (
	issues   = [...]string{AtStart: "at-start", OnFirstHandshake: "on-first-handshake"}
	dnsKinds = [...]string{RFC2136: "rfc2136", Exec: "exec"}
)

// String returns the word of the configuration.
func (i Issue) String() string {
	if int(i) < len(issues) {
		return issues[i]
	}
	return fmt.Sprintf("Issue(%d)", uint8(i))
}

// MarshalText is String.
func (i Issue) MarshalText() ([]byte, error) { return []byte(i.String()), nil }

// UnmarshalText reads "at-start" or "on-first-handshake".
func (i *Issue) UnmarshalText(b []byte) error {
	for n, word := range issues {
		if string(b) == word {
			*i = Issue(n)
			return nil
		}
	}
	return fmt.Errorf(`unknown time to issue %q: choose "at-start" or "on-first-handshake"`, b)
}

// String returns the word of the configuration.
func (k DNSKind) String() string {
	if k > 0 && int(k) < len(dnsKinds) {
		return dnsKinds[k]
	}
	return fmt.Sprintf("DNSKind(%d)", uint8(k))
}

// MarshalText is String.
func (k DNSKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads "rfc2136" or "exec".
func (k *DNSKind) UnmarshalText(b []byte) error {
	for n, word := range dnsKinds {
		if string(b) == word && word != "" {
			*k = DNSKind(n)
			return nil
		}
	}
	return fmt.Errorf(`unknown way to change DNS %q: choose "rfc2136" or "exec"`, b)
}

// Auto is the tls block that stands for the one nobody has written: certificates from Let's Encrypt.
func Auto() *Config {
	return &Config{Name: "auto", ACME: &ACME{Directory: LetsEncrypt, HTTPPort: 80, TLSPort: 443}}
}

// directories returns all CAs, in the order they are asked.
func (a *ACME) directories() []string {
	first := a.Directory
	if first == "" {
		first = LetsEncrypt
	}
	return append([]string{first}, a.Fallback...)
}

// caOf returns the directory of the CA that an account is at.
func (a *ACME) caOf(e *EAB) string {
	if e.Directory == "" {
		return a.directories()[0]
	}
	return e.Directory
}

// eabFor returns the account at a CA, nil when there is none.
func (a *ACME) eabFor(directory string) *EAB {
	for _, e := range a.EAB {
		if a.caOf(e) == directory {
			return e
		}
	}
	return nil
}

// ports returns http_port and tls_port; 0 stands for the default.
func (a *ACME) ports() (http, tls int) {
	if http = a.HTTPPort; http == 0 {
		http = 80
	}
	if tls = a.TLSPort; tls == 0 {
		tls = 443
	}
	return http, tls
}
