package tlsconf

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
)

// importedDir is where, below the state directory, certificates for several names are kept that another program had obtained. A CA gives
// gatehouse one for each name; until it has, these are served.
const importedDir = "imported"

// Imported is what has become of a certificate that was brought in.
type Imported struct {
	Block   string    // the tls block that serves it
	Names   []string  // all it is good for
	Managed bool      // it is renewed by ACME in time; else it is served until other ones have been obtained for its names
	Known   bool      // it had been there already, and nothing was changed
	File    string    // where it is now
	Until   time.Time // its end
}

// Import puts a certificate with its key, as PEM, where the acme blocks among the given ones find it: one for a single name as if it had been
// issued to gatehouse, which renews it in time, and one for several names to be served until each of them has its own. Hosts of
// the blocks are all that they are for. One that would take the place of another that is good for longer is refused, unless force is set. Files are
// written below stateDir; a Keeper at work there is told by Certificates.Import.
func Import(ctx context.Context, stateDir string, blocks []*Config, text []byte, force bool) (*Imported, error) {
	now := time.Now()
	c, err := importable(text, now)
	if err != nil {
		return nil, err
	}
	names := namesOf(c.Leaf)
	out := &Imported{Names: names, Until: c.Leaf.NotAfter}
	for _, b := range blocks {
		hosts := b.certifiedHosts()
		switch {
		case b.ACME == nil || !slices.ContainsFunc(hosts, func(h string) bool { return covers(names, h) }):
			continue
		case len(names) == 1 && slices.Contains(hosts, names[0]):
			err = out.manage(ctx, stateDir, b, c, force)
		default:
			err = out.keep(stateDir, b, c, force)
		}
		return out, err
	}
	return nil, fmt.Errorf("no tls block obtains certificates by ACME for %s: name it in hosts first", strings.Join(names, ", "))
}

// importable reads a certificate with its key and says why it is of no use.
func importable(text []byte, now time.Time) (*tls.Certificate, error) {
	p, f := parsePEM("the certificate", text)
	if f != nil {
		return nil, errors.New(f.problem)
	}
	list, bad := pair("the certificate", p.certs, p.keys)
	if r := bad.refused(); r != nil {
		return nil, errors.New(r.problem)
	}
	c := list[0]
	if why := unwanted(c, now); why != "" {
		return nil, errors.New(why)
	}
	return c, nil
}

// unwanted says why a certificate is not to be brought in, "" if it is.
func unwanted(c *tls.Certificate, now time.Time) string {
	issuer := c.Leaf.Issuer.String()
	switch {
	case c.Leaf.IsCA:
		return "it is the certificate of a CA"
	case len(namesOf(c.Leaf)) == 0:
		return "it names no host"
	case now.After(c.Leaf.NotAfter):
		return "it expired on " + c.Leaf.NotAfter.Format(time.DateOnly)
	case strings.Contains(issuer, "(STAGING)"):
		return "it is of a CA for tests: " + issuer
	case strings.Contains(issuer, "Caddy Local Authority"):
		return "it is of Caddy's own local CA"
	}
	return ""
}

// certifiedHosts returns the names that certificates are obtained for.
func (c *Config) certifiedHosts() (list []string) {
	for _, h := range c.Hosts {
		if name, fault := CertifiedName(h, c.ACME != nil && c.ACME.DNS != nil); fault == "" {
			list = append(list, name)
		}
	}
	return list
}

// covers reports whether a certificate for names is good for host.
func covers(names []string, host string) bool {
	_, parent, _ := strings.Cut(host, ".")
	return slices.Contains(names, host) || parent != "" && slices.Contains(names, "*."+parent)
}

// manage stores a certificate as if the CA of the block had issued it to gatehouse.
func (o *Imported) manage(ctx context.Context, stateDir string, b *Config, c *tls.Certificate, force bool) error {
	name, s := o.Names[0], &certmagic.FileStorage{Path: stateDir}
	var issuers []string
	for _, d := range b.ACME.directories() {
		issuers = append(issuers, issuerName(d))
	}
	o.Block, o.Managed = b.Name, true
	o.File = s.Filename(certmagic.StorageKeys.SiteCert(issuers[0], name))
	if err := s.Lock(ctx, issueLock(name)); err != nil {
		return err
	}
	defer s.Unlock(context.WithoutCancel(ctx), issueLock(name))
	if have, err := loadStored(ctx, s, issuers, name); err == nil {
		if have.cert.Leaf.Equal(c.Leaf) {
			o.Known = true
			return nil
		}
		if err := longer(have.cert, c, force); err != nil {
			return err
		}
	}
	chain, key, err := splitPEM(c)
	if err != nil {
		return err
	}
	return saveIssued(ctx, s, issuers[0], name, chain, key)
}

