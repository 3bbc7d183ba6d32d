package frontend

import (
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"strings"

	"gatehouse/backend/h1"
)

// Identity names the request fields that tell servers who a client is, by its certificate. Those that are "" are not sent.
type Identity struct {
	Verify, Subject, Issuer, Serial, Fingerprint, Certificate string
}

// identityLine is a field that goes to the servers with each request of a connection.
type identityLine struct{ name, value string }

// maxReason is how much of what is wrong with a certificate a server is told: it may hold names the client has made up.
const maxReason = 200

// lines returns the fields for what a client has shown, and what is wrong with it. A name in a certificate that is not good is nobody's, so
// it is not passed on. The certificate and its fingerprint are: the client has proved that it holds the key.
func (n *Identity) lines(shown []*x509.Certificate, fault error) (list []identityLine) {
	add := func(name, value string) {
		if name != "" {
			list = append(list, identityLine{name, value})
		}
	}
	if len(shown) == 0 {
		add(n.Verify, "NONE")
		return list
	}
	cert := shown[0]
	if fault != nil {
		reason := printable(fault.Error())
		add(n.Verify, "FAILED:"+reason[:min(len(reason), maxReason)])
	} else {
		add(n.Verify, "SUCCESS")
		add(n.Subject, distinguished(cert.Subject))
		add(n.Issuer, distinguished(cert.Issuer))
		add(n.Serial, serial(cert))
	}
	if n.Fingerprint != "" {
		sum := sha256.Sum256(cert.Raw)
		add(n.Fingerprint, hex.EncodeToString(sum[:]))
	}
	if n.Certificate != "" { // "a Byte Sequence (RFC 8941 3.3.5)" (RFC 9440 2.1)
		add(n.Certificate, ":"+base64.StdEncoding.EncodeToString(cert.Raw)+":")
	}
	return list
}

// serial returns a serial number as "openssl x509 -serial" prints it: upper-case digits, an even number of them.
func serial(c *x509.Certificate) string {
	text := strings.ToUpper(c.SerialNumber.Text(16))
	if len(text)%2 == 1 {
		text = "0" + text
	}
	return text
}

// distinguished returns a name as RFC 4514 writes it. "Each octet of the character to be escaped is replaced by a backslash and two
// hex digits" (2.4): so are all that a header field must not hold, above all line ends, which pkix leaves as they are.
func distinguished(n pkix.Name) string {
	text := n.String()
	if clean(text) {
		return text
	}
	var b strings.Builder
	for _, c := range []byte(text) {
		if c < ' ' || c >= 0x7f {
			b.WriteByte('\\')
			b.WriteByte(upperHex[c>>4])
			b.WriteByte(upperHex[c&15])
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// printable replaces what a header field must not hold.
func printable(text string) string {
	if clean(text) {
		return text
	}
	b := []byte(text)
	for i, c := range b {
		if c < ' ' || c >= 0x7f {
			b[i] = '?'
		}
	}
	return string(b)
}

// clean reports whether text has nothing but visible ASCII characters and blanks, and can stand in a field as it is.
func clean(text string) bool {
	for _, c := range []byte(text) {
		if c < ' ' || c >= 0x7f {
			return false
		}
	}
	return true
}

// Hidden are names of request fields that only this proxy may set: servers believe them. They are as NewHidden made them.
type Hidden []string

// NewHidden returns the set of names.
func NewHidden(names []string) (h Hidden) {
	for _, n := range names {
		folded := make([]byte, len(n))
		for i := range len(n) {
			folded[i] = foldName(n[i])
		}
		h = append(h, string(folded))
	}
	return h
}

// foldName maps characters of names to one that servers may take for the same: they map the case away, and gateways like CGI every
// hyphen, underscore and dot to one character (RFC 3875 4.1.18).
func foldName(c byte) byte {
	switch {
	case c >= 'A' && c <= 'Z':
		return c + 'a' - 'A'
	case c >= 'a' && c <= 'z' || c >= '0' && c <= '9':
		return c
	}
	return '-'
}

// has reports whether the name of a field could be taken for one of the set.
func (h Hidden) has(name []byte) bool {
names:
	for _, n := range h {
		if len(n) != len(name) {
			continue
		}
		for i, c := range name {
			if foldName(c) != n[i] {
				continue names
			}
		}
		return true
	}
	return false
}

// clear deletes the fields of the set.
func (h Hidden) clear(from *h1.Header) {
	for i, name := range from.All() {
		if h.has(name) {
			from.DelAt(i)
		}
	}
}

// remove takes the fields of the set out of a request, and out of what may follow its content.
func (h Hidden) remove(req *h1.Request) {
	h.clear(&req.Header)
	if req.Body != nil && req.Length < 0 {
		req.Body = &trailerless{Body: req.Body, hidden: h}
	}
}

// trailerless is content whose trailer has no field of a set.
type trailerless struct {
	h1.Body
	hidden Hidden
}

// Trailer is h1.Body's.
func (b *trailerless) Trailer() *h1.Header {
	t := b.Body.Trailer()
	if t != nil {
		b.hidden.clear(t)
	}
	return t
}

// Ready reports whether the next piece is here.
func (b *trailerless) Ready() bool {
	r, ok := b.Body.(interface{ Ready() bool })
	return ok && r.Ready()
}

// Interrupt ends a wait for the next piece.
func (b *trailerless) Interrupt() {
	if i, ok := b.Body.(interface{ Interrupt() }); ok {
		i.Interrupt()
	}
}

// Done reports whether the whole content has come.
func (b *trailerless) Done() bool {
	d, ok := b.Body.(interface{ Done() bool })
	return ok && d.Done()
}
