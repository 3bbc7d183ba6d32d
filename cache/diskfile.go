package cache

import (
	"io"
	"os"
	"path/filepath"
)

// file is a file that is being written.
type file interface {
	io.Writer
	io.WriterAt
	io.Closer
}

// fileSystem is what files are written and read by. The zero fileSystem is not usable.
type fileSystem struct {
	create func(path string) (file, error)
	rename func(from, to string) error
	remove func(path string) error
	open   func(path []byte, now bool) (fd int, err error)
	read   func(v *ioVec, fd int, b []byte, at int64, now bool) (int, error)
}

var realFiles = fileSystem{
	create: func(path string) (file, error) { return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600) },
	rename: os.Rename,
	remove: os.Remove,
	open:   openFile,
	read:   readFile,
}

// openStored opens the file of an entry and returns where its content begins. It may take long.
func (d *disk) openStored(st *stored, size int64) (f *os.File, body int64, err error) {
	f, err = os.Open(filepath.Join(d.dir, st.path()))
	if err != nil {
		return nil, 0, err
	}
	h, err := headOf(f)
	if err == nil && (h.id != st.id || h.size != size) {
		err = errDamaged
	}
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, h.from, nil
}

// headOf reads the prelude of a file and checks its length. It may take long.
func headOf(f *os.File) (h diskHead, err error) {
	b, err := headBytes(f)
	if err != nil {
		return h, err
	}
	if h, err = readPrelude(b); err != nil {
		return h, err
	}
	info, err := f.Stat()
	if err == nil && info.Size() != h.fileSize() {
		err = errDamaged
	}
	return h, err
}

// headBytes reads prelude and head of a file.
func headBytes(f io.ReaderAt) ([]byte, error) {
	b := make([]byte, diskBlock)
	n, err := f.ReadAt(b, 0)
	if err != nil && err != io.EOF {
		return nil, err
	}
	b = b[:n]
	most, err := headLength(b)
	if err != nil {
		return nil, err
	}
	if most > n {
		more := make([]byte, most-n)
		if _, err := f.ReadAt(more, int64(n)); err == io.EOF {
			return nil, errDamaged
		} else if err != nil {
			return nil, err
		}
		b = append(b, more...)
	}
	return b[:most], nil
}

// inspect reads what a file says of its content, whoever asks for no content. It may take long.
func (d *disk) inspect(n fileName) (h diskHead, err error) {
	f, err := os.Open(filepath.Join(d.dir, n.path()))
	if err != nil {
		return h, err
	}
	defer f.Close()
	b, err := headBytes(f)
	if err != nil {
		return h, err
	}
	return readDiskHead(b, d.epoch, d.now())
}
