package tlsconf

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"net/netip"
	"path"
	"strings"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"
)

// ChallengePath is what the paths of HTTP-01 begin with (RFC 8555 section 8.3).
const ChallengePath = "/.well-known/acme-challenge/"

// challengeTime bounds the looking for a challenge in the storage.
const challengeTime = 5 * time.Second

// IsChallenge reports whether a TLS client is a CA that looks whether a name is ours, by TLS-ALPN-01 (RFC 8737 section 3): it offers that
// protocol and no other.
func IsChallenge(hello *tls.ClientHelloInfo) bool {
	return len(hello.SupportedProtos) == 1 && hello.SupportedProtos[0] == acmez.ACMETLS1Protocol
}

// ChallengeProtocol is what such a connection speaks: nothing at all, it is closed after the handshake.
const ChallengeProtocol = acmez.ACMETLS1Protocol

// ChallengeConfig returns the configuration to shake hands with whoever IsChallenge, for every name the Keeper is in charge of.
func (k *Keeper) ChallengeConfig() *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS12,
		NextProtos:             []string{acmez.ACMETLS1Protocol},
		SessionTicketsDisabled: true,
		GetCertificate:         k.challengeCertificate,
	}
}

// challengeCertificate answers a challenge by TLS-ALPN-01. Without one the CA gets the alert unrecognized_name.
func (k *Keeper) challengeCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := strings.ToLower(hello.ServerName)
	var cert *tls.Certificate
	var err error
	k.o.Block(hello.Conn, func() { cert, err = k.tlsAnswer(name) })
	return cert, err
}

// tlsAnswer finds the certificate that answers a challenge for a name.
func (k *Keeper) tlsAnswer(name string) (*tls.Certificate, error) {
	if c, ok := certmagic.GetACMEChallenge(name); ok && c.Type == acme.ChallengeTypeTLSALPN01 {
		return acmez.TLSALPN01ChallengeCert(c.Challenge)
	}
	if c := k.tokenCert(name); c != nil {
		return c, nil
	}
	if !k.knows(name) {
		return nil, nil
	}
	if c, ok := k.storedChallenge(name); ok && c.Type == acme.ChallengeTypeTLSALPN01 {
		return acmez.TLSALPN01ChallengeCert(c)
	}
	return nil, nil
}

// Challenge returns the answer to a challenge by HTTP-01, if there is one. What is asked for is host, without a port, and path, which
// begins with ChallengePath. With all false only what this process has begun itself is looked for, which takes no time; another one may have
// begun it where several share the state directory.
func (k *Keeper) Challenge(host, path string, all bool) (answer string, ok bool) {
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	token := strings.TrimPrefix(path, ChallengePath)
	if c, ok := certmagic.GetACMEChallenge(host); ok && answers(c.Challenge, host, token) {
		return c.KeyAuthorization, true
	}
	if a, ok := k.token(host, token); ok {
		return a, true
	}
	if !all || !k.knows(host) || !isToken(token) {
		return "", false
	}
	if c, ok := k.storedChallenge(host); ok && answers(c, host, token) {
		return c.KeyAuthorization, true
	}
	return k.storedToken(host, token)
}

// Expects reports whether Challenge may find something for that host when it looks everywhere.
func (k *Keeper) Expects(host string) bool {
	return k.knows(strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), ".")))
}

// answers reports whether c is the challenge somebody asks for. The name counts too, or whoever makes a name lead here could learn answers
// that are for others.
func answers(c acme.Challenge, host, token string) bool {
	return c.Type == acme.ChallengeTypeHTTP01 && c.Token == token && strings.EqualFold(c.Identifier.Value, host)
}

// isToken reports whether s can be a token: base64url (RFC 8555 section 8.1).
func isToken(s string) bool {
	return s != "" && len(s) <= 256 && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_')
	})
}

// knows reports whether the Keeper is in charge of a name; the name under which a CA asks for an IP address is its reverse one (RFC 8738
// section 6).
func (k *Keeper) knows(name string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.charges[name] != nil {
		return true
	}
	if !strings.HasSuffix(name, ".arpa") {
		return false
	}
	for host := range k.charges {
		if _, err := netip.ParseAddr(host); err == nil {
			return true
		}
	}
	return false
}

// storedChallenge finds a challenge for a name that an instance with the same storage has begun, at whichever CA.
func (k *Keeper) storedChallenge(name string) (c acme.Challenge, ok bool) {
	ctx, cancel := context.WithTimeout(k.ctx, challengeTime)
	defer cancel()
	cas, err := k.storage.List(ctx, "acme", false)
	if err != nil {
		return c, false
	}
	for _, ca := range cas {
		text, err := k.storage.Load(ctx, path.Join(ca, "challenge_tokens", certmagic.StorageKeys.Safe(name)+".json"))
		if err == nil && json.Unmarshal(text, &c) == nil {
			return c, true
		}
	}
	return c, false
}
