package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"go.uber.org/zap"

	"gatehouse/cmd/gatehouse/config"
)

// errNotRoot is why a process cannot become somebody else.
var errNotRoot = errors.New("only root can become another user: start gatehouse as root, or as that user, or leave global.user out")

// becoming returns what the house calls when everything is open, nil when the process stays who it is. The error has its exit code.
func becoming(f *config.File, configs []string, log *zap.Logger) (func() error, error) {
	a, err := f.Global.Account()
	if err != nil {
		return nil, &failure{exitInvalid, err}
	}
	if a == nil {
		return nil, nil
	}
	if os.Geteuid() != 0 && os.Geteuid() != a.UID {
		return nil, failed(fmt.Errorf("user %q: %w", a.Name, errNotRoot))
	}
	return func() error {
		if os.Geteuid() == 0 {
			if err := handOver(f, a); err != nil {
				return err
			}
		}
		if err := become(a, log); err != nil {
			return fmt.Errorf("become user %q: %w", a.Name, err)
		}
		if err := canWrite(f); err != nil {
			return err
		}
		for _, path := range unreadable(f, configs) {
			log.Warn("a file cannot be read again, neither in a reload nor when it has changed", zap.String("file", path), zap.String("user", a.Name),
				zap.String("remedy", fmt.Sprintf("chgrp %d %[2]s && chmod g+r %[2]s, and let the user into its directory", a.GID, path)))
		}
		log.Info("no longer root", zap.String("user", a.Name), zap.Int("uid", a.UID), zap.Int("gid", a.GID), zap.Ints("groups", a.Groups))
		return nil
	}, nil
}

// handOver gives the user what this process has made as root and will write to again.
func handOver(f *config.File, a *config.Account) error {
	for _, dir := range directories(f) {
		if err := handOverTree(dir, a); err != nil {
			return err
		}
	}
	for _, path := range files(f) {
		if err := handOverFile(path, a); err != nil {
			return err
		}
	}
	return nil
}

// directories are those the process makes files in whenever it pleases.
func directories(f *config.File) (list []string) {
	list = append(list, f.Global.StateDir)
	for _, c := range f.Caches {
		if c.Disk != nil {
			list = append(list, c.Disk.Path)
		}
	}
	return slices.DeleteFunc(list, func(s string) bool { return s == "" })
}

// files are the others it writes to, or removes.
func files(f *config.File) (list []string) {
	for _, l := range f.Logs {
		if isFile(l.Output) {
			list = append(list, l.Output)
		}
	}
	if f.Global.PIDFile != "" {
		list = append(list, f.Global.PIDFile)
	}
	if f.Admin != nil && f.Admin.Socket != "" {
		list = append(list, f.Admin.Socket)
		if dir := filepath.Dir(f.Admin.Socket); ownDirectory(dir) && only(dir, f.Admin.Socket, f.Global.PIDFile) {
			list = append(list, dir) // made for it, as /run/gatehouse is
		}
	}
	for _, c := range f.Frontends {
		for _, b := range c.Binds {
			if p := b.Address.Path; p != "" && p[0] != '@' {
				list = append(list, p)
			}
		}
	}
	return list
}

// isFile reports whether the output of a log is a file.
func isFile(output string) bool {
	return output != "stdout" && output != "stderr" && !strings.HasPrefix(output, "syslog:")
}

// only reports whether nothing but those files is in a directory.
func only(dir string, known ...string) bool {
	list, err := os.ReadDir(dir)
	return err == nil && !slices.ContainsFunc(list, func(e fs.DirEntry) bool { return !slices.Contains(known, filepath.Join(dir, e.Name())) })
}

// ownDirectory reports whether a directory may be one program's own: none of those that a system's programs share, whose owner must not
// change whatever a configuration says.
func ownDirectory(dir string) bool {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return false
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	if first, _, _ := strings.Cut(dir[1:], "/"); slices.Contains([]string{"bin", "boot", "dev", "etc", "lib", "lib32", "lib64", "proc", "sbin", "sys", "usr"}, first) {
		return false
	}
	if parent := filepath.Dir(dir); parent == "/" || parent == "/var" {
		return false
	}
	info, err := os.Stat(dir)
	return err == nil && info.Mode()&0o022 == 0 // not one that others write to as well, like /var/tmp
}

// handOverTree gives a directory with all that is root's in it. It never follows a link, and nothing that has a second name elsewhere changes
// its owner.
func handOverTree(dir string, a *config.Account) error {
	info, err := os.Lstat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	case err != nil:
		return err
	case !info.IsDir() || ownerOf(info) != 0 && ownerOf(info) != a.UID:
		return nil // whether it can be written to is asked afterwards
	}
	if !ownDirectory(dir) {
		return nil
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	if opened, err := root.Stat("."); err != nil || info != nil && !os.SameFile(info, opened) {
		return fmt.Errorf("%s: it was replaced by another one just now", dir)
	}
	return fs.WalkDir(root.FS(), ".", func(name string, _ fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		} else if err != nil {
			return err
		}
		f, err := root.OpenFile(name, handleOnly, 0)
		if err != nil {
			return nil // as for a link that leads out of it
		}
		defer f.Close()
		return give(f, a)
	})
}

// handOverFile gives one file, if it is root's.
func handOverFile(path string, a *config.Account) error {
	f, err := os.OpenFile(path, handleOnly, 0)
	if err != nil {
		return nil
	}
	defer f.Close()
	return give(f, a)
}

// give gives a file that is open, if it is root's and no link such as /dev/stdout. It is looked at and given away as one and the same: whoever
// may write to its directory could put another one under its name in between.
func give(f *os.File, a *config.Account) error {
	info, err := f.Stat()
	if err != nil || ownerOf(info) != 0 || !movable(info) {
		return nil
	}
	return changeOwner(f, a)
}

// movable reports whether the owner of a file may be changed: it is no link, no device, and no second name of something else.
func movable(info fs.FileInfo) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok:
		return false
	case info.IsDir(), info.Mode()&fs.ModeSocket != 0:
		return true
	}
	return info.Mode().IsRegular() && s.Nlink == 1
}

func ownerOf(info fs.FileInfo) int {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(s.Uid)
	}
	return -1
}

// canWrite makes sure, as the user, that the directories can be written to.
func canWrite(f *config.File) error {
	for _, dir := range directories(f) {
		if err := access(dir, true); err != nil {
			u := f.Global.User
			return fmt.Errorf("%s: user %q cannot write there (%w): chown -R %s %[1]s, or name a directory of gatehouse's own", dir, u, err, u)
		}
	}
	return nil
}

// unreadable lists, as the user, the files that a reload or a watch would read and cannot.
func unreadable(f *config.File, configs []string) (list []string) {
	for _, path := range slices.Concat(configs, f.Named()) {
		if path != "" && access(path, false) != nil && !slices.Contains(list, path) {
			list = append(list, path)
		}
	}
	return list
}
