package tlsconf

import (
	"cmp"
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
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

// replaceFile is replaceGrouped without a group.
func replaceFile(path string, text []byte, mode fs.FileMode) error {
	return replaceGrouped(path, text, mode, -1)
}

// replaceGrouped writes a file with that mode, and that group unless it is -1. A reader sees the old content or the new one. A file that is there
// keeps its owner, group and mode, unless everybody may read what is not for everybody.
func replaceGrouped(path string, text []byte, mode fs.FileMode, group int) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".gatehouse-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if info, err := os.Stat(path); err == nil && group < 0 {
		if info.Mode()&0o007 == 0 || mode&0o007 != 0 {
			mode = info.Mode().Perm()
		}
		keepOwner(f, info)
	}
	if group >= 0 {
		err = f.Chown(-1, group)
	}
	if err == nil {
		_, err = f.Write(text)
	}
	if err := errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
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
	k.serve(host, &servedCert{Certificate: c.cert, issuer: c.issuer, file: k.file(c.issuer, host)})
	k.wake()
	return nil
}

// Found is a certificate with its key that another program has left.
type Found struct {
	File    string
	Names   []string
	PEM     []byte // the key, the certificate and its chain
	Problem string // why it cannot be used; then there is no PEM
	cert    *tls.Certificate
}

// FindCertificates looks for certificates with their keys: in a file, with the key in it or beside it; or below a directory, such as certbot's
// /etc/letsencrypt, the data directory of Caddy, the cache of golang.org/x/crypto/acme/autocert, or a directory of PEM files. Of several for
// the same names it returns the newest. Files that hold no certificate for a host are passed over.
func FindCertificates(path string) ([]Found, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	var list []Found
	if !info.IsDir() {
		list = foundIn(filepath.Dir(path), []string{filepath.Base(path)}, true)
	} else {
		if live := filepath.Join(path, "live"); isDir(live) { // certbot's: the rest is its past
			path = live
		}
		err = filepath.WalkDir(path, func(dir string, e fs.DirEntry, err error) error {
			switch {
			case err != nil:
				if dir == path {
					return err
				}
				list = append(list, Found{File: dir, Problem: err.Error()})
				if e != nil && e.IsDir() {
					return fs.SkipDir
				}
				return nil
			case !e.IsDir():
				return nil
			}
			entries, err := os.ReadDir(dir)
			if err != nil {
				return nil // told with the next call
			}
			var files []string
			for _, e := range entries {
				files = append(files, e.Name())
			}
			list = append(list, foundIn(dir, files, false)...)
			return nil
		})
	}
	return newest(list), err
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// foundIn looks at files of one directory. named: somebody has named them, so each must be of use, and its key may be in another file of the
// directory.
func foundIn(dir string, files []string, named bool) (list []Found) {
	type part struct {
		file string
		pemFile
	}
	var parts []part
	var keys []crypto.Signer
	read := func(file string, must bool) {
		path := filepath.Join(dir, file)
		if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() || info.Size() > maxFile {
			if must {
				list = append(list, Found{File: path, Problem: "is not a readable file of at most 1 MiB"})
			}
			return
		}
		text, _, f := readFile(path)
		var p pemFile
		if f == nil {
			p, f = parsePEM(path, text)
		}
		switch {
		case f != nil && (must || strings.Contains(string(text), begin+"CERTIFICATE") || text == nil):
			list = append(list, Found{File: path, Problem: f.problem})
		case f == nil && must && len(p.certs) == 0:
			list = append(list, Found{File: path, Problem: "no certificate inside"})
		case f == nil:
			keys = append(keys, p.keys...)
			if len(p.certs) > 0 && (must || !named) {
				parts = append(parts, part{path, p})
			}
		}
	}
	for _, file := range files {
		read(file, named)
	}
	if named && len(keys) == 0 {
		if beside, err := os.ReadDir(dir); err == nil {
			for _, e := range beside {
				if !slices.Contains(files, e.Name()) {
					read(e.Name(), false)
				}
			}
		}
	}
	for _, p := range parts {
		if !named && !slices.ContainsFunc(p.certs, func(c *x509.Certificate) bool { return !c.IsCA }) {
			continue // a chain without its end, or a root
		}
		with := p.keys
		if len(with) == 0 {
			with = keys
		}
		certs, bad := pair(p.file, p.certs, with)
		if r := bad.refused(); r != nil {
			list = append(list, Found{File: p.file, Names: namesOf(p.certs[0]), Problem: r.problem})
			continue
		}
		for _, c := range certs {
			f := Found{File: p.file, Names: namesOf(c.Leaf), cert: c}
			if f.Problem = unwanted(c, time.Now()); f.Problem == "" {
				text, err := pairPEM(c)
				if f.PEM = text; err != nil {
					f.Problem = err.Error()
				}
			}
			list = append(list, f)
		}
	}
	return list
}

// newest leaves of certificates for the same names the one that was issued last; of two of one moment the one whose key is not RSA, and then the one
// with the longer chain. Complaints about a file that holds one of them in part go, too.
func newest(list []Found) []Found {
	rank := func(f *Found) (int, int64, int, int) {
		if f.cert == nil {
			return 0, 0, 0, 0
		}
		notRSA := 1
		if _, ok := f.cert.Leaf.PublicKey.(*rsa.PublicKey); ok {
			notRSA = 0
		}
		usable := 1
		if f.Problem != "" {
			usable = 0
		}
		return usable, f.cert.Leaf.NotBefore.Unix(), notRSA, len(f.cert.Certificate)
	}
	best := map[string]int{}
	for i := range list {
		f := &list[i]
		if f.cert == nil {
			continue
		}
		names := slices.Sorted(slices.Values(f.Names))
		key := strings.Join(names, " ")
		j, ok := best[key]
		if ok {
			au, at, ak, al := rank(f)
			bu, bt, bk, bl := rank(&list[j])
			if cmp.Or(cmp.Compare(au, bu), cmp.Compare(at, bt), cmp.Compare(ak, bk), cmp.Compare(al, bl)) <= 0 {
				continue
			}
		}
		best[key] = i
	}
	var out []Found
	for i := range list {
		f := &list[i]
		key := strings.Join(slices.Sorted(slices.Values(f.Names)), " ")
		if j, ok := best[key]; f.cert == nil && (!ok || key == "") || ok && j == i {
			out = append(out, *f)
		}
	}
	return out
}
