package tlsconf

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"go.uber.org/zap"
)

const (
	rootYears  = 10
	leafLife   = 7 * 24 * time.Hour
	leafRenew  = leafLife * 2 / 3
	leafRetry  = time.Hour
	clockSlack = time.Hour // how far back certificates are dated, for clients whose clock is behind

	caDir    = "internal-ca"
	rootCert = "root.crt"
	rootKey  = "root.key"
)

// authority is gatehouse's own local CA.
type authority struct {
	root *x509.Certificate
	key  crypto.Signer
	pem  []byte // the root certificate
	file string // where it is stored, "" in memory
}

// openOrMakeAuthority returns the CA stored below stateDir, made on first use. Where that does not work it returns one in memory, and
// the log says why: sites are served either way. Files that are there are never overwritten.
func openOrMakeAuthority(stateDir string, now time.Time, log *zap.Logger) *authority {
	err := errors.New("no state directory is configured")
	if stateDir != "" {
		var a *authority
		if a, err = storedAuthority(stateDir, now); err == nil {
			return a
		}
	}
	log.Warn("the internal CA is in memory only: clients that trust its root must be told anew after each start",
		zap.Error(err), zap.String("remedy", "Make global.state_dir a directory gatehouse may write; remove a damaged "+caDir+" from it."))
	a, err := newAuthority(now)
	if err != nil {
		panic("tlsconf: internal CA: " + err.Error()) // the system's randomness cannot fail, nor can our own template
	}
	return a
}

// storedAuthority reads the CA below stateDir, or makes it. Both files appear at once by the renaming of their directory, so a start
// that is killed leaves no half CA, and of two processes that start together one finds that of the other.
func storedAuthority(stateDir string, now time.Time) (*authority, error) {
	dir := filepath.Join(stateDir, caDir)
	a, err := readAuthority(dir, now)
	if !errors.Is(err, fs.ErrNotExist) {
		return a, err
	}
	if a, err = newAuthority(now); err != nil {
		return nil, err
	}
	key, err := x509.MarshalPKCS8PrivateKey(a.key)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(stateDir, 0o755); err != nil {
		return nil, err
	}
	fresh, err := os.MkdirTemp(stateDir, caDir+"-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(fresh) // gone by its name when all went well
	inside, err := openInside(stateDir, filepath.Base(fresh))
	if err != nil {
		return nil, err
	}
	defer inside.Close()
	for _, f := range []struct {
		name string
		text []byte
		mode fs.FileMode
	}{
		{rootKey, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), 0o600},
		{rootCert, a.pem, 0o644},
	} {
		if err := writeSynced(inside, f.name, f.text, f.mode); err != nil {
			return nil, err
		}
	}
	if err := inside.Chmod(".", 0o755); err != nil { // root.crt is for everybody's curl
		return nil, err
	}
	os.Remove(dir) // an empty one, as somebody leaves it who wants a new CA; others stay
	if err := os.Rename(fresh, dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return readAuthority(dir, now)
}

// readAuthority reads the CA in dir and makes sure that it can be used. The error is fs.ErrNotExist when there is nothing at all.
func readAuthority(dir string, now time.Time) (*authority, error) {
	if list, err := os.ReadDir(dir); err != nil {
		return nil, err
	} else if len(list) == 0 {
		return nil, fs.ErrNotExist
	}
	certFile, keyFile := filepath.Join(dir, rootCert), filepath.Join(dir, rootKey)
	certText, _, f := readFile(certFile)
	if f != nil {
		return nil, f
	}
	keyText, mode, f := readFile(keyFile)
	if f != nil {
		return nil, f
	}
	if mode&0o004 != 0 {
		return nil, openFault(keyFile, mode)
	}
	p, f := parsePEM(certFile, certText)
	if f != nil {
		return nil, f
	}
	k, f := parsePEM(keyFile, keyText)
	if f != nil {
		return nil, f
	}
	pairs, bad := pair(certFile, p.certs, k.keys)
	if r := bad.refused(); r != nil {
		return nil, r
	}
	a := &authority{root: pairs[0].Leaf, key: pairs[0].PrivateKey.(crypto.Signer), file: certFile}
	a.pem = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.root.Raw})
	switch {
	case !a.root.IsCA:
		return nil, fmt.Errorf("%s: is not the certificate of a CA", certFile)
	case now.After(a.root.NotAfter):
		return nil, fmt.Errorf("%s: expired on %s", certFile, a.root.NotAfter.Format(time.DateOnly))
	case now.Before(a.root.NotBefore):
		return nil, fmt.Errorf("%s: is not valid before %s", certFile, a.root.NotBefore.Format(time.DateOnly))
	}
	return a, nil
}

// openInside opens a directory within another one, and no link that leads out of it: this may be root, in a directory of the user's that it is
// about to become.
func openInside(dir, name string) (*os.Root, error) {
	outer, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer outer.Close()
	return outer.OpenRoot(name)
}

func writeSynced(dir *os.Root, name string, text []byte, mode fs.FileMode) error {
	f, err := dir.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
}

// newAuthority makes a CA in memory.
func newAuthority(now time.Time) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	var id [3]byte // tells the roots of several machines apart in a trust store
	rand.Read(id[:])
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "gatehouse internal CA " + hex.EncodeToString(id[:])},
		NotBefore:             now.Add(-clockSlack),
		NotAfter:              now.AddDate(rootYears, 0, 0),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	root, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &authority{root: root, key: key, pem: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}, nil
}

// issue makes a certificate for all the names, with a key of its own.
func (a *authority) issue(names []string, now time.Time) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	return a.issueFor(key, names, now)
}

// issueFor makes a certificate for all the names and a key that is there.
func (a *authority) issueFor(key crypto.Signer, names []string, now time.Time) (*tls.Certificate, error) {
	template := &x509.Certificate{
		Subject:     pkix.Name{Organization: []string{"gatehouse internal"}},
		NotBefore:   now.Add(-clockSlack),
		NotAfter:    now.Add(leafLife),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		// Without it older clients take the certificate for a CA's.
		BasicConstraintsValid: true,
	}
	if a.root.NotAfter.Before(template.NotAfter) {
		template.NotAfter = a.root.NotAfter
	}
	for _, n := range names {
		if ip, err := netip.ParseAddr(n); err == nil {
			template.IPAddresses = append(template.IPAddresses, ip.AsSlice())
		} else {
			template.DNSNames = append(template.DNSNames, n)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.root, key.Public(), a.key)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, nil
}

// renew replaces the internal certificate at two thirds of its lifetime, until ctx ends. From its start on it owns the index.
func (c *Certificates) renew(ctx context.Context) {
	timer := time.NewTimer(leafRenew)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		now := time.Now()
		leaf, err := c.ca.issue(internalNames(c.c.Hosts), now)
		if err != nil {
			c.log.Error("internal certificate not renewed", zap.Error(err), zap.Duration("next_try", leafRetry))
			timer.Reset(leafRetry)
			continue
		}
		c.put(newIndex([]served{{cert: leaf}}, now), now)
		c.log.Info("internal certificate renewed", zap.Time("not_after", leaf.Leaf.NotAfter))
		timer.Reset(leafRenew)
	}
}
