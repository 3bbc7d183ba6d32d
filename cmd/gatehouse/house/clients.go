package house

import (
	"crypto/tls"
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"gatehouse/cmd/gatehouse/config"
	"gatehouse/frontend"
	"gatehouse/tlsconf"
)

// policyOf returns what a tls block demands of clients, nil for nothing.
func policyOf(certs *tlsconf.Certificates, c *tlsconf.Config) *frontend.Policy {
	a := c.ClientAuth
	switch {
	case a == nil && !c.StrictSNI:
		return nil
	case a == nil:
		return &frontend.Policy{}
	}
	p := &frontend.Policy{Rules: certs.ClientRules, Judge: certs.JudgeClient, Lenient: a.Mode == tlsconf.RequestClient}
	if h := a.Headers; h != nil {
		p.Identity = frontend.Identity{Verify: h.Verify, Subject: h.Subject, Issuer: h.Issuer, Serial: h.Serial, Fingerprint: h.Fingerprint, Certificate: h.Certificate}
	}
	return p
}

// hstsOf returns the value of Strict-Transport-Security (RFC 6797 6.1), "" for none.
func hstsOf(c *tlsconf.Config) string {
	if c.HSTS <= 0 {
		return ""
	}
	return "max-age=" + strconv.FormatInt(int64(c.HSTS/time.Second), 10)
}

// hiddenIn returns the request fields no client may send: those that tell servers who the client is. They are hidden at every address,
// since a server believes them wherever they come from.
func hiddenIn(f *config.File) frontend.Hidden {
	var names []string
	for _, c := range f.TLS {
		if c.ClientAuth == nil {
			continue
		}
		for _, name := range c.ClientAuth.Headers.All() {
			names = append(names, name)
			if strings.EqualFold(name, "Client-Cert") { // its companion, which nobody here sends (RFC 9440 2.3)
				names = append(names, "Client-Cert-Chain")
			}
		}
	}
	return frontend.NewHidden(names)
}

// refusalPause is how long the log is silent about refused clients after a line about one.
const refusalPause = 10 * time.Second

// refusals keeps a client that is refused again and again from filling the log.
type refusals struct {
	mu   sync.Mutex // guards what follows
	told time.Time
	kept int // since then
}

// tellRefusal logs that a client's certificate was refused, or that it showed none where one is required. Whatever else goes wrong in
// handshakes is the daily business of scanners. On a loop.
func (h *House) tellRefusal(peer netip.AddrPort, err error) {
	_, ours := errors.AsType[*tlsconf.Refusal](err)
	_, theirs := errors.AsType[*tls.CertificateVerificationError](err)
	if !ours && !theirs && !strings.Contains(err.Error(), "didn't provide a certificate") {
		return
	}
	r, now := &h.refusals, time.Now()
	r.mu.Lock()
	if !r.told.IsZero() && now.Sub(r.told) < refusalPause {
		r.kept++
		r.mu.Unlock()
		return
	}
	others := r.kept
	r.told, r.kept = now, 0
	r.mu.Unlock()
	h.o.Log.Warn("client refused in the TLS handshake", zap.Stringer("client", peer), zap.Error(err), zap.Int("others_before", others))
}
