package config

import (
	"os"
	"path/filepath"
	"strings"

	"gatehouse/tlsconf"
)

// VerifyFiles reads the certificate files the configuration names and adds what is wrong with them to the diagnostics Load
// returned with f. The files may change at any time: a good answer is no promise.
func (f *File) VerifyFiles() {
	f.verifyAccount()
	for _, c := range f.TLS {
		for _, p := range tlsconf.Verify(c) {
			if p.Warning {
				f.Warn(p.Field, p.Problem, p.Remedy)
			} else {
				f.Bad(p.Field, p.Problem, p.Remedy)
			}
		}
	}
	for _, b := range f.Backends {
		for _, s := range b.Servers {
			if s.TLS != nil {
				s.TLS.VerifyFiles(f.Bad)
			}
		}
	}
}

// Named lists the files the configuration names and that are read again when they change: certificates, keys and authorities.
func (f *File) Named() (list []string) {
	add := func(paths ...string) {
		for _, p := range paths {
			if p == "" {
				continue
			}
			list = append(list, p)
			if info, err := os.Stat(p); err == nil && info.IsDir() {
				inside, _ := filepath.Glob(filepath.Join(p, "*.pem"))
				list = append(list, inside...)
			}
		}
	}
	for _, c := range f.TLS {
		add(c.Certificate, c.Key)
		if a := c.ClientAuth; a != nil {
			add(a.CA, a.CRL)
		}
		if c.ACME != nil {
			add(c.ACME.TrustedRoots)
		}
	}
	for _, b := range f.Backends {
		for _, s := range b.Servers {
			if s.TLS != nil {
				add(s.TLS.CA, s.TLS.Certificate, s.TLS.Key)
			}
		}
	}
	return list
}

// Counts says how much there is in f: "2 frontends, 1 backend, 4 servers".
func (f *File) Counts() string {
	servers := 0
	for _, b := range f.Backends {
		servers += len(b.Servers)
	}
	return strings.Join([]string{Plural(len(f.Frontends), "frontend"), Plural(len(f.Backends), "backend"), Plural(servers, "server")}, ", ")
}
