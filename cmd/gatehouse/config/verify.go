package config

import (
	"strings"

	"gatehouse/tlsconf"
)

// VerifyFiles reads the certificate files the configuration names and adds what is wrong with them to the diagnostics Load
// returned with f. The files may change at any time: a good answer is no promise.
func (f *File) VerifyFiles() {
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

// Counts says how much there is in f: "2 frontends, 1 backend, 4 servers".
func (f *File) Counts() string {
	servers := 0
	for _, b := range f.Backends {
		servers += len(b.Servers)
	}
	return strings.Join([]string{Plural(len(f.Frontends), "frontend"), Plural(len(f.Backends), "backend"), Plural(servers, "server")}, ", ")
}
