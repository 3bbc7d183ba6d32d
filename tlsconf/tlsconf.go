package tlsconf

import (
	"context"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
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
	clients *clients   // nil when clients are not asked for certificates
	exports *exporter  // nil without an export block
	led     sync.Once
	staples *stapler   // nil where the internal CA issues, which nobody can ask
	putting sync.Mutex // held while the index is replaced
	refused atomic.Pointer[[]refusedFile]

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
	certs.exports = newExporter(certs)
	if !c.Internal {
		certs.staples = newStapler(certs)
	}
	if err := certs.load(time.Now()); err != nil {
		return nil, fmt.Errorf("tls %q: %w", c.Name, err)
	}
	if c.ClientAuth != nil {
		var err error
		if certs.clients, err = openClients(c.ClientAuth, time.Now(), certs.log, certs.plainConfig); err != nil {
			return nil, fmt.Errorf("tls %q: client_auth: %w", c.Name, err)
		}
	}
	certs.config = certs.ConfigFor("http/1.1")

	ctx, certs.cancel = context.WithCancel(ctx)
	certs.work.Go(func() { certs.tickets.keep(ctx) })
	if certs.staples != nil {
		certs.work.Go(func() { certs.staples.run(ctx) })
	}
	if certs.exports != nil {
		certs.work.Go(func() { certs.exports.run(ctx) })
	}
	if certs.clients != nil {
		certs.work.Go(func() { certs.clients.watch(ctx, own.Watch) })
	}
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
		c.put(newIndex([]served{{cert: leaf}}, now), now)
		return nil
	}
	if c.c.ACME != nil && c.c.Certificate == "" {
		return c.startACME(nil, now)
	}
	c.files = newFiles(c.c)
	_, bad := c.files.read(true, now)
	c.refused.Store(c.files.refused())
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
	c.put(newIndex(all, now), now)
	return nil
}

// Config returns the configuration for a listener that speaks HTTP/1.1. It is one and the same at each call, shared by any number of
// connections, and must not be changed; a Clone may be.
func (c *Certificates) Config() *tls.Config { return c.config }

// ConfigFor returns a configuration of its own that offers the given application protocols (ALPN, RFC 7301), the preferred one
// first; none for a relay that does not care. Certificates and tickets are the same as Config's. Where clients are asked for certificates,
// it has a GetConfigForClient, which whoever puts another one in its place must call.
func (c *Certificates) ConfigFor(protos ...string) *tls.Config {
	if c.clients != nil {
		return c.clients.config(protos)
	}
	return c.plainConfig(protos)
}

// plainConfig is ConfigFor without a word about clients.
func (c *Certificates) plainConfig(protos []string) *tls.Config {
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

// ClientRules returns a number that changes whenever what makes the certificates of clients good may have changed, 0 where clients are not
// asked for any.
func (c *Certificates) ClientRules() uint64 {
	if c.clients == nil {
		return 0
	}
	return c.clients.trust.Load().version
}

// JudgeClient says what is wrong with the certificates a client has shown, by the rules of this moment; nil when nothing is. None at all
// are wrong in mode "require" only.
func (c *Certificates) JudgeClient(shown []*x509.Certificate) error {
	if c.clients == nil {
		return nil
	}
	return c.clients.verdict(shown)
}

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
	State       string   // "valid", "expires soon", "expired", "not yet valid" or "not usable"
	Fingerprint [32]byte // SHA-256 of the certificate
	Default     bool     // served to clients that name no host
	Problem     string   // why what is in the file now is not served; "" when it is
}

// stateRefused is the state of a file that nothing is served of.
const stateRefused = "not usable"

// List describes the certificates being served, in the order of their files. At its end are files that nothing is served of, with their
// problem and without names.
func (c *Certificates) List() []Status {
	x, now := c.index.Load(), time.Now()
	out := make([]Status, 0, len(x.all))
	problems := map[string]string{}
	var refused []refusedFile
	if r := c.refused.Load(); r != nil {
		refused = *r
		for _, f := range refused {
			problems[f.path] = f.problem
		}
	}
	for _, s := range x.all {
		l := s.cert.Leaf
		out = append(out, Status{
			Names: namesOf(l), File: s.file, Issuer: l.Issuer.String(), Key: keyName(l.PublicKey),
			NotBefore: l.NotBefore, NotAfter: l.NotAfter, State: string(lifeOf(l, now)),
			Fingerprint: sha256.Sum256(l.Raw),
			Default:     !c.c.StrictSNI && (x.first.ec == s.cert || x.first.rsa == s.cert),
			Problem:     problems[s.file],
		})
	}
	for _, f := range refused {
		if !slices.ContainsFunc(x.all, func(s served) bool { return s.file == f.path }) {
			out = append(out, Status{File: f.path, State: stateRefused, Problem: f.problem})
		}
	}
	if c.clients != nil {
		if p := c.clients.problem(); p != "" {
			out = append(out, Status{File: c.c.ClientAuth.CA, State: stateRefused, Problem: p})
		}
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
