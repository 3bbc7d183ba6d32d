package tlsconf

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Export hands the certificates of the block and their private keys on to another program, such as a mail server: they are written at the start,
// and whenever one is another one. What only stands in for a certificate that is still to come is not written.
type Export struct {
	// Path is the directory to write to. It is made if need be; the directory it is in must be there, and gatehouse must be allowed to write.
	// Each file is replaced as a whole.
	Path string `hcl:"path" label:"1" path:"true"`

	// Format is "pem", NAME.crt with the certificate and its chain and NAME.key with the key; or "combined", NAME.pem with all of it. NAME is the
	// first name of the certificate, with wildcard_ for "*". Of a name that has an RSA key besides another one, that is in NAME-rsa.
	Format ExportFormat `hcl:"format,optional" default:"pem"`

	// Hosts are the names whose certificates are written. Without it, all of the block.
	Hosts []string `hcl:"hosts,optional"`

	// Group may read the files with the keys, besides the user gatehouse runs as, who must be a member of it. Without it, nobody else may.
	Group string `hcl:"group,optional"`

	// Reload is a program and its arguments, run as the user gatehouse runs as when something was written. It gets no shell and no environment. When
	// it fails it is run again, after a minute and then less and less often. Needs global.allow_exec = true.
	Reload []string `hcl:"reload,optional"`

	// Timeout is how long that program may take.
	Timeout time.Duration `hcl:"timeout,optional" default:"1m"`
}

// programs are where programs named without a directory are looked for.
const programs = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Check reports exports that could hand nothing on.
func (e *Export) Check(bad func(field any, problem, remedy string)) {
	if e.Path == "" {
		bad(&e.Path, "export without a directory", `Write export "/etc/exim4/tls" { … }.`)
	} else if info, err := os.Stat(e.Path); err == nil && !info.IsDir() {
		bad(&e.Path, fmt.Sprintf("%s is not a directory", e.Path), "The files in it are named by the certificates. Name their directory.")
	}
	for i, h := range e.Hosts {
		if fault := hostFault(strings.TrimSuffix(h, ".")); fault != "" {
			bad(&e.Hosts[i], fmt.Sprintf("host %q %s", h, fault), `Write host names as in "mail.example.com".`)
		}
	}
	if len(e.Reload) > 0 && (e.Reload[0] == "" || strings.Contains(e.Reload[0], "/") && !filepath.IsAbs(e.Reload[0])) {
		bad(&e.Reload[0], fmt.Sprintf("program %q is neither a name nor an absolute path", e.Reload[0]), `Write it as in ["systemctl", "reload", "exim4"].`)
	}
	if e.Timeout < time.Second && e.Timeout != 0 {
		bad(&e.Timeout, "timeout is less than a second", "No program is that fast under load.")
	}
}

// Advise warns of what this machine does not have. The configuration may be for another one.
func (e *Export) Advise(warn func(field any, problem, remedy string)) {
	if e.Group != "" {
		if _, err := e.gid(); err != nil {
			warn(&e.Group, err.Error(), "Nothing is written while there is no such group.")
		}
	}
	if len(e.Reload) > 0 && e.Reload[0] != "" && (filepath.IsAbs(e.Reload[0]) || !strings.Contains(e.Reload[0], "/")) {
		if _, err := findProgram(e.Reload[0]); err != nil {
			warn(&e.Reload[0], fmt.Sprintf("program %s: %v", e.Reload[0], err), "It is looked for in "+programs+".")
		}
	}
}

// gid returns the number of the group, -1 without one.
func (e *Export) gid() (int, error) {
	if e.Group == "" {
		return -1, nil
	}
	if n, err := strconv.ParseUint(e.Group, 10, 31); err == nil {
		return int(n), nil
	}
	g, err := user.LookupGroup(e.Group)
	if err != nil {
		return 0, fmt.Errorf("group %q is not known here", e.Group)
	}
	return strconv.Atoi(g.Gid)
}

// wants reports whether the certificate with those names is to be written.
func (e *Export) wants(names []string) bool {
	return len(e.Hosts) == 0 || slices.ContainsFunc(e.Hosts, func(h string) bool {
		return slices.Contains(names, strings.ToLower(strings.TrimSuffix(h, ".")))
	})
}

// findProgram finds a program, whatever the environment says.
func findProgram(name string) (string, error) {
	if filepath.IsAbs(name) {
		return exec.LookPath(name)
	}
	for _, dir := range filepath.SplitList(programs) {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path, nil
		}
	}
	return "", errors.New("not found")
}
