package tlsconf

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"maps"
	"slices"
	"time"
)

// served is a certificate and the file it came from, "" for the internal CA's.
type served struct {
	file string
	cert *tls.Certificate // with its Leaf
}

// site is what one name is served with: a certificate, or two where the name has one with an RSA key and one with another.
type site struct {
	ec, rsa *tls.Certificate
}

// index finds certificates by name. It is immutable: a change makes a new one.
type index struct {
	sites map[string]*site     // by name in lower case, "*.example.com" for wildcards
	first *site                // for clients that name no host
	all   []served             // in the order of the files
	asked map[string]bool      // hosts for which the first handshake has a certificate asked for; nil: none
	since map[string]time.Time // when each certificate was first served by the block, by its identity
	turn  time.Time            // when the next certificate begins or ends to be valid, which may call for another index; zero: never
}

// maxName is the longest name looked up, that of DNS (RFC 1035 2.3.4).
const maxName = 255

// newIndex indexes certificates by all their names. Where two of one kind claim a name, the first in order has it, unless only
// the other is valid at now. The first certificate of all is for clients that name no host.
func newIndex(all []served, now time.Time) *index {
	x := &index{sites: make(map[string]*site), all: all}
	for _, s := range all {
		for _, at := range []time.Time{s.cert.Leaf.NotBefore, s.cert.Leaf.NotAfter} {
			if at.After(now) && (x.turn.IsZero() || at.Before(x.turn)) {
				x.turn = at
			}
		}
		for _, name := range namesOf(s.cert.Leaf) {
			at := x.sites[name]
			if at == nil {
				at = new(site)
				x.sites[name] = at
			}
			at.add(s.cert, now)
		}
	}
	if len(all) == 0 {
		return x
	}
	x.first = new(site)
	x.first.add(all[0].cert, now)
	// Its twin with the other kind of key, for clients that cannot use it.
	if names := namesOf(all[0].cert.Leaf); len(names) > 0 {
		if s := x.sites[names[0]]; s.ec == all[0].cert || s.rsa == all[0].cert {
			x.first = s
		}
	}
	return x
}

func (s *site) add(c *tls.Certificate, now time.Time) {
	slot := &s.ec
	if _, ok := c.Leaf.PublicKey.(*rsa.PublicKey); ok {
		slot = &s.rsa
	}
	if *slot == nil || !usable(*slot, now) && usable(c, now) {
		*slot = c
	}
}

func usable(c *tls.Certificate, now time.Time) bool {
	l := lifeOf(c.Leaf, now)
	return l == valid || l == expiresSoon
}

// lookup returns the site of a name, in any case: the exact name, else the wildcard one level up (RFC 9525 6.3), else nil. It does not
// allocate: every handshake passes here.
func (x *index) lookup(name string) *site {
	if len(name) > maxName {
		return nil
	}
	var buf [maxName]byte
	dot := -1
	for i := range len(name) {
		c := name[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c == '.' && dot < 0 {
			dot = i
		}
		buf[i] = c
	}
	if buf[0] == '*' { // would find the wildcard itself
		return nil
	}
	if s := x.sites[string(buf[:len(name)])]; s != nil {
		return s
	}
	if dot < 1 {
		return nil
	}
	buf[dot-1] = '*'
	return x.sites[string(buf[dot-1:len(name)])]
}

// choose returns the certificate for a client: the one that costs less to sign with, where the client can use it.
func (s *site) choose(hello *tls.ClientHelloInfo) *tls.Certificate {
	switch {
	case s.rsa == nil:
		return s.ec
	case s.ec == nil || !canUse(hello, s.ec):
		return s.rsa
	}
	return s.ec
}

// canUse reports whether the client can be served with c, whose key is not an RSA key. ClientHelloInfo.SupportsCertificate says the same
// (a test compares), but allocates and verifies the host name once more.
func canUse(hello *tls.ClientHelloInfo, c *tls.Certificate) bool {
	var scheme tls.SignatureScheme
	var curve tls.CurveID
	switch k := c.Leaf.PublicKey.(type) {
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256():
			scheme, curve = tls.ECDSAWithP256AndSHA256, tls.CurveP256
		case elliptic.P384():
			scheme, curve = tls.ECDSAWithP384AndSHA384, tls.CurveP384
		case elliptic.P521():
			scheme, curve = tls.ECDSAWithP521AndSHA512, tls.CurveP521
		}
	case ed25519.PublicKey:
		scheme = tls.Ed25519
	}
	if slices.Contains(hello.SupportedVersions, tls.VersionTLS13) {
		return slices.Contains(hello.SignatureSchemes, scheme)
	}
	// In TLS 1.2 a scheme names a hash but no curve (RFC 8446 4.2.3); the curve is one of the client's groups (RFC 8422 5.1). P-521 is
	// not among the groups served.
	if curve != 0 && (!slices.Contains(hello.SupportedCurves, curve) || !slices.Contains(groups, curve)) {
		return false
	}
	signs := slices.Contains(hello.SignatureSchemes, scheme)
	if curve != 0 {
		signs = slices.Contains(hello.SignatureSchemes, tls.ECDSAWithP256AndSHA256) ||
			slices.Contains(hello.SignatureSchemes, tls.ECDSAWithP384AndSHA384) ||
			slices.Contains(hello.SignatureSchemes, tls.ECDSAWithP521AndSHA512)
	}
	return signs && slices.ContainsFunc(hello.CipherSuites, func(id uint16) bool {
		return id == tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 || id == tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 ||
			id == tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
	})
}

// names returns all names the index knows, sorted.
func (x *index) names() []string { return slices.Sorted(maps.Keys(x.sites)) }

// identity tells certificates apart: two with one signature are one.
func identity(c *x509.Certificate) string { return string(c.Signature) }

// put has x served from now on.
func (c *Certificates) put(x *index, now time.Time) {
	c.putting.Lock()
	c.replace(x, now)
	c.putting.Unlock()
	if c.staples != nil {
		c.staples.changed()
	}
}

// restaple serves what is served with what CAs say of it now.
func (c *Certificates) restaple(now time.Time) {
	c.putting.Lock()
	defer c.putting.Unlock()
	if x := c.index.Load(); c.staples.on(x, now) != x {
		c.replace(x, now)
	}
}

// replace is put, one at a time.
func (c *Certificates) replace(x *index, now time.Time) {
	was := c.index.Load()
	if c.staples != nil {
		x = c.staples.on(x, now)
	}
	x.since = make(map[string]time.Time, len(x.all))
	for _, s := range x.all {
		id := identity(s.cert.Leaf)
		x.since[id] = now
		if was != nil {
			if then, ok := was.since[id]; ok {
				x.since[id] = then
			}
		}
	}
	c.index.Store(x)
	c.exports.changed()
}
