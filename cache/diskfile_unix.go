//go:build unix

package cache

import (
	"os"
	"syscall"
)

// flock locks a file for as long as it is open, unless somebody else has.
func flock(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }
