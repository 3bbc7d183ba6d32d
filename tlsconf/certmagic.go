package tlsconf

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/base64"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3/acme"
)

// Reach is where a CA finds this machine: the open addresses. On the ports that the acme block names it asks its questions.
type Reach struct {
	HTTP []netip.AddrPort // that speak plain HTTP
	TLS  []netip.AddrPort
}

// policy is what an acme block says, at work: how the certificates of its hosts are obtained. The CAs to ask never change, but the
// addresses at which they can ask back may.
type policy struct {
	k       *Keeper
	c       *ACME
	name    string   // of the tls block
	hosts   []string // as certificates name them
	issuers []string // the CAs, as the storage names them, in the order they are asked
	roots   *x509.CertPool
	magic   atomic.Pointer[certmagic.Config] // nil until it is known where CAs find this machine
	patient atomic.Pointer[certmagic.Config] // likewise, for certificates whose CA says when to renew them
	http    bool                             // they can ask by HTTP-01, guarded by Keeper.mu as the rest
	tls     bool
	lazy    bool                   // certificates are asked for by the first handshake
	certs   map[string]*servedCert // what is served, by host; guarded by Keeper.mu
	changed func()                 // tells the tls block that a certificate is another one
}

// newPolicy makes a policy that is in charge of nothing yet.
func newPolicy(k *Keeper, name string, c *ACME, hosts []string, changed func()) (*policy, error) {
	p := &policy{k: k, c: c, name: name, hosts: hosts, changed: changed, lazy: c.Issue == OnFirstHandshake}
	for _, d := range c.directories() {
		p.issuers = append(p.issuers, issuerName(d))
	}
	roots, f := c.roots()
	if f != nil {
		return nil, f
	}
	p.roots = roots
	return p, nil
}

// same reports whether p asks the same CAs in the same way as o, so that what failed with one would fail with the other.
func (p *policy) same(o *policy) bool {
	return slices.Equal(p.issuers, o.issuers) && p.c.Email == o.c.Email && p.c.Profile == o.c.Profile && p.c.Issue == o.c.Issue &&
		p.http == o.http && p.tls == o.tls && (p.c.DNS == nil) == (o.c.DNS == nil)
}

// byDNS reports whether CAs look into the DNS.
func (p *policy) byDNS() bool { return p.c.DNS != nil }

// reachable reports whether there is a way for CAs to see that the hosts are ours.
func (p *policy) reachable() bool { return p.byDNS() || p.http || p.tls }

// setReach makes the policy ready to ask CAs, which find this machine at those addresses. It reports whether that changes the ways there are.
func (p *policy) setReach(r Reach) bool {
	httpPort, tlsPort := p.c.ports()
	byHTTP, byTLS := onPort(r.HTTP, httpPort), onPort(r.TLS, tlsPort)
	// The library looks whether somebody listens at the one host it knows and would listen there itself otherwise: so it has to be one at
	// which both ports are open. Without such a host HTTP-01 alone is left.
	host, ok := meeting(byHTTP, byTLS)
	if !ok {
		if len(byHTTP) > 0 {
			byTLS = nil
		}
		host, _ = meeting(slices.Concat(byHTTP, byTLS), slices.Concat(byHTTP, byTLS))
	}
	moved := p.http != (len(byHTTP) > 0) || p.tls != (len(byTLS) > 0)
	p.http, p.tls = len(byHTTP) > 0, len(byTLS) > 0
	listenHost := host.String()

	p.magic.Store(p.config(p.k.pace.window, listenHost))
	p.patient.Store(p.config(patience, listenHost))
	return moved
}

// config makes what certmagic works with: it renews in the last part of a lifetime, window.
func (p *policy) config(window float64, listenHost string) *certmagic.Config {
	cfg := certmagic.New(p.k.cache, certmagic.Config{
		Storage:   p.k.storage,
		Logger:    p.k.chatter,
		OnEvent:   p.k.event,
		KeySource: certmagic.StandardKeyGenerator{KeyType: certmagic.P256},

		RenewalWindowRatio: window,
		// Nothing is asked of a CA by way of this one: certmagic makes an issuer of its own from its defaults where there is none.
		Issuers: []certmagic.Issuer{},
	})
	for _, d := range p.c.directories() {
		cfg.Issuers = append(cfg.Issuers, p.issuer(cfg, d, listenHost))
	}
	return cfg
}

// issuer makes the client of one CA. For Let's Encrypt certmagic adds the staging CA, where it tries again what has failed.
func (p *policy) issuer(cfg *certmagic.Config, directory, listenHost string) certmagic.Issuer {
	httpPort, tlsPort := p.c.ports()
	t := certmagic.ACMEIssuer{
		CA: directory, Agreed: true, Profile: p.c.Profile, TrustedRoots: p.roots,
		ListenHost: listenHost, AltHTTPPort: httpPort, AltTLSALPNPort: tlsPort,
		DisableHTTPChallenge: !p.http, DisableTLSALPNChallenge: !p.tls,
		Email: p.email(), Logger: p.k.chatter, CertObtainTimeout: issueTime,
	}
	if p.c.Email == "" {
		t.NewAccountFunc = func(_ context.Context, _ *certmagic.ACMEIssuer, a acme.Account) (acme.Account, error) {
			a.Contact = nil
			return a, nil
		}
	}
	if e := p.c.eabFor(directory); e != nil {
		key, _ := e.key() // checked before
		t.ExternalAccount = &acme.EAB{KeyID: e.KeyID, MACKey: base64.RawURLEncoding.EncodeToString(key)}
	}
	if p.byDNS() {
		t.DNS01Solver = p.c.DNS.solver(p.k.chatter)
	}
	return certmagic.NewACMEIssuer(cfg, t)
}

// email returns what accounts are stored under. Without an address the library would ask for one on the terminal: the name it stores an account
// without address under serves as well, and the account itself gets none.
func (p *policy) email() string { return cmp.Or(p.c.Email, "default") }

// issueTime bounds how long a CA may take to look at a challenge and to sign.
const issueTime = 90 * time.Second

// onPort returns the hosts of the addresses with that port. The zero Addr is every address of this machine.
func onPort(list []netip.AddrPort, port int) (hosts []netip.Addr) {
	for _, a := range list {
		if int(a.Port()) == port {
			hosts = append(hosts, a.Addr().Unmap())
		}
	}
	return hosts
}

// meeting returns a host at which listeners of both lists are reached.
func meeting(a, b []netip.Addr) (netip.Addr, bool) {
	loopbacks := []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}
	for _, host := range slices.Concat(a, b, loopbacks) {
		if host.IsValid() && !host.IsUnspecified() && reached(a, host) && reached(b, host) {
			return host, true
		}
	}
	return loopbacks[0], false
}

// reached reports whether one of the listeners is reached at host.
func reached(list []netip.Addr, host netip.Addr) bool {
	return slices.ContainsFunc(list, func(a netip.Addr) bool {
		return !a.IsValid() || a == host || a.IsUnspecified() && a.Is4() == host.Is4()
	})
}
