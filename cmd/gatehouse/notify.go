package main

import (
	"errors"
	"net"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// notify tells systemd how the service is doing (sd_notify(3)): nothing, where systemd does not want to know. A name that begins with
// "@" is one of the abstract kind, which Go writes alike.
func notify(state string) error {
	name := os.Getenv("NOTIFY_SOCKET")
	if name == "" {
		return nil
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		return err
	}
	_, err = c.Write([]byte(state))
	return errors.Join(err, c.Close())
}

// The states of a service.
const (
	serviceReady    = "READY=1"
	serviceStopping = "STOPPING=1"
)

// serviceReloading is the state of a service that reads its configuration anew. With Type=notify-reload, systemd wants to know since when,
// to tell this reload from one before.
func serviceReloading() string {
	var now unix.Timespec
	unix.ClockGettime(unix.CLOCK_MONOTONIC, &now)
	return "RELOADING=1\nMONOTONIC_USEC=" + strconv.FormatInt(now.Nano()/1000, 10)
}
