//go:build !linux

package house_test

import (
	"errors"
	"net"
)

// shrinkQueue is Linux's.
func shrinkQueue(*net.TCPListener) error { return errors.ErrUnsupported }
