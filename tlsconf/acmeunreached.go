package tlsconf

import (
	"crypto/x509"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"time"
	"unicode"

	"github.com/caddyserver/certmagic"
)

// What others say is quoted, but not at any length.
const (
	problemMost = 1000 // bytes of what a CA has said
	causeMost   = 300  // of a cause in a sentence
)

// line makes one line of what somebody else has written, of at most so many bytes, that can be shown on a terminal.
func line(s string, most int) string {
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "?"), func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }), " ")
	if len(s) <= most {
		return s
	}
	cut := most - len("…")
	for cut > 0 && s[cut]&0xc0 == 0x80 { // within a character
		cut--
	}
	return s[:cut] + "…"
}

// statusText is how the library writes that a server has answered, but not as CAs do.
var statusText = regexp.MustCompile(`HTTP ([45]\d\d):`)

// statusOf returns the status of such an answer, "" if the error is another one.
func statusOf(err error) string {
	if m := statusText.FindStringSubmatch(err.Error()); m != nil {
		return m[1]
	}
	return ""
}

// unreached puts into a sentence why there was no talking to a CA, where that needs a remedy; "" for other errors.
func (k *Keeper) unreached(p *policy, ca string, err error) string {
	if e, ok := errors.AsType[x509.CertificateInvalidError](err); ok && e.Reason == x509.Expired {
		return fmt.Sprintf("%s cannot be trusted: its own certificate is not valid by the clock of this machine, which says %s: is that right? (%s)",
			ca, time.Now().UTC().Format(time.DateTime), line(e.Error(), causeMost))
	}
	if e, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		remedy := "write trusted_roots = \"FILE\" if it is a private CA"
		if p.c.TrustedRoots != "" {
			remedy = "neither this machine nor " + p.c.TrustedRoots + " has the root of its certificate"
		}
		return fmt.Sprintf("%s cannot be trusted: %s (%s)", ca, remedy, line(e.Error(), causeMost))
	}
	if e, ok := errors.AsType[x509.HostnameError](err); ok {
		return fmt.Sprintf("%s cannot be trusted: its own certificate is for another name (%s)", ca, line(e.Error(), causeMost))
	}
	text := err.Error()
	status := statusOf(err)
	switch {
	case strings.Contains(text, "unknown profile name"):
		return fmt.Sprintf("%s has no profile %q (%q)", ca, p.c.Profile, line(root(err).Error(), causeMost))
	case status >= "500":
		return fmt.Sprintf("%s is out of order: it answers with HTTP status %s", ca, status)
	case status == "429":
		return fmt.Sprintf("%s has been asked too often: it answers with HTTP status 429", ca)
	case status != "" && strings.Contains(text, "provisioning client"):
		return fmt.Sprintf("%s has no ACME directory at %s: it answers with HTTP status %s", ca, strings.Join(p.c.directories(), " and "), status)
	}
	return ""
}

// bindingFault reports whether a CA has refused the external account that is configured.
func (p *policy) bindingFault(said problem, err error) bool {
	if len(p.c.EAB) == 0 || said.challenge != "" {
		return false
	}
	detail := strings.ToLower(said.detail)
	return strings.Contains(err.Error(), "registering account") || strings.Contains(detail, "external account") || strings.Contains(detail, "binding") || strings.Contains(detail, "'kid'")
}

// accounts returns where the accounts of a policy are stored.
func (k *Keeper) accounts(p *policy) string {
	return filepath.Join(k.o.StateDir, "acme", certmagic.StorageKeys.Safe(p.issuers[0]), "users")
}
