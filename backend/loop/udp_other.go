//go:build !linux

package loop

import "errors"

// prepareUDP sets the options of a socket that is going to be bound.
func prepareUDP(_ int, _ string, free bool) error {
	if free {
		return errors.New("addresses this machine does not have yet need Linux")
	}
	return nil
}

// forceUDP has nothing to insist with here.
func forceUDP(int) {}
