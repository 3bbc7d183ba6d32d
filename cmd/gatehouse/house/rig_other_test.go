//go:build !linux

package house_test

import (
	"errors"
	"net"
	"testing"
)

// shrinkQueue is Linux's.
func shrinkQueue(*net.TCPListener) error { return errors.ErrUnsupported }

// queueFull is Linux's.
func queueFull(testing.TB, *net.TCPListener) bool { return true }
