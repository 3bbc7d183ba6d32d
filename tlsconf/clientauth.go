package tlsconf

import (
	"fmt"
	"strings"
)

// ClientAuth asks clients for a certificate of their own.
type ClientAuth struct {
	// CA is a PEM file with the certificates of the authorities whose client certificates are good; certificates of intermediate
	// authorities may stand in it too. The file is watched: a changed one counts for the next handshake, and for the next request on
	// connections that are open.
	CA string `hcl:"ca,optional" path:"true"`

	// Mode says what happens to whom: "require" lets in only clients with a good certificate; "verify" lets in those without a
	// certificate too, but none with a bad one; "request" lets in everybody, and only tells the servers (by headers) what it found.
	Mode ClientMode `hcl:"mode,optional" default:"require"`

	// CRL is a file with revocation lists, PEM or DER, watched like ca. Every authority in a client's chain but the last must have one
	// in it, and one that is out of date refuses all certificates of that authority: a list that is not renewed any more cannot
	// say who is still good. Without it, nobody is asked whether a certificate was revoked.
	CRL string `hcl:"crl,optional" path:"true"`

	// Headers tells servers who the client is.
	Headers *ClientHeaders `hcl:"headers,block"`
}

// ClientHeaders are the request header fields that tell servers who the client is. None is sent unless it is named here. What a client
// itself sends under one of the names, in any case and with other characters in the place of its hyphens, is removed: on every
// address of every frontend.
type ClientHeaders struct {
	// Verify names the field that says what became of the certificate: "SUCCESS", "NONE" when the client has shown none, or "FAILED:"
	// and the reason, which mode "request" alone lets in. Usually "X-SSL-Client-Verify".
	Verify string `hcl:"verify,optional"`

	// Subject names the field with the distinguished name (RFC 4514) of a good certificate, such as "CN=alice,O=Example". Usually
	// "X-SSL-Client-DN".
	Subject string `hcl:"subject,optional"`

	// Issuer names the field with the distinguished name of the authority that issued a good certificate.
	Issuer string `hcl:"issuer,optional"`

	// Serial names the field with the serial number of a good certificate, in upper-case hexadecimal digits as openssl prints it.
	// Usually "X-SSL-Client-Serial".
	Serial string `hcl:"serial,optional"`

	// Fingerprint names the field with the SHA-256 of the certificate in hexadecimal digits, of one that is not good too: the client
	// has proved that it has the key. Usually "X-SSL-Client-Fingerprint".
	Fingerprint string `hcl:"fingerprint,optional"`

	// Certificate names the field with the whole certificate in base64 between colons (RFC 9440), of one that is not good too. Usually
	// "Client-Cert".
	Certificate string `hcl:"certificate,optional"`
}

// ClientMode says who is let in.
type ClientMode uint8

// The modes, by what happens to clients without a good certificate.
const (
	RequireClient ClientMode = iota
	VerifyClient
	RequestClient
)

var clientModes = [...]string{RequireClient: "require", VerifyClient: "verify", RequestClient: "request"}

// String returns the word of the configuration.
func (m ClientMode) String() string {
	if int(m) < len(clientModes) {
		return clientModes[m]
	}
	return fmt.Sprintf("ClientMode(%d)", uint8(m))
}

// MarshalText is String.
func (m ClientMode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads "require", "verify" or "request".
func (m *ClientMode) UnmarshalText(b []byte) error {
	for i, word := range clientModes {
		if string(b) == word {
			*m = ClientMode(i)
			return nil
		}
	}
	return fmt.Errorf(`unknown mode %q: choose "require", "verify" or "request"`, b)
}

// Check reports what contradicts itself.
func (a *ClientAuth) Check(bad func(field any, problem, remedy string)) {
	if a.CA == "" && a.Mode != RequestClient {
		bad(&a.CA, fmt.Sprintf("client_auth with mode %q and without ca", a.Mode),
			`No certificate would be good. Name the file of the authority that issues your clients' certificates: ca = "clients.pem".`)
	}
	if a.CRL != "" && a.CA == "" {
		bad(&a.CRL, "crl is set without ca", "A revocation list is good only when a known authority has signed it. Name the authority's file: ca = \"clients.pem\".")
	}
}

// Advise warns of a certificate nobody looks at.
func (a *ClientAuth) Advise(warn func(field any, problem, remedy string)) {
	if a.Mode == RequestClient && a.Headers == nil {
		warn(a, `client_auth with mode "request" and without headers`, "Everybody is let in, and no server hears of the certificate. Add a headers block, or choose another mode.")
	}
}

// All returns the names that are set, in the order of the fields.
func (h *ClientHeaders) All() (names []string) {
	if h == nil {
		return nil
	}
	for _, f := range h.fields() {
		if *f.name != "" {
			names = append(names, *f.name)
		}
	}
	return names
}

// fields are the attributes with their words.
func (h *ClientHeaders) fields() []headerField {
	return []headerField{
		{"verify", &h.Verify}, {"subject", &h.Subject}, {"issuer", &h.Issuer}, {"serial", &h.Serial},
		{"fingerprint", &h.Fingerprint}, {"certificate", &h.Certificate},
	}
}

type headerField struct {
	word string
	name *string
}

// Check reports names that are no header's, or one that is in use already.
func (h *ClientHeaders) Check(bad func(field any, problem, remedy string)) {
	if len(h.All()) == 0 {
		bad(h, "headers without a name", `Name at least one, such as subject = "X-SSL-Client-DN".`)
	}
	seen := map[string]string{}
	for _, f := range h.fields() {
		name := strings.ToLower(*f.name)
		switch fault := headerFault(name); {
		case name == "":
		case fault != "":
			bad(f.name, fmt.Sprintf("%s = %q %s", f.word, *f.name, fault), `Write a name such as "X-SSL-Client-DN".`)
		case seen[name] != "":
			bad(f.name, fmt.Sprintf("%s and %s have the same name", seen[name], f.word), "Each field needs one of its own.")
		default:
			seen[name] = f.word
		}
	}
}

// taken are fields that mean something already: overwriting one of them would break requests.
var taken = map[string]bool{
	"host": true, "connection": true, "content-length": true, "transfer-encoding": true, "te": true, "trailer": true, "upgrade": true,
	"keep-alive": true, "proxy-connection": true, "expect": true, "cookie": true, "content-type": true, "content-encoding": true,
	"authorization": true, "proxy-authorization": true, "x-forwarded-for": true, "x-forwarded-proto": true, "x-forwarded-host": true,
	"forwarded": true, "range": true, "accept-encoding": true, "accept": true, "user-agent": true, "cache-control": true, "via": true,
}

// headerFault says what keeps name, in lower case, from being the name of a field of our own (RFC 9110 5.1). "" means nothing does.
func headerFault(name string) string {
	if taken[name] {
		return "is a header with a meaning of its own"
	}
	letter := false
	for _, c := range []byte(name) {
		switch {
		case c >= 'a' && c <= 'z' || c >= '0' && c <= '9':
			letter = true
		case c == '_':
			return "has an underscore, which many servers confuse with a hyphen"
		case strings.IndexByte("!#$%&'*+-.^`|~", c) < 0:
			return "has a character no header name may have"
		}
	}
	if name != "" && !letter {
		return "has no letter in it"
	}
	return ""
}
