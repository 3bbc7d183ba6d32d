package house

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"go.uber.org/zap"

	"gatehouse/backend"
	"gatehouse/cmd/gatehouse/config"
)

// cookieKeyFile is the name of the file in the state directory with the key of signed cookies, and cookieKeyLen its length.
const (
	cookieKeyFile = "cookie.key"
	cookieKeyLen  = 32
)

// cookieKey is the key of signed cookies that have no secret of their own: one for the whole house, kept in the state directory, so that
// clients find their servers again after a restart. The turn guards it.
type cookieKey struct {
	dir string // where it is kept
	key []byte // nil: nobody needed it yet
}

// of returns the key for a configuration, made on first use; nil when no cookie needs it. Where it cannot be kept, it lasts as long as the
// process: that is no reason not to serve.
func (k *cookieKey) of(f *config.File, log *zap.Logger) []byte {
	if !signs(f.Backends) {
		return nil
	}
	dir := f.Global.StateDir
	if k.key != nil && k.dir == dir {
		return k.key
	}
	fresh := k.key // a new directory gets the key that clients have cookies of
	if fresh == nil {
		fresh = make([]byte, cookieKeyLen)
		rand.Read(fresh)
	}
	kept, err := keepCookieKey(filepath.Join(dir, cookieKeyFile), fresh)
	if err != nil {
		log.Warn("the key of signed cookies is not kept: after a restart clients lose their servers. Correct state_dir, or give the cookie a secret",
			zap.String("state_dir", dir), zap.Error(err))
		kept = fresh
	}
	k.dir, k.key = dir, kept
	return kept
}

func signs(list []*backend.Config) bool {
	for _, c := range list {
		if c.Cookie != nil && c.Cookie.Signed && c.Cookie.Secret == "" {
			return true
		}
	}
	return false
}

// keepCookieKey returns the key in the file. Where there is no file, it gets the fresh one; of several processes that make it at once, one
// wins, and all return its key.
func keepCookieKey(file string, fresh []byte) ([]byte, error) {
	key, err := readCookieKey(file)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(filepath.Dir(file), cookieKeyFile+".*") // readable for its owner alone
	if err != nil {
		return nil, err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(fresh)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, err
	}
	if err := os.Link(f.Name(), file); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return readCookieKey(file)
}

func readCookieKey(file string) ([]byte, error) {
	key, err := os.ReadFile(file)
	if err == nil && len(key) != cookieKeyLen {
		err = fmt.Errorf("%s has %d bytes instead of %d", file, len(key), cookieKeyLen)
	}
	if err != nil {
		return nil, err
	}
	return key, nil
}
