// Package config reads gatehouse's configuration: one HCL file, or a directory of them. It knows the language, the rooms
// that obey the configuration know nothing of it: their Config structs say with tags and doc comments which attributes exist.
//
//	file, diags := config.Load([]string{"gatehouse.hcl"}, config.Options{})
//	diags.Print(os.Stderr)
//	if diags.HasErrors() {
//		os.Exit(3)
//	}
package config

import (
	"time"

	"gatehouse/backend"
	"gatehouse/cache"
	"gatehouse/cmd/gatehouse/admin"
	"gatehouse/frontend"
	"gatehouse/tlsconf"

	"github.com/hashicorp/hcl/v2"
)

// File is a whole configuration, whatever number of files it came from. Every pointer in it stays valid as long as the File:
// the address of a field is how Range, Bad and Warn know what is spoken of.
type File struct {
	// Global holds what concerns the whole process.
	Global Global `hcl:"global,block" unite:"true"`

	// Admin is how the running process is looked at and told what to do, besides by signals. Without the block there is no socket and
	// no page.
	Admin *admin.Config `hcl:"admin,block"`

	// Log is a log: where the lines of exchanges go, and what they look like.
	Logs []*frontend.LogConfig `hcl:"log,block"`

	// TLS is a set of certificates and how they are served.
	TLS []*tlsconf.Config `hcl:"tls,block"`

	// Cache is what may be remembered of the answers of servers, and for how long.
	Caches []*cache.Config `hcl:"cache,block"`

	// Frontend is addresses to listen on and what to do with who comes in.
	Frontends []*frontend.Config `hcl:"frontend,block"`

	// Backend is a pool of servers, how one of them is chosen, and how it is known that they live.
	Backends []*backend.Config `hcl:"backend,block"`

	// Listen is a frontend and a backend of one name in one block. It holds the attributes and blocks of both; the frontend's
	// backend is the block's own.
	Listens []*Listen `hcl:"listen,block"`

	diags *Diagnostics
	seen  *memory
}

// Global holds what concerns the whole process.
type Global struct {
	// User is who gatehouse becomes when it was started by root and every address is open, before it lets anybody in: a name, or a number.
	// It keeps nothing of root's rights, and can never get them back. What it writes to is given to that user: the state
	// directory, disks of caches, log files, the pid file and unix sockets. What it reads again later must be readable for that
	// user, so that a reload and renewed certificates work: the configuration and all files it names. A reload cannot open further
	// ports below 1024; where that is needed, let the service manager start gatehouse as that user, with the capability
	// CAP_NET_BIND_SERVICE (AmbientCapabilities= of systemd). Without user, gatehouse stays who it was started as.
	User string `hcl:"user,optional"`

	// Group is the group it becomes a member of, a name or a number. Without it, the user's own. The user's further groups, as
	// ssl-cert, count too.
	Group string `hcl:"group,optional"`

	// MaxConnections is how many clients may be connected at once, over all frontends. Further ones wait in the kernel's
	// queue.
	MaxConnections int `hcl:"max_connections,optional" default:"100000"`

	// ShutdownGrace is how long open exchanges may take to finish when the process is told to end, or when a new configuration
	// took over. "0s": no limit.
	ShutdownGrace time.Duration `hcl:"shutdown_grace,optional" default:"30s"`

	// StateDir is the directory for what must survive a restart: the internal CA, certificates, the key of signed cookies, what the
	// operator did to servers.
	StateDir string `hcl:"state_dir,optional" default:"/var/lib/gatehouse" path:"true"`

	// AllowExec lets programs be run that the configuration names, such as dns "exec" of acme and reload of export. Whoever may change the configuration can run
	// programs as gatehouse then.
	AllowExec bool `hcl:"allow_exec,optional"`

	// PIDFile is a file that holds the process's number while it runs. Without it, none is written.
	PIDFile string `hcl:"pid_file,optional" path:"true"`
}

// Check reports limits that would let nobody in, and a group without a user.
func (g *Global) Check(bad func(field any, problem, remedy string)) {
	if g.Group != "" && g.User == "" {
		bad(&g.Group, "group is set without user", `Name the user too: user = "gatehouse".`)
	}
	if g.MaxConnections < 1 {
		bad(&g.MaxConnections, "max_connections is less than one", "Without a connection nobody can be served. Leave the attribute out for 100000.")
	}
}

// Listen is a frontend and a backend in one block. Loading splits it: File.Frontends and File.Backends hold its halves.
type Listen struct {
	Frontend frontend.Config `hcl:",squash"`
	Backend  backend.Config  `hcl:",squash"`
}

// split hands the halves of the listen blocks to the lists of frontends and backends.
func (f *File) split() {
	for _, l := range f.Listens {
		l.Frontend.Backend = l.Backend.Name
		l.Backend.RequestHeaders, l.Backend.ResponseHeaders = nil, nil // the frontend's: they count once
		f.Frontends = append(f.Frontends, &l.Frontend)
		f.Backends = append(f.Backends, &l.Backend)
	}
}

// Range returns where in the configuration a field was written: field is a pointer to the field of a struct in f, to the struct
// itself, or to an element of a list. For an attribute that was not written it is the header of the block. The Range of what f
// does not hold is empty.
func (f *File) Range(field any) hcl.Range { return f.seen.of(field).place }

// Written reports whether the attribute behind field stands in the configuration.
func (f *File) Written(field any) bool { return f.seen.of(field).written }

// Bad adds an error about a field to the diagnostics Load returned with f. Problem is one line in lower case, remedy says in
// whole sentences what to do. A field that is known to be wrong already is not reported a second time.
func (f *File) Bad(field any, problem, remedy string) {
	f.report(hcl.DiagError, field, problem, remedy)
}

// Warn adds a warning about a field to the diagnostics Load returned with f.
func (f *File) Warn(field any, problem, remedy string) {
	f.report(hcl.DiagWarning, field, problem, remedy)
}

func (f *File) report(severity hcl.DiagnosticSeverity, field any, problem, remedy string) {
	s := f.seen.of(field)
	if s.failed {
		return
	}
	diag := &hcl.Diagnostic{Severity: severity, Summary: problem, Detail: remedy}
	if s.place.Filename != "" {
		diag.Subject = new(s.place)
	}
	f.diags.add(diag)
}
