package house

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// keyLen is the length of a key in the state directory.
const keyLen = 32

// keptKey is a key of the whole house that is made on first use and kept in the state directory, so that it is the same after a restart. The turn
// guards it.
type keptKey struct {
	dir string // where it is kept
	key []byte // nil: nobody needed it yet
}

// in returns the key that is in a file of the directory. With an error it is not kept, and lasts as long as the process: that is no reason not
// to serve. There is no second error for the same directory.
func (k *keptKey) in(dir, file string) ([]byte, error) {
	if k.key != nil && k.dir == dir {
		return k.key, nil
	}
	fresh := k.key // a new directory gets the key that clients know
	if fresh == nil {
		fresh = make([]byte, keyLen)
		rand.Read(fresh)
	}
	kept, err := keepKey(filepath.Join(dir, file), fresh)
	if err != nil {
		kept = fresh
	}
	k.dir, k.key = dir, kept
	return kept, err
}

// keepKey returns the key in the file. Where there is no file, it gets the fresh one; of several processes that make it at once, one
// wins, and all return its key.
func keepKey(file string, fresh []byte) ([]byte, error) {
	key, err := readKey(file)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*") // readable for its owner alone
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
	return readKey(file)
}

func readKey(file string) ([]byte, error) {
	key, err := os.ReadFile(file)
	if err == nil && len(key) != keyLen {
		err = fmt.Errorf("%s has %d bytes instead of %d", file, len(key), keyLen)
	}
	if err != nil {
		return nil, err
	}
	return key, nil
}
