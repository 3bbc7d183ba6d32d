package tlsconf

import (
	"fmt"
	"io/fs"
)

// fault is what is wrong with one file, and what to do about it.
type fault struct {
	file    string // path, as the configuration leads to it
	problem string
	remedy  string
	key     bool // it is the private key's fault, which may stand in a file of its own
	warning bool // the certificate is served all the same
}

func (f *fault) Error() string { return f.file + ": " + f.problem }

// faults is what is wrong with a set of files, worst and best mixed, in the order of the files.
type faults []*fault

// refused returns the first fault that keeps a certificate from being served, or nil.
func (l faults) refused() *fault {
	for _, f := range l {
		if !f.warning {
			return f
		}
	}
	return nil
}

// openFault words a private key that everybody may read.
func openFault(path string, mode fs.FileMode) *fault {
	return &fault{file: path, key: true, problem: fmt.Sprintf("every user of this machine may read the private key (mode %04o)", mode.Perm()),
		remedy: "Close it: chmod o-rwx " + path + ". If that is meant so: allow_insecure_permissions = true."}
}
