//go:build !linux

package main

import (
	"errors"
	"os"

	"go.uber.org/zap"

	"gatehouse/cmd/gatehouse/config"
)

// become refuses: only Linux changes all threads at once, and lets it be verified.
func become(a *config.Account, _ *zap.Logger) error {
	if os.Geteuid() == a.UID {
		return nil
	}
	return errors.New("global.user works on Linux only: let the service manager start gatehouse as that user")
}

const handleOnly = os.O_RDONLY

func changeOwner(f *os.File, a *config.Account) error { return f.Chown(a.UID, a.GID) }

// access returns nil when this process may read a file, or write to a directory. It only asks whether it is there.
func access(path string, _ bool) error {
	_, err := os.Stat(path)
	return err
}