// longer refuses a certificate in the place of one that is good for longer.
func longer(have, c *tls.Certificate, force bool) error {
	if !force && have.Leaf.NotAfter.After(c.Leaf.NotAfter) {
		return fmt.Errorf("the one there is ends later, on %s: --force replaces it all the same", have.Leaf.NotAfter.Format(time.DateOnly))
	}
	return nil
}

// keep stores a certificate to be served until its names have others.
func (o *Imported) keep(stateDir string, b *Config, c *tls.Certificate, force bool) error {
	dir := filepath.Join(stateDir, importedDir)
	o.Block, o.File = b.Name, filepath.Join(dir, certmagic.StorageKeys.Safe(o.Names[0])+".pem")
	if text, err := os.ReadFile(o.File); err == nil {
		if have, err := importable(text, time.Now()); err == nil && slices.Equal(namesOf(have.Leaf), o.Names) {
			if have.Leaf.Equal(c.Leaf) {
				o.Known = true
				return nil
			}
			if err := longer(have, c, force); err != nil {
				return err
			}
		}
	}
	text, err := pairPEM(c)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return replaceFile(o.File, text, 0o600)
}

// readImported reads the certificates for several names that serve some of hosts. What cannot be used is logged.
func readImported(stateDir string, hosts []string, now time.Time, log *zap.Logger) (list []served) {
	if stateDir == "" {
		return nil
	}
	files, err := filepath.Glob(filepath.Join(stateDir, importedDir, "*.pem"))
	if err != nil {
		return nil
	}
	for _, file := range files {
		text, _, f := readFile(file)
		if f != nil {
			log.Error("an imported certificate cannot be used", zap.Error(f))
			continue
		}
		c, err := importable(text, now)
		switch {
		case err != nil:
			log.Warn("an imported certificate is of no use any more", zap.String("file", file), zap.Error(err))
		case slices.ContainsFunc(hosts, func(h string) bool { return covers(namesOf(c.Leaf), h) }):
			list = append(list, served{file, c})
		}
	}
	return list
}

// Import brings in a certificate with its key for a block with acme, and serves it at once. The error is ErrOther where the certificate is for
// none of its hosts.
func (c *Certificates) Import(ctx context.Context, text []byte, force bool) (*Imported, error) {
	if c.acme == nil {
		return nil, ErrOther
	}
	a := c.acme
	own := *c.c
	own.Hosts = a.policy.hosts
	leaf, err := importable(text, time.Now())
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(a.policy.hosts, func(h string) bool { return covers(namesOf(leaf.Leaf), h) }) {
		return nil, ErrOther
	}
	out, err := Import(ctx, a.keeper.o.StateDir, []*Config{&own}, text, force)
	if err != nil {
		return nil, err
	}
	if out.Managed {
		return out, a.keeper.takeUp(ctx, a.policy, out.Names[0])
	}
	a.mu.Lock()
	a.imported = readImported(a.keeper.o.StateDir, a.policy.hosts, time.Now(), c.log)
	a.mu.Unlock()
	return out, a.compose(time.Now())
}

// ErrOther says that a certificate is for hosts of others.
var ErrOther = errors.New("the certificate is for none of these hosts")

// takeUp serves what somebody has put into the storage for a host.
func (k *Keeper) takeUp(ctx context.Context, p *policy, host string) error {
	c, err := loadStored(ctx, k.storage, p.issuers, host)
	if err != nil {
		return err
	}
	k.mu.Lock()
	if x := k.charges[host]; x != nil && x.policy == p {
		if x.busy {
			x.stop()
		}
		x.want, x.due, x.failures, x.last = adopt, time.Now(), 0, nil
	}
	k.mu.Unlock()
	k.serve(host, k.fromStorage(c, host))
	k.wake()
	return nil
}
