package tlsconf

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// maxFile is more than any certificate file holds; beyond it the path is a mistake.
const maxFile = 1 << 20

// files are the certificate files of a tls block and what was last read from them. One goroutine at a time uses it.
type files struct {
	c      *Config
	byPath map[string]*file
	order  []string // paths being served, in the order that says which is first
	lost   string   // the last complaint about the files as a whole
}

// file is a PEM file, with the key's own file if there is one, and the last good state of it.
type file struct {
	stamp  string // of the last attempt: sizes, times and modes
	digest [sha256.Size]byte
	certs  []*tls.Certificate // the last good ones; empty: never good
	failed string             // the last attempt's error, "" after a good one
}

func newFiles(c *Config) *files { return &files{c: c, byPath: make(map[string]*file)} }

// paths lists the files to serve, in order, as the configuration means them now. A directory means its *.pem files.
func (f *files) paths() ([]string, *fault) {
	at := f.c.Certificate
	info, err := os.Stat(at)
	if err != nil {
		return nil, fileFault(at, err)
	}
	if !info.IsDir() {
		return []string{at}, nil
	}
	list, err := os.ReadDir(at) // sorted by name
	if err != nil {
		return nil, fileFault(at, err)
	}
	var out []string
	for _, e := range list {
		if name := e.Name(); filepath.Ext(name) == ".pem" && !strings.HasPrefix(name, ".") {
			if info, err := os.Stat(filepath.Join(at, name)); err == nil && info.IsDir() {
				continue
			}
			out = append(out, filepath.Join(at, name))
		}
	}
	if len(out) == 0 {
		return nil, &fault{file: at, problem: "no file in this directory ends in .pem", remedy: "Put a file there for each site, with its certificate, the chain and the key."}
	}
	return out, nil
}

// read brings the files up to date. A file that cannot be used keeps what it had. With force, files whose size and times are
// unchanged are read too. It returns whether anything served has changed, and what is wrong, each complaint once until it
// changes.
func (f *files) read(force bool, now time.Time) (changed bool, bad faults) {
	paths, whole := f.paths()
	if whole != nil {
		if f.lost == whole.Error() {
			return false, nil
		}
		f.lost = whole.Error()
		return false, faults{whole}
	}
	f.lost = ""
	for _, path := range paths {
		was := f.byPath[path]
		if was == nil {
			was = new(file)
			f.byPath[path] = was
		}
		s := f.stamp(path)
		if s == was.stamp && !force {
			continue
		}
		was.stamp = s
		certs, digest, l := f.load(path, was, now)
		if refused := l.refused(); refused != nil {
			if was.failed != refused.Error() {
				was.failed = refused.Error()
				bad = append(bad, l...)
			}
			continue
		}
		same := was.failed == "" && was.digest == digest
		was.certs, was.digest, was.failed = certs, digest, ""
		if !same {
			changed = true
			bad = append(bad, l...)
		}
	}
	maps.DeleteFunc(f.byPath, func(path string, _ *file) bool {
		_, found := slices.BinarySearch(paths, path) // as os.ReadDir sorts them
		return !found
	})
	if !slices.Equal(f.order, paths) {
		f.order, changed = paths, true
	}
	return changed, bad
}

// served returns the good certificates of all files, in order.
func (f *files) served() []served {
	var all []served
	for _, path := range f.order {
		for _, c := range f.byPath[path].certs {
			all = append(all, served{path, c})
		}
	}
	return all
}

// refusedFile is a file that cannot be used as it is now.
type refusedFile struct{ path, problem string }

// refused lists the files that cannot be used as they are now, in their order; what is wrong with all of them comes first.
func (f *files) refused() *[]refusedFile {
	var list []refusedFile
	if f.lost != "" {
		list = append(list, refusedFile{f.c.Certificate, f.lost})
	}
	for _, path := range f.order {
		if why := f.byPath[path].failed; why != "" {
			list = append(list, refusedFile{path, why})
		}
	}
	return &list
}

