package tlsconf

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

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
