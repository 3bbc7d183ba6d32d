package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"gatehouse/cmd/gatehouse/config"
)

// become makes the whole process the user's, for good, and proves it. Package syscall changes all threads at once.
func become(a *config.Account, log *zap.Logger) error {
	if os.Geteuid() == 0 {
		// In this order: without root's rights the groups cannot be changed any more.
		if err := syscall.Setgroups(a.Groups); err != nil {
			return fmt.Errorf("setgroups: %w", err)
		}
		if err := syscall.Setresgid(a.GID, a.GID, a.GID); err != nil {
			return fmt.Errorf("setresgid: %w", err)
		}
		if err := syscall.Setresuid(a.UID, a.UID, a.UID); err != nil {
			return fmt.Errorf("setresuid: %w", err)
		}
	}
	if err := noNewPrivileges(); err != nil {
		// Nothing is run that could win rights; this was to make sure of it.
		log.Warn("no_new_privs is not set", zap.Error(err), zap.String("remedy", "Let the service manager set it: NoNewPrivileges=yes."))
	} else if err := everyThread(func(s map[string]string) error {
		if s["NoNewPrivs"] != "1" {
			return errors.New("no_new_privs is not set")
		}
		return nil
	}); err != nil {
		return err
	}
	if err := everyThread(func(s map[string]string) error { return isUser(s, a) }); err != nil {
		return err
	}
	if syscall.Setuid(0) == nil || syscall.Setgid(0) == nil && a.GID != 0 {
		return errors.New("root's rights can be had back: the process has capabilities it should not have")
	}
	return nil
}

// isUser makes sure that a thread is the user's in every respect: real, effective, saved and for files.
func isUser(s map[string]string, a *config.Account) error {
	for _, c := range []struct {
		word string
		want int
	}{{"Uid", a.UID}, {"Gid", a.GID}} {
		for _, got := range strings.Fields(s[c.word]) {
			if got != strconv.Itoa(c.want) {
				return fmt.Errorf("%s is %s", c.word, s[c.word])
			}
		}
	}
	for _, g := range strings.Fields(s["Groups"]) {
		if n, err := strconv.Atoi(g); err != nil || n != a.GID && !slices.Contains(a.Groups, n) {
			return fmt.Errorf("a member of the groups %s", s["Groups"])
		}
	}
	return nil
}

// everyThread calls check with what the kernel says about each thread of this process.
func everyThread(check func(status map[string]string) error) error {
	list, err := filepath.Glob("/proc/self/task/*/status")
	if err != nil || len(list) == 0 {
		return errors.New("/proc is not there: nothing can be verified")
	}
	for _, name := range list {
		status, err := readStatus(name)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // it has ended
		} else if err != nil {
			return err
		}
		if err := check(status); err != nil {
			return fmt.Errorf("thread %s: %w", filepath.Base(filepath.Dir(name)), err)
		}
	}
	return nil
}

// readStatus reads a status file of proc(5).
func readStatus(name string) (map[string]string, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	status := map[string]string{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if word, value, ok := strings.Cut(lines.Text(), ":"); ok {
			status[word] = strings.TrimSpace(value)
		}
	}
	return status, lines.Err()
}

// noNewPrivileges keeps this process, in all its threads, and all it ever runs from winning rights by the owner or the capabilities of a
// program (PR_SET_NO_NEW_PRIVS, prctl(2)).
func noNewPrivileges() error {
	_, _, errno := syscall.AllThreadsSyscall6(syscall.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0)
	if errno != syscall.ENOTSUP {
		if errno != 0 {
			return fmt.Errorf("prctl: %w", errno)
		}
		return nil
	}
	// A program built with cgo may have threads Go knows nothing of. There the kernel passes the mark on to all threads with a seccomp
	// filter (SECCOMP_FILTER_FLAG_TSYNC, seccomp(2)); this one lets everything pass.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("prctl: %w", err)
	}
	pass := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW}}
	program := unix.SockFprog{Len: uint16(len(pass)), Filter: &pass[0]}
	r, _, errno := syscall.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program)))
	runtime.KeepAlive(pass)
	switch {
	case errno != 0:
		return fmt.Errorf("seccomp: %w", errno)
	case r != 0:
		return fmt.Errorf("seccomp: thread %d has a filter of its own", r)
	}
	return nil
}

// handleOnly opens a file for nothing but to look at it and to change its owner, whatever it is, a link among others.
const handleOnly = unix.O_PATH | unix.O_NOFOLLOW

func changeOwner(f *os.File, a *config.Account) error {
	if err := unix.Fchownat(int(f.Fd()), "", a.UID, a.GID, unix.AT_EMPTY_PATH); err != nil {
		return fmt.Errorf("chown %s: %w", f.Name(), err)
	}
	return nil
}

// access returns nil when this process may read a file, or write to a directory.
func access(path string, write bool) error {
	mode := uint32(unix.R_OK)
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		mode |= unix.X_OK
	}
	if write {
		mode |= unix.W_OK
	}
	return unix.Access(path, mode)
}