// load reads one file anew. What is in it as it was is not parsed once more: its certificates are served already.
func (f *files) load(path string, was *file, now time.Time) (certs []*tls.Certificate, digest [sha256.Size]byte, bad faults) {
	text, mode, fl := readFile(path)
	if fl != nil {
		return nil, digest, faults{fl}
	}
	if f.c.Key == "" && !f.tooOpen(mode) && was.failed == "" && len(was.certs) > 0 && sha256.Sum256(text) == was.digest {
		return was.certs, was.digest, nil
	}
	p, fl := parsePEM(path, text)
	if fl != nil {
		return nil, digest, faults{fl}
	}
	if len(p.keys) > 0 && f.tooOpen(mode) {
		return nil, digest, faults{openFault(path, mode)}
	}
	if f.c.Key != "" {
		keyText, keyMode, fl := readFile(f.c.Key)
		if fl != nil {
			fl.key = true
			return nil, digest, faults{fl}
		}
		k, fl := parsePEM(f.c.Key, keyText)
		if fl != nil {
			fl.key = true
			return nil, digest, faults{fl}
		}
		if len(k.keys) == 0 {
			return nil, digest, faults{{file: f.c.Key, key: true, problem: "no private key inside", remedy: "The file must hold the key as PEM, a block that ends in PRIVATE KEY-----."}}
		}
		if f.tooOpen(keyMode) {
			return nil, digest, faults{openFault(f.c.Key, keyMode)}
		}
		p.keys = k.keys
		text = append(text, keyText...)
	}
	certs, bad = pair(path, p.certs, p.keys)
	if r := bad.refused(); r != nil {
		if r.key && len(p.keys) == 0 && path != f.c.Certificate {
			r.remedy = "In a directory each file holds certificate, chain and key. Of certbot's folders name the files: certificate = \"…/fullchain.pem\" and key = \"…/privkey.pem\"."
		}
		return nil, digest, bad
	}
	for _, c := range certs {
		bad = append(bad, review(path, c, now)...)
	}
	return certs, sha256.Sum256(text), bad
}

// tooOpen reports whether a file with a private key may be read by everybody.
func (f *files) tooOpen(mode fs.FileMode) bool {
	return mode&0o004 != 0 && !f.c.AllowInsecurePermissions
}

// stamp tells from outside whether a file was changed.
func (f *files) stamp(path string) string {
	var b strings.Builder
	for _, p := range []string{path, f.c.Key} {
		if info, err := os.Stat(p); err == nil {
			fmt.Fprintf(&b, "%d %d %o;", info.Size(), info.ModTime().UnixNano(), info.Mode())
		} else {
			b.WriteString("-;")
		}
	}
	return b.String()
}

// dirs lists the directories to watch: those the files are in by name, where links are replaced, and those they are in by way of
// links, where contents are.
func (f *files) dirs() []string {
	paths := append([]string{f.c.Certificate}, f.order...)
	if f.c.Key != "" {
		paths = append(paths, f.c.Key)
	}
	var out []string
	for _, p := range paths {
		out = append(out, filepath.Dir(p))
		if real, err := filepath.EvalSymlinks(p); err == nil {
			out = append(out, filepath.Dir(real))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// readFile returns the text of a regular file and its mode. Others are refused unread: opening a pipe would wait for ever.
func readFile(path string) ([]byte, fs.FileMode, *fault) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, 0, fileFault(path, err)
	}
	if !info.Mode().IsRegular() {
		return nil, 0, &fault{file: path, problem: "is not a file", remedy: "Name a PEM file."}
	}
	r, err := os.Open(path)
	if err != nil {
		return nil, 0, fileFault(path, err)
	}
	defer r.Close()
	var b bytes.Buffer
	if _, err := io.Copy(&b, io.LimitReader(r, maxFile+1)); err != nil {
		return nil, 0, fileFault(path, err)
	}
	if b.Len() > maxFile {
		return nil, 0, &fault{file: path, problem: "is larger than 1 MiB", remedy: "That is no certificate. Name a PEM file."}
	}
	return b.Bytes(), info.Mode(), nil
}

// fileFault words an error of the operating system.
func fileFault(path string, err error) *fault {
	f := &fault{file: path, problem: err.Error()}
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		f.problem = pe.Err.Error()
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.remedy = "Put the file there, or correct the path."
	case errors.Is(err, fs.ErrPermission):
		f.remedy = "Let the user who runs gatehouse read it: " + fmt.Sprintf("chgrp gatehouse %[1]s && chmod g+r %[1]s", path)
	default:
		f.remedy = "Name a PEM file, or a directory of PEM files."
	}
	return f
}
