package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// writePID writes the number of this process, unless another live process is named there. 0, or that of a process that is leaving: former may
// be named there.
func writePID(name string, former int) error {
	if n := readPID(name); n != 0 && n != os.Getpid() && n != former && alive(n) {
		return fmt.Errorf("pid file %s names process %d, which is running: end it, or give this one another pid_file", name, n)
	}
	// Root may be writing to a directory of the user's that it is about to become: a link that waits there under the name is not followed.
	tmp := name + ".new"
	os.Remove(tmp)
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return fmt.Errorf("pid file: %w", err)
	}
	_, err = f.WriteString(strconv.Itoa(os.Getpid()) + "\n")
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("pid file: %w", err)
	}
	return os.Rename(tmp, name)
}

// removePID removes a file that names this process.
func removePID(name string) {
	if name != "" && readPID(name) == os.Getpid() && os.Remove(name) != nil {
		os.Truncate(name, 0) // in a directory of root's, to whom this process belonged at its start
	}
}

// movePID names this process in another file than before.
func movePID(from, to string) error {
	if from == to {
		return nil
	}
	if to != "" {
		if err := writePID(to, 0); err != nil {
			return err
		}
	}
	removePID(from)
	return nil
}

// readPID returns the number in a pid file, 0 when there is none.
func readPID(name string) int {
	b, err := os.ReadFile(name)
	if err != nil {
		return 0
	}
	n, _ := strconv.Atoi(strings.TrimSpace(string(b)))
	return n
}

// alive reports whether a process is running.
func alive(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}
