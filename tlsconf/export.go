package tlsconf

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/caddyserver/certmagic"
)

// ExportFormat is how a certificate is written for another program.
type ExportFormat uint8

// The formats.
const (
	SplitPEM    ExportFormat = iota + 1 // NAME.crt with the chain and NAME.key
	CombinedPEM                         // NAME.pem with the key and the chain
)

var exportFormats = [...]string{SplitPEM: "pem", CombinedPEM: "combined"}

// String returns the word of the configuration.
func (f ExportFormat) String() string {
	if f > 0 && int(f) < len(exportFormats) {
		return exportFormats[f]
	}
	return fmt.Sprintf("ExportFormat(%d)", uint8(f))
}

// MarshalText is String.
func (f ExportFormat) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText reads "pem" or "combined".
func (f *ExportFormat) UnmarshalText(b []byte) error {
	for n, word := range exportFormats {
		if string(b) == word && word != "" {
			*f = ExportFormat(n)
			return nil
		}
	}
	return fmt.Errorf(`unknown format %q: choose "pem" or "combined"`, b)
}

// exportName is a name as files have it: a wildcard's star is no good for one.
func exportName(name string) string { return certmagic.StorageKeys.Safe(name) }

// keyPart is a file of an export.
type keyPart struct {
	path   string
	text   []byte
	secret bool
}

// parts are the files of an export below dir, the one that completes it last.
func (f ExportFormat) parts(dir, name string, chain, key []byte) []keyPart {
	at := filepath.Join(dir, exportName(name))
	if f == CombinedPEM {
		return []keyPart{{at + ".pem", append(bytes.Clone(key), chain...), true}}
	}
	return []keyPart{{at + ".key", key, true}, {at + ".crt", chain, false}}
}

// WriteExport writes a certificate with its chain and its key, both PEM, into a directory, as NAME.crt and NAME.key or as NAME.pem. It returns
// the files that are other ones than before. Each is replaced as a whole. The key is for its owner alone, and, where group is not -1, for
// that group; a file that is there keeps its owner, group and mode, unless everybody may read it.
func WriteExport(dir string, f ExportFormat, name string, chain, key []byte, group int) (changed []string, err error) {
	for _, p := range f.parts(dir, name, chain, key) {
		did, err := p.write(group)
		if err != nil {
			return changed, err
		}
		if did {
			changed = append(changed, p.path)
		}
	}
	return changed, nil
}

// WriteCombined writes the key and the chain into one file.
func WriteCombined(path string, chain, key []byte) (changed bool, err error) {
	p := keyPart{path, append(bytes.Clone(key), chain...), true}
	return p.write(-1)
}

func (p *keyPart) write(group int) (bool, error) {
	var mode fs.FileMode = 0o644
	if p.secret {
		mode = 0o600
		if group >= 0 {
			mode = 0o640
		}
	}
	have, err := os.ReadFile(p.path)
	if err == nil && bytes.Equal(have, p.text) {
		info, err := os.Stat(p.path)
		if err == nil && (!p.secret || info.Mode()&0o004 == 0) {
			return false, nil
		}
	} else if err == nil && !strings.Contains(string(have), begin) && len(bytes.TrimSpace(have)) > 0 {
		return false, &fs.PathError{Op: "replace", Path: p.path, Err: errors.New("it is there and holds no PEM: whose is it?")}
	}
	return true, replaceGrouped(p.path, p.text, mode, group)
}

// StoredPEM returns what lies in the state directory, or in the files of the block, for a name, as Certificates.PEM does while gatehouse runs. Hosts
// of the block are all that it is for. The error is fs.ErrNotExist where there is nothing.
func StoredPEM(ctx context.Context, stateDir string, c *Config, name string) (chain, key []byte, err error) {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if c.ACME != nil {
		var issuers []string
		for _, d := range c.ACME.directories() {
			issuers = append(issuers, issuerName(d))
		}
		s, err := loadStored(ctx, &certmagic.FileStorage{Path: stateDir}, issuers, name)
		if err == nil {
			return splitPEM(s.cert)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, nil, err
		}
	}
	if c.Certificate == "" {
		return nil, nil, fs.ErrNotExist
	}
	f, now := newFiles(c), time.Now()
	f.read(true, now)
	x := newIndex(f.served(), now)
	s := x.sites[name]
	if s == nil {
		s = x.lookup(name)
	}
	switch {
	case s == nil:
		return nil, nil, fs.ErrNotExist
	case s.ec != nil:
		return splitPEM(s.ec)
	}
	return splitPEM(s.rsa)
}
