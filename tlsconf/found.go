package tlsconf

import (
	"cmp"
	"crypto"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

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
