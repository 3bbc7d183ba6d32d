package tlsconf

import (
	"context"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// Certificates are the certificates of a tls block, kept fresh: changed files are taken up, internal certificates renewed, ticket keys
// turned. All methods may be called at once.
type Certificates struct {
	c       *Config
	log     *zap.Logger
	index   atomic.Pointer[index]
	config  *tls.Config
	tickets *Tickets
	files   *files     // nil for internal
	ca      *authority // nil for files
	acme    *acmeBlock // nil without an acme block

	cancel context.CancelFunc
	work   sync.WaitGroup
}

// New loads the certificates of c, which it keeps and nobody may change afterwards, and keeps them fresh until ctx ends or Close
// is called. It fails when there is nothing to serve at all; a bad file among good ones is logged as an error and left out. log may be nil.
func New(ctx context.Context, c *Config, log *zap.Logger) (*Certificates, error) {
	if log == nil {
		log = zap.NewNop()
	}
	own := *c
	if own.Watch == nil {
		own.Watch = kernelEvents
	}
	certs := &Certificates{c: &own, log: log.With(zap.String("tls", c.Name)), tickets: c.Tickets}
	if certs.tickets == nil {
		certs.tickets = NewTickets()
	}
	for _, p := range c.contradictions() {
		if !p.Warning {
			return nil, fmt.Errorf("tls %q: %s", c.Name, p.Problem)
		}
	}
	if err := certs.load(time.Now()); err != nil {
		return nil, fmt.Errorf("tls %q: %w", c.Name, err)
	}
	certs.config = certs.ConfigFor("http/1.1")

	ctx, certs.cancel = context.WithCancel(ctx)
	certs.work.Go(func() { certs.tickets.keep(ctx) })
	if certs.acme != nil {
		certs.work.Go(func() { certs.acme.attend(ctx) })
	}
	if c.Internal {
		certs.work.Go(func() { certs.renew(ctx) })
	} else if certs.files != nil {
		certs.work.Go(func() { certs.watch(ctx) })
	}
	return certs, nil
}

// load fills the index for the first time.
func (c *Certificates) load(now time.Time) error {
	if c.c.Internal {
		c.ca = openOrMakeAuthority(c.c.StateDir, now, c.log)
		leaf, err := c.ca.issue(internalNames(c.c.Hosts), now)
		if err != nil {
			return fmt.Errorf("internal certificate: %w", err)
		}
		c.index.Store(newIndex([]served{{cert: leaf}}, now))
		return nil
	}
	if c.c.ACME != nil && c.c.Certificate == "" {
		return c.startACME(nil, now)
	}
	c.files = newFiles(c.c)
	_, bad := c.files.read(true, now)
	all := c.files.served()
	if len(all) == 0 && c.c.ACME == nil {
		var errs []error
		for _, f := range bad {
			if !f.warning {
				errs = append(errs, f)
			}
		}
		return errors.Join(errs...)
	}
	for _, f := range bad {
		if f.warning {
			c.log.Warn(f.problem, zap.String("file", f.file), zap.String("remedy", f.remedy))
			continue
		}
		c.log.Error("certificate file is not usable; its site is not served, others are",
			zap.String("file", f.file), zap.String("problem", f.problem), zap.String("remedy", f.remedy))
	}
	if c.c.ACME != nil {
		return c.startACME(all, now)
	}
	c.index.Store(newIndex(all, now))
	return nil
}

// Config returns the configuration for a listener that speaks HTTP/1.1. It is one and the same at each call, shared by any number of
// connections, and must not be changed; a Clone may be.
func (c *Certificates) Config() *tls.Config { return c.config }

// ConfigFor returns a configuration of its own that offers the given application protocols (ALPN, RFC 7301), the preferred one
// first; none for a relay that does not care. Certificates and tickets are the same as Config's.
func (c *Certificates) ConfigFor(protos ...string) *tls.Config {
	t := c.c.serverConfig()
	t.NextProtos = protos
	t.GetCertificate = c.certificate
	c.tickets.serve(t)
	return t
}

// certificate is the GetCertificate of all configurations. It looks up memory without a lock or an allocation, since it runs on the
// engine's loops. No certificate and no error make crypto/tls send the alert unrecognized_name (RFC 6066 3), where an error of
// our own would be internal_error.
func (c *Certificates) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	x := c.index.Load()
	s := x.first
	if hello.ServerName != "" {
		s = x.lookup(hello.ServerName)
	} else if c.c.StrictSNI {
		s = nil
	}
	if s == nil {
		return nil, nil
	}
	if x.asked != nil {
		if first := c.acme.first(x, hello); first != nil {
			return first, nil
		}
	}
	return s.choose(hello), nil
}

// Tickets returns what seals the session tickets, for the Config of the generation that takes over.
func (c *Certificates) Tickets() *Tickets { return c.tickets }

// RootPEM returns the root certificate of the internal CA as PEM, for clients to trust; nil without an internal CA.
func (c *Certificates) RootPEM() []byte {
	if c.ca == nil {
		return nil
	}
	return c.ca.pem
}

// RootFile returns the path of the root certificate of the internal CA, for "curl --cacert"; "" where there is none, or only in memory.
func (c *Certificates) RootFile() string {
	if c.ca == nil {
		return ""
	}
	return c.ca.file
}

// Names returns the names certificates are served for, sorted, in lower case, wildcards as "*.example.com".
func (c *Certificates) Names() []string { return c.index.Load().names() }

// Status describes one certificate being served.
type Status struct {
	Names       []string // as Names, in the certificate's order
	File        string   // where it was read from; "" for the internal CA's
	Issuer      string   // distinguished name
	Key         string   // "ECDSA P-256", "RSA 2048"
	NotBefore   time.Time
	NotAfter    time.Time
	State       string   // "valid", "expires soon", "expired" or "not yet valid"
	Fingerprint [32]byte // SHA-256 of the certificate
	Default     bool     // served to clients that name no host
}

// List describes the certificates being served, in the order of their files.
func (c *Certificates) List() []Status {
	x, now := c.index.Load(), time.Now()
	out := make([]Status, 0, len(x.all))
	for _, s := range x.all {
		l := s.cert.Leaf
		out = append(out, Status{
			Names: namesOf(l), File: s.file, Issuer: l.Issuer.String(), Key: keyName(l.PublicKey),
			NotBefore: l.NotBefore, NotAfter: l.NotAfter, State: string(lifeOf(l, now)),
			Fingerprint: sha256.Sum256(l.Raw),
			Default:     !c.c.StrictSNI && (x.first.ec == s.cert || x.first.rsa == s.cert),
		})
	}
	return out
}

func keyName(public any) string {
	switch k := public.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d", k.N.BitLen())
	case *ecdsa.PublicKey:
		return "ECDSA " + k.Curve.Params().Name
	}
	return "Ed25519"
}

// Close ends what keeps the certificates fresh and waits for it. The configurations stay usable, as they are.
func (c *Certificates) Close() {
	c.cancel()
	c.work.Wait()
	if c.acme != nil {
		c.acme.close()
	}
}
