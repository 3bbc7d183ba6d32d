package tlsconf

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// InternalRoot is the root certificate of the internal CA below a state directory.
type InternalRoot struct {
	File string // where it is stored
	PEM  []byte
	Cert *x509.Certificate
}

// ReadInternalRoot reads the root of the internal CA below stateDir, without its key. The error is fs.ErrNotExist where none was made yet.
func ReadInternalRoot(stateDir string) (*InternalRoot, error) {
	file := filepath.Join(stateDir, caDir, rootCert)
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	text, _, f := readFile(file)
	if f != nil {
		return nil, f
	}
	p, f := parsePEM(file, text)
	switch {
	case f != nil:
		return nil, f
	case len(p.certs) != 1 || !p.certs[0].IsCA:
		return nil, fmt.Errorf("%s: is not the certificate of a CA", file)
	case time.Now().After(p.certs[0].NotAfter):
		return nil, fmt.Errorf("%s: expired on %s", file, p.certs[0].NotAfter.Format(time.DateOnly))
	}
	return &InternalRoot{File: file, PEM: text, Cert: p.certs[0]}, nil
}
