package tlsconf

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/caddyserver/certmagic"
	"golang.org/x/crypto/acme/autocert"
)

// The storage of certificates is the state directory in the layout that Caddy uses too, so a data directory of Caddy's is taken over as it
// is: certificates/CA/NAME/NAME.crt, .key and .json, accounts below acme/, locks below locks/. Directories have mode 0700, files 0600.

// stored is a certificate as it lies in the storage.
type stored struct {
	cert   *tls.Certificate
	issuer string    // whose it is, as the storage names the CA
	plan   time.Time // when the CA wants it renewed, zero if it has not said so
}

// errDamaged says that what is stored under a name is no certificate with its key.
var errDamaged = errors.New("the stored certificate is damaged")

// loadStored reads the certificate for name that one of the CAs has issued: of several the newest. The error is fs.ErrNotExist when
// there is none, and errDamaged when there is nothing else.
func loadStored(ctx context.Context, s certmagic.Storage, issuers []string, name string) (stored, error) {
	best, err := stored{}, error(fs.ErrNotExist)
	for _, issuer := range issuers {
		c, e := loadOne(ctx, s, issuer, name)
		switch {
		case e == nil:
			if best.cert == nil || c.cert.Leaf.NotBefore.After(best.cert.Leaf.NotBefore) {
				best, err = c, nil
			}
		case best.cert == nil && !errors.Is(e, fs.ErrNotExist):
			err = e
		}
	}
	return best, err
}

// loadOne reads what one CA has issued for name.
func loadOne(ctx context.Context, s certmagic.Storage, issuer, name string) (stored, error) {
	keys := certmagic.StorageKeys
	text, err := s.Load(ctx, keys.SiteCert(issuer, name))
	if err != nil {
		return stored{}, err
	}
	key, err := s.Load(ctx, keys.SitePrivateKey(issuer, name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return stored{}, err
	}
	meta, err := s.Load(ctx, keys.SiteMeta(issuer, name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return stored{}, err
	}
	c, err := tls.X509KeyPair(text, key)
	if err != nil {
		return stored{}, fmt.Errorf("%w: %w", errDamaged, err)
	}
	if err := c.Leaf.VerifyHostname(strings.Replace(name, "*", "x", 1)); err != nil {
		return stored{}, fmt.Errorf("%w: %w", errDamaged, err)
	}
	plan, ok := planIn(meta)
	if !ok { // without it nobody could renew
		return stored{}, fmt.Errorf("%w: %s is not JSON", errDamaged, keys.SiteMeta(issuer, name))
	}
	return stored{&c, issuer, plan}, nil
}

// setAside renames what is stored for a name and damaged, so that a certificate is issued anew and whoever wants to can look at the
// remains. Another instance may be in the middle of writing it: the lock for issuing has to be held.
func setAside(ctx context.Context, s certmagic.Storage, issuers []string, name string) error {
	keys := certmagic.StorageKeys
	var errs []error
	for _, issuer := range issuers {
		if _, err := loadOne(ctx, s, issuer, name); !errors.Is(err, errDamaged) {
			continue
		}
		for _, key := range []string{keys.SiteCert(issuer, name), keys.SitePrivateKey(issuer, name), keys.SiteMeta(issuer, name)} {
			text, err := s.Load(ctx, key)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err == nil {
				err = s.Store(ctx, key+".damaged", text)
			}
			errs = append(errs, err, s.Delete(ctx, key))
		}
	}
	return errors.Join(errs...)
}

// issueLock is the name of the lock that whoever obtains a certificate for name holds.
func issueLock(name string) string { return "issue_cert_" + name }

// saveIssued stores a certificate where that of a CA is looked for, from where it is renewed. Its metadata do not name the CA: it was
// another account that has obtained it (see disown).
func saveIssued(ctx context.Context, s certmagic.Storage, issuer, name string, certPEM, keyPEM []byte) error {
	meta, err := json.MarshalIndent(map[string]any{"sans": []string{name}, "issuer_data": map[string]string{"url": ""}}, "", "\t")
	if err != nil {
		return err
	}
	keys := certmagic.StorageKeys
	for _, f := range []struct {
		key  string
		text []byte
	}{{keys.SitePrivateKey(issuer, name), keyPEM}, {keys.SiteCert(issuer, name), certPEM}, {keys.SiteMeta(issuer, name), meta}} {
		if err := s.Store(ctx, f.key, f.text); err != nil {
			return err
		}
	}
	return nil
}

// issuerName returns how the storage names a CA: the host of its directory, and the path with hyphens.
func issuerName(directory string) string {
	return (&certmagic.ACMEIssuer{CA: directory}).IssuerKey()
}

// autocertStore is an autocert.Cache below a prefix of the storage.
type autocertStore struct {
	store  certmagic.Storage
	prefix string
}

func (s autocertStore) at(key string) string {
	return path.Join(s.prefix, certmagic.StorageKeys.Safe(key))
}

// Get is autocert.Cache's.
func (s autocertStore) Get(ctx context.Context, key string) ([]byte, error) {
	b, err := s.store.Load(ctx, s.at(key))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, autocert.ErrCacheMiss
	}
	return b, err
}

// Put is autocert.Cache's.
func (s autocertStore) Put(ctx context.Context, key string, data []byte) error {
	return s.store.Store(ctx, s.at(key), data)
}

// Delete is autocert.Cache's.
func (s autocertStore) Delete(ctx context.Context, key string) error {
	return s.store.Delete(ctx, s.at(key))
}

// pairPEM returns a certificate with its chain and its key as PEM, the key first.
func pairPEM(c *tls.Certificate) ([]byte, error) {
	key, err := certmagic.PEMEncodePrivateKey(c.PrivateKey)
	if err != nil {
		return nil, err
	}
	for _, der := range c.Certificate {
		key = append(key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return key, nil
}
